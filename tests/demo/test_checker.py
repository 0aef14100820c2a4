"""The checker is shown a season that went well, and then every loss and every doubling planted in it, one at a time."""

import copy
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from hub.demo.checker import Finding, Known, check
from hub.demo.season import Group, Season, Traveller

Make = Callable[..., Season]
ENDS = {
    "never_travels": ("VISA_LAPSED", []),
    "turned_back": ("ENTRY_REFUSED", ["expected", "turned_back"]),
    "deceased": ("DECEASED", ["expected", "entered"]),
    "overstays_exits_late": ("EXITED_LATE", ["expected", "entered", "exited"]),
    "overstays_reported_deported": ("DEPORTED", ["expected", "entered", "deported"]),
}


class World:
    """A season that went well: what the partners' books hold and what the hub answers, both to be spoilt."""

    def __init__(self, season: Season) -> None:
        self.season = season
        self.filed: dict[tuple[str, int], str] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.told: dict[str, Any] = {
            "doubled": [], "rejected": [], "suspense": [], "bad_files": [], "bills": {}, "travellers": {},
        }  # fmt: skip
        self.now: dict[str, Any] = {"states": {}, "exchanges": {"mofa_visa": {"settled": 3, "dead": 0}},
                                    "suspense": 0, "incidents": []}  # fmt: skip
        self.rosters: dict[str, dict[str, int]] = {}
        for number, group in enumerate(season.groups):
            self._play(number, group)

    def _play(self, number: int, group: Group) -> None:
        requests = []
        for at, who in enumerate(group.travellers):
            request = self.filed[group.ref, at] = f"{group.ref}/{at}"
            state, facts = self._end(group, who, f"{number:05d}{at:05d}")
            requests.append({"id": request, "request_no": f"{number:06d}{at:06d}0", "state": state})
            if facts is not None:
                self.told["travellers"][who.key] = facts
        bill_no, amount = f"9{number:012d}", str(Decimal(100) * len(group.travellers))
        paid = "0.00" if group.payer == "never" else amount
        self.groups[group.ref] = {"requests": requests, "voucher": {"bill_no": bill_no, "paid": paid}}
        self.told["bills"][bill_no] = {
            "payer": f"{group.office.id}/{group.ref}", "currency": "SAR", "amount": amount, "paid": paid,
            "reversed": "0.00", "settled": paid, "refunded": "0.00", "payments": 1,
        }  # fmt: skip
        if group.door == "roster":
            rows = len(group.travellers)
            self.rosters[f"{group.ref}-1.csv"] = {"received": rows, "accepted": rows - 1, "rejected": 1}

    def _end(self, group: Group, who: Traveller, number: str) -> tuple[str, dict[str, Any] | None]:
        if who.first in ("refuse", "cancel"):
            return {"refuse": "REFUSED_BY_COMPANY", "cancel": "CANCELLED"}[who.first], None
        if group.payer == "never":
            return "INVOICE_EXPIRED", None
        state, movements = ENDS.get(who.fate, ("EXITED", ["expected", "entered", "exited"]))
        return state, {
            "applications": 1, "reference": "issued", "reference_no": number, "visa": "printed", "visa_no": number,
            "movements": movements, "stays": 4,
        }  # fmt: skip

    def check(self) -> list[Finding]:
        return check(
            self.season, self.told, Known(filed=self.filed, groups=self.groups, now=self.now, rosters=self.rosters)
        )

    def one(self, **wanted: str) -> tuple[Group, int, Traveller]:
        """Somebody who is as wanted."""
        return next(
            (group, at, who)
            for group, at, who in self.season.travellers
            if all(getattr(who, name) == value for name, value in wanted.items()) and group.payer != "never"
        )

    def facts(self, who: Traveller) -> dict[str, Any]:
        facts: dict[str, Any] = self.told["travellers"][who.key]
        return facts

    def request(self, group: Group, at: int) -> dict[str, Any]:
        request: dict[str, Any] = self.groups[group.ref]["requests"][at]
        return request


