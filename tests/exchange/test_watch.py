"""The contract that a partner shows now against the one we keep: an alarm, and nothing changed."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from hub import partners, settings
from hub.channels.published import substance
from hub.partners import RegisterFaults
from tests.exchange.exchanging import MINISTRY, ROOT

CONTRACT = ROOT / "adapters/mofa/visa_reference"


@contextmanager
def shown(files: dict[str, bytes]) -> Iterator[str]:
    """A door that shows *files* by their query, as SOAP servers do; whatever else is asked for is not there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path.partition("?")[2])
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/visa"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def files() -> dict[str, bytes]:
    """The contract as its own door shows it: another address in it, another name for the schema, other blanks."""
    wsdl = (CONTRACT / "visa_reference.wsdl").read_text("utf-8")
    wsdl = re.sub(r'location="http[^"]*"', 'location="https://other.example/visa"', wsdl)
    wsdl = wsdl.replace('"visa_reference.xsd"', '"?xsd=1"').replace("\n", "\r\n\r\n", 3)
    return {"wsdl": wsdl.encode(), "xsd=1": (CONTRACT / "visa_reference.xsd").read_bytes() + b"<!-- served -->"}


def look(hub):
    return hub.engine._watch.look(hub.engine.register.partners[MINISTRY])


def test_a_contract_that_is_the_same_but_for_its_places_is_the_same(make, files):
    with shown(files) as url:
        hub = make(MOFA_URL=url)
        assert (look(hub).files, look(hub).code) == (1, None)
        assert hub.incidents() == []


@pytest.mark.parametrize("which", ["wsdl", "xsd=1"])
def test_one_that_differs_is_an_alarm_once_until_it_agrees_again(make, files, which):
    kept = {path: path.read_bytes() for path in CONTRACT.iterdir()}
    good = files[which]
    with shown(files) as url:
        hub = make(MOFA_URL=url)
        files[which] = good.replace(b"CorrelationId", b"CorrelationNo").replace(b"SubmitApplications", b"SubmitForms")
        assert [look(hub).code, look(hub).code] == ["contract_drifted"] * 2
        assert hub.incidents() == [("contract", "contract_drifted")]
        files[which] = good
        assert look(hub).code is None
        assert hub.incidents() == []
    assert {path: path.read_bytes() for path in CONTRACT.iterdir()} == kept


def test_one_that_cannot_be_had_is_no_alarm(make, files):
    hub = make(MOFA_URL="http://127.0.0.1:1/visa")
    assert look(hub).code == "partner_unreachable"
    assert hub.incidents() == []


def test_one_that_is_gone_or_another_page_is_an_alarm(make, files):
    files["wsdl"] = b"<html><body>Moved</body></html>"
    with shown(files) as url:
        hub = make(MOFA_URL=url)
        assert look(hub).code == "contract_drifted"


def test_the_order_of_an_openapi_document_and_its_servers_do_not_matter():
    one = b"openapi: 3.1.0\nservers: [{url: https://a.example}]\ninfo: {title: Stays, version: '1'}\n"
    other = b'{"info": {"version": "1", "title": "Stays"}, "openapi": "3.1.0"}'
    assert substance(one, ".yaml") == substance(other, ".json")
    assert substance(one, ".yaml") != substance(one.replace(b"'1'", b"'2'"), ".yaml")
    assert substance(b"a: [", ".yaml") != substance(b"b: [", ".yaml")


def test_a_schedule_looks(make, files, tmp_path):
    home = tmp_path / "home"
    for folder in ("adapters", "mappings", "schedules"):
        shutil.copytree(ROOT / folder, home / folder)
    Path(home / "schedules/contracts.yaml").write_text(
        'ministry: {partner: mofa_visa, check: contract, cron: "0 3 * * sun", zone: Asia/Riyadh, late_after: 6h}\n'
    )
    found = settings.load(env={"HUB_HOME": str(home), "HUB_VAR": str(tmp_path / "none")})
    schedule = partners.load(found).schedules["ministry"]
    assert (schedule.what, schedule.operation, schedule.partner.id) == ("check contract", None, MINISTRY)
    with shown(files) as url:
        hub = make(MOFA_URL=url)
        assert hub.engine.run(schedule).code in (None, "setting_missing")
    (home / "schedules/contracts.yaml").write_text(
        'one: {partner: mofa_visa, check: contracts, cron: "0 3 * * sun", zone: Asia/Riyadh, late_after: 6h}\n'
        'two: {partner: mofa_visa, cron: "0 3 * * sun", zone: Asia/Riyadh, late_after: 6h}\n'
        'six: {partner: mission_jakarta, check: contract, cron: "0 3 * * sun", zone: Asia/Riyadh, late_after: 6h}\n'
    )
    with pytest.raises(RegisterFaults) as wrong:
        partners.load(found)
    texts = [str(fault) for fault in wrong.value.faults]
    assert any("'check' cannot be 'contracts'; did you mean 'contract'?" in text for text in texts)
    assert any("says either 'operation:' or 'check:'" in text for text in texts)
    assert any("no adapter of mission_jakarta says where its contract is shown" in text for text in texts)
