"""The ministry's visa reference service, written from its WSDL, its XSD and its QUIRKS.md alone.  It knows no hub.

It validates what it is sent, answers in the order opposite to the one it was asked in, gives one reference number for
one correlation id however often it is asked, and says what became of an application when enquired.
"""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
VISA = "http://mofa.example/visa-reference/v1"
DECIDED = "2026-02-03T09:15:31Z"


class Ministry:
    """Serves the contract in *folder* on a port of loopback.  A passport whose number ends in 9 is refused."""

    def __init__(self, folder: Path) -> None:
        self.references: dict[str, str] = {}  # by correlation id: the effects
        self.asked: list[tuple[str, list[str]]] = []
        self.headers: list[dict[str, str]] = []
        self.withheld: set[str] = set()  # decided, but left out of the answer
        self.incomplete: set[str] = set()  # numbers of passports of which more is wanted, when they come first
        self._folder = folder
        self._schema = etree.XMLSchema(etree.parse(str(folder / "visa_reference.xsd")))
        handler = type("Handler", (_Handler,), {"ministry": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/visa-reference"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def contract(self, query: str) -> bytes:
        if query.startswith("xsd="):
            return (self._folder / "visa_reference.xsd").read_bytes()
        text = (self._folder / "visa_reference.wsdl").read_text("utf-8")
        text = text.replace('schemaLocation="visa_reference.xsd"', f'schemaLocation="{self.url}?xsd=1"')
        return re.sub(r'(soap:address location=")[^"]+', rf"\g<1>{self.url}", text).encode()

    def answer(self, data: bytes, action: str) -> tuple[int, bytes]:
        envelope = etree.fromstring(data)
        if envelope.tag != f"{{{SOAP}}}Envelope":
            return 500, _fault("VersionMismatch", "not a SOAP 1.1 envelope")
        call = envelope.find(f"{{{SOAP}}}Body")[0]
        name = etree.QName(call).localname
        if action != f'"{VISA}/{name}"':
            return 500, _fault("Client", f"the SOAPAction is not that of {name}")
        if not self._schema.validate(etree.ElementTree(call)):
            error = self._schema.error_log[0]
            return 500, _fault("Client", f"line {error.line}: {error.type_name}")
        ids = [str(found.text) for found in call.iter(f"{{{VISA}}}CorrelationId")]
        self.asked.append((name, ids))
        results = self._decide(call) if name == "SubmitApplications" else [self._found(ids[0])]
        reply = etree.Element(f"{{{VISA}}}{name}Response", nsmap={"n": VISA})
        reply.extend(results)
        self._schema.assertValid(etree.ElementTree(reply))
        return 200, _envelope(reply)

    def _decide(self, call: Any) -> list[Any]:
        results = []
        for application in reversed(call.findall(f"{{{VISA}}}Application")):
            key = application.findtext(f"{{{VISA}}}CorrelationId")
            number = application.findtext(f"{{{VISA}}}Passport/{{{VISA}}}Number")
            if number in self.incomplete:
                self.incomplete.remove(number)
                results.append(self._result(key, "INCOMPLETE", ReasonCode="R03", DecidedAt=DECIDED))
                continue
            if not number.endswith("9"):
                self.references.setdefault(key, f"{7_000_000_000 + len(self.references)}")
            if key not in self.withheld:
                results.append(self._found(key, refused=number.endswith("9")))
        return results

    def _found(self, key: str, refused: bool = False) -> Any:
        reference = self.references.get(key)
        outcome = "ISSUED" if reference else "REFUSED" if refused else "UNKNOWN"
        return self._result(
            key, outcome, ReferenceNo=reference, ReasonCode="R07" if refused else None,
            DecidedAt=None if outcome == "UNKNOWN" else DECIDED,
        )  # fmt: skip

    @staticmethod
    def _result(key: str, outcome: str, **said: str | None) -> Any:
        result = etree.Element(f"{{{VISA}}}Result")
        for name, value in {"CorrelationId": key, "Outcome": outcome, **said}.items():
            if value is not None:
                etree.SubElement(result, f"{{{VISA}}}{name}").text = value
        return result


class _Handler(BaseHTTPRequestHandler):
    ministry: Ministry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(200, self.ministry.contract(self.path.partition("?")[2]))

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.ministry.headers.append(dict(self.headers.items()))
        self._send(*self.ministry.answer(data, self.headers.get("SOAPAction", "")))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _envelope(inside: Any) -> bytes:
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"s": SOAP})
    etree.SubElement(envelope, f"{{{SOAP}}}Header")
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(inside)
    return bytes(etree.tostring(envelope, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _fault(code: str, text: str) -> bytes:
    fault = etree.Element(f"{{{SOAP}}}Fault", nsmap={"s": SOAP})
    etree.SubElement(fault, "faultcode").text = f"s:{code}"
    etree.SubElement(fault, "faultstring").text = text
    return _envelope(fault)
