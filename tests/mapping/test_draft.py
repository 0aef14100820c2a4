"""Drafts out of contracts and samples written for the purpose: the odd corners of each kind."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
import yaml

from hub.canonical.declare import Shape, shapes
from hub.canonical.messages import MESSAGES
from hub.mapping import Map, MapError, MapFaults, load
from hub.mapping.draft import Draft, Refused, draft, kind, operations
from hub.mapping.draft.guess import code, likeness, words

ROOT = Path(__file__).parents[2]
WSDL = ROOT / "adapters/mofa/visa_reference/visa_reference.wsdl"
OPENAPI = ROOT / "adapters/housing/bookings/bookings.openapi.yaml"


def put(tmp_path: Path, made: Draft) -> Map:
    adapter, folder = tmp_path / "home/adapters/f/a", tmp_path / "home/mappings/f/a/op"
    for name, data in made.schemas.items():
        (adapter / name).parent.mkdir(parents=True, exist_ok=True)
        (adapter / name).write_bytes(data)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "request.v1.yaml"
    path.write_text(made.text, "utf-8")
    return load(path)


def rules(made: Draft) -> dict[str, str]:
    """The lines of a draft's fields: place to rule, comments off."""
    body = made.text.partition("\nfields:")[2] or made.text.partition("\nrecords:")[2]
    found = {}
    for line in body.splitlines():
        match = re.match(r"\s+\"?([^\"#]+?)\"?: +([^#]+?)(?:\s+#.*)?$", line)
        if match:
            found[match[1]] = match[2].strip('"')
    return found


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


# --- our own contracts, whose maps were written by hand ------------------------------------------------------------


def test_a_soap_request_is_drafted_as_a_person_wrote_it(tmp_path: Path) -> None:
    made = draft(WSDL, "SubmitApplications")
    assert made.message == "ReferenceRequest"
    assert made.todos == 0
    by_hand = load(ROOT / "mappings/mofa/visa_reference/request_reference/request.v1.yaml")
    drafted = put(tmp_path, made)
    pairs = {rule.full: str(rule.field) for each in by_hand.spec.rules for rule in getattr(each, "rules", [])}
    found = {rule.full: str(rule.field) for each in drafted.spec.rules for rule in getattr(each, "rules", [])}
    assert found == pairs


def test_code_tables_begin_with_what_the_schema_lists() -> None:
    made = draft(WSDL, "SubmitApplications", part="reply")
    assert "ISSUED: issued" in made.text
    assert "INCOMPLETE: needs_data" in made.text
    assert rules(made)["Outcome"] == "outcome | table outcome"


def test_a_rest_order_is_drafted_to_the_last_guest(tmp_path: Path) -> None:
    made = draft(OPENAPI, "POST /bookings")
    found = rules(made)
    assert found["apiVersion"] == "= '3'"
    assert found["stay/from"] == "check_in | date DD/MM/YYYY"
    assert found["doc/number"] == "document_no"
    assert "{SGL: single, DBL: double, TPL: triple, QUAD: quad" in made.text
    assert put(tmp_path, made).message is MESSAGES["BookingOrder"]


def test_what_a_contract_offers_is_told_with_how_to_reach_it() -> None:
    found = {one.name: one for one in operations(WSDL)}
    assert found["SubmitApplications"].parts == ("request", "reply")
    assert found["SubmitApplications"].wire == {
        "service": "VisaReferenceService", "port": "VisaReferencePort", "operation": "SubmitApplications",
    }  # fmt: skip
    rest = operations(OPENAPI)[0]
    assert (rest.channel, rest.wire) == ("rest", {"method": "POST", "path": "/bookings"})


# --- a draft is a draft ----------------------------------------------------------------------------------------------


def test_a_draft_loads_but_is_never_used_and_says_what_is_left(tmp_path: Path) -> None:
    one = put(tmp_path, draft(OPENAPI, "POST /bookings", message="StayNotice"))
    assert not one.active
    assert any("is still to do" in warning.text for warning in one.warnings)
    with pytest.raises(MapError) as refused:
        one.read(b"{}")
    assert refused.value.code == "map_draft"


