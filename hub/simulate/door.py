"""The partners' HTTP doors, on one port: SOAP and REST below each partner's own path, the contracts, and the status.

A plain threaded server rather than WSGI: a partner that resets the connection, or answers with half a body, needs the
socket itself.
"""

import contextlib
import json
import random
import re
import socket
import struct
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hub.canonical.errors import HubError
from hub.partners import Operation, Partner
from hub.security import signing, xml
from hub.settings import Settings
from hub.simulate.desk import Desk, NotUnderstood, Taken, contract_file

LONGEST = 4_000_000
#: Seconds that a slow answer takes at most.
SLOW = 0.8
_SOAP = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
_TYPES = {"1.1": "text/xml; charset=utf-8", "1.2": "application/soap+xml; charset=utf-8"}
_JSON = "application/json"
_BOMB = b"""<?xml version="1.0"?><!DOCTYPE e [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>"""
_HTML = b"<!DOCTYPE html><html><head><title>Service portal</title></head><body><h1>Please log in</h1></body></html>"


class Doors:
    """Which partner is behind a path."""

    def __init__(self, desk: Desk, settings: Settings, status: Callable[[], dict[str, Any]]) -> None:
        self.desk, self.status = desk, status
        self._partners: list[tuple[str, Partner]] = []
        self.last: dict[tuple[str, str], tuple[str | None, bytes]] = {}
        for partner in desk.register.enabled:
            spoken = {op.channel for op in partner.operations.values() if desk.plays(op)}
            if spoken & {"soap", "rest"} and partner.address and not partner.missing:
                self._partners.append((urlsplit(settings.expand(partner.address)).path.rstrip("/"), partner))
        self._partners.sort(key=lambda one: len(one[0]), reverse=True)

    def behind(self, path: str) -> tuple[Partner, str] | None:
        """The partner whose endpoint *path* lies below, and the rest of the path."""
        for prefix, partner in self._partners:
            if path == prefix or path.startswith(prefix + "/"):
                return partner, path[len(prefix) :]
        return None

    def rest(self, partner: Partner, method: str, path: str) -> Operation | None:
        for op in partner.operations.values():
            if op.channel == "rest" and op.wire.get("path") == path and op.wire.get("method") == method:
                return op if self.desk.plays(op) else None
        return None

    def soap(self, partner: Partner, element: str) -> Operation | None:
        for op in partner.operations.values():
            if op.channel == "soap" and op.wire.get("operation") == element:
                return op if self.desk.plays(op) else None
        return None


