"""Money: decimals with their ISO 4217 currency outside, whole minor units (halalas, cents) where it is stored."""

from decimal import Decimal

from hub.canonical.codes import CURRENCIES
from hub.canonical.errors import HubError


def to_minor(amount: Decimal, currency: str) -> int:
    """*amount* in the currency's minor unit.  An amount finer than that unit is refused, never rounded."""
    scaled = amount.scaleb(_places(currency)) if amount.is_finite() else Decimal("0.1")
    if scaled != scaled.to_integral_value():
        raise HubError("money_places", limit=_places(currency))
    return int(scaled)


def from_minor(minor: int, currency: str) -> Decimal:
    """The decimal amount of *minor* units, with exactly the currency's places: 12345 in SAR is 123.45."""
    return Decimal(minor).scaleb(-_places(currency))


def _places(currency: str) -> int:
    if currency not in CURRENCIES:
        raise HubError("currency_unknown")
    return CURRENCIES[currency]