@pytest.fixture
def world(season: Make) -> World:
    return World(season(200))


def kinds(findings: list[Finding]) -> list[str]:
    return [finding.kind for finding in findings]


def test_a_season_that_went_well_has_nothing_to_find(world: World) -> None:
    assert world.check() == []


def test_a_request_that_was_acknowledged_and_is_gone_is_lost(world: World) -> None:
    group, at, _ = world.one(fate="normal", first="accept")
    del world.groups[group.ref]["requests"][at]
    assert kinds(world.check()) == ["lost"]


def test_a_group_that_was_acknowledged_and_is_gone_is_lost_with_everybody_in_it(world: World) -> None:
    group, _, _ = world.one(fate="normal", first="accept")
    del world.groups[group.ref]
    found = kinds(world.check())
    assert set(found) == {"lost"} and len(found) >= 1 + len(group.travellers)


def test_a_paid_pilgrim_for_whom_the_ministry_was_never_asked_is_lost(world: World) -> None:
    group, at, who = world.one(fate="normal", first="accept")
    del world.told["travellers"][who.key]
    world.request(group, at)["state"] = "CANCELLED"
    assert kinds(world.check()) == ["lost"]


def test_a_reference_that_never_reached_the_request_shows_in_its_end(world: World) -> None:
    group, at, who = world.one(fate="normal", first="accept")
    world.facts(who).update(visa=None, movements=[])
    world.request(group, at)["state"] = "REFERENCE_REFUSED"
    assert kinds(world.check()) == ["lost"]


@pytest.mark.parametrize("movements", [["entered"], ["entered", "exited"], ["turned_back"], ["entered", "deported"]])
def test_a_movement_that_was_told_and_not_taken_in_is_lost(world: World, movements: list[str]) -> None:
    _, _, who = world.one(fate="never_travels")
    world.facts(who)["movements"] = movements
    assert kinds(world.check()) == ["lost"]


def test_a_refusal_of_the_mission_that_was_not_taken_in_is_lost(world: World) -> None:
    _, _, who = world.one(fate="normal", first="accept")
    world.facts(who).update(visa="refused", movements=[])
    assert kinds(world.check()) == ["lost"]


def test_an_application_that_took_effect_twice_is_doubled(world: World) -> None:
    world.told["doubled"].append(
        {"partner": "mofa_visa", "operation": "request_reference", "effect": "f", "keys": ["a", "b"]}
    )
    assert kinds(world.check()) == ["doubled"]


def test_one_reference_for_two_pilgrims_is_doubled(world: World) -> None:
    (_, _, one), (_, _, other) = [w for w in world.season.travellers if w[2].key in world.told["travellers"]][:2]
    world.facts(one)["reference_no"] = world.facts(other)["reference_no"]
    assert kinds(world.check()) == ["doubled"]


def test_asking_for_somebody_who_was_refused_or_not_paid_for_is_doubled(world: World) -> None:
    _, _, who = world.one(first="refuse")
    world.told["travellers"][who.key] = {
        "applications": 1, "reference": "issued", "reference_no": "77", "visa": None, "movements": [],
    }  # fmt: skip
    assert kinds(world.check()) == ["doubled"]


def test_a_request_too_many_in_a_group_is_doubled(world: World) -> None:
    group, at, _ = world.one(fate="normal", first="accept")
    twin = copy.deepcopy(world.request(group, at))
    world.groups[group.ref]["requests"].append(twin | {"id": "another", "request_no": "0000009999999"})
    assert kinds(world.check()) == ["doubled"]
    twin["request_no"] = world.request(group, at)["request_no"]
    world.groups[group.ref]["requests"][-1] = twin | {"id": "another"}
    assert kinds(world.check()) == ["doubled", "doubled"]


