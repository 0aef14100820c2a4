"""Our REST against a house whose programmer has read only the contract."""

import time
from pathlib import Path
from typing import Any

import pytest

from hub.channels import Answered, AuthFailed, Outgoing, Target, Unavailable, open_channel
from hub.mapping import Map, load
from tests.strangers.house import House

ROOT = Path(__file__).resolve().parents[2]
ADAPTER = ROOT / "adapters/housing/bookings"
MAPS = ROOT / "mappings/housing/bookings"
SECRET = "shared with the house, 32 bytes."


@pytest.fixture(scope="module")
def maps() -> dict[str, Map]:
    names = [
        f"{operation}/{kind}" for operation in ("confirm_booking", "find_booking") for kind in ("request", "reply")
    ]
    return {name: load(MAPS / f"{name}.v1.yaml") for name in names}


def example(maps: dict[str, Map], name: str) -> Any:
    file = next((MAPS / name).parent.glob(f"examples/{Path(name).name}-*[!l].json"))
    assert not file.name.endswith("canonical.json")
    return maps[name].read(file.read_bytes())


def call(house: House, path: str, body: bytes, secret: str = SECRET) -> object:
    wire = {"method": "POST", "path": path, "signed": "hmac"}
    target = Target("stay", "rest", house.url, 10, 4, wire, ADAPTER, secret=secret, not_done=frozenset({503}))
    channel = open_channel("rest")
    result = channel.send(target, Outgoing(body, "K-1", None, None, None, None, time.monotonic() + 10))
    channel.close()
    return result


def test_a_booking_is_understood_confirmed_once_and_found(maps: dict[str, Map]) -> None:
    order = example(maps, "confirm_booking/request")
    body = maps["confirm_booking/request"].write(order)
    with House(SECRET) as house:
        replies = []
        for _ in range(2):
            answer = call(house, "/bookings", body)
            assert isinstance(answer, Answered)
            replies.append(maps["confirm_booking/reply"].read(answer.body))
        assert replies[0] == replies[1] and replies[0].outcome == "confirmed" and replies[0].key == order.key
        (booked,) = house.bookings.values()
        assert booked["brn"] == replies[0].brn
        assert house.calls[0][1]["Idempotency-Key"] == "K-1"

        for key, outcome in ((order.key, "confirmed"), ("never-sent", "not_known")):
            enquiry = example(maps, "find_booking/request")
            enquiry.key = key
            answer = call(house, "/bookings/find", maps["find_booking/request"].write(enquiry))
            assert isinstance(answer, Answered)
            found = maps["find_booking/reply"].read(answer.body)
            assert (found.key, found.outcome) == (key, outcome)


def test_a_busy_house_has_done_nothing(maps: dict[str, Map]) -> None:
    body = maps["confirm_booking/request"].write(example(maps, "confirm_booking/request"))
    with House(SECRET) as house:
        house.busy = True
        assert isinstance(call(house, "/bookings", body), Unavailable)
        assert not house.bookings


def test_a_house_that_does_not_know_our_secret_refuses_us(maps: dict[str, Map]) -> None:
    body = maps["confirm_booking/request"].write(example(maps, "confirm_booking/request"))
    with House("another secret altogether, 32 b.") as house:
        assert isinstance(call(house, "/bookings", body), AuthFailed)
        assert not house.bookings
