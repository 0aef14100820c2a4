"""Invented pilgrims: names in Latin and Arabic, passports with a machine readable zone that agrees with them."""

import random
import string
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hub.canonical.entities import ArabicName, Companion, Document, Name, Person
from hub.canonical.messages.desk import Filing
from hub.canonical.mrz import td3

Part = tuple[str, str]
YEAR = 365.25

#: Who stands behind an agent's counter besides the country's own people: nationality -> share in a hundred.
ABROAD: Mapping[str, Mapping[str, int]] = {
    "GBR": {"PAK": 15, "IND": 15, "BGD": 10, "NGA": 5, "XXB": 2},
    "IDN": {"MYS": 10},
    "PAK": {"IND": 2},
    "MAR": {"DZA": 20},
    "EGY": {"YEM": 10},
    "TUR": {"DZA": 4, "EGY": 3},
}
_PROFESSIONS = ("teacher", "farmer", "trader", "nurse", "driver", "engineer", "retired", "tailor", "clerk")
# Countries of residence -> dialling code and digits of a subscriber, for telephone numbers that nobody has.
_DIALS = {"IDN": "+6299", "PAK": "+9209", "EGY": "+2099", "NGA": "+23400", "TUR": "+9000", "MAR": "+21200",
          "BGD": "+88000", "GBR": "+447700900"}  # fmt: skip


@cache
def _names() -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = yaml.safe_load(Path(__file__).with_name("names.yaml").read_text("utf-8"))
    return found


class People:
    """A source of pilgrims, the same for the same *dice*.  No two have the same passport number."""

    def __init__(self, dice: random.Random, today: date) -> None:
        self._dice = dice
        self._today = today
        self._numbers: set[str] = set()

    def nationality(self, country: str) -> str:
        """The nationality of somebody who lives in *country* and books there."""
        drawn = self._dice.randrange(100)
        for state, share in ABROAD.get(country, {}).items():
            if drawn < share:
                return state
            drawn -= share
        return country

    def family(self, country: str, size: int) -> list[Filing]:
        """*size* people of one surname who live in *country*: one or two grown-ups, the rest minors, each minor with
        a grown-up of the family as companion."""
        nationality = self.nationality(country)
        surname = self._one(nationality, "families")
        head = self.adult(country, nationality, sex="male", surname=surname, ages=(32, 58))
        members = [head]
        if size > 2:
            members.append(self.adult(country, nationality, sex="female", surname=surname, ages=(28, 50)))
        while len(members) < size:
            minder, relation = (members[1], "mother") if len(members) == 4 else (head, "father")
            child = self._person(country, nationality, self._dice.choice(("male", "female")), surname, (1, 16), head)
            members.append(
                self._filing(
                    child,
                    Companion(
                        number=minder.document.number, issuing_state=minder.document.issuing_state, relation=relation
                    ),
                )
            )
        return members

    def adult(
        self,
        country: str,
        nationality: str | None = None,
        *,
        sex: str | None = None,
        surname: Part | None = None,
        ages: tuple[int, int] = (19, 78),
    ) -> Filing:
        nationality = nationality or self.nationality(country)
        return self._filing(
            self._person(
                country, nationality, sex or self._dice.choice(("male", "female")),
                surname or self._one(nationality, "families"), ages, None,
            )
        )  # fmt: skip

    def _one(self, nationality: str, kind: str) -> Part:
        latin, arabic = self._dice.choice(_names()[_homeland(nationality)][kind])
        return latin, arabic

    def _person(
        self, country: str, nationality: str, sex: str, surname: Part, ages: tuple[int, int], father: Filing | None
    ) -> Person:
        dice, home = self._dice, _homeland(nationality)
        given = self._one(nationality, "men" if sex == "male" else "women")
        shape = dice.choice(_names()[home]["shape"])
        name, name_ar = Name(family=surname[0], given=given[0]), ArabicName(family=surname[1], given=given[1])
        if shape == "one" and father is None:
            name, name_ar = Name(family=given[0]), ArabicName(family=given[1])
        elif shape == "four":
            above = (
                (father.person.name.given, father.person.name_ar.given)
                if father and father.person.name_ar
                else self._one(nationality, "men")
            )
            beyond = self._one(nationality, "men")
            name.father, name_ar.father = above
            name.grandfather, name_ar.grandfather = beyond
        grown = ages[0] >= 18
        born = self._today - timedelta(days=int(dice.uniform(ages[0] + 0.5, ages[1]) * YEAR))
        return Person(
            name=name,
            name_ar=name_ar,
            sex=sex,
            birth_date=born,
            birth_place=dice.choice(_names()[home]["places"]),
            nationality=nationality,
            residence=country,
            marital_status=dice.choice(("married", "married", "widowed", "single")) if grown else "single",
            profession=dice.choice(_PROFESSIONS) if grown else None,
            mobile=f"{_DIALS.get(country, '+99900')}{dice.randrange(1000):03d}{dice.randrange(1000):03d}"[:16]
            if grown
            else None,
        )

    def _filing(self, person: Person, companion: Companion | None = None) -> Filing:
        dice = self._dice
        refugee = person.nationality == "XXB"
        issued = self._today - timedelta(days=dice.randrange(60, 1400))
        document = Document(
            # A refugee's papers are made by the state of residence (Convention travel document).
            kind="travel_document" if refugee else "ordinary",
            number=self.number(_names()[_homeland(person.nationality)]["passport"]),
            issuing_state=person.residence if refugee else person.nationality,
            issued_on=issued,
            expires_on=_ten_years(issued),
            issue_place=person.birth_place,
        )
        document.mrz = td3(document, person)
        return Filing(person=person, document=document, companion=companion)

    def number(self, pattern: str = "A99999999") -> str:
        """A passport number of *pattern* that nobody of this season has."""
        while True:
            drawn = "".join(
                self._dice.choice(string.digits if sign == "9" else string.ascii_uppercase) for sign in pattern
            )
            if drawn not in self._numbers:
                self._numbers.add(drawn)
                return drawn


def _homeland(nationality: str) -> str:
    """Whose names and number patterns somebody of *nationality* has: refugees (ICAO code XXB) are given Yemen's."""
    return nationality if nationality in _names() else "YEM"


def _ten_years(issued: date) -> date:
    day = min(issued.day, 28)
    return issued.replace(year=issued.year + 10, day=day)
