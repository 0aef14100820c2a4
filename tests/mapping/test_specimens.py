"""Published messages of the standards, read by maps: bank statements, clearing files, exports with other headings."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from hub.canonical.errors import HubError
from hub.mapping import Map, MapError, laws, load
from tests.mapping.flat_messages import MESSAGES as FLAT

HERE = Path(__file__).parent
ADAPTER = HERE.parents[1] / "mappings/banks/statements"
#: The interim report and the notification differ from the day's statement in what it is called.
KINDS = {
    "camt052": ("camt.052", "Document/BkToCstmrAcctRpt / Document/BkToCstmrAcctRptV01", "Rpt"),
    "camt054": ("camt.054", "Document/BkToCstmrDbtCdtNtfctn", "Ntfctn"),
}


@pytest.fixture(scope="module")
def camt(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Map]:
    """The adapter's map of a statement, and the same of the other kinds."""
    own = ADAPTER / "receive_statement/request.v1.yaml"
    folder, maps = tmp_path_factory.mktemp("camt"), {"camt053": load(own)}
    text = own.read_text("utf-8").replace("schema: camt.053.xsd\n", "")
    for kind, (name, root, statement) in KINDS.items():
        path = folder / f"{kind}.yaml"
        path.write_text(
            text.replace("camt.053", name)
            .replace("Document/BkToCstmrStmt", root)
            .replace("  Stmt:\n", f"  {statement}:\n")
            .replace("StmtPgntn", f"{statement}Pgntn"),
            "utf-8",
        )
        maps[kind] = load(path)
    return maps


@pytest.fixture(scope="module")
def notification() -> Map:
    return load(ADAPTER / "receive_notification/request.v1.yaml")


def flat(name: str) -> Map:
    return load(HERE / f"flat/{name}.yaml", messages=FLAT)


# --- ISO 20022 ----------------------------------------------------------------------------------------------------


def minor(amount: Decimal, currency: str) -> int:
    return int(amount if currency == "JPY" else amount * 100)


def money(expected) -> tuple[int, str]:
    return int(expected["getAmount"]), expected["getCurrency"]["getCode"]


def reference(expected, *names):
    return [expected["getReference"] and expected["getReference"][name] for name in names]


@pytest.mark.needs("specimens")
def test_every_camt_equals_its_independent_reading(camt, specimens):
    expected = sorted(specimens.glob("camt-expected/*.json"))
    assert len(expected) >= 9
    for path in expected:
        kind = path.name.removeprefix("camt__")[:7]
        message = camt[kind].read((specimens / kind / path.name).with_suffix(".xml").read_bytes())
        wanted = json.loads(path.read_text("utf-8"))
        assert message.message_id == wanted["getGroupHeader"]["getMessageId"], path.name
        assert len(message.accounts) == len(wanted["getRecords"]), path.name
        # The reading shows the entry of the last statement; what it repeats it leaves out.
        account, (entry,) = message.accounts[-1], wanted["getEntries"]
        record = entry["getRecord"]
        assert (account.reference, account.account) == (record["getId"], record["getAccount"]["getIdentification"])
        assert [account.number, account.legal_number] == [
            record["getElectronicSequenceNumber"], record["getLegalSequenceNumber"],
        ]  # fmt: skip
        assert len(account.entries) == len(record["getEntries"])
        assert [(b.on.isoformat(), b.currency, minor(b.signed, b.currency)) for b in account.balances] == [
            (b["getDate"]["0"][:10], *reversed(money(b["getAmount"]))) for b in record.get("getBalances") or []
        ], path.name
        (ours,) = account.entries
        assert (minor(ours.signed, ours.currency), ours.currency) == money(entry["getAmount"])
        for at, said in (
            (account.created_at, "getCreatedOn"),
            (account.from_at, "getFromDate"),
            (account.to_at, "getToDate"),
        ):
            assert (at and at.isoformat()) == (record[said] and record[said]["0"]), path.name
        for day, said in ((ours.booked_on, "getBookingDate"), (ours.value_on, "getValueDate")):
            assert (day and day.isoformat()) == (entry[said] and entry[said]["0"][:10]), path.name
        assert ours.reference == entry["getReference"] and ours.servicer_ref == entry["getAccountServicerReference"]
        assert ours.reversal is entry["getReversalIndicator"]
        assert len(ours.movements) == len(entry["getTransactionDetails"])
        details = [entry["getTransactionDetail"], *entry["getTransactionDetails"][1:]]
        names = ("getEndToEndId", "getInstructionId", "getMandateId", "getPaymentInformationId", "getMessageId")
        for movement, detail in zip(ours.movements, details, strict=True):
            assert [
                movement.end_to_end_ref, movement.instruction_ref, movement.mandate_ref, movement.batch_ref,
                movement.message_ref,
            ] == reference(detail, *names), path.name  # fmt: skip
            if detail["getAmount"] is not None:
                amount, currency = money(detail["getAmount"])
                assert (minor(movement.amount, movement.currency), movement.currency) == (abs(amount), currency)
        assert camt[kind].read(camt[kind].write(message)) == message


