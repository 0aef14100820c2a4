"""Every file that attacks, through every way in: refused with a code or put before somebody, nothing called, nothing
read or written outside, and the door answers afterwards."""

import dataclasses
import json
import os
import resource
import socket
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hub.canonical.errors import catalogue
from hub.exchange.engine import Engine
from hub.security import api_keys
from hub.security.keys import Keys
from hub.settings import load
from hub.web.app import create_app
from hub.web.sftp import SftpDoor
from tests.attacks.files_doors import ByApi, ByFolder, BySftp, Door
from tests.attacks.files_made import ATTACKS, GOOD, Attack
from tests.exchange.exchanging import filing
from tests.web.conftest import START, key_of

PARTNERS = sorted({attack.partner for attack in ATTACKS})
#: What SFTP itself says of a path that is none.
BY_PROTOCOL = {"there is no such file", "files are brought to /in, each from its beginning"}
#: Bytes of memory that all attacks together may take.
MEMORY = 700_000_000

_watched: list[tuple[str, str]] = []
_watching = False


def _seen(event: str, given: tuple[Any, ...]) -> None:
    if _watching and event == "open" and isinstance(given[0], str | bytes):
        _watched.append((event, os.fsdecode(given[0])))
    elif _watching and event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"):
        _watched.append((event, repr(given[1:])))


sys.addaudithook(_seen)


class Site:
    """A hub with three ways in, a listener that nobody may call and a file that nobody may read."""

    def __init__(self, home: Path) -> None:
        self.home = home
        var, files = home / "var", home / "files"
        Keys.generate(var / "keys.json")
        (var / "clock.json").write_text(
            json.dumps({"business": START.isoformat(), "wall": datetime.now(UTC).isoformat()})
        )
        for partner in PARTNERS:
            for side in ("to_partner", "from_partner"):
                (files / partner / side).mkdir(parents=True)
        found = load(None, {"HUB_VAR": str(var), "HUB_CLOCK": str(var / "clock.json")})
        keys = {api_keys.digest(key_of(name)): name for name in PARTNERS}
        self.engine = Engine(dataclasses.replace(
            found, addresses={"FILES_ROOT": str(files), "BANKS_URL": "http://127.0.0.1:1"},
            secrets={"BANK_HARAMAYN_SECRET": "s" * 64}, api_keys=keys, test_mode=True))  # fmt: skip
        group = filing(members=[], heads=2)
        assert self.engine.exchange.receive("agent_idn_1", "open_group", b"{}", message=group).status == "taken"
        # The example's own number is the next.
        stream = "in/bank_haramayn/receive_settlement"
        self.engine.database.unit(lambda tx: self.engine._ledger.set_number(tx, stream, 11))
        key = asyncssh.generate_private_key("ssh-ed25519")
        for name in PARTNERS:
            partner = self.engine.register.partners[name]
            given = (key.export_public_key().decode().strip(),)
            object.__setattr__(partner, "ssh_keys", given)
            object.__setattr__(partner, "enabled", True)
            object.__setattr__(partner, "counts", "strict")
            # Nothing is waited for: what is not whole now never will be.
            inbox = self.engine._collector._inbox(partner)
            assert inbox is not None
            inbox._grace = -1e9
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/x"
        self.secret = home / "secret.txt"
        self.secret.write_text("CANARY-5f1c")
        self.door = SftpDoor(self.engine, "127.0.0.1", 0)
        by_sftp = BySftp(self.engine, files, self.door.port, key, self.door._key.public)
        for name in PARTNERS:
            by_sftp.do(by_sftp.client(name))
        self.doors: dict[str, Door] = {
            "api": ByApi(self.engine, files, create_app(self.engine).test_client()),
            "sftp": by_sftp,
            "folder": ByFolder(self.engine, files),
        }
        self.outside = self._outside()
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def _outside(self) -> set[Path]:
        return set(self.home.iterdir()) | {Path("/tmp/hub-attack"), *Path("/tmp").glob("hub-attack*")}

    def body(self, attack: Attack) -> bytes:
        data = attack.body()
        return data.replace(b"%URL%", self.url.encode()).replace(b"%FILE%", str(self.secret).encode())

    def touched(self) -> list[tuple[str, str]]:
        ours = (str(self.home / "files"), str(self.home / "var"))
        wrong = [
            (event, what) for event, what in _watched
            if event != "open" or what in (str(self.secret), "/etc/passwd") or "hub-attack" in what
            if not what.startswith(ours) or ("hub-attack" in what and event != "open")
        ]  # fmt: skip
        _watched.clear()
        return wrong

    def close(self) -> None:
        self.doors["sftp"].close()  # type: ignore[attr-defined]
        self.door.close()
        self.engine.stop()
        self.listening.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("attacked"))
    yield made
    made.close()


