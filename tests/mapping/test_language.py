"""What the language can say, beyond what the design's three maps use."""

import dataclasses
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis.errors import FailedHealthCheck

from hub.canonical.schema import dump
from hub.mapping import MapError, MapFaults, check, laws, load, try_sample
from tests.mapping.conftest import MAPS, design
from tests.mapping.messages import MESSAGES, Driver, Drivers, Licence, Vehicle


def vehicle(**changes):
    driver = Driver(name="Omar", born=date(1980, 2, 3), trips=7, score=Decimal("-2.50"), active=True)
    given = {"plate": "1234", "kind": "bus", "driver": driver, "seats": [Licence(number="1")], "total": Decimal("9.00")}
    return Vehicle(**given | changes)


FORMS = """
message: Vehicle
format: {format}
{root}
tables: {{kind: {{B: bus, T: train, partial: none yet}}}}
fields:
  Plate: plate | text
  Kind: kind | table kind
  Name: {{field: driver.name, default: nobody}}
  Born: driver.born | date YYYY
  Trips: driver.trips | {number}
  Score: driver.score | {number}
  Active: driver.active | text
  Phone: driver.phone | text
  No: driver.licence.number
  Expires: driver.licence.expires_on | text
  Total: total | decimal 2
  Count: = count(seats) | text
  Sum: = count(seats) | number
  Seat:
    each: seats
    fields:
      No: number
"""


@pytest.mark.parametrize(
    ("format", "root", "number"), [("xml", "root: V", "text"), ("json", "", "number"), ("json", "", "text")]
)
def test_forms(loaded, format, root, number):
    text = FORMS.format(format=format, root=root, number=number).replace(
        "driver.born | date YYYY", "{field: driver.born, form: date YYYY, lossy: the year is all they keep}"
    )
    map_ = loaded(text)
    message = vehicle()
    message.driver.born = date(1980, 1, 1)
    assert map_.read(map_.write(message)) == message
    laws.hold(map_, 30)


def test_forms_that_do_not_fit(faults):
    found = faults(FORMS.format(format="json", root="", number="number"))
    assert found == [
        "10: form 'date YYYY' loses MM DD of date 'driver.born'; "
        "give a fuller form, or say 'only: write', or 'lossy: WHY'"
    ]


def test_json_numbers_are_numbers(loaded):
    text = FORMS.format(format="json", root="", number="number").replace("date YYYY", "date YYYY-MM-DD")
    map_ = loaded(text)
    wire = json.loads(map_.write(vehicle()))
    assert (wire["Trips"], wire["Score"], wire["Active"], wire["Count"], wire["Sum"]) == (7, -2.5, "true", "1", 1)
    for key, value in (
        ("Score", "2.5"),
        ("Score", True),
        ("Score", 2.555),
        ("Active", "yes"),
        ("Trips", 7.0),
        ("Born", 1980),
    ):
        with pytest.raises(MapError):
            map_.read(json.dumps(wire | {key: value}).encode())
    assert map_.read(json.dumps(wire | {"Score": 3}).encode()).driver.score == Decimal("3.00")


def test_a_json_number_of_many_digits(faults):
    text = "message: SettlementFile\nformat: json\nfields:\n  a: file_no | number\n"
    text += "  l:\n    each: lines\n    fields: {s: = sum(x.y)}\n"
    assert "7: no field 'x' in SettlementLine" in faults(text)
    bank = "message: HotelBooking\nformat: json\nfields:\n  s: = sum(rooms.rate) | number\n"
    assert any("a JSON number carries 15 exactly: take '| text'" in fault for fault in faults(bank))


CONDITIONS = """
message: Vehicle
format: xml
root: V
tables: {kind: {B: bus, T: train}}
fields:
  Plate: plate
  Kind: kind | table kind
  Driver:
    group: driver
    fields:
      Name: name
      Born: born
      Trips: trips
      Score: score
      Active: active
      Paper:
        group: licence
        when: CONDITION
        fields: {No: number, Until: expires_on}
      Phone: phone
  Seats/Seat:
    each: seats
    fields: {No: number}
  Total: total
"""


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("active is true", {"active": True}),
        ("active is not true", {"active": False}),
        ("trips is 3", {"trips": 3}),
        ("score is 1.5", {"score": Decimal("1.50")}),
        ("phone is not none", {"phone": "+9665000000"}),
        ("phone is none", {"phone": None}),
    ],
)
def test_conditions(loaded, condition, holds):
    map_ = loaded(CONDITIONS.replace("CONDITION", condition))
    message = vehicle()
    message.driver = dataclasses.replace(message.driver, licence=Licence(number="L"), **holds)
    wire = map_.write(message)
    assert map_.read(wire) == message
    laws.hold(map_, 30)


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("active is yes", "'active' is never 'yes': it is true or false"),
        ("score is much", "'score' is never 'much': it is a decimal"),
        ("born is now", "'born' is never 'now': it is a date"),
    ],
)
def test_conditions_that_never_hold(faults, condition, wanted):
    assert faults(CONDITIONS.replace("CONDITION", condition)) == [f"19: {wanted}"]


