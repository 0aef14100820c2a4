from datetime import UTC, datetime, timedelta

import pytest

from hub.canonical.errors import HubError
from hub.security import signing

NOW = datetime(2026, 2, 18, 9, 0, tzinfo=UTC)
BODY = b'{"bill_no":"9000000000017"}'


def code(*args: object, **more: object) -> str:
    with pytest.raises(HubError) as caught:
        signing.verify(*args, **more)  # type: ignore[arg-type]
    return caught.value.code


def test_a_signature_gives_its_nonce() -> None:
    header = signing.sign("old", BODY, NOW)
    nonce = signing.verify(["old"], header, BODY, NOW)
    assert f"n={nonce}," in header


def test_each_signature_has_its_own_nonce() -> None:
    # The receiver stores it: a second notice with the same one is a replay.
    assert len({signing.verify(["s"], signing.sign("s", BODY, NOW), BODY, NOW) for _ in range(200)}) == 200


def test_two_secrets_are_live_while_one_is_changed() -> None:
    for secret in ("old", "new"):
        assert signing.verify(["old", "new"], signing.sign(secret, BODY, NOW), BODY, NOW)
    assert code(["new"], signing.sign("old", BODY, NOW), BODY, NOW) == "signature_wrong"
    assert code([], signing.sign("old", BODY, NOW), BODY, NOW) == "signature_wrong"


@pytest.mark.parametrize("away", [-300, -299, 0, 300])
def test_within_five_minutes_either_way(away: int) -> None:
    assert signing.verify(["s"], signing.sign("s", BODY, NOW + timedelta(seconds=away)), BODY, NOW)


@pytest.mark.parametrize("away", [-301, 301, -86_400, 86_400])
def test_outside_the_window_it_is_a_replay(away: int) -> None:
    assert code(["s"], signing.sign("s", BODY, NOW + timedelta(seconds=away)), BODY, NOW) == "signature_stale"


def test_body_time_and_nonce_are_all_signed() -> None:
    header = signing.sign("s", BODY, NOW)
    stamp, nonce, digest = header.split(",")
    assert code(["s"], header, BODY + b" ", NOW) == "signature_wrong"
    later = f"t={int(stamp[2:]) + 60}"
    assert code(["s"], f"{later},{nonce},{digest}", BODY, NOW) == "signature_wrong"
    assert code(["s"], f"{stamp},n={'0' * 32},{digest}", BODY, NOW) == "signature_wrong"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "x",
        "t=1,n=abc,v1=00",
        "t=١٢٣,n=" + "a" * 32 + ",v1=" + "0" * 64,
        "t=1,n=" + "a" * 32 + ",v1=" + "é" * 64,
    ],
)
def test_what_is_no_signature_is_refused(header: str | None) -> None:
    assert code(["s"], header, BODY, NOW) == "signature_missing"


def test_the_comparison_takes_the_same_time_for_every_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = signing.hmac.compare_digest
    monkeypatch.setattr(signing.hmac, "compare_digest", lambda a, b: compared.append(1) or real(a, b))
    signing.verify(["s", "t", "u"], signing.sign("s", BODY, NOW), BODY, NOW)
    assert len(compared) == 3