def test_there_are_enough_of_them():
    assert len(ATTACKS) >= 80 and len({attack.id for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("way", ["api", "sftp", "folder"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_an_attack_is_refused(site: Site, attack: Attack, way: str) -> None:
    global _watching
    door, body = site.doors[way], site.body(attack)
    requests = _requests(site)
    _watched.clear()
    _watching = True
    try:
        codes, accepted = door.give(attack, body)  # type: ignore[attr-defined]
    finally:
        _watching = False
        door.forget(attack.partner)
    assert codes and codes - BY_PROTOCOL <= catalogue().keys(), codes
    assert accepted == 0 and _requests(site) == requests
    assert site.touched() == []
    with pytest.raises(BlockingIOError):
        site.listening.accept()


def test_what_is_no_plain_file_is_not_opened(site: Site) -> None:
    """Links, pipes and sockets can come into a folder only."""
    folder = site.home / "files" / "agent_idn_1" / "from_partner"
    secret = site.home / "secret.csv"
    secret.write_bytes(GOOD)
    (folder / "link.csv").symlink_to(secret)
    (folder / "dangling.csv").symlink_to("/nowhere")
    (folder / "proc.csv").symlink_to("/proc/self/environ")
    os.mkfifo(folder / "pipe.csv")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "socket.csv"))
    (folder / "folder.csv").mkdir()
    (folder / "beside.csv").write_bytes(b"no table")
    (folder / "beside.csv.manifest.json").symlink_to(site.secret)
    codes, accepted = site.doors["folder"].take("agent_idn_1")
    listening.close()
    assert accepted == 0 and "file_not_plain" in codes
    refused = {path.name for path in (folder / "refused").iterdir() if path.name.endswith(".reason.json")}
    assert {f"{name}.csv.reason.json" for name in ("link", "dangling", "proc", "pipe", "socket")} <= refused
    assert secret.read_bytes() == GOOD
    secret.unlink()
    (folder / "folder.csv").rmdir()


def test_of_two_that_want_one_name_one_gets_it(site: Site) -> None:
    door: Any = site.doors["sftp"]

    async def race() -> list[Any]:
        import asyncio

        client = await door.client("agent_idn_1")
        for name in (b"a", b"b"):
            async with client.open(b"/in/%s.csv.part" % name, "wb", encoding=None) as file:
                await file.write(name)
        renames = [client.rename(b"/in/%s.csv.part" % name, b"/in/one.csv") for name in (b"a", b"b")]
        return list(await asyncio.gather(*renames, return_exceptions=True))

    found = door.do(race())
    assert sorted(one is None for one in found) == [False, True]
    door.forget("agent_idn_1")


def test_one_file_by_many_callers_at_once_is_taken_once(site: Site) -> None:
    api: Any = site.doors["api"]
    before, answers = _requests(site), list[Any]()
    body = GOOD.replace(b"C7654321", b"C7654390")

    def send() -> None:
        answers.append(api.give(Attack("good", lambda: body, "same.csv"), body))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    site.engine.take_uploads()
    assert len(answers) == 6 and _requests(site) == before + 1


@pytest.mark.parametrize("way", ["api", "sftp", "folder"])
def test_afterwards_a_good_file_is_taken(site: Site, way: str) -> None:
    # The group's second place; told again it changes nothing.
    body = GOOD.replace(b"C7654321", b"C7654391") + way.encode() * 0 + b"\r\n" * (1 + len(way))
    codes, accepted = site.doors[way].give(Attack("good", lambda: body, f"good-{way}.csv"), body)  # type: ignore[attr-defined]
    assert codes == set() and accepted == 1


def test_nothing_was_written_outside_and_little_memory_was_taken(site: Site) -> None:
    assert site._outside() == site.outside
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - site.memory) * 1024 < MEMORY
    assert site.secret.read_text() == "CANARY-5f1c"
    for path in (site.home / "files").rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert b"CANARY-5f1c" not in path.read_bytes(), path.name


def _requests(site: Site) -> int:
    from sqlalchemy import func, select

    from hub.store.database import Statement
    from hub.store.tables import request

    with site.engine.database.reading() as tx:
        row = tx.one(Statement(select(func.count()).select_from(request)))
    assert row is not None
    return int(row[0])
