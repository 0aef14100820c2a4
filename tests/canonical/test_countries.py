import re

import pytest

from hub.canonical.countries import STATES, name


def test_icao_codes_stand_beside_iso() -> None:
    assert {"SAU", "IDN", "DEU", "D", "RKS", "XXA", "XXB", "XXC", "XXX", "UNO", "UNA"} <= STATES
    assert not {"UTO", "XKX", "SA", "", "ZZZ"} & STATES


@pytest.mark.parametrize("code", sorted(STATES))
def test_every_state_has_a_name_in_both_languages(code: str) -> None:
    assert re.fullmatch("[A-Z]{1,3}", code)
    assert re.search("[A-Za-z]", name(code)) and not re.search("[\u0621-\u064a]", name(code))
    assert re.search("[\u0621-\u064a]", name(code, "ar")) and not re.search("[A-Za-z]", name(code, "ar"))


def test_names_as_people_say_them() -> None:
    assert (name("TUR"), name("TUR", "ar"), name("IDN", "ar")) == ("Türkiye", "تركيا", "إندونيسيا")
    with pytest.raises(KeyError):
        name("ZZZ")
