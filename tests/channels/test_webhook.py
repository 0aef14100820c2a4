"""A webhook leads to the open Internet and nowhere nearer: URLs, addresses, redirects, and a name that changes."""

import dataclasses
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.channels import Answered, Channel, Guard, OutcomeUnknown, Outgoing, Target, Unavailable, open_channel
from hub.channels.guard import AddressRefused, host_named
from hub.security import addresses
from tests.channels.conftest import Authority
from tests.security.test_addresses import ALLOWED, DENIED
from tests.strangers.listener import Listener

HOST, NAME = "hooks.agent.example", "visa.issued." + "0" * 32
URLS = [
    ("https://hooks.agent.example/events?x=1", None),
    ("https://hooks.agent.example:443/", None),
    ("https://HOOKS.agent.example/", None),
    ("https://hooks.agent.example:8443/", None),
    ("https://hooks.agent.example:9000/", "callback_host_not_allowed"),
    ("https://hooks.agent.example:22/", "callback_host_not_allowed"),
    ("https://other.example/", "callback_host_not_allowed"),
    ("https://hooks.agent.example.evil.example/", "callback_host_not_allowed"),
    ("http://hooks.agent.example/", "callback_not_https"),
    ("ftp://hooks.agent.example/", "callback_url_wrong"),
    ("file:///etc/passwd", "callback_url_wrong"),
    ("gopher://hooks.agent.example/", "callback_url_wrong"),
    ("//hooks.agent.example/", "callback_url_wrong"),
    ("hooks.agent.example", "callback_url_wrong"),
    ("https://user@hooks.agent.example/", "callback_url_wrong"),
    ("https://user:word@hooks.agent.example/", "callback_url_wrong"),
    ("https://hooks.agent.example@127.0.0.1/", "callback_url_wrong"),
    ("https://hooks.agent.example#@127.0.0.1/", "callback_url_wrong"),
    ("https://hooks.agent.example\\@127.0.0.1/", "callback_url_wrong"),
    ("https://hooks.agent.example/ x", "callback_url_wrong"),
    ("https://hooks.agent.example/\r\nHost: a", "callback_url_wrong"),
    ("https://hooks.agent.example/" + "a" * 500, "callback_url_wrong"),
    ("https://hooks\u3002agent\u3002example/", "callback_url_wrong"),
    ("https://127.0.0.1/", "callback_url_wrong"),
    ("http://127.0.0.1/", "callback_not_https"),
    ("http://localhost:8080/", "callback_not_https"),
    ("https://127.1/", "callback_url_wrong"),
    ("https://2130706433/", "callback_url_wrong"),
    ("https://0x7f.1/", "callback_url_wrong"),
    ("https://[::1]/", "callback_url_wrong"),
    ("https://[64:ff9b::7f00:1]/", "callback_url_wrong"),
    ("https://8.8.8.8/", "callback_url_wrong"),
    ("https://hooks/", "callback_url_wrong"),
    ("https:///events", "callback_url_wrong"),
    ("https://hooks.agent.example:0x1bb/", "callback_url_wrong"),
    ("https://hooks.agent.example:99999/", "callback_url_wrong"),
]


def guard(*found: str, loopback: bool = False) -> Guard:
    """A guard whose resolver knows one name, with these addresses."""

    def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
        return [(None, None, None, "", (address, port)) for address in found]

    return Guard(frozenset({HOST, f"{HOST}:8443"}), loopback=loopback, resolve=resolve)


@pytest.mark.parametrize(("url", "code"), URLS)
def test_what_may_be_named(url, code):
    assert guard().against(url) == code


@pytest.mark.parametrize("address", DENIED)
def test_a_name_that_leads_nearer_is_refused(address):
    with pytest.raises(AddressRefused):
        guard(address).address(HOST, 443)
    with pytest.raises(AddressRefused):  # however good the others are
        guard("1.1.1.1", address).address(HOST, 443)


@pytest.mark.parametrize("address", ALLOWED)
def test_a_name_of_the_open_internet_is_not(address):
    assert guard(address).address(HOST, 443) == address


def test_this_machine_may_be_called_where_a_setting_says_so_and_nothing_else_near():
    near = guard("127.0.0.1", loopback=True)
    assert near.against("http://127.0.0.1:80/") is None and near.against("http://localhost/") is None
    assert near.address("localhost", 80) == "127.0.0.1"
    for other in ("http://10.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/"):
        assert near.against(other) == "callback_not_https"
    with pytest.raises(AddressRefused):  # a name of theirs leads there no more than before
        near.address(HOST, 443)


def test_hosts_are_named_in_one_way():
    assert [host_named(t) for t in ("A.Example", " a.example:443 ", "a.example:8443")] == [
        "a.example", "a.example", "a.example:8443",
    ]  # fmt: skip
    assert [host_named(t) for t in ("a", "1.2.3.4", "a.example:0", "a..example", "a_b.example", "")] == [None] * 6


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = open_channel("webhook")
    yield made
    made.close()


def target(url: str, given: Guard, **more: Any) -> Target:
    return Target("hook_1", "webhook", url, 3.0, 2, {}, Path(), "whsec_x", guard=given, **more)


def out(within: float = 5.0) -> Outgoing:
    return Outgoing(
        b'{"id":"00000000-0000-0000-0000-000000000000"}', None, NAME, None, None, None, time.monotonic() + within
    )  # fmt: skip


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[Listener, Path]]:
    """A door with a certificate of its own name, and the authority that it is of."""
    authority = Authority(tmp_path)
    with Listener(authority.issue(HOST)) as found:
        yield found, authority.file


