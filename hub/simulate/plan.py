"""How travellers travel and payers pay: the file that the driver of a season writes (see the package's docstring)."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FATES = (
    "normal",  # expected the day before, entered, exited
    "no_show_then_enters",  # expected and missed two days before, then as normal
    "turned_back",  # expected, turned back at the border
    "never_travels",  # nothing is ever told
    "overstays_exits_late",  # as normal, with exits_at after the end of the stay
    "overstays_reported_deported",  # entered, deported at exits_at
    "deceased",  # entered; no exit
    "late_exit_file",  # as normal, but the exit is only written at told_at
)
PAYS = (
    "full",  # the whole amount, at once
    "parts",  # 60 % at once, the rest the next morning
    "over",  # 100.00 more than the amount, at once
    "twice",  # the whole amount, two times
    "never",
    "late",  # the whole amount an hour before the bill expires, which the bank tells only at ``at``
    "reversed",  # 40 % at once, taken back the next morning and the whole amount paid then
)


@dataclass(frozen=True, slots=True)
class Travels:
    """One traveller's fate.  ``leaves`` is when nobody in the Kingdom sees them any more, ``told`` when their exit is
    written; ``way_in`` and ``way_out`` are each a border post and its port."""

    fate: str
    way_in: tuple[str, str]
    way_out: tuple[str, str]
    carrier: str | None
    enters: datetime
    leaves: datetime | None
    told: datetime | None

    @property
    def stays(self) -> bool:
        """Whether the traveller is ever inside."""
        return self.fate not in ("never_travels", "turned_back")

    def inside(self, moment: datetime) -> bool:
        return self.stays and self.enters <= moment and (self.leaves is None or moment < self.leaves)


@dataclass(frozen=True, slots=True)
class Pays:
    pays: str = "full"
    at: datetime | None = None


class Plan:
    """``plan.json``, read again whenever it changes.  While there is none, nobody travels and everybody pays."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._travellers: dict[str, Any] = {}
        self._payers: dict[str, Any] = {}

    def traveller(self, key: str) -> Travels | None:
        """The fate of the holder of a document, by issuing state and number."""
        self._follow()
        given = self._travellers.get(key)
        if given is None:
            return None
        leaves, told = _moment(given.get("exits_at")), _moment(given.get("told_at"))
        if given["fate"] == "late_exit_file" and told is None and leaves is not None:
            told = leaves + timedelta(days=4)
        enters = _moment(given["enters_at"])
        assert enters is not None
        way_in = given["post"], given["port"]
        way_out = given.get("exit_post") or way_in[0], given.get("exit_port") or way_in[1]
        return Travels(given["fate"], way_in, way_out, given.get("carrier"), enters, leaves, told)

    def payer(self, agent: str, group: str) -> Pays:
        self._follow()
        given = self._payers.get(f"{agent}/{group}")
        return Pays() if given is None else Pays(given["pays"], _moment(given.get("at")))

    def _follow(self) -> None:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return
        seen = (found.st_mtime_ns, found.st_ino)
        if seen != self._seen:
            read = json.loads(self._path.read_text("utf-8"))
            travellers, payers = read.get("travellers", {}), read.get("payers", {})
            for known, given in (
                (FATES, {t["fate"] for t in travellers.values()}),
                (PAYS, {p["pays"] for p in payers.values()}),
            ):
                if unknown := given - set(known):
                    raise ValueError(f"{self._path.name}: nobody knows how to play {', '.join(sorted(unknown))}")
            self._travellers, self._payers = travellers, payers
            self._seen = seen


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
