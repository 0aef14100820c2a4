"""The season's rules are data with dates: what holds when, and what a changed file changes."""

from datetime import UTC, date, datetime

import pytest
import yaml

from hub.canonical.errors import HubError
from hub.journey import Conflict, Rules
from hub.journey.graph import EDGES
from tests.journey.world import DAY, HOUR, RULES, RULES_FILE, START, World, arrival


def changed(tmp_path, *entries, **first):
    """The shipped rules, with *first* put into the first entry and *entries* after the last."""
    given = yaml.safe_load(RULES_FILE.read_text("utf-8"))
    given[0] |= first
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump([*given, *entries], sort_keys=False), encoding="utf-8")
    return file


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "number", "last_entry", "last_exit"),
    [
        (at(2025, 3, 1), 1446, date(2025, 4, 13), date(2025, 4, 29)),
        (at(2026, 1, 1), 1447, date(2026, 4, 3), date(2026, 5, 2)),
        (at(2026, 12, 1), 1448, date(2027, 3, 23), date(2027, 4, 22)),
    ],
)
def test_seasons_end_by_the_hijri_calendar(moment, number, last_entry, last_exit):
    season = RULES.at(moment)
    assert (season.number, season.last_entry, season.last_exit) == (number, last_entry, last_exit)


def test_a_season_begins_when_the_hajj_before_it_is_over():
    # 15 Dhul-Hijjah 1446 is 2025-06-11; its day begins in Riyadh three hours before UTC's.
    assert RULES.at(at(2025, 6, 10, 20, 59)).number == 1446
    assert RULES.at(at(2025, 6, 10, 21)).number == 1447
    assert RULES.at(at(2025, 6, 10, 20, 59)).fees["e_fee"] < RULES.at(at(2025, 6, 10, 21)).fees["e_fee"]


def test_a_group_keeps_the_season_that_it_was_opened_for():
    assert RULES.at(at(2026, 1, 1), 1448).last_entry == date(2027, 3, 23)
    assert RULES.at(at(2026, 1, 1), 1448) is RULES.at(at(2026, 1, 2), 1448)


def test_before_the_first_entry_the_first_holds():
    assert RULES.at(at(2020, 1, 1), 1441).stay_days == 90


@pytest.mark.parametrize(("issued", "days"), [(date(2025, 10, 31), 90), (date(2025, 11, 1), 30)])
def test_how_long_a_visa_may_be_used_changed_in_november_2025(issued, days):
    world = World().to("AT_MISSION")
    world.done("visa.issued", 1, at=at(2025, 11, 2), issued_on=issued)
    assert world.member().marks["enter_by"] == issued + days * DAY


@pytest.mark.parametrize(
    ("rule", "value", "stage", "code"),
    [
        ("passport_months", 72, "DRAFT", "document_expired"),
        ("minor_below", 60, "DRAFT", "minor_without_companion"),
        ("housing_confirmed_before", "submission", "DRAFT", "housing_unconfirmed"),
    ],
)
def test_a_guard_changes_on_its_date(tmp_path, rule, value, stage, code):
    turns = START + 2 * HOUR
    rules = dated(tmp_path, turns, {rule: value})
    for when, refused in ((turns - HOUR * 24, False), (turns + HOUR * 24, True)):
        world = World(rules=rules, now=when).to(stage)
        result = world.tell("request.submitted", 1)
        assert isinstance(result, Conflict) is refused
        if refused:
            assert result.code == code


def dated(tmp_path, turns, change):
    """The shipped rules, changed from the day of *turns* on."""
    given = yaml.safe_load(RULES_FILE.read_text("utf-8"))
    given = [entry for entry in given if entry["from"] != "1447-12-15H"]
    given.append({"from": turns.date(), **change})
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")
    return Rules.load(file)


def test_quota_may_be_lifted(tmp_path):
    rules = Rules.load(changed(tmp_path, quota=False))
    world = World(rules=rules).open()
    world.case.agent.quota_left = 0
    world.done("request.submitted", 1)


def test_a_house_confirmed_before_may_be_asked_for(tmp_path):
    rules = Rules.load(changed(tmp_path, housing_confirmed_before="submission"))
    world = World(rules=rules)
    for line in world.case.programme.housing:
        line.brn = f"B{line.line}"
    world.to("SUBMITTED")


@pytest.mark.parametrize(
    ("rule", "value", "days"),
    [("stay_days", 30, 30), ("last_exit", {"month": 9, "day": 1}, 24)],
)
def test_how_long_one_may_stay(tmp_path, rule, value, days):
    file = changed(tmp_path, **{rule: value})
    given = yaml.safe_load(file.read_text("utf-8"))
    given[1].pop("last_exit")
    file.write_text(yaml.safe_dump(given), encoding="utf-8")
    world = World(rules=Rules.load(file)).to("INSIDE")
    assert world.member().marks["stay_until"] == arrival().date() + days * DAY


