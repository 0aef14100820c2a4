"""At run time the map's own line is named, what a partner sent is masked, and nothing stray escapes."""

import dataclasses
import json
import re
from datetime import date
from decimal import Decimal

import pytest

from hub.canonical.errors import HubError, catalogue
from hub.canonical.schema import undump
from hub.mapping import MapError, SoapFault
from tests.mapping.conftest import MAPS, design


def message(name):
    plain = json.loads((MAPS / "examples" / f"{name}.canonical.json").read_text("utf-8"))
    return undump(design(name).message, plain)


def sample(name, suffix):
    return (MAPS / "examples" / f"{name}.{suffix}").read_bytes()


def failing(act, *given):
    with pytest.raises(MapError) as caught:
        act(*given)
    error = caught.value
    assert error.code in catalogue(), error.code
    assert error.__cause__ is None and error.__context__ is None
    assert error.en and error.ar
    return error


def test_write_names_the_line():
    map_, visa = design("mofa-visa-request"), message("mofa-visa-request")
    visa.nationality = "FRA"
    error = failing(map_.write, visa)
    assert str(error) == (
        "maps/mofa-visa-request.yaml:37: cannot write 'Applicant/Nationality' (nationality): no code for 'FRA'"
    )
    assert (error.code, error.line, error.place, error.field) == (
        "map_code_unknown", 37, "Applicant/Nationality", "nationality",
    )  # fmt: skip


def test_write_masks_what_identifies_somebody():
    map_, bank = design("bank-settlement"), message("bank-settlement")
    bank.lines[1].payer_name = "Abdurrahman bin Auf " * 4
    error = failing(map_.write, bank)
    assert "Abdurrahman" not in str(error)
    assert str(error) == (
        "maps/bank-settlement.yaml:29: cannot write '86-145' (payer_name) of line 3: "
        "A…f (79) has 79 characters, there is room for 60"
    )
    assert error.row == 3


def test_write_names_the_character_that_does_not_fit():
    map_, bank = design("bank-settlement"), message("bank-settlement")
    bank.lines[1].payer_name = "日本"
    error = failing(map_.write, bank)
    assert str(error) == (
        "maps/bank-settlement.yaml:29: cannot write '86-145' (payer_name) of line 3: a character is not in cp1256"
    )
    assert error.code == "encoding_cannot_hold"


def test_write_names_the_item_of_a_list():
    map_, hotel = design("hotel-booking"), message("hotel-booking")
    guests = hotel.rooms[0].guests
    hotel.rooms.append(dataclasses.replace(hotel.rooms[0], guests=[guests[0], dataclasses.replace(guests[0])]))
    hotel.rooms[1].guests[1].nationality = "FRA"
    assert str(failing(map_.write, hotel)) == (
        "maps/hotel-booking.yaml:29: cannot write 'rooms/guests/doc/country' (nationality) of rooms 2, guests 2: "
        "no code for 'FRA'"
    )


def test_an_impossible_day_is_refused_by_the_schema_first():
    wire = sample("mofa-visa-request", "xml").decode().replace("1984-11-03", "1984-11-31").encode()
    error = failing(design("mofa-visa-request").read, wire)
    assert error.code == "map_schema"
    assert (error.line, error.field) == (35, "birth_date")
    assert "1984" not in str(error)


def test_the_schema_blames_a_place_in_any_envelope_and_under_any_prefix():
    text = sample("mofa-visa-request", "xml").decode().strip().replace("1984-11-03", "1984-11-31")
    prefixed = re.sub(r"<(/?)(\w)", r"<\1v:\2", text).replace("xmlns=", "xmlns:v=")
    for body in (text, prefixed):
        envelope = (
            f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{body}</e:Body></e:Envelope>'
        )
        for wire in (body, envelope):
            error = failing(design("mofa-visa-request").read, wire.encode())
            assert (error.code, error.line, error.field) == ("map_schema", 35, "birth_date"), str(error)
            assert error.place == "Application/Applicant/BirthDate"


def test_read_names_the_line_and_masks():
    wire = sample("hotel-booking", "json").decode().replace("20/02/2026", "31/02/2026").encode()
    assert str(failing(design("hotel-booking").read, wire)) == (
        "maps/hotel-booking.yaml:13: cannot read 'stay/from' (check_in): 3…6 (10) is no day of the calendar"
    )


