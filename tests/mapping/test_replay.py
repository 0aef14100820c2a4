"""A new map over old bytes: what would be otherwise, with nobody's data in the telling."""

import json
from pathlib import Path
from typing import Any

import pytest

from hub.mapping import Map, load
from hub.mapping.replay import compare, unnumbered
from hub.mapping.shown import ours, wire

TEXT = """message: StayNotice
format: json
tables:
  city: {MK: makkah, MD: madinah, JD: jeddah, TF: taif, YN: yanbu}
  what: {IN: checked_in, OUT: checked_out}
fields:
  no:      notice_no
  house:   hotel_code
  brn:     brn
  city:    city | table city
  guests:
    each: guests
    fields:
      passport: document_no
      country:  issuing_state
      what:     outcome | table what
      at:       happened | datetime YYYY-MM-DDThh:mm:ssZ
      room:     room
"""
NOTICE: dict[str, Any] = {
    "no": "N1", "house": "H1", "brn": "B1", "city": "MK",
    "guests": [
        {"passport": "A1234567", "country": "IDN", "what": "IN", "at": "2026-02-25T10:00:00Z", "room": "7"},
        {"passport": "A7654321", "country": "IDN", "what": "OUT", "at": "2026-02-25T11:00:00Z"},
    ],
}  # fmt: skip

MAPS = sorted(Path(__file__).parents[2].glob("mappings/*/*/*/*.v*.yaml"))
SWAPPED = ("passport: document_no", "room: document_no"), ("room:     room", "passport: room")


def make(path: Path, *changes: tuple[str, str]) -> Map:
    text = TEXT
    for was, now in changes:
        assert was in text
        text = text.replace(was, now, 1)
    path.write_text(text, "utf-8")
    return load(path)


@pytest.fixture
def old(tmp_path: Path) -> Map:
    return make(tmp_path / "old.yaml")


def body(**more: Any) -> bytes:
    return json.dumps(NOTICE | more).encode()


def test_the_same_map_would_do_the_same(old: Map) -> None:
    assert compare(old, old, body(), written=False).verdict == "same"
    assert compare(old, old, old.write(old.read(body())), written=True).verdict == "same"


def test_a_code_that_means_another_thing_is_seen_in_ours(old: Map, tmp_path: Path) -> None:
    new = make(tmp_path / "new.yaml", ("IN: checked_in, OUT: checked_out", "OUT: checked_in, IN: checked_out"))
    outcome = compare(old, new, body(), written=False)
    assert outcome.verdict == "differs"
    (told,) = outcome.differences
    assert (told.place, told.was, told.now) == ("guests.outcome", "checked_in", "checked_out")


def test_a_field_that_is_no_longer_read_is_masked_when_it_is_somebodys(old: Map, tmp_path: Path) -> None:
    new = make(tmp_path / "new.yaml", ("passport: document_no", "passportNo: document_no"))
    found = compare(old, new, body(), written=False)
    assert (found.verdict, found.why) == ("refused", "required at guests/passportNo (document_no)")
    swapped = make(
        tmp_path / "swap.yaml", ("passport: document_no", "room: document_no"), ("room:     room", "passport: room")
    )
    rooms = [{**guest, "room": "R1234567"} for guest in NOTICE["guests"]]
    differs = compare(old, swapped, body(guests=rooms), written=False)
    told = {d.place: d for d in differs.differences}
    assert told["guests.document_no"].was == "A…7 (8)"
    assert "A1234567" not in repr([d for d in differs.differences if d.place == "guests.document_no"])


def test_what_the_old_map_refused_and_the_new_one_takes_is_mended(old: Map, tmp_path: Path) -> None:
    new = make(tmp_path / "new.yaml", ("YN: yanbu", "YN: yanbu, MAK: makkah"))
    assert compare(old, new, body(city="MAK"), written=False).verdict == "mended"
    assert compare(old, new, body(city="??"), written=False).verdict == "unread"
    assert compare(old, new, b"no json", written=False).verdict == "unread"


