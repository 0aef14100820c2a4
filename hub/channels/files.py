"""Files out, into folders, so that nobody ever takes half a file for a whole one.

``NAME.part`` is written, synced and read back; ``NAME.manifest.json`` is put in place; then the data takes its
name.  That rename is the one moment of delivery.  A reader who knows nothing of manifests never sees the name before
the bytes are whole, and a reader who does always finds the manifest there already.
"""

import builtins
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hub.channels.outcome import Answered, ConfigError, Failure, OutcomeUnknown, Outgoing, Target, Unavailable

CLAIMED, DONE, REFUSED = "claimed", "done", "refused"
MANIFEST = ".manifest.json"
#: A partner who cannot write a manifest may say "whole" with an empty file of the data's name and one of these.
MARKERS = (".done", ".ready")
#: Names in these endings are somebody's work in progress.
UNFINISHED = (".part", ".tmp", ".filepart", ".crdownload", "~")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OURS = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EROFS, errno.ELOOP, errno.EISDIR)


@dataclass(frozen=True, slots=True)
class FileManifest:
    """What the writer says of a file: its size and hash, and the records, control sum and number it holds."""

    name: str
    sequence: int | None
    count: int | None
    control_sum: str | None
    sha256: str
    created: str
    bytes: int  # the last field: after it the word would no longer name the type

    @classmethod
    def read(cls, data: "builtins.bytes") -> "FileManifest":
        """Raises ValueError for anything that is not one: unknown and missing keys, other types."""
        try:
            given = json.loads(data)
        except RecursionError:
            raise ValueError("too deep") from None
        if not isinstance(given, dict) or given.keys() != cls.__dataclass_fields__.keys():
            raise ValueError("not the keys of a manifest")
        made = cls(**given)
        texts = (made.name, made.sha256, made.created)
        numbers = (made.sequence, made.count)
        if (
            not all(isinstance(text, str) for text in texts)
            or not isinstance(made.control_sum, str | None)
            or not all(number is None or (type(number) is int and number >= 0) for number in numbers)
            or type(made.bytes) is not int
        ):
            raise ValueError("not the types of a manifest")
        return made


class FilesChannel:
    """Wire: ``files: {name, …}``; the endpoint is a folder, as a path or a ``file://`` URL, which must be there.

    Delivering again what lies there, or what the reader has already taken, is no error: the answer's status is then
    200.  ``manifest: none`` in the wire leaves the manifest out.
    """

    def send(self, target: Target, out: Outgoing) -> Answered | Failure:
        if out.name is None or not _NAME.fullmatch(out.name) or out.name.endswith((*UNFINISHED, *MARKERS, MANIFEST)):
            return ConfigError("file_name_wrong", "the file has no name, or one that a folder may not hold")
        if out.deadline <= time.monotonic():
            return Unavailable("deadline_passed", "the deadline had passed before anything was written")
        started = time.monotonic()
        folder = folder_of(target.endpoint)
        manifest = None
        if target.wire.get("manifest") != "none":
            digest = hashlib.sha256(out.body).hexdigest()
            created = datetime.now(UTC).isoformat()
            manifest = FileManifest(out.name, out.sequence, out.count, out.total, digest, created, len(out.body))
        try:
            with _part(folder / (out.name + ".part")) as part:
                if part is None:
                    return Unavailable("file_in_use", "another sender is writing the same file")
                there = _delivered(folder, out.name)
                if there is not None:
                    os.unlink(folder / (out.name + ".part"))
                    if there == out.body:
                        return Answered(b"", 200, time.monotonic() - started)
                    return ConfigError("file_name_taken", "another file of the same name was delivered before")
                _fill(part, out.body)
                if manifest is not None:
                    put_whole(folder / (out.name + MANIFEST), json.dumps(asdict(manifest)).encode())
                os.rename(folder / (out.name + ".part"), folder / out.name)
        except OSError as error:
            return _failed(error)
        try:
            _sync(folder)
        except OSError as error:
            return OutcomeUnknown("folder_not_synced", f"the file is in place, but not for certain: {_named(error)}")
        return Answered(b"", 201, time.monotonic() - started)

    def close(self) -> None:
        """Nothing is kept open."""


def folder_of(endpoint: str) -> Path:
    """The folder that an endpoint names: a path, or a ``file://`` URL."""
    return Path(unquote(urlsplit(endpoint).path)) if endpoint.startswith("file:") else Path(endpoint)


def _delivered(folder: Path, name: str) -> bytes | None:
    """The bytes that were delivered under *name*, wherever the reader has put them by now.

    A file only ever moves forward through these places, so looking in the same order cannot miss it.
    """
    for place in (folder, folder / CLAIMED, folder / DONE, folder / REFUSED):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return (place / name).read_bytes()
    return None


@contextlib.contextmanager
def _part(path: Path) -> Iterator[int | None]:
    """*path* open for writing, empty and ours alone, or None where another sender holds it.  Gone if anything fails.

    The lock falls with its holder, so what a killed sender left behind is simply written over.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.fstat(handle).st_ino == os.lstat(path).st_ino
        except (BlockingIOError, FileNotFoundError):
            ours = False
        if not ours:
            yield None
            return
        try:
            os.ftruncate(handle, 0)
            yield handle
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise
    finally:
        os.close(handle)


def _fill(handle: int, body: bytes) -> None:
    """Writes, syncs and reads back.  Raises OSError where the disk does not hold what it was given."""
    left = memoryview(body)
    while left:
        left = left[os.write(handle, left) :]
    os.fsync(handle)
    os.lseek(handle, 0, os.SEEK_SET)
    kept = hashlib.sha256()
    size = 0
    while chunk := os.read(handle, 1 << 20):
        size += len(chunk)
        kept.update(chunk)
    if size != len(body) or kept.digest() != hashlib.sha256(body).digest():
        raise OSError(errno.EIO, "the file does not read back as it was written")


def put_whole(path: Path, body: bytes) -> None:
    """Writes *path* so that it is there whole or not at all.  Raises OSError."""
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "w+b") as file:
            _fill(file.fileno(), body)
        os.rename(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failed(error: OSError) -> Failure:
    """What a failure before the rename means: nothing was delivered."""
    if error.errno in _FULL:
        return Unavailable("disk_full", "the folder's disk is full")
    if error.errno in _OURS:
        return ConfigError("folder_wrong", f"the folder is missing or closed to us: {_named(error)}")
    return Unavailable("folder_unavailable", f"the folder cannot be written: {_named(error)}")


def _named(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
