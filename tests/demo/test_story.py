import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hub.canonical.entities import ArabicName, Name
from hub.demo.doors import Doors
from hub.demo.story import tell

STEPS = [
    {"was": "NEW", "now": "DRAFT", "event": "request.drafted", "happened": "2026-09-01T06:00:00+00:00"},
    {"was": "INVOICED", "now": "PAID", "event": "payment.received", "happened": "2026-09-01T07:00:00+00:00"},
    {"was": "ACCEPTED", "now": "PAID", "event": "request.paid", "happened": "2026-09-01T07:00:00+00:00"},
    {"was": "INSIDE", "now": "INSIDE", "event": "pilgrim.checked_in", "happened": "2026-09-21T19:00:00+00:00"},
    {"was": "INSIDE", "now": "INSIDE", "event": "pilgrim.hospitalised", "happened": "2026-09-22T19:00:00+00:00"},
    {"was": "INSIDE", "now": "EXITED", "event": "pilgrim.exited", "happened": "2026-09-25T09:00:00+00:00"},
]


@pytest.fixture
def hub() -> Iterator[Doors]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = json.dumps({"steps": STEPS}).encode()
            self.send_response(200 if self.path == "/v1/pilgrims/known/timeline" else 404)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Doors(f"http://127.0.0.1:{server.server_port}", {"agent": "key"})
    server.shutdown()
    server.server_close()
    thread.join()


NAME, ARABIC = Name(given="Noor", family="Rahman"), ArabicName(given="نور", family="رحمن")


def test_a_story_is_told_in_both_languages_and_says_nothing_twice(hub: Doors) -> None:
    story = tell(hub, ("known", NAME, ARABIC, "agent"))
    assert story is not None
    title, lines = story
    assert title == {"en": "The story of Noor Rahman", "ar": "حكاية نور رحمن"}
    assert [line["at"] for line in lines] == [
        "2026-09-01 06:00", "2026-09-01 07:00", "2026-09-21 19:00", "2026-09-25 09:00"
    ]  # fmt: skip
    assert all(line["en"] and line["ar"] for line in lines)


def test_there_may_be_no_story_to_tell(hub: Doors) -> None:
    assert tell(hub, None) is None
    assert tell(hub, ("unknown", NAME, None, "agent")) is None
