"""Files in folders, so that nobody ever takes half a file for a whole one.

Out: ``NAME.part`` is written, synced and read back; ``NAME.manifest.json`` is put in place; then the data takes its
name.  That rename is the one moment of delivery.  A reader who knows nothing of manifests never sees the name before
the bytes are whole, and a reader who does always finds the manifest there already.

In: a file is taken when its manifest agrees with its bytes.  Taking is a rename into ``claimed/``, from where it goes
to ``done/`` or ``refused/``; what lies in ``claimed/`` is offered until somebody settles it, so a crash loses nothing.
"""

import builtins
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import signal
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hub.canonical.errors import HubError
from hub.channels.outcome import Answered, ConfigError, Failure, OutcomeUnknown, Outgoing, Target, Unavailable

CLAIMED, DONE, REFUSED = "claimed", "done", "refused"
MANIFEST = ".manifest.json"
#: A partner who cannot write a manifest may say "whole" with an empty file of the data's name and one of these.
MARKERS = (".done", ".ready")
#: Names in these endings are somebody's work in progress.
UNFINISHED = (".part", ".tmp", ".filepart", ".crdownload", "~")
#: Bytes of a file.
LONGEST = 50_000_000
#: Seconds that a file may lie without its manifest.
GRACE = 300.0

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
        given = json.loads(data)
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
                    _put(folder / (out.name + MANIFEST), json.dumps(asdict(manifest)).encode())
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


@dataclass(frozen=True, slots=True)
class Arrived:
    """A whole file.  ``taken`` is where it lies until it is settled."""

    name: str
    body: bytes = field(repr=False)
    manifest: FileManifest | None
    taken: Path


