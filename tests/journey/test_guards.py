"""What stands against a request at the door, and what a programme may lack: each with its own code."""

import re
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import hub.journey
from hub.canonical.errors import catalogue
from hub.canonical.events import Event
from hub.journey import Applied, Conflict, apply, check_programme, evolve
from hub.journey.guards import is_minor, months_after
from tests.journey.world import ARRIVES, DAY, GROUP, HOUR, LEAVES, RULES, START, World, pilgrim, programme

SEASON = RULES.at(START, 1447)


def filed(world: World, who: int = 1) -> list[str]:
    result = world.tell("request.submitted", who)
    assert isinstance(result, Conflict), result
    assert result.code == result.faults[0].code
    assert world.state(who) == "DRAFT"
    return [fault.code for fault in result.faults]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"nationality": "ZZZ", "mrz": False}, "unknown_nationality"),
        ({"residence": "ZZZ"}, "unknown_nationality"),
        ({"issuing_state": "XXQ", "mrz": False}, "unknown_nationality"),
        ({"birth_date": date(1981, 3, 2)}, "mrz_disagrees"),
        ({"mrz": "short"}, "mrz_unreadable"),
        ({"expires_on": date(2026, 7, 24), "mrz": False}, "document_expired"),
        ({"born": date(2010, 1, 1)}, "minor_without_companion"),
        ({"born": date(2010, 1, 1), "companion": 7}, "companion_unknown"),
        ({"companion": 7}, "companion_unknown"),
    ],
)
def test_what_stands_against_a_request(spoil, code):
    world = World().open({})
    given = dict(spoil)
    details = {name: given.pop(name) for name in ("born", "companion") if name in given}
    text = given.pop("mrz", True)
    made = pilgrim(1, mrz=text is not False, **details, **given)
    if isinstance(text, str):
        made.document.mrz = text
    world.case.pilgrims[world.member().id] = made
    assert filed(world) == [code]


def test_every_fault_is_told_at_once_and_none_names_a_value():
    world = World().open({"expires_on": date(2025, 1, 1), "birth_date": date(1990, 1, 1)})
    world.case.agent.agreement = False
    result = world.tell("request.submitted", 1)
    assert isinstance(result, Conflict)
    assert [f.code for f in result.faults] == ["agreement_missing", "mrz_disagrees", "document_expired"]
    assert "birth_date" in result.faults[1].where["field"]
    assert "1990" not in repr(result)


def test_a_passport_valid_to_the_day_will_do():
    world = World().open({"expires_on": date(2026, 7, 25), "mrz": False})
    world.done("request.submitted", 1)


@pytest.mark.parametrize(
    ("since", "until", "refused"),
    [
        (START - DAY, None, True),
        (START - DAY, START + DAY, True),
        (START - DAY, START, False),
        (START + DAY, None, False),
        (START, START + DAY, True),
    ],
)
def test_a_suspension_has_a_beginning_and_may_have_an_end(since, until, refused):
    world = World().open()
    world.case.agent.suspended_from, world.case.agent.suspended_until = since, until
    if refused:
        assert filed(world) == ["agent_suspended"]
    else:
        world.done("request.submitted", 1)


def test_a_suspension_stops_new_requests_only():
    world = World(heads=2).open()
    world.done("request.submitted", 1)
    world.done("request.returned", 1)
    world.case.agent.suspended_from = START
    world.case.agent.quota_left = 0
    assert filed(world, 2) == ["agent_suspended", "quota_exhausted"]
    world.done("request.corrected", 1)
    world.done("request.accepted", 1)


@pytest.mark.parametrize("companion", ["minor", "ended", "self"])
def test_a_companion_is_a_live_grown_up_member(companion):
    child = {"born": date(2015, 1, 1), "companion": 1}
    world = World(heads=3).open({"born": date(2014, 1, 1), "companion": 3} if companion == "minor" else {}, child, {})
    if companion == "minor":
        world.member(1).companion = world.member(3).id
        world.done("request.submitted", 3)
        world.done("request.submitted", 1)
    elif companion == "ended":
        world.done("request.cancelled", 1)
    else:
        world.member(2).companion = world.member(2).id
    assert filed(world, 2) == ["minor_without_companion"]


def test_the_agent_may_not_file_more_than_its_quota():
    world = World(heads=2).open()
    world.case.agent.quota_left = 1
    world.done("request.submitted", 1)
    assert filed(world, 2) == ["quota_exhausted"]


def test_a_group_takes_no_more_than_it_was_opened_for():
    world = World(heads=1).open()
    world.add(2)
    assert world.conflict("request.drafted", 2) == "group_full"
    world.done("request.cancelled", 1)
    world = World(heads=2).to("ACCEPTED")
    world.add(3)
    assert world.conflict("request.drafted", 3) == "group_closed"