def test_what_we_wrote_is_compared_on_the_wire(old: Map, tmp_path: Path) -> None:
    wrote = old.write(old.read(body()))
    new = make(tmp_path / "new.yaml", ("MK: makkah", "MKX: makkah, MK: makkah"), ("  brn:     brn", "  BRN:     brn"))
    outcome = compare(old, new, wrote, written=True)
    assert outcome.verdict == "differs"
    assert {(d.side, d.place, d.was, d.now) for d in outcome.differences} == {
        ("theirs", "city", "MK", "MKX"), ("theirs", "brn", "B1", ""), ("theirs", "BRN", "", "B1"),
    }  # fmt: skip


def test_what_we_could_no_longer_write_is_refused(old: Map, tmp_path: Path) -> None:
    new = make(tmp_path / "new.yaml", ("{MK: makkah, MD: madinah", '{partial: "one only", MD: madinah'))
    outcome = compare(old, new, old.write(old.read(body())), written=True)
    assert (outcome.verdict, outcome.why) == ("refused", "map_code_unknown at city (city)")


def test_two_people_with_equal_masks_are_still_two(old: Map, tmp_path: Path) -> None:
    """Values are compared as they are and only shown masked."""
    swapped = make(
        tmp_path / "swap.yaml", ("passport: document_no", "room: document_no"), ("room:     room", "passport: room")
    )
    guests = [{**NOTICE["guests"][0], "passport": "A1111117", "room": "A2222227"}]
    assert compare(old, swapped, body(guests=guests), written=False).verdict == "differs"


def test_places_are_shown_in_order_and_masked(old: Map) -> None:
    message = old.read(body())
    found = dict(ours(message))
    assert found["guests[2].document_no"] == "A…1 (8)"
    assert found["city"] == "makkah"
    assert dict(ours(message, plain=True))["guests[2].document_no"] == "A7654321"
    seen = dict(wire(old, body()))
    assert seen["guests[1]/passport"] == "A…7 (8)"
    assert seen["guests[1]/what"] == "IN"


def test_places_of_xml_csv_and_fixed_files(tmp_path: Path) -> None:
    root = Path(__file__).parents[2] / "mappings"
    for path, sample, place in (
        (
            "mofa/visa_reference/request_reference/request.v1.yaml",
            "request-family.xml",
            "Application[1]/Passport/Number",
        ),
        ("transport/trips/send_manifest/request.v1.yaml", "request-two_riders.csv", "row 2: "),
        ("banks/payments/receive_settlement/request.v1.yaml", "request-day.txt", "line 2: "),
    ):
        one = load(root / path)
        data = (root / path).parent.joinpath("examples", sample).read_bytes()
        found = dict(wire(one, data))
        assert any(where.startswith(place) for where in found), (path, list(found)[:5])
        assert one.write(one.read(data)) == data or wire(one, one.write(one.read(data))) == wire(one, data)


@pytest.mark.parametrize(
    ("place", "bare"),
    [("a[1]/b[22]/c", "a/b/c"), ("row 7: Name", "Name"), ("line 3: 2-9", "2-9"), ("line 3", "line"), ("a.b", "a.b")],
)
def test_equal_places_of_many_rows_count_as_one(place: str, bare: str) -> None:
    assert unnumbered(place) == bare


@pytest.mark.parametrize("path", MAPS, ids=lambda path: "/".join(path.parts[-3:]))
def test_every_map_replays_its_own_examples(path: Path) -> None:
    one = load(path)
    for sample in one.examples:
        if sample.suffix == ".xlsx":
            continue
        beside = sample.with_name(sample.name.removesuffix(sample.suffix) + ".canonical.json")
        order = json.loads(beside.read_text("utf-8")).get("date_order")
        assert compare(one, one, sample.read_bytes(), written=False, date_order=order).verdict == "same"
        assert ours(one.read(sample.read_bytes(), date_order=order))
        assert wire(one, sample.read_bytes())