@pytest.mark.needs("specimens")
def test_every_notification_equals_its_independent_reading(notification, specimens):
    expected = sorted(specimens.glob("camt-expected/camt__camt054.*.json"))
    assert len(expected) == len(list(specimens.glob("camt054/*.xml"))) == 3
    for path in expected:
        message = notification.read((specimens / "camt054" / path.name).with_suffix(".xml").read_bytes())
        wanted = json.loads(path.read_text("utf-8"))
        (entry,), (ours,) = wanted["getEntries"], message.entries
        record = entry["getRecord"]
        assert message.notice_no == wanted["getGroupHeader"]["getMessageId"] == record["getId"]
        assert message.told_at.isoformat() == wanted["getGroupHeader"]["getCreatedOn"]["0"]
        assert message.account == record["getAccount"]["getIdentification"]
        signed = ours.amount if ours.outcome == "credit" else -ours.amount
        assert (minor(signed, ours.currency), ours.currency) == money(entry["getAmount"])
        for day, said in ((ours.booked_on, "getBookingDate"), (ours.value_on, "getValueDate")):
            assert (day and day.isoformat()) == (entry[said] and entry[said]["0"][:10]), path.name
        assert ours.bank_ref == entry["getAccountServicerReference"]
        details = [entry["getTransactionDetail"], *entry["getTransactionDetails"][1:]]
        assert len(ours.payments) == len(entry["getTransactionDetails"])
        for part, detail in zip(ours.payments, details, strict=True):
            assert [part.reference] == reference(detail, "getEndToEndId")
            if detail["getAmount"] is not None:
                amount, currency = money(detail["getAmount"])
                assert (minor(part.amount, part.currency), part.currency) == (abs(amount), currency)
        assert ours.bill_no is None, "what is no bill of ours, or several payments, is for a person"
        assert notification.read(notification.write(message)) == message


@pytest.mark.needs("specimens")
def test_every_camt_is_read_or_refused_at_its_place(camt, specimens):
    refused = []
    for path in sorted(specimens.glob("camt05?/*.xml")):
        try:
            message = camt[path.parent.name].read(path.read_bytes())
        except MapError as error:
            assert error.code and error.line and error.place
            refused.append(path.name)
        else:
            assert message.accounts and all(account.entries for account in message.accounts), path.name
    assert refused == ["camt__camt053.v2.wrong.xml"]


def test_the_other_statement_maps_keep_the_laws(camt):
    for kind in KINDS:
        laws.hold(camt[kind], examples=40)


# --- clearing files -----------------------------------------------------------------------------------------------


@pytest.mark.needs("specimens")
def test_every_clearing_file_is_read_with_its_batches(specimens):
    map_ = flat("nacha")
    files = {path.name: map_.read(path.read_bytes()) for path in specimens.glob("flat/nacha/*.ach")}
    assert len(files) == 4
    for name, file in files.items():
        for batch in file.batches:
            counted = sum(1 + len(entry.more) for entry in batch.entries)
            assert counted == batch.entries_and_addenda, name
        assert sum(batch.debit for batch in file.batches) == file.debit, name
        assert map_.read(map_.write(file)) == file
    (batch,) = files["ach__ctx-debit.ach"].batches
    assert [addendum.body for addendum in batch.entries[0].more] == ["Debit First Account", "Debit Second Account"]
    # What is written is filled up to a block of ten lines, as the standard wants it.
    assert len(map_.write(files["ach__ctx-debit.ach"]).splitlines()) == 10


@pytest.mark.needs("specimens")
def test_every_balance_report_is_read_with_its_groups(specimens):
    map_, found = flat("bai2"), {}
    for path in sorted(specimens.glob("flat/bai2/*.txt")):
        try:
            found[path.name] = map_.read(path.read_bytes())
        except MapError as error:
            assert (error.code, error.row) == ("map_record", 1)
            found[path.name] = None
    assert found.pop("bai2__sample-parseError.txt") is None
    first, second = found["bai2__sample1.txt"], found["bai2__sample2.txt"]
    assert [len(account.details) for group in first.groups for account in group.accounts] == [11, 6]
    assert [len(group.accounts) for group in second.groups] == [2, 1, 1, 1]
    for file in (first, second):
        assert map_.read(map_.write(file)) == file


@pytest.mark.needs("specimens")
def test_exports_under_other_headings(specimens):
    map_ = flat("account")
    for path in specimens.glob("flat/csv/*.csv"):
        lines = map_.read(path.read_bytes()).lines
        assert [line.amount for line in lines] == [Decimal("-1234.56"), Decimal("3500.00"), Decimal("-4.50")]


@pytest.mark.parametrize("name", ["nacha", "bai2", "account"])
def test_the_flat_maps_keep_the_laws(name):
    laws.hold(flat(name), examples=40)


def test_a_damaged_batch_is_one_faulty_row():
    map_ = flat("nacha")
    rows = ["5220ACME".ljust(40) + "1111111111PPD".ljust(47) + "0000001"]
    rows += ["62212345678912345            0000000100".ljust(78) + "0" + " " * 15] * 2
    control = "8220000002".ljust(20) + "000000000000" + "000000000200".ljust(62)
    trailer = "9".ljust(31) + "000000000000" + "000000000200".ljust(51)
    good = "\n".join(["101 123456789 987654321260101".ljust(94), *rows, control, trailer])
    (row,) = map_.rows(good.encode())
    assert row.fault is None and len(row.value.entries) == 2
    bad = good.replace("0000000100", "00000x0100", 1)
    (row,) = map_.rows(bad.encode())
    assert (row.number, row.fault.code, row.fault.row, row.fault.field) == (2, "invalid_value", 3, "amount")
    with pytest.raises(HubError) as caught:
        map_.read(good.replace(control + "\n", "").encode())
    assert caught.value.code == "file_truncated"
    with pytest.raises(HubError) as caught:
        map_.read(good.replace(rows[0] + "\n", "").encode())
    assert caught.value.code == "map_record"