def test_age_by_what_is_known_of_the_birth_date():
    person = pilgrim(1).person
    cases = [
        ("day", date(2008, 1, 25), ARRIVES, False), ("day", date(2008, 1, 26), ARRIVES, True),
        ("month", date(2008, 1, 1), ARRIVES, True), ("month", date(2007, 12, 1), ARRIVES, False),
        ("year", date(2008, 1, 1), ARRIVES, True), ("year", date(2007, 1, 1), ARRIVES, False),
        ("day", date(2008, 2, 29), date(2026, 2, 28), False), ("day", date(2008, 2, 29), date(2026, 2, 27), True),
    ]  # fmt: skip
    for known, born, on, minor in cases:
        person.birth_known, person.birth_date = known, born
        assert is_minor(person, on, SEASON) is minor, (known, born, on)
    assert months_after(date(2025, 8, 31), 6) == date(2026, 2, 28)
    assert months_after(date(2025, 12, 1), 1) == date(2026, 1, 1)


# -- the programme -----------------------------------------------------------------------------------------------------


def lacks(plan, heads=2, season=SEASON):
    return check_programme(plan, heads, season)


def test_a_complete_programme_lacks_nothing():
    assert lacks(programme(2)) == []


def test_arrival_and_departure_must_follow_each_other():
    plan = programme(2)
    plan.departure.on = ARRIVES - DAY
    assert lacks(plan) == [("programme_dates", None)]


def test_every_night_is_housed_once():
    plan = programme(2)
    del plan.housing[1]
    assert ("night_uncovered", None) in lacks(plan)
    plan = programme(2)
    plan.housing[1].check_in += DAY
    assert lacks(plan) == [("night_uncovered", None)]
    plan = programme(2)
    plan.housing[1].check_in -= DAY
    assert lacks(plan) == [("night_overlap", "H2")]
    plan = programme(2)
    plan.housing[0].heads = 1
    assert lacks(plan) == [("night_uncovered", None)]
    plan = programme(2)
    plan.housing = []
    plan.transport = plan.transport[:0]
    assert lacks(plan) == [("night_uncovered", None), ("leg_missing", None)]


def test_two_houses_may_share_a_group_out():
    plan = programme(2)
    plan.housing[0].heads = 1
    other = programme(2).housing[0]
    other.line, other.heads = "H3", 1
    plan.housing.append(other)
    assert lacks(plan) == []


def test_houses_lie_inside_the_stay():
    plan = programme(2)
    plan.housing[1].check_out += DAY
    assert lacks(plan) == [("housing_dates", "H2")]
    plan = programme(2)
    plan.housing[0].check_in, plan.housing[0].check_out = plan.housing[0].check_out, plan.housing[0].check_in
    assert ("housing_dates", "H1") in lacks(plan)


def test_houses_are_licensed():
    plan = programme(2)
    plan.housing[1].licence = "?"
    assert lacks(plan) == [("housing_unlicensed", "H2")]


def test_legs_join_port_house_house_and_port():
    plan = programme(2)
    del plan.transport[0]
    assert lacks(plan) == [("leg_missing", None)]
    plan = programme(2)
    del plan.transport[1]
    assert lacks(plan) == [("leg_missing", None)]
    plan = programme(2)
    plan.departure.port = "JED"
    assert lacks(plan) == [("leg_missing", None)], "back to Jeddah"
    plan.departure.port = "RUH"
    assert lacks(plan) == [], "a port in no city of the pilgrimage needs no leg"
    plan.arrival.port = "RUH"
    assert lacks(plan) == [], "but may have one"
    plan.transport = plan.transport[1:]
    assert lacks(plan) == []
    plan.housing, plan.transport = [], []
    assert lacks(plan) == [("night_uncovered", None)]


def test_a_detour_joins_too():
    plan = programme(2)
    there, back = programme(2).transport
    there.line, there.origin, there.destination, there.departs_on = "T3", "makkah", "taif", ARRIVES + DAY
    back.line, back.origin, back.destination, back.departs_on = "T4", "taif", "makkah", ARRIVES + 2 * DAY
    plan.transport += [there, back]
    assert lacks(plan) == []
    back.destination = "jeddah"
    assert lacks(plan) == [("leg_missing", None)]


def test_two_vehicles_are_one_leg():
    plan = programme(2)
    plan.transport[0].seats = 1
    assert lacks(plan) == [("seats_short", "T1")]
    other = programme(2).transport[0]
    other.line, other.seats = "T3", 1
    plan.transport.append(other)
    assert lacks(plan) == []


def test_legs_lie_inside_the_stay():
    plan = programme(2)
    plan.transport[0].departs_on = ARRIVES - DAY
    assert lacks(plan) == [("leg_dates", "T1")]


