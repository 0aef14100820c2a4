"""Schedules fire once a due time, whoever wakes the timetable and however late; due times of cases come in order."""

from datetime import timedelta

import pytest

from hub.timetable import Timetable
from tests.exchange.exchanging import START

pytestmark = pytest.mark.both_stores


@pytest.fixture
def timetable(hub):
    return Timetable(hub.engine)


def runs(hub, schedule="movements_jeddah"):
    return hub.rows("SELECT state, late FROM run WHERE schedule = ? ORDER BY due_at", schedule)


def test_a_due_time_fires_once_however_often_the_timetable_is_woken(hub, timetable):
    timetable.tick(START)
    before = len(runs(hub))
    for minutes in (361, 362, 363):
        timetable.tick(START + timedelta(minutes=minutes))
    assert len(runs(hub)) == before + 1 and runs(hub)[-1] == ("done", 0)


def test_a_second_timetable_fires_nothing_again(hub, timetable):
    timetable.tick(START + timedelta(hours=4))
    before = runs(hub)
    Timetable(hub.engine).tick(START + timedelta(hours=4))
    assert runs(hub) == before


def test_what_was_missed_is_covered_by_one_run_and_said_to_be_late(hub, timetable):
    timetable.tick(START)
    before = len(runs(hub))
    timetable.tick(START + timedelta(days=2, minutes=40))
    missed = runs(hub)[before:]
    assert [state for state, _ in missed] == ["covered"] * 7 + ["done"]
    assert missed[-1][1] == 1


def test_a_run_that_died_half_way_is_run_again(hub, timetable):
    timetable.tick(START + timedelta(hours=4))
    hub.engine.database.unit(lambda tx: tx._connection.execute("UPDATE run SET state = 'running' WHERE state = 'done'"))
    hub.engine.database.unit(lambda tx: tx._connection.execute("DELETE FROM sequence WHERE name = 'ticked'"))
    Timetable(hub.engine).tick(START + timedelta(hours=4))
    assert "running" not in {state for state, _ in runs(hub)}


def test_an_unpaid_voucher_expires_on_its_due_time_and_ends_its_members_after_the_grace(hub, timetable):
    for request in hub.open().body["requests"]:
        hub.decide(request["id"], "accept")
    timetable.tick(START)
    seen = ["INVOICED"]
    for days in range(1, 60):
        hub.clock.set(START + timedelta(days=days))
        timetable.tick(START + timedelta(days=days))
        ((state,),) = hub.rows("SELECT state FROM voucher")
        if state != seen[-1]:
            seen.append(state)
    assert seen == ["INVOICED", "INVOICE_EXPIRED", "CANCELLED"]
    assert hub.states() == ["INVOICE_EXPIRED"] * 2


def test_apscheduler_wakes_it(hub, timetable):
    timetable.start()
    hub.clock.set(START + timedelta(hours=7))
    for _ in range(200):
        if any(state == "done" for state, _ in runs(hub)):
            break
        __import__("time").sleep(0.02)
    timetable.stop()
    assert any(state == "done" for state, _ in runs(hub))


def test_a_door_knows_what_is_next_where_another_process_keeps_the_timetable(hub, timetable):
    timetable.tick(START)
    beside = Timetable(hub.engine)
    assert timetable.next_due() is not None
    # On SQLite one process does everything, and nobody is beside it.
    assert (beside.next_due() == timetable.next_due()) is hub.engine.database.shared
