"""A map's successor over bytes that its predecessor has carried: what would have come out otherwise."""

import re
from dataclasses import dataclass
from typing import Literal

from hub.canonical.errors import HubError
from hub.mapping.compiled import Map
from hub.mapping.errors import MapError
from hub.mapping.shown import Seen, ours, wire

Verdict = Literal["same", "differs", "refused", "mended", "unread"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the new map does otherwise; lists are not numbered.  Values that may be somebody's are masked."""

    side: Literal["ours", "theirs"]
    place: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message.

    ``refused``: the old map took it, the new one does not (``why`` is its error).  ``mended``: the other way about.
    ``unread``: neither takes it.
    """

    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    why: str = ""


def compare(old: Map, new: Map, body: bytes, *, written: bool, date_order: str | None = None) -> Outcome:
    """Read *body* by both maps; where it was *written* by us, also write what was read anew, as the new map would."""
    was, wrong = _read(old, body, date_order)
    now, worse = _read(new, body, date_order)
    if written and was is not None and old.message is new.message:
        # What we would send counts, not whether the new map still reads what the old one sent.
        try:
            again = new.write(was)
        except HubError as error:
            return Outcome("refused", why=_why(error))
        plain = wire(old, body, plain=True), wire(new, again, plain=True)
        return _judged("theirs", *plain, wire(old, body), wire(new, again))
    if was is None or now is None:
        verdict: Verdict = "unread" if was is None and now is None else "refused" if now is None else "mended"
        return Outcome(verdict, why=worse if now is None else wrong)
    return _judged("ours", ours(was, plain=True), ours(now, plain=True), ours(was), ours(now))


def _read(map_: Map, body: bytes, date_order: str | None) -> tuple[object | None, str]:
    try:
        return map_.read(body, date_order=date_order), ""
    except HubError as error:
        return None, _why(error)


def _why(error: HubError) -> str:
    """The error without the row it stood in, so that equal ones count as one."""
    if isinstance(error, MapError):
        field = f" ({error.field})" if error.field else ""
        return f"{error.code} at {error.place or 'the file'}{field}"
    return error.code


def _judged(
    side: Literal["ours", "theirs"], was: list[Seen], now: list[Seen], masked_was: list[Seen], masked_now: list[Seen]
) -> Outcome:
    """Compared as they are, told as they may be shown."""
    before, after = dict(was), dict(now)
    shown_before, shown_after = dict(masked_was), dict(masked_now)
    told: dict[str, Difference] = {}
    for where in {**before, **after}:
        if before.get(where) != after.get(where):
            bare = unnumbered(where)
            told.setdefault(bare, Difference(side, bare, shown_before.get(where, ""), shown_after.get(where, "")))
    return Outcome("differs", tuple(told.values())) if told else Outcome("same")


def unnumbered(place: str) -> str:
    """*place* without the numbers of its lists and lines, so that the same place of every message counts as one."""
    return re.sub(r"\[[0-9]+\]|^(?:row|line) [0-9]+(?:: |$)", "", place) or "line"