def test_the_connection_goes_where_was_looked_and_tls_by_the_name(channel, door, monkeypatch):
    found, ca = door
    # 127.0.0.1 plays the open Internet: there is no other to connect to here.
    monkeypatch.setattr(addresses, "public", lambda address: address == "127.0.0.1")
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(None, None, None, "", ("127.0.0.1" if len(asked) == 1 else "10.0.0.1", port))]

    url = f"https://{HOST}:{found.port}/events"
    given = Guard(frozenset({f"{HOST}:{found.port}"}), resolve=resolve)
    said = channel.send(target(url, given, ca=ca), out())
    assert isinstance(said, Answered) and said.body == b"" and found.heard[0].verified("whsec_x")
    # One look for a call; the next call looks again, at once, and by then the name leads nearer.
    assert asked == [HOST]
    said = channel.send(target(url, given, ca=ca), out())
    assert isinstance(said, Unavailable) and said.code == "callback_address"
    assert asked == [HOST, HOST] and len(found.heard) == 1


def test_a_certificate_of_another_name_is_refused(channel, tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "public", lambda address: True)
    authority = Authority(tmp_path)
    with Listener(authority.issue("other.example")) as found:
        given = dataclasses.replace(guard("127.0.0.1"), hosts=frozenset({f"{HOST}:{found.port}"}))
        said = channel.send(target(f"https://{HOST}:{found.port}/", given, ca=authority.file), out())
        assert isinstance(said, Unavailable) and said.code == "partner_certificate" and found.heard == []


@pytest.mark.parametrize(("answer", "code"), [
    ((302, {"Location": "http://169.254.169.254/"}), "callback_redirects"), (301, "callback_redirects"),
    (400, "callback_refuses"), (410, "callback_refuses"), (401, "callback_refuses"), (500, "callback_failing"),
])  # fmt: skip
def test_only_2xx_is_heard_and_nothing_is_followed(channel, answer, code):
    with Listener() as found:
        found.answers = [answer]
        said = channel.send(target(found.url, Guard(frozenset(), loopback=True)), out())
        assert isinstance(said, Unavailable) and said.code == code and len(found.heard) == 1
        assert "nobody may see" not in repr(said)


def test_a_door_that_does_not_answer_in_time_may_have_heard(channel):
    with Listener() as found:
        found.delay = 2.0
        said = channel.send(target(found.url, Guard(frozenset(), loopback=True)), out(0.4))
        assert isinstance(said, OutcomeUnknown) and said.code == "reply_late"


# -- a real resolver, and a name that answers otherwise each time ------------------------------------------------------

_INSIDE = textwrap.dedent("""
    import fcntl, json, socket, struct, sys, threading
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(link, 0x8914, struct.pack("16sh", b"lo", 0x41))  # SIOCSIFFLAGS: up and running

    asked, given = [], json.loads(sys.argv[1])
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def answer():
        while True:
            query, whom = server.recvfrom(512)
            end = query.index(b"\\0", 12) + 5
            kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
            found = b""
            if kind == 1:
                address = given[min(len(asked), len(given) - 1)]
                asked.append(address)
                found = b"\\xc0\\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(address)
            head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, bool(found), 0, 0)
            server.sendto(head + query[12:end] + found, whom)

    threading.Thread(target=answer, daemon=True).start()
    knocked = []
    near = socket.create_server(("127.0.0.1", 443))

    def wait():
        while True:
            knocked.append(near.accept()[1])

    threading.Thread(target=wait, daemon=True).start()

    from tests.channels.test_webhook import HOST, out, target
    from hub.channels import Guard, open_channel
    channel = open_channel("webhook")
    codes = [channel.send(target(f"https://{HOST}/", Guard(frozenset({HOST}))), out()).code for _ in range(2)]
    print(json.dumps({"codes": codes, "asked": asked, "knocked": len(knocked)}))
""")


def _namespaces() -> bool:
    return bool(shutil.which("unshare")) and not subprocess.run(
        ["unshare", "-rmn", "true"], capture_output=True, check=False
    ).returncode  # fmt: skip


@pytest.mark.skipif(not _namespaces(), reason="no network of its own can be made here: that needs unshare")
@pytest.mark.parametrize(("given", "codes"), [
    # The first look finds the open Internet, to which no way leads from here; the second finds this machine.
    (["93.184.215.14", "127.0.0.1"], ["partner_unreachable", "callback_address"]),
    (["127.0.0.1", "93.184.215.14"], ["callback_address", "partner_unreachable"]),
])  # fmt: skip
def test_a_name_that_changes_its_mind_leads_nowhere_else(tmp_path, given, codes):
    import json

    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: dns\n")
    (tmp_path / "inside.py").write_text(_INSIDE)
    mounts = " && ".join(f"mount --bind {tmp_path}/{f} /etc/{f}" for f in ("resolv.conf", "nsswitch.conf"))
    command = f"{mounts} && exec {sys.executable} {tmp_path}/inside.py '{json.dumps(given)}'"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        ["unshare", "-rmn", "sh", "-c", command], capture_output=True, text=True, timeout=60, check=False, cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    # Each call looked once, and nobody ever knocked at this machine's own port.
    assert said == {"codes": codes, "asked": given, "knocked": 0}
