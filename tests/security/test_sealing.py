import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.canonical.errors import HubError
from hub.security.keys import Keys
from hub.security.sealing import Sealer


def keys(current: int = 1, *numbers: int) -> Keys:
    sealing = {number: bytes([number]) * 32 for number in (current, *numbers)}
    return Keys(current, sealing, b"i" * 32, b"s" * 32)


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(keys())


def code(call: object, *args: object) -> str:
    with pytest.raises(HubError) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value.code


@given(plaintext=st.binary(max_size=300), aad=st.binary(max_size=20))
def test_opens_what_it_sealed(plaintext: bytes, aad: bytes) -> None:
    sealer = Sealer(keys())
    wrapped, key = sealer.new_data_key()
    sealed = sealer.seal(key, plaintext, aad)
    assert len(sealed) == len(plaintext) + 28
    assert sealer.open(sealer.unwrap(wrapped), sealed, aad) == plaintext


def test_a_changed_bit_anywhere_is_found(sealer: Sealer) -> None:
    wrapped, key = sealer.new_data_key()
    sealed = sealer.seal(key, b"A1234567", b"row 1")
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        assert code(sealer.open, key, changed, b"row 1") == "seal_broken"
    for place in range(1, len(wrapped)):
        changed = wrapped[:place] + bytes([wrapped[place] ^ 1]) + wrapped[place + 1 :]
        assert code(sealer.unwrap, changed) == "seal_broken"
    for short in (b"", sealed[:5], sealed[:-1]):
        assert code(sealer.open, key, short, b"row 1") == "seal_broken"


def test_a_blob_moved_to_another_row_is_found(sealer: Sealer) -> None:
    _, key = sealer.new_data_key()
    sealed = sealer.seal(key, b"A1234567", b"row 1")
    assert code(sealer.open, key, sealed, b"row 2") == "seal_broken"


def test_another_persons_key_opens_nothing(sealer: Sealer) -> None:
    _, mine = sealer.new_data_key()
    _, theirs = sealer.new_data_key()
    assert mine != theirs
    assert code(sealer.open, theirs, sealer.seal(mine, b"x", b"row"), b"row") == "seal_broken"


def test_sealing_twice_gives_different_bytes(sealer: Sealer) -> None:
    _, key = sealer.new_data_key()
    assert len({sealer.seal(key, b"x", b"row")[:12] for _ in range(1000)}) == 1000


def test_old_keys_open_and_the_current_one_seals() -> None:
    wrapped, key = Sealer(keys(1)).new_data_key()
    rotated = Sealer(keys(2, 1))
    assert rotated.unwrap(wrapped) == key
    assert rotated.wrap(key)[0] == 2
    assert code(Sealer(keys(2)).unwrap, wrapped) == "key_unknown"
    assert code(rotated.unwrap, b"") == "key_unknown"
    # The id in front is sealed with the key: it cannot be swapped for another.
    same = Keys(1, {1: b"k" * 32, 2: b"k" * 32}, b"i" * 32, b"s" * 32)
    assert code(Sealer(same).unwrap, b"\x02" + Sealer(same).wrap(key)[1:]) == "seal_broken"


def test_lookups_find_the_same_and_keep_the_different_apart(sealer: Sealer) -> None:
    found = sealer.lookup("document", "A1234567", "IDN")
    assert found == sealer.lookup("document", " a١٢٣ 4567", "idn")
    others = [
        ("visa", "A1234567", "IDN"), ("document", "A1234568", "IDN"), ("document", "A1234567I", "DN"),
        ("document", "A1234567"), ("document", "A1234567\x1fIDN"),
    ]  # fmt: skip
    assert found not in {sealer.lookup(*other) for other in others}
    other_house = Keys(1, {1: b"1" * 32}, b"j" * 32, b"s" * 32)
    assert found != Sealer(other_house).lookup("document", "A1234567", "IDN")


# --- the keys file ----------------------------------------------------------------------------------------------------


def test_generated_keys_are_private_random_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "var" / "keys.json"
    made = Keys.generate(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert Keys.load(path) == made
    assert made != Keys.generate(tmp_path / "other.json")
    assert code(Keys.generate, path) == "keys_exist"
    assert Keys.load(path) == made


def test_keys_do_not_show_in_a_repr(tmp_path: Path) -> None:
    made = Keys.generate(tmp_path / "keys.json")
    assert repr(made) == "Keys(current=1)"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_keys_that_others_may_read_are_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    Keys.generate(path)
    path.chmod(mode)
    assert code(Keys.load, path) == "keys_exposed"


def test_missing_and_damaged_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert code(Keys.load, path) == "keys_missing"
    Keys.generate(path)
    good = json.loads(path.read_text())
    for damaged in (
        {}, [], good | {"current": 2}, good | {"index": "short"}, good | {"signing": None},
        good | {"sealing": {"256": good["index"]}, "current": 256}, good | {"sealing": {"x": good["index"]}},
        good | {"sealing": {"1": good["index"] + "!"}},
    ):  # fmt: skip
        path.write_text(json.dumps(damaged))
        assert code(Keys.load, path) == "keys_unreadable"
    path.write_text("{")
    assert code(Keys.load, path) == "keys_unreadable"
