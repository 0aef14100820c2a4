import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub import clock
from hub.clock import BusinessClock, Clock, ClockError

START = datetime(2026, 1, 1, tzinfo=UTC)


class Wall:
    """Wall time in the test's hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = START
        monkeypatch.setattr(clock, "_wall", lambda: self.at)

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    return Wall(monkeypatch)


def test_business_is_wall_time_where_nobody_owns_it(wall: Wall, tmp_path: Path) -> None:
    assert Clock(None).now() == Clock(tmp_path / "absent.json").now() == Clock().wall() == START


def test_followers_see_a_jump_and_time_runs_on_from_it(wall: Wall, tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    owner, follower = BusinessClock(path), Clock(path)
    assert follower.now() == START
    owner.set(START + timedelta(days=30))
    assert owner.now() == follower.now() == START + timedelta(days=30)
    wall.passes(5)
    assert follower.now() == START + timedelta(days=30, seconds=5)
    owner.set(START + timedelta(days=31))
    assert follower.now() == START + timedelta(days=31)
    assert follower.wall() == START + timedelta(seconds=5)


def test_a_new_owner_goes_on_from_the_file(wall: Wall, tmp_path: Path) -> None:
    BusinessClock(tmp_path / "c").set(START + timedelta(days=30))
    wall.passes(60)
    again = BusinessClock(tmp_path / "c")
    assert again.now() == START + timedelta(days=30, seconds=60)
    with pytest.raises(ClockError):
        again.set(START + timedelta(days=30))


def test_the_owner_never_goes_back(wall: Wall, tmp_path: Path) -> None:
    owner = BusinessClock(tmp_path / "c")
    owner.set(START + timedelta(days=1))
    before = (tmp_path / "c").read_text()
    with pytest.raises(ClockError) as caught:
        owner.set(START)
    assert caught.value.code == "clock_backwards"
    assert (tmp_path / "c").read_text() == before


def test_business_time_stands_while_the_wall_clock_steps_back(wall: Wall, tmp_path: Path) -> None:
    for path in (None, tmp_path / "c"):
        wall.at = START
        if path:
            BusinessClock(path).set(START + timedelta(days=1))
        running = Clock(path)
        wall.passes(100)
        reached = running.now()
        wall.passes(-50)
        assert running.now() == reached
        wall.passes(51)
        assert running.now() == reached + timedelta(seconds=1)


def test_a_file_put_back_does_not_take_time_back(wall: Wall, tmp_path: Path) -> None:
    path = tmp_path / "c"
    BusinessClock(path).set(START + timedelta(days=9))
    follower = Clock(path)
    reached = follower.now()
    path.unlink()
    assert follower.now() == reached
    path.write_text(json.dumps({"business": START.isoformat(), "wall": START.isoformat()}))
    assert follower.now() == reached


def test_the_file_is_replaced_whole(wall: Wall, tmp_path: Path) -> None:
    path = tmp_path / "c"
    owner, follower, torn = BusinessClock(path), Clock(path), []
    owner.set(START)
    stop = threading.Event()

    def follow() -> None:
        while not stop.is_set():
            try:
                follower.now()
            except ClockError:
                torn.append(1)

    thread = threading.Thread(target=follow)
    thread.start()
    for day in range(1, 100):
        owner.set(START + timedelta(days=day))
    stop.set()
    thread.join()
    assert not torn
    assert follower.now() == START + timedelta(days=99)
    assert [found.name for found in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"business": "x", "wall": "y"}', '{"business": "2026-01-01", "wall": "2026-01-01"}']
)
def test_a_damaged_file_is_an_error_not_a_guess(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(ClockError) as caught:
        Clock(tmp_path / "c").now()
    assert caught.value.code == "clock_unreadable"


def test_the_monotonic_clock_ignores_the_wall(wall: Wall) -> None:
    first = Clock().mono()
    wall.passes(-1000)
    assert Clock().mono() >= first
