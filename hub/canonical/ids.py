"""Identifiers: opaque ones for rows (UUIDv7), short ones with a check digit for people and fixed-width partners."""

import os
import threading
import time
from collections.abc import Iterable
from uuid import UUID

_lock = threading.Lock()
_last = 0

# The quasigroup of H. M. Damm (2004): finds every single wrong digit and every swap of neighbours.
_DAMM = (
    "0317598642", "7092154863", "4206871359", "1750983426", "6123045978",
    "3674209581", "5869720134", "8945362017", "9438617205", "2581436790",
)  # fmt: skip
_BILL_LEAD = 9 * 10**11


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): ordered by time, and strictly increasing within this process."""
    global _last
    with _lock:
        fresh = (time.time_ns() // 1_000_000) << 74 | int.from_bytes(os.urandom(9)) & (1 << 72) - 1
        # Within one millisecond, and whenever the wall clock steps back, the next id follows the last one.
        _last = fresh if fresh > _last else _last + 1 + int.from_bytes(os.urandom(4))
        value = _last
    stamp, rand_a, rand_b = value >> 74, value >> 62 & 0xFFF, value & (1 << 62) - 1
    return UUID(int=stamp << 80 | 7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)


def check_digit(digits: str) -> str:
    """The Damm check digit of *digits*."""
    state = 0
    for digit in digits:
        state = int(_DAMM[state][int(digit)])
    return str(state)


def request_no(serial: int) -> str:
    """The number of request *serial* as people see it: twelve digits and their check digit."""
    if not 0 <= serial < _BILL_LEAD:
        raise ValueError("a request's serial is from 0 to 899,999,999,999")
    digits = f"{serial:012d}"
    return digits + check_digit(digits)


def bill_no(serial: int) -> str:
    """The number of bill *serial*: thirteen digits as well, but led by a 9, so that a teller who is given a request's
    number cannot pay somebody else's bill with it."""
    if not 0 <= serial < 10**11:
        raise ValueError("a bill's serial is from 0 to 99,999,999,999")
    digits = str(_BILL_LEAD + serial)
    return digits + check_digit(digits)


def valid_request_no(text: str) -> bool:
    return _checked(text) and text[0] != "9"


def valid_bill_no(text: str) -> bool:
    return _checked(text) and text[0] == "9"


def _checked(text: str) -> bool:
    return len(text) == 13 and text.isascii() and text.isdigit() and check_digit(text[:12]) == text[12]


def hash_total(numbers: Iterable[str | None]) -> str:
    """The sum of the digits of each number read as one: what two sides of a file compare where there is no amount."""
    return str(sum(int("".join(c for c in number or "" if "0" <= c <= "9") or 0) for number in numbers))
