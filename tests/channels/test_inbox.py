"""Files in: nobody takes half a file for a whole one, and what is taken is offered until it is settled."""

import hashlib
import json
import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.canonical.errors import HubError, catalogue
from hub.channels import FileManifest, Inbox
from hub.channels.inbox import _written_to

NAME = "OUTCOME-jakarta-000001.xml"
BODY = b"<outcomes>1</outcomes>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "from the mission"
    made.mkdir()
    return made


def put(folder: Path, name: str = NAME, body: bytes = BODY, **said: Any) -> None:
    manifest = {
        "name": name,
        "sequence": 1,
        "count": 1,
        "control_sum": None,
        "sha256": hashlib.sha256(body).hexdigest(),
        "bytes": len(body),
        "created": "2026-02-01T10:00:00+00:00",
    }
    (folder / f"{name}.manifest.json").write_text(json.dumps({**manifest, **said}))
    (folder / name).write_bytes(body)


def names(inbox: Inbox) -> list[str]:
    return [arrived.name for arrived in inbox.arrivals()]


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def later(seconds: float) -> Callable[[], float]:
    return lambda: time.time() + seconds


def test_a_whole_file_is_taken_and_settled(folder: Path) -> None:
    inbox = Inbox(folder)
    put(folder)
    (arrived,) = inbox.arrivals()
    assert (arrived.name, arrived.body, arrived.taken) == (NAME, BODY, folder / "claimed" / NAME)
    assert isinstance(arrived.manifest, FileManifest) and (arrived.manifest.sequence, arrived.manifest.count) == (1, 1)
    inbox.done(arrived)
    assert tree(folder) == {f"done/{NAME}", f"done/{NAME}.manifest.json"}
    assert not names(inbox)


def test_what_is_taken_is_offered_until_it_is_settled(folder: Path) -> None:
    put(folder)
    (first,) = Inbox(folder).arrivals()
    inbox = Inbox(folder)  # as after a crash
    (again,) = inbox.arrivals()
    assert (again.body, again.manifest) == (first.body, first.manifest)
    inbox.done(again)
    assert not names(Inbox(folder))


def test_a_manifest_that_a_crash_left_behind_is_found(folder: Path) -> None:
    put(folder)
    list(Inbox(folder).arrivals())
    (folder / "claimed" / f"{NAME}.manifest.json").rename(folder / f"{NAME}.manifest.json")
    inbox = Inbox(folder)
    (arrived,) = inbox.arrivals()
    inbox.done(arrived)
    assert tree(folder) == {f"done/{NAME}", f"done/{NAME}.manifest.json"}


def test_refused_with_a_reason_for_people(folder: Path) -> None:
    inbox = Inbox(folder)
    put(folder)
    (arrived,) = inbox.arrivals()
    inbox.refuse(arrived, HubError("file_totals"))
    assert tree(folder) == {f"refused/{NAME}{ending}" for ending in ("", ".manifest.json", ".reason.json")}
    reason = json.loads((folder / "refused" / f"{NAME}.reason.json").read_text("utf-8"))
    assert reason["code"] == "file_totals" and reason["who"] == "partner"
    assert reason["en"].replace("…", "").isascii() and not reason["ar"].isascii()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda folder: (folder / NAME).write_bytes(BODY[:-3]), "file_truncated"),
        (lambda folder: (folder / NAME).write_bytes(b""), "file_truncated"),
        (lambda folder: (folder / NAME).write_bytes(BODY + b"more"), "file_hash_wrong"),
        (lambda folder: (folder / NAME).write_bytes(BODY.replace(b"1", b"2")), "file_hash_wrong"),
    ],
)
def test_bytes_that_do_not_agree_with_the_manifest(folder: Path, spoil: Callable[[Path], None], code: str) -> None:
    heard: list[tuple[str, str]] = []
    inbox = Inbox(folder, on_refused=lambda name, code, *_: heard.append((name, code)))
    put(folder)
    spoil(folder)
    assert not names(inbox)
    assert heard == [(NAME, code)] and code in catalogue()
    assert json.loads((folder / "refused" / f"{NAME}.reason.json").read_text("utf-8"))["code"] == code
    assert not names(inbox) and len(heard) == 1


def test_a_file_that_changes_after_it_was_taken_is_refused(folder: Path) -> None:
    put(folder)
    assert names(Inbox(folder)) == [NAME]
    (folder / "claimed" / NAME).write_bytes(BODY[:5])
    assert names(Inbox(folder)) == []
    assert f"refused/{NAME}" in tree(folder)


