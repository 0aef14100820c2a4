"""Each safe setting of the web server, with a test that fails when it is taken away."""

import contextlib
import dataclasses
import http.client
import io
import json
import logging
import socket
import threading

import pytest
from flask import request, session
from werkzeug.test import create_environ, run_wsgi_app

from hub.settings import ConfigError
from hub.web import server
from hub.web.app import LONGEST_BODY, create_app
from hub.web.server import open_server


@contextlib.contextmanager
def running(opened):
    thread = threading.Thread(target=opened.run)
    thread.start()
    try:
        yield
    finally:
        opened.close()
        thread.join(10)


@contextlib.contextmanager
def serving(engine):
    """The hub on a socket of its own; gives its port."""
    engine.settings = dataclasses.replace(engine.settings, port=0)
    opened = open_server(engine)
    with running(opened):
        yield opened.port


@pytest.fixture
def served(engine):
    with serving(engine) as port:
        yield port


def everything(wire):
    """What comes until the other side closes; the socket's own time-out is the failure."""
    got = b""
    while data := wire.recv(65_536):
        got += data
    return got


def status(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(request)
        return everything(wire).split()[1]


def test_every_answer_forbids_keeping_framing_and_guessing(client):
    for path in ("/", "/health", "/v1/requests", "/nowhere", "/static/hub.css"):
        headers = client.get(path).headers
        assert headers["Cache-Control"] == "no-store", path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]


def test_only_hosts_that_are_ours_are_answered(client, engine):
    for path in ("/", "/health", "/v1/requests"):
        answer = client.get(path, headers={"Host": "evil.example"})
        assert (answer.status_code, answer.json["code"]) == (400, "bad_request"), path
    engine.settings = dataclasses.replace(engine.settings, trusted_hosts=("hub.example",))
    assert create_app(engine).test_client().get("/health", headers={"Host": "hub.example"}).status_code == 200


def test_a_long_body_is_refused_before_anybody_asks_who_sends_it(client):
    answer = client.post("/v1/groups", data=b"x" * (LONGEST_BODY + 1))
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")


def test_a_body_that_does_not_say_its_length_is_not_read_beyond_it(client, as_, group, engine):
    """A group behind so much white space that it lies past the limit."""
    headers = as_("agent_idn_1")._headers | {"Idempotency-Key": "a-long-one"}
    environ = create_environ("/v1/groups", method="POST", headers=headers)
    body = b" " * LONGEST_BODY + json.dumps(group).encode()
    environ |= {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    _, status, _ = run_wsgi_app(client.application, environ)
    assert status[:3] in ("400", "413")
    assert engine.reading.now()["groups"] == {}


def test_the_server_hangs_up_on_a_body_without_end(served):
    with socket.create_connection(("127.0.0.1", served), timeout=20) as wire:
        wire.sendall(b"POST /v1/groups HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(LONGEST_BODY // 65_536 + 2):
                wire.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        # Its last chunk never comes: who waits for it keeps whatever is sent.
        assert wire.recv(65_536).split()[1] == b"413"


def test_form_fields_are_capped(engine):
    assert create_app(engine).config["MAX_FORM_MEMORY_SIZE"] <= 64_000


def test_the_debugger_stops_the_hub_from_starting(engine, monkeypatch):
    monkeypatch.setenv("FLASK_DEBUG", "1")
    with pytest.raises(ConfigError) as caught:
        create_app(engine)
    assert caught.value.code == "debug_on"


def test_no_door_keeps_a_session_and_whoever_adds_one_starts_safe(engine):
    app = create_app(engine)
    assert app.secret_key is None

    @app.get("/session")
    def remember():
        session["id"] = "opaque"
        return "kept"

    app.secret_key = "k" * 32
    cookie = app.test_client().get("/session").headers["Set-Cookie"]
    assert cookie.startswith("__Host-hub=")
    for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie


def _remote(engine, proxies):
    engine.settings = dataclasses.replace(engine.settings, proxies=proxies)
    app = create_app(engine)
    app.add_url_rule("/remote", "remote", lambda: f"{request.remote_addr} {request.scheme}")
    forged = {"X-Forwarded-For": "6.6.6.6, 198.51.100.7", "X-Forwarded-Proto": "https"}
    return app.test_client().get("/remote", headers=forged).text


def test_forwarded_headers_mean_nothing_without_a_proxy(engine):
    assert _remote(engine, 0) == "127.0.0.1 http"


def test_behind_one_proxy_only_its_own_word_counts(engine):
    """What the caller wrote into X-Forwarded-For itself stands further left, and is not read."""
    assert _remote(engine, 1) == "198.51.100.7 https"


def test_a_host_that_a_caller_claims_to_be_forwarded_for_is_not_believed(engine):
    engine.settings = dataclasses.replace(engine.settings, proxies=1, trusted_hosts=("hub.example",))
    headers = {"Host": "evil.example", "X-Forwarded-Host": "hub.example"}
    assert create_app(engine).test_client().get("/health", headers=headers).status_code == 400


def test_a_template_in_what_somebody_sends_stays_text(client, as_, group):
    group["group_no"] = "{{7*7}}"
    answer = as_("agent_idn_1").post("/v1/groups", group)
    assert answer.status_code == 422
    page = client.get("/?lang={{7*7}}").text
    assert "49" not in page.split("<main")[0]
    assert "{{" not in page


def test_markup_in_a_partners_name_is_escaped(client, engine, monkeypatch):
    now = engine.reading.now()
    row = {"waiting": 1, "<script>alert(1)</script>": 0}
    monkeypatch.setattr(engine.reading, "now", lambda: now | {"exchanges": {"<script>alert(1)</script>": row}})
    page = client.get("/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_what_fails_inside_tells_nothing_of_what_was_sent(client, as_, engine, group, monkeypatch, capsys, caplog):
    def fail(*args, **kwargs):
        raise ValueError("passport X1234567 of BUDI")

    monkeypatch.setattr(engine.exchange, "receive", fail)
    with caplog.at_level(logging.DEBUG):
        answer = as_("agent_idn_1").post("/v1/groups", group)
    assert (answer.status_code, answer.json["code"]) == (500, "internal")
    said = answer.text + caplog.text + "".join(capsys.readouterr())
    assert "X1234567" not in said
    assert "BUDI" not in said
    assert "web_failed" in said


def test_a_wrong_method_says_which_are_right(client):
    answer = client.put("/v1/groups")
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


def test_the_server_does_not_say_what_it_is(served):
    connection = http.client.HTTPConnection("127.0.0.1", served, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
    assert answer.status == 200
    assert answer.getheader("Server") in (None, "")


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 6\r\nTransfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, identity",
        b"Content-Length: +6",
        b"Content-Length: 6\r\nContent-Length: 7",
        b"Content-Length : 6",
    ],
)
def test_a_body_of_uncertain_length_ends_the_connection(served, lengths):
    """Whoever reads by another length than a proxy did answers a request that was smuggled past it."""
    smuggled = b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served), timeout=20) as wire:
        wire.sendall(b"POST /v1/groups HTTP/1.1\r\nHost: 127.0.0.1\r\n" + lengths + b"\r\n\r\n" + smuggled)
        got = b""
        while data := wire.recv(65_536):
            got += data
    assert got.split()[1] in (b"400", b"501")
    assert got.count(b"HTTP/1.") == 1