def test_without_its_draft_line_what_is_to_do_is_a_fault(tmp_path: Path) -> None:
    made = draft(OPENAPI, "POST /bookings", message="StayNotice")
    finished = re.sub(r"^draft: .*\n", "", made.text, flags=re.MULTILINE)
    with pytest.raises(MapFaults) as wrong:
        put(tmp_path, Draft(finished, made.message, False, made.format))
    assert all(fault.line for fault in wrong.value.faults)
    assert any("is still to do" in fault.text for fault in wrong.value.faults)


def test_a_draft_that_reads_all_we_need_can_be_tried(tmp_path: Path) -> None:
    text = "message: BillEnquiry\nformat: json\ndraft: x\nfields:\n  bill: bill_no\n  other: todo\n"
    one = put(tmp_path, Draft(text, "BillEnquiry", False, "json"))
    assert one.read(b'{"bill": "1234567890128"}').bill_no == "1234567890128"
    assert not one.active


def test_an_undecided_code_is_refused_like_an_unknown_one(tmp_path: Path) -> None:
    text = (
        "message: BillRegistered\nformat: json\ndraft: x\ntables:\n  outcome: {OK: registered, WAIT: todo}\n"
        "fields:\n  bill: bill_no\n  state: outcome | table outcome\n"
    )
    one = put(tmp_path, Draft(text, "BillRegistered", False, "json"))
    assert [w.line for w in one.warnings if "WAIT" in w.text] == [5]
    with pytest.raises(MapError) as unknown:
        one.read(b'{"bill": "1234567890128", "state": "WAIT"}')
    assert unknown.value.code == "map_code_unknown"


# --- WSDL -------------------------------------------------------------------------------------------------------------

_HEAD = (
    '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" '
    'xmlns:s2="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:xs="http://www.w3.org/2001/XMLSchema" '
    'xmlns:t="http://t.example/" targetNamespace="http://t.example/">'
)
_TYPES = """<types><xs:schema elementFormDefault="qualified" targetNamespace="http://t.example/">
  <xs:element name="Ask"><xs:complexType><xs:sequence>
    <xs:element name="PassportNo" type="xs:string"/>
    <xs:element name="Sex" type="t:Sex"/>
    <xs:element name="Oddity" type="xs:token"/>
    <xs:element name="Remark" type="xs:string" minOccurs="0"/>
    <xs:choice><xs:element name="ByMail" type="xs:string"/><xs:element name="ByHand" type="xs:string"/></xs:choice>
    <xs:element name="Node" type="t:Node"/>
  </xs:sequence><xs:attribute name="version" fixed="2" use="required"/></xs:complexType></xs:element>
  <xs:element name="Answer"><xs:complexType><xs:sequence>
    <xs:element name="Status" type="xs:string"/></xs:sequence></xs:complexType></xs:element>
  <xs:simpleType name="Sex"><xs:restriction base="xs:string">
    <xs:enumeration value="M"/><xs:enumeration value="F"/><xs:enumeration value="Q7"/></xs:restriction></xs:simpleType>
  <xs:complexType name="Node"><xs:sequence>
    <xs:element name="Name" type="xs:string"/><xs:element name="Child" type="t:Node" minOccurs="0"/>
  </xs:sequence></xs:complexType>
</xs:schema></types>"""
_MESSAGES = (
    '<message name="In"><part name="p" element="t:Ask"/><part name="h" element="t:Answer"/></message>'
    '<message name="Out"><part name="p" element="t:Answer"/></message>'
)
_PORT = '<portType name="P"><operation name="Do"><input message="t:In"/>{out}</operation></portType>'
_BINDING = """<binding name="B" type="t:P"><{s}:binding style="{style}" transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="Do"><{s}:operation soapAction="do"/>
  <input><{s}:header message="t:In" part="h" use="literal"/><{s}:body use="{use}" parts="p"/></input>
  <output><{s}:body use="{use}"/></output></operation></binding>
<service name="S"><port name="Q" binding="t:B"><{s}:address location="https://t.example/"/></port></service>"""
_OUT = '<output message="t:Out"/>'


