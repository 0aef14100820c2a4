"""Rosters: every row back, accepted or with its reason; told again tomorrow, they change nothing."""

import csv
import io
from uuid import UUID

import pytest

from hub.partners.overlay import Overlaid
from tests.exchange.exchanging import AGENT, filing

HEAD = (
    "Group No,Given Name,Family Name,Sex,Date of Birth,Nationality,Passport No,Issue Date,Expiry Date,"
    "Mahram Passport,Relationship"
)
GOOD = "G-1001,SITI,RAHAYU,F,1984-11-03,IDN,C7654321,2024-05-06,2034-05-05,,"
SECOND = "G-1001,BUDI,SANTOSO,M,1979-02-01,IDN,C7654322,2024-05-06,2034-05-05,,"


@pytest.fixture
def roster(hub):
    assert hub.open(filing(members=[], heads=2)).status == "taken"

    def send(*rows: str, name: str = "roster.csv") -> list[dict[str, str]]:
        body = "\r\n".join((HEAD, *rows)).encode("utf-8")
        hub.receipt = hub.tell(AGENT, "receive_roster", body, name=name)
        answers = hub.rows(
            "SELECT id FROM exchange WHERE direction = 'out' AND operation = 'receive_roster' ORDER BY id"
        )
        if hub.receipt.status != "taken":
            return []
        exchange = UUID(hex=answers[-1][0])
        text = hub.engine.database.unit(lambda tx: hub.engine._ledger.bytes_of(tx, exchange)).decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text)))

    hub.send = send
    return hub


def test_good_rows_are_filed_and_bad_ones_come_back_with_their_reason_in_order(roster):
    rows = roster.send(
        GOOD,
        SECOND.replace("1979-02-01", "02/03/1979"),
        SECOND.replace("SANTOSO", ""),
        SECOND.replace("2034-05-05", "2027-02-10").replace("C7654322", "C7654323"),
        SECOND.replace("G-1001", "G-9"),
        SECOND.replace(",IDN,", ",Atlantis,"),
    )
    assert [r["Outcome"] for r in rows] == ["accepted"] + ["rejected"] * 5
    assert [r["Code"] for r in rows][1:2] == ["date_order_undeclared"]
    assert [r["Code"] for r in rows][3:5] == ["document_expired", "unknown_group"]
    assert all(r["Reason"] and r["Reason (Arabic)"] for r in rows[1:])
    assert list(rows[0])[:11] == HEAD.split(","), "the agent's own columns, in the agent's own order"
    assert [r["Passport No"] for r in rows][:2] == ["C7654321", "C7654322"], "given back even where it cannot be read"
    assert roster.states() == ["SUBMITTED"]


def test_only_the_rows_that_were_mended_are_sent_again(roster):
    """What comes back is filtered to its rejected rows, mended in place, and sent as it is."""
    rows = roster.send(GOOD, SECOND.replace("1979-02-01", "02/03/1979"), name="first.csv")
    wrong = [dict(row) for row in rows if row["Outcome"] == "rejected"]
    for row in wrong:
        row["Date of Birth"] = "1979-02-01"
    out = io.StringIO()
    table = csv.DictWriter(out, wrong[0])
    table.writeheader()
    table.writerows(wrong)
    body = out.getvalue().encode("utf-8-sig")
    assert roster.tell(AGENT, "receive_roster", body, name="mended.csv").status == "taken"
    assert roster.rows("SELECT count(*) FROM request") == [(2,)]
    rows = roster.send(GOOD, SECOND, name="all.csv")
    assert [r["Outcome"] for r in rows] == ["unchanged", "unchanged"], "each was accepted once"


def test_a_workbook_comes_back_as_a_workbook_that_can_be_sent_again(roster):
    from openpyxl import Workbook, load_workbook

    book = Workbook()
    for line in (HEAD, GOOD, SECOND.replace("G-1001", "G-9")):
        book.active.append([None if cell == "" else cell for cell in line.split(",")])
    out = io.BytesIO()
    book.save(out)
    assert roster.tell(AGENT, "receive_roster", out.getvalue(), name="roster.xlsx").status == "taken"
    ((exchange, name),) = roster.rows("SELECT id, name FROM exchange WHERE direction = 'out'")
    assert name.endswith(".outcome.xlsx")
    database = roster.engine.database
    back = database.unit(lambda tx: roster.engine._ledger.bytes_of(tx, UUID(hex=exchange)))
    sheet = load_workbook(io.BytesIO(back)).active
    table = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert table[0] == [*HEAD.split(","), "Outcome", "Request No", "Code", "Reason", "Reason (Arabic)"]
    assert [row[11] for row in table[1:]] == ["accepted", "rejected"] and table[2][13] == "unknown_group"
    sheet.cell(3, 1).value = "G-1001"
    mended = io.BytesIO()
    sheet.parent.save(mended)
    assert roster.tell(AGENT, "receive_roster", mended.getvalue(), name="again.xlsx").status == "taken"
    assert len(roster.states()) == 2


def test_what_comes_back_holds_no_formula(roster):
    (row,) = roster.send(GOOD.replace("RAHAYU", "\"=cmd|' /C calc'!A0\""))
    assert row["Outcome"] == "rejected" and row["Code"] == "map_formula" and row["Family Name"].startswith("'=")


def test_a_cumulative_roster_files_only_what_is_new(roster):
    roster.send(GOOD)
    rows = roster.send(GOOD, SECOND)
    assert [r["Outcome"] for r in rows] == ["unchanged", "accepted"]
    assert len(roster.states()) == 2


