"""The hardened session: each of its settings, shown by what happens without it."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from urllib3 import Retry
from urllib3.util import parse_url

from hub.channels import Answered, AuthFailed, Channel, ConfigError, OutcomeUnknown, Unavailable, connection
from hub.channels import http as hardened
from hub.chaos.faults import FaultyPartner, Request
from hub.security import signing
from tests.channels.conftest import Authority, out, target

Make = Callable[..., Authority]


def test_the_request_as_it_goes_out(rest: Channel, partner: FaultyPartner) -> None:
    rest.send(target(partner.url + "/", wire={"method": "PUT", "path": "/bills"}), out(b"[1]", key="K-1"))
    (request,) = partner.requests
    assert (request.method, request.path, request.body) == ("PUT", "/bills", b"[1]")
    assert request.headers == {
        "Host": f"127.0.0.1:{partner.port}",
        "User-Agent": "hub",
        "Accept-Encoding": "identity",
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Content-Length": "3",
        "Idempotency-Key": "K-1",
    }


def test_nothing_of_one_call_stays_in_the_next(rest: Channel, partner: FaultyPartner) -> None:
    rest.send(target(partner.url, secret="s" * 32), out(b"[1]", key="K-1"))
    rest.send(target(partner.url), out(b"[]"))
    assert partner.requests[1].body == b"[]"
    assert not {"Idempotency-Key", signing.HEADER} & partner.requests[1].headers.keys()


def test_a_secret_signs_the_bytes_that_are_sent(rest: Channel, partner: FaultyPartner) -> None:
    body = '{"name": "مكة"}'.encode()
    rest.send(target(partner.url, secret="s" * 32), out(body))
    (request,) = partner.requests
    assert signing.verify(["s" * 32], request.headers[signing.HEADER], request.body, datetime.now(UTC))


def test_a_signed_operation_without_a_secret_is_held(rest: Channel, partner: FaultyPartner) -> None:
    result = rest.send(target(partner.url, wire={"path": "/notices", "signed": "hmac"}), out())
    assert isinstance(result, ConfigError) and result.code == "secret_missing"
    assert partner.connections == 0


def test_a_secret_is_not_shown() -> None:
    assert "hidden" not in repr(target("https://bank.example", secret="hidden"))


def test_no_redirect_is_followed(rest: Channel, partner: FaultyPartner) -> None:
    with FaultyPartner() as elsewhere:
        partner.fault, partner.elsewhere = "redirect", elsewhere.url.replace("127.0.0.1", "localhost") + "/?token=abc"
        result = rest.send(target(partner.url, secret="s"), out())
        assert result == ConfigError("partner_redirects", "status 307, to localhost; we never follow")
        assert elsewhere.connections == 0


def test_a_redirect_is_not_followed_even_where_repeating_is_allowed(
    partner: FaultyPartner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardened, "_ONCE", Retry(3))
    with FaultyPartner() as elsewhere:
        partner.fault, partner.elsewhere = "redirect", elsewhere.url
        client = hardened.Http()
        client.call(target(partner.url), "POST", partner.url, {}, b"", time.monotonic() + 5)
        assert elsewhere.connections == 0


def test_the_environment_is_not_trusted(
    rest: Channel, partner: FaultyPartner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with FaultyPartner() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login someone password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        assert isinstance(rest.send(target(partner.url), out()), Answered)
        assert proxy.connections == 0
    assert "Authorization" not in partner.requests[0].headers


def test_no_cookie_is_kept() -> None:
    client = hardened.Http()
    with FaultyPartner(lambda request: (200, {"Set-Cookie": "session=1; Path=/"}, b"{}")) as partner:
        for _ in range(2):
            client.call(target(partner.url), "POST", partner.url, {}, b"", time.monotonic() + 5)
        assert all("Cookie" not in request.headers for request in partner.requests)


def test_one_connection_carries_many_calls(rest: Channel, partner: FaultyPartner) -> None:
    for _ in range(20):
        assert isinstance(rest.send(target(partner.url), out()), Answered)
    assert partner.connections == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
@pytest.mark.parametrize("fault", ["reset", "hang_up", "status_503"])
def test_nothing_is_sent_twice_by_itself(rest: Channel, partner: FaultyPartner, method: str, fault: str) -> None:
    partner.fault = fault
    rest.send(target(partner.url, wire={"method": method, "path": "/bills"}), out())
    assert len(partner.requests) == 1


def test_reaching_a_partner_has_its_own_time_limit(rest: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that drops our first packet answers the next, a second later: too late to be waited for."""
    monkeypatch.setattr(hardened, "CONNECT", 0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as first:
        first.connect(listener.getsockname())  # fills the backlog

        def accept_later() -> None:
            time.sleep(0.6)
            with contextlib.suppress(OSError):
                for _ in range(2):
                    listener.accept()[0].close()

        threading.Thread(target=accept_later, daemon=True).start()
        result = rest.send(target(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=10), out())
        assert isinstance(result, Unavailable) and result.code == "partner_unreachable"


def test_threads_share_a_channel_without_mixing_answers(rest: Channel) -> None:
    def answer(request: Request) -> bytes:
        return request.body

    mixed: list[object] = []
    with FaultyPartner(answer) as partner:

        def work(number: int) -> None:
            for turn in range(50):
                body = f"{number}.{turn}".encode()
                result = rest.send(target(partner.url, concurrency=8), out(body))
                if not (isinstance(result, Answered) and result.body == body):
                    mixed.append(result)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not mixed
        assert len(partner.requests) == 400
        assert partner.connections <= 8


def test_a_connection_that_the_partner_dropped_is_not_used(rest: Channel, partner: FaultyPartner) -> None:
    partner.fault = "drop_idle"
    for number in range(1, 6):
        assert isinstance(rest.send(target(partner.url), out()), Answered)
        while partner.open:
            time.sleep(0.001)
        assert partner.connections == number


def test_a_connection_that_lay_idle_is_not_used(
    rest: Channel, partner: FaultyPartner, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest.send(target(partner.url), out())
    monkeypatch.setattr(connection, "IDLE", 0.0)
    rest.send(target(partner.url), out())
    assert partner.connections == 2


def test_an_answer_that_comes_by_itself_is_not_taken_for_the_next(rest: Channel) -> None:
    replies = iter([b"first", b"second"])
    with FaultyPartner(lambda request: next(replies)) as partner:
        partner.fault = "twice"
        assert rest.send(target(partner.url), out()).body == b"first"  # type: ignore[union-attr]
        while partner.before is None:
            time.sleep(0.001)  # both copies are out; one that crossed with a request only the key within could tell
        partner.fault = None
        assert rest.send(target(partner.url), out()).body == b"second"  # type: ignore[union-attr]


def test_what_a_deadline_cuts_is_only_its_own_call(rest: Channel) -> None:
    with FaultyPartner(lambda request: request.body) as partner:
        for number in range(5):
            partner.fault = "drip"
            cut = rest.send(target(partner.url, timeout=0.1), out())
            assert isinstance(cut, OutcomeUnknown) and cut.code == "reply_late"
            partner.fault = None
            body = str(number).encode()
            assert rest.send(target(partner.url), out(body)).body == body  # type: ignore[union-attr]


def test_a_closed_channel_can_be_used_again(rest: Channel, partner: FaultyPartner) -> None:
    rest.send(target(partner.url), out())
    rest.close()
    assert isinstance(rest.send(target(partner.url), out()), Answered)


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        ("http://bank.example", "address_not_tls"),
        ("http://10.0.0.7", "address_not_tls"),
        ("ftp://bank.example", "address_wrong"),
        ("bank.example/notices", "address_wrong"),
        ("https://", "address_wrong"),
        ("https://bank.example:99999", "address_wrong"),
        ("https://[::1", "address_wrong"),
        ("https://bänk..example", "address_wrong"),
        ("", "address_wrong"),
    ],
)
def test_addresses_that_are_not_called(rest: Channel, endpoint: str, code: str) -> None:
    result = rest.send(target(endpoint), out())
    assert isinstance(result, ConfigError) and result.code == code, result


