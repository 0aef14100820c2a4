import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hub.demo import doors
from hub.demo.doors import DoorClosed, Doors, Record


class Server:
    """A hub of a few lines, over a real socket: answers what it is told to, in turn."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.calls: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                outer.calls.append({"path": self.path, "body": body, **self.headers})
                status = outer.answers.pop(0) if outer.answers else 200
                if status == 0:  # taken, and the connection cut before the answer
                    self.close_connection = True
                    return
                told = json.dumps({"code": "mrz_disagrees", "errors": [{"code": "minor_without_companion"}]}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            do_GET = do_POST

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


def test_a_call_carries_who_and_its_key(server: Server) -> None:
    reply = Doors(server.url, {"agent_1": "secret"}).post("agent_1", "/v1/groups", b"{}", "file-1")
    assert reply.status == 200
    assert server.calls[0]["Authorization"] == "Bearer secret"
    assert server.calls[0]["Idempotency-Key"] == "file-1"


@pytest.mark.parametrize("trouble", [0, 500, 502, 503, 504, 507, 429])
def test_a_call_without_a_true_answer_is_repeated_under_the_same_key(server: Server, trouble: int) -> None:
    server.answers = [trouble, trouble, 201]
    made = Doors(server.url, {"agent_1": "secret"})
    assert made.post("agent_1", "/v1/groups", b"{}", "file-1").status == 201
    assert [call["Idempotency-Key"] for call in server.calls] == ["file-1"] * 3
    assert made.repeats == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_an_answer(server: Server, status: int) -> None:
    server.answers = [status]
    reply = Doors(server.url, {"agent_1": "secret"}).post("agent_1", "/v1/groups", b"{}", "file-1")
    assert reply.status == status
    assert reply.codes == {"mrz_disagrees", "minor_without_companion"}
    assert len(server.calls) == 1


def test_a_door_that_stays_closed_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors.time, "sleep", lambda seconds: None)
    server.answers = [503] * 100_000
    with pytest.raises(DoorClosed) as caught:
        Doors(server.url, {}).get(None, "/health", patience=0.05)
    assert caught.value.status == 503


def test_a_record_is_gone_on_with_and_a_line_cut_by_a_kill_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "driver.jsonl"
    record = Record(path)
    record.add(t="filed", ref="A")
    record.add(t="filed", ref="B")
    record.close()
    path.write_bytes(path.read_bytes() + b'{"t":"filed","re')
    again = Record(path)
    assert [line["ref"] for line in again.lines] == ["A", "B"]
    again.add(t="filed", ref="C")
    again.close()
    assert [json.loads(line)["ref"] for line in path.read_text().splitlines()] == ["A", "B", "C"]
