import pytest

from hub.security import api_keys


def test_only_the_digest_finds_the_holder() -> None:
    (first, kept_first), (second, kept_second) = api_keys.new_key(), api_keys.new_key()
    keys = {kept_first: "agent_one", kept_second: "agent_two"}
    assert api_keys.kept(keys, api_keys.digest(first)) == "agent_one"
    assert api_keys.kept(keys, api_keys.digest(second)) == "agent_two"
    for nobody in ("", first[:-1], first + "x", kept_first, "مفتاح"):
        assert api_keys.kept(keys, api_keys.digest(nobody)) is None


def test_a_key_has_256_bits_and_is_not_its_digest() -> None:
    made = [api_keys.new_key() for _ in range(200)]
    assert len({key for key, _ in made}) == 200
    assert all(len(key) >= 43 and key not in kept for key, kept in made)


def test_a_key_is_compared_in_constant_time_whoever_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = api_keys.hmac.compare_digest
    monkeypatch.setattr(api_keys.hmac, "compare_digest", lambda a, b: compared.append(len(a)) or real(a, b))
    key, kept = api_keys.new_key()
    keys = {kept: "a", "1" * 64: "b"}
    assert api_keys.kept(keys, kept) == "a"
    assert api_keys.kept(keys, api_keys.digest(key + "x")) is None
    # One of nobody takes as long as one of somebody.
    assert compared == [64, 64]


def test_the_digest_of_nothing_is_nobodys() -> None:
    assert api_keys.kept({}, "0" * 64) is None
