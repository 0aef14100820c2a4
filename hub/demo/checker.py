"""Lost, doubled, unexplained: the season held against what the partners' own books say of it.

Three sources, none of which the hub writes: what the driver was acknowledged, what the simulators received and told
(counted from raw bytes), and what the hub answers at its public doors at the end.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from hub.demo.season import ENDS, Group, Season, Traveller

Kind = Literal["lost", "doubled", "unexplained"]


class Finding(NamedTuple):
    """One thing that is wrong.  ``where`` names a group and a place in it, a partner or a file; never a person."""

    kind: Kind
    what: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the driver knows at the end.

    ``filed``: (group's ref, place) -> request id, as acknowledged; ``groups``: group's ref -> the hub's last answer
    about it; ``now``: the hub's figures; ``rosters``: file -> rows received, accepted, rejected as given back;
    ``stay_at_home``: travellers' keys that the agents gave up; ``stuck``: why the season ended before its end.
    """

    filed: Mapping[tuple[str, int], str]
    groups: Mapping[str, Mapping[str, Any]]
    now: Mapping[str, Any]
    rosters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    stay_at_home: frozenset[str] = frozenset()
    stuck: str | None = None


#: Files that the simulators break on purpose, and what the hub calls each of them.
_BAD_FILES = {
    "truncated": ("file_truncated", "file_totals"),
    "wrong_totals": ("file_totals",),
    "duplicate": ("file_repeated", "file_sequence_repeated"),
}
#: Incidents that follow from suspense: one a line that matches nothing.
_SUSPENSE = ("suspense", "unknown_bill", "unknown_person", "unmatched")
#: What the hub tells an operator of people who overstay: the plan has some.
_OVERSTAYS = ("overstay", "agent_overstays", "company_overstays")


def check(season: Season, told: Mapping[str, Any], known: Known) -> list[Finding]:
    """Everything that is wrong, *told* being the simulators' books (``hub.simulate.ledger_check.count``)."""
    return [*_requests(season, told, known), *_money(told, known), *_rosters(season, known), *_open(told, known)]


def _requests(season: Season, told: Mapping[str, Any], known: Known) -> Iterator[Finding]:
    states = {request["id"]: request["state"] for answer in known.groups.values() for request in answer["requests"]}
    for group in season.groups:
        answer = known.groups.get(group.ref)
        if answer is None:
            yield Finding("lost", "the hub does not know the group", group.ref)
            continue
        numbers = Counter(request["request_no"] for request in answer["requests"])
        for number in (number for number, times in numbers.items() if times > 1):
            yield Finding("doubled", f"request number {number} was given twice", group.ref)
        if (extra := len(answer["requests"]) - len(group.travellers)) > 0:
            yield Finding("doubled", f"{extra} requests more than pilgrims", group.ref)
    for group, at, who in season.travellers:
        where = f"{group.ref} {at}"
        request = known.filed.get((group.ref, at))
        if request is None:
            yield Finding("unexplained", "was never filed", where)
        elif (state := states.get(request)) is None:
            yield Finding("lost", "acknowledged, and the hub does not know it", where)
        else:
            yield from _one(group, who, state, told["travellers"].get(who.key, {}), known, where)
    for double in told["doubled"]:
        yield Finding("doubled", f"{double['operation']} took effect {len(double['keys'])} times", double["partner"])
    references = Counter(f["reference_no"] for f in told["travellers"].values() if f["reference_no"])
    for _ in (number for number, times in references.items() if times > 1):
        yield Finding("doubled", "one reference number for two pilgrims", "mofa_visa")


def _one(
    group: Group, who: Traveller, state: str, facts: Mapping[str, Any], known: Known, where: str
) -> Iterator[Finding]:
    """One pilgrim: did everything that the partners told arrive, and did they get what they had to?"""
    if state not in ENDS:
        yield Finding("unexplained", f"is still {state}", where)
        return
    asked, reference, visa = facts.get("applications", 0), facts.get("reference"), facts.get("visa")
    movements: Sequence[str] = facts.get("movements", ())
    if asked and (who.first in ("refuse", "cancel") or group.payer == "never"):
        yield Finding("doubled", "the Ministry was asked for somebody who was not paid for", where)
    expected = _ends(group, who, reference, visa, movements, who.key in known.stay_at_home)
    if state in expected:
        return
    if not asked and expected == {"PAID"}:
        yield Finding("lost", f"paid for, the Ministry was never asked, and now {state}", where)
    else:
        yield Finding("lost", f"the partners' books say {'/'.join(sorted(expected))}, the hub says {state}", where)


