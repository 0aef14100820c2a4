"""The SFTP door as OpenSSH's own client finds it, unchanged."""

import asyncio
import contextlib
import csv
import hashlib
import json
import os
import socket
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hub.canonical.errors import HubError
from hub.partners.flat import overlaid
from hub.web.sftp import SftpDoor, places
from hub.web.sftp import door as doors
from tests.attacks.files_made import example
from tests.web.test_files import BAD, GOOD, rows

pytestmark = pytest.mark.needs("sftp")
AGENT, BILLER = "agent_sftp", "bills_sftp"


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
    return _added(engine, tmp_path, key, AGENT, "agent_idn_1")


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
    _drained(engine, AGENT)
    got = sftp("get /out/* .")
    assert got.returncode == 0, got.stderr
    (outcome,) = tmp_path.glob("*.outcome.csv")
    table = list(csv.DictReader(outcome.open(encoding="utf-8-sig", newline="")))
    assert [row["Code"] for row in table] == ["unknown_group", "date_order_undeclared"]
    (said,) = tmp_path.glob("*.ack.json")
    assert _verified(said, sftp.door)["rows"] == {"read": 2, "accepted": 0, "rejected": 2}
    assert sftp(f"rm /out/{said.name}").returncode == 0
    assert (folder / "to_partner" / "done" / said.name).is_file()


@pytest.fixture
def biller(engine: Any, tmp_path: Path, key: str, door: SftpDoor) -> "Carried":
    """A bill service that comes with its own key: its files have numbers, totals and manifests."""
    folder = _added(engine, tmp_path, key, BILLER, "bill_service")
    return Carried(Client(tmp_path, door, who=BILLER), engine, folder, tmp_path)


class Carried:
    """Files that a partner brings by the door and what it then finds in ``/out``."""

    def __init__(self, sftp: Client, engine: Any, folder: Path, home: Path) -> None:
        self.sftp, self.engine, self.folder, self.home = sftp, engine, folder, home
        engine._claims.enlist("test", "")

    def payments(self, number: int, *references: str) -> bytes:
        """A file of payments of bills that nobody knows."""
        map_ = self.engine.register.map("banks/sadad", "receive_payment_file", "request")
        day = map_.read(example("banks/sadad/receive_payment_file", "txt"))
        lines = [replace(day.lines[0], bank_ref=reference) for reference in references]
        return map_.write(replace(day, sequence=number, lines=lines))

    def put(self, body: bytes, number: int, **said: Any) -> None:
        """Leave a file, its manifest first."""
        name = f"PAID-{BILLER}-{number:06}.txt"
        beside = {"name": name, "sequence": None, "count": None, "control_sum": None, "bytes": len(body),
                  "sha256": hashlib.sha256(body).hexdigest(), "created": "2026-12-01T09:00:00Z"}  # fmt: skip
        (self.home / "file").write_bytes(body)
        (self.home / "beside").write_text(json.dumps(beside | said))
        sent = self.sftp(f"put beside /in/{name}.manifest.json", f"put file /in/{name}")
        assert sent.returncode == 0, sent.stderr

    def told(self) -> list[dict[str, Any]]:
        """Have the hub look, and fetch the acknowledgements that it has put out."""
        before = set(os.listdir(self.folder / "to_partner"))
        self.engine.collect(self.engine.register.partners[BILLER])
        _drained(self.engine, BILLER)
        new = sorted(set(os.listdir(self.folder / "to_partner")) - before)
        acks = [name for name in new if name.endswith(".ack.json")]
        assert self.sftp(*(f"get /out/{ack}{end} ." for ack in acks for end in ("", ".sig"))).returncode == 0
        return [_verified(self.home / ack, self.sftp.door) for ack in acks]

    def bring(self, body: bytes, number: int, **said: Any) -> dict[str, Any]:
        """Leave a file, and fetch its acknowledgement."""
        self.put(body, number, **said)
        (told,) = self.told()
        return told


def test_the_acknowledgement_says_what_was_wrong_with_a_file_that_was_refused(biller):
    right = biller.payments(1, "P1", "P2")
    wrong = {
        "file_totals": biller.bring(right.replace(b"PT0000002", b"PT0000003"), 1),
        "file_hash_wrong": biller.bring(right, 2, sha256="0" * 64),
        "file_sequence_differs": biller.bring(right, 3, sequence=3),
        "map_length": biller.bring(b"no such file\r\n", 4),
    }
    for code, said in wrong.items():
        assert (said["state"], said["code"]) == ("refused", code)
        assert said["reason"]["en"] and said["reason"]["ar"] and said["bytes"] and len(said["sha256"]) == 64
    assert " 3, " in wrong["file_totals"]["reason"]["en"], "with its figures"


