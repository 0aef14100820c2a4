"""Programmes that a company could sell: every night housed, every leg carried, insured, with tickets in and out."""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from hub.canonical.entities import HousingLine, Insurance, Passage, Programme, Room, Service, TransportLine


class Hotel(NamedTuple):
    code: str
    licence: str
    city: str


class Port(NamedTuple):
    """A way into the Kingdom: who records the crossing, by what one comes, and the city on whose side it lies (None:
    far from all of them, and the coach one came with goes on to the first house)."""

    post: str
    mode: str
    city: str | None
    carriers: tuple[str, ...]


PORTS: Mapping[str, Port] = {
    "JED": Port("post_jed", "air", "jeddah", ("SV", "XY", "GA", "PK", "MS")),
    "MED": Port("post_med", "air", "madinah", ("SV", "TK", "F3", "AT")),
    "YNB": Port("post_ynb", "sea", "yanbu", ("NML",)),
    "WAD": Port("post_wad", "land", None, ("SAP",)),
}
_BY_PORT = (("JED", 62), ("MED", 30), ("YNB", 4), ("WAD", 4))
_ROOMS = {1: "single", 2: "double", 3: "triple", 4: "quad", 5: "quint"}
_RATES = {1: 260, 2: 310, 3: 380, 4: 440, 5: 500}
_COVER = timedelta(days=90)


def hotels(table: Path) -> list[Hotel]:
    """The licensed houses of code table *table* (``mappings/tables/hotels.csv``)."""
    with table.open(encoding="utf-8", newline="") as file:
        return [Hotel(row["code"], row["licence"], row["city"]) for row in csv.DictReader(file)]


@dataclass(frozen=True, slots=True)
class Market:
    """What there is to book: houses of Makkah and of Madinah, and the codes of road carriers."""

    makkah: Sequence[Hotel]
    madinah: Sequence[Hotel]
    carriers: Sequence[str]

    @classmethod
    def of(cls, houses: Sequence[Hotel], carriers: Sequence[str]) -> "Market":
        return cls(
            makkah=[h for h in houses if h.city == "makkah"],
            madinah=[h for h in houses if h.city == "madinah"],
            carriers=carriers,
        )

    def programme(self, dice: random.Random, ref: str, heads: int, arrives: date, port: str | None = None) -> Programme:
        """A programme of four to seven nights for *heads* people that begins on *arrives*."""
        port = port or dice.choices([name for name, _ in _BY_PORT], [share for _, share in _BY_PORT])[0]
        leaves_by = {"JED": ("JED", "MED"), "MED": ("JED", "MED")}.get(port, (port,))
        way_in, way_out = PORTS[port], PORTS[exit_port := dice.choice(leaves_by)]
        nights = dice.randrange(4, 8)
        first = dice.randrange(2, nights - 1)
        # The house nearer to the port of entry comes first; a group that leaves from Madinah's airport ends there.
        towns = ["makkah", "madinah"]
        if way_in.city in ("madinah", "yanbu") and exit_port != "MED":
            towns.reverse()
        turns, leaves = arrives + timedelta(days=first), arrives + timedelta(days=nights)
        route = [(way_in.city, towns[0], arrives), (towns[0], towns[1], turns), (towns[1], way_out.city, leaves)]
        legs = [(origin, to, on) for origin, to, on in route if origin and to and origin != to]
        return Programme(
            arrival=self._passage(dice, port, way_in, arrives),
            departure=self._passage(dice, exit_port, way_out, leaves),
            housing=[
                self._house(dice, "H1", towns[0], heads, arrives, turns),
                self._house(dice, "H2", towns[1], heads, turns, leaves),
            ],
            transport=[self._leg(dice, f"T{n}", heads, *leg) for n, leg in enumerate(legs, 1)],
            insurance=Insurance(
                policy=f"UMR-{ref}", insurer="POOL", starts_on=arrives, ends_on=arrives + _COVER,
                price=Decimal("63.25") * heads,
            ),
            services=[
                Service(kind=kind, code=f"{kind[:3].upper()}-01", price=Decimal(price) * heads)
                for kind, price in (("reception", "25.00"), ("zamzam", "9.50"), ("guide", "40.00"))
            ],
        )  # fmt: skip

    def _passage(self, dice: random.Random, port: str, way: Port, day: date) -> Passage:
        return Passage(
            mode=way.mode, carrier=dice.choice(way.carriers), number=str(dice.randrange(100, 9999)), port=port, on=day,
            ticket=f"065{dice.randrange(10**10):010d}",
        )  # fmt: skip

    def _house(self, dice: random.Random, line: str, city: str, heads: int, come: date, go: date) -> HousingLine:
        hotel = dice.choice(self.makkah if city == "makkah" else self.madinah)
        board = dice.choice(("none", "breakfast", "half"))
        full, left = divmod(heads, 4)
        beds = [4] * full + ([left] if left else [])
        rooms = [Room(kind=_ROOMS[n], board=board, beds=n, rate=Decimal(_RATES[n])) for n in beds]
        return HousingLine(
            line=line, hotel_code=hotel.code, licence=hotel.licence, city=city, check_in=come, check_out=go,
            heads=heads, rooms=rooms, price=sum((r.rate for r in rooms), Decimal(0)) * (go - come).days,
        )  # fmt: skip

    def _leg(
        self, dice: random.Random, line: str, heads: int, origin: str, destination: str, day: date
    ) -> TransportLine:
        # Groups under thirty take smaller vehicles.
        vehicle, each = ("bus", 50) if heads >= 30 else ("minibus", 30) if heads > 4 else ("car", 4)
        return TransportLine(
            line=line, company_code=dice.choice(self.carriers), vehicle=vehicle, origin=origin,
            destination=destination, departs_on=day, seats=each, price=Decimal(35) * heads,
        )  # fmt: skip