def wsdl(tmp_path: Path, *, types: str = _TYPES, out: str = _OUT, s: str = "s", style: str = "document",
         use: str = "literal", messages: str = _MESSAGES) -> Path:  # fmt: skip
    text = _HEAD + types + messages + _PORT.format(out=out) + _BINDING.format(s=s, style=style, use=use)
    return written(tmp_path, "t.wsdl", text + "</definitions>")


@pytest.mark.parametrize("s", ["s", "s2"])
def test_document_literal_with_header_choice_constant_and_recursion(tmp_path: Path, s: str) -> None:
    path = wsdl(tmp_path, s=s)
    assert kind(path) == "wsdl"
    made = draft(path, "Do", message="GuestEntry")
    found = rules(made)
    assert list(found)[:2] == ["@version", "PassportNo"], "places stand in the order of the wire"
    assert found["@version"] == "= '2'"
    assert found["Oddity"] == "todo"
    assert found["ByMail"] == "todo"
    assert "one of ByMail, ByHand" in made.text
    assert found["Node/Name"] == "todo"
    assert "optional, left out:" in made.text
    assert "SOAP header 'h'" in made.text
    put(tmp_path, made)


def test_one_way_and_encoded_and_http_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="one-way operation 'Do'"):
        draft(wsdl(tmp_path, out=""), part="reply")
    with pytest.raises(Refused, match="document/encoded"):
        draft(wsdl(tmp_path, use="encoded"))
    with pytest.raises(Refused, match="rpc/encoded"):
        draft(wsdl(tmp_path, use="encoded", style="rpc"))
    assert operations(wsdl(tmp_path, out=""))[0].parts == ("request",)


def test_what_lies_elsewhere_is_never_fetched(tmp_path: Path) -> None:
    away = (
        '<types><xs:schema><xs:import namespace="http://t.example/" schemaLocation="https://t.example/x.xsd"/>'
        "</xs:schema></types>"
    )
    with pytest.raises(Refused) as refused:
        draft(wsdl(tmp_path, types=away))
    assert refused.value.construct == "import of https://t.example/x.xsd"
    outside = away.replace("https://t.example/x.xsd", "../secret.xsd")
    written(tmp_path, "secret.xsd", "<schema/>")
    with pytest.raises(Refused, match=r"import of \.\./secret\.xsd"):
        draft(wsdl(tmp_path / "inner", types=outside))


def test_imports_that_run_in_a_circle_are_read_once(tmp_path: Path) -> None:
    inner = _TYPES.partition("<types>")[2].partition("</types>")[0]
    inner = inner.replace(
        "<xs:schema ", '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="http://t.example/" '
    )
    circle = '<xs:include schemaLocation="{}"/><xs:element name="Ask">'
    written(tmp_path, "a.xsd", inner.replace('<xs:element name="Ask">', circle.format("b.xsd"), 1))
    written(
        tmp_path, "b.xsd",
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified" '
        'targetNamespace="http://t.example/"><xs:include schemaLocation="a.xsd"/></xs:schema>',
    )  # fmt: skip
    importing = (
        '<types><xs:schema targetNamespace="urn:w"><xs:import namespace="http://t.example/" '
        'schemaLocation="a.xsd"/></xs:schema></types>'
    )
    made = draft(wsdl(tmp_path, types=importing), message="GuestEntry")
    assert rules(made)["PassportNo"] == "document_no"
    put(tmp_path, made)