def test_a_gap_a_file_told_before_and_a_used_number_are_acknowledged_too(biller):
    held = biller.bring(biller.payments(2, "P2"), 2)
    assert (held["state"], held["code"]) == ("held", "file_sequence_gap") and " 1 " in held["reason"]["en"]
    first = biller.payments(1, "P1")
    biller.put(first, 1)
    assert [one["state"] for one in biller.told()] == ["taken", "taken"], "what was held is told of once more"
    assert biller.bring(first, 3)["state"] == "repeated"
    other = biller.bring(biller.payments(1, "P9"), 4)
    assert (other["state"], other["code"]) == ("refused", "file_sequence_repeated")


def test_who_waits_for_another_number_is_told_so_once_more_and_nothing_stays_open(biller):
    first = biller.bring(biller.payments(3, "P3"), 3)
    assert first["code"] == "file_sequence_gap" and " 1 " in first["reason"]["en"]
    biller.put(biller.payments(1, "P1"), 1)
    told = biller.told()
    assert [one["state"] for one in told] == ["taken", "held"] or [one["state"] for one in told] == ["held", "taken"]
    (second,) = [one for one in told if one["state"] == "held"]
    assert " 2 " in second["reason"]["en"], "another number is missing now"
    names = [path.name.rpartition(".ack")[0] for path in (biller.folder / "to_partner").glob("*.held-*.ack.json")]
    assert sorted(name.rpartition(".")[2] for name in names) == ["held-1", "held-2"]
    assert biller.told() == [], "looked at again, nothing is told twice"
    with biller.engine.database.reading() as tx:
        stuck = tx.connection.execute("SELECT id FROM exchange WHERE state IN ('held', 'parked')").fetchall()
    assert stuck == []


def test_a_file_that_cannot_be_read_is_told_of_whole_or_not_at_all(biller, monkeypatch):
    """Whoever is cut off between the two would have it in reading for ever."""
    uploads = biller.engine.uploads
    monkeypatch.setattr(uploads, "_put_out", lambda *args, **more: 1 / 0)
    biller.put(biller.payments(1, "P1"), 1, sha256="0" * 64)
    with contextlib.suppress(ZeroDivisionError):
        biller.engine.collect(biller.engine.register.partners[BILLER])
    assert [one["state"] for one in uploads.page(BILLER, None, 10)] == []


def test_lines_come_back_in_the_partner_s_own_layout(biller):
    said = biller.bring(biller.payments(1, "P1", "P2"), 1)
    assert said["rows"] == {"read": 2, "accepted": 0, "rejected": 2} and said["outcome"] is True
    (outcome,) = (biller.folder / "to_partner").glob("*.outcome.txt")
    found = outcome.read_text("utf-8-sig").splitlines()
    assert [line[:2] for line in found] == ["PH", "PD", "PD", "PT"]
    assert [line[120:].split(" | ")[:2] for line in found[1:3]] == [[" rejected", "payment_unknown_bill"]] * 2
    assert HubError("payment_unknown_bill").ar in found[1]


def test_a_hub_at_work_acknowledges_what_is_brought(sftp, engine, folder, tmp_path):
    """It looks for files ten times a second and delivers at once: a minute is allowed."""
    engine.start()
    (tmp_path / "r.csv").write_bytes(rows(GOOD, BAD))
    assert sftp("put r.csv /in/r.csv").returncode == 0
    _until(lambda: ".ack.json\n" in sftp("ls -1 /out").stdout and "outcome" in sftp("ls -1 /out").stdout, 60)
    assert sftp("get /out/* .").returncode == 0
    (ack,) = tmp_path.glob("*.ack.json")
    said = _verified(ack, sftp.door)
    assert said["state"] == "taken" and said["rows"]["read"] == 2 and said["received_at"] <= said["ended_at"]


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


def _added(engine: Any, tmp_path: Path, key: str, name: str, like: str) -> Path:
    """A partner as *like*, with the public *key*; its folder."""
    found = tmp_path / "files" / name
    for side in ("to_partner", "from_partner"):
        (found / side).mkdir(parents=True)
    faults: list[Any] = []
    given = {"like": like, "id": name, "name_en": "SFTP", "name_ar": "وكيل", "ssh_keys": key}
    one = overlaid(given, engine.register.partners, "test", 1, faults)
    assert one is not None, faults
    engine.change_partners([one], "test")
    return found


def _drained(engine: Any, name: str) -> None:
    while (wait := engine.dispatcher.drain(engine.register.partners[name])) is not None:
        time.sleep(min(wait, 0.05))


def _verified(ack: Path, door: SftpDoor) -> dict[str, Any]:
    """What an acknowledgement says, when OpenSSH has found its signature good."""
    (ack.parent / "signers").write_text(f"hub {door._key.public}\n")
    checked = subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-f", ack.parent / "signers", "-I", "hub", "-n", "hub-acknowledgement", "-s",
         f"{ack}.sig"], input=ack.read_bytes(), capture_output=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    found: dict[str, Any] = json.loads(ack.read_text())
    return found


def _until(true: Any, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)
