"""A backup: the whole of a store in one sealed file, taken beside a hub at work.

The file's header is clear and names the format, the schema, the kind of store, the key's number, the time, how many
rows there are and since when; all else is sealed.  Inside, each table begins with its columns, its rows follow in
blocks, and the end states how many rows each table has and a digest of them.  The keys are not in it.
"""

import errno
import fcntl
import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Table

from hub.canonical.errors import HubError
from hub.security.keys import Keys
from hub.security.sealed_file import SealedReader, SealedWriter
from hub.security.sealing import Sealer
from hub.store.copying import Bulk, Progress, confirm, counted, tables
from hub.store.migrations import HEAD
from hub.store.rows import Digest, SqliteRows, described

MAGIC = b"hub backup\n"
FORMAT = 1
_TABLE, _ROWS, _END = b"T", b"R", b"E"
_BLOCK = struct.Struct("!cI")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: Of the sealed rows of a table, the first few and then one in so many are opened when a file is checked.
_OPENED_FIRST, _OPENED_EVERY = 10, 1000


#: What the end of a file states of each table: its rows and their digest.
Tables = Mapping[str, Mapping[str, Any]]


# -- writing ---------------------------------------------------------------------------------------------------------


def write(source: Bulk, path: Path, keys: Keys, at: datetime, progress: Progress, *, replace: bool) -> dict[str, Any]:
    """Write all of *source* to *path*, mode 0600; answers what the file states of itself.

    The name appears when all bytes are on the disk.  Raises ``backup_exists`` unless it may *replace* one,
    ``backup_running`` where another process writes the same file, ``backup_no_room``.
    """
    with _put_in_place(path, replace) as file:
        rows = sum(source.count(table) for table in tables())
        oldest = source.oldest()
        header = {
            "format": FORMAT, "made_at": at.isoformat(), "store": source.kind, "schema": HEAD, "rows": rows,
            "oldest": None if oldest is None else oldest.isoformat(),
        }  # fmt: skip
        sealed = SealedWriter(file, keys, MAGIC, header)
        try:
            told = {}
            for table in tables():
                _block(sealed, _TABLE, json.dumps([table.name, described(table)]).encode())
                digest = Digest()
                for batch in counted(source.rows(table), digest, table, progress):
                    lengths = struct.pack(f"!{len(batch) + 1}I", len(batch), *map(len, batch))
                    _block(sealed, _ROWS, lengths, *batch)
                told[table.name] = digest.told()
            _block(sealed, _END, json.dumps(told).encode())
            sealed.close()
        except BaseException:
            sealed.abandon()
            raise
    return {**header, "key": keys.current, "tables": told}


def _block(to: SealedWriter, kind: bytes, *parts: bytes) -> None:
    to.write(_BLOCK.pack(kind, sum(map(len, parts))) + b"".join(parts))


@contextmanager
def _put_in_place(path: Path, replace: bool) -> Iterator[BinaryIO]:
    part = path.with_name(path.name + ".part")
    if not replace and os.path.lexists(path):
        raise HubError("backup_exists")
    with open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HubError("backup_running") from None
        try:
            os.fchmod(file.fileno(), 0o600)
            file.truncate(0)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if not replace and os.path.lexists(path):
                raise HubError("backup_exists")
            os.rename(part, path)
        except BaseException as error:
            part.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise HubError("backup_no_room") from None
            raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# -- reading ---------------------------------------------------------------------------------------------------------


