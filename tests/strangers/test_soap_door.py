"""The hub's SOAP door against an unmodified zeep, made from nothing but the served WSDL, over a socket."""

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import zeep
from werkzeug.serving import make_server
from zeep.wsse import utils
from zeep.wsse.compose import Compose
from zeep.wsse.signature import BinarySignature, Signature
from zeep.wsse.username import UsernameToken

from hub.exchange.engine import Engine
from hub.partners import Overlaid
from hub.settings import Settings
from hub.web.app import create_app
from tests.attacks import envelopes
from tests.web.conftest import engine, settings  # noqa: F401

SECRET = "n" * 64
CALLERS = ("bill_desk_najd", "bill_desk_asir", "gates_najran")
BILL = "1447000000018"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def door(settings: Settings, tmp_path, request) -> Iterator[str]:  # noqa: F811
    """The address of a hub at work whose callers are known."""
    bank = envelopes.identity("bill_desk_asir")
    bank.files(tmp_path, "asir")
    addresses = settings.addresses | {
        "BILL_DESK_ASIR_CERTIFICATES": str(tmp_path / "asir.pem"),
        "GATES_NAJRAN_CERTIFICATES": str(tmp_path / "asir.pem"),
    }
    hub = Engine(dataclasses.replace(settings, addresses=addresses, secrets={"BILL_DESK_NAJD_SECRET": SECRET}))
    hub.register.become(hub.register.overlaid([Overlaid(id=one, enabled=True) for one in CALLERS]))
    server = make_server("127.0.0.1", 0, create_app(hub), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/soap"
    server.shutdown()
    server.server_close()
    hub.stop()


class Stamp:
    """The Timestamp that the contract asks for; zeep signs it where it finds one."""

    def apply(self, envelope, headers):
        now = datetime.now(UTC)
        created, expires = (at.strftime("%Y-%m-%dT%H:%M:%SZ") for at in (now, now + timedelta(minutes=5)))
        stamp = utils.WSU.Timestamp(utils.WSU.Created(created), utils.WSU.Expires(expires))
        utils.get_security_header(envelope).append(stamp)
        return envelope, headers

    def verify(self, envelope):
        return envelope


class SignsOnly:
    """A signature of ours on what is sent; the hub does not sign its answers."""

    def __init__(self, signature):
        self._signature = signature

    def apply(self, envelope, headers):
        return self._signature.apply(envelope, headers)

    def verify(self, envelope):
        return envelope


PORTS = ["BillDeskPort", "BillDeskPort12"]


@pytest.mark.parametrize("port", PORTS)
def test_a_bank_with_a_password(door, port):
    wsse = UsernameToken("bill_desk_najd", SECRET, use_digest=True)
    client = zeep.Client(f"{door}/bill_desk_najd/banks/bill_desk?wsdl", wsse=wsse, port_name=port)
    assert client.service.AskBill(BillNumber=BILL)["Status"] == "NOT_FOUND"
    payment = {
        "Reference": "NJD-1", "BillNumber": BILL, "Amount": Decimal("100.00"), "Currency": "SAR",
        "PaidAt": "2026-12-01T08:00:00Z", "ValueDate": "2026-12-01",
    }  # fmt: skip
    assert client.service.TellPayment(**payment)["Status"] == "SUSPENSE"
    for refused in ({"Amount": "1.234"}, {"BillNumber": "12"}):
        with pytest.raises(zeep.exceptions.Fault) as fault:
            client.service.TellPayment(**{**payment, **refused})
        told = {child.tag.rpartition("}")[2]: child.text for child in fault.value.detail.iter()}
        assert told["code"] == "map_schema" and told["who"] == "partner"


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("kind", [Signature, BinarySignature])
def test_a_bank_that_signs(door, tmp_path, port, kind):
    xmlsec = pytest.importorskip("xmlsec")
    key, certificate = tmp_path / "asir.key", tmp_path / "asir.pem"
    strong = {"signature_method": xmlsec.Transform.RSA_SHA256, "digest_method": xmlsec.Transform.SHA256}
    for how, works in ((strong, True), ({}, False)):
        wsse = Compose([Stamp(), SignsOnly(kind(str(key), str(certificate), **how))])
        client = zeep.Client(f"{door}/bill_desk_asir/banks/bill_desk?wsdl", wsse=wsse, port_name=port)
        if works:
            assert client.service.AskBill(BillNumber=BILL)["Status"] == "NOT_FOUND"
        else:  # zeep signs by SHA-1 unless it is told better
            with pytest.raises(zeep.exceptions.Fault, match="WS-Security"):
                client.service.AskBill(BillNumber=BILL)


def test_the_clients_of_the_kit_work(door, tmp_path):
    pytest.importorskip("xmlsec")
    for client, more in {
        "zeep_password.py": [f"{door}/bill_desk_najd/banks/bill_desk?wsdl", "bill_desk_najd", SECRET],
        "zeep_signed.py": [
            f"{door}/bill_desk_asir/banks/bill_desk?wsdl", str(tmp_path / "asir.key"), str(tmp_path / "asir.pem"),
        ],
    }.items():  # fmt: skip
        command = [sys.executable, str(ROOT / "docs/kit" / client), *more, BILL]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.stdout.split()[:2] == [BILL, "NOT_FOUND"], done.stderr


def test_a_post_tells_crossings(door, tmp_path):
    xmlsec = pytest.importorskip("xmlsec")
    strong = {"signature_method": xmlsec.Transform.RSA_SHA256, "digest_method": xmlsec.Transform.SHA256}
    signature = Signature(str(tmp_path / "asir.key"), str(tmp_path / "asir.pem"), **strong)
    wsse = Compose([Stamp(), SignsOnly(signature)])
    client = zeep.Client(f"{door}/gates_najran/border/gates?wsdl", wsse=wsse)
    crossing = {"kind": "ENTRY", "at": "2026-12-01T08:00:00Z", "Document": "X1", "IssuedBy": "ID", "Port": "NAJ"}
    answer = client.service.TellCrossings(Notice="NAJ-1", Port="NAJ", Crossing=[crossing])
    assert (answer["Notice"], answer["Status"]) == ("NAJ-1", "SUSPENSE")


def test_a_stranger_is_told_so(door):
    wsse = UsernameToken("bill_desk_najd", "guessed", use_digest=True)
    client = zeep.Client(f"{door}/bill_desk_najd/banks/bill_desk?wsdl", wsse=wsse)
    with pytest.raises(zeep.exceptions.Fault, match="WS-Security does not hold"):
        client.service.AskBill(BillNumber=BILL)
