"""How partners misbehave: planned from the seed, counted by key, and never so often that nothing can get through."""

from collections.abc import Sequence

from hub.simulate.chance import Chance

#: How often a call or file is spoilt.
RATES = {"none": 0.0, "some": 0.05, "storm": 0.30}
#: After so many bad answers to one key, the partner behaves.
MOST = 3

#: Before anything is done.
AWAY = ("refuse", "reset")
#: After it is done: what becomes of the answer.
SPOILT = ("closed", "garbage", "html", "truncated", "cut", "other", "delay")
SPOILT_XML = ("namespace", "fault", "bomb")
#: Where an answer has several lines: one lost, another order, one told twice, one about nobody we asked for.
SPOILT_BATCH = ("partial", "shuffled", "again", "stranger")
#: What is told to the hub, and how.
CALLS = ("twice", "early", "late")
FILES = ("duplicate", "truncated", "wrong_totals")
KINDS = tuple(dict.fromkeys((*AWAY, *SPOILT, *SPOILT_XML, *SPOILT_BATCH, *CALLS, *FILES)))


class Faults:
    """The faults of one run.  *level* is ``none``, ``some`` or ``storm``, or one of :data:`KINDS`: that one, always."""

    def __init__(self, level: str, chance: Chance) -> None:
        self._only = level if level in KINDS else None
        self._rate, self._chance = 1.0 if self._only else RATES[level], chance

    def answer(
        self, partner: str, operation: str, key: str, attempts: int, bad: int, *, xml: bool, lines: int
    ) -> str | None:
        """What goes wrong with the call that brought *key*, after *attempts* before it of which *bad* went wrong."""
        if bad >= MOST or not self._hits("answer", partner, operation, key, attempts):
            return None
        kinds: Sequence[str] = (*AWAY, *SPOILT, *(SPOILT_XML if xml else ()), *(SPOILT_BATCH if lines > 1 else ()))
        return self._one_of(kinds, "kind", partner, operation, key, attempts)

    def call(self, partner: str, operation: str, number: str) -> str | None:
        """How a call to the hub is told badly."""
        if not self._hits("call", partner, operation, number):
            return None
        return self._one_of(CALLS, "call kind", partner, operation, number)

    def file(self, partner: str, name: str, *, totals: bool) -> str | None:
        """How a file for the hub is told badly; *totals* says that it holds totals to be wrong about."""
        if not self._hits("file", partner, name):
            return None
        return self._one_of(FILES if totals else FILES[:2], "file kind", partner, name)

    def wild(self, *about: object) -> bool:
        """Whether something unknown is slipped in."""
        return self._only is None and self._chance.share("wild", *about) < self._rate / 4

    def share(self, *about: object) -> float:
        return self._chance.share("share", *about)

    def _one_of(self, kinds: Sequence[str], *about: object) -> str | None:
        if self._only is not None:
            return self._only if self._only in kinds else None
        return self._chance.one_of(kinds, *about)

    def _hits(self, *about: object) -> bool:
        return self._chance.share(*about) < self._rate