def test_unqualified_elements_stand_under_a_prefixed_root(tmp_path: Path) -> None:
    made = draft(wsdl(tmp_path, types=_TYPES.replace('elementFormDefault="qualified" ', "")), message="GuestEntry")
    assert 'namespaces: {example: "http://t.example/"}\nroot: example:Ask' in made.text
    assert not re.search("^namespace:", made.text, re.MULTILINE)
    assert rules(made)["PassportNo"] == "document_no"
    put(tmp_path, made)


def test_rpc_literal_is_the_operation_with_its_parts(tmp_path: Path) -> None:
    parts = '<message name="In"><part name="passportNo" type="xs:string"/><part name="p" type="t:Node"/></message>'
    path = wsdl(tmp_path, style="rpc", messages=parts + '<message name="Out"/>')
    text = path.read_text("utf-8").replace(' parts="p"', ' namespace="urn:rpc"').replace("<s:header ", "<s:other ")
    path.write_text(text, "utf-8")
    made = draft(path, message="GuestEntry")
    assert "root: rpc:Do" in made.text
    assert rules(made)["passportNo"] == "document_no"
    assert "p/example:Name" in made.text
    put(tmp_path, made)


def test_a_schema_of_several_namespaces_with_repeated_texts_and_foreign_attributes(tmp_path: Path) -> None:
    head = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified" '
    written(
        tmp_path, "inner.xsd",
        head + 'targetNamespace="urn:in"><xs:element name="Passport"><xs:complexType><xs:sequence>'
        '<xs:element name="Number" type="xs:string"/></xs:sequence></xs:complexType></xs:element>'
        '<xs:attribute name="lang" type="xs:string"/></xs:schema>',
    )  # fmt: skip
    outer = written(
        tmp_path, "outer.xsd",
        head + 'targetNamespace="urn:out" xmlns:i="urn:in"><xs:import namespace="urn:in" schemaLocation="inner.xsd"/>'
        '<xs:element name="Told"><xs:complexType><xs:sequence><xs:element ref="i:Passport"/>'
        '<xs:element name="Note" maxOccurs="9"><xs:complexType><xs:simpleContent><xs:extension base="xs:string">'
        '<xs:attribute name="no" type="xs:int" use="required"/></xs:extension></xs:simpleContent></xs:complexType>'
        '</xs:element></xs:sequence><xs:attribute ref="i:lang" use="required"/></xs:complexType></xs:element>'
        "</xs:schema>",
    )  # fmt: skip
    made = draft(outer, message="GuestEntry")
    found = rules(made)
    assert found["in:Passport/in:Number"] == "document_no"
    assert found["@in:lang"] == "todo"
    assert (found["."], found["@no"]) == ("todo", "todo")
    put(tmp_path, made)


@pytest.mark.parametrize(
    ("types", "construct"),
    [
        (_TYPES.replace('type="t:Sex"', 'type="t:Gone"'), None),
        (_TYPES.replace('name="Ask"', 'name="Asked"'), "element 'Ask'"),
        (_TYPES.replace("<xs:sequence>", "<xs:sequnce>", 1), "XML"),
        ('<!DOCTYPE x [<!ENTITY e "x">]>' + _TYPES, "XML"),
    ],
)
def test_broken_contracts_give_a_draft_or_a_refusal_never_a_trace(tmp_path: Path, types: str, construct: str) -> None:
    path = wsdl(tmp_path, types=types)
    if construct is None:
        made = draft(path, message="GuestEntry")
        assert rules(made)["Sex"] == "todo"
        assert "declared nowhere" in made.text
        return
    with pytest.raises(Refused) as refused:
        draft(path)
    assert refused.value.construct == construct


def test_a_document_type_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "d.wsdl", '<!DOCTYPE definitions [<!ENTITY e "x">]>' + _HEAD + "</definitions>")
    with pytest.raises(Refused, match="document type"):
        draft(path)


def test_wsdl_2_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "two.wsdl", '<description xmlns="http://www.w3.org/ns/wsdl"/>')
    with pytest.raises(Refused, match=r"WSDL 2\.0"):
        draft(path)


