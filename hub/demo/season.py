"""A season made from a seed: who files whom, what everybody will do, and who pays how.

What the desks decide (agents, companies, the health authority) is kept here for the driver; what only the world knows
(who boards, who overstays, how a bill is paid) goes into ``plan.json`` for the simulators, who learn it nowhere else.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from hub.canonical.messages.desk import Filing, GroupFiling
from hub.canonical.schema import dump
from hub.demo.people import People
from hub.demo.programmes import PORTS, Market

#: The season of the demonstration: 1448 AH, and the business moment at which it begins.
YEAR = 1448
START = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)
FIRST_ARRIVAL = timedelta(days=20)
ARRIVAL_DAYS = 4
STAY_LIMIT = timedelta(days=90)

#: Where a request ends.  Told anew here: what checks the hub must not believe the hub's own list.
ENDS = frozenset((
    "REFUSED_BY_COMPANY", "REFERENCE_REFUSED", "VISA_REFUSED", "VISA_LAPSED", "REFERENCE_LAPSED", "INVOICE_EXPIRED",
    "ENTRY_REFUSED", "EXITED", "EXITED_LATE", "DEPORTED", "DECEASED", "CANCELLED",
))  # fmt: skip
#: What a pilgrim's journey comes to outside the desks.
FATES = (
    "never_travels", "turned_back", "deceased", "overstays_exits_late", "overstays_reported_deported",
    "no_show_then_enters", "late_exit_file",
)  # fmt: skip
#: What the desks do with a request first, where it is not simply accepted.
FIRST = ("refuse", "cancel", "return")
_PAYERS = (("full", 66), ("parts", 12), ("twice", 10), ("over", 8), ("reversed", 4))


class Office(NamedTuple):
    """An agent as the season needs it: where it is, the company it works with, the date order of its files."""

    id: str
    country: str
    company: str
    date_order: str | None = None


@dataclass(slots=True)
class Traveller:
    """One pilgrim: as truly is (``filing``), as first filed where that was wrong, and what will come of it."""

    filing: Filing
    fate: str = "normal"
    first: str = "accept"
    minds: int = 0  # how many minors of the group have this traveller as companion

    @property
    def key(self) -> str:
        """Issuing state and document number: how a traveller is known everywhere."""
        return self.filing.document.issuing_state + self.filing.document.number

    def as_filed(self) -> dict[str, Any]:
        """The filing as it is sent first: one that will be returned lacks what the company asks for."""
        plain = bare(self.filing)
        if self.first == "return":
            plain["person"] |= {"profession": "unknown", "birth_place": "unknown"}
        return plain


@dataclass(slots=True)
class Group:
    """One group as its agent will file it: by API, or opened empty and filled by a roster file."""

    ref: str
    office: Office
    filing: GroupFiling
    travellers: list[Traveller]
    door: str = "api"
    payer: str = "full"
    mistake: str | None = None  # the code of the error in the filing that is tried first
    row_faults: dict[int, str] = field(default_factory=dict)  # place of a roster's row -> code of its rejection

    def body(self, *, opened_only: bool = False) -> dict[str, Any]:
        plain = bare(self.filing)
        plain["members"] = [] if opened_only else [t.as_filed() for t in self.travellers]
        return plain

    def mistaken(self) -> dict[str, Any]:
        """The filing with :attr:`mistake` in it."""
        body = self.body()
        MISTAKES[self.mistake or ""](body)
        return body


@dataclass(frozen=True, slots=True)
class Season:
    seed: int
    groups: Sequence[Group]

    @property
    def travellers(self) -> Iterator[tuple[Group, int, Traveller]]:
        """Everybody, with group and place in it."""
        return ((group, index, who) for group in self.groups for index, who in enumerate(group.travellers))

    def plan(self) -> dict[str, Any]:
        """What the simulators are to know: ``plan.json``."""
        return {
            "seed": self.seed,
            "season_start": START.isoformat(),
            "travellers": {who.key: _course(group, index, who) for group, index, who in self.travellers},
            "payers": {f"{group.office.id}/{group.ref}": {"pays": group.payer} for group in self.groups},
        }


def bare(thing: Any) -> dict[str, Any]:
    """A canonical object as the API takes it."""
    plain = dump(thing)
    del plain["schema"]
    return plain


def make(seed: int, pilgrims: int, offices: Sequence[Office], market: Market) -> Season:
    """The season of *seed* with *pilgrims* people: the same for the same arguments."""
    dice = random.Random(f"season {seed} {pilgrims}")  # noqa: S311 - a season to be told again, no secret
    people = People(dice, START.date())
    groups: list[Group] = []
    serial: dict[str, int] = {}
    # Everybody's turn comes before anybody's second: a small season has pilgrims of all countries too.
    turns: list[Office] = []
    for size in _sizes(dice, pilgrims):
        turns = turns or dice.sample(offices, len(offices))
        office = turns.pop()
        serial[office.id] = number = serial.get(office.id, 0) + 1
        ref = f"{office.country}{office.id.rpartition('_')[2]}-{number:05d}"
        arrives = (START + FIRST_ARRIVAL).date() + timedelta(days=dice.randrange(ARRIVAL_DAYS))
        filing = GroupFiling(
            group_no=ref, season=YEAR, heads=size, programme=market.programme(dice, ref, size, arrives)
        )
        groups.append(Group(ref, office, filing, _party(dice, people, office.country, size)))
    _doors(dice, groups)
    _payers(dice, groups)
    # Ministry and missions refuse about one in twelve of these, too: two of each kind leave one of nearly each.
    _fates(dice, groups, max(2 if pilgrims >= 100 else 1, pilgrims // 150))
    _mistakes(groups)
    return Season(seed, groups)


def _sizes(dice: random.Random, pilgrims: int) -> list[int]:
    """Sizes of groups that make *pilgrims*: from people on their own to coachloads of fifty."""
    sizes = [size for size, room in ((50, 100), (1, 8), (2, 10), (3, 12), (12, 40)) if pilgrims >= room]
    while (left := pilgrims - sum(sizes)) > 0:
        low, high = dice.choices(((1, 1), (2, 5), (6, 15), (16, 30), (31, 50)), (12, 38, 30, 14, 6))[0]
        sizes.append(min(left, dice.randint(low, high)))
    dice.shuffle(sizes)
    return sizes


def _party(dice: random.Random, people: People, country: str, size: int) -> list[Traveller]:
    party: list[Traveller] = []
    while len(party) < size:
        room = size - len(party)
        family = people.family(country, dice.randint(2, min(5, room))) if room > 1 and dice.random() < 0.15 else None
        party += [Traveller(filing) for filing in family or [people.adult(country)]]
    minders = [t.filing.companion.number for t in party if t.filing.companion]
    for traveller in party:
        traveller.minds = minders.count(traveller.filing.document.number)
    return party


def _doors(dice: random.Random, groups: list[Group]) -> None:
    """About one group in seven comes by roster file, rosters' usual faults among its rows."""
    fit = [g for g in groups if len(g.travellers) >= 3]
    count = max(2, round(len(groups) * 0.15)) if len(groups) >= 6 else 0
    for group in dice.sample(fit, min(count, len(fit))):
        group.door = "roster"
        alone = [n for n, t in enumerate(group.travellers) if not t.minds and not t.filing.companion]
        faults = ["document_expired", "required"]
        if group.office.date_order is None:
            faults.insert(0, "date_order_undeclared")
        group.row_faults = dict(zip(alone[1:], faults, strict=False))


