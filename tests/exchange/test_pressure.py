"""What is taken and what is not, when the disk, the backlog or the writer presses, and that it resumes by itself."""

import dataclasses
import json
import threading
from types import SimpleNamespace

import pytest

from hub.canonical.errors import catalogue
from hub.exchange import pressure
from hub.exchange.pressure import Closed
from hub.exchange.receive import Once
from hub.timetable import Timetable
from tests.exchange.exchanging import AGENT, POST, START, filing


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Every question is a look."""
    monkeypatch.setattr(pressure, "EVERY", 0.0)
    monkeypatch.setattr(pressure, "COUNT", 0.0)
    monkeypatch.setattr(pressure, "MOMENT", 0.5)


@pytest.fixture
def disk(hub):
    """The store's file system: ``free`` percent of it."""
    told = SimpleNamespace(free=50.0)
    hub.engine.pressure._statvfs = lambda folder: SimpleNamespace(f_blocks=10_000, f_bavail=int(told.free * 100))
    return told


def refused(call):
    with pytest.raises(Closed) as caught:
        call()
    assert caught.value.retry_after > 0
    return caught.value.code


def test_every_refusal_is_coded_in_both_languages_with_a_status_that_says_come_again():
    for code, _, _ in pressure.REASONS.values():
        entry = catalogue()[code]
        assert entry.status in (429, 503) and entry.en and entry.ar


def test_below_the_limit_nothing_new_is_taken_and_what_is_known_goes_on(hub, disk):
    first, second = (r["id"] for r in hub.open().body["requests"])
    disk.free = 4.9
    assert refused(lambda: hub.open(filing("G-2"))) == "intake_disk"
    assert hub.decide(first, "accept").status == hub.decide(second, "accept").status == "taken"
    assert hub.pay().status == "taken"
    assert hub.states() == ["SENT_FOR_REFERENCE"] * 2
    assert hub.rows("SELECT count(*) FROM umrah_group") == [(1,)]


def test_at_the_last_reserve_nothing_is_taken(hub, disk):
    first = hub.open().body["requests"][0]["id"]
    disk.free = 0.9
    assert refused(lambda: hub.decide(first, "accept")) == "intake_reserve"
    assert refused(lambda: hub.pay()) == "intake_reserve"
    assert hub.engine.reading.now()["states"] == {"SUBMITTED": 2}


def test_it_resumes_by_itself_and_does_not_flutter(hub, disk):
    door = hub.engine.pressure
    disk.free = 4.9
    assert door.against("new") == "disk"
    disk.free = 5.5
    assert door.against("new") == "disk", "a little room is not room"
    disk.free = 7.5
    assert door.against("new") is None
    disk.free = 5.5
    assert door.against("new") is None, "and it does not stop before the limit"


def test_a_disk_that_is_not_there_keeps_nothing(hub, disk, tmp_path):
    settings = dataclasses.replace(hub.settings, disks=(tmp_path / "gone",))
    assert pressure.Pressure(settings, hub.engine.database).against("fact") == "reserve"


def test_a_full_backlog_stops_what_is_new_until_a_good_part_of_it_is_gone(hub, monkeypatch):
    monkeypatch.setattr(pressure, "WORKED_OFF", 0.5)
    hub.paid()
    ((n,),) = hub.rows("SELECT count(*) FROM exchange_subject WHERE state = 'open'")
    door = hub.engine.pressure

    def limited(to):
        door._settings = dataclasses.replace(hub.settings, backlog=to)
        return door.against("new")

    assert limited(n + 1) is None
    assert limited(n) == "backlog"
    assert refused(lambda: hub.open(filing("G-2"))) == "intake_backlog"
    assert door.against("fact") is door.against("file") is None
    assert limited(n + 1) == "backlog", "it does not flutter"
    assert limited(3 * n) is None


def test_a_writer_that_lags_stops_what_is_new_and_reads_say_that_the_store_is_there(hub, monkeypatch):
    monkeypatch.setattr(pressure, "SLOW", 0.0)
    monkeypatch.setattr(pressure, "PROBE", 0.0)
    gate = threading.Event()
    blocker = hub.engine.database.submit(lambda tx: gate.wait(20))
    door = hub.engine.pressure
    while door.against("new") is None:
        pass
    assert door.against("new") == "writer"
    assert door.against("fact") is None and not door.away
    monkeypatch.setattr(pressure, "SLOW", 60.0)
    gate.set()
    blocker.result()
    while door.against("new") is not None:
        pass
    assert hub.open().status == "taken"


