"""Bodies that call us over SOAP: only theirs, only fresh, only once, and refused in their own terms."""

import dataclasses
import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from hub.channels.contract import check_contract
from hub.exchange.engine import Engine
from hub.partners import Overlaid
from tests.attacks import envelopes, wrapping
from tests.attacks.envelopes import SOAP, TYPES, bare, with_token

ROOT = Path(__file__).resolve().parents[2]
BANK, POST = "/v1/soap/bill_desk_najd/banks/bill_desk", "/v1/soap/gates_najran/border/gates"
SECRET = "n" * 64
PROBLEM = "{urn:umrah-hub:problem:v1}"
PAY = (ROOT / "mappings/banks/bill_desk/tell_payment/examples/request-part.xml").read_bytes()
ASK = (ROOT / "mappings/banks/bill_desk/ask_bill/examples/request-bill.xml").read_bytes()
CROSS = (ROOT / "mappings/border/gates/tell_crossings/examples/request-in_and_out.xml").read_bytes()
CALLERS = ("bill_desk_najd", "bill_desk_asir", "gates_najran", "gates_jizan")


@pytest.fixture
def post() -> envelopes.Identity:
    return envelopes.identity("gates_najran")


@pytest.fixture
def settings(settings, tmp_path, post):
    (tmp_path / "najran.pem").write_bytes(post.pem)
    addresses = settings.addresses | {
        "GATES_NAJRAN_CERTIFICATES": str(tmp_path / "najran.pem"),
        "BILL_DESK_ASIR_CERTIFICATES": str(tmp_path / "gone.pem"),
    }
    return dataclasses.replace(settings, addresses=addresses, secrets={"BILL_DESK_NAJD_SECRET": SECRET})


@pytest.fixture
def engine(engine: Engine) -> Engine:
    engine.register.become(engine.register.overlaid([Overlaid(id=one, enabled=True) for one in CALLERS]))
    return engine


@pytest.fixture
def tell(client):
    def call(data, path=BANK, version="1.1", kind=None, **headers):
        return client.post(path, data=data, headers=headers, content_type=kind or TYPES[version])

    return call


def token(body=PAY, version="1.1", name="bill_desk_najd", secret=SECRET, **how):
    return with_token(bare(body, version), name, secret, **how)


def said(answer):
    """The element in the Body of *answer*."""
    root = etree.fromstring(answer.data)
    return root[0][0]


def codes(answer):
    return [code.text for code in said(answer).iter(f"{PROBLEM}code")]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_payment_of_no_known_bill_goes_to_suspense_and_is_answered(tell, engine, version):
    answer = tell(token(version=version), version=version)
    assert (answer.status_code, answer.content_type) == (200, TYPES[version])
    told = said(answer)
    assert told.tag == "{http://bank.example/bill-desk/v1}TellPaymentResponse"
    assert [child.text for child in told] == ["NJD-20260219-000017", "SUSPENSE"]
    assert etree.fromstring(answer.data).tag == f"{{{SOAP[version]}}}Envelope"
    assert [i["code"] for i in engine.reading.incidents()] == ["payment_unknown_bill"]


def test_a_bank_asks_what_a_bill_comes_to(tell):
    answer = tell(token(ASK))
    assert (answer.status_code, said(answer)[1].text) == (200, "NOT_FOUND")


def test_a_post_signs_what_it_tells(tell, engine, post):
    answer = tell(envelopes.signed(CROSS, post, "1.2"), POST, "1.2")
    assert (answer.status_code, said(answer)[1].text) == (200, "SUSPENSE")
    assert engine.reading.now()["suspense"] == 2


def test_the_same_call_again_is_answered_the_same_and_does_nothing(tell, engine, post):
    for data, path in ((token(), BANK), (envelopes.signed(CROSS, post), POST)):
        first, waiting = tell(data, path), engine.reading.now()["suspense"]
        again = tell(data, path)
        assert (again.status_code, again.data) == (first.status_code, first.data) == (200, first.data)
        assert engine.reading.now()["suspense"] == waiting


