"""XML of several namespaces: prefixes, headers, other versions of a standard, schemas that import each other."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from hub.canonical.declare import canonical, plain, text
from hub.mapping import Map, MapError, check, laws, load


@canonical
class Note:
    lang: str | None = text(2, default=None)
    text: str = text(20)


@canonical
class Payment:
    sender: str = text(20)
    business_id: str = text(35)
    created_at: datetime = plain()
    amount_currency: str = text(3)
    booked_on: date | None = plain(default=None)
    notes: list[Note] = plain(default=[])


MESSAGES: dict[str, type] = {"Payment": Payment}

BUSINESS = """
message: Payment
format: xml
namespaces: {h: "urn:iso:head", d: "urn:iso:doc"}
root: Message
fields:
  h:AppHdr/h:Fr/h:Id: sender
  h:AppHdr/h:BizMsgIdr: business_id
  h:AppHdr/h:CreDt: created_at | datetime YYYY-MM-DDThh:mm:ssZ
  d:Document/d:Pmt/@d:ccy: amount_currency
  d:Document/d:Pmt/d:Dt: booked_on
  d:Document/d:Pmt/d:Notes+/d:Note:
    each: notes
    fields:
      "@lang": lang
      .: text
"""

WIRE = b"""<Message xmlns:head="urn:iso:head"><head:AppHdr><head:Fr><head:Id>BANK</head:Id></head:Fr>
<head:BizMsgIdr>B1</head:BizMsgIdr><head:CreDt>2026-01-02T03:04:05+03:00</head:CreDt></head:AppHdr>
<Document xmlns="urn:iso:doc" xmlns:x="urn:iso:doc"><Pmt x:ccy="SAR"><Dt>2026-01-02+03:00</Dt>
<Notes><Note lang="en">one</Note></Notes><Notes><Note>two</Note><Note>three</Note></Notes></Pmt></Document></Message>"""


def made(tmp_path: Path, text: str) -> Map:
    path = tmp_path / "payment.yaml"
    path.write_text(text, "utf-8")
    return load(path, messages=MESSAGES)


def faults(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "payment.yaml"
    path.write_text(text, "utf-8")
    return [f"{fault.line}: {fault.text}" for fault in check([path], messages=MESSAGES)]


def test_a_business_header_and_a_document(tmp_path):
    map_ = made(tmp_path, BUSINESS)
    message = map_.read(WIRE)
    assert (message.sender, message.business_id, message.amount_currency) == ("BANK", "B1", "SAR")
    assert message.created_at == datetime(2026, 1, 2, 0, 4, 5, tzinfo=UTC)
    assert message.booked_on == date(2026, 1, 2)
    assert [(note.text, note.lang) for note in message.notes] == [("one", "en"), ("two", None), ("three", None)]
    assert map_.read(map_.write(message)) == message
    laws.hold(map_, examples=40)


def test_a_name_in_another_namespace_is_not_ours(tmp_path):
    with pytest.raises(MapError) as caught:
        made(tmp_path, BUSINESS).read(WIRE.replace(b'"urn:iso:head"', b'"urn:iso:other"'))
    assert caught.value.code == "required"


def test_a_prefix_must_be_known(tmp_path):
    assert "7: no prefix 'hh' in 'namespaces'; did you mean 'h'?" in faults(
        tmp_path, BUSINESS.replace("h:AppHdr/h:Fr/h:Id", "hh:AppHdr/h:Fr/h:Id")
    )
    assert "5: no prefix 'q' in 'namespaces'" in faults(tmp_path, BUSINESS.replace("root: Message", "root: q:Message"))
    assert "4: 'xmlns' is no prefix" in faults(tmp_path, BUSINESS.replace("{h:", "{xmlns: urn:x, h:"))


HEADER = """
message: Payment
format: xml
namespace: urn:body
namespaces: {w: "urn:security"}
root: Pay
soap: "1.2"
header:
  w:Security/w:User: sender
  w:Security/w:Nonce: business_id
