"""Every XML attack through every entry that takes XML: refused in coded words, nothing reached, nothing read, and the
hub goes on."""

import dataclasses
import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from hub import mapping
from hub.canonical.errors import HubError, catalogue
from hub.channels import published
from hub.partners import Overlaid
from hub.security import signing
from tests.attacks import envelopes
from tests.attacks.xml_attacks import ATTACKS, HARMLESS, leaf

ROOT = Path(__file__).resolve().parents[2]
SECRET = "s" * 64
CALLERS = ("bill_desk_najd", "gates_najran", "ota_ibrahim", "statements_wadi")
MAPPINGS = ROOT / "mappings"
PAY = (MAPPINGS / "banks/bill_desk/tell_payment/examples/request-part.xml").read_bytes()
CROSS = (MAPPINGS / "border/gates/tell_crossings/examples/request-in_and_out.xml").read_bytes()
CANCEL = (MAPPINGS / "housing/ota/receive_cancellation/examples/request-one.xml").read_bytes()
STATEMENT = (MAPPINGS / "banks/statements/receive_statement/examples/request-day.xml").read_bytes()


@pytest.fixture
def settings(settings, tmp_path):
    post = envelopes.identity("gates_najran")
    (tmp_path / "najran.pem").write_bytes(post.pem)
    (tmp_path / "files/statements_wadi/from_partner").mkdir(parents=True)
    return dataclasses.replace(
        settings,
        addresses=settings.addresses | {"GATES_NAJRAN_CERTIFICATES": str(tmp_path / "najran.pem")},
        secrets={"BILL_DESK_NAJD_SECRET": SECRET, "OTA_IBRAHIM_SECRET": SECRET},
    )


@pytest.fixture
def engine(engine):
    engine.register.become(engine.register.overlaid([Overlaid(id=one, enabled=True) for one in CALLERS]))
    return engine


def coded(answer, name):
    """The code of a refusal: a Fault's, or a problem's."""
    assert 400 <= answer.status_code < 500, (name, answer.status_code)
    if answer.is_json:
        code = answer.json["code"]
    else:
        code = next(etree.fromstring(answer.data).iter("{urn:umrah-hub:problem:v1}code")).text
    assert code in catalogue(), name
    return code


def over_http(client, bird, good, post):
    """Send every attack on *good* by *post*; the hub answers a good one before and after."""
    assert post(good(b"0")).status_code == 200
    told = []
    for name, attack in ATTACKS.items():
        answer = post(attack(good(name.encode()), bird))
        coded(answer, name)
        told.append(answer.data)
    for name, attack in HARMLESS.items():
        answer = post(attack(good(name.encode()), bird))
        assert answer.status_code < 500, name
        told.append(answer.data)
    assert not bird.sings(*told)
    assert client.get("/health").status_code == 200
    assert post(good(b"1")).status_code == 200


def numbered(document, label, number):
    return document.replace(number, label[:20])


@pytest.mark.parametrize("version", ["1.2"])
def test_through_the_soap_door(client, bird, version):
    """Behind a password that is right: the parser and the schema must hold by themselves."""

    def good(label):
        body = numbered(PAY, label, b"NJD-20260219-000017")
        return envelopes.with_token(envelopes.bare(body, version), "bill_desk_najd", SECRET)

    def post(data):
        kind = envelopes.TYPES[version].partition(";")[0]
        return client.post("/v1/soap/bill_desk_najd/banks/bill_desk", data=data, content_type=kind)

    over_http(client, bird, good, post)


def test_through_the_soap_door_of_one_who_signs(client, bird):
    """Without a key: nothing that is changed after it was signed is read."""
    post_ = envelopes.identity("gates_najran")

    def good(label):
        return envelopes.signed(numbered(CROSS, label, b"DMM-20260220-00017"), post_, "1.2")

    def post(data):
        return client.post("/v1/soap/gates_najran/border/gates", data=data, content_type="application/soap+xml")

    over_http(client, bird, good, post)


