"""Groups filed, decisions taken, keys repeated: what the desks may do and what they are told."""

import copy
from datetime import date, timedelta

import pytest

from hub.canonical.messages.desk import GroupFiling
from hub.exchange.receive import Once
from tests.exchange.exchanging import AGENT, START, filing

pytestmark = pytest.mark.both_stores


def codes(receipt):
    return {p["code"] for p in receipt.problems}


def test_a_group_is_taken_with_every_member(hub):
    receipt = hub.open()
    assert receipt.status == "taken" and receipt.http == 201
    assert [r["state"] for r in receipt.body["requests"]] == ["SUBMITTED", "SUBMITTED"]
    assert hub.states() == ["SUBMITTED", "SUBMITTED"]


def without(given: GroupFiling, change) -> GroupFiling:
    changed = copy.deepcopy(given)
    change(changed)
    return changed


def move(given: GroupFiling, days: int) -> None:
    """The whole programme, so many days later."""
    plan, by = given.programme, timedelta(days)
    plan.arrival.on, plan.departure.on = plan.arrival.on + by, plan.departure.on + by
    for house in plan.housing:
        house.check_in, house.check_out = house.check_in + by, house.check_out + by
    for leg in plan.transport:
        leg.departs_on += by
    assert plan.insurance is not None
    plan.insurance.starts_on, plan.insurance.ends_on = plan.insurance.starts_on + by, plan.insurance.ends_on + by


BAD = {
    "night_uncovered": lambda g: setattr(g.programme.housing[1], "check_in", date(2027, 2, 5)),
    "arrival_past": lambda g: move(g, -100),
    "season_wrong": lambda g: setattr(g, "season", 1460),
    "leg_missing": lambda g: g.programme.transport.pop(),
    "insurance_missing": lambda g: setattr(g.programme, "insurance", None),
    "ground_service_missing": lambda g: g.programme.services.clear(),
    "ticket_missing": lambda g: setattr(g.programme.arrival, "ticket", None),
    "mrz_disagrees": lambda g: setattr(g.members[0].person, "birth_date", date(1979, 5, 15)),
    "document_expired": lambda g: (
        setattr(g.members[0].document, "expires_on", date(2027, 3, 1)),
        setattr(g.members[0].document, "mrz", None),
    ),
    "minor_without_companion": lambda g: (
        setattr(g.members[0].person, "birth_date", date(2015, 5, 14)),
        setattr(g.members[0].document, "mrz", None),
        setattr(g.members[0], "companion", None),
    ),
    "unknown_nationality": lambda g: (
        setattr(g.members[0].person, "nationality", "QQQ"),
        setattr(g.members[0].document, "mrz", None),
    ),
}


@pytest.mark.parametrize("code", BAD)
def test_a_group_that_cannot_go_forward_is_refused_whole_with_its_own_code(hub, code):
    receipt = hub.open(without(filing(), BAD[code]))
    assert receipt.status == "refused" and receipt.http == 422
    assert code in codes(receipt)
    assert all(p["en"] and p["ar"] for p in receipt.problems)
    assert hub.rows("SELECT count(*) FROM umrah_group") == [(0,)], "nothing of it is kept"
    assert hub.rows("SELECT count(*) FROM lookup") == [(0,)]


def test_a_group_with_more_members_than_heads_is_refused_whole(hub):
    receipt = hub.open(without(filing(), lambda g: setattr(g, "heads", 1)))
    assert (receipt.status, receipt.http) == ("refused", 409)
    assert [(p["code"], p["field"]) for p in receipt.problems] == [("group_full", "members")]
    assert hub.rows("SELECT count(*) FROM umrah_group") == [(0,)]
    assert hub.incidents() == [], "it is the agent's to hear, not an operator's"


def test_a_line_that_nobody_serves_is_refused_at_the_door_and_named(hub):
    given = filing()
    given.programme.housing[1].hotel_code = "MKH-XXX-99"
    given.programme.housing[1].brn = None
    receipt = hub.open(given)
    assert [(p["code"], p["field"]) for p in receipt.problems] == [("line_unserved", "programme.housing.1")]
    assert "H2" in receipt.problems[0]["en"]


def test_after_a_refusal_the_same_group_can_be_filed_right(hub):
    assert hub.open(without(filing(), BAD["mrz_disagrees"])).status == "refused"
    assert hub.open().status == "taken"


