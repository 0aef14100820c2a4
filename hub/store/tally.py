"""Counts of what only grows, kept up to a watermark, so that asking costs the same however much there has been.

What is open is counted where it stands, by index.  What is done is added to the table ``tally`` piece by piece
(:meth:`Tally.catch_up`), by whichever process comes first; what is newer than the watermark is counted on top.  A piece
is counted outside the writer and added in a unit that moves the watermark on from where it was read, or does nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, func, select, update

from hub.store.database import Database, Row, Statement, Transaction, among, inserting
from hub.store.tables import exchange, exchange_subject, history, sequence, tally

#: Microseconds that a row is left alone before it is added: another process may still be committing one before it.
SETTLES = 10_000_000
#: Rows that are added at a time.
PIECE = 20_000

Key = tuple[str, str]
Counts = Mapping[Key, tuple[int, int]]

_of = Statement(select(tally.c.part, tally.c.state, tally.c.n, tally.c.us).where(tally.c.name == bindparam("name")))
_put = inserting(tally, replace=True)
_mark = Statement(select(sequence.c.value).where(sequence.c.name == bindparam("name")))
_mark_first = inserting(sequence, ignore=True)
_mark_move = Statement(
    update(sequence)
    .where(sequence.c.name == bindparam("mark"), sequence.c.value == bindparam("was"))
    .values(value=bindparam("to"))
)

_moves = Statement(
    select(history.c.machine, history.c.was, history.c.now, func.count())
    .where(history.c.id > bindparam("after"), history.c.id <= bindparam("until"))
    .group_by(history.c.machine, history.c.was, history.c.now)
)
_next_moves = (
    select(history.c.id, history.c.recorded_at)
    .where(history.c.id > bindparam("after"))
    .order_by(history.c.id)
    .limit(bindparam("most"))
    .subquery()
)
_moves_until = Statement(select(func.max(_next_moves.c.id)).where(_next_moves.c.recorded_at <= bindparam("old")))

_done = and_(exchange.c.settled_at > bindparam("after"), exchange.c.settled_at <= bindparam("until"),
             exchange.c.direction == "out", exchange.c.state == "settled")  # fmt: skip
_settled = Statement(
    select(exchange.c.partner, func.count(), func.sum(exchange.c.attempts - 1), func.sum(exchange.c.partner_us))
    .where(_done)
    .group_by(exchange.c.partner)
)
_said = Statement(
    select(exchange_subject.c.partner, exchange_subject.c.outcome, func.count())
    .join(exchange, exchange.c.id == exchange_subject.c.exchange_id)
    .where(_done, exchange_subject.c.enquires.is_(None))
    .group_by(exchange_subject.c.partner, exchange_subject.c.outcome)
)
_next_done = (
    select(exchange.c.settled_at)
    .where(exchange.c.state == "settled", exchange.c.settled_at > bindparam("after"))
    .order_by(exchange.c.settled_at)
    .limit(bindparam("most"))
    .subquery()
)
_done_until = Statement(select(func.max(_next_done.c.settled_at)).where(_next_done.c.settled_at <= bindparam("old")))

# What is not done: few, and found by their state.
OPEN = ("waiting", "leased", "sending", "in_doubt", "held", "parked", "dead")
_standing = Statement(
    select(exchange.c.partner, exchange.c.state, func.count(), func.sum(exchange.c.attempts - 1))
    .where(among(exchange.c.state, OPEN), exchange.c.direction == "out")
    .group_by(exchange.c.partner, exchange.c.state)
)
_standing_said = Statement(
    select(exchange_subject.c.partner, exchange_subject.c.outcome, func.count())
    .join(exchange, exchange.c.id == exchange_subject.c.exchange_id)
    .where(among(exchange.c.state, OPEN), exchange.c.direction == "out", exchange_subject.c.enquires.is_(None))
    .group_by(exchange_subject.c.partner, exchange_subject.c.outcome)
)
REFUSED = ("refused", "needs_data")


class Piece(NamedTuple):
    """What is to be added, by the name it goes under, and the watermark that goes with it."""

    mark: str
    was: int
    to: int
    counts: Mapping[str, Counts]


class Tally:
    """Keeps the counts and reads them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def catch_up(self, wall: int) -> bool:
        """Add what had been done by *wall* (µs), less a little; answers whether anything was found to add."""
        found_any = False
        for piece in (self._moves, self._exchanges):
            with self._database.reading() as tx:
                found = piece(tx, wall - SETTLES)
            if found is not None:
                found_any |= self.add(found)
        return found_any

    def add(self, piece: Piece) -> bool:
        """Add *piece* in one unit; False where somebody else has added it meanwhile."""

        def unit(tx: Transaction) -> bool:
            tx.run(_mark_first, name=piece.mark, value=0)
            if tx.run(_mark_move, mark=piece.mark, was=piece.was, to=piece.to).rowcount != 1:
                return False
            for name, counts in piece.counts.items():
                there = counted(tx, name)
                for (part, state), (n, us) in counts.items():
                    before = there.get((part, state), (0, 0))
                    tx.put(_put, name=name, part=part, state=state, n=before[0] + n, us=before[1] + us)
            return True

        return self._database.unit(unit)

    # -- what is counted ---------------------------------------------------------------------------------------------

    def _moves(self, tx: Transaction, old: int) -> Piece | None:
        after = mark(tx, "tally/history")
        row = tx.one(_moves_until, after=after, most=PIECE, old=old)
        if row is None or row[0] is None:
            return None
        moved = _moved(tx.all(_moves, after=after, until=row[0]))
        return Piece("tally/history", after, row[0], {"state": {key: (n, 0) for key, n in moved.items()}})

    def _exchanges(self, tx: Transaction, old: int) -> Piece | None:
        after = mark(tx, "tally/exchange")
        row = tx.one(_done_until, after=after, most=PIECE, old=old)
        if row is None or row[0] is None:
            return None
        return Piece("tally/exchange", after, row[0], {"exchange": _exchanged(tx, after, row[0])})