@pytest.mark.parametrize(("counted", "kind"), [("-0.01", "lost"), ("0.01", "doubled")])
def test_money_is_the_same_on_both_sides_to_the_last_halala(world: World, counted: str, kind: str) -> None:
    group, _, _ = world.one(fate="normal", first="accept")
    voucher = world.groups[group.ref]["voucher"]
    voucher["paid"] = str(Decimal(voucher["paid"]) + Decimal(counted))
    assert kinds(world.check()) == [kind]


def test_money_that_a_bank_took_back_is_no_longer_counted(world: World) -> None:
    group, _, _ = world.one(fate="normal", first="accept")
    voucher = world.groups[group.ref]["voucher"]
    bill = world.told["bills"][voucher["bill_no"]]
    bill.update(paid=str(Decimal(bill["paid"]) * 2), reversed=bill["paid"])
    assert world.check() == []


def test_a_bill_that_no_group_has_is_lost_and_money_that_no_bank_has_is_doubled(world: World) -> None:
    group, _, _ = world.one(fate="normal", first="accept")
    world.groups[group.ref]["voucher"]["bill_no"] = "9999999999999"
    assert sorted(kinds(world.check())) == ["doubled", "lost"]


def test_a_roster_with_fewer_rows_given_back_than_received_is_lost(world: World) -> None:
    name = next(iter(world.rosters))
    world.rosters[name]["accepted"] -= 1
    assert kinds(world.check()) == ["lost"]
    del world.rosters[name]
    assert kinds(world.check()) == ["lost"]


def test_a_request_that_has_not_ended_is_unexplained(world: World) -> None:
    group, at, _ = world.one(fate="normal", first="accept")
    world.request(group, at)["state"] = "INSIDE"
    assert kinds(world.check()) == ["unexplained"]


@pytest.mark.parametrize("state", ["waiting", "leased", "sending", "in_doubt", "held", "parked", "dead"])
def test_an_exchange_that_is_not_settled_is_unexplained(world: World, state: str) -> None:
    world.now["exchanges"]["mofa_visa"][state] = 1
    assert kinds(world.check()) == ["unexplained"]


def test_suspense_is_as_much_as_was_sent_to_belong_to_nobody(world: World) -> None:
    world.told["suspense"] = [{"partner": "bank", "operation": "payment_notice", "number": "1", "kind": "unknown_bill"}]
    assert kinds(world.check()) == ["lost"], "what belongs to nobody must lie before a person, not vanish"
    world.now["suspense"] = 1
    assert world.check() == []
    world.now["suspense"] = 2
    assert kinds(world.check()) == ["unexplained"]


def test_incidents_are_explained_by_files_that_were_broken_on_purpose_and_by_nothing_else(world: World) -> None:
    world.now["incidents"] = [{"code": "file_totals", "n": 1}]
    assert kinds(world.check()) == ["unexplained"]
    broken: Mapping[str, str] = {
        "partner": "bank", "operation": "receive_settlement", "name": "S", "kind": "wrong_totals"
    }  # fmt: skip
    world.told["bad_files"] = [broken]
    assert world.check() == []
    world.now["incidents"] = [{"code": "file_totals", "n": 2}]
    assert kinds(world.check()) == ["unexplained"]
    world.now["incidents"] = [{"code": "internal", "n": 1}]
    assert kinds(world.check()) == ["unexplained"]


def test_a_call_that_the_hub_turned_down_for_good_is_unexplained(world: World) -> None:
    world.told["rejected"] = [{"partner": "bank", "operation": "payment_notice", "number": "1", "status": 422}]
    assert kinds(world.check()) == ["unexplained"]


def test_a_season_that_could_not_go_on_is_unexplained(world: World) -> None:
    known = Known(filed=world.filed, groups=world.groups, now=world.now, rosters=world.rosters, stuck="no answer")
    assert kinds(check(world.season, world.told, known)) == ["unexplained"]
