"""Files out: whole or not at all, once however often they are sent."""

import errno
import hashlib
import json
import multiprocessing
import os
import resource
import signal
import threading
from datetime import datetime
from pathlib import Path

import pytest

from hub.channels import Answered, Channel, ConfigError, Inbox, Target, Unavailable, open_channel
from hub.channels import files as module
from tests.channels.conftest import out, target

NAME = "PRINT-JKT-000007.xml"
BODY = "<list>مكة</list>".encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "to the mission"
    made.mkdir()
    return made


@pytest.fixture
def files() -> Channel:
    return open_channel("files")


def to(folder: Path, **more: object) -> Target:
    return target(str(folder), "files", **{"wire": {"name": "…"}, **more})


def lies_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_and_its_manifest(files: Channel, folder: Path) -> None:
    result = files.send(to(folder), out(BODY, name=NAME, sequence=7, count=2, total="00-12"))
    assert isinstance(result, Answered) and (result.status, result.body) == (201, b"")
    assert lies_in(folder) == {NAME, NAME + ".manifest.json"}
    assert (folder / NAME).read_bytes() == BODY
    manifest = json.loads((folder / (NAME + ".manifest.json")).read_bytes())
    assert datetime.fromisoformat(manifest.pop("created")).tzinfo
    assert manifest == {
        "name": NAME,
        "sequence": 7,
        "count": 2,
        "control_sum": "00-12",
        "sha256": hashlib.sha256(BODY).hexdigest(),
        "bytes": len(BODY),
    }


def test_an_endpoint_may_be_a_url(files: Channel, folder: Path) -> None:
    assert isinstance(files.send(target(folder.as_uri(), "files", wire={}), out(BODY, name=NAME)), Answered)
    assert (folder / NAME).exists()


def test_a_partner_may_want_no_manifest(files: Channel, folder: Path) -> None:
    files.send(to(folder, wire={"manifest": "none"}), out(BODY, name=NAME))
    assert lies_in(folder) == {NAME}


@pytest.mark.parametrize("place", ["", "claimed", "done", "refused"])
def test_the_same_file_again_is_delivered_already(files: Channel, folder: Path, place: str) -> None:
    files.send(to(folder), out(BODY, name=NAME))
    if place:
        (folder / place).mkdir()
        (folder / NAME).rename(folder / place / NAME)
    again = files.send(to(folder), out(BODY, name=NAME))
    assert isinstance(again, Answered) and again.status == 200
    assert len(list(folder.rglob(NAME))) == 1 and not list(folder.rglob("*.part"))
    other = files.send(to(folder), out(BODY + b" ", name=NAME))
    assert isinstance(other, ConfigError) and other.code == "file_name_taken"
    assert [path.read_bytes() for path in folder.rglob(NAME)] == [BODY] and not list(folder.rglob("*.part"))


def test_what_a_killed_sender_left_is_written_over(files: Channel, folder: Path) -> None:
    (folder / (NAME + ".part")).write_bytes(b"x" * 10_000)
    (folder / (NAME + ".manifest.json")).write_bytes(b"{")
    assert isinstance(files.send(to(folder), out(BODY, name=NAME)), Answered)
    (arrived,) = Inbox(folder).arrivals()
    assert arrived.body == BODY


def test_two_senders_of_one_file_deliver_it_once(folder: Path) -> None:
    for turn in range(20):
        results: list[object] = []

        def send(turn: int = turn, results: list[object] = results) -> None:
            results.append(open_channel("files").send(to(folder), out(BODY, name=f"{turn}.xml")))

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(isinstance(it, Answered) and it.status == 201 for it in results) == 1
        assert all(
            isinstance(it, Answered) or (isinstance(it, Unavailable) and it.code == "file_in_use") for it in results
        )
        assert (folder / f"{turn}.xml").read_bytes() == BODY
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize(
    "name",
    [None, "", ".", "..", "../x.xml", "/etc/x.xml", "a/b.xml", "a\\b", ".hidden", "a\0b", "a\nb", "x.part", "x.tmp",
     "x~", "x.manifest.json", "x.done", "x" * 201, "مكة.xml"],
)  # fmt: skip
def test_names_that_a_folder_may_not_hold(files: Channel, folder: Path, name: str | None) -> None:
    result = files.send(to(folder), out(BODY, name=name))
    assert isinstance(result, ConfigError) and result.code == "file_name_wrong"
    assert not lies_in(folder)


