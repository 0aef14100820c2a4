"""Every error that the hub can give, by stable code: what it says in English and Arabic and who must act.

The catalogue is data (``errors.yaml`` beside this module).  Its texts take only the placeholders of
:data:`PLACEHOLDERS`, none of which can hold personal data.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

WHO = ("agent", "company", "bank", "partner", "operator", "engineer")
#: What a text may name: places, counts and names out of our own files; never a value that somebody sent.
PLACEHOLDERS = frozenset({
    "adapter", "column", "count", "expected", "field", "file", "found", "kind", "limit", "line", "name", "operation",
    "partner", "path", "place", "row", "rule", "sequence", "state",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One code of the catalogue.  ``status`` is the HTTP status that a door answers with."""

    code: str
    en: str
    ar: str
    who: str
    status: int


@cache
def catalogue() -> Mapping[str, Entry]:
    """Every code there is.  Raises ValueError for an entry that is incomplete or names a placeholder it may not."""
    text = Path(__file__).with_name("errors.yaml").read_text("utf-8")
    return MappingProxyType({code: _entry(code, given) for code, given in yaml.safe_load(text).items()})


def _entry(code: str, given: Mapping[str, Any]) -> Entry:
    entry = Entry(code, given["en"], given["ar"], given["who"], given.get("status", 422))
    named = {name for text in (entry.en, entry.ar) for _, name, _, _ in string.Formatter().parse(text) if name}
    if entry.who not in WHO or not named <= PLACEHOLDERS:
        raise ValueError(f"errors.yaml: {code}: who must act is one of {WHO}; placeholders are {sorted(PLACEHOLDERS)}")
    return entry


class HubError(Exception):
    """A coded error.  ``where`` says where it happened; only what :data:`PLACEHOLDERS` lists is shown.

    ``str()`` is the code with those places, fit for a log line; ``en`` and ``ar`` are for people.
    """

    def __init__(self, code: str, **where: Any) -> None:
        super().__init__(code)
        self.code = code
        self.where = where

    @property
    def entry(self) -> Entry:
        # A code that is not in the catalogue is our own fault (tests look for them), and must not hide the error.
        known = catalogue()
        return known.get(self.code) or known["internal"]

    @property
    def en(self) -> str:
        return explain(self.entry.en, self.where)

    @property
    def ar(self) -> str:
        return explain(self.entry.ar, self.where)

    @property
    def who(self) -> str:
        """Who must act: agent, company, bank, partner, operator or engineer."""
        return self.entry.who

    @property
    def status(self) -> int:
        return self.entry.status

    def __str__(self) -> str:
        shown = " ".join(f"{name}={value}" for name, value in self.where.items() if name in PLACEHOLDERS)
        return f"{self.code} ({shown})" if shown else self.code


class _Blank(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "…"


def explain(text: str, where: Mapping[str, Any]) -> str:
    """A text of the catalogue with its placeholders filled from *where*; what is not given shows as an ellipsis."""
    return text.format_map(_Blank(where))