def test_a_key_that_no_header_can_hold_is_not_sent(rest: Channel, partner: FaultyPartner) -> None:
    result = rest.send(target(partner.url), out(key="K\r\nX-Admin: 1"))
    assert isinstance(result, ConfigError) and result.code == "address_wrong"
    assert not partner.requests


# --- TLS ----------------------------------------------------------------------------------------------------------


def test_the_partners_own_authority_is_the_one_trusted(rest: Channel, authority: Make) -> None:
    ours = authority()
    with FaultyPartner(tls=ours.server()) as partner:
        assert isinstance(rest.send(target(partner.url, ca=ours.file), out()), Answered)
        without = rest.send(target(partner.url), out())
        assert isinstance(without, Unavailable) and without.code == "partner_certificate"
        other = rest.send(target(partner.url, ca=authority("Another authority").file), out())
        assert isinstance(other, Unavailable) and other.code == "partner_certificate"
        assert len(partner.requests) == 1


@pytest.mark.parametrize(("host", "days"), [("127.0.0.1", -1), ("bank.example", 30), ("127.0.0.2", 30)])
def test_expired_and_foreign_certificates_are_refused(rest: Channel, authority: Make, host: str, days: int) -> None:
    ours = authority()
    with FaultyPartner(tls=ours.server(host, days)) as partner:
        result = rest.send(target(partner.url, ca=ours.file), out())
        assert isinstance(result, Unavailable) and result.code == "partner_certificate"
        assert not partner.requests