def test_a_fault_of_1_1_is_the_callers_even_where_its_status_is_500(client, bird):
    for name, attack in ATTACKS.items():
        good = envelopes.with_token(envelopes.bare(PAY), "bill_desk_najd", SECRET)
        answer = client.post(
            "/v1/soap/bill_desk_najd/banks/bill_desk", data=attack(good, bird), content_type="text/xml"
        )
        fault = etree.fromstring(answer.data)[0][0]
        assert fault.findtext("faultcode") == "soap:Client", name
    assert bird.calls == 0


def test_through_signed_rest_calls(client, bird):
    def good(label):
        return numbered(CANCEL, label, b"C-5512")

    def post(data):
        headers = {signing.HEADER: signing.sign(SECRET, data, datetime.now(UTC))}
        path = "/v1/partners/ota_ibrahim/ota/cancel"
        return client.post(path, data=data, headers=headers, content_type="application/xml")

    over_http(client, bird, good, post)


def test_through_the_inbox(engine, bird, settings):
    folder = Path(settings.addresses["FILES_ROOT"]) / "statements_wadi/from_partner"
    partner = engine.register.partners["statements_wadi"]
    for name, attack in ATTACKS.items():
        (folder / f"CAMT053-{name}.xml").write_bytes(attack(STATEMENT, bird))
    engine.collect(partner)
    left = {path.name for path in folder.iterdir() if path.is_file()}
    assert not left, "every one of them is parked"
    parked = {path.name for path in (folder / "refused").rglob("CAMT053-*.xml")}
    assert len(parked) == len(ATTACKS)
    incidents = engine.reading.incidents()
    assert {one["code"] for one in incidents} <= set(catalogue())
    assert "internal" not in {one["code"] for one in incidents}
    for name, attack in HARMLESS.items():
        (folder / f"CAMT053-{name}.xml").write_bytes(attack(STATEMENT, bird))
    engine.collect(partner)
    beside = [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".xml"]
    assert not bird.sings(json.dumps(incidents, default=str).encode(), *beside)
    (folder / "CAMT053-good.xml").write_bytes(leaf(STATEMENT, b"NTRF"))
    engine.collect(partner)


def _replies():
    for path in sorted(MAPPINGS.glob("*/*/*/reply.v*.yaml")):
        if "format: xml" in path.read_text("utf-8"):
            one = mapping.load(path)
            for sample in one.examples:
                if b"</" in sample.read_bytes() and b">" in leaf(sample.read_bytes(), b"x"):
                    yield one, sample


def test_through_the_answers_of_partners(bird):
    read = list(_replies())
    assert len(read) >= 10
    for map_, sample in read:
        good = sample.read_bytes()
        if leaf(good, b"changed") == good:
            continue  # no value to hang an attack on
        for name, attack in {**ATTACKS, **HARMLESS}.items():
            try:
                message = map_.read(attack(good, bird))
            except HubError as error:
                assert error.code in catalogue()
                assert bird.secret not in str(error) + error.en
            else:
                assert name in HARMLESS, (name, sample.name)
                assert bird.secret not in repr(message)
    assert bird.calls == 0


def test_through_the_contract_that_a_partner_shows(bird):
    good = (ROOT / "adapters/border/gates/gates.wsdl").read_bytes().replace(b"documentation>\n    ", b"documentation>")
    for attack in {**ATTACKS, **HARMLESS}.values():
        published.substance(attack(good, bird), ".wsdl")
    assert bird.calls == 0


def test_there_are_enough_attacks():
    assert len(ATTACKS) >= 60


def test_the_canary_hears(bird):
    assert not bird.sings(b"nothing")
    assert bird.sings(bird.file.read_bytes())
    with socket.create_connection((bird.host, bird.port)) as caller:
        caller.recv(1)  # until it has been noticed
    assert bird.sings(b"nothing")
