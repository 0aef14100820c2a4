"""What a file's sender gets back: its own rows, with the reason beside each that was not taken, or its lines named."""

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from hub.canonical.errors import HubError
from hub.partners import Overlaid
from tests.attacks.files_made import example
from tests.exchange.exchanging import AGENT, BANK
from tests.exchange.test_staging import SETTLEMENT, body
from tests.exchange.test_uploads import give

pytestmark = pytest.mark.both_stores
REPORTER, CARRIER = "report_platform", "lists_rihla"
HEAD = (
    "Mutamer No,Agent No,Group No,Mutamer Name,Nationality,Passport No,Visa No,MOFA No,Border No,Entry Date,Exit Date,"
    "Stay Days,Status"
)
ROW = "1,A,G,x,إندونيسيا,X{n:07},60000000{n:02},,,,,10,{status}"


def taken(hub, partner, operation, data, name):
    """A file handed in by the API and read: what is told of it."""
    hub.engine.change_partners([Overlaid(id=partner, enabled=True)], "test")
    file = UUID(give(hub, partner, operation, data, name))
    hub.engine.take_uploads()
    return hub.engine.uploads.one(partner, file)


def given_back(hub, partner, told, **more):
    name, data = hub.engine.uploads.outcome(partner, UUID(told["id"]), **more)
    return name, data.decode("utf-8-sig")