fields:
  Created: created_at | datetime YYYY-MM-DDThh:mm:ssZ
  Currency / Ccy/Code: amount_currency
  On: booked_on
"""


def test_soap_headers_are_written_and_read(tmp_path):
    map_ = made(tmp_path, HEADER)
    message = Payment(sender="me", business_id="n1", created_at=datetime(2026, 1, 1, tzinfo=UTC), amount_currency="SAR")
    wire = map_.write(message)
    assert wire.startswith(
        b'<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope"><SOAP-ENV:Header'
    )
    assert map_.read(wire) == message
    with pytest.raises(MapError) as caught:
        map_.read(wire[wire.index(b"<Pay") : wire.index(b"</Pay>") + 6])
    assert (caught.value.code, caught.value.place) == ("required", "w:Security/w:User")
    laws.hold(map_, examples=30)


def test_the_first_of_several_places_is_written_and_all_are_read(tmp_path):
    map_ = made(tmp_path, HEADER)
    message = Payment(sender="me", business_id="n1", created_at=datetime(2026, 1, 1, tzinfo=UTC), amount_currency="SAR")
    wire = map_.write(message)
    assert b"<Currency>SAR</Currency>" in wire
    assert map_.read(wire.replace(b"<Currency>SAR</Currency>", b"<Ccy><Code>SAR</Code></Ccy>")) == message


def test_other_namespaces_are_taken_where_the_map_accepts_them(tmp_path):
    map_ = made(tmp_path, HEADER.replace("root: Pay", "accepts: urn:bod* none\nroot: Pay"))
    message = Payment(sender="me", business_id="n1", created_at=datetime(2026, 1, 1, tzinfo=UTC), amount_currency="SAR")
    wire = map_.write(message)
    for other in (b'"urn:body.2"', b'""'):
        assert map_.read(wire.replace(b'xmlns="urn:body"', b"xmlns=" + other)) == message
    with pytest.raises(MapError) as caught:
        map_.read(wire.replace(b'xmlns="urn:body"', b'xmlns="urn:els"'))
    assert caught.value.code == "xml_namespace"


# --- what the map does not know -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "strange",
    [b"<Extra/><Created>", b'<Created when="now">', b"<Created><Deep/>"],
    ids=["element", "attribute", "inside"],
)
def test_unknown_elements_are_a_policy_of_the_map(tmp_path, strange):
    message = Payment(sender="me", business_id="n1", created_at=datetime(2026, 1, 1, tzinfo=UTC), amount_currency="SAR")
    plain_ = HEADER.replace("fields:", "unknown: refuse\nfields:")
    wire = made(tmp_path, plain_).write(message)
    assert made(tmp_path, plain_).read(wire) == message
    odd = wire.replace(b"<Created>", strange)
    with pytest.raises(MapError) as caught:
        made(tmp_path, plain_).read(odd)
    assert caught.value.code == "map_unknown"
    if b"Deep" in strange:
        return  # the text of the element is beside the element, and so unreadable under any policy
    assert made(tmp_path, HEADER).read(odd) == message
    warned = made(tmp_path, HEADER.replace("fields:", "unknown: warn\nfields:"))
    assert warned.read(odd) == warned.read(odd) == message
    assert list(warned.spec.noticed.values()) == [2]


def test_what_is_known_and_nothing_to_us_is_no_stranger(tmp_path):
    map_ = made(tmp_path, HEADER.replace("fields:", "unknown: refuse\nfields:\n  Extra: '~'"))
    message = Payment(sender="me", business_id="n1", created_at=datetime(2026, 1, 1, tzinfo=UTC), amount_currency="SAR")
    wire = map_.write(message)
    assert b"Extra" not in wire
    assert map_.read(wire.replace(b"<Created>", b"<Extra><Any/></Extra><Created>")) == message


def test_a_list_may_have_to_hold_something(tmp_path):
    map_ = made(tmp_path, BUSINESS.replace("each: notes", "each: notes\n    least: 1"))
    message = map_.read(WIRE)
    message.notes = []
    for act, given in ((map_.write, message), (map_.read, WIRE.replace(b"Note", b"None"))):
        with pytest.raises(MapError) as caught:
            act(given)
        assert (caught.value.code, caught.value.field) == ("required", "notes")


def test_an_attribute_beside_an_empty_text_is_not_lost(tmp_path):
    map_ = made(
        tmp_path, HEADER.replace("  On: booked_on", "").replace("  Currency / Ccy/Code", "  On: booked_on\n  On/@ccy")
    )
    message = Payment(sender="me", business_id="n1", created_at=datetime(2026, 1, 1, tzinfo=UTC), amount_currency="SAR")
    assert b'<On ccy="SAR"></On>' in map_.write(message)
    assert map_.read(map_.write(message)) == message


# --- schemas that import each other -------------------------------------------------------------------------------

XS = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified" '
OUTER = (
    XS
    + """xmlns:m="urn:m" xmlns:t="urn:t" targetNamespace="urn:m">
