"""What a partner sees behind the SFTP door.

A path is two names at most, looked up in a table; each name is then opened inside the one folder it belongs to, never
followed where it leads.  A file takes its name when its sender closes it: of a connection that broke nothing stays.
"""

import contextlib
import os
import secrets
import stat
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import asyncssh

from hub.canonical.errors import HubError
from hub.channels.files import DONE, MANIFEST, MARKERS, REFUSED, UNFINISHED
from hub.channels.inbox import LONGEST
from hub.exchange.engine import Engine
from hub.exchange.pressure import Closed
from hub.exchange.uploads import plain
from hub.partners.partner import Partner
from hub.settings import ConfigError

#: Files that one connection may have open.
OPEN = 16
#: Files and bytes of one partner that may lie in ``/in`` unread.
WAITING_FILES, WAITING_BYTES = 1_000, 1_000_000_000
#: Seconds after which what a killed process left half written is taken away.
_STALE = 86_400.0
_WRITE, _READ, _APPEND = asyncssh.FXF_WRITE, asyncssh.FXF_READ, asyncssh.FXF_APPEND
_HALF = ".sftp-"
_PLACES = ("in", "out", "refused")


def _never(*_: Any) -> NoReturn:
    raise asyncssh.SFTPOpUnsupported("there is no such thing here")


