"""What a measurement tells: one figure, with what is asked of it where something is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: For each unit whether more of it is better.
_MORE = {"/s": True, "ms": False, "×": True, "%": False, "s": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """*what* came to *value* of *unit* in *part*, on *store* where it has one.

    ``bar`` is what is asked of it, in the same unit; ``value`` is None where it could not be measured, and ``note``
    says why.  ``more`` holds what else was counted.
    """

    part: str
    what: str
    value: float | None
    unit: str = "/s"
    store: str | None = None
    bar: float | None = None
    note: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None where nothing is asked."""
        if self.bar is None:
            return None
        return self.value is not None and (self.value >= self.bar if _MORE[self.unit] else self.value <= self.bar)

    @property
    def level(self) -> Literal["ok", "warning", "error"] | str:
        return {None: "", True: "ok", False: "error"}[self.met]

    @property
    def told(self) -> str:
        return "not measured" if self.value is None else f"{_number(self.value)}{_spaced(self.unit)}"

    @property
    def asked(self) -> str:
        if self.bar is None:
            return ""
        sign = "≥" if _MORE[self.unit] else "≤"
        return f"{sign} {_number(self.bar)}{_spaced(self.unit)}: {'reached' if self.met else 'not reached'}"

    def as_json(self) -> dict[str, Any]:
        return {
            "part": self.part, "what": self.what, "store": self.store, "value": self.value, "unit": self.unit,
            "bar": self.bar, "met": self.met, "note": self.note, **self.more,
        }  # fmt: skip


def missing(part: str, what: str, why: str, *, store: str | None = None, unit: str = "/s") -> Figure:
    """A figure that could not be measured, and why."""
    return Figure(part=part, what=what, value=None, unit=unit, store=store, note=why)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}" if value < 10 else f"{value:,.1f}"


def _spaced(unit: str) -> str:
    return unit if unit in ("/s", "×", "%") else f" {unit}"