PARTS = """
message: GroupOfParts
format: FORMAT
ROOT
fields:
  head:
    group: head
    fields: {no: number}
  more:
    group: more
    fields: {no: number}
  tail/a: tail.number
"""


def test_parts_that_are_always_there(write_map):
    from hub.canonical.declare import canonical, plain

    @canonical
    class GroupOfParts:
        head: Licence = plain()
        more: Licence | None = plain(default=None)
        tail: Licence = plain()

    message = GroupOfParts(head=Licence(number="1"), tail=Licence(number="2"))
    for format, root in (("json", ""), ("xml", "root: A/B")):
        path = write_map(PARTS.replace("FORMAT", format).replace("ROOT", root))
        # The annotation names a class of this module's making.
        GroupOfParts.__annotations__ |= {"head": Licence, "more": Licence | None, "tail": Licence}
        map_ = load(path, messages={"GroupOfParts": GroupOfParts})
        assert map_.read(map_.write(message)) == message
        laws.hold(map_, 20)
        if format == "xml":
            for wrong in (b"<A/>", b"<A><B/><B/></A>"):
                with pytest.raises(MapError) as caught:
                    map_.read(wrong)
                assert caught.value.code == "map_root"


def test_text_of_digits_alone(loaded):
    text = (
        "message: Drivers\nformat: csv\nrecords:\n  d:\n    each: rows\n    fields:\n      n: name\n"
        "      b: born | date DD.MM.YYYY\n      t: trips | digits\n      s: score | text\n      a: active | text\n"
    )
    map_ = loaded(text)
    assert map_.write(Drivers(rows=[vehicle().driver])) == b"n,b,t,s,a\nOmar,03.02.1980,7,-2.50,true\n"
    laws.hold(map_, 30)


def test_digits_only_where_they_are_all(tmp_path):
    path = tmp_path / "bill.v1.yaml"
    path.write_text(
        "message: BillEnquiry\nformat: fixed\nlength: 13\nrecords: {b: {fields: {1-13: bill_no | digits}}}\n"
    )
    map_ = load(path)
    message = map_.message(bill_no="1234567890123")
    assert map_.write(message) == b"1234567890123\n"
    assert map_.read(b"1234567890123") == message
    laws.hold(map_, 20)
    with pytest.raises(MapError):
        map_.write(map_.message(bill_no="12345"))
    path.write_text("message: BillEnquiry\nformat: json\nfields: {b: bill_no | digits}\n")
    laws.hold(load(path), 20)


# --- where things lie ---------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path):
    """A repository with one operation: two versions of its request, and a reply."""
    folder = tmp_path / "mappings" / "mofa" / "visas" / "ask"
    (folder / "examples").mkdir(parents=True)
    (tmp_path / "mappings" / "tables").mkdir()
    (tmp_path / "mappings" / "tables" / "states.csv").write_text("theirs,ours\n101,PAK\n102,IDN\n", "utf-8")
    (tmp_path / "adapters" / "mofa" / "visas").mkdir(parents=True)
    (tmp_path / "adapters" / "mofa" / "visas" / "ask.xsd").write_text(SCHEMA, "utf-8")
    text = (
        "message: Guest\nformat: xml\nnamespace: urn:x\nroot: Ask\nschema: ask.xsd\n"
        "tables: {state: {file: states.csv, partial: two are enough}}\n"
        "fields: {No: document_no, State: issuing_state | table state, Name: family_name, Sex: sex}\n"
    )
    for name in ("request.v1", "request.v2", "reply.v1"):
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    return tmp_path