# --- OpenAPI ----------------------------------------------------------------------------------------------------------

_API = """
openapi: 3.1.0
info: {title: t, version: 2026-01-01}
paths:
  /stays:
    post:
      operationId: tellStay
      requestBody: {$ref: 'parts.yaml#/bodies/Stay'}
      responses:
        201:
          description: ok
          content: {application/x+json: {schema: {type: object, required: [ok], properties: {ok: {type: boolean}}}}}
    get:
      operationId: listStays
      responses:
        '200': {description: x, content: {application/json: {schema: {type: array, items: {type: object}}}}}
  /form:
    post: {requestBody: {content: {multipart/form-data: {schema: {type: object}}}}, responses: {}}
  /loop:
    post:
      operationId: loop
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}
  /away:
    post:
      operationId: away
      requestBody: {content: {application/json: {schema: {$ref: 'https://x.example/s.json'}}}}
components:
  schemas:
    A: {$ref: '#/components/schemas/B'}
    B: {$ref: '#/components/schemas/A'}
"""
_PARTS = """
bodies:
  Stay:
    content:
      application/vnd.x+json:
        schema:
          allOf:
            - $ref: '#/schemas/Base'
            - type: object
              required: [guests]
              properties:
                guests:
                  type: array
                  items:
                    oneOf: [{$ref: '#/schemas/Guest'}, {$ref: '#/schemas/Base'}]
                labels: {type: array, items: {type: string}}
                serverNote: {type: string, readOnly: true}
schemas:
  Base:
    type: object
    required: [noticeNo, hotel, a b, labels]
    properties:
      noticeNo: {type: [string, 'null'], maxLength: 40}
      hotel: {type: object, required: [code], properties: {code: {type: string}, city: {enum: [MK, MD, ZZ]}}}
      a b: {type: integer}
      parent: {$ref: '#/schemas/Base'}
  Guest:
    type: object
    required: [passportNumber, country, status, happenedAt]
    properties:
      passportNumber: {type: string}
      country: {type: string, maxLength: 2}
      status: {type: string, enum: [IN, OUT]}
      happenedAt: {type: string, format: date-time}
      room: {type: string}
"""


def api(tmp_path: Path) -> Path:
    written(tmp_path, "parts.yaml", _PARTS)
    return written(tmp_path, "api.yaml", _API)


def test_openapi_over_files_with_merging_alternatives_and_recursion(tmp_path: Path) -> None:
    made = draft(api(tmp_path), "tellStay")
    assert made.message == "StayNotice"
    found = rules(made)
    assert found["noticeNo"] == "notice_no"
    assert found["hotel/code"] == "hotel_code"
    assert found["hotel/city"] == "city | table city"
    assert "ZZ: todo" in made.text
    assert found["a b"] == "todo"
    assert found["labels"] == "todo"
    assert "oneOf of 2: this is the first, Guest" in made.text
    assert found["passportNumber"] == "document_no"
    assert found["status"] == "outcome | table outcome"
    assert found["happenedAt"] == "happened | datetime YYYY-MM-DDThh:mm:ssZ"
    assert "serverNote" not in made.text
    put(tmp_path, made)


@pytest.mark.parametrize(
    ("operation", "part", "construct"),
    [
        ("listStays", "request", "request of listStays"),
        ("listStays", "reply", "reply of listStays"),
        ("POST /form", "request", "request of POST /form"),
        ("loop", "request", "request of loop"),
        ("away", "request", "request of away"),
        ("gone", "request", "5 operations"),
    ],
)
def test_openapi_refusals(tmp_path: Path, operation: str, part: str, construct: str) -> None:
    with pytest.raises(Refused) as refused:
        draft(api(tmp_path), operation, part=part)  # type: ignore[arg-type]
    assert refused.value.construct == construct