def test_our_own_certificate_is_shown_where_the_partner_asks(rest: Channel, authority: Make) -> None:
    ours = authority()
    server = ours.server()
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(ours.file)
    with FaultyPartner(tls=server) as partner:
        shown = rest.send(target(partner.url, ca=ours.file, cert=ours.issue("hub.example")), out())
        assert isinstance(shown, Answered)
        # In TLS 1.3 the server says so only after we have begun to send, and its hanging up may overtake its words.
        assert isinstance(rest.send(target(partner.url, ca=ours.file), out()), AuthFailed | OutcomeUnknown)
        assert len(partner.requests) == 1


@pytest.mark.parametrize("which", ["ca", "cert"])
def test_a_certificate_file_that_cannot_be_read_is_held(rest: Channel, tmp_path: Path, which: str) -> None:
    (tmp_path / "broken.pem").write_text("-----BEGIN NOTHING-----\n")
    for name in ("missing.pem", "broken.pem"):
        given: dict[str, Any] = {which: tmp_path / name}
        result = rest.send(target("https://127.0.0.1:9", **given), out())
        assert isinstance(result, ConfigError) and result.code == "certificate_unreadable"


def test_tls_older_than_1_2_is_not_spoken() -> None:
    made = hardened.pool(target("https://bank.example"), parse_url("https://bank.example"))
    context = made.conn_kw["ssl_context"]
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def test_a_password_in_an_address_goes_to_whom_it_names(rest: Channel, partner: FaultyPartner) -> None:
    rest.send(target(partner.url.replace("://", "://hub:p%40ss@")), out())
    assert partner.requests[0].headers["Authorization"] == "Basic aHViOnBAc3M="


def test_a_partner_that_speaks_no_tls_is_unavailable(rest: Channel, partner: FaultyPartner) -> None:
    partner.fault = "garbage"
    result = rest.send(target(partner.url.replace("http:", "https:")), out())
    assert isinstance(result, Unavailable) and result.code in ("partner_tls", "partner_unreachable")


def test_a_handshake_that_never_ends_ends_at_the_deadline(rest: Channel) -> None:
    """A server that drips a handshake record: each byte comes in time, the record would take minutes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            conn, _ = listener.accept()
            with conn:
                try:
                    conn.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
                    for _ in range(100):
                        time.sleep(0.1)
                        conn.sendall(b"\x00")
                except OSError:
                    pass

        threading.Thread(target=drip, daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        result = rest.send(target(url, timeout=0.3), out())
        assert isinstance(result, Unavailable) and result.code == "partner_unreachable"
        assert time.monotonic() - began < 8, "it would have dripped for ten seconds"