@pytest.mark.parametrize(
    ("rule", "stage", "name", "ends"),
    [
        ("correction_days", "SUBMITTED", "request.returned", "CANCELLED"),
        ("correction_days", "SENT_FOR_REFERENCE", "reference.needs_data", "CANCELLED"),
        ("reference_days", "SENT_FOR_REFERENCE", "reference.issued", "REFERENCE_LAPSED"),
        ("enter_within_days", "AT_MISSION", "visa.issued", "VISA_LAPSED"),
        ("cancel_days", "AT_MISSION", "request.cancelled", "CANCELLED"),
    ],
)
def test_how_long_the_clock_waits(tmp_path, rule, stage, name, ends):
    entry = {"from": "1447-12-16H", rule: 99}
    file = changed(tmp_path, entry, **{rule: 2})
    if rule == "enter_within_days":
        given = [e for e in yaml.safe_load(file.read_text("utf-8")) if str(e["from"]) != "2025-11-01"]
        file.write_text(yaml.safe_dump(given), encoding="utf-8")
    world = World(rules=Rules.load(file)).to(stage)
    world.done(name, 1)
    waiting = world.state()
    world.tick(world.now + DAY)
    assert world.state() == waiting
    world.tick(world.now + 2 * DAY)
    assert world.state() == ends


def test_how_long_a_voucher_and_its_grace_last(tmp_path):
    world = World(rules=Rules.load(changed(tmp_path, voucher_days=3, voucher_grace_days=1))).to("INVOICED")
    assert world.case.voucher.expires_at == world.now + 3 * DAY
    world.tick(world.now + 3 * DAY)
    assert world.case.voucher.due == world.now + DAY


def test_how_long_a_dependant_waits(tmp_path):
    rules = Rules.load(changed(tmp_path, companion_days=1))
    world = World(heads=2, rules=rules).to("SUBMITTED", {}, {"born": date(2015, 1, 1), "companion": 1})
    world.done("request.cancelled", 1)
    assert world.member(2).due == world.now + DAY


def test_when_the_end_of_a_stay_is_warned_of(tmp_path):
    world = World(rules=Rules.load(changed(tmp_path, leaving_soon_days=10))).to("INSIDE")
    world.tick(arrival() + 81 * DAY)
    assert world.state() == "LEAVING_SOON"


def test_what_comes_back(tmp_path):
    refunds = {"paid": [], "sent": [], "visa": []}
    world = World(rules=Rules.load(changed(tmp_path, refunds=refunds))).to("SENT_FOR_REFERENCE")
    world.done("reference.refused", 1)
    assert "refund_due" not in world.case.voucher.marks
    assert world.case.marks["closed_on"]


@pytest.mark.parametrize(
    ("first", "rule"),
    [
        ({"stay_days": "90"}, "stay_days"),
        ({"stay_days": True}, "stay_days"),
        ({"stay_days": -1}, "stay_days"),
        ({"quota": "yes"}, "quota"),
        ({"housing_confirmed_before": "never"}, "housing_confirmed_before"),
        ({"services": ["massage"]}, "services"),
        ({"services": "reception"}, "services"),
        ({"licence": "("}, "licence"),
        ({"currency": "XXX"}, "currency"),
        ({"fees": {"visa_fee": 188.75}}, "fees"),
        ({"fees": {"visa_fee": "much"}}, "fees"),
        ({"fees": {"visa_fee": "NaN"}}, "fees"),
        ({"fees": {"tip": "1"}}, "fees"),
        ({"fees": 5}, "fees"),
        ({"refunds": {"paid": []}}, "refunds"),
        ({"ports": {"JED": "atlantis"}}, "ports"),
        ({"last_entry": {"month": 13, "day": 1}}, "last_entry"),
        ({"last_entry": {"month": 10, "day": 30}}, "last_entry"),
        ({"colour": "green"}, "colour"),
        ({"from": "soon"}, "from"),
        ({"from": "1447-13-01H"}, "from"),
        ({"from": "2025-12-01"}, "from"),
    ],
)
def test_a_rule_that_cannot_be_read_is_named(tmp_path, first, rule):
    with pytest.raises(HubError) as caught:
        Rules.load(changed(tmp_path, **first))
    assert caught.value.code == "rules_invalid"
    assert caught.value.where == {"file": "rules.yaml", "row": 1, "rule": rule}


def test_a_later_entry_is_named_by_its_number(tmp_path):
    for entry, rule in (({"from": date(2020, 1, 1)}, "from"), ({}, "from"), ({"from": "1450-01-01H", "x": 1}, "x")):
        with pytest.raises(HubError) as caught:
            Rules.load(changed(tmp_path, entry))
        assert caught.value.where == {"file": "rules.yaml", "row": 5, "rule": rule}


def test_the_first_entry_says_everything(tmp_path):
    given = yaml.safe_load(RULES_FILE.read_text("utf-8"))
    del given[0]["minor_below"]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(given), encoding="utf-8")
    with pytest.raises(HubError) as caught:
        Rules.load(file)
    assert caught.value.where["rule"] == "minor_below"


@pytest.mark.parametrize("text", ["", "a: 1", "[]", "- 5", "- {", "\x00"])
def test_a_file_that_is_no_list_of_rules(tmp_path, text):
    file = tmp_path / "rules.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(HubError) as caught:
        Rules.load(file)
    assert caught.value.code == "rules_unreadable"
    with pytest.raises(HubError):
        Rules.load(tmp_path / "none.yaml")


def test_every_edge_is_there_once():
    assert len(EDGES) == len({edge[:4] for edge in EDGES})