def test_a_planted_link_is_not_written_through(files: Channel, folder: Path, tmp_path: Path) -> None:
    (folder / (NAME + ".part")).symlink_to(tmp_path / "victim")
    result = files.send(to(folder), out(BODY, name=NAME))
    assert isinstance(result, ConfigError) and result.code == "folder_wrong"
    assert not (tmp_path / "victim").exists()


def test_a_missing_folder_is_not_made(files: Channel, folder: Path) -> None:
    folder.rmdir()
    result = files.send(to(folder), out(BODY, name=NAME))
    assert isinstance(result, ConfigError) and result.code == "folder_wrong"
    assert not folder.exists()


def test_a_deadline_that_has_passed_writes_nothing(files: Channel, folder: Path) -> None:
    result = files.send(to(folder), out(BODY, name=NAME, within=-1))
    assert isinstance(result, Unavailable) and result.code == "deadline_passed"
    assert not lies_in(folder)


def _send_with_room_for(room: int, folder: Path, answers: "multiprocessing.SimpleQueue[object]") -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    answers.put(open_channel("files").send(to(folder), out(bytes(100_000), name=NAME)))


@pytest.mark.parametrize("room", [0, 50_000])
def test_a_full_disk_leaves_nothing_behind(files: Channel, folder: Path, room: int) -> None:
    """The limit on a process's files fails a write half way, as a full disk does."""
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.SimpleQueue[object] = context.SimpleQueue()
    process = context.Process(target=_send_with_room_for, args=(room, folder, answers))
    process.start()
    result = answers.get()
    process.join()
    assert isinstance(result, Unavailable) and result.code == "disk_full"
    assert not lies_in(folder)
    assert isinstance(files.send(to(folder), out(bytes(100_000), name=NAME)), Answered), (
        "and goes on when there is room"
    )


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, Unavailable, "disk_full"),
        (errno.EDQUOT, Unavailable, "disk_full"),
        (errno.EIO, Unavailable, "folder_unavailable"),
        (errno.ESTALE, Unavailable, "folder_unavailable"),
        (errno.EROFS, ConfigError, "folder_wrong"),
        (errno.EACCES, ConfigError, "folder_wrong"),
    ],
)
def test_what_each_error_means(number: int, kind: type, code: str) -> None:
    failure = module._failed(OSError(number, "…"))
    assert isinstance(failure, kind) and failure.code == code
    assert errno.errorcode[number] in failure.why or code == "disk_full"


def test_the_bytes_are_on_the_disk_before_the_name_is(
    files: Channel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(handle: int) -> None:
        done.append("sync " + Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        fsync(handle)

    def noted_rename(source: Path, final: Path) -> None:
        done.append(f"{source.name} becomes {final.name}")
        rename(source, final)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    files.send(to(folder), out(BODY, name="A.xml"))
    assert done == [
        "sync A.xml.part",
        "sync A.xml.manifest.json.part",
        "A.xml.manifest.json.part becomes A.xml.manifest.json",
        "A.xml.part becomes A.xml",
        f"sync {folder.name}",
    ]


def _die_at(step: int, folder: Path) -> None:
    done = 0

    def counted(real: object) -> object:
        def call(*args: object, **more: object) -> object:
            nonlocal done
            done += 1
            if done == step:
                os._exit(9)
            return real(*args, **more)  # type: ignore[operator]

        return call

    for name in ("open", "write", "fsync", "rename", "ftruncate", "close"):
        setattr(os, name, counted(getattr(os, name)))
    open_channel("files").send(to(folder), out(BODY, name=NAME, sequence=1))
    os._exit(0)


def test_a_sender_killed_at_any_step_delivers_all_or_nothing(files: Channel, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for step in range(1, 100):
        folder = tmp_path / str(step)
        folder.mkdir()
        process = context.Process(target=_die_at, args=(step, folder))
        process.start()
        process.join()
        bodies = [arrived.body for arrived in Inbox(folder).arrivals()]
        assert bodies in ([], [BODY]), step
        assert isinstance(files.send(to(folder), out(BODY, name=NAME, sequence=1)), Answered)
        assert [arrived.body for arrived in Inbox(folder).arrivals()] == [BODY], step
        if process.exitcode == 0:
            break
    assert process.exitcode == 0 and step > 10
