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
from flask import session
from werkzeug.test import create_environ, run_wsgi_app

from hub.settings import ConfigError
from hub.web.app import LONGEST_BODY, create_app
from hub.web.server import open_server


@pytest.fixture
def served(engine):
    """The hub on a socket of its own; gives its port."""
    engine.settings = dataclasses.replace(engine.settings, port=0)
    server = open_server(engine)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.effective_port
    # In the thread that waits on the sockets: it must not find one closed under it.
    server.trigger.pull_trigger(server.close)
    thread.join(10)
    server.task_dispatcher.shutdown()


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
    from flask import request

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
