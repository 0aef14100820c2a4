import json
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from hub.canonical.countries import STATES
from hub.canonical.declare import faults
from hub.canonical.messages.desk import GroupFiling
from hub.canonical.mrz import disagreements
from hub.canonical.schema import loads_strict, schema_for
from hub.demo.programmes import PORTS
from hub.demo.season import FATES, FIRST, FIRST_ARRIVAL, MISTAKES, START, YEAR, Season, corrected
from hub.journey import Rules, check_programme
from hub.settings import load
from hub.simulate import FATES as PLAYED
from hub.simulate import PAYS

Make = Callable[..., Season]
SIZES = (1, 2, 7, 12, 40, 200, 600)


def as_text(season: Season) -> str:
    return json.dumps([season.plan(), [group.body() for group in season.groups]])


def test_the_same_seed_makes_the_same_season_and_another_seed_another(season: Make) -> None:
    assert as_text(season(60, 7)) == as_text(season(60, 7))
    assert as_text(season(60, 7)) != as_text(season(60, 8))


@pytest.mark.parametrize("pilgrims", SIZES)
def test_a_season_has_exactly_its_pilgrims_in_groups_of_1_to_50(season: Make, pilgrims: int) -> None:
    made = season(pilgrims)
    sizes = [len(group.travellers) for group in made.groups]
    assert sum(sizes) == pilgrims
    assert min(sizes) >= 1 and max(sizes) <= 50
    assert all(group.filing.heads == len(group.travellers) for group in made.groups)
    assert len({who.key for _, _, who in made.travellers}) == pilgrims
    assert len({(group.office.id, group.ref) for group in made.groups}) == len(made.groups)


def test_coachloads_and_people_on_their_own_both_occur(season: Make) -> None:
    sizes = Counter(len(group.travellers) for group in season(200).groups)
    assert sizes[1] and sizes[50]


@pytest.mark.parametrize("seed", range(5))
def test_two_hundred_pilgrims_meet_every_kind_of_end_that_somebody_here_decides(season: Make, seed: int) -> None:
    made = season(200, seed)
    fates = Counter(who.fate for _, _, who in made.travellers)
    firsts = Counter(who.first for _, _, who in made.travellers)
    assert all(fates[fate] for fate in FATES)
    assert all(firsts[first] for first in FIRST)
    assert fates["normal"] >= 185
    assert any(group.payer == "never" for group in made.groups)
    # Refused by the company although a minor depends on them: the minor waits for a companion.
    assert any(who.first == "refuse" and who.minds for _, _, who in made.travellers)
    # Nobody is given two courses, and nobody else's course hangs on a rare one.
    rare = [who for _, _, who in made.travellers if who.fate != "normal"]
    assert all(who.first == "accept" and not who.minds and who.filing.companion is None for who in rare)


@pytest.mark.parametrize("pilgrims", SIZES)
def test_every_filing_is_one_that_the_api_takes(season: Make, pilgrims: int) -> None:
    schema = schema_for(GroupFiling)()
    for group in season(pilgrims).groups:
        loaded = schema.load(loads_strict(json.dumps(group.body()).encode(), limit=4_000_000))
        assert not list(faults(loaded))
        assert len(loaded.members) == group.filing.heads


@pytest.mark.parametrize("seed", range(3))
def test_every_programme_is_complete(season: Make, seed: int) -> None:
    rules = Rules.load(load(None, {}).rules).at(START, YEAR)
    for group in season(400, seed).groups:
        assert check_programme(group.filing.programme, group.filing.heads, rules) == []


def test_arrivals_leave_time_for_all_that_comes_before(season: Make) -> None:
    for group in season(400).groups:
        arrives, leaves = group.filing.programme.arrival.on, group.filing.programme.departure.on
        assert START.date() + FIRST_ARRIVAL <= arrives < START.date() + FIRST_ARRIVAL + timedelta(days=4)
        assert timedelta(days=4) <= leaves - arrives <= timedelta(days=7)


def test_documents_agree_with_their_machine_readable_zones_and_outlive_the_stay(season: Make) -> None:
    for group, _, who in season(400).travellers:
        person, document = who.filing.person, who.filing.document
        assert document.mrz is not None and not disagreements(document.mrz, person, document)
        assert {person.nationality, person.residence, document.issuing_state} <= STATES
        assert document.expires_on > group.filing.programme.arrival.on + timedelta(days=183)


def test_minors_come_with_a_grown_up_of_their_own_group(season: Make) -> None:
    minors = 0
    for group in season(400).groups:
        adults = {
            who.filing.document.number: who for who in group.travellers if _age(who.filing.person.birth_date) >= 18
        }
        for who in group.travellers:
            if _age(who.filing.person.birth_date) < 18:
                minors += 1
                assert who.filing.companion is not None
                assert who.filing.companion.number in adults
    assert minors > 20


def _age(born: date) -> float:
    return (START.date() + FIRST_ARRIVAL - born).days / 365.25


def test_names_come_in_all_shapes_and_scripts(season: Make) -> None:
    names = [who.filing.person for _, _, who in season(600).travellers]
    assert any(p.name.given is None for p in names), "somebody with a single name"
    assert any(p.name.father and p.name.grandfather for p in names), "somebody with a name of four parts"
    assert all(p.name_ar and any("\u0600" <= c <= "\u06ff" for c in p.name_ar.family or "") for p in names)
    assert any(not p.name.family.isascii() for p in names), "somebody with letters beyond A-Z"
    assert len({p.nationality for p in names}) >= 10


def test_the_plan_is_one_that_the_simulators_can_play(season: Make) -> None:
    made = season(300)
    plan = made.plan()
    assert plan["travellers"].keys() == {who.key for _, _, who in made.travellers}
    for course in plan["travellers"].values():
        assert course["fate"] in PLAYED
        assert PORTS[course["port"]].post == course["post"]
        assert course["enters_at"] is not None
    assert all(payer["pays"] in PAYS for payer in plan["payers"].values())
    assert plan["payers"].keys() == {f"{group.office.id}/{group.ref}" for group in made.groups}


def test_each_mistake_spoils_the_filing_and_only_the_first_one(season: Make) -> None:
    made = season(200)
    assert {group.mistake for group in made.groups if group.mistake} == set(MISTAKES)
    for group in made.groups:
        if group.mistake:
            assert group.mistaken() != group.body()
            assert group.door == "api"


def test_about_one_group_in_seven_comes_by_roster_and_none_of_its_faults_hits_a_family(season: Make) -> None:
    groups = season(2000).groups
    by_file = [group for group in groups if group.door == "roster"]
    assert 0.12 < len(by_file) / len(groups) < 0.18
    assert {code for g in by_file for code in g.row_faults.values()} >= {"document_expired", "date_order_undeclared"}
    for group in by_file:
        assert all(not group.travellers[at].minds for at in group.row_faults)
        assert group.office.date_order is None or "date_order_undeclared" not in group.row_faults.values()


def test_a_correction_puts_right_what_was_filed_wrong_and_tells_more_each_time(season: Make) -> None:
    who = next(who for _, _, who in season(200).travellers if who.first == "return")
    assert who.as_filed()["person"]["profession"] == "unknown"
    assert corrected(who, 1)["person"]["profession"] == who.filing.person.profession
    assert corrected(who, 1) != corrected(who, 2)
