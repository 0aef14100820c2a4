"""A sealed file opens whole or not at all: cut, changed, reordered or lengthened, it is refused by name."""

import dataclasses
import io
import json
import os
import struct

import pytest

from hub.canonical.errors import HubError
from hub.security.keys import Keys
from hub.security.sealed_file import CHUNK, SealedReader, SealedWriter

MAGIC = b"a test\n"


@pytest.fixture
def keys(tmp_path):
    return Keys.generate(tmp_path / "keys.json")


def sealed(keys, data, piece=100_000):
    file = io.BytesIO()
    writer = SealedWriter(file, keys, MAGIC, {"for": "a test"})
    for start in range(0, len(data), piece):
        writer.write(data[start : start + piece])
    writer.close()
    return file.getvalue()


def opened(keys, data):
    reader = SealedReader(io.BytesIO(data), keys, MAGIC)
    assert reader.header["for"] == "a test"
    return b"".join(reader.chunks())


def refused(keys, data):
    with pytest.raises(HubError) as caught:
        opened(keys, data)
    return caught.value.code


def parts(data):
    """The beginning and each chunk with its frame."""
    at = len(MAGIC) + 4 + struct.unpack_from("!I", data, len(MAGIC))[0]
    found = [data[:at]]
    while at < len(data):
        end = at + 5 + struct.unpack_from("!I", data, at + 1)[0]
        found.append(data[at:end])
        at = end
    return found


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
@pytest.mark.parametrize("make", [os.urandom, bytes], ids=["noise", "zeros"])
def test_what_goes_in_comes_out(keys, size, make):
    data = make(size)
    assert opened(keys, sealed(keys, data)) == data


def test_what_gets_smaller_is_compressed_and_nothing_stands_in_clear(keys):
    data = b"GHOFRAN " * 200_000
    file = sealed(keys, data)
    assert len(file) < len(data) // 20 and b"GHOFRAN" not in file


def test_two_files_of_the_same_bytes_have_nothing_in_common(keys):
    one, two = (parts(sealed(keys, bytes(3 * CHUNK))) for _ in range(2))
    assert not set(one[1:]) & set(two[1:])


def test_a_file_that_is_cut_anywhere_is_refused(keys):
    file = sealed(keys, os.urandom(2 * CHUNK + 100))
    chunks = parts(file)
    ends = [sum(map(len, chunks[:n])) for n in range(1, len(chunks))]
    assert len(ends) == 3
    for at in [*ends, *(end + 3 for end in ends), *(end + 100 for end in ends), len(file) - 1]:
        assert refused(keys, file[:at]) == "backup_cut"
    assert {refused(keys, file[:at]) for at in (0, 3, len(MAGIC) + 2, ends[0] - 1)} == {"backup_unreadable"}


def test_any_changed_byte_is_found(keys):
    file = sealed(keys, os.urandom(CHUNK + 100))
    start = len(parts(file)[0])
    for at in [*range(0, start + 8), start + 5000, len(file) - 120, len(file) - 1]:
        changed = bytearray(file)
        changed[at] ^= 1
        assert refused(keys, bytes(changed)).startswith(("backup_", "key_unknown")), f"byte {at}"


def test_chunks_in_another_order_left_out_twice_or_of_another_file_are_refused(keys):
    start, one, two, three, last = parts(sealed(keys, os.urandom(3 * CHUNK + 100)))
    _, other, *_ = parts(sealed(keys, os.urandom(3 * CHUNK + 100)))
    for wrong in (
        [start, two, one, three, last],
        [start, one, three, last],
        [start, one, two, two, three, last],
        [start, other, two, three, last],
        [start, one, two, three, last, last],
        [start, one, two, three, last, b"\0"],
        [start, one, two, b"\1" + three[1:]],
        [start, one, two, three, b"\0" + last[1:]],
    ):
        assert refused(keys, b"".join(wrong)) == "backup_broken"


def test_what_the_header_says_is_as_authentic_as_the_rest(keys):
    start, *chunks = parts(sealed(keys, b"rows"))
    said = json.loads(start[len(MAGIC) + 4 :])
    text = json.dumps({**said, "for": "another"}).encode()
    assert refused(keys, MAGIC + struct.pack("!I", len(text)) + text + b"".join(chunks)) == "backup_broken"


def test_another_key_and_a_key_that_is_gone_are_told_apart(keys, tmp_path):
    file = sealed(keys, b"rows")
    other = Keys.generate(tmp_path / "other.json")
    assert refused(other, file) == "backup_key"
    assert refused(dataclasses.replace(other, current=2, sealing={2: keys.sealing[1]}), file) == "key_unknown"
    later = dataclasses.replace(keys, current=2, sealing={**keys.sealing, 2: other.sealing[1]})
    assert opened(later, file) == b"rows", "a key that seals nothing new still opens what is old"
