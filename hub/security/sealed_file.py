"""A sealed file: a stream of any length in authenticated chunks, written once and read from front to back.

A clear header of JSON says which key and what the file is for; then come chunks of at most :data:`CHUNK` bytes, each
compressed where that helps, and sealed with AES-256-GCM under a key of the file's own.  A chunk's place and whether it
is the last are authenticated with it, and so is the header: a file that is cut short, changed, put in another order or
lengthened does not open.  Source of the construction: Hoang, Reyhanitabar, Rogaway and Vizár, "Online
Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015 (STREAM).
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hub.canonical.errors import HubError
from hub.security.keys import KEY_BYTES, Keys

CHUNK = 1 << 20
LONGEST_HEADER = 64 << 10
_STORED, _DEFLATED = b"\0", b"\1"
_TRIED = 16 << 10  # bytes of a chunk that show whether it gets smaller: what is sealed already costs much and does not
_AHEAD = 4  # chunks that may wait to be sealed while the next rows are read
_FRAME = struct.Struct("!?I")
_TAG = 16


class SealedWriter:
    """Writes a stream into *file*, under a key made from the current sealing key of *keys*.

    ``write`` any number of times, then ``close``: a file that was not closed does not open.  Compressing and sealing
    are done in a thread, beside whoever makes the bytes.
    """

    def __init__(self, file: BinaryIO, keys: Keys, magic: bytes, header: Mapping[str, Any]) -> None:
        self._file = file
        salt = os.urandom(KEY_BYTES)
        key, check = _derived(keys.sealing[keys.current], salt, magic)
        text = json.dumps({**header, "key": keys.current, "salt": _text(salt), "check": _text(check)}).encode()
        start = magic + struct.pack("!I", len(text)) + text
        self._cipher, self._bound = AESGCM(key), hashlib.sha256(start).digest()
        self._buffer = bytearray()
        self._index = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hub-seal")
        self._waiting: deque[Future[bytes]] = deque()
        file.write(start)

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) > CHUNK:  # one chunk stays behind, so that the last is never empty-handed
            self._put(bytes(self._buffer[:CHUNK]), last=False)
            del self._buffer[:CHUNK]

    def close(self) -> None:
        """Write the last chunk.  The file itself is the caller's to sync and close."""
        self._put(bytes(self._buffer), last=True)
        while self._waiting:
            self._file.write(self._waiting.popleft().result())
        self._pool.shutdown()

    def abandon(self) -> None:
        """Let go of what was not written."""
        self._pool.shutdown(cancel_futures=True)

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._waiting.append(self._pool.submit(self._seal, self._index, last, chunk))
        self._index += 1
        while len(self._waiting) > _AHEAD:
            self._file.write(self._waiting.popleft().result())

    def _seal(self, index: int, last: bool, chunk: bytes) -> bytes:
        # The key is the file's own, so the number of the chunk is a nonce that never comes twice.
        sealed = self._cipher.encrypt(_nonce(index), _packed(chunk), _place(self._bound, index, last))
        return _FRAME.pack(last, len(sealed)) + sealed


class SealedReader:
    """Reads what :class:`SealedWriter` wrote; ``header`` is there at once, the bytes come by :meth:`chunks`.

    Raises HubError ``backup_unreadable`` for another kind of file, ``key_unknown`` and ``backup_key`` where *keys* hold
    no key, or another one, under the header's number; and what :meth:`chunks` raises, for the header is believed only
    after the first chunk has opened.
    """

    def __init__(self, file: BinaryIO, keys: Keys, magic: bytes) -> None:
        self._file = file
        start = file.read(len(magic) + 4)
        if len(start) != len(magic) + 4 or not start.startswith(magic):
            raise HubError("backup_unreadable")
        (length,) = struct.unpack("!I", start[-4:])
        text = file.read(length) if length <= LONGEST_HEADER else b""
        try:
            self.header: dict[str, Any] = json.loads(text)
            number = int(self.header["key"])
            salt, check = _bytes(self.header["salt"]), _bytes(self.header["check"])
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise HubError("backup_unreadable") from None
        if number not in keys.sealing:
            raise HubError("key_unknown", name=str(number))
        key, ours = _derived(keys.sealing[number], salt, magic)
        if not hmac.compare_digest(ours, check):
            raise HubError("backup_key", name=str(number))
        self._cipher, self._bound = AESGCM(key), hashlib.sha256(start + text).digest()
        self._chunks = self._read()
        self._first = next(self._chunks)

    def chunks(self) -> Iterator[bytes]:
        """Every chunk in its order.  Raises ``backup_cut`` for a file without its end, ``backup_broken`` for one in
        which anything was changed; what came before was authentic all the same."""
        yield self._first
        yield from self._chunks

    def _read(self) -> Iterator[bytes]:
        index, last = 0, False
        while not last:
            frame = self._file.read(_FRAME.size)
            if len(frame) != _FRAME.size:
                raise HubError("backup_cut")
            last, length = _FRAME.unpack(frame)
            if frame[0] > 1 or not _TAG < length <= CHUNK + 4096:
                raise HubError("backup_broken", place=str(index))
            sealed = self._file.read(length)
            if len(sealed) != length:
                raise HubError("backup_cut")
            yield self._open(index, last, sealed)
            index += 1
        if self._file.read(1):
            raise HubError("backup_broken", place=str(index))

    def _open(self, index: int, last: bool, sealed: bytes) -> bytes:
        try:
            packed = self._cipher.decrypt(_nonce(index), sealed, _place(self._bound, index, last))
            return _unpacked(packed)
        except (InvalidTag, zlib.error):
            raise HubError("backup_broken", place=str(index)) from None


def _packed(chunk: bytes) -> bytes:
    sample = chunk[len(chunk) // 2 :][:_TRIED]
    if len(zlib.compress(sample, 1)) > 0.8 * len(sample):
        return _STORED + chunk
    return _DEFLATED + zlib.compress(chunk, 1)


def _unpacked(packed: bytes) -> bytes:
    """Raises zlib.error for what would be longer than a chunk, too."""
    if packed[:1] == _STORED:
        return packed[1:]
    unpacker = zlib.decompressobj()
    chunk = unpacker.decompress(packed[1:], CHUNK)
    if not unpacker.eof:
        raise zlib.error("longer than a chunk")
    return chunk


def _derived(key: bytes, salt: bytes, purpose: bytes) -> tuple[bytes, bytes]:
    """The key of one file, and what shows whether it is the right one without opening anything."""
    made = HKDF(algorithm=SHA256(), length=KEY_BYTES + 16, salt=salt, info=purpose).derive(key)
    return made[:KEY_BYTES], made[KEY_BYTES:]


def _nonce(index: int) -> bytes:
    return index.to_bytes(12, "big")


def _place(bound: bytes, index: int, last: bool) -> bytes:
    return bound + index.to_bytes(8, "big") + bytes((last,))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
