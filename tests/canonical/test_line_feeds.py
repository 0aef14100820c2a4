"""A machine readable zone is two lines; no other text may have a line feed."""

from datetime import date

import pytest
from marshmallow import ValidationError

from hub.canonical.declare import faults
from hub.canonical.entities import Document
from hub.canonical.schema import schema_for

ZONE = "P<IDNHASAN<<BUDI".ljust(44, "<") + "\n" + "A12345678<".ljust(44, "0")
PASSPORT = {"number": "A12345678", "issuing_state": "IDN", "issued_on": "2024-01-01", "expires_on": "2030-01-01"}


def test_a_zone_keeps_its_line_feed():
    passport = schema_for(Document)().load(PASSPORT | {"mrz": ZONE})
    assert passport.mrz == ZONE
    assert list(faults(passport)) == []


@pytest.mark.parametrize(
    "given",
    [
        {"mrz": ZONE + "\n"},
        {"mrz": ZONE.replace("\n", "\r\n")},
        {"mrz": ZONE.replace("\n", "\x00")},
        {"mrz": ZONE, "issue_place": "Bandung\nWest"},
    ],
)
def test_a_line_feed_elsewhere_is_refused(given):
    with pytest.raises(ValidationError):
        schema_for(Document)().load(PASSPORT | given)


def test_faults_sees_a_line_feed_in_any_other_text():
    passport = Document(
        number="A12345678",
        issuing_state="IDN",
        issued_on=date(2024, 1, 1),
        expires_on=date(2030, 1, 1),
        issue_place="Bandung\nWest",
    )
    assert [fault.rule for fault in faults(passport)] == ["characters"]
