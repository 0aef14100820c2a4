"""One partner deliberately broken in each way proves that each check can fail.

Every row is one mistake in an adapter that is in order: the rule is kept before it and broken after it.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.conformance import RULES, check

HOUSING, VISA, MISSIONS, BANKS = "housing/bookings", "mofa/visa_reference", "mofa/missions", "banks/payments"
MANIFEST = "adapters/{}/adapter.yaml"

#: A partner that does again whatever it is asked again.
_CARELESS = """
def received(world, partner, operation, message, decided):
    if not decided:
        row = world._books.db.execute("SELECT effect_key, received FROM effect").fetchone()
        number = world._books.db.execute("SELECT count(*) FROM effect").fetchone()[0]
        world._books.decide(partner, operation, row[0], f"again {number}", {}, world.now, row[1], None)
"""


def swap(path: str, there: str, mistake: str) -> Callable[[Path], None]:
    def plant(home: Path) -> None:
        file = home / path
        text = file.read_text("utf-8")
        assert there in text, f"{there} is not in {path}"
        file.write_text(text.replace(there, mistake, 1), "utf-8")

    return plant


def write(path: str, text: str) -> Callable[[Path], None]:
    return lambda home: (home / path).write_text(text, "utf-8") and None


def remove(*paths: str) -> Callable[[Path], None]:
    def plant(home: Path) -> None:
        for path in paths:
            (home / path).unlink()

    return plant


#: rule → the adapter, the mistake, and what is said of it
MISTAKES: dict[str, list[tuple[str, Callable[[Path], None], str]]] = {
    "manifest": [
        (HOUSING, swap(MANIFEST.format(HOUSING), "when: housing.requested", "when: housing.wanted"),
         "'when' cannot be 'housing.wanted'; did you mean"),
        (HOUSING, swap(MANIFEST.format(HOUSING), "find: {request: [document_no]}", "find: {request: [passport]}"),
         "no field 'passport'"),
    ],
    "contract": [
        (HOUSING, swap(MANIFEST.format(HOUSING), "path: /bookings,", "path: /reservations,"),
         "has no POST /reservations"),
        (VISA, swap(f"adapters/{VISA}/visa_reference.wsdl", "SubmitApplications", "SubmitForms"),
         "is not the file that was pinned"),
        (VISA, swap(MANIFEST.format(VISA), "port: VisaReferencePort", "port: VisaPort"), "port"),
        (MISSIONS, write(f"adapters/{MISSIONS}/missions.xsd", "<xs:schema"), ""),
        (HOUSING, write(f"adapters/{HOUSING}/bookings.openapi.yaml", ""), "is empty"),
    ],
    "maps": [
        (HOUSING, swap(f"mappings/{HOUSING}/confirm_booking/request.v1.yaml", "check_in", "chek_in"),
         "did you mean 'check_in'?"),
        (HOUSING, remove(f"mappings/{HOUSING}/receive_stay/reply.v1.yaml"), "is not there"),
        (HOUSING, swap(f"mappings/{HOUSING}/find_booking/request.v1.yaml", "format: json", "format: json\ndraft: yes"),
         "is a draft"),
    ],
    "examples": [
        (HOUSING, swap(f"mappings/{HOUSING}/confirm_booking/examples/request-two_rooms.json", "MKH", "MDN"),
         "is not read as"),
        (HOUSING, remove(*(f"mappings/{HOUSING}/receive_stay/examples/request-in_and_out{e}"
                           for e in (".json", ".canonical.json"))), "has no example pair"),
        (HOUSING, write(f"mappings/{HOUSING}/receive_stay/examples/request-in_and_out.canonical.json", "{}"),
         "is no StayNotice"),
    ],
    "laws": [
        # The contract turns out to allow nothing but the example.
        (MISSIONS, swap(f"adapters/{MISSIONS}/missions.xsd", '<xs:element name="Mission" type="p:Partner"/>',
                        '<xs:element name="Mission"><xs:simpleType><xs:restriction base="xs:string">'
                        '<xs:enumeration value="mission_jakarta"/></xs:restriction></xs:simpleType></xs:element>'),
         "breaks a law of maps"),
    ],
    "purpose": [
        (HOUSING, swap("mappings/purposes.yaml", "stay.room", "visa.number"), "carries 'stay.room'"),
        (HOUSING, swap(MANIFEST.format(HOUSING), "purpose: housing", "purpose: howsing"), "no purpose 'howsing'"),
    ],
    "round_trip": [
        (HOUSING, swap(MANIFEST.format(HOUSING), "effect: {key: /reference,", "effect: {key: /group,"),
         "is not our key"),
        (HOUSING, swap(MANIFEST.format(HOUSING), "    effect: {key: /reference, of: /reference}\n", ""),
         "nobody can play its partner"),
        (VISA, swap(MANIFEST.format(VISA), 'each: "//v:Application"', 'each: "//v:Person"'), "finds nothing"),
        (MISSIONS, swap(MANIFEST.format(MISSIONS), 'key: "p:Key"', 'key: "p:PassportNo"'), "is not our key"),
    ],
    "faults": [
        (HOUSING, write(f"adapters/{HOUSING}/simulate.py", _CARELESS), "it was done"),
        (MISSIONS, write(f"adapters/{MISSIONS}/simulate.py", "def received(*_):\n    raise ValueError\n"),
         "is not taken once"),
    ],
    "released": [(HOUSING, swap(MANIFEST.format(HOUSING), "channel: rest", "draft: true\nchannel: rest"), "a draft")],
    "quirks": [
        (HOUSING, write(f"adapters/{HOUSING}/QUIRKS.md", "# Oddities\n\nTo do.\n"), "does not say yet"),
        (HOUSING, remove(f"adapters/{HOUSING}/QUIRKS.md"), "does not say yet"),
    ],
    "outcomes": [
        (BANKS, remove(*(f"mappings/{BANKS}/send_bill/examples/reply-registered{e}"
                         for e in (".json", ".canonical.json"))), "shows outcome 'registered'"),
    ],
    "covered": [
        (BANKS, remove(*(f"mappings/{BANKS}/send_bill/examples/reply-rejected{e}"
                         for e in (".json", ".canonical.json"))), "no example fills 'reason'"),
    ],
    "enquiry": [
        (HOUSING, swap(MANIFEST.format(HOUSING), "repeat: {keyed: key}\n    enquiry: find_booking", "repeat: never"),
         "wants an 'enquiry:'"),
    ],
    "not_done": [(HOUSING, swap(MANIFEST.format(HOUSING), "    not_done: [503]\n", ""), "'not_done:' lists no status")],
    "signed": [
        (HOUSING, swap(MANIFEST.format(HOUSING), "path: /bookings, signed: hmac", "path: /bookings"), "signed: hmac"),
    ],
    "pinned": [
        (VISA, remove(f"adapters/{VISA}/contract.sha256"), "does not list visa_reference.wsdl"),
        (VISA, swap(f"adapters/{VISA}/visa_reference.xsd", "</xs:schema>", "<!-- new -->\n</xs:schema>"),
         "is not the file that was pinned"),
    ],
    "published": [],  # told below: of the reference adapters that could keep it, SOAP ones cannot break it
    "partner": [
        (HOUSING, remove("adapters/housing/partners.yaml"), "no partner has it"),
        (HOUSING, swap("adapters/housing/partners.yaml", ', hours: "08:00-16:00 Asia/Riyadh"', ""), "the hours"),
        (HOUSING, swap("adapters/housing/partners.yaml", "zone: riyadh", "zone: 1"), "nobody can be seen to have it"),
    ],
}  # fmt: skip
ROWS = [(rule, *row) for rule, rows in MISTAKES.items() for row in rows]


def findings(settings, adapter: str, rule: str) -> list[str]:
    (one,) = [known for known in RULES if known.name == rule]
    (verdict,) = check(settings, adapter, laws=10, rules=[one]).verdicts
    return [str(finding) for finding in verdict.findings]


def test_every_rule_is_broken_here():
    assert set(MISTAKES) == {rule.name for rule in RULES}


@pytest.mark.parametrize(
    ("rule", "adapter", "plant", "says"), ROWS, ids=[f"{row[0]}-{number}" for number, row in enumerate(ROWS)]
)
def test_a_mistake_breaks_its_rule(home, settings, rule, adapter, plant, says):
    before = findings(settings, adapter, rule)
    assert before == [], "the rule is not kept to begin with"
    plant(home)
    after = findings(settings, adapter, rule)
    assert any(says in finding for finding in after), after


def test_where_the_contract_is_shown_must_be_said(home, settings):
    assert findings(settings, VISA, "published") == []
    (told,) = findings(settings, HOUSING, "published")
    assert "'published:' does not say" in told
    swap(MANIFEST.format(HOUSING), "purpose: housing", "published: /openapi.yaml\npurpose: housing")(home)
    assert findings(settings, HOUSING, "published") == []


def test_a_manifest_that_does_not_load_lets_nothing_pass(home, settings):
    (home / MANIFEST.format(HOUSING)).write_text("adapter: [\n", "utf-8")
    report = check(settings, HOUSING, laws=1)
    assert report.tier is None and not report.passed
    unseen = {v.rule.name for v in report.verdicts if any("cannot be looked at" in f.text for f in v.findings)}
    assert unseen == {rule.name for rule in RULES if not rule.before}


def test_what_is_pinned_anew_is_sound_again(home, settings):
    swap(f"adapters/{VISA}/visa_reference.xsd", "</xs:schema>", "<!-- new -->\n</xs:schema>")(home)
    folder = home / "adapters" / VISA
    pins = (hashlib.sha256((folder / name).read_bytes()).hexdigest() + f"  {name}\n"
            for name in ("visa_reference.wsdl", "visa_reference.xsd"))  # fmt: skip
    (folder / "contract.sha256").write_text("".join(pins))
    assert findings(settings, VISA, "pinned") == findings(settings, VISA, "contract") == []