def test_the_same_file_again_is_not_taken_again(roster):
    roster.send(GOOD)
    roster.send(GOOD)
    assert roster.receipt.status == "repeated" and len(roster.states()) == 1


def test_a_changed_row_corrects_what_may_still_be_corrected(roster):
    roster.send(GOOD, SECOND)
    first, second = (str(UUID(hex=i)) for (i,) in roster.rows("SELECT id FROM request ORDER BY member"))
    roster.decide(first, "return", reason="name")
    roster.decide(second, "accept")
    corrected, late = roster.send(GOOD.replace("RAHAYU", "LESTARI"), SECOND.replace("SANTOSO", "WIBOWO"))
    assert corrected["Outcome"] == "accepted" and late["Outcome"] == "rejected" and late["Reason (Arabic)"]
    assert roster.states() == ["SUBMITTED", "ACCEPTED"]
    assert "LESTARI" in str(roster.engine.reading.timeline(UUID(first)))
    assert "WIBOWO" not in str(roster.engine.reading.timeline(UUID(second)))


def test_a_suspended_agents_roster_adds_nobody_and_corrects_as_before(roster):
    roster.send(GOOD)
    first = str(UUID(hex=roster.rows("SELECT id FROM request")[0][0]))
    roster.decide(first, "return", reason="name")
    roster.engine.change_partners([Overlaid(id=AGENT, suspended=True)], "tester")
    corrected, new = roster.send(GOOD.replace("RAHAYU", "LESTARI"), SECOND)
    assert (corrected["Outcome"], new["Outcome"], new["Code"]) == ("accepted", "rejected", "agent_suspended")
    assert new["Reason"] and new["Reason (Arabic)"]
    assert roster.states() == ["SUBMITTED"]
    roster.engine.change_partners([Overlaid(id=AGENT, suspended=False)], "tester")
    assert [r["Outcome"] for r in roster.send(GOOD.replace("RAHAYU", "LESTARI"), SECOND, "")] == [
        "unchanged",
        "accepted",
    ]


def test_a_group_takes_no_more_than_its_heads(roster):
    third = GOOD.replace("C7654321", "C7654323").replace("SITI", "TUTI")
    assert [r["Code"] for r in roster.send(GOOD, SECOND, third)] == ["", "", "group_full"]


def test_a_minor_needs_a_companion_of_the_group(roster):
    child = "G-1001,ANAK,RAHAYU,M,2016-02-01,IDN,C7654329,2024-05-06,2029-05-05,{},{}"
    (row,) = roster.send(child.format("", ""))
    assert row["Code"] == "minor_without_companion"
    rows = roster.send(GOOD, child.format("C7654321", "mother"))
    assert [r["Outcome"] for r in rows] == ["accepted", "accepted"]


@pytest.mark.parametrize("named", ["3", "C7654321"])
def test_a_companion_is_named_by_passport_or_row_and_may_stand_further_down(roster, named):
    child = f"G-1001,ANAK,RAHAYU,M,2016-02-01,IDN,C7654329,2024-05-06,2029-05-05,{named},mother"
    rows = roster.send(child, GOOD)
    assert [(r["Passport No"], r["Outcome"]) for r in rows] == [("C7654329", "accepted"), ("C7654321", "accepted")]
    # By the number of its row it could be somebody else in the next file.
    assert rows[0]["Mahram Passport"] == "C7654321"


@pytest.mark.parametrize("named", ["2", "9"], ids=["its own row", "a row that there is not"])
def test_a_companion_in_no_row_is_refused_with_its_reason(roster, named):
    child = f"G-1001,ANAK,RAHAYU,M,2016-02-01,IDN,C7654329,2024-05-06,2029-05-05,{named},mother"
    rows = roster.send(child, GOOD)
    assert [r["Code"] for r in rows] == ["companion_row_unknown", ""]


def test_a_person_with_a_single_name_is_taken(roster):
    (row,) = roster.send(GOOD.replace("SITI", ""))
    assert row["Outcome"] == "accepted", row


def test_a_file_that_is_no_roster_is_refused_and_kept(roster):
    receipt = roster.tell(AGENT, "receive_roster", b"\x00\x01 not a table", name="x.csv")
    assert receipt.status == "refused" and receipt.problems[0]["ar"]
    assert roster.rows("SELECT count(*) FROM exchange WHERE state = 'dead'") == [(1,)]


def test_the_outcome_file_is_delivered_to_the_agent(roster, tmp_path):
    roster.send(GOOD)
    roster.drain(AGENT)
    (file,) = (tmp_path / "files" / AGENT / "to_partner").glob("*.outcome.csv")
    assert "accepted" in file.read_text("utf-8-sig")


@pytest.mark.parametrize("name", ["كشف المعتمرين.csv", "roster 1.csv", "r" * 190 + ".csv", "-'r(2).csv"])
def test_the_outcome_reaches_the_agent_whatever_people_call_their_files(hub, tmp_path, name):
    hub.open(filing(members=[], heads=2))
    folder = tmp_path / "files" / AGENT
    (folder / "from_partner" / f"x{name}.part").write_text("\r\n".join((HEAD, GOOD)))
    (folder / "from_partner" / f"x{name}.part").rename(folder / "from_partner" / name)
    assert hub.engine.collect(hub.engine.register.partners[AGENT]).files == 1
    hub.drain(AGENT)
    (file,) = (folder / "to_partner").glob("*.outcome.csv")
    assert file.name.isascii() and " " not in file.name