def test_a_nonce_names_one_call(tell, engine):
    tell(token(nonce=b"n" * 16))
    other = tell(token(PAY.replace(b"6000.00", b"9000.00"), nonce=b"n" * 16))
    assert codes(other) == ["signature_used"]
    assert engine.reading.now()["suspense"] == 1


def test_whoever_is_nobody_too_often_is_told_to_come_again(tell, engine):
    engine.settings = dataclasses.replace(engine.settings, refused_per_minute=1)
    assert codes(tell(token(secret="x" * 64))) == ["signature_soap_wrong"]
    refused = tell(token(secret="x" * 64))
    assert codes(refused) == ["calls_too_many"] and int(refused.headers["Retry-After"]) <= 60
    assert tell(token()).status_code == 200, "the bank itself"


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_stale_call_is_refused(tell, engine, minutes):
    assert codes(tell(token(at=datetime.now(UTC) + timedelta(minutes=minutes)))) == ["signature_stale"]
    assert engine.reading.now()["suspense"] == 0


def test_a_wrapped_signature_is_refused_and_nothing_happens(tell, engine, post):
    mine = envelopes.identity("attacker")
    forged = CROSS.replace(b"C7654321", b"X0000001")
    for name, way in wrapping.WAYS.items():
        answer = tell(way(CROSS, forged, post, mine, "1.2"), POST, "1.2")
        assert answer.status_code in (400, 401), name
        assert codes(answer)[0] in ("signature_soap_wrong", "signature_soap_missing", "soap_envelope"), name
    assert engine.reading.now()["suspense"] == 0


def test_a_partner_that_signs_cannot_come_with_a_password(tell):
    data = with_token(bare(CROSS), "gates_najran", SECRET)
    assert codes(tell(data, POST)) == ["signature_soap_wrong"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/soap/bill_desk_nowhere/banks/bill_desk",  # nobody
        "/v1/soap/gates_najran/banks/bill_desk",  # another's adapter
        "/v1/soap/gates_jizan/border/gates",  # a secret that is not set
        "/v1/soap/bill_desk_asir/banks/bill_desk",  # a file that is not there
    ],
)
def test_who_shares_nothing_with_us_fails_like_one_with_a_wrong_secret(tell, path):
    name = path.split("/")[3]
    answer = tell(token(name=name, secret="x" * 64), path)
    known = tell(token(secret="x" * 64))
    assert codes(known) == ["signature_soap_wrong"]
    assert (answer.status_code, answer.data) == (known.status_code, known.data)


def test_a_fault_of_1_1_travels_with_500_and_names_the_field_in_both_languages(tell, engine):
    answer = tell(token(PAY.replace(b"6000.00", b"60.001")))
    fault = said(answer)
    assert (answer.status_code, answer.content_type) == (500, TYPES["1.1"])
    assert fault.findtext("faultcode") == "soap:Client"
    assert codes(answer) == ["map_schema"]
    assert "Amount" in fault.findtext(f".//{PROBLEM}en") and "Amount" in fault.findtext(f".//{PROBLEM}ar")
    assert fault.findtext(f".//{PROBLEM}who") == "partner"
    assert b"60.001" not in answer.data
    assert [i["code"] for i in engine.reading.incidents()] == ["map_schema"]


def test_a_fault_of_1_2_travels_with_400_and_says_it_in_both_languages(tell):
    answer = tell(token(PAY.replace(b"6000.00", b"60.001"), "1.2"), version="1.2")
    fault = said(answer)
    space = f"{{{SOAP['1.2']}}}"
    assert (answer.status_code, answer.content_type) == (400, TYPES["1.2"])
    assert fault.findtext(f"{space}Code/{space}Value") == "soap:Sender"
    lang = "{http://www.w3.org/XML/1998/namespace}lang"
    assert [text.get(lang) for text in fault.iter(f"{space}Text")] == ["en", "ar"]


