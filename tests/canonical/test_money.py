from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.canonical.codes import CURRENCIES
from hub.canonical.errors import HubError
from hub.canonical.money import from_minor, to_minor


def code(call: object, *args: object) -> str:
    with pytest.raises(HubError) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value.code


@given(st.integers(-(10**15), 10**15), st.sampled_from(sorted(CURRENCIES)))
def test_minor_units_come_back(minor: int, currency: str) -> None:
    assert to_minor(from_minor(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("123.45", "SAR", 12345),
        ("0.001", "KWD", 1),
        ("500", "JPY", 500),
        ("1E+2", "SAR", 10000),
        ("1.50000", "SAR", 150),
    ],
)
def test_each_currency_has_its_own_places(amount: str, currency: str, minor: int) -> None:
    assert to_minor(Decimal(amount), currency) == minor


def test_from_minor_keeps_the_places() -> None:
    assert [str(from_minor(100, currency)) for currency in ("SAR", "KWD", "JPY")] == ["1.00", "0.100", "100"]


def test_nothing_is_rounded_and_no_currency_guessed() -> None:
    for amount in ("0.005", "NaN", "Infinity"):
        assert code(to_minor, Decimal(amount), "SAR") == "money_places"
    assert code(to_minor, Decimal("0.5"), "JPY") == "money_places"
    assert code(to_minor, Decimal(1), "XYZ") == code(from_minor, 1, "sar") == "currency_unknown"


def test_a_season_of_twenty_billion_adds_up_to_the_halala() -> None:
    vouchers = [Decimal(20_000_000_000_00 // 7 + n) / 100 for n in range(7)]
    assert from_minor(sum(to_minor(v, "SAR") for v in vouchers), "SAR") == sum(vouchers) > 2 * 10**10
