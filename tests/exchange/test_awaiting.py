"""What a partner has to confirm: waited for from the first byte on, told once when it is late, over when it speaks."""

from datetime import timedelta
from uuid import UUID

import pytest

from hub.exchange.receive import Said
from hub.timetable import Timetable
from tests.exchange.exchanging import MISSION, START
from tests.exchange.test_files import printed

__all__ = ["printed"]
OVERDUE = ("overdue", "acknowledgement_overdue")


def outcome(*lines: str, sequence: int = 1) -> bytes:
    return (
        f'<PrintOutcomes xmlns="http://mofa.example/missions/v1"><Mission>{MISSION}</Mission>'
        f"<Sequence>{sequence}</Sequence><Count>{len(lines)}</Count>{''.join(lines)}</PrintOutcomes>"
    ).encode()


def refused(reference: str) -> str:
    return (
        f"<Line><ReferenceNo>{reference}</ReferenceNo><PassportNo>C7654321</PassportNo><Outcome>R</Outcome>"
        "<At>2026-12-01T10:25:10Z</At><ReasonCode>M04</ReasonCode></Line>"
    )


def tell(hub, *references: str, sequence: int = 1) -> None:
    body = outcome(*map(refused, references), sequence=sequence)
    assert hub.tell(MISSION, "receive_outcome", body, name=f"o{sequence}", said=Said(sequence)).status == "taken"


@pytest.fixture
def late(printed):
    """The print list is a day and an hour old."""
    printed.timetable = Timetable(printed.engine)
    printed.timetable.tick(START)
    assert OVERDUE not in printed.incidents()
    assert printed.rows("SELECT count(*) FROM awaited WHERE NOT raised") == [(2,)]
    printed.timetable.tick(START + timedelta(hours=23))
    assert OVERDUE not in printed.incidents()
    printed.timetable.tick(START + timedelta(hours=25))
    return printed


def test_what_is_late_is_told_once_an_exchange_with_who_must_act(late):
    late.timetable.tick(START + timedelta(hours=26))
    Timetable(late.engine).tick(START + timedelta(hours=27))
    (incident,) = [i for i in late.engine.reading.incidents() if i["code"] == OVERDUE[1]]
    assert (incident["partner"], incident["operation"], incident["owner"]) == (MISSION, "send_print_list", "partner")
    ((exchange,),) = late.rows("SELECT id FROM exchange WHERE operation = 'send_print_list'")
    assert incident["exchange"].replace("-", "") == exchange


def test_it_is_over_when_the_last_of_them_is_heard_of(late):
    first, second = late.references
    tell(late, first)
    assert OVERDUE in late.incidents()
    tell(late, second, sequence=2)
    assert OVERDUE not in late.incidents()
    assert late.rows("SELECT count(*) FROM awaited") == [(0,)]


def test_what_is_confirmed_in_time_is_nobodys_business(printed):
    tell(printed, *printed.references)
    Timetable(printed.engine).tick(START + timedelta(days=2))
    assert OVERDUE not in printed.incidents()


def test_a_partner_that_is_faster_than_our_note_of_the_delivery_is_not_late(make, ministry, monkeypatch):
    """The mission has taken the list and answered before the commit that says it was delivered."""
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    hub.drain()
    hub.later(5)  # the list waits a second for company
    work = hub.claim(MISSION)
    assert hub.rows("SELECT count(*) FROM awaited") == [(2,)]
    Timetable(hub.engine).tick(START + timedelta(days=3))
    assert OVERDUE not in hub.incidents(), "its time begins with the delivery"
    references = sorted(ministry.references.values())
    tell(hub, *references)
    done = hub.engine.dispatcher._sent(work)
    hub.engine.database.unit(lambda tx: hub.engine.dispatcher._delivery.settle(tx, [done], hub.engine.now()))
    assert hub.exchanges("send_print_list") == ["settled"]
    Timetable(hub.engine).tick(START + timedelta(days=6))
    assert OVERDUE not in hub.incidents() and hub.rows("SELECT count(*) FROM awaited") == [(0,)]


def test_a_person_may_take_it_off_the_list_and_is_not_told_again(late):
    (incident,) = [i for i in late.engine.reading.incidents() if i["code"] == OVERDUE[1]]
    late.engine.replay.resolve(UUID(incident["id"]), "ali", "the mission is closed for the feast, back on Sunday")
    late.timetable.tick(START + timedelta(days=3))
    assert OVERDUE not in late.incidents()