def mark(tx: Transaction, name: str) -> int:
    """Up to where *name* has been counted."""
    row = tx.one(_mark, name=name)
    return 0 if row is None else int(row[0])


def counted(tx: Transaction, name: str) -> dict[Key, tuple[int, int]]:
    """What stands in the table under *name*: (part, state) -> (how many, microseconds)."""
    return {(row["part"], row["state"]): (row["n"], row["us"]) for row in tx.all(_of, name=name)}


def states(tx: Transaction) -> dict[str, dict[str, int]]:
    """How many requests, groups and vouchers stand in which state: by machine, then by state."""
    found: Counter[Key] = Counter({key: n for key, (n, _) in counted(tx, "state").items()})
    found.update(_moved(tx.all(_moves, after=mark(tx, "tally/history"), until=2**62)))
    by_machine: dict[str, dict[str, int]] = {"request": {}, "group": {}, "voucher": {}}
    for (machine, state), n in sorted(found.items()):
        if n:
            by_machine[machine][state] = n
    return by_machine


def exchanges(tx: Transaction) -> dict[str, Counter[str]]:
    """What became of what was sent, for each partner: exchanges by state, and how many subjects were ``sent``,
    ``refused`` and how often something was ``retried``."""
    found: dict[str, Counter[str]] = {}
    after = mark(tx, "tally/exchange")
    for counts in (counted(tx, "exchange"), _exchanged(tx, after, 2**62)):
        for (partner, state), (n, _) in counts.items():
            found.setdefault(partner, Counter())[state] += n
    for partner, state, n, retried in tx.all(_standing):
        found.setdefault(partner, Counter()).update({state: n, "retried": max(int(retried or 0), 0)})
    for key, n in _outcomes(tx.all(_standing_said)).items():
        found.setdefault(key[0], Counter())[key[1]] += n
    return found


def _moved(rows: Iterable[Row]) -> Counter[Key]:
    """Rows of the history as what they added to a state and took from another."""
    found: Counter[Key] = Counter()
    for machine, was, now, n in rows:
        if was != now:
            found[machine, now] += n
            if was != "NEW":
                found[machine, was] -= n
    return found


def _exchanged(tx: Transaction, after: int, until: int) -> dict[Key, tuple[int, int]]:
    found: dict[Key, tuple[int, int]] = {}
    for partner, n, retried, us in tx.all(_settled, after=after, until=until):
        found[partner, "settled"] = (n, int(us or 0))
        found[partner, "retried"] = (max(int(retried or 0), 0), 0)
    said = _outcomes(tx.all(_said, after=after, until=until))
    return found | {key: (n, 0) for key, n in said.items()}


def _outcomes(rows: Iterable[Any]) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for partner, outcome, n in rows:
        found[partner, "sent"] += n
        if outcome in REFUSED:
            found[partner, "refused"] += n
    return found