def test_a_store_that_answers_nobody_lets_nobody_wait_and_the_same_key_is_told_what_became_of_it(hub, monkeypatch):
    for name in ("SLOW", "PROBE", "AWAY"):
        monkeypatch.setattr(pressure, name, 0.0)
    door, gate = hub.engine.pressure, threading.Event()
    monkeypatch.setattr(door, "_count_open", lambda: gate.wait(20) and 0)
    blocker = hub.engine.database.submit(lambda tx: gate.wait(20))
    once = Once(AGENT, "the-same-key", "digest")
    assert refused(lambda: hub.open(once=once)) in ("store_away", "intake_busy")
    while not door.away:
        pass
    assert refused(lambda: hub.open(once=once)) == "store_away"
    assert refused(lambda: hub.pay()) == "store_away"
    monkeypatch.setattr(pressure, "PROBE", 60.0)
    gate.set()
    blocker.result()
    while door.against("new") is not None:
        pass
    told = hub.open(once=once)
    assert told.http == 201 and hub.rows("SELECT count(*) FROM umrah_group") == [(1,)]


def test_who_waits_while_the_store_goes_away_is_answered_and_nothing_is_done_twice(hub, monkeypatch):
    door, gate = hub.engine.pressure, threading.Event()
    once = Once(AGENT, "the-same-key", "digest")
    blocker = hub.engine.database.submit(lambda tx: gate.wait(20))
    monkeypatch.setattr(type(door), "away", True)
    # It came in when all was well: what it asked is before the writer, and nobody knows when it will be written.
    monkeypatch.setattr(door, "admit", lambda kind: None)
    assert refused(lambda: hub.open(once=once)) == "store_away"
    gate.set()
    blocker.result()
    again = hub.open(once=once)
    assert (again.status, again.http) == ("repeated", 201)
    assert hub.rows("SELECT count(*) FROM umrah_group") == [(1,)]


def files(folder):
    return sorted(p.name for p in folder.iterdir() if p.is_file())


def test_files_stay_where_they_are_until_there_is_room(hub, disk, tmp_path):
    left = tmp_path / "files" / AGENT / "from_partner"
    (left / "roster.csv").write_text("group_no;x\n", "utf-8")
    disk.free = 3.0
    agent = hub.engine.register.partners[AGENT]
    found = hub.engine.collect(agent)
    assert (found.code, found.stopped, found.files) == ("intake_disk", True, 0)
    assert files(left) == ["roster.csv"]
    disk.free = 50.0
    hub.engine.collect(agent)
    assert files(left) == []


def test_a_scheduled_run_that_found_intake_stopped_is_made_good_by_itself(hub, disk):
    timetable = Timetable(hub.engine)
    timetable.tick(START)
    disk.free = 3.0
    timetable.tick(START.replace(hour=23))
    (schedule,) = {s.name for s in hub.engine.register.schedules.values() if s.partner.id == POST}
    state = "SELECT state FROM run WHERE schedule = ? ORDER BY due_at DESC LIMIT 1"
    assert hub.rows(state, schedule) == [("running",)]
    timetable.tick(START.replace(hour=23, second=10))
    assert hub.rows(state, schedule) == [("running",)]
    disk.free = 50.0
    # Whoever comes after a restart finds it too.
    Timetable(hub.engine).tick(START.replace(hour=23, second=20))
    assert hub.rows(state, schedule) == [("done",)]
    assert hub.rows("SELECT count(*) FROM run WHERE state = 'running'") == [(0,)]


def test_it_says_what_presses(hub, disk):
    disk.free = 4.0
    with pytest.raises(Closed):
        hub.open()
    told = json.loads(json.dumps(hub.engine.pressure.standing()))
    assert told["open"] is False
    assert [one["reason"] for one in told["reasons"]] == ["disk"]
    assert told["refused"] == {"disk": 1}
    assert told["disk_free"] == {"var": 0.04}