def test_swagger_2_in_json_with_a_body_parameter(tmp_path: Path) -> None:
    bill = {"$ref": "#/definitions/Bill"}
    tree = {
        "swagger": "2.0", "consumes": ["application/json"],
        "paths": {"/bill": {"post": {"parameters": [{"in": "body", "name": "b", "schema": bill}],
                                     "responses": {"default": {"schema": bill}}}}},
        "definitions": {"Bill": {"type": "object", "required": ["billNumber", "amount"], "properties": {
            "billNumber": {"type": "string"}, "amount": {"type": "number"}, "currency": {"type": "string"},
            "agentCode": {"type": "string"}, "groupNo": {"type": "string"},
            "dueDate": {"type": "string", "format": "date-time"}}}},
    }  # fmt: skip
    made = draft(written(tmp_path, "swagger.json", json.dumps(tree)))
    assert made.message == "BillOrder"
    found = rules(made)
    assert found["amount"] == "amount | number"
    assert found["dueDate"].startswith("expires_at | datetime")
    put(tmp_path, made)
    assert draft(tmp_path / "swagger.json", part="reply").text


@pytest.mark.parametrize(
    "text", ["[]", "paths: {}", "openapi: 4.0.0\npaths: {}", "openapi: 3.0.0", "a: [", "openapi: &a [*a]"]
)
def test_what_describes_no_service_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Refused):
        draft(written(tmp_path, "x.yaml", text))


# --- samples ----------------------------------------------------------------------------------------------------------


def test_a_json_sample(tmp_path: Path) -> None:
    sample = {
        "bankReference": "X-1", "billNumber": "1234567890128", "amount": 10.5, "currency": "SAR",
        "paidAt": "2026-02-25T10:00:00Z", "valueDate": "2026-02-25", "extra": {"flag": True, "tags": ["a"]},
    }  # fmt: skip
    made = draft(written(tmp_path, "notice.json", json.dumps(sample)))
    found = rules(made)
    assert made.message == "PaymentNotice"
    assert found["amount"] == "amount | number"
    assert found["valueDate"] == "value_date"
    assert found["paidAt"] == "paid_at | datetime YYYY-MM-DDThh:mm:ssZ"
    assert found["extra/flag"] == "todo"
    assert "X-1" not in made.text, "values of a sample may be somebody's"
    notice = put(tmp_path, made).read(json.dumps(sample).encode())
    assert notice.amount == Decimal("10.5")


def test_an_xml_sample_in_its_envelope(tmp_path: Path) -> None:
    body = "".join(
        f"<Line><PassportNumber>A12345{n}</PassportNumber><Result>{r}</Result></Line>"
        for n, r in ((1, "PR"), (2, "RJ"))
    )
    envelope = (
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Header><a/></e:Header><e:Body>'
        f'<Told xmlns="urn:t" no="7"><Mission>JKT</Mission>{body}</Told></e:Body></e:Envelope>'
    )
    made = draft(written(tmp_path, "told.xml", envelope), message="PrintOutcomes")
    found = rules(made)
    assert found["Mission"] == "mission"
    assert found["each"] == "lines"
    assert found["Result"] == "outcome | table outcome"
    assert "{PR: printed, RJ: refused}" in made.text
    assert "A123451" not in made.text
    put(tmp_path, made)


def test_a_csv_sample_in_arabic(tmp_path: Path) -> None:
    text = (
        "رقم المجموعة;اسم العائلة;الجنس;تاريخ الميلاد;الجنسية;رقم الجواز;تاريخ الإصدار;تاريخ الانتهاء;ملاحظة: #1\n"
        "G1;Said;ذكر;03/02/1980;IDN;A1234567;01/01/2020;01/01/2030;x\n"
        "G1;Noor;أنثى;25/12/1981;IDN;A1234568;01/01/2020;31/12/2030;\n"
    )
    path = tmp_path / "roster.csv"
    path.write_bytes(text.encode("cp1256"))
    made = draft(path, message="Roster")
    found = rules(made)
    assert "encoding: cp1256" in made.text
    assert 'delimiter: ";"' in made.text
    assert found["رقم الجواز"] == "document_no"
    assert found["تاريخ الميلاد"] == "birth_date | date DD/MM/YYYY"
    assert found["الجنس"] == "sex | table sex"
    assert "ذكر: male" in made.text
    assert '"ملاحظة: #1"' in made.text
    roster = put(tmp_path, made).read(path.read_bytes())
    assert [row.sex for row in roster.rows] == ["male", "female"]