def test_read_names_the_item_of_a_list():
    wire = sample("hotel-booking", "json").decode().replace('"lead":true', '"lead":"yes"').encode()
    assert str(failing(design("hotel-booking").read, wire)) == (
        "maps/hotel-booking.yaml:33: cannot read 'rooms/guests/lead' (is_lead) of rooms 1, guests 1: "
        "… (3) is neither true nor false"
    )
    wire = sample("vehicle", "xml").decode().replace("2027-01-01", "soon").encode()
    assert str(failing(design("vehicle").read, wire)) == (
        "maps/vehicle.yaml:32: cannot read 'Seats/Seat/Until' (expires_on) of Seats/Seat 2: "
        "… (4) is not written as YYYY-MM-DD"
    )


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ('"reference":"b-1",', "", "required", 11),
        ('"reference":"b-1"', '"reference":7', "invalid_type", 11),
        ('"reference":"b-1"', '"reference":""', "required", 11),
        ('"reference":"b-1"', '"reference":"a\\u0001b"', "invalid_characters", 11),
        ('"code":"MKH-77"', '"code":"' + "x" * 21 + '"', "invalid_length", 12),
        ('"apiVersion":"3"', '"apiVersion":"4"', "map_constant", 10),
        ('"rooms":1', '"rooms":2', "file_totals", 18),
        ('"rooms":1', '"rooms":true', "invalid_type", 18),
        ('"total":"4500.00"', '"total":"4500.005"', "invalid_value", 16),
        ('"total":"4500.00"', '"total":"NaN"', "invalid_value", 16),
        ('"total":"4500.00"', '"total":4500', "invalid_type", 16),
        ('"type":"DBL"', '"type":"XXL"', "map_code_unknown", 22),
        ('"type":"DBL"', '"type":["DBL"]', "invalid_type", 22),
        ('"rooms":[{', '"rooms":{"x":[{', None, None),
        ('"doc":{"number":"B1234567","country":"ID"}', '"doc":[]', "invalid_type", 28),
        ('{"apiVersion"', '[{"apiVersion"', None, None),
        ('"firstName":"Siti"', '"firstName":null', "required", 30),
    ],
)
def test_damaged_json(old, new, code, line):
    text = sample("hotel-booking", "json").decode()
    assert old in text
    with pytest.raises(HubError) as caught:
        design("hotel-booking").read(text.replace(old, new, 1).encode())
    if code is not None:
        assert isinstance(caught.value, MapError)
        assert (caught.value.code, caught.value.line) == (code, line), str(caught.value)


@pytest.mark.parametrize(
    "data",
    [b"[]", b"7", b"{}", b'{"rooms":{}}', b'"x"', b'{"a":1,"a":2}', b'{"a":NaN}', b"[" * 100_000, b"\xff", b""],
)
def test_what_is_no_such_json(data):
    with pytest.raises(HubError):
        design("hotel-booking").read(data)


def test_an_empty_optional_text_is_none():
    text = sample("hotel-booking", "json").decode()
    for note in ('""', "null"):
        assert design("hotel-booking").read((text.strip()[:-1] + f',"note":{note}}}').encode()).remarks is None


def test_a_record_cut_short_is_told_with_its_line_of_the_file():
    map_, wire = design("bank-settlement"), sample("bank-settlement", "txt")
    cut = wire.index(b"\n") + 40
    error = failing(map_.read, wire[:cut])
    assert error.row == 2
    assert re.search(r"yaml:\d+: cannot read line 2: must have \d+ columns, has 39$", str(error))


def test_totals_show_both_numbers():
    map_ = design("bank-settlement")
    wire = sample("bank-settlement", "txt").replace(b"612150", b"612151")
    error = failing(map_.read, wire)
    assert str(error) == "maps/bank-settlement.yaml:35: cannot read '11-28': must be 6121.50, is 6121.51"
    assert error.code == "file_totals"
    assert "6121.50" in error.en and "6121.51" in error.ar