@pytest.mark.parametrize("lengths", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
def test_who_sends_slowly_keeps_nobody_waiting_and_is_given_up(engine, monkeypatch, lengths):
    monkeypatch.setattr(server, "THREADS", 1)
    monkeypatch.setattr(server, "BODY_SECONDS", 1.0)
    with serving(engine) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
        slow.sendall(b"POST /v1/groups HTTP/1.1\r\nHost: 127.0.0.1\r\n" + lengths + b"\r\n\r\n")
        assert status(port, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n") == b"200"
        assert everything(slow).split()[1] == b"408"


@pytest.mark.parametrize(
    "head", [b"", b"GET /health HTTP/1.1\r\nHost: 127.0", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"]
)
def test_a_connection_without_a_whole_request_is_closed(engine, monkeypatch, head):
    monkeypatch.setattr(server, "HEAD_SECONDS", 1)
    with serving(engine) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(head)
        everything(wire)


def test_a_caller_that_does_not_take_its_answer_is_dropped(engine):
    opened = open_server(engine)
    with contextlib.closing(opened):
        assert opened._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == server.BODY_SECONDS * 1000


def test_a_long_head_is_refused(served):
    head = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"x" * 2 * server.LONGEST_HEAD + b"\r\n\r\n"
    assert status(served, head) == b"431"


def test_a_header_that_a_proxy_could_not_have_overwritten_is_not_read(engine):
    engine.settings = dataclasses.replace(engine.settings, port=0, proxies=1)
    app = create_app(engine)
    app.add_url_rule("/remote", "remote", lambda: request.remote_addr)
    headers = (
        b"Host: 127.0.0.1\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-For: 198.51.100.7\r\n"
    )
    opened = server.Server(app, "127.0.0.1", 0)
    with running(opened), socket.create_connection(("127.0.0.1", opened.port), timeout=20) as wire:
        wire.sendall(b"GET /remote HTTP/1.1\r\nConnection: close\r\n" + headers + b"\r\n")
        assert everything(wire).endswith(b"\r\n\r\n198.51.100.7")


def test_a_request_without_a_host_is_refused(served):
    assert status(served, b"GET /health HTTP/1.0\r\n\r\n") == b"400"


def test_a_request_in_hand_is_answered_before_the_server_ends():
    began, go = threading.Event(), threading.Event()

    def app(environ, start):
        began.set()
        go.wait(20)
        start("200 OK", [])
        return [b"done"]

    opened = server.Server(app, "127.0.0.1", 0)
    with running(opened), socket.create_connection(("127.0.0.1", opened.port), timeout=20) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert began.wait(20)
        closer = threading.Thread(target=opened.close)
        closer.start()
        go.set()
        assert everything(wire).endswith(b"done")
        closer.join()


def test_a_port_is_shared_only_by_those_who_say_so(engine):
    engine.settings = dataclasses.replace(engine.settings, port=0)
    with contextlib.closing(open_server(engine, shared=True)) as first:
        engine.settings = dataclasses.replace(engine.settings, port=first.port)
        open_server(engine, shared=True).close()
        with pytest.raises(ConfigError) as caught:
            open_server(engine)
        assert caught.value.code == "port_taken"


def test_a_hub_whose_door_breaks_does_not_look_as_if_it_ran(monkeypatch):
    async def breaks(self):
        raise OSError

    monkeypatch.setattr(server._OnSocket, "serve", breaks)
    monkeypatch.setattr(threading, "excepthook", lambda told: None)
    with pytest.raises(RuntimeError):
        server.Server(lambda environ, start: [], "127.0.0.1", 0).run()
