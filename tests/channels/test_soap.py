"""SOAP 1.1 and 1.2 as they go over the wire, and what zeep carries for ``driver: zeep``."""

import json

import pytest

from hub.channels import Answered, Channel, ConfigError, OutcomeUnknown
from hub.channels.soap import envelope
from hub.chaos.faults import SOAP_FAULT, FaultyPartner
from hub.security import xml
from tests.channels.conftest import TRACK, out, target

BODY = '<Track xmlns="urn:parcels.example"><Number>مكة</Number></Track>'.encode()
SOAP = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
WEIGH = {**TRACK, "port": "Weigh11", "operation": "Weigh"}


@pytest.mark.parametrize("version", SOAP)
@pytest.mark.parametrize("declaration", [b"", b'<?xml version="1.0" encoding="UTF-8"?>\n', b"<?xml version='1.0'?>"])
def test_the_element_stands_alone_in_the_body(
    soap: Channel, partner: FaultyPartner, version: str, declaration: bytes
) -> None:
    wire = {**TRACK, "port": "Track11" if version == "1.1" else "Track12"}
    assert isinstance(soap.send(target(partner.url, "soap", wire=wire), out(declaration + BODY)), Answered)
    (request,) = partner.requests
    root = xml.parse(request.body)
    assert root.tag == f"{{{SOAP[version]}}}Envelope"
    (body,) = root
    (track,) = body
    assert track[0].text == "مكة"


def test_the_headers_of_each_version(soap: Channel, partner: FaultyPartner) -> None:
    soap.send(target(partner.url + "/visa", "soap"), out(BODY))
    soap.send(target(partner.url + "/visa", "soap", wire={**TRACK, "port": "Track12"}), out(BODY))
    old, new = partner.requests
    assert old.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert old.headers["Soapaction"] == '"urn:parcels.example/track"'
    assert new.headers["Content-Type"] == ('application/soap+xml; charset=utf-8; action="urn:parcels.example/track"')
    assert "Soapaction" not in new.headers
    assert {request.path for request in partner.requests} == {"/visa"}, "the configured address, not the contract's"


def test_an_encoding_that_the_map_declares_is_kept(soap: Channel, partner: FaultyPartner) -> None:
    body = b"<?xml version='1.0' encoding='windows-1256'?>" + BODY.decode().encode("windows-1256")
    soap.send(target(partner.url, "soap"), out(body))
    (request,) = partner.requests
    assert request.headers["Content-Type"] == "text/xml; charset=windows-1256"
    assert xml.parse(request.body)[0][0][0].text == "مكة"


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(("wire", "driver", "body"), [(TRACK, None, BODY), (WEIGH, "zeep", b'{"number": "1"}')])
def test_a_fault_is_an_answer_with_its_own_bytes(
    soap: Channel, status: int, wire: dict[str, str], driver: str | None, body: bytes
) -> None:
    body = b'{"number": "1", "scale": 2}' if driver else body
    with FaultyPartner(lambda request: (status, {"Content-Type": "text/xml"}, SOAP_FAULT)) as partner:
        result = soap.send(target(partner.url, "soap", wire=wire, driver=driver), out(body))
    assert isinstance(result, Answered) and (result.status, result.body) == (status, SOAP_FAULT)


# --- driver: zeep -------------------------------------------------------------------------------------------------

WEIGHED = (
    b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
    b'<p:WeighResponse xmlns:p="urn:parcels.example"><grams>12.50</grams></p:WeighResponse></e:Body></e:Envelope>'
)
ARGUMENTS = json.dumps({"number": "P-1", "scale": 2}).encode()


def test_the_driver_speaks_rpc(soap: Channel) -> None:
    with FaultyPartner(lambda request: WEIGHED) as partner:
        result = soap.send(target(partner.url, "soap", wire=WEIGH, driver="zeep"), out(ARGUMENTS))
    assert isinstance(result, Answered) and json.loads(result.body) == {"result": "12.50"}
    (request,) = partner.requests
    call = xml.parse(request.body)[0][0]
    assert call.tag == "{urn:parcels.example}Weigh"
    assert {part.tag: part.text for part in call} == {"number": "P-1", "scale": "2"}
    assert request.headers["Soapaction"] == '"urn:parcels.example/weigh"'


def test_the_driver_gives_dates_and_structures_as_json(soap: Channel) -> None:
    reply = (
        b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><Tracked xmlns="urn:parcels.example">'
        b"<Place>Jeddah</Place><On>2026-02-01</On></Tracked></e:Body></e:Envelope>"
    )
    with FaultyPartner(lambda request: reply) as partner:
        result = soap.send(target(partner.url, "soap", driver="zeep"), out(b'{"Number": ["1", "2"]}'))
    assert isinstance(result, Answered) and json.loads(result.body) == {"Place": "Jeddah", "On": "2026-02-01"}


@pytest.mark.parametrize("body", [b"{", b'{"nobody": 1}', b"[]", b'{"number": {"a": 1}, "scale": []}'])
def test_arguments_that_the_contract_does_not_take_are_held(soap: Channel, partner: FaultyPartner, body: bytes) -> None:
    result = soap.send(target(partner.url, "soap", wire=WEIGH, driver="zeep"), out(body))
    assert isinstance(result, ConfigError) and result.code == "contract_arguments"
    assert partner.connections == 0


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"<html>", "xml_malformed"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "xml_doctype"),
        (b"<x/>", "reply_unreadable"),
        (WEIGHED.replace(b"12.50", b"heavy"), "reply_unreadable"),
    ],
)
def test_an_answer_that_the_driver_cannot_read_is_a_doubt(soap: Channel, reply: bytes, code: str) -> None:
    with FaultyPartner(lambda request: reply) as partner:
        result = soap.send(target(partner.url, "soap", wire=WEIGH, driver="zeep"), out(ARGUMENTS))
    assert isinstance(result, OutcomeUnknown) and result.code == code, result


def test_the_drivers_call_ends_at_its_deadline(soap: Channel) -> None:
    with FaultyPartner(lambda request: WEIGHED) as partner:
        partner.fault = "drip"
        result = soap.send(target(partner.url, "soap", wire=WEIGH, driver="zeep", timeout=0.3), out(ARGUMENTS))
    assert isinstance(result, OutcomeUnknown) and result.code == "reply_late"


@pytest.mark.parametrize("declaration", [b"", b'<?xml version="1.0"?>'])
def test_a_message_with_headers_of_its_own_stays_in_its_envelope(declaration: bytes) -> None:
    whole = b'<SOAP-ENV:Envelope xmlns:SOAP-ENV="%s"><SOAP-ENV:Header/></SOAP-ENV:Envelope>' % SOAP["1.1"].encode()
    assert envelope(declaration + whole, "1.1") == declaration + whole
    assert envelope(declaration + b"<Pay/>", "1.1").count(b"Envelope") == 2