def test_one_live_request_a_person_and_nobody_is_named(hub):
    hub.open()
    again = hub.tell("agent_idn_2", "open_group", b"{}", message=filing("G-2"))
    assert codes(again) == {"duplicate_request"}
    assert AGENT not in str(again.problems)


def test_a_repeated_key_gets_the_first_answer_and_another_body_is_refused(hub):
    first = hub.open(once=Once(AGENT, "k1", "digest"))
    again = hub.open(once=Once(AGENT, "k1", "digest"))
    assert again.status == "repeated" and again.body == first.body and again.http == 201
    assert hub.rows("SELECT count(*) FROM umrah_group") == [(1,)]
    assert codes(hub.open(once=Once(AGENT, "k1", "other"))) == {"idempotency_conflict"}


def test_a_refusal_is_not_remembered_under_the_key(hub):
    bad = without(filing(), BAD["mrz_disagrees"])
    assert hub.open(bad, once=Once(AGENT, "k1", "bad")).status == "refused"
    assert hub.open(once=Once(AGENT, "k1", "good")).status == "taken"


def test_a_decision_that_the_journey_forbids_is_the_callers_to_hear(hub):
    request = hub.open().body["requests"][0]["id"]
    assert hub.decide(request, "accept").body["state"] == "ACCEPTED"
    assert hub.decide(request, "accept").status == "repeated"
    refused = hub.decide(request, "report")
    assert refused.status == "refused" and hub.incidents() == []


def test_a_returned_request_is_corrected_under_the_same_number(hub, member):
    first = hub.open().body["requests"][0]
    hub.decide(first["id"], "return", reason="photo")
    assert hub.states()[0] == "RETURNED"
    member.person.profession = "Teacher"
    assert hub.decide(first["id"], "correct", by=AGENT, correction=member).body["state"] == "SUBMITTED"
    assert hub.rows("SELECT request_no FROM request WHERE member = 0") == [(first["request_no"],)]


def test_nobody_is_corrected_into_a_person_who_travels_already(hub, member):
    first = hub.open().body["requests"][0]
    hub.decide(first["id"], "return")
    member.document.number = filing().members[1].document.number
    member.document.mrz = None
    refused = hub.decide(first["id"], "correct", by=AGENT, correction=member)
    assert (refused.http, codes(refused)) == (409, {"duplicate_request"})
    assert hub.states() == ["RETURNED", "SUBMITTED"]


def test_a_correction_that_cannot_stand_changes_nothing(hub, member):
    first = hub.open().body["requests"][0]
    hub.decide(first["id"], "return", reason="photo")
    member.person.birth_date = date(1979, 5, 15)
    assert codes(hub.decide(first["id"], "correct", by=AGENT, correction=member)) == {"mrz_disagrees"}
    assert hub.states()[0] == "RETURNED"
    assert hub.engine.reading.timeline(__import__("uuid").UUID(first["id"]))["state"] == "RETURNED"
    member.person.birth_date = date(1979, 5, 14)
    member.person.profession = "Nurse"
    assert hub.decide(first["id"], "correct", by=AGENT, correction=member).status == "taken"


def test_a_document_typed_wrongly_and_corrected_does_not_keep_out_whose_it_is(hub, member):
    given = filing()
    given.members = given.members[:1]
    first = hub.open(given).body["requests"][0]
    wrong = member.document.number
    hub.decide(first["id"], "return", reason="number")
    member.document.number, member.document.mrz = "Y7654321", None
    assert hub.decide(first["id"], "correct", by=AGENT, correction=member).status == "taken"
    other = filing("G-2002")
    other.members = other.members[:1]
    assert other.members[0].document.number == wrong
    assert hub.open(other).status == "taken"
    again = filing("G-3003")
    again.members = [member]
    assert codes(hub.open(again)) == {"duplicate_request"}, "under the right number it is known"


@pytest.mark.parametrize("days", [-700_000, -2, 1, 900, 2_900_000])
def test_nothing_is_decided_before_the_group_was_filed_or_after_now(hub, days):
    first = hub.open().body["requests"][0]
    for outcome, by in (("accept", "company_1"), ("cancel", AGENT)):
        refused = hub.decide(first["id"], outcome, by, happened=START + timedelta(days=days))
        assert (refused.http, codes(refused)) == (422, {"happened_impossible"})
    assert hub.states()[0] == "SUBMITTED"
    assert hub.decide(first["id"], "accept", happened=START).status == "taken"