<xs:import namespace="urn:t" schemaLocation="types.xsd"/>
<xs:element name="Pay"><xs:complexType><xs:sequence>
  <xs:element ref="t:Who"/><xs:element name="Id" type="t:Id"/><xs:element name="At" type="xs:dateTime"/>
  <xs:element name="Ccy" type="t:Ccy"/>
  <xs:element name="Note" type="m:Note" minOccurs="0" maxOccurs="unbounded"/>
</xs:sequence></xs:complexType></xs:element>
<xs:complexType name="Note"><xs:simpleContent><xs:extension base="t:Text">
  <xs:attribute name="lang" type="xs:string"/></xs:extension></xs:simpleContent></xs:complexType>
</xs:schema>"""
)
TYPES = (
    XS
    + """xmlns:t="urn:t" xmlns:m="urn:m" targetNamespace="urn:t">
<xs:import namespace="urn:m" schemaLocation="pay.xsd"/>
<xs:element name="Who" type="xs:string"/>
<xs:simpleType name="Id"><xs:restriction base="xs:string"><xs:maxLength value="35"/></xs:restriction></xs:simpleType>
<xs:simpleType name="Text"><xs:restriction base="xs:string"><xs:maxLength value="10"/></xs:restriction></xs:simpleType>
<xs:simpleType name="Ccy"><xs:restriction base="xs:string"><xs:length value="3"/></xs:restriction></xs:simpleType>
</xs:schema>"""
)
IMPORTING = """
message: Payment
format: xml
namespace: urn:m
namespaces: {t: "urn:t"}
root: Pay
schema: pay.xsd
fields:
  t:Who: sender
  Id: business_id
  At: created_at | datetime YYYY-MM-DDThh:mm:ssZ
  Ccy: amount_currency
  Note:
    each: notes
    fields:
      "@lang": lang
      .: text
"""


def test_schemas_that_import_each_other(tmp_path):
    (tmp_path / "pay.xsd").write_text(OUTER, "utf-8")
    (tmp_path / "types.xsd").write_text(TYPES, "utf-8")
    assert faults(tmp_path, IMPORTING) == [
        "17: 'text' may have 20 characters, Note/. takes 10: longer values are refused when written"
    ]
    assert "9: Who is not in pay.xsd; did you mean 'Who'?" in faults(tmp_path, IMPORTING.replace("t:Who:", "Who:"))
    assert "8: t:Who is required by pay.xsd but nothing is written to it" in [
        text.replace("8: Who", "8: t:Who") for text in faults(tmp_path, IMPORTING.replace("  t:Who: sender\n", ""))
    ]
    laws.hold(made(tmp_path, IMPORTING), examples=30)