def test_soap_fault_and_envelope():
    map_, wire = design("mofa-visa-request"), sample("mofa-visa-request", "xml")
    for space, body in (
        ("http://schemas.xmlsoap.org/soap/envelope/", "<faultcode>s:Server</faultcode><faultstring>no</faultstring>"),
        ("http://www.w3.org/2003/05/soap-envelope",
         "<s:Code><s:Value>s:Server</s:Value></s:Code><s:Reason><s:Text>no</s:Text></s:Reason>"),
    ):  # fmt: skip

        def envelope(inner: bytes, space: str = space) -> bytes:
            return f'<s:Envelope xmlns:s="{space}"><s:Header/><s:Body>'.encode() + inner + b"</s:Body></s:Envelope>"

        assert map_.read(envelope(wire)) == map_.read(wire)
        with pytest.raises(SoapFault) as caught:
            map_.read(envelope(f"<s:Fault>{body}</s:Fault>".encode()))
        assert (caught.value.fault_code, caught.value.text) == ("Server", "no")
        assert "no" not in str(caught.value).split()
        for wrong in (b"", wire + wire):
            assert failing(map_.read, envelope(wrong)).code == "map_root"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("visa/v2", "visa/v9", "xml_namespace"),
        ("SubmitVisa", "CancelVisa", "map_root"),
        ("<Season>1447</Season>", "", "map_schema"),
        ("<Season>1447</Season>", "<Season>1447</Season><Season>1447</Season>", "map_schema"),
        ("<Season>1447</Season>", "<Season>1300</Season>", "invalid_range"),
        ("<RequestId>7f3c-01<", "<RequestId><", "required"),
        ("<RequestId>7f3c-01<", "<RequestId>" + "x" * 37 + "<", "invalid_length"),
        ("+6280012345678", "0800-secret", "invalid_pattern"),
        ("<Type>P<", "<Type>Q<", "map_code_unknown"),
        ("08:30:00Z", "08:30:00", "invalid_value"),
        ("<Sex>F<", "<Sex>W<", "map_schema"),
    ],
)
def test_damaged_xml(old, new, code):
    text = sample("mofa-visa-request", "xml").decode()
    assert old in text
    error = failing(design("mofa-visa-request").read, text.replace(old, new).encode())
    assert error.code == code
    assert "secret" not in str(error)


def test_a_moment_may_be_spelled_as_xsd_allows():
    text = sample("mofa-visa-request", "xml").decode()
    read = design("mofa-visa-request").read
    plain = read(text.encode()).submitted_at
    assert read(text.replace("08:30:00Z", "11:30:00+03:00").encode()).submitted_at == plain
    assert read(text.replace("08:30:00Z", "08:30:00.250Z").encode()).submitted_at.microsecond == 250_000


def test_what_is_written_is_held_to_the_schema():
    map_, visa = design("mofa-visa-request"), message("mofa-visa-request")
    visa.fee.currency = "TOOLONG"
    error = failing(map_.write, visa)
    assert (error.code, error.doing) == ("map_schema", "write")


def test_without_a_schema_an_element_may_not_come_twice():
    text = sample("vehicle", "xml").decode()
    for old, new in (
        ("<Kind>", "<Kind>x</Kind><Kind>"),
        ("<Name>", "<Name>x</Name><Name>"),
        ("<Number>1A", "<Number>x</Number><Number>1A"),
    ):
        assert failing(design("vehicle").read, text.replace(old, new, 1).encode()).code == "map_repeated"


def test_a_part_is_refused_where_its_condition_fails():
    for name in ("vehicle", "vehicle-json"):
        map_, vehicle = design(name), message(name)
        vehicle.kind = "train"
        error = failing(map_.write, vehicle)
        assert error.code == "map_condition"
        assert error.text == ("is only there when kind is " + ("bus" if name == "vehicle" else "not train"))
        wire = map_.write(message(name))
        other = wire.replace(b"&lt;B&gt;", b"T").replace(b'"kind":"B"', b'"kind":"T"')
        assert other != wire
        assert failing(map_.read, other).code == "map_condition"
        vehicle.driver = None
        assert map_.read(map_.write(vehicle)) == vehicle


def test_xml_that_cannot_be_carried():
    map_, vehicle = design("vehicle"), message("vehicle")
    vehicle.driver.note = "a\ufffeb"
    assert failing(map_.write, vehicle).code == "invalid_characters"


def test_a_wrong_type_is_located_too():
    map_, hotel = design("hotel-booking"), message("hotel-booking")
    hotel.check_in = None
    error = failing(map_.write, hotel)
    assert (error.code, error.line) == ("required", 13)
    hotel = message("hotel-booking")
    hotel.check_in = date(1900, 1, 1)
    error = failing(map_.write, hotel)
    assert (error.code, error.line, error.text) == ("hijri_range", 15, "'1900-01-01' is outside 1343-1500 AH")
    hotel = message("hotel-booking")
    hotel.total = Decimal("1.005")
    assert b'"1.005"' in map_.write(hotel)


def test_hijri_that_never_was():
    text = sample("vehicle", "xml").decode()
    assert failing(design("vehicle").read, text.replace("1400/03/16", "1400/13/16").encode()).code == "hijri_invalid"
    assert failing(design("vehicle").read, text.replace("1400/03/16", "1300/03/16").encode()).code == "hijri_range"


def test_every_code_is_in_the_catalogue():
    for code in ("map_code_unknown", "map_condition", "map_constant", "map_formula", "map_header", "map_length",
                 "map_record", "map_repeated", "map_root", "map_schema", "map_spreadsheet", "soap_fault"):  # fmt: skip
        assert code in catalogue()