class Backup:
    """A backup in *file*, which is read once, from front to back: checked, or brought into a store.

    ``header`` is what the file says of itself in clear, and authentic.  Raises ``backup_unreadable``, ``backup_key``,
    ``key_unknown``, ``backup_broken``, ``backup_cut`` and ``backup_version``.
    """

    def __init__(self, file: BinaryIO, keys: Keys) -> None:
        reader = SealedReader(file, keys, MAGIC)
        self.header: Mapping[str, Any] = reader.header
        if self.header.get("format") != FORMAT or self.header.get("schema") != HEAD:
            raise HubError("backup_version", found=str(self.header.get("schema")), expected=HEAD)
        self._sealer = Sealer(keys)
        self._chunks = reader.chunks()
        self._held = bytearray()

    @property
    def oldest(self) -> date | None:
        """The month of the oldest exchange."""
        told = self.header["oldest"]
        return None if told is None else date.fromisoformat(told)

    def verify(self, progress: Progress) -> tuple[Tables, int]:
        """Read every chunk and every row, and open a sample of what is sealed in the rows themselves.  Answers what the
        end states of each table, and how many sealed rows were opened.

        Raises HubError for whatever is wrong: ``backup_cut``, ``backup_broken``, ``copy_differs``, ``seal_broken``,
        ``key_unknown``.
        """
        opened = 0

        def look(table: Table, batches: Iterable[list[bytes]]) -> None:
            nonlocal opened
            sample = _Sample(table, self._sealer)
            for batch in batches:
                opened += sample.look(batch)

        return self._each(look, progress), opened

    def restore(self, target: Bulk, progress: Progress) -> Tables:
        """Put all rows into *target*, and read them again there; answers what the end states of each table.

        Raises what :meth:`verify` raises, and ``store_refuses``; then nothing of *target* may be committed.
        """
        told = self._each(target.fill, progress)
        confirm(target, told)
        target.follow()
        return told

    def _each(self, take: Callable[[Table, Iterable[list[bytes]]], None], progress: Progress) -> Tables:
        """Hand each table and its batches to *take*; answers what the end states, which has been compared."""
        known, found = {table.name: table for table in tables()}, {}
        kind, data = self._next()
        while kind == _TABLE:
            name, columns = json.loads(data)
            if name not in known or name in found or columns != described(known[name]):
                raise HubError("backup_version", found=str(name), expected=HEAD)
            digest = found[name] = Digest()
            following: list[tuple[bytes, bytes]] = []
            take(known[name], counted(self._batches(following), digest, known[name], progress))
            kind, data = following[0]
        told: Tables = json.loads(data)
        if {name: digest.told() for name, digest in found.items()} != told or found.keys() != known.keys():
            raise HubError("copy_differs", place="the file's end")
        for _ in self._chunks:  # there is none, and the last chunk is looked for
            raise HubError("backup_broken", place="the end")
        return told

    def _batches(self, following: list[tuple[bytes, bytes]]) -> Iterator[list[bytes]]:
        while True:
            kind, data = self._next()
            if kind != _ROWS:
                following.append((kind, data))
                return
            (count,) = struct.unpack_from("!I", data)
            at, batch = 4 + 4 * count, []
            for length in struct.unpack_from(f"!{count}I", data, 4):
                batch.append(data[at : at + length])
                at += length
            yield batch

    def _next(self) -> tuple[bytes, bytes]:
        kind, length = _BLOCK.unpack(self._read(_BLOCK.size))
        return kind, self._read(length)

    def _read(self, size: int) -> bytes:
        while len(self._held) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise HubError("backup_cut")
            self._held += chunk
        data = bytes(self._held[:size])
        del self._held[:size]
        return data


class _Sample:
    """Opens some of the sealed rows of a table, as the hub would."""

    def __init__(self, table: Table, sealer: Sealer) -> None:
        names = [column.name for column in table.columns]
        self._rows, self._sealer, self._seen = SqliteRows(table), sealer, 0
        wanted = ("id", "wrapped", "sealed")
        # A staged line has no key of its own; that of its file is sealed once, beside the lines.
        self._at = [names.index(name) for name in wanted] if set(wanted) <= set(names) else None

    def look(self, batch: list[bytes]) -> int:
        if self._at is None:
            return 0
        picked = [
            row for number, row in enumerate(batch, self._seen)
            if number < _OPENED_FIRST or number % _OPENED_EVERY == 0
        ]  # fmt: skip
        self._seen += len(batch)
        for row in self._rows.unpacked(picked):
            row_id, wrapped, sealed = (row[at] for at in self._at)
            self._sealer.open(self._sealer.unwrap(wrapped), sealed, bytes.fromhex(row_id))
        return len(picked)
