"""Hijri dates of the Umm al-Qura calendar, for the edges only: inside, every date is Gregorian.

The calendar's tables (by the hijridate library) run from 1343 to 1500 AH, 1924-08-01 to 2077-11-16.
"""

from datetime import date

from hijridate import Gregorian, Hijri

from hub.canonical.errors import HubError


def to_hijri(day: date) -> tuple[int, int, int]:
    """Year, month and day of *day*.  Raises ``hijri_range`` outside the calendar's tables."""
    try:
        return Gregorian(day.year, day.month, day.day).to_hijri().datetuple()
    except OverflowError:
        raise HubError("hijri_range") from None


def from_hijri(year: int, month: int, day: int) -> date:
    """The Gregorian date.  Raises ``hijri_range`` outside the tables, ``hijri_invalid`` for a day that never was."""
    try:
        return date(*Hijri(year, month, day).to_gregorian().datetuple())
    except OverflowError:
        raise HubError("hijri_range") from None
    except ValueError:
        raise HubError("hijri_invalid") from None