@pytest.mark.parametrize(
    ("name", "text", "construct"),
    [
        ("a.csv", "01,2,3\n02,x,y,z\n", "records in cells"),
        ("b.csv", "1;2;3\n4;5;6\n", "no heading"),
        ("c.csv", "name;amount\na;1;2\n", "cells without a heading"),
        ("d.csv", "name;name\na;1\n", "heading"),
        ("e.txt", "HDR20260101\nDTL1\n", "lines of several lengths"),
        ("f.edi", "UNB+UNOA:1+A+B'\n", "UN/EDIFACT"),
        ("g.sta", ":20:START\n:25:X\n", "SWIFT MT"),
        ("h.json", "[1]", "JSON list"),
        ("i.json", '{"a": 1, "a": 2}', "JSON"),
        ("s.json", '{"$schema": "x", "properties": {"a": {}}}', "JSON Schema"),
        ("j.xml", "<a><b></a>", "XML"),
        ("k.txt", "   \n", "sample"),
        ("l.bin", "a\0b", "binary"),
        ("m.xlsx", "PK\x03\x04", "workbook"),
    ],
)
def test_samples_that_tell_nothing_are_refused(tmp_path: Path, name: str, text: str, construct: str) -> None:
    with pytest.raises(Refused) as refused:
        draft(written(tmp_path, name, text))
    assert refused.value.construct == construct


@pytest.mark.parametrize("tags", [("H", "D", "T"), ("HDR", "DTL", "TRL"), ("1", "2", "9"), ("01", "02", "09")])
def test_a_fixed_width_sample_with_three_kinds_of_line(tmp_path: Path, tags: tuple[str, str, str]) -> None:
    head, line, end = tags
    lines = [
        f"{head}20260225{'BANK':10}".ljust(40),
        f"{line}20260225{'TX0001':10}0000010050SAR".ljust(40),
        f"{line}20260226{'TX0002 A':10}0000020050SAR".ljust(40),
        f"{line}20260227{'TX0003':10}0000030050SAR".ljust(40),
        f"{end}000003{'':6}0000060150".ljust(40),
    ]
    made = draft(written(tmp_path, "day.txt", "\r\n".join(lines) + "\r\n"), message="SettlementFile")
    assert "length: 40" in made.text
    assert "newline: crlf" in made.text
    assert [made.text.count(f"= '{tag}'") for tag in tags] == [1, 1, 1]
    assert "each:" in made.text
    assert "date YYYYMMDD" in made.text
    assert "TX0001" not in made.text
    put(tmp_path, made)


# --- guessing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("DateOfBirth", "birth_date"), ("DOB", "birth_date"), ("date_naissance", "birth_date"),
        ("surname", "family_name"), ("soyadi", "family_name"), ("Geschlecht", "sex"), ("syntymäaika", None),
        ("تاريخ الميلاد", "birth_date"), ("رقم الجـواز", "document_no"), ("Passport No", "document_no"),
        ("IBAN", None), ("Gender", "sex"), ("CheckInDate", "check_in"), ("citizenship", "nationality"),
    ],
)  # fmt: skip
def test_names_are_recognised(theirs: str, ours: str | None) -> None:
    fields = ("birth_date", "family_name", "document_no", "sex", "check_in", "nationality")
    found = max(fields, key=lambda field: likeness(["".join(words(theirs))], field))
    score = likeness(["".join(words(theirs))], found)
    assert (found if score >= 0.6 else None) == ours


