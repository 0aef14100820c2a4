from collections.abc import Callable

import pytest

from hub.demo.programmes import Market, hotels
from hub.demo.season import Office, Season, make
from hub.settings import load

OFFICES = [
    Office(f"agent_{country.lower()}_1", country, f"company_{number % 4 + 1}", order)
    for number, (country, order) in enumerate(
        [("IDN", None), ("PAK", None), ("EGY", "DMY"), ("NGA", None), ("TUR", "DMY"), ("MAR", "DMY"), ("BGD", None),
         ("GBR", "DMY")]
    )
]  # fmt: skip


@pytest.fixture
def season() -> Callable[..., Season]:
    """A season of the real hotels and carriers, by seed and number of pilgrims."""
    houses = hotels(load(None, {}).home / "mappings" / "tables" / "hotels.csv")
    market = Market.of(houses, ["BUS-BADR", "BUS-HIJAZ", "BUS-SAFWA"])

    def of(pilgrims: int, seed: int = 1) -> Season:
        return make(seed, pilgrims, OFFICES, market)

    return of
