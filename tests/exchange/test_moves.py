"""A caller that waits for the partner hears what it said, in time or not at all, whichever process heard it."""

import threading
from uuid import UUID

import pytest

from hub.exchange import moves
from hub.exchange.moves import State


def look(hub, request):
    return lambda: State(*hub.engine.reading.state(request))


def waits(hub, request, seconds):
    """Wait in a thread of its own; answers how to have the result."""
    ready, found = threading.Event(), []

    def run():
        with hub.engine.moves.expecting(request, "one") as waiting:
            ready.set()
            found.append(waiting.until(seconds, look(hub, request), hub.engine.database.shared))

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(5)
    return lambda: (thread.join(20), found[0])[1]


@pytest.mark.both_stores
def test_who_waits_hears_the_reference_when_it_comes(make, ministry):
    hub = make(MOFA_URL=ministry.url)
    request = UUID(hex=hub.paid()[0])
    answer = waits(hub, request, 20)
    hub.drain()
    found = answer()
    assert found.state == "REFERENCE_ISSUED" and found.reference_no


def test_another_process_may_hear_the_answer_and_tells(make, migrated, ministry, monkeypatch):
    monkeypatch.setattr(moves, "LOOK", 60.0)
    door = make(store=migrated)
    request = UUID(hex=door.paid()[0])
    answer = waits(door, request, 20)
    make(store=migrated, MOFA_URL=ministry.url).drain()
    found = answer()
    assert found.state == "REFERENCE_ISSUED" and found.reference_no


def test_what_another_process_told_may_get_lost(make, migrated, ministry, monkeypatch):
    monkeypatch.setattr(moves, "LOOK", 0.1)
    door = make(store=migrated)
    monkeypatch.setattr(door.engine.database, "_answered", lambda requests: None)
    request = UUID(hex=door.paid()[0])
    answer = waits(door, request, 20)
    make(store=migrated, MOFA_URL=ministry.url).drain()
    assert answer().state == "REFERENCE_ISSUED"


def test_who_waits_in_vain_hears_where_the_request_is(make):
    hub = make()
    request = UUID(hex=hub.paid()[0])
    assert waits(hub, request, 0.05)() == State("SENT_FOR_REFERENCE", None)


def test_no_more_wait_than_the_door_can_spare_and_of_one_caller_fewer(hub, monkeypatch):
    monkeypatch.setattr(moves, "MOST", 3)
    monkeypatch.setattr(moves, "OF_ONE", 2)
    expecting, request = hub.engine.moves.expecting, UUID(int=1)
    with expecting(request, "one") as first, expecting(request, "one") as second:
        assert first is not None and second is not None
        with (
            expecting(request, "one") as third,
            expecting(request, "two") as other,
            expecting(request, "three") as more,
        ):
            assert third is None and other is not None and more is None
    with expecting(request, "one") as again:
        assert again is not None