@pytest.mark.parametrize(
    ("theirs", "allowed", "ours"),
    [
        ("DBL", ("single", "double"), "double"), ("M", ("male", "female"), "male"), ("ذكر", ("male", "female"), "male"),
        ("m", ("makkah", "madinah"), None), ("ISSUED", ("issued", "refused"), "issued"),
        ("7", ("male", "female"), None),
    ],
)  # fmt: skip
def test_codes_are_recognised_or_left_alone(theirs: str, allowed: tuple[str, ...], ours: str | None) -> None:
    assert code(theirs, allowed) == ours


def test_an_unknown_message_is_refused_with_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="did you mean 'BookingOrder'"):
        draft(OPENAPI, "POST /bookings", message="BookingOrdr")


@pytest.mark.parametrize("name", ["words.yaml", "codes.yaml"])
def test_the_lists_of_words_are_texts_of_fields_and_codes_that_exist(name: str) -> None:
    """YAML would make a truth value of a bare `no` and `on`."""
    said = yaml.safe_load((ROOT / "hub/mapping/draft" / name).read_text("utf-8"))
    assert all(isinstance(word, str) for key, spelled in said.items() for word in (key, *spelled))
    ours = {shape.name for cls in MESSAGES.values() for _, shape in all_shapes(cls)}
    codes = {value for cls in MESSAGES.values() for _, shape in all_shapes(cls) for value in shape.one_of or ()}
    assert set(said) - (ours if name == "words.yaml" else codes) == set()


def all_shapes(cls: type) -> Iterator[tuple[str, Shape]]:
    for field, shape in shapes(cls).items():
        yield field, shape
        if shape.part is not None:
            yield from all_shapes(shape.part)


def test_what_stands_once_in_an_xml_sample_may_be_the_only_item_of_a_list(tmp_path: Path) -> None:
    text = "<Told><Mission>JKT</Mission><Line><PassportNumber>A123451</PassportNumber><Result>PR</Result></Line></Told>"
    made = draft(written(tmp_path, "one.xml", text), message="PrintOutcomes")
    assert rules(made)["each"] == "lines"
    assert "stands once in the sample" in made.text
    put(tmp_path, made)


CONTRACTS = [
    path
    for path in sorted(ROOT.glob("adapters/*/*/*"))
    if path.suffix in (".wsdl", ".xsd") or path.name.endswith(".openapi.yaml")
]


def damaged(data: bytes, rnd: Random) -> bytes:
    """*data* with lines lost or doubled, words and quoted texts put for others, and bytes cut out."""
    for _ in range(rnd.randint(1, 3)):
        lines, words_ = data.split(b"\n"), re.findall(rb"\b[A-Za-z]{4,}\b", data)
        at = rnd.randrange(len(lines))
        match rnd.randrange(4):
            case 0:
                del lines[at]
                data = b"\n".join(lines)
            case 1:
                lines.insert(rnd.randrange(len(lines)), lines[at])
                data = b"\n".join(lines)
            case 2 if words_:
                data = data.replace(rnd.choice(words_), rnd.choice(words_), rnd.randint(1, 3))
            case _:
                cut = rnd.randrange(len(data))
                data = data[:cut] + data[cut + rnd.randint(1, 40) :]
    return data


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_contract_gives_drafts_that_load_or_a_refusal(tmp_path: Path, seed: int) -> None:
    rnd = Random(seed)
    made = 0
    for number in range(30):
        original = rnd.choice(CONTRACTS)
        path = tmp_path / str(number) / original.name
        path.parent.mkdir()
        for beside in original.parent.glob("*.xsd"):
            (path.parent / beside.name).write_bytes(beside.read_bytes())
        path.write_bytes(damaged(original.read_bytes(), rnd))
        try:
            offered = operations(path)
            for one in offered[:2]:
                put(path.parent, draft(path, one.name, part=one.parts[0]))
                made += 1
        except Refused as refused:
            assert refused.construct
    assert made, "every one of them was refused: nothing was tried"