class _Half:
    """A file that is being sent: without its name until it is whole."""

    def __init__(self, folder: int, name: str) -> None:
        self.folder, self.name, self.size, self.spoilt = folder, name, 0, False
        self.half = f"{_HALF}{secrets.token_hex(8)}"
        self.handle = os.open(self.half, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640, dir_fd=folder)

    def write(self, offset: int, data: bytes) -> None:
        if offset + len(data) > LONGEST:
            self.spoilt = True
            _fail("file_too_large")
        while data:
            done = os.pwrite(self.handle, data, offset)
            offset, data = offset + done, data[done:]
        self.size = max(self.size, offset)

    def whole(self) -> None:
        """Give it its name, if nothing has that name; unfinished names may be written again."""
        try:
            if self.spoilt:
                _fail("file_too_large")
            os.fsync(self.handle)
            if self.name.endswith(UNFINISHED):
                os.replace(self.half, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            else:
                _take_name(self.folder, self.half, self.name)
            os.fsync(self.folder)
        finally:
            self.forget()

    def forget(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.half, dir_fd=self.folder)
        os.close(self.handle)
        os.close(self.folder)


class _Fetched:
    """A file that is being read."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def forget(self) -> None:
        os.close(self.handle)


class Places(asyncssh.SFTPServer):
    """What one partner sees: ``/in`` to bring, ``/out`` and ``/refused`` to fetch.  Everything else is refused."""

    def __init__(self, chan: Any, engine: Engine) -> None:
        super().__init__(chan)
        self._engine, self._open = engine, 0
        self._name: str = chan.get_extra_info("username")

    def _partner(self) -> Partner | None:
        found = self._engine.register.partners.get(self._name)
        return found if found is not None and found.enabled else None

    # -- paths -------------------------------------------------------------------------------------------------------

    def _way(self, path: bytes) -> tuple[str, ...]:
        """*path* as the names it leads through from the root; there is no way out of it."""
        try:
            text = path.decode("utf-8")
        except UnicodeDecodeError:
            _fail("file_name_wrong")
        way: list[str] = []
        for name in text.split("/"):
            if name == "..":
                del way[-1:]
            elif name not in ("", "."):
                way.append(name)
        return tuple(way)

    def _at(self, path: bytes) -> tuple[str, str]:
        """The place and the name of a file.  Raises for what is none."""
        way = self._way(path)
        if len(way) != 2 or way[0] not in _PLACES:
            raise asyncssh.SFTPNoSuchFile("there is no such file")
        return way[0], way[1]

    def _folder(self, place: str) -> int:
        """The folder behind *place*, open: names are looked up in it and nowhere else."""
        partner = self._partner()
        if partner is None:
            raise asyncssh.SFTPPermissionDenied("forbidden")
        try:
            found = partner.folder("to_partner" if place == "out" else "from_partner")
            return os.open(
                found / REFUSED if place == "refused" else found, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            )
        except (ConfigError, OSError):
            raise asyncssh.SFTPFailure(_said("folder_unavailable")) from None

    # -- files -------------------------------------------------------------------------------------------------------

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        place, name = self._at(path)
        if self._open >= OPEN:
            raise asyncssh.SFTPFailure("too many files are open")
        found = self._bring(place, name, pflags) if pflags & (_WRITE | _APPEND) else self._fetch(place, name)
        self._open += 1
        return found

    def _bring(self, place: str, name: str, pflags: int) -> "_Half":
        if place != "in" or pflags & (_READ | _APPEND):
            raise asyncssh.SFTPPermissionDenied("files are brought to /in, each from its beginning")
        self._may_be_called(name)
        try:
            self._engine.pressure.admit("file")
        except Closed as closed:
            raise asyncssh.SFTPFailure(_said(closed.code)) from None
        folder = self._folder(place)
        try:
            files, size = self._waiting(folder)
            if files >= WAITING_FILES or size >= WAITING_BYTES:
                _fail("intake_backlog")
            return _Half(folder, name)
        except BaseException:
            os.close(folder)
            raise

    def _fetch(self, place: str, name: str) -> _Fetched:
        if place == "in":
            raise asyncssh.SFTPPermissionDenied("what was brought is not given back; see /out and /refused")
        folder = self._folder(place)
        try:
            if not _shown(name):
                raise asyncssh.SFTPNoSuchFile("there is no such file")
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except (OSError, ValueError):
            raise asyncssh.SFTPNoSuchFile("there is no such file") from None
        finally:
            os.close(folder)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise asyncssh.SFTPNoSuchFile("there is no such file")
        return _Fetched(handle)

    def _may_be_called(self, name: str) -> None:
        """Raises for a name that says nothing of what the file is, whatever it is called until it is whole."""
        known = name
        for ending in (*UNFINISHED, MANIFEST, *MARKERS):
            known = known.removesuffix(ending)
        partner = self._partner()
        if partner is None or not plain(name) or not plain(known) or partner.sent_as(known) is None:
            _fail("file_name_wrong")

    def _waiting(self, folder: int) -> tuple[int, int]:
        files = size = 0
        for entry in os.scandir(folder):
            if not entry.is_file(follow_symlinks=False):
                continue
            with contextlib.suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                if entry.name.startswith(_HALF) and time.time() - found.st_mtime > _STALE:
                    os.unlink(entry.name, dir_fd=folder)
                files, size = files + 1, size + found.st_size
        return files, size

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        if not isinstance(file_obj, _Fetched):
            raise asyncssh.SFTPPermissionDenied("what is brought is not read back")
        return os.pread(file_obj.handle, min(size, 1 << 18), offset)

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        if not isinstance(file_obj, _Half):
            raise asyncssh.SFTPPermissionDenied("what is fetched is not written to")
        try:
            file_obj.write(offset, data)
        except OSError:
            file_obj.spoilt = True
            _fail("disk_full")
        return len(data)

    def close(self, file_obj: object) -> None:
        self._open -= 1
        assert isinstance(file_obj, _Half | _Fetched)
        # At the end of a connection asyncssh closes, while it handles that end, what the client has left open.
        if isinstance(file_obj, _Fetched) or sys.exc_info()[0] is not None:
            file_obj.forget()
        else:
            file_obj.whole()

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        (place, name), (to, new) = self._at(oldpath), self._at(newpath)
        if place != "in" or to != "in" or not name.endswith(UNFINISHED):
            raise asyncssh.SFTPPermissionDenied("only what was brought under an unfinished name takes another")
        self._may_be_called(name)
        self._may_be_called(new)
        folder = self._folder("in")
        try:
            if new.endswith(UNFINISHED):
                _fail("file_name_wrong")
            if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise asyncssh.SFTPNoSuchFile("there is no such file")
            _take_name(folder, name, new)
            os.fsync(folder)
        except FileNotFoundError:
            raise asyncssh.SFTPNoSuchFile("there is no such file") from None
        finally:
            os.close(folder)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        self.rename(oldpath, newpath)  # nothing that has a name is written over

    def remove(self, path: bytes) -> None:
        """Take back what is in ``/in`` still, or say that what is in ``/out`` was fetched."""
        place, name = self._at(path)
        if place == "refused":
            raise asyncssh.SFTPPermissionDenied("what was refused stays to be looked at")
        folder = self._folder(place)
        try:
            if not _shown(name) and not (place == "in" and name.endswith(UNFINISHED) and plain(name)):
                raise asyncssh.SFTPNoSuchFile("there is no such file")
            if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise asyncssh.SFTPNoSuchFile("there is no such file")
            if place == "in":
                os.unlink(name, dir_fd=folder)
            else:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(DONE, 0o750, dir_fd=folder)
                os.rename(name, f"{DONE}/{name}", src_dir_fd=folder, dst_dir_fd=folder)
        except (OSError, ValueError):
            raise asyncssh.SFTPNoSuchFile("there is no such file") from None
        finally:
            os.close(folder)

    # -- looking -----------------------------------------------------------------------------------------------------

    def realpath(self, path: bytes) -> bytes:
        return ("/" + "/".join(self._way(path))).encode()

    def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        way = self._way(path)
        if not way or (len(way) == 1 and way[0] in _PLACES):
            return _directory()
        place, name = self._at(path)
        folder = self._folder(place)
        try:
            if not _shown(name) and not (place == "in" and name.endswith(UNFINISHED)):
                raise FileNotFoundError
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except (OSError, ValueError):
            raise asyncssh.SFTPNoSuchFile("there is no such file") from None
        finally:
            os.close(folder)
        return _file(found)

    def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return self.stat(path)

    def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        assert isinstance(file_obj, _Half | _Fetched)
        return _file(os.fstat(file_obj.handle))

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        way = self._way(path)
        if not way:
            for name in _PLACES:
                yield asyncssh.SFTPName(name.encode(), attrs=_directory())
            return
        if len(way) != 1 or way[0] not in _PLACES:
            raise asyncssh.SFTPNoSuchFile("there is no such folder")
        folder = self._folder(way[0])
        try:
            found = [(e.name, e.stat(follow_symlinks=False)) for e in os.scandir(folder) if _listed(e, way[0])]
        finally:
            os.close(folder)
        for name, known in found:
            yield asyncssh.SFTPName(name.encode("utf-8", "replace"), attrs=_file(known))

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Rights and times are ours; clients that want to bring them along are left in their belief."""
        self.stat(path)
        _no_size(attrs)

    def lsetstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        self.setstat(path, attrs)

    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        _no_size(attrs)

    def fsync(self, file_obj: object) -> None:
        """It is synced before it takes its name."""

    def format_user(self, uid: int | None) -> str:
        return self._name

    def format_group(self, gid: int | None) -> str:
        return self._name

    # -- what there is not -------------------------------------------------------------------------------------------

    open56: Any = _never
    mkdir: Any = _never
    rmdir: Any = _never
    readlink: Any = _never
    symlink: Any = _never
    link: Any = _never
    lock: Any = _never
    unlock: Any = _never
    statvfs: Any = _never
    fstatvfs: Any = _never
    map_path: Any = _never
    reverse_map_path: Any = _never


def _take_name(folder: int, name: str, new: str) -> None:
    """Rename inside *folder*, but never over anything: of two that want one name, one gets it."""
    try:
        os.link(name, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        _fail("file_name_taken")
    os.unlink(name, dir_fd=folder)


def _shown(name: str) -> bool:
    return plain(name) and not name.endswith(UNFINISHED)


def _listed(entry: "os.DirEntry[str]", place: str) -> bool:
    shown = _shown(entry.name) or (place == "in" and plain(entry.name))
    return shown and entry.is_file(follow_symlinks=False)


def _directory() -> asyncssh.SFTPAttrs:
    return asyncssh.SFTPAttrs(permissions=stat.S_IFDIR | 0o750, size=0, uid=0, gid=0, atime=0, mtime=0, nlink=1)


def _file(found: os.stat_result) -> asyncssh.SFTPAttrs:
    at = int(found.st_mtime)
    return asyncssh.SFTPAttrs(
        permissions=stat.S_IFREG | 0o640, size=found.st_size, uid=0, gid=0, atime=at, mtime=at, nlink=1
    )


def _no_size(attrs: asyncssh.SFTPAttrs) -> None:
    if attrs.size is not None:
        raise asyncssh.SFTPOpUnsupported("files are not cut or stretched")


def _said(code: str) -> str:
    error = HubError(code)
    return f"{error.code}: {error.en}"


def _fail(code: str) -> NoReturn:
    raise asyncssh.SFTPFailure(_said(code))
