import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.canonical import ids
from hub.canonical.ids import bill_no, new_id, request_no, valid_bill_no, valid_request_no

SERIALS = st.integers(0, 10**11 - 1)


def test_ids_are_version_7_of_this_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    assert made.version == 7 and made.variant == "specified in RFC 4122"
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000 + 1000


def test_ids_increase_even_when_the_wall_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns() + 10**12
    times = iter([now + step * 1_000_000 for step in (0, 5, 5, 5, -3000, 1, 6)])
    monkeypatch.setattr(ids.time, "time_ns", lambda: next(times))
    made = [new_id() for _ in range(7)]
    assert made == sorted(made) and len(set(made)) == 7
    monkeypatch.setattr(ids, "_last", 0)


def test_threads_never_share_an_id() -> None:
    made: list[object] = []
    threads = [threading.Thread(target=lambda: made.extend([new_id() for _ in range(2000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8000


def test_the_check_digit_is_damms() -> None:
    # The worked example of Damm's thesis.
    assert ids.check_digit("572") == "4"


@given(SERIALS)
def test_numbers_have_thirteen_digits_and_are_valid(serial: int) -> None:
    for number, valid, other in (
        (request_no(serial), valid_request_no, valid_bill_no),
        (bill_no(serial), valid_bill_no, valid_request_no),
    ):
        assert len(number) == 13 and number.isdigit()
        assert valid(number) and not other(number)


@given(SERIALS, st.integers(0, 12), st.integers(1, 9))
def test_a_wrong_digit_is_found(serial: int, place: int, off: int) -> None:
    for number, valid in ((request_no(serial), valid_request_no), (bill_no(serial), valid_bill_no)):
        wrong = str((int(number[place]) + off) % 10)
        assert not valid(number[:place] + wrong + number[place + 1 :])


@given(SERIALS, st.integers(0, 11))
def test_swapped_neighbours_are_found(serial: int, place: int) -> None:
    number = request_no(serial)
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert swapped == number or not valid_request_no(swapped)


def test_what_is_no_number_is_not_valid() -> None:
    for text in ("", "0", "x" * 13, "٠" * 13, "0" * 12, "0" * 14, " " + "0" * 12):
        assert not valid_request_no(text) and not valid_bill_no(text)


@pytest.mark.parametrize(
    ("make", "serial"), [(request_no, -1), (request_no, 9 * 10**11), (bill_no, 10**11), (bill_no, -1)]
)
def test_serials_out_of_range_are_refused(make: object, serial: int) -> None:
    with pytest.raises(ValueError):
        make(serial)  # type: ignore[operator]