def table(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def report(*rows):
    return "\r\n".join((HEAD, *rows)).encode()


def settlement(hub, *lines, number=1):
    """The bank's file of what it settled of the group's payment, each line with *lines*'s changes."""
    bill, minor = hub.rows("SELECT bill_no, amount FROM voucher")[0]
    map_ = hub.engine.register.map("banks/payments", SETTLEMENT, "request")
    message = map_.read(example(f"banks/payments/{SETTLEMENT}", "txt"))
    right = replace(
        message.lines[0], bank_ref="PAY-1", bill_no=bill, amount=Decimal(minor) / 100, fee=Decimal(0), outcome="settled"
    )
    return map_.write(replace(message, file_no=number, lines=[replace(right, **change) for change in lines]))


def test_a_settlement_goes_back_line_by_line_with_the_reason_behind_each(hub):
    hub.paid()
    strange = [{"bank_ref": f"PAY-{n}", "bill_no": "9" * 13} for n in (2, 3)]
    data = settlement(hub, {}, *strange)
    told = taken(hub, BANK, SETTLEMENT, data, f"SETTLE-{BANK}-000001.txt")
    assert (told["state"], told["outcome"]) == ("taken", True)
    assert told["rows"] == {"read": 3, "accepted": 1, "rejected": 2}
    name, text = given_back(hub, BANK, told)
    assert name == f"{told['id']}.outcome.txt"
    theirs, ours = data.decode("cp1256").splitlines(), text.splitlines()
    assert [line[:160].rstrip() for line in ours] == [line.rstrip() for line in theirs], "its own lines, in its order"
    assert [line[160:].split(" | ")[0].strip() for line in ours] == ["", "accepted", "rejected", "rejected", ""]
    error = HubError("payment_unknown_bill")
    assert ours[2][160:].strip() == f"rejected | {error.code} | {error.en} | {error.ar}"
    _, text = given_back(hub, BANK, told, only_rejected=True)
    assert text.splitlines() == [ours[0], *ours[2:]]


def test_a_line_that_contradicts_what_is_known_is_rejected_with_its_code(hub):
    hub.paid()
    data = settlement(hub, {"amount": Decimal(1)})
    told = taken(hub, BANK, SETTLEMENT, data, f"SETTLE-{BANK}-000001.txt")
    assert told["rows"] == {"read": 1, "accepted": 0, "rejected": 1}
    assert "| settlement_differs |" in given_back(hub, BANK, told)[1]


def test_rows_that_cannot_be_read_and_rows_about_nobody_go_back_in_one_table(hub):
    data = report(ROW.format(n=1, status="خرج"), ROW.format(n=2, status="???"), ROW.format(n=3, status="خرج"))
    told = taken(hub, REPORTER, "receive_report", data, "report.csv")
    assert told["rows"] == {"read": 3, "accepted": 0, "rejected": 3}
    rows = table(given_back(hub, REPORTER, told)[1])
    assert [row["Passport No"] for row in rows] == ["X0000001", "X0000002", "X0000003"]
    assert [row["Hub Outcome"] for row in rows] == ["rejected"] * 3
    assert [row["Hub Code"] == "unknown_id" for row in rows] == [True, False, True]
    assert all(row["Hub Reason"] and row["Hub Reason (Arabic)"] for row in rows)
    assert "حالة المعتمر / Status" in rows[1]["Hub Reason"], "by the name that the sender knows"


def test_rows_are_sent_again_as_they_came_back_and_are_not_put_before_a_person_twice(hub):
    told = taken(hub, REPORTER, "receive_report", report(ROW.format(n=1, status="خرج")), "first.csv")
    text = given_back(hub, REPORTER, told, only_rejected=True)[1]
    again = taken(hub, REPORTER, "receive_report", text.encode("utf-8-sig"), "again.csv")
    assert again["state"] == "taken" and again["rows"] == {"read": 1, "accepted": 0, "rejected": 1}
    (row,) = table(given_back(hub, REPORTER, again)[1])
    assert row["Hub Code"] == "unknown_id", "it was told before, and still nobody knows of whom"
    assert hub.incidents() == [("suspense", "unknown_id")]
    assert given_back(hub, REPORTER, again)[1].count("Hub Outcome") == 1


def test_a_workbook_comes_back_as_one(hub):
    told = taken(hub, REPORTER, "receive_report", example("agents/daily_report/receive_report", "xlsx"), "r.xlsx")
    name, data = hub.engine.uploads.outcome(REPORTER, UUID(told["id"]))
    assert name.endswith(".outcome.xlsx") and data.startswith(b"PK")


def test_a_column_of_the_partner_s_own_is_not_taken_for_ours(hub):
    data = example("transport/trips/receive_status", "csv")
    told = taken(hub, "bus_badr", "receive_status", data, "STATUS-bus_badr-000001.csv")
    rows = table(given_back(hub, "bus_badr", told)[1])
    own = table(data.decode("utf-8-sig"))
    assert [{name: row[name] for name in own[0]} for row in rows] == own
    assert {row["Hub Code"] for row in rows} == {"unknown_id"}


def test_the_acknowledgement_names_the_lines_of_a_file_that_is_no_table(hub):
    told = taken(hub, CARRIER, "receive_list", example("transport/passenger_lists/receive_list", "edi"), "RH881.edi")
    assert (told["state"], told["outcome"]) == ("taken", False)
    assert told["rows"] == {"read": 2, "accepted": 0, "rejected": 2}
    said = json.loads(hub.engine.uploads.acknowledgement(CARRIER, UUID(told["id"])).body)
    error = HubError("unknown_id")
    assert said["rejected"] == [{"code": "unknown_id", "reason": {"en": error.en, "ar": error.ar}, "lines": [1, 2]}]
    with pytest.raises(HubError, match="not_found"):
        hub.engine.uploads.outcome(CARRIER, UUID(told["id"]))


def test_the_acknowledgement_names_the_row_of_a_roster_in_its_outcome_file_alone(hub):
    told = taken(hub, AGENT, "receive_roster", b"\x00\x01 no table", "r.csv")
    said = json.loads(hub.engine.uploads.acknowledgement(AGENT, UUID(told["id"])).body)
    assert said["state"] == "refused" and said["reason"]["en"] and said["reason"]["ar"] and "rejected" not in said


def test_a_gap_and_a_used_number_are_told_with_their_numbers(hub):
    first, third = body(hub, 1, 1), body(hub, 1, 3)
    held = taken(hub, BANK, SETTLEMENT, third, f"SETTLE-{BANK}-000003.txt")
    assert (held["state"], held["code"]) == ("held", "file_sequence_gap")
    said = json.loads(hub.engine.uploads.acknowledgement(BANK, UUID(held["id"])).body)
    assert said["state"] == "held" and said["ended_at"] is None
    taken(hub, BANK, SETTLEMENT, first, f"SETTLE-{BANK}-000001.txt")
    other = taken(hub, BANK, SETTLEMENT, body(hub, 2, 1), f"SETTLE-{BANK}-000009.txt")
    said = json.loads(hub.engine.uploads.acknowledgement(BANK, UUID(other["id"])).body)
    assert said["code"] == "file_sequence_repeated" and "File number 1 " in said["reason"]["en"]


def test_what_was_found_before_a_crash_is_told_after_it(make, monkeypatch):
    hub = make()
    monkeypatch.setattr("hub.exchange.files.CHUNK", 2)
    tell, calls = hub.engine.exchange._receiver.lines.tell, []

    def dies(*args):
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError
        return tell(*args)

    monkeypatch.setattr(hub.engine.exchange._receiver.lines, "tell", dies)
    told = taken(hub, BANK, SETTLEMENT, body(hub, 5), f"SETTLE-{BANK}-000001.txt")
    assert told["state"] == "held"
    hub.restart()
    hub.engine.take_uploads()
    told = hub.engine.uploads.one(BANK, UUID(told["id"]))
    assert told["state"] == "taken" and told["rows"] == {"read": 5, "accepted": 0, "rejected": 5}
    assert given_back(hub, BANK, told)[1].count("| payment_unknown_bill |") == 5


def test_a_file_that_was_taken_when_we_were_cut_off_was_not_told_before(make, monkeypatch):
    hub = make()

    def dies(*args):
        raise MemoryError

    monkeypatch.setattr(hub.engine.uploads, "end", dies)
    with pytest.raises(MemoryError):
        taken(hub, BANK, SETTLEMENT, body(hub, 2), f"SETTLE-{BANK}-000001.txt")
    hub.restart()
    hub.engine.take_uploads()
    (told,) = hub.engine.uploads.page(BANK, None, 9)
    assert (told["state"], told["outcome"]) == ("taken", True)
    again = taken(hub, BANK, SETTLEMENT, body(hub, 2), f"SETTLE-{BANK}-000002.txt")
    assert again["state"] == "repeated" and again["rows"] == told["rows"]
