"""A subscriber's door, written from docs/webhooks.md alone: it imports nothing of the hub."""

import hashlib
import hmac
import http.server
import json
import ssl
import threading
import time
from pathlib import Path
from typing import Any


class Heard:
    """One call as it came."""

    def __init__(self, path: str, headers: Any, body: bytes) -> None:
        self.path, self.headers, self.body = path, dict(headers), body
        self.event: dict[str, Any] = json.loads(body)

    def verified(self, secret: str, now: float | None = None) -> bool:
        """Whether whoever has *secret* sent this, not more than 300 seconds ago."""
        parts = [part.split("=", 1) for part in self.headers["X-Hub-Signature"].split(",")]
        t, n = (next(value for name, value in parts if name == wanted) for wanted in ("t", "n"))
        wanted = hmac.new(secret.encode(), f"{t}.{n}.".encode() + self.body, hashlib.sha256).hexdigest()
        if n != self.event["id"].replace("-", "") or abs((now or time.time()) - int(t)) > 300:
            return False
        return any(hmac.compare_digest(value, wanted) for name, value in parts if name == "v1")


class Listener:
    """Answers each call with the next of :attr:`answers`, and with 204 when there are no more.

    An answer is a status, or a status with headers; ``delay`` is how many seconds it is put off.
    """

    def __init__(self, cert: Path | None = None) -> None:
        self.heard: list[Heard] = []
        self.answers: list[Any] = []
        self.delay = 0.0
        outer = self

        class Door(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.heard.append(Heard(self.path, self.headers, body))
                answer = outer.answers.pop(0) if outer.answers else 204
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                time.sleep(outer.delay)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                said = b"" if status == 204 else b"an answer that nobody may see"
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._server.daemon_threads = True
        if cert is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/events"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def types(self) -> list[str]:
        return [one.event["type"] for one in self.heard]