def test_the_insurance_covers_every_day():
    for change in ({"starts_on": ARRIVES + DAY}, {"ends_on": LEAVES - DAY}):
        plan = programme(2)
        for name, value in change.items():
            setattr(plan.insurance, name, value)
        assert lacks(plan) == [("insurance_missing", None)]
    plan = programme(2)
    plan.insurance = None
    assert lacks(plan) == [("insurance_missing", None)]


def test_somebody_receives_the_group():
    plan = programme(2)
    plan.services[0].kind = "zamzam"
    assert lacks(plan) == [("ground_service_missing", None)]


def test_there_is_a_ticket_in_and_one_out():
    plan = programme(2)
    plan.arrival.ticket = plan.departure.ticket = None
    assert lacks(plan) == [("ticket_missing", "arrival"), ("ticket_missing", "departure")]


def test_the_programme_lies_in_the_season():
    assert lacks(programme(2, date(2026, 4, 3))) == []
    assert lacks(programme(2, date(2026, 4, 4))) == [("season_closed", None)]
    plan = programme(2, date(2026, 4, 3))
    plan.departure.on = plan.housing[1].check_out = date(2026, 5, 3)
    assert lacks(plan) == [("season_closed", None)]
    plan = programme(2, date(2026, 1, 1))
    plan.departure.on = plan.housing[1].check_out = plan.insurance.ends_on = date(2026, 1, 1) + 91 * DAY
    assert lacks(plan) == [("stay_too_long", None)]


def test_a_group_without_a_complete_programme_is_not_opened():
    plan = programme(1)
    plan.insurance, plan.housing[1].licence, plan.arrival.ticket = None, "?", None
    world = World(plan=plan)
    result = world.tell("group.opened")
    assert isinstance(result, Conflict)
    assert [(f.code, dict(f.where)) for f in result.faults] == [
        ("housing_unlicensed", {"line": "H2"}), ("insurance_missing", {}), ("ticket_missing", {"line": "arrival"}),
    ]  # fmt: skip
    assert world.case.state == "NEW"


@pytest.mark.parametrize(
    ("arrives", "codes"),
    [
        (date(2026, 1, 4), ["arrival_past"]),  # the world begins on the 5th
        (date(2026, 1, 5), []),
        (date(2025, 6, 12), ["arrival_past"]),  # season 1447 has begun
        (date(2025, 6, 10), ["arrival_past", "season_wrong"]),
        (date(2026, 6, 12), ["season_closed", "season_wrong"]),
        (date(2100, 2, 1), ["season_closed", "hijri_range"]),
    ],
)
def test_the_arrival_lies_ahead_and_in_the_season_filed_for(arrives, codes):
    result = World(plan=programme(1, arrives)).tell("group.opened")
    assert [fault.code for fault in getattr(result, "faults", ())] == codes
    assert isinstance(result, Conflict if codes else Applied)


def test_every_code_is_in_the_catalogue():
    told: set[str] = set()
    for module in Path(hub.journey.__file__).parent.glob("*.py"):
        source = module.read_text("utf-8")
        told |= set(re.findall(r'(?:Conflict|TooEarly|Fault|HubError)\("([a-z_]+)"', source))
        told |= set(re.findall(r'yield "([a-z_]+)"', source))
        told |= set(re.findall(r'"([a-z]+_differs|[a-z_]+_missing|[a-z]+_dates)"', source))
    assert len(told) > 40
    assert told <= catalogue().keys(), told - catalogue().keys()


def test_prices_are_shares_of_the_group():
    world = World(heads=3)
    world.case.programme.insurance.price = Decimal("100.00")
    world.to("SUBMITTED")
    world.done("request.refused", 1)
    world.done("request.accepted", 2)
    world.done("request.accepted", 3)
    for line in ("H1", "H2"):
        world.done("housing.confirmed", line=line, brn=line)
    for line in ("T1", "T2"):
        world.done("transport.confirmed", line=line, brn=line)
    lines = {line.kind: line.amount for line in world.case.voucher.lines}
    assert lines["insurance"] == Decimal("66.67")
    assert timedelta(0) < world.case.voucher.due - world.now


def test_what_is_told_from_the_future_is_a_persons_case():
    world = World().to("VISA_ISSUED")
    request = next(iter(world.case.members))
    for ahead, state in ((2 * DAY, "VISA_ISSUED"), (HOUR, "INSIDE")):
        event = Event(name="pilgrim.entered", group=GROUP, request=request, happened=world.now + ahead)
        result = apply(world.case, event, world.rules, world.now)
        if isinstance(result, Applied):
            evolve(world.case, result)
        else:
            assert isinstance(result, Conflict) and result.code == "fact_future"
        assert world.state() == state