def _payers(dice: random.Random, groups: list[Group]) -> None:
    for group in groups:
        group.payer = dice.choices([kind for kind, _ in _PAYERS], [share for _, share in _PAYERS])[0]
    small = sorted((g for g in groups if g.door == "api" and len(g.travellers) <= 4), key=lambda g: len(g.travellers))
    if len(groups) >= 5 and small:
        for group in small[: max(1, len(groups) // 200)]:
            group.payer = "never"
    plain = [group for group in groups if group.payer == "full"]
    for kind, group in zip(("parts", "twice", "over", "reversed"), plain, strict=False):
        group.payer = kind


def _fates(dice: random.Random, groups: list[Group], each: int) -> None:
    """Give *each* of the rarer courses to as many people, all of them grown up and nobody's companion; and let the
    company refuse somebody on whom a minor depends."""
    paid = [g for g in groups if g.payer != "never"]
    free = [t for g in paid for t in g.travellers if not t.minds and not t.filing.companion and not _has_flaw(g, t)]
    dice.shuffle(free)
    # Those who overstay came on one day: every day more would be days more of waiting for their time to run out.
    days = [g.filing.programme.arrival.on for g in paid for _ in g.travellers]
    busiest = max(sorted(set(days)), key=days.count, default=None)
    keys = {t.key for g in paid if g.filing.programme.arrival.on == busiest for t in g.travellers}
    late = [t for t in free if t.key in keys]
    for fate in ("overstays_exits_late", "overstays_reported_deported"):
        for traveller in late[:each]:
            traveller.fate = fate
            free.remove(traveller)
        del late[:each]
    for fate in (f for f in FATES if not f.startswith("overstays")):
        for traveller in free[:each]:
            traveller.fate = fate
        del free[:each]
    for first in FIRST:
        for traveller in free[: each * (3 if first == "return" else 1)]:
            traveller.first = first
        del free[: each * (3 if first == "return" else 1)]
    heads = [t for g in paid if len(g.travellers) > 2 for t in g.travellers if t.minds == 1 and not _has_flaw(g, t)]
    for head in heads[:each]:
        head.first = "refuse"


def _has_flaw(group: Group, traveller: Traveller) -> bool:
    return any(group.travellers[index] is traveller for index in group.row_faults)


def _course(group: Group, index: int, who: Traveller) -> dict[str, Any]:
    """What the world does with a traveller: the fate, and where and when the borders are crossed."""
    coming, going = group.filing.programme.arrival, group.filing.programme.departure
    enters = _moment(coming.on, 5, index)
    over = enters + STAY_LIMIT
    exits = {
        "overstays_exits_late": over + timedelta(days=10),
        "overstays_reported_deported": over + timedelta(days=14),
        # Left in time, but the post's file says so days later: the clock has called it an overstay by then.
        "late_exit_file": over - timedelta(days=2),
        "deceased": enters + timedelta(hours=8),
        "turned_back": None,
    }.get(who.fate, _moment(going.on, 9, index))
    return {
        "fate": who.fate,
        "port": coming.port,
        "post": PORTS[coming.port].post,
        "carrier": coming.carrier + coming.number,
        "enters_at": enters.isoformat(),
        "exits_at": exits.isoformat() if exits else None,
    }


def _moment(day: date, hour: int, index: int) -> datetime:
    """A moment of *day* from *hour* o'clock UTC, a group passing one by one at the desk."""
    return datetime.combine(day, time(hour), UTC) + timedelta(seconds=40 * index)


def _mistakes(groups: list[Group]) -> None:
    """Let a few agents file wrongly first, each in another way."""
    waiting = list(MISTAKES)
    for group in groups:
        if group.door != "api" or group.payer == "never" or not waiting:
            continue
        body = group.body()
        code = next((c for c in waiting if c != "minor_without_companion" or _minor(body) is not None), None)
        if code is not None:
            group.mistake = code
            waiting.remove(code)


def _minor(body: Mapping[str, Any]) -> dict[str, Any] | None:
    return next((member for member in body["members"] if member.get("companion")), None)


def _other_number(body: dict[str, Any]) -> None:
    document = body["members"][0]["document"]
    document["number"] = document["number"][:-1] + ("1" if document["number"][-1] != "1" else "2")


def _nobody_minds(body: dict[str, Any]) -> None:
    minor = _minor(body)
    assert minor is not None
    del minor["companion"]


def _night_in_the_street(body: dict[str, Any]) -> None:
    house = body["programme"]["housing"][0]
    house["check_out"] = (date.fromisoformat(house["check_out"]) - timedelta(days=1)).isoformat()


def _nowhere(body: dict[str, Any]) -> None:
    body["members"][0]["person"]["nationality"] = "ZZZ"


#: Code of the error -> how a filing comes to deserve it.
MISTAKES: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "minor_without_companion": _nobody_minds,
    "mrz_disagrees": _other_number,
    "night_uncovered": _night_in_the_street,
    "unknown_nationality": _nowhere,
}


def corrected(who: Traveller, attempt: int) -> dict[str, Any]:
    """What the agent sends when a request came back: the true data, and one more detail each time."""
    plain = bare(who.filing)
    plain["person"]["email"] = f"pilgrim.{attempt}@correspondence.example"
    return plain
