"""Tickets get lost, come twice and die with their process: the ministry counts what it was asked, nobody else."""

import dataclasses
import os
import signal
import subprocess
from collections import Counter

import pytest
from kombu import Connection

from hub.canonical.errors import HubError
from hub.fleet.tickets import fleet as application
from hub.fleet.tickets import issue
from tests.exchange.exchanging import MINISTRY
from tests.fleet.conftest import Door, Fleet, GatedMinistry, wait_for

pytestmark = pytest.mark.needs("rabbitmq")


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes of a fleet's machine that work off tickets."""
    done = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in done.stdout.split()]


def accounted(door: Door, ministry: GatedMinistry, requests: list[str]) -> None:
    """Every pilgrim has a reference, and the ministry was handed each application once."""
    wait_for(lambda: door.referenced() == len(requests))
    assert len(ministry.references) == len(requests), "lost, or never asked for"
    assert set(Counter(ministry.submitted).values()) == {1}, "handed in twice"


def test_work_reaches_its_partner_through_tickets_alone(door: Door, fleet: Fleet, ministry: GatedMinistry) -> None:
    fleet.tickets()
    fleet.worker()
    requests = [request for number in range(4) for request in door.paid_group(number)]
    accounted(door, ministry, requests)
    assert {row[0] for row in door.rows("SELECT role FROM worker")} <= {"fleet", "worker"}


def test_lost_and_doubled_tickets_lose_and_double_nothing(door: Door, fleet: Fleet, ministry: GatedMinistry) -> None:
    first = [request for number in range(3) for request in door.paid_group(number)]
    issuing = fleet.tickets()
    app = application(door.settings)
    with Connection(door.settings.broker_url) as connection, connection.channel() as channel:
        waiting = wait_for(lambda: _depth(channel))
        assert waiting and channel.queue_purge("hub.riyadh"), "nobody is there to take them yet, and now they are gone"
    partner = door.engine.register.partners[MINISTRY]
    for _ in range(20):
        issue(app, partner)
    fleet.worker(processes=3)
    accounted(door, ministry, first)
    issuing.kill()
    issuing.wait()
    second = door.paid_group(7)
    for _ in range(5):
        issue(app, partner)
    accounted(door, ministry, first + second)


def _depth(channel) -> int:
    try:
        return int(channel.queue_declare("hub.riyadh", passive=True).message_count)
    except channel.connection.channel_errors:
        channel.connection.channel()
        return 0


def test_what_a_killed_process_was_sending_is_asked_about(door: Door, fleet: Fleet, ministry: GatedMinistry) -> None:
    fleet.tickets()
    working = fleet.worker()
    ministry.open.clear()
    requests = door.paid_group(1)
    assert ministry.kept.acquire(timeout=60), "the ministry has it, and keeps its answer back"
    for child in children(working):
        os.kill(child, signal.SIGKILL)
    ministry.open.set()
    accounted(door, ministry, requests)
    assert "EnquireApplication" in {name for name, _ in ministry.asked}


def test_a_machine_that_is_gone_is_replaced_by_another(door: Door, fleet: Fleet, ministry: GatedMinistry) -> None:
    issuing, working = fleet.tickets(), fleet.worker()
    ministry.open.clear()
    requests = door.paid_group(1)
    assert ministry.kept.acquire(timeout=60)
    for process in (working, issuing):
        os.killpg(process.pid, signal.SIGKILL)
    ministry.open.set()
    fleet.tickets()
    fleet.worker()
    accounted(door, ministry, requests + door.paid_group(2))


def test_a_broker_that_hangs_holds_no_door_up(
    door: Door, fleet: Fleet, ministry: GatedMinistry, rabbitmq: tuple[str, subprocess.Popen[bytes]]
) -> None:
    fleet.tickets()
    fleet.worker()
    first = door.paid_group(1)
    accounted(door, ministry, first)
    os.killpg(rabbitmq[1].pid, signal.SIGSTOP)
    try:
        second = door.paid_group(2)
        assert len(ministry.submitted) == len(first)
    finally:
        os.killpg(rabbitmq[1].pid, signal.SIGCONT)
    accounted(door, ministry, first + second)


def test_each_zone_has_tickets_of_its_own(door: Door, fleet: Fleet, ministry: GatedMinistry) -> None:
    fleet.tickets("--zone", "abroad")
    fleet.worker("hub.abroad")
    requests = door.paid_group(1)
    wait_for(lambda: door.rows("SELECT 1 FROM worker WHERE role = 'worker' AND zone = 'abroad'"))
    assert not ministry.asked
    fleet.tickets("--zone", "riyadh")
    fleet.worker("hub.riyadh")
    accounted(door, ministry, requests)


def test_a_fleet_says_what_it_lacks(door: Door) -> None:
    for changes, code in (({"broker_url": ""}, "broker_missing"), ({"database_url": ""}, "store_not_shared")):
        with pytest.raises(HubError) as caught:
            application(dataclasses.replace(door.settings, **changes))
        assert caught.value.code == code