@pytest.mark.parametrize("ending", [".part", ".tmp", "~", ".filepart"])
def test_work_in_progress_is_left_alone(folder: Path, ending: str) -> None:
    (folder / (NAME + ending)).write_bytes(BODY)
    (folder / f".~lock.{NAME}#").write_bytes(b"")
    for manifest in (True, False):
        assert not names(Inbox(folder, manifest=manifest, now=later(10_000)))
    assert tree(folder) == {NAME + ending, f".~lock.{NAME}#"}


def test_data_waits_for_its_manifest_and_is_then_set_aside(folder: Path) -> None:
    (folder / NAME).write_bytes(BODY)
    heard: list[str] = []
    assert not names(Inbox(folder, grace=60, now=later(50), on_refused=lambda name, code, *_: heard.append(code)))
    assert tree(folder) == {NAME} and not heard
    assert not names(Inbox(folder, grace=60, now=later(70), on_refused=lambda name, code, *_: heard.append(code)))
    assert heard == ["file_manifest_missing"]
    assert tree(folder) == {f"refused/{NAME}", f"refused/{NAME}.reason.json"}


def test_a_manifest_waits_for_its_data(folder: Path) -> None:
    put(folder)
    (folder / NAME).rename(folder / f"{NAME}.part")
    inbox = Inbox(folder, now=later(10_000))
    assert not names(inbox)
    (folder / f"{NAME}.part").rename(folder / NAME)
    assert names(inbox) == [NAME]


@pytest.mark.parametrize(
    "manifest",
    [
        "{",
        "[]",
        "{}",
        "null",
        '"' + "x" * 20_000 + '"',
        {"name": "OTHER.xml"},
        {"bytes": "22"},
        {"bytes": True},
        {"count": -1},
        {"sha256": None},
        {"more": 1},
    ],
)
def test_a_manifest_that_cannot_be_read(folder: Path, manifest: Any) -> None:
    heard: list[str] = []
    put(folder)
    path = folder / f"{NAME}.manifest.json"
    path.write_text(manifest if isinstance(manifest, str) else json.dumps({**json.loads(path.read_text()), **manifest}))
    assert not names(Inbox(folder, now=later(100)))
    assert f"refused/{NAME}" not in tree(folder), "it may still be being written"
    assert not names(Inbox(folder, now=later(1000), on_refused=lambda name, code, *_: heard.append(code)))
    assert heard == ["file_manifest_wrong"]


def test_files_come_in_the_order_of_their_numbers(folder: Path) -> None:
    for number in (10, 9, 11):
        put(folder, f"S-{number}.txt", str(number).encode(), sequence=number)
    assert names(Inbox(folder)) == ["S-9.txt", "S-10.txt", "S-11.txt"]


def test_a_name_that_comes_again_waits_and_overwrites_nothing(folder: Path) -> None:
    inbox = Inbox(folder)
    put(folder, body=b"first")
    (first,) = inbox.arrivals()
    put(folder, body=b"second")
    assert [arrived.body for arrived in inbox.arrivals()] == [b"first"]
    inbox.done(first)
    (second,) = inbox.arrivals()
    assert second.body == b"second"
    inbox.done(second)
    assert sorted(path.read_bytes() for path in (folder / "done").glob(f"{NAME}*") if "manifest" not in path.name) == [
        b"first",
        b"second",
    ]


def test_links_pipes_and_sockets_are_not_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # the path of a socket may not be long
    (tmp_path / "secret").write_bytes(b"secret")
    for manifest in (True, False):
        heard: list[tuple[str, str, int, str]] = []
        (folder / "link.csv").symlink_to(tmp_path / "secret")
        os.mkfifo(folder / "pipe.csv")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind("socket.csv")
        (folder / "a folder").mkdir(exist_ok=True)
        assert not names(Inbox(folder, manifest=manifest, on_refused=lambda *told, to=heard: to.append(told)))
        assert sorted(heard) == [(name, "file_not_plain", 0, "") for name in ("link.csv", "pipe.csv", "socket.csv")]
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_a_link_in_place_of_a_taken_file_or_a_manifest_is_not_followed(folder: Path, tmp_path: Path) -> None:
    put(folder)
    assert names(Inbox(folder)) == [NAME]
    taken = folder / "claimed" / NAME
    taken.rename(tmp_path / "moved")
    taken.symlink_to(tmp_path / "moved")
    assert not names(Inbox(folder))
    put(folder, "B.xml")
    (folder / "B.xml.manifest.json").rename(tmp_path / "manifest")
    (folder / "B.xml.manifest.json").symlink_to(tmp_path / "manifest")
    assert not names(Inbox(folder))