def server(doors: Doors, port: int) -> ThreadingHTTPServer:
    """A server on *port* of this machine (0: any free one), not yet serving."""
    handler = type("Handler", (_Handler,), {"doors": doors})
    return _Server(("127.0.0.1", port), handler)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is no news; anything else is a fault of ours and must be seen."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    doors: Doors
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536
    timeout = 120
    server_version = "partners"
    sys_version = ""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/_status":
            return self._send(200, _JSON, json.dumps(self.doors.status()).encode())
        found = self.doors.behind(parts.path.rstrip("/"))
        asked = parse_qs(parts.query, keep_blank_values=True)
        if found is None or not {"wsdl", "WSDL", "xsd"} & asked.keys():
            return self._send(404, _JSON, b"{}")
        partner, _ = found
        path = contract_file(partner, asked["xsd"][0] if "xsd" in asked else partner.adapter.contract.name)
        if path is None:
            return self._send(404, _JSON, b"{}")
        here = f"http://{self.headers.get('Host', '')}{parts.path}"
        text = path.read_text("utf-8")
        # The contract names the partner's own address and the files beside it; a caller has only this door.
        text = re.sub(r'(:address\s+location=")[^"]*"', rf'\g<1>{here}"', text)
        text = re.sub(r'(schemaLocation=")([^"/:]+\.xsd)"', rf'\g<1>{here}?xsd=\g<2>"', text)
        return self._send(200, _TYPES["1.1"], text.encode())

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        found = self.doors.behind(urlsplit(self.path).path.rstrip("/"))
        if found is None:
            return self._send(404, _JSON, b"{}")
        partner, rest = found
        if rest:
            self._rest(partner, rest, body)
        else:
            self._soap(partner, body)

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LONGEST:
            self.close_connection = True
            self._send(413 if length.isdigit() else 411, _JSON, b"{}")
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return body

    # ---- REST

    def _rest(self, partner: Partner, path: str, body: bytes) -> None:
        operation = self.doors.rest(partner, "POST", path)
        if operation is None:
            return self._send(404, _JSON, b"{}")
        if operation.wire.get("signed"):
            try:
                header, now = self.headers.get(signing.HEADER), self.doors.desk.clock.wall()
                signing.verify([partner.secret() or ""], header, body, now)
            except HubError as error:
                return self._send(401, _JSON, json.dumps({"error": error.code}).encode())
        self._answer(partner, operation, body, _JSON, lambda reply: reply)

    # ---- SOAP

    def _soap(self, partner: Partner, body: bytes) -> None:
        try:
            root = xml.parse(body, LONGEST)
            version = next(v for v, name in _SOAP.items() if root.tag == f"{{{name}}}Envelope")
            inside = root.find(f"{{{_SOAP[version]}}}Body")
            assert inside is not None
            element = str(inside[0].tag).rpartition("}")[2]
        except (xml.XmlRefused, StopIteration, AssertionError, IndexError):
            return self._send(500, _TYPES["1.1"], _fault("1.1", "Client", "The message is not a SOAP envelope."))
        operation = self.doors.soap(partner, element)
        if operation is None:
            return self._send(500, _TYPES[version], _fault(version, "Client", "There is no such operation."))
        self._answer(partner, operation, body, _TYPES[version], lambda reply: _envelope(version, reply), version)

    # ---- both

    def _answer(
        self,
        partner: Partner,
        operation: Operation,
        body: bytes,
        kind: str,
        wrap: Callable[[bytes], bytes],
        version: str | None = None,
    ) -> None:
        desk = self.doors.desk
        try:
            taken = desk.take(partner, operation, body)
        except NotUnderstood:
            if version is None:
                return self._send(400, _JSON, b'{"error": "not_understood"}')
            return self._send(500, kind, _fault(version, "Client", "The message does not follow the contract."))
        try:
            if taken.away:
                return self._turn_away(taken, kind)
            if taken.fault == "delay":
                time.sleep(SLOW * desk.faults.share(partner.id, taken.lead, taken.attempt))
            reply = wrap(desk.reply(taken))
            self._spoilt(taken, kind, reply, version)
        finally:
            desk.finished(taken)

    def _turn_away(self, taken: Taken, kind: str) -> None:
        if taken.fault == "reset":
            return self._drop(reset=True)
        return self._send(503, kind, b"", {"Retry-After": "1"})

    def _spoilt(self, taken: Taken, kind: str, reply: bytes, version: str | None) -> None:
        """The answer, as ``taken.fault`` leaves it."""
        fault = taken.fault
        if fault == "other":
            lead, other = self.doors.last.get((taken.partner.id, taken.operation.name), (None, b""))
            fault = "garbage" if lead in (None, taken.lead) else fault
            reply = other or reply
        elif fault in (None, "delay"):
            self.doors.last[taken.partner.id, taken.operation.name] = taken.lead, reply
        if fault == "closed":
            self._drop(reset=False)
        elif fault == "garbage":
            self._send(200, kind, random.Random(taken.lead).randbytes(200))  # noqa: S311
        elif fault == "html":
            self._send(200, "text/html; charset=utf-8", _HTML)
        elif fault == "cut":
            self._send(200, kind, reply[: len(reply) // 2])
        elif fault == "truncated":
            self.close_connection = True
            self._send(200, kind, reply[: len(reply) // 2], length=len(reply))
        elif fault == "namespace":
            self._send(200, kind, re.sub(rb'(xmlns(?!:e=)(?::\w+)?="[^"]+)"', rb'\1/v0"', reply))
        elif fault == "bomb":
            self._send(200, kind, _BOMB + reply.partition(b"?>")[2])
        elif fault == "fault":
            self._send(200, kind, _fault(version or "1.1", "Server", "The service is busy."))
        else:
            self._send(200, kind, reply)

    def _send(
        self, status: int, kind: str, body: bytes, more: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in (more or {}).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _drop(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            with contextlib.suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the books say it all."""


def _envelope(version: str, body: bytes) -> bytes:
    body = re.sub(rb"^\s*<\?xml[^>]*\?>\s*", b"", body)
    envelope = b'<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="%b"><e:Body>%b</e:Body></e:Envelope>'
    return envelope % (_SOAP[version].encode(), body)


def _fault(version: str, who: str, text: str) -> bytes:
    if version == "1.2":
        code = {"Client": "Sender", "Server": "Receiver"}[who]
        return _envelope(
            version,
            f"<e:Fault><e:Code><e:Value>e:{code}</e:Value></e:Code><e:Reason>"
            f'<e:Text xml:lang="en">{text}</e:Text></e:Reason></e:Fault>'.encode(),
        )
    return _envelope(
        version, f"<e:Fault><faultcode>e:{who}</faultcode><faultstring>{text}</faultstring></e:Fault>".encode()
    )
