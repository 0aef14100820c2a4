"""`hub serve` as a process: started, stopped, killed, started again."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.security import api_keys
from hub.security.keys import Keys

ROOT = Path(__file__).resolve().parents[2]
KEY = "k" * 43


@pytest.fixture
def installation(tmp_path):
    Keys.generate(tmp_path / "keys.json")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The dates of the example filing lie ahead of this moment, whenever the test runs.
    moment = {"business": "2026-12-01T09:00:00+00:00", "wall": datetime.now(UTC).isoformat()}
    (tmp_path / "clock.json").write_text(json.dumps(moment))
    file = tmp_path / "hub.toml"
    file.write_text(
        f'var = "."\nkeys = "keys.json"\nport = {port}\ntest_mode = true\nbusiness_clock = "clock.json"\n'
        f'[api_keys]\n{api_keys.digest(KEY)} = "agent_idn_1"\n'
    )
    file.chmod(0o600)
    return file


@pytest.fixture
def serve(installation):
    started = []

    def start(*options):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "FLASK_"))}
        command = [sys.executable, "-m", "hub.cli", "serve", "--settings", str(installation), *options]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def address(process):
    """The address that the process says it is at; its other lines are logs."""
    for line in process.stderr:
        if line.startswith("http://"):
            return line.strip()
    raise AssertionError(f"ended with {process.wait()}")


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.read().decode()


def test_it_says_where_it_is_and_ends_gently(serve):
    process = serve()
    url = address(process)
    assert json.loads(get(url + "health")) == {"status": "ok"}
    until = time.monotonic() + 20
    while "All quiet" not in (page := get(url)) and time.monotonic() < until:
        time.sleep(0.05)  # the schedules of the day before are looked at first
    assert "All quiet" in page
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert "Traceback" not in said


def test_a_second_hub_on_the_same_store_is_refused_in_words(serve):
    first = serve()
    address(first)
    second = serve("--port", "0")
    _, said = second.communicate(timeout=20)
    assert second.returncode == 1
    assert said.startswith("hub_running: ")


def test_a_port_that_is_taken_is_said_to_be(serve, installation):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        process = serve("--port", str(other.getsockname()[1]))
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "port_taken: " in said


def test_what_was_answered_is_there_after_kill_9(serve):
    def file(url):
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "before-and-after"}
        body = (ROOT / "docs/examples/group.json").read_bytes()
        request = urllib.request.Request(url + "v1/groups", body, headers | {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    first = serve()
    told = file(address(first))
    first.kill()
    first.wait()
    url = address(serve())
    assert file(url) == told
    group = json.loads(get(f"{url}v1/groups/{json.loads(told)['id']}", Authorization=f"Bearer {KEY}"))
    assert [r["state"] for r in group["requests"]] == ["SUBMITTED", "SUBMITTED"]
    assert len(json.loads(get(url + "v1/requests", Authorization=f"Bearer {KEY}"))["requests"]) == 2


def test_whoever_calls_too_often_is_told_so_and_may_go_on():
    import http.client

    from hub.web.server import Server

    statuses = iter(["429 TOO MANY REQUESTS", "200 OK", "429 TOO MANY REQUESTS"])

    def app(environ, start):
        start(next(statuses), [("Retry-After", "1")])
        return [b"said"]

    server = Server(app, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    caller = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for status in (429, 200, 429):
        caller.request("GET", "/")
        answer = caller.getresponse()
        assert (answer.status, answer.read(), answer.headers["Retry-After"]) == (status, b"said", "1")
    server.close()
    thread.join(10)
    assert not thread.is_alive()


def test_who_waits_at_a_quick_path_holds_no_thread():
    import http.client
    from concurrent.futures import Future

    from hub import turns
    from hub.web.server import THREADS, Server

    came, arrived = Future(), threading.Semaphore(0)

    def app(environ, start):
        if environ["PATH_INFO"] == "/waits":
            arrived.release()
            turns.result(came)
        start("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    server = Server(app, "127.0.0.1", 0, quick=re.compile("/waits"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    callers = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in range(2 * THREADS)]
    for one in callers:
        one.request("GET", "/waits")
    assert all(arrived.acquire(timeout=20) for _ in callers)
    other = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    other.request("GET", "/other")
    assert other.getresponse().read() == b"/other"
    came.set_result(None)
    assert {one.getresponse().read() for one in callers} == {b"/waits"}
    server.close()
    thread.join(10)
    assert not thread.is_alive()


def test_the_paths_that_bodies_and_agents_decide_at_are_quick(engine):
    from hub.web.access import quick_paths
    from hub.web.app import create_app

    quick = quick_paths(create_app(engine))
    for path in (f"/v1/requests/{'0' * 32}/decisions", "/v1/partners/bank_haramayn/payments/notices"):
        assert quick.fullmatch(path)
    for path in ("/v1/requests", "/v1/groups", "/v1/requests/a/b/decisions", "/v1/partners/x", "/v1/files"):
        assert not quick.fullmatch(path)


def test_a_caller_that_has_gone_takes_nobody_with_it():
    import http.client
    from concurrent.futures import Future

    from hub import turns
    from hub.web.server import Server

    came, arrived = Future(), threading.Semaphore(0)

    def app(environ, start):
        arrived.release()
        if environ["PATH_INFO"] == "/waits":
            turns.result(came)
        start("200 OK", [])
        return [b"said"]

    server = Server(app, "127.0.0.1", 0, quick=re.compile("/.*"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(3):
        gone = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        gone.sendall(b"GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
        assert arrived.acquire(timeout=10)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.close()
    time.sleep(0.3)
    came.set_result(None)
    for _ in range(3):
        other = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        other.request("GET", "/now")
        assert other.getresponse().read() == b"said"
    server.close()
    thread.join(10)
    assert not thread.is_alive()
