"""A house's reservation system, written from bookings.openapi.yaml alone.  It knows no hub.

It checks the signature as the contract words it, gives one booking number for one reference however often it is asked,
and answers 503 for as long as it is full of work.
"""

import hashlib
import hmac
import json
import re
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

SIGNATURE = re.compile(r"t=(\d+),n=([^,]+),v1=([0-9a-f]{64})")


class House:
    """Listens on a port of loopback; *secret* is shared with whoever books."""

    def __init__(self, secret: str) -> None:
        self.bookings: dict[str, dict[str, Any]] = {}  # by reference: the effects
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.busy = False
        self._secret = secret.encode()
        self._nonces: set[str] = set()
        handler = type("Handler", (_Handler,), {"house": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        self.calls.append((path, headers))
        if self.busy:
            return 503, {}
        if not self._signed(headers.get("X-Hub-Signature", ""), body):
            return 401, {"error": "signature"}
        said = json.loads(body)
        if path == "/bookings":
            return self._book(said)
        if path == "/bookings/find":
            booked = self.bookings.get(said["reference"])
            if booked is None:
                return 200, {"reference": said["reference"], "status": "NOT_FOUND"}
            return 200, {"reference": said["reference"], "status": "CONFIRMED", "brn": booked["brn"]}
        return 404, {}

    def _book(self, said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        stay = {name: datetime.strptime(said["stay"][name], "%d/%m/%Y") for name in ("from", "to")}
        guests = [guest for room in said["rooms"] for guest in room["guests"]]
        if (
            said["apiVersion"] != "3"
            or stay["from"] >= stay["to"]
            or len(guests) != said["heads"]
            or not all(
                re.fullmatch("[A-Z]{2}", guest["doc"]["country"]) for room in said["rooms"] for guest in room["guests"]
            )
            or not re.fullmatch(r"14\d\d-\d\d-\d\d", said["stay"]["hijriFrom"])
        ):
            return 400, {"error": "not as agreed"}
        booked = self.bookings.setdefault(said["reference"], {**said, "brn": f"BRN{len(self.bookings):07}"})
        return 200, {"reference": said["reference"], "status": "CONFIRMED", "brn": booked["brn"]}

    def _signed(self, header: str, body: bytes) -> bool:
        found = SIGNATURE.fullmatch(header)
        if not found:
            return False
        stamp, nonce, given = found.groups()
        wanted = hmac.new(self._secret, f"{stamp}.{nonce}.".encode() + body, hashlib.sha256).hexdigest()
        fresh = nonce not in self._nonces and abs(time.time() - int(stamp)) <= 300
        self._nonces.add(nonce)
        return fresh and hmac.compare_digest(wanted, given)


class _Handler(BaseHTTPRequestHandler):
    house: House
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, said = self.house.answer(self.path, dict(self.headers.items()), body)
        data = json.dumps(said, indent=1).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass
