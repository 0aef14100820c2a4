"""A house, played: it tells every morning who moved in the evening before and who is moving out."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta

from hub.canonical.messages.housing import BookingOrder, Stay, StayNotice
from hub.simulate.script import Decision, Item, Say, World, following

#: Hours of a day, UTC: when guests move in and out, and when the house tells.
MOVE_IN, MOVE_OUT, TOLD = 19, 4, 6
_FROM_THE_PORT = timedelta(hours=4)


def received(
    world: World, partner: str, operation: str, message: BookingOrder, decided: Mapping[str, Decision]
) -> None:
    decision = decided.get(message.key)
    if decision is None or decision["outcome"] != "confirmed":
        return
    booking = {
        "brn": decision["brn"],
        "hotel_code": message.hotel_code,
        "city": world.table("hotels")[message.hotel_code]["city"],
    }
    guests = [(room, guest) for room, rooms in enumerate(message.rooms, 101) for guest in rooms.guests]
    for room, guest in guests:
        key = guest.issuing_state + guest.document_no
        travels = world.plan.traveller(key)
        if travels is None or not travels.stays:
            continue
        moves_in = max(_at(message.check_in, MOVE_IN), travels.enters + _FROM_THE_PORT)
        moves_out = _at(message.check_out, MOVE_OUT)
        for outcome, moment in (("checked_in", moves_in), ("checked_out", moves_out)):
            if moves_in < moves_out and travels.inside(moment):
                world.later(
                    partner, "stay", f"{decision['brn']} {key} {outcome}", at=following(moment, TOLD), traveller=key,
                    document_no=guest.document_no, issuing_state=guest.issuing_state, outcome=outcome,
                    happened=moment.isoformat(), room=str(room), **booking,
                )  # fmt: skip


def _at(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), UTC)


def due(world: World, partner: str, task: str, items: list[Item]) -> Iterable[Say]:
    bookings: dict[str, list[Item]] = {}
    for item in items:
        if _here(world, item):
            bookings.setdefault(item.facts["brn"], []).append(item)
    for brn, guests in bookings.items():
        notice_no = f"{brn}-{world.now:%Y%m%d}"
        first = guests[0].facts
        message = StayNotice(
            notice_no=notice_no, hotel_code=first["hotel_code"], brn=brn, city=first["city"],
            guests=[_stay(guest) for guest in guests],
        )  # fmt: skip
        yield Say(
            operation="receive_stay", message=message, number=notice_no,
            facts={"stays": [guest.facts["traveller"] for guest in guests]},
        )  # fmt: skip


def _here(world: World, item: Item) -> bool:
    """Whether the guest came at all: with a visa, and with the plan still saying so."""
    key = item.facts["traveller"]
    travels = world.plan.traveller(key)
    came = travels is not None and travels.inside(datetime.fromisoformat(item.facts["happened"]))
    return came and world.noted("visa", key) is not None


def _stay(item: Item) -> Stay:
    facts = item.facts
    return Stay(
        document_no=facts["document_no"], issuing_state=facts["issuing_state"], outcome=facts["outcome"],
        happened=datetime.fromisoformat(facts["happened"]), room=facts["room"],
    )  # fmt: skip