SCHEMA = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:x" xmlns="urn:x"
  elementFormDefault="qualified">
  <xs:element name="Ask"><xs:complexType><xs:all>
    <xs:element name="No" type="xs:string"/><xs:element name="State" type="xs:string"/>
    <xs:element name="Name" type="xs:string"/><xs:element name="Sex" type="xs:string"/>
  </xs:all></xs:complexType></xs:element></xs:schema>"""


def messages():
    from hub.canonical.messages.housing import Guest

    return {"Guest": Guest}


def test_names_versions_tables_and_schemas(home):
    folder = home / "mappings" / "mofa" / "visas" / "ask"
    map_ = load(folder / "request.v2.yaml", messages=messages())
    assert (map_.name, map_.version, map_.active) == ("mofa/visas/ask/request", 2, False)
    assert map_.carries == {"document.number", "document.issuing_state", "person.name", "person.sex"}
    assert repr(map_) == "<Map mofa/visas/ask/request v2>"
    assert load(folder / "request.v2.yaml", home=home, messages=messages()).hash == map_.hash
    (home / "mappings" / "tables" / "states.csv").write_text("101,PAK\n", "utf-8")
    assert load(folder / "request.v2.yaml", messages=messages()).hash != map_.hash
    (home / "mappings" / "tables" / "states.csv").write_text("101,PAK,x\n", "utf-8")
    assert "row 1 of 'states.csv' has not two columns" in str(check([folder / "reply.v1.yaml"], messages=messages())[0])
    with pytest.raises(MapFaults) as caught:
        load(folder / "reply.v1.yaml", messages=messages())
    assert str(caught.value).startswith("mappings/mofa/visas/ask/reply.v1.yaml:6: table 'state'")


def test_whose_example_it_is(home):
    folder = home / "mappings" / "mofa" / "visas" / "ask"
    for name in ("request-short", "request.v2-long", "reply", "replying", "other"):
        (folder / "examples" / f"{name}.canonical.json").write_text("{}")
        (folder / "examples" / f"{name}.xml").write_text("<x/>")

    def names(map_name: str) -> list[str]:
        return [path.name for path in load(folder / f"{map_name}.yaml", messages=messages()).examples]

    assert names("request.v1") == ["request-short.xml"]
    assert names("request.v2") == ["request-short.xml", "request.v2-long.xml"]
    assert names("reply.v1") == ["reply.xml"]
    for name in ("request.v2", "reply.v1"):
        (folder / f"{name}.yaml").rename(folder / f"{name}.txt")
    assert "other.xml" in names("request.v1")
    odd = folder / "a b.yaml"
    odd.write_text((folder / "request.v1.yaml").read_text())
    assert load(odd, messages=messages()).examples == ()


def test_check_tells_of_every_file(home):
    folder = home / "mappings" / "mofa" / "visas" / "ask"
    (folder / "bad.v1.yaml").write_text("a: [")
    found = check([folder / "request.v1.yaml", folder / "bad.v1.yaml", folder / "none.v1.yaml"], messages=messages())
    assert [(Path(fault.path).name, fault.line, fault.level) for fault in found] == [
        ("bad.v1.yaml", 1, "error"), ("none.v1.yaml", 1, "error"),
    ]  # fmt: skip


def test_warnings_do_not_stop_a_map(planted, write_map):
    text = (MAPS / "bank-settlement.yaml").read_text("utf-8")
    text = text.replace("86-145:  payer_name", "86-125:  payer_name").replace("146-160:", "126-160:")
    map_ = load(write_map(text), messages=MESSAGES)
    assert [fault.level for fault in map_.warnings] == ["warning"]
    laws.hold(map_, 20)


# --- schemas ------------------------------------------------------------------------------------------------------


XS = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"'


def schema(body: str, form: str = 'elementFormDefault="qualified"') -> str:
    head = f'<xs:schema {XS} targetNamespace="urn:x" xmlns="urn:x" {form}>'
    return f"{head}{body}</xs:schema>"


MAP = "message: Licence\nformat: xml\nnamespace: urn:x\nroot: L\nschema: l.xsd\n"
MAP += "fields:\n  No: number\n  Until: expires_on\n"


def licence(tmp_path, body, text=MAP, form='elementFormDefault="qualified"', **files):
    (tmp_path / "l.xsd").write_text(schema(body, form), "utf-8")
    for name, content in files.items():
        (tmp_path / f"{name}.xsd").write_text(content, "utf-8")
    (tmp_path / "l.yaml").write_text(text, "utf-8")
    return [str(fault).partition("l.yaml:")[2] for fault in check([tmp_path / "l.yaml"], messages={"Licence": Licence})]


NO = '<xs:element name="No" type="xs:string"/>'
UNTIL = '<xs:element name="Until" type="xs:date" minOccurs="0"/>'


def element(content, name="L"):
    return f'<xs:element name="{name}"><xs:complexType>{content}</xs:complexType></xs:element>'


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (element(f"<xs:sequence>{NO}{UNTIL}</xs:sequence>"), []),
        (element(f"<xs:sequence><xs:annotation/><xs:sequence>{NO}</xs:sequence>{UNTIL}"
                 "<xs:any namespace='##other' minOccurs='0'/></xs:sequence>"), []),
        (element(f"<xs:all>{UNTIL}{NO}</xs:all>"), []),
        (element('<xs:group ref="G"/>') + f'<xs:group name="G"><xs:sequence>{NO}{UNTIL}</xs:sequence></xs:group>', []),
        (element(f"<xs:choice maxOccurs='2'>{NO}{UNTIL}</xs:choice>"),
         ["7: No may stand many times in l.xsd: map it with 'each:'",
          "8: Until may stand many times in l.xsd: map it with 'each:'"]),
        ('<xs:element name="L" type="T"/>'
         f'<xs:complexType name="B"><xs:sequence>{NO}</xs:sequence></xs:complexType>'
         '<xs:complexType name="T"><xs:complexContent><xs:extension base="B"><xs:sequence>' + UNTIL +
         "</xs:sequence></xs:extension></xs:complexContent></xs:complexType>", []),
        (element(f'<xs:sequence>{NO}{UNTIL}</xs:sequence><xs:attributeGroup ref="A"/>') +
         '<xs:attributeGroup name="A"><xs:attribute name="v" use="required" type="xs:string"/></xs:attributeGroup>',
         ["6: @v is required by l.xsd but nothing is written to it"]),
        (element(f'<xs:sequence><xs:element name="No" type="S"/>{UNTIL}</xs:sequence>') +
         '<xs:simpleType name="S"><xs:restriction base="R"/></xs:simpleType>'
         '<xs:simpleType name="R"><xs:restriction base="xs:string"><xs:length value="4"/></xs:restriction>'
         "</xs:simpleType>",
         ["7: 'number' may have 10 characters, No takes 4: longer values are refused when written   (warning)"]),
        (element(f'<xs:sequence><xs:element name="No" type="S"/>{UNTIL}</xs:sequence>') +
         '<xs:simpleType name="S"><xs:union memberTypes="xs:string xs:token"/></xs:simpleType>', []),
        (element('<xs:sequence><xs:element name="No"><xs:complexType mixed="true"/></xs:element>'
                 f"{UNTIL}</xs:sequence>"), []),
        (element(f"<xs:sequence>{NO}<xs:element name='Until' type='xs:date'/></xs:sequence>"),
         ["8: Until is required by l.xsd, but 'expires_on' may be empty: then it is refused when written   (warning)"]),
        (element(f'<xs:sequence>{NO}{UNTIL}<xs:element ref="L" minOccurs="0"/></xs:sequence>'), []),
        ("<xs:nonsense/>", ["5: l.xsd cannot be read: schema_unreadable (file=l.xsd)"]),
    ],
)  # fmt: skip
def test_what_a_schema_may_say(tmp_path, body, wanted):
    assert licence(tmp_path, body) == wanted


def test_schemas_of_several_files(tmp_path):
    common = schema('<xs:complexType name="T"><xs:sequence>' + NO + UNTIL + "</xs:sequence></xs:complexType>")
    body = '<xs:include schemaLocation="common.xsd"/>' * 2 + '<xs:element name="L" type="T"/>'
    assert licence(tmp_path, body, common=common) == []
    imported = '<xs:import namespace="urn:y" schemaLocation="y.xsd"/>' + element(
        f"<xs:sequence>{NO}{UNTIL}</xs:sequence>"
    )
    other = f'<xs:schema {XS} targetNamespace="urn:y"><xs:element name="Q"/></xs:schema>'
    assert licence(tmp_path, imported, y=other) == []
    outside = '<xs:include schemaLocation="../common.xsd"/>' + element(f"<xs:sequence>{NO}{UNTIL}</xs:sequence>")
    assert licence(tmp_path, outside) == ["5: l.xsd cannot be read: schema_outside (file=l.xsd)"]


def test_unqualified_elements_are_named_without_a_prefix(tmp_path):
    body = element(f"<xs:sequence>{NO}{UNTIL}</xs:sequence>")
    assert any("L/No is required" in one or "No is not in l.xsd" in one for one in licence(tmp_path, body, form=""))
    text = MAP.replace("namespace: urn:x", "namespaces: {l: urn:x}").replace("root: L", "root: l:L")
    assert text != MAP
    assert licence(tmp_path, body, text, form="") == []


def test_attributes_of_the_scope(tmp_path):
    body = element(f'<xs:sequence>{NO}</xs:sequence><xs:attribute name="until" type="xs:date" use="required"/>')
    text = MAP.replace("  Until: expires_on", '  "@until": expires_on')
    assert licence(tmp_path, body, text) == [
        "8: @until is required by l.xsd, but 'expires_on' may be empty: then it is refused when written   (warning)"
    ]


# --- what must never happen ---------------------------------------------------------------------------------------


def test_a_hostile_key_runs_nothing(loaded):
    evil = "x'] or __import__('os')._exit(1) or m['"
    map_ = loaded(
        f'message: Vehicle\nformat: json\nfields:\n  "{evil}": plate\n'
        + '  k: kind | table k\n  t: total | text\ntables: {k: {"\'+exit()+\'": bus, "%s{}": train}}\n'
    )
    message = vehicle(driver=None, seats=[])
    wire = map_.write(message)
    assert json.loads(wire)[evil] == "1234"
    assert map_.read(wire) == message
    for line in map_.source().splitlines():
        assert "_exit" not in line or repr(evil) in line


def test_the_laws_see_a_broken_map(loaded, monkeypatch):
    map_ = design("hotel-booking")
    broken = design("hotel-booking")
    write = broken.write
    monkeypatch.setattr(broken, "write", lambda message: write(message).replace(b'"SGL"', b'"DBL"'))
    with pytest.raises(AssertionError, match="is not c"):
        laws.hold(broken, 60)
    shifting = iter(range(10_000))
    monkeypatch.setattr(map_, "write", lambda message: write(message) + b" " * next(shifting))
    with pytest.raises(AssertionError, match="is not w"):
        laws.hold(map_, 20)


def test_the_laws_see_what_breaks_a_declaration(monkeypatch):
    map_ = design("hotel-booking")
    message = map_.read((MAPS / "examples" / "hotel-booking.json").read_bytes())
    message.hotel_code = ""
    monkeypatch.setattr(map_, "read", lambda wire: message)
    with pytest.raises(AssertionError, match=r"read as \['hotel_code length'\]"):
        laws.unharmed(map_, b"{}")


def test_a_law_is_not_asked_of_what_only_comes_in(loaded):
    map_ = loaded(
        "message: Vehicle\nformat: json\ntables: {k: {B: bus, T: train}}\n"
        "fields: {p: {field: plate, only: read}, k: kind | table k, t: total | text}\n"
    )
    laws.hold(map_, 10)
    assert map_.read(b'{"p":"1","k":"B","t":"1.00"}').plate == "1"


@pytest.mark.parametrize(("old", "new"), [("MKH-77", "MKH-78"), ('"BB"', '"FB"'), ("20/02/2026", "02/02/2026")])
def test_an_example_pair_that_disagrees(tmp_path, old, new):
    for name in ("hotel-booking.json", "hotel-booking.canonical.json"):
        (tmp_path / name).write_text((MAPS / "examples" / name).read_text("utf-8"), "utf-8")
    map_, sample = design("hotel-booking"), tmp_path / "hotel-booking.json"
    laws.example(map_, sample)
    sample.write_text(sample.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(AssertionError, match="is not read as"):
        laws.example(map_, sample)


def test_an_example_that_we_would_not_write_so(tmp_path):
    envelope = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'
    plain = (MAPS / "examples" / "mofa-visa-request.xml").read_text("utf-8")
    canonical = json.loads((MAPS / "examples" / "mofa-visa-request.canonical.json").read_text("utf-8"))
    map_, sample = design("mofa-visa-request"), tmp_path / "v.xml"
    (tmp_path / "v.canonical.json").write_text(json.dumps(canonical), "utf-8")
    sample.write_text(envelope.format(plain), "utf-8")
    laws.example(map_, sample)
    sample.write_text(plain.replace("08:30:00Z", "11:30:00+03:00"), "utf-8")
    with pytest.raises(AssertionError, match="is not written as"):
        laws.example(map_, sample)
    (tmp_path / "v.canonical.json").write_text(json.dumps(canonical | {"only": "read"}), "utf-8")
    laws.example(map_, sample)


def test_trying_a_sample():
    map_ = design("hotel-booking")
    sample = (MAPS / "examples" / "hotel-booking.json").read_bytes()
    canonical = try_sample(map_, sample)
    assert canonical == dump(map_.read(sample))
    assert try_sample(map_, json.dumps(canonical).encode(), back=True) == sample.strip()


def test_checks_of_places_seldom_used(faults, planted, tmp_path):
    csv = "message: Drivers\nformat: csv\nrecords:\n  d:\n    each: rows\n    fields:\n      n: name\n"
    assert "8: 'name' is counted or summed here, but no 'each:' beside it reads it" not in faults(
        csv + "      x: = count(name)\n"
    )
    assert faults("message: Drivers\nformat: csv\nrecords:\n  d:\n    each: rws\n    fields: {n: name}\n") == [
        "5: no field 'rws' in Drivers; did you mean 'rows'?"
    ]
    body = "message: Vehicle\nformat: json\ntables: {p: {A: plat}}\nfields: {d/phone: driver.phone | table p}\n"
    assert any("'driver.phone' is never 'plat': it looks like" in fault for fault in faults(body))
    assert "32: no form 'arabc'; did you mean 'arabic'?" in planted(
        "mofa-visa-request", ("name.given | arabic", "name.given | arabc")
    )
    assert "18: no form 'txt'; did you mean 'text'?" in planted(
        "hotel-booking", ("= count(rooms)", "= count(rooms) | txt")
    )


def test_a_repeated_record_has_no_totals_of_its_own(write_map):
    from hub.canonical.messages.housing import BookingOrder

    text = (
        "message: Booking\nformat: fixed\nlength: 4\nrecords:\n  r:\n    each: rooms\n    fields:\n"
        "      1-4: = count(guests) | digits\n"
    )
    found = check([write_map(text)], messages={"Booking": BookingOrder})
    assert any(fault.text == "a repeated record has no count or sum of its own" for fault in found)


def test_guarded_digits_and_numbers_in_csv():
    (row,) = design("drivers").rows(
        b"kind,name,Birth Date,trips,score,active,Phone\n'+D,A,2000-01-01,1,-1,true,'+966500000001\n"
    )
    assert row.value.phone == "+966500000001" and row.value.score == Decimal("-1.00")


@pytest.mark.parametrize(("pattern", "held"), [("[^0].*", True), ("[X-Z]", False)])
def test_the_laws_pass_over_what_only_the_partners_schema_refuses(tmp_path, pattern, held):
    letters = (
        f'<xs:simpleType name="S"><xs:restriction base="xs:string"><xs:pattern value="{pattern}"/></xs:restriction>'
    )
    body = element(f'<xs:sequence><xs:element name="No" type="S"/>{UNTIL}</xs:sequence>') + letters + "</xs:simpleType>"
    assert licence(tmp_path, body) == []
    map_ = load(tmp_path / "l.yaml", messages={"Licence": Licence})
    with pytest.raises(MapError) as caught:
        map_.write(Licence(number="0"))
    assert caught.value.code == "map_schema"
    if held:
        laws.hold(map_, 40)
    else:  # a map that hardly ever writes anything valid does not pass by writing nothing
        with pytest.raises(FailedHealthCheck):
            laws.hold(map_, 40)


@pytest.mark.parametrize("score", ["-1.50", "0.00", "9999.99"])
def test_signed_decimals_in_columns(write_map, score):
    text = (
        "message: Drivers\nformat: fixed\nlength: 61\nrecords:\n  d:\n    each: rows\n    fields:\n"
        "      1-20: name\n      21-30: born | date YYYY-MM-DD\n      31-35: trips | digits\n"
        "      36-43: score | decimal 2\n      44-48: active | text\n      49-61: = ''\n"
    )
    map_ = load(write_map(text), messages=MESSAGES)
    message = Drivers(rows=[dataclasses.replace(vehicle().driver, score=Decimal(score))])
    wire = map_.write(message)
    assert map_.read(wire) == message
    for wrong in ("1234567-", "99999999", "+0000150"):
        damaged = wire[:35] + wrong.encode() + wire[43:]
        (row,) = map_.rows(damaged)
        assert row.fault is not None and row.fault.field == "score"
    laws.hold(map_, 20)


def test_decimals_that_do_not_fit_their_places(loaded):
    map_ = loaded((MAPS / "drivers.yaml").read_text("utf-8"))
    with pytest.raises(MapError) as caught:
        map_.write(Drivers(rows=[dataclasses.replace(vehicle().driver, score=Decimal("1.005"))]))
    assert (caught.value.code, caught.value.field) == ("invalid_value", "score")