def test_a_planted_folder_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "claimed").symlink_to(tmp_path)
    with pytest.raises(HubError) as caught:
        Inbox(folder)
    assert caught.value.code == "folder_wrong"


def test_a_missing_folder(folder: Path) -> None:
    with pytest.raises(HubError) as caught:
        Inbox(folder / "nowhere")
    assert caught.value.code == "folder_missing"


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    heard: list[str] = []
    put(folder, body=b"x" * 101)
    assert not names(Inbox(folder, limit=100, on_refused=lambda name, code, *_: heard.append(code)))
    assert heard == ["file_too_large"]


@pytest.mark.parametrize("name", ["x" * 240, "two\nlines.csv", os.fsdecode(b"\xff\xfe.csv")])
def test_odd_names_are_set_aside(folder: Path, name: str) -> None:
    heard: list[str] = []
    (folder / name).write_bytes(b"a,b")
    assert not names(Inbox(folder, manifest=False, on_refused=lambda name, code, *_: heard.append(code)))
    assert heard == ["file_name_wrong"]
    assert len(list((folder / "refused").iterdir())) == 2


class TestWithoutManifests:
    """Rosters that people save and drop."""

    def test_a_file_that_was_renamed_into_place(self, folder: Path) -> None:
        (folder / "كشف رجب.csv.tmp").write_bytes(b"a,b")
        inbox = Inbox(folder, manifest=False)
        assert not names(inbox)
        (folder / "كشف رجب.csv.tmp").rename(folder / "كشف رجب.csv")
        (arrived,) = inbox.arrivals()
        assert arrived.body == b"a,b" and arrived.manifest is None

    def test_a_file_that_somebody_still_writes_to_waits(self, folder: Path) -> None:
        inbox = Inbox(folder, manifest=False, now=later(10_000))
        with (folder / "roster.csv").open("wb") as file:
            file.write(b"half a ")
            file.flush()
            assert not names(inbox), "however long its size has not changed"
            file.write(b"roster")
        (arrived,) = inbox.arrivals()
        assert arrived.body == b"half a roster"

    def test_a_file_that_is_open_in_an_office_program_waits(self, folder: Path) -> None:
        (folder / "roster.xlsx").write_bytes(b"PK")
        (folder / ".~lock.roster.xlsx#").write_bytes(b"")
        inbox = Inbox(folder, manifest=False)
        assert not names(inbox)
        (folder / ".~lock.roster.xlsx#").unlink()
        assert names(inbox) == ["roster.xlsx"]

    @pytest.mark.parametrize("marker", [".done", ".ready"])
    def test_a_marker_says_whole_and_goes_with_its_file(self, folder: Path, marker: str) -> None:
        (folder / "roster.csv").write_bytes(b"a,b")
        (folder / f"roster.csv{marker}").write_bytes(b"")
        inbox = Inbox(folder, manifest=False)
        (arrived,) = inbox.arrivals()
        inbox.done(arrived)
        assert tree(folder) == {"done/roster.csv", f"done/roster.csv{marker}"}

    def test_a_manifest_that_is_there_all_the_same_must_agree(self, folder: Path) -> None:
        put(folder, "roster.csv", b"a,b", sha256="0" * 64)
        assert not names(Inbox(folder, manifest=False))
        assert "refused/roster.csv" in tree(folder)


def test_a_file_that_grows_under_its_own_name_is_waited_for(folder: Path) -> None:
    put(folder)
    inbox = Inbox(folder)
    with (folder / NAME).open("wb") as file:
        file.write(BODY[:5])
        file.flush()
        assert not names(inbox) and NAME in tree(folder)
        file.write(BODY[5:])
    assert names(inbox) == [NAME]


def _write_for_ever(path: Path) -> None:
    while True:
        with path.open("ab"):
            pass


def _ask(path: Path) -> None:
    for _ in range(20_000):
        assert _written_to(path) in (True, False)


def test_asking_for_writers_does_not_harm_us(folder: Path) -> None:
    """A writer who comes while we ask makes the kernel signal us, and the usual signal would end the process."""
    path = folder / "roster.csv"
    path.write_bytes(b"")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_for_ever, args=(path,), daemon=True) for _ in range(2)]
    asking = context.Process(target=_ask, args=(path,))
    for process in (*writers, asking):
        process.start()
    asking.join()
    for process in writers:
        process.kill()
    assert asking.exitcode == 0
