import pytest

from hub.security import api_keys


def test_only_the_digest_finds_the_holder() -> None:
    (first, kept_first), (second, kept_second) = api_keys.new_key(), api_keys.new_key()
    keys = {kept_first: "agent_one", kept_second: "agent_two"}
    assert api_keys.holder(keys, first) == "agent_one"
    assert api_keys.holder(keys, second) == "agent_two"
    for nobody in ("", first[:-1], first + "x", kept_first, "مفتاح"):
        assert api_keys.holder(keys, nobody) is None


def test_a_key_has_256_bits_and_is_not_its_digest() -> None:
    made = [api_keys.new_key() for _ in range(200)]
    assert len({key for key, _ in made}) == 200
    assert all(len(key) >= 43 and key not in kept for key, kept in made)


def test_every_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = api_keys.hmac.compare_digest
    monkeypatch.setattr(api_keys.hmac, "compare_digest", lambda a, b: compared.append(1) or real(a, b))
    key, kept = api_keys.new_key()
    api_keys.holder({kept: "a", "0" * 64: "b", "1" * 64: "c"}, key)
    assert len(compared) == 3
