"""Agents come many at a time: each row of a file is taken, with a key, or refused with the reason."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hub.partners import Overlaid, Register, RegisterFaults
from hub.store.credentials import Keyring

LABEL = "first key"


@dataclass(frozen=True, slots=True)
class Onboarded:
    """What became of one row: ``outcome`` is ``accepted`` with its ``key``, which is kept nowhere, or ``refused`` with
    the ``reason``.  One that was there already, just so, and has a key, is ``unchanged``."""

    line: int
    id: str
    outcome: str
    reason: str = ""
    key: str = ""


class Onboarding:
    """Adds agents, all in test mode at first, and gives each its key."""

    def __init__(
        self, change: Callable[[Sequence[Overlaid], str], int], keyring: Keyring, register: Callable[[], Register]
    ) -> None:
        self._change, self._keyring, self._register = change, keyring, register

    def asked(self, given: Sequence[Mapping[str, Any]], who: str) -> list[dict[str, Any]]:
        """:meth:`take` for a command: rows as JSON, what became of them as JSON."""
        return [asdict(one) for one in self.take([Overlaid(**row) for row in given], who)]

    def take(self, rows: Sequence[Overlaid], who: str) -> list[Onboarded]:
        """Add each of *rows* that fits; a row that does not stops none of the others.

        Taking the same rows again, after being cut off, gives a key to whoever was added and got none.
        """
        refused: dict[int, str] = {}
        firsts: dict[str, int] = {}
        for one in rows:
            if firsts.setdefault(one.id, one.line) != one.line:
                refused[one.line] = f"'{one.id}' stands in line {firsts[one.id]} already"
            elif (one.row or {}).get("role") != "agent":
                refused[one.line] = "only agents are onboarded; add others by `hub partner add`"
        known = self._register().partners
        there = {one.line for one in rows if one.id in known and self._same(one)}
        left = [replace(one, mode="test") for one in rows if one.line not in refused and one.line not in there]
        while left:
            try:
                self._change(left, who)
                break
            except RegisterFaults as wrong:
                lines = {(fault.path, fault.line): fault.text for fault in wrong.faults}
                theirs = {one.line: lines[one.origin, one.line] for one in left if (one.origin, one.line) in lines}
                if not theirs:
                    raise
                refused |= theirs
                left = [one for one in left if one.line not in theirs]
        added = [one.id for one in left] + [one.id for one in rows if one.line in there]
        keys = self._keyring.first_ones(added, LABEL, who) if added else {}
        return [self._became(one, refused, keys) for one in rows]

    def _same(self, one: Overlaid) -> bool:
        """Whether the partner of this id is one that was added from this very place."""
        known = self._register().partners[one.id]
        return known.added and (known.path, known.line, known.name) == (
            one.origin,
            one.line,
            (one.row or {}).get("name"),
        )

    @staticmethod
    def _became(one: Overlaid, refused: Mapping[int, str], keys: Mapping[str, str]) -> Onboarded:
        if one.line in refused:
            return Onboarded(one.line, one.id, "refused", refused[one.line])
        key = keys.get(one.id, "")
        return Onboarded(one.line, one.id, "accepted" if key else "unchanged", key=key)