def _ends(
    group: Group, who: Traveller, reference: str | None, visa: str | None, movements: Sequence[str], at_home: bool
) -> set[str]:
    """The states in which a request may have ended, by what everybody but the hub did."""
    if who.first == "refuse":
        return {"REFUSED_BY_COMPANY"}
    if who.first == "cancel":
        return {"CANCELLED"}
    if group.payer == "never":
        return {"CANCELLED"} if at_home else {"INVOICE_EXPIRED"}
    if "turned_back" in movements:
        return {"ENTRY_REFUSED"}
    if "deported" in movements:
        return {"DEPORTED"}
    if "exited" in movements:
        return {"EXITED_LATE"} if who.fate == "overstays_exits_late" else {"EXITED"}
    if "entered" in movements:
        return {"DECEASED"}
    if reference == "refused":
        return {"REFERENCE_REFUSED"}
    if visa == "refused":
        return {"CANCELLED", "VISA_REFUSED"} if at_home else {"VISA_REFUSED"}
    if at_home:
        return {"CANCELLED"}
    if visa == "printed":
        return {"VISA_LAPSED"}
    # Neither refused nor printed and yet at an end: something on the way was not told, or not heard.
    return {"PAID"} if reference is None else {"REFERENCE_ISSUED"}


def _money(told: Mapping[str, Any], known: Known) -> Iterator[Finding]:
    """Bill by bill: what the banks took for a voucher, less what they took back, is what the hub has counted for it."""
    vouchers = {
        answer["voucher"]["bill_no"]: (ref, answer["voucher"])
        for ref, answer in known.groups.items()
        if answer.get("voucher")
    }
    bills = told["bills"]
    for bill_no, bill in bills.items():
        held = Decimal(bill["paid"]) - Decimal(bill["reversed"])
        ref, voucher = vouchers.get(bill_no, (bill["payer"], None))
        if voucher is None:
            yield Finding("lost", "a bill is registered that no group of the hub has", ref)
        elif held != (counted := Decimal(voucher["paid"])):
            kind: Kind = "lost" if counted < held else "doubled"
            yield Finding(kind, f"the bank took {held} {bill['currency']}, the hub counts {counted}", ref)
    for bill_no, (ref, voucher) in vouchers.items():
        if bill_no not in bills and Decimal(voucher["paid"]):
            yield Finding("doubled", f"the hub counts {voucher['paid']} that no bank has taken", ref)


def _rosters(season: Season, known: Known) -> Iterator[Finding]:
    for name, rows in known.rosters.items():
        if rows["accepted"] + rows["rejected"] != rows["received"]:
            yield Finding("lost", f"{rows['received']} rows, {rows['accepted'] + rows['rejected']} given back", name)
    given_back = {name.rpartition("-")[0] for name in known.rosters}
    for group in season.groups:
        if group.door == "roster" and group.ref not in given_back:
            yield Finding("lost", "the roster was never given back", group.ref)


def _open(told: Mapping[str, Any], known: Known) -> Iterator[Finding]:
    """What lies before a person at the end, less what the simulators put there on purpose."""
    if known.stuck is not None:
        yield Finding("unexplained", known.stuck, "the season")
    for partner, counts in known.now.get("exchanges", {}).items():
        for state in ("waiting", "leased", "sending", "in_doubt", "held", "parked", "dead"):
            if counts.get(state):
                yield Finding("unexplained", f"{counts[state]} exchanges {state}", partner)
    planned = len(told["suspense"])
    if (suspense := known.now.get("suspense", 0)) != planned:
        kind: Kind = "lost" if suspense < planned else "unexplained"
        yield Finding(kind, f"{suspense} in suspense, {planned} were sent to belong to nobody", "suspense")
    for call in told["rejected"]:
        yield Finding("unexplained", f"{call['operation']} {call['number']} was turned down: {call['status']}",
                      call["partner"])  # fmt: skip
    excused: Counter[str] = Counter()
    for file in told["bad_files"]:
        excused.update(_BAD_FILES[file["kind"]])
    for incident in known.now.get("incidents", ()):
        code = incident["code"]
        allowed = planned if code in _SUSPENSE else excused.get(code, 0)
        if incident["n"] > allowed and code not in _OVERSTAYS:
            yield Finding("unexplained", f"{incident['n']} incidents {code}, {allowed} of them planned", "incidents")