def test_what_this_address_does_not_take_is_said(tell):
    assert codes(tell(token(CROSS))) == ["soap_operation"]
    assert tell(token(), "/v1/soap/bill_desk_najd/banks/nothing").status_code == 404
    assert tell(token(), "/v1/soap/bill_desk_najd/banks/payments").status_code == 404


def test_a_header_that_must_be_understood_and_is_not_is_refused(tell):
    envelope = bare(PAY)
    header = etree.SubElement(envelope[0], "{urn:routing}Via")
    header.set(f"{{{SOAP['1.1']}}}mustUnderstand", "1")
    assert codes(tell(with_token(envelope, "bill_desk_najd", SECRET))) == ["soap_understood"]
    header.set(f"{{{SOAP['1.1']}}}mustUnderstand", "0")
    envelope[0][0].clear()
    assert tell(with_token(envelope, "bill_desk_najd", SECRET)).status_code == 200


@pytest.mark.parametrize(
    ("data", "how", "status", "code"),
    [
        (b"", {}, 400, "xml_malformed"),
        (b"<a/>", {}, 400, "soap_envelope"),
        (b"x" * 2_000_001, {}, 413, "xml_too_large"),
        (b"x" * 4_000_001, {}, 413, "too_large"),
        (token(), {"kind": "application/json"}, 415, "soap_content_type"),
        (token(), {"version": "1.2"}, 415, "soap_content_type"),
        (token(), {"kind": "text/xml; charset=utf-16"}, 415, "soap_content_type"),
        (gzip.compress(token()), {"Content-Encoding": "gzip"}, 415, "soap_content_encoding"),
    ],
)
def test_what_is_no_message_is_refused_by_http(tell, data, how, status, code):
    answer = tell(data, **how)
    assert (answer.status_code, codes(answer)) == (status, [code])


def test_utf_16_is_read(tell):
    data = etree.tostring(etree.fromstring(token()), encoding="utf-16")
    assert tell(data, kind="text/xml; charset=utf-16").status_code == 200


# ---------------------------------------------------------------------------------------------- the contract


def test_the_contract_is_shown_with_our_address_and_is_complete(client, tmp_path):
    shown = client.get(f"{BANK}?wsdl")
    assert (shown.status_code, shown.mimetype) == (200, "text/xml")
    root = etree.fromstring(shown.data)
    addresses = {e.get("location") for e in root.iter("{*}address")}
    assert addresses == {f"http://localhost{BANK}"}
    (schema,) = (e.get("schemaLocation") for e in root.iter("{*}import"))
    assert client.get(schema).data.startswith(b"<?xml")


def test_who_is_a_partner_is_not_told_by_the_contract(client):
    known, nobody = client.get(f"{BANK}?WSDL"), client.get("/v1/soap/nobody/banks/bill_desk?wsdl")
    assert nobody.data == known.data.replace(b"bill_desk_najd", b"nobody")


@pytest.mark.parametrize(
    "query",
    ["", "?xsd=", "?xsd=adapter.yaml", "?xsd=../../../setup.cfg", "?xsd=/etc/passwd", "?xsd=..%2Fpayments%2Fx.xsd",
     "?xsd=none.xsd", "?xsd=QUIRKS.md", "?xsd=http://127.0.0.1:9/x.xsd"],
)  # fmt: skip
def test_nothing_but_the_contract_is_shown(client, query):
    assert client.get(f"{BANK}{query}").status_code == 404


def test_every_operation_that_is_called_over_soap_is_in_its_contract_in_both_versions(engine):
    called = [
        op
        for adapter in engine.register.adapters.values()
        for op in adapter.operations.values()
        if op.channel == "soap" and op.direction == "in"
    ]
    assert {op.adapter for op in called} >= {"banks/bill_desk", "border/gates"}
    for op in called:
        port = op.wire["port"].removesuffix("12")
        versions = [check_contract(op.folder, {**op.wire, "port": name}).version for name in (port, f"{port}12")]
        assert versions == ["1.1", "1.2"]
