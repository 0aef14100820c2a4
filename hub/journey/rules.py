"""The season's rules: dated data, read from one YAML file, never written in code.

A rule in force at a moment is the latest entry before it; what depends on the season (the last day of entering and
of leaving) is counted in the Hijri year that the season is named for (Umm al-Qura).
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Self

import yaml

from hub.canonical.codes import CITIES, CURRENCIES, GROUND_SERVICES, VOUCHER_LINES
from hub.canonical.errors import HubError
from hub.canonical.hijri import from_hijri, to_hijri

_RIYADH = timezone(timedelta(hours=3))
_HIJRI = re.compile(r"(\d{4})-(\d{2})-(\d{2})H")
# The season that follows the Hajj is named for the next Hijri year.
_SEASON_TURNS = (12, 15)
STAGES = ("paid", "sent", "visa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """The rules of one season as they stand at one moment.  Days are whole days; fees are for each pilgrim."""

    number: int
    passport_months: int
    minor_below: int
    quota: bool
    housing_confirmed_before: str
    licence: re.Pattern[str]
    services: tuple[str, ...]
    correction_days: int
    companion_days: int
    cancel_days: int
    voucher_days: int
    voucher_grace_days: int
    currency: str
    fees: Mapping[str, Decimal]
    vat_percent: Decimal
    vat_on: tuple[str, ...]
    refunds: Mapping[str, tuple[str, ...]]
    reference_days: int
    enter_within_days: int
    last_entry: date
    last_exit: date
    stay_days: int
    leaving_soon_days: int
    ports: Mapping[str, str]


class Rules:
    """Every season's rules.  ``at`` gives those of one season at one moment."""

    def __init__(self, entries: list[tuple[datetime, dict[str, Any]]]) -> None:
        self._starts = [start for start, _ in entries]
        self._values = [values for _, values in entries]
        self._known: dict[tuple[int, int], Season] = {}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read *path*.  Raises :class:`HubError` ``rules_unreadable`` or ``rules_invalid``, naming the place."""
        try:
            given = yaml.safe_load(path.read_text("utf-8"))
        except (OSError, yaml.YAMLError, UnicodeDecodeError):
            raise HubError("rules_unreadable", file=path.name) from None
        if not isinstance(given, list) or not given or not all(isinstance(entry, dict) for entry in given):
            raise HubError("rules_unreadable", file=path.name)
        entries: list[tuple[datetime, dict[str, Any]]] = []
        so_far: dict[str, Any] = {}
        for number, entry in enumerate(given, 1):
            missing = {"from"} | (_READ.keys() if number == 1 else set())
            values: dict[str, Any] = {}
            for name in sorted(missing | entry.keys(), key=str):
                try:
                    values[name] = (start_of_entry if name == "from" else _READ[name])(entry[name])
                except (KeyError, ValueError, TypeError, AttributeError, re.error, HubError):
                    raise HubError("rules_invalid", file=path.name, row=number, rule=str(name)) from None
            start = values.pop("from")
            if entries and start <= entries[-1][0]:
                raise HubError("rules_invalid", file=path.name, row=number, rule="from")
            so_far = {**so_far, **values}
            entries.append((start, so_far))
        return cls(entries)

    def at(self, moment: datetime, season: int | None = None) -> Season:
        """The rules in force at *moment* for *season* (a Hijri year; without it the one that *moment* falls in)."""
        index = max(bisect_right(self._starts, moment) - 1, 0)
        if season is None:
            year, *rest = to_hijri(moment.astimezone(_RIYADH).date())
            season = year + 1 if tuple(rest) >= _SEASON_TURNS else year
        known = self._known.get((index, season))
        if known is None:
            values = dict(self._values[index])
            for name in ("last_entry", "last_exit"):
                values[name] = from_hijri(season, *values[name])
            known = self._known[index, season] = Season(number=season, **values)
        return known


def start_of_entry(value: Any) -> datetime:
    """When a dated entry begins: `from:` as a Gregorian date, or a Hijri one with an H.  Raises ValueError."""
    if isinstance(value, str) and (hijri := _HIJRI.fullmatch(value)):
        value = from_hijri(*map(int, hijri.groups()))
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError(value)
    return datetime(value.year, value.month, value.day, tzinfo=_RIYADH)


def _days(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 3660:
        raise ValueError(value)
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _one_of(*allowed: str) -> Any:
    def read(value: Any) -> str:
        if value not in allowed:
            raise ValueError(value)
        return str(value)

    return read


def _some_of(*allowed: str) -> Any:
    def read(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not set(value) <= set(allowed):
            raise ValueError(value)
        return tuple(value)

    return read


def _amount(value: Any) -> Decimal:
    # Written as text: a YAML number would come as a float.
    if not isinstance(value, str):
        raise ValueError(value)
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError(value) from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(value)
    return amount


def _fees(value: Any) -> Mapping[str, Decimal]:
    return {_one_of("visa_fee", "e_fee")(name): _amount(fee) for name, fee in value.items()}


def _refunds(value: Any) -> Mapping[str, tuple[str, ...]]:
    read = _some_of(*VOUCHER_LINES)
    return {stage: read(value[stage]) for stage in STAGES}


def _ports(value: Any) -> Mapping[str, str]:
    return {str(port): _one_of(*CITIES)(city) for port, city in value.items()}


def _hijri_day(value: Any) -> tuple[int, int]:
    month, day = value["month"], value["day"]
    if not 1 <= month <= 12 or not 1 <= day <= 29:
        raise ValueError(value)
    return month, day


_READ: Mapping[str, Any] = {
    "passport_months": _days,
    "minor_below": _days,
    "quota": _flag,
    "housing_confirmed_before": _one_of("reference", "submission"),
    "licence": re.compile,
    "services": _some_of(*GROUND_SERVICES),
    "correction_days": _days,
    "companion_days": _days,
    "cancel_days": _days,
    "voucher_days": _days,
    "voucher_grace_days": _days,
    "currency": _one_of(*CURRENCIES),
    "fees": _fees,
    "vat_percent": _amount,
    "vat_on": _some_of(*VOUCHER_LINES),
    "refunds": _refunds,
    "reference_days": _days,
    "enter_within_days": _days,
    "last_entry": _hijri_day,
    "last_exit": _hijri_day,
    "stay_days": _days,
    "leaving_soon_days": _days,
    "ports": _ports,
}
assert _READ.keys() == {field.name for field in fields(Season)} - {"number"}