class Inbox:
    """The files that arrive in one folder, for one reader at a time.

    ``manifest=False`` is for partners whose people drop files by hand.  A marker then says that a file is whole, or the
    name itself: such files are uploaded under another name and renamed, as LibreOffice and SFTP clients do.  Where the
    file system can tell that somebody still writes to a file, it waits; that a size has not changed proves nothing.

    *grace* is how many seconds a file may lie without what shows it to be whole, by *now* (seconds of wall time).
    *on_refused* hears the name and code of each file that was not offered.  Raises HubError ``folder_missing``.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        manifest: bool = True,
        grace: float = GRACE,
        limit: int = LONGEST,
        on_refused: Callable[[str, str], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder_of(str(folder))
        self._manifest = manifest
        self._grace = grace
        self._limit = limit
        self._on_refused = on_refused
        self._now = now
        if not self.folder.is_dir():
            raise HubError("folder_missing", place=self.folder.name)
        for place in (CLAIMED, DONE, REFUSED):
            inner = self.folder / place
            inner.mkdir(mode=0o750, exist_ok=True)
            if inner.is_symlink():
                raise HubError("folder_wrong", place=place)

    def arrivals(self) -> Iterator[Arrived]:
        """Takes what is whole and offers it, with what was taken before and not settled, in the files' own order."""
        self._take()
        found = []
        with os.scandir(self.folder / CLAIMED) as entries:
            for entry in entries:
                if entry.name.endswith((MANIFEST, *MARKERS)):
                    continue
                if not os.path.lexists(self.folder / entry.name):
                    # A crash between two renames may have left the manifest where the data came from.
                    self._bring(entry.name, self.folder, self.folder / CLAIMED)
                manifest = self._manifest_of(entry.name, self.folder / CLAIMED)
                found.append((manifest.sequence or 0 if manifest else 0, entry.name, manifest))
        for _, name, manifest in sorted(found, key=lambda one: one[:2]):
            taken = self.folder / CLAIMED / name
            try:
                yield Arrived(name, self._whole(taken, manifest), manifest, taken)
            except FileNotFoundError:
                continue
            except HubError as fault:
                self._refuse(name, taken, fault.code)

    def done(self, arrived: Arrived) -> None:
        self._settle(arrived.name, arrived.taken, self.folder / DONE)

    def refuse(self, arrived: Arrived, code: str) -> None:
        """Puts the file aside with ``NAME.reason.json``: the code and the catalogue's words in English and Arabic."""
        self._refuse(arrived.name, arrived.taken, code, tell=False)

    def _take(self) -> None:
        with os.scandir(self.folder) as entries:
            found = {entry.name: entry for entry in entries if not entry.is_dir(follow_symlinks=False)}
        for name, entry in found.items():
            if name.startswith(".") or name.endswith((*UNFINISHED, *MARKERS, MANIFEST)) or f".~lock.{name}#" in found:
                continue
            with contextlib.suppress(FileNotFoundError):
                self._take_one(name, entry, any(name + marker in found for marker in MARKERS))

    def _take_one(self, name: str, entry: "os.DirEntry[str]", marked: bool) -> None:
        path = self.folder / name
        taken = self.folder / CLAIMED / name
        if not entry.is_file(follow_symlinks=False):
            return self._refuse(name, path, "file_not_plain")
        if not _decent(name):
            return self._refuse(name, path, "file_name_wrong")
        manifest = self._manifest_of(name, self.folder)
        found = entry.stat(follow_symlinks=False)
        late = self._now() - max(found.st_ctime, found.st_mtime) > self._grace
        if manifest is None and self._manifest:
            if late:
                there = (self.folder / (name + MANIFEST)).exists()
                self._refuse(name, path, "file_manifest_wrong" if there else "file_manifest_missing")
            return None
        if manifest is not None and found.st_size < manifest.bytes:
            # Cut short, unless it is still growing under its own name, which a writer should not do but may.
            if _written_to(path) is not False and not late:
                return None
        elif manifest is None and not marked and _written_to(path):
            return None
        if not os.path.lexists(taken):
            os.rename(path, taken)
            self._bring(name, self.folder, self.folder / CLAIMED)
        return None

    def _whole(self, path: Path, manifest: FileManifest | None) -> bytes:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError:
            raise HubError("file_not_plain") from None
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise HubError("file_not_plain")
            if found.st_size > self._limit:
                raise HubError("file_too_large", limit=self._limit)
            body = file.read(self._limit + 1)
        if manifest is None:
            if self._manifest:
                raise HubError("file_manifest_missing")
        elif len(body) < manifest.bytes:
            raise HubError("file_truncated")
        elif len(body) != manifest.bytes or hashlib.sha256(body).hexdigest() != manifest.sha256:
            raise HubError("file_hash_wrong")
        return body

    def _manifest_of(self, name: str, place: Path) -> FileManifest | None:
        path = place / (name + MANIFEST)
        try:
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_size > 10_000:
                return None
            manifest = FileManifest.read(path.read_bytes())
        except (OSError, ValueError):
            return None
        return manifest if manifest.name == name else None

    def _refuse(self, name: str, path: Path, code: str, tell: bool = True) -> None:
        fault = HubError(code)
        said = {"code": code, "en": fault.en, "ar": fault.ar, "who": fault.who, "at": datetime.now(UTC).isoformat()}
        short = name if len(os.fsencode(name)) <= 200 else hashlib.sha256(os.fsencode(name)).hexdigest()
        _put(_free(self.folder / REFUSED, short + ".reason.json"), json.dumps(said, ensure_ascii=False).encode())
        self._settle(name, path, self.folder / REFUSED)
        if tell and self._on_refused:
            self._on_refused(name, code)

    def _settle(self, name: str, path: Path, place: Path) -> None:
        # The data goes first: until it has gone, the file is offered again, and then it still has its manifest.
        final = _free(place, name)
        os.rename(path, final)
        self._bring(name, path.parent, place, final.name)

    def _bring(self, name: str, source: Path, place: Path, final: str | None = None) -> None:
        for ending in (MANIFEST, *MARKERS):
            with contextlib.suppress(FileNotFoundError):
                os.rename(source / (name + ending), place / ((final or name) + ending))


def folder_of(endpoint: str) -> Path:
    """The folder that an endpoint names: a path, or a ``file://`` URL."""
    return Path(unquote(urlsplit(endpoint).path)) if endpoint.startswith("file:") else Path(endpoint)


def _decent(name: str) -> bool:
    return name.isprintable() and len(name.encode("utf-8", "replace")) <= 200


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


def _put(path: Path, body: bytes) -> None:
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


def _free(folder: Path, name: str) -> Path:
    """A path for *name* in *folder* that nothing holds yet: an older file of the same name is never written over."""
    path, number = folder / name, 0
    while os.path.lexists(path):
        number += 1
        path = folder / f"{name}.{number}"
    return path


def _written_to(path: Path) -> bool | None:
    """Whether somebody has *path* open for writing; None where the file system or its owner does not let us ask.

    A read lease is granted only while there is no writer.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # A writer who comes while we hold the lease has us told by a signal; the usual one would end the process.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(handle)
    return False


def _failed(error: OSError) -> Failure:
    """What a failure before the rename means: nothing was delivered."""
    if error.errno in _FULL:
        return Unavailable("disk_full", "the folder's disk is full")
    if error.errno in _OURS:
        return ConfigError("folder_wrong", f"the folder is missing or closed to us: {_named(error)}")
    return Unavailable("folder_unavailable", f"the folder cannot be written: {_named(error)}")


def _named(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
