"""Files in: nobody takes half a file for a whole one, and a crash loses nothing.

A file is taken when its manifest agrees with its bytes.  Taking is a rename into ``claimed/``, from where it goes to
``done/`` or ``refused/``; what lies in ``claimed/`` is offered until somebody settles it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hub.canonical.errors import HubError
from hub.channels.files import CLAIMED, DONE, MANIFEST, MARKERS, REFUSED, UNFINISHED, FileManifest, folder_of, put_whole

_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
#: What another system takes for more than a letter of a name, and what stands for letters that could not be read.
_ELSEWHERE = set('\\:*?"<>|\ufffd')
#: Bytes of a file.
LONGEST = 50_000_000
#: Seconds that a file may lie without its manifest.
GRACE = 300.0


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
    *on_refused* hears of each file that was not offered: its name, the code, its bytes and their SHA-256, 0 and nothing
    of what is no file or too large.  Raises HubError ``folder_missing``.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        manifest: bool = True,
        grace: float = GRACE,
        limit: int = LONGEST,
        on_refused: Callable[[str, str, int, str], None] | None = None,
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
                self._refuse(name, taken, fault)

    def done(self, arrived: Arrived) -> None:
        self._settle(arrived.name, arrived.taken, self.folder / DONE)

    def refuse(self, arrived: Arrived, fault: HubError) -> None:
        """Puts the file aside with ``NAME.reason.json``: the code and its words in English and Arabic."""
        self._refuse(arrived.name, arrived.taken, fault, tell=False)

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
            return self._refuse(name, path, HubError("file_not_plain"))
        if not decent(name):
            return self._refuse(name, path, HubError("file_name_wrong"))
        manifest = self._manifest_of(name, self.folder)
        found = entry.stat(follow_symlinks=False)
        late = self._now() - max(found.st_ctime, found.st_mtime) > self._grace
        if manifest is None and self._manifest:
            if late:
                there = (self.folder / (name + MANIFEST)).exists()
                self._refuse(name, path, HubError("file_manifest_wrong" if there else "file_manifest_missing"))
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

    def _refuse(self, name: str, path: Path, fault: HubError, tell: bool = True) -> None:
        said = {
            "code": fault.code,
            "en": fault.en,
            "ar": fault.ar,
            "who": fault.who,
            "at": datetime.now(UTC).isoformat(),
        }
        short = name if len(os.fsencode(name)) <= 200 else hashlib.sha256(os.fsencode(name)).hexdigest()
        put_whole(_free(self.folder / REFUSED, short + ".reason.json"), json.dumps(said, ensure_ascii=False).encode())
        final = self._settle(name, path, self.folder / REFUSED)
        if tell and self._on_refused:
            self._on_refused(name, fault.code, *_digest(final, self._limit))

    def _settle(self, name: str, path: Path, place: Path) -> Path:
        # The data goes first: until it has gone, the file is offered again, and then it still has its manifest.
        final = _free(place, name)
        os.rename(path, final)
        self._bring(name, path.parent, place, final.name)
        return final

    def _bring(self, name: str, source: Path, place: Path, final: str | None = None) -> None:
        for ending in (MANIFEST, *MARKERS):
            with contextlib.suppress(FileNotFoundError):
                os.rename(source / (name + ending), place / ((final or name) + ending))


def decent(name: str) -> bool:
    """Whether *name* can be shown and kept: nothing that cannot be seen, turns the direction of what follows, or
    is a device where somebody else opens it."""
    stem = name.partition(".")[0].rstrip().lower()
    return (
        name.isprintable()
        and len(name.encode("utf-8", "replace")) <= 200
        and stem not in _DEVICES
        and not _ELSEWHERE & set(name)
    )


def _free(folder: Path, name: str) -> Path:
    """A path for *name* in *folder* that nothing holds yet: an older file of the same name is never written over."""
    path, number = folder / name, 0
    while os.path.lexists(path):
        number += 1
        path = folder / f"{name}.{number}"
    return path


def _digest(path: Path, limit: int) -> tuple[int, str]:
    """The bytes and the SHA-256 of a file; 0 and nothing of what is none, or has more than *limit*."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return 0, ""
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            return 0, ""
        return found.st_size, hashlib.file_digest(file, "sha256").hexdigest()


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
