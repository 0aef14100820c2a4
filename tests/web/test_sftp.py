"""The SFTP door as OpenSSH's own client finds it, unchanged."""

import asyncio
import csv
import json
import os
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hub.partners.flat import overlaid
from hub.web.sftp import SftpDoor, places
from hub.web.sftp import door as doors
from tests.web.test_files import BAD, GOOD, rows

pytestmark = pytest.mark.needs("sftp")
AGENT = "agent_sftp"


class Client:
    """OpenSSH's sftp with a key of its own, and the hub's key pinned."""

    def __init__(self, tmp_path: Path, door: SftpDoor, who: str = AGENT, key: str = "key") -> None:
        self.home, self.door, self.who, self.key = tmp_path, door, who, tmp_path / key
        (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{door.port} {door._key.public}\n")

    def options(self) -> list[str]:
        given = {
            "Port": self.door.port, "IdentityFile": self.key, "IdentitiesOnly": "yes", "BatchMode": "yes",
            "UserKnownHostsFile": self.home / "known_hosts", "StrictHostKeyChecking": "yes",
            "PreferredAuthentications": "publickey,password,keyboard-interactive",
        }  # fmt: skip
        return [word for name, value in given.items() for word in ("-o", f"{name}={value}")]

    def __call__(self, *commands: str) -> subprocess.CompletedProcess[str]:
        """Run *commands* in one session; it ends at the first that fails."""
        return subprocess.run(
            ["sftp", "-F", "none", *self.options(), "-b", "-", f"{self.who}@127.0.0.1"], cwd=self.home,
            input="\n".join(commands) + "\n", capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def ssh(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ssh", "-F", "none", *self.options(), f"{self.who}@127.0.0.1", *words],
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip


@pytest.fixture
def key(tmp_path: Path) -> str:
    for name in ("key", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    return (tmp_path / "key.pub").read_text().strip()


@pytest.fixture
def folder(engine: Any, tmp_path: Path, key: str) -> Path:
    """An agent added while the hub runs, with a public key; its folder."""
    found = tmp_path / "files" / AGENT
    for side in ("to_partner", "from_partner"):
        (found / side).mkdir(parents=True)
    faults: list[Any] = []
    given = {"like": "agent_idn_1", "id": AGENT, "name_en": "SFTP", "name_ar": "وكيل", "ssh_keys": key}
    one = overlaid(given, engine.register.partners, "test", 1, faults)
    assert one is not None, faults
    engine.change_partners([one], "test")
    return found


@pytest.fixture
def door(engine: Any, folder: Path) -> Any:
    made = SftpDoor(engine, "127.0.0.1", 0)
    yield made
    made.close()


@pytest.fixture
def sftp(tmp_path: Path, door: SftpDoor) -> Client:
    return Client(tmp_path, door)


def test_a_roster_goes_in_and_its_rows_and_a_signed_acknowledgement_come_back(sftp, engine, folder, tmp_path):
    (tmp_path / "r.csv").write_bytes(rows(GOOD, BAD))
    sent = sftp("put r.csv /in/r.csv", "ls /in")
    assert sent.returncode == 0 and "r.csv" in sent.stdout, sent.stderr
    assert (folder / "from_partner" / "r.csv").read_bytes() == rows(GOOD, BAD)
    partner = engine.register.partners[AGENT]
    assert engine.collect(partner).lines == 2
    engine._claims.enlist("test", "")
    while (wait := engine.dispatcher.drain(partner)) is not None:
        time.sleep(min(wait, 0.05))
    got = sftp("get /out/* .")
    assert got.returncode == 0, got.stderr
    (outcome,) = tmp_path.glob("*.outcome.csv")
    table = list(csv.DictReader(outcome.open(encoding="utf-8-sig", newline="")))
    assert [row["Code"] for row in table] == ["unknown_group", "date_order_undeclared"]
    (said,) = tmp_path.glob("*.ack.json")
    assert json.loads(said.read_text())["rows"] == {"read": 2, "accepted": 0, "rejected": 2}
    (tmp_path / "signers").write_text(f"hub {sftp.door._key.public}\n")
    checked = subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-f", tmp_path / "signers", "-I", "hub", "-n", "hub-acknowledgement", "-s",
         f"{said}.sig"], input=said.read_bytes(), capture_output=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    assert sftp(f"rm /out/{said.name}").returncode == 0
    assert (folder / "to_partner" / "done" / said.name).is_file()


def test_a_file_sent_as_part_counts_when_it_is_renamed(sftp, engine, folder, tmp_path):
    (tmp_path / "r.csv").write_bytes(rows(GOOD))
    partner = engine.register.partners[AGENT]
    assert sftp("put r.csv /in/r.csv.part").returncode == 0
    assert engine.collect(partner).files == 0
    assert sftp("rename /in/r.csv.part /in/r.csv").returncode == 0
    assert engine.collect(partner).files == 1


def test_nothing_stays_of_a_connection_that_broke(door, engine, folder, tmp_path):
    async def half() -> None:
        connection = await _connect(door, tmp_path)
        sftp = await connection.start_sftp_client()
        file = await sftp.open("/in/half.csv", "wb")
        await file.write(rows(GOOD)[:100])
        assert [name for name in os.listdir(folder / "from_partner") if name.startswith(".sftp-")]
        connection.abort()
        await connection.wait_closed()

    asyncio.run(half())
    _until(lambda: not [n for n in os.listdir(folder / "from_partner") if n.startswith(".sftp-")])
    assert not (folder / "from_partner" / "half.csv").exists()
    assert engine.collect(engine.register.partners[AGENT]).files == 0


def test_somebody_without_the_key_stays_outside(sftp, tmp_path, door, engine):
    assert "denied" in Client(tmp_path, door, key="other")("ls").stderr
    assert "denied" in Client(tmp_path, door, who="nobody")("ls").stderr
    assert "denied" in Client(tmp_path, door, who="agent_idn_1")("ls").stderr, "it has no keys"
    assert "denied" in Client(tmp_path, door, who="operator")("ls").stderr
    assert sftp("ls").returncode == 0
    from hub.partners import Overlaid

    engine.change_partners([Overlaid(id=AGENT, enabled=False)], "test")
    assert "denied" in sftp("ls").stderr, "switched off, its key opens nothing"


def test_a_hub_with_another_key_is_not_trusted(sftp, tmp_path):
    other = (tmp_path / "other.pub").read_text()
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{sftp.door.port} {other}")
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in sftp("ls").stderr


def test_the_key_is_ours_alone_and_stays(settings, door, engine):
    assert stat.S_IMODE(settings.sftp_key.stat().st_mode) == 0o600
    before, kept = door.fingerprint, settings.sftp_key.read_bytes()
    second = SftpDoor(engine, "127.0.0.1", 0)
    assert second.fingerprint == before and settings.sftp_key.read_bytes() == kept
    second.close()
    shown = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input=door._key.public, capture_output=True, text=True, check=True
    )
    assert before in shown.stdout


def test_there_is_no_shell_no_command_and_no_tunnel(sftp, tmp_path):
    assert sftp.ssh("id").returncode != 0 and "uid=" not in sftp.ssh("id").stdout
    assert sftp.ssh().returncode != 0
    (tmp_path / "r.csv").write_bytes(b"x")
    copied = subprocess.run(
        ["scp", "-O", "-F", "none", *sftp.options(), "r.csv", f"{AGENT}@127.0.0.1:/in/r.csv"],
        cwd=tmp_path, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert copied.returncode != 0
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(1)
        port = listening.getsockname()[1]
        tunnel = sftp.ssh("-W", f"127.0.0.1:{port}")
        assert tunnel.returncode != 0
        with pytest.raises(TimeoutError):
            listening.accept()


@pytest.mark.parametrize("option", [
    "Ciphers=aes256-cbc", "Ciphers=3des-cbc", "MACs=hmac-sha1", "MACs=hmac-md5",
    "KexAlgorithms=diffie-hellman-group14-sha1", "KexAlgorithms=diffie-hellman-group14-sha256",
])  # fmt: skip
def test_what_is_weak_is_not_spoken(sftp, option):
    forced = ["-o", option] + (["-o", "Ciphers=aes256-ctr"] if option.startswith("MACs") else [])
    done = subprocess.run(
        ["sftp", "-F", "none", *forced, *sftp.options(), "-b", "-", f"{AGENT}@127.0.0.1"], input="ls\n",
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0 and ("no matching" in done.stderr.lower() or "Bad SSH2" in done.stderr), done.stderr


def test_each_sees_its_own_and_nothing_else(sftp, folder, tmp_path):
    (folder / "from_partner" / "claimed").mkdir()
    (folder / "to_partner" / "link.csv").symlink_to("/etc/passwd")
    (folder / "to_partner" / "half.csv.part").write_text("half")
    (tmp_path / "files" / "agent_idn_1").mkdir(exist_ok=True)
    listed = sftp("ls -la /", "ls /in", "ls /out", "ls /refused")
    assert "claimed" not in listed.stdout and "link" not in listed.stdout and "half" not in listed.stdout
    for path in ("/etc/passwd", "../../../etc/passwd", "/in/../../agent_idn_1", "/out/link.csv", "/in/claimed"):
        assert sftp(f"get {path} stolen").returncode != 0 and not (tmp_path / "stolen").exists()
    pwd = sftp("cd /in", "cd ../../../..", "pwd")
    assert pwd.stdout.strip().endswith("Remote working directory: /")


def test_what_is_refused_lies_with_its_reason(sftp, engine, folder, tmp_path):
    (tmp_path / "r.csv").write_bytes(b"\x00\x01 not a table")
    assert sftp("put r.csv /in/r.csv").returncode == 0
    assert engine.collect(engine.register.partners[AGENT]).code is not None
    assert sftp("get /refused/r.csv.reason.json .").returncode == 0
    said = json.loads((tmp_path / "r.csv.reason.json").read_text())
    assert said["code"] and said["en"] and said["ar"]


def test_a_name_that_is_there_is_not_written_over(sftp, folder, tmp_path):
    (tmp_path / "r.csv").write_bytes(b"one")
    assert sftp("put r.csv /in/r.csv").returncode == 0
    (tmp_path / "r.csv").write_bytes(b"two")
    assert sftp("put r.csv /in/r.csv").returncode != 0
    assert sftp("put r.csv /in/s.csv.part", "rename /in/s.csv.part /in/r.csv").returncode != 0
    assert (folder / "from_partner" / "r.csv").read_bytes() == b"one"
    assert sftp("rm /in/r.csv", "put r.csv /in/r.csv").returncode == 0


def test_limits_of_size_handles_and_connections(door, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "LONGEST", 1000)
    monkeypatch.setattr(places, "OPEN", 3)
    monkeypatch.setattr(doors, "OF_ONE", 2)

    async def go() -> None:
        connection = await _connect(door, tmp_path)
        sftp = await connection.start_sftp_client()
        with pytest.raises(asyncssh.SFTPError, match="file_too_large"):
            async with sftp.open("/in/big.csv", "wb") as file:
                await file.write(b"x" * 1001)
        with pytest.raises(asyncssh.SFTPError, match="file_too_large"):
            async with sftp.open("/in/far.csv", "wb") as file:
                await file.write(b"x", 10**15)
        held = [await sftp.open(f"/in/{n}.csv", "wb") for n in range(3)]
        with pytest.raises(asyncssh.SFTPError, match="too many files"):
            await sftp.open("/in/4.csv", "wb")
        second = await _connect(door, tmp_path)
        with pytest.raises((asyncssh.Error, OSError)):
            third = await _connect(door, tmp_path)
            await third.start_sftp_client()
        for file in held:
            await file.close()
        second.close()
        connection.close()
        await connection.wait_closed()
        await second.wait_closed()

    asyncio.run(go())
    assert not (folder / "from_partner" / "big.csv").exists() and not (folder / "from_partner" / "far.csv").exists()


async def _connect(door: SftpDoor, home: Path) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        "127.0.0.1", door.port, username=AGENT, client_keys=[str(home / "key")], config=None,
        known_hosts=asyncssh.import_known_hosts(f"[127.0.0.1]:{door.port} {door._key.public}\n"),
    )  # fmt: skip


def _until(true: Any) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)
