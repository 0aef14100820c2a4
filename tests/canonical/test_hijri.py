import json
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from hub.canonical.errors import HubError
from hub.canonical.hijri import from_hijri, to_hijri

FIRST, LAST = date(1924, 8, 1), date(2077, 11, 16)

# Dates that newspapers printed in both calendars.
PRESS = [
    ((1444, 1, 1), date(2022, 7, 30)),
    ((1445, 1, 1), date(2023, 7, 19)),
    ((1444, 11, 15), date(2023, 6, 4)),
    ((1444, 11, 29), date(2023, 6, 18)),
    ((1445, 11, 16), date(2024, 5, 24)),
    ((1445, 11, 29), date(2024, 6, 6)),
    ((1445, 12, 20), date(2024, 6, 26)),
]


def code(call: object, *args: object) -> str:
    with pytest.raises(HubError) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value.code


@pytest.mark.parametrize(("hijri", "gregorian"), PRESS)
def test_agrees_with_the_press(hijri: tuple[int, int, int], gregorian: date) -> None:
    assert from_hijri(*hijri) == gregorian
    assert to_hijri(gregorian) == hijri


def test_every_day_of_the_tables_there_and_back_and_in_order() -> None:
    days = [FIRST + timedelta(days=step) for step in range(55_991)]
    assert days[-1] == LAST
    found = [to_hijri(day) for day in days]
    assert [from_hijri(*hijri) for hijri in found] == days
    for (year, month, day), after in pairwise(found):
        if after != (year, month, day + 1):
            assert after == (year + month // 12, month % 12 + 1, 1)
            # Before 1365 the tables follow the newspaper of the time, whose months had 28 to 31 days.
            assert day in (29, 30) or (year < 1365 and day in (28, 31))


def test_the_edges_are_exact() -> None:
    assert to_hijri(FIRST) == (1343, 1, 1) and to_hijri(LAST) == (1500, 12, 30)
    assert code(to_hijri, FIRST - timedelta(days=1)) == code(to_hijri, LAST + timedelta(days=1)) == "hijri_range"
    assert code(from_hijri, 1342, 12, 29) == code(from_hijri, 1501, 1, 1) == "hijri_range"


@pytest.mark.parametrize("day", [(1445, 13, 1), (1445, 0, 1), (1445, 1, 0), (1445, 1, 31), (1445, 1, 30)])
def test_days_that_never_were_are_refused(day: tuple[int, int, int]) -> None:
    assert code(from_hijri, *day) == "hijri_invalid"


@pytest.mark.needs("specimens")
def test_agrees_with_the_published_tables(specimens: Path) -> None:
    read = 0
    for path in sorted((specimens / "hijri").glob("*.json")):
        for (hijri, gregorian), *_ in json.loads(path.read_text()):
            assert to_hijri(date(*gregorian)) == tuple(hijri), path.name
            assert from_hijri(*hijri) == date(*gregorian), path.name
            read += 1
    assert read > 300
