"""A journey's end is decided by when things happened, not by when they were told or whether the clock had spoken."""

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.journey.steps import end_of
from tests.journey.world import HOUR, World, arrival

HORIZON = arrival() + timedelta(days=200)
moments = st.integers(-24 * 15, 24 * 150).map(lambda hours: arrival() + hours * HOUR)
delays = st.integers(0, 24 * 60).map(lambda hours: hours * HOUR)


def expected_end(enter_by: datetime, enters: datetime | None, exits: datetime | None, stay_until: datetime) -> str:
    if enters is None or enters > enter_by:
        return "VISA_LAPSED"
    if exits is None:
        return "OVERSTAYED"
    return "EXITED" if exits <= stay_until else "EXITED_LATE"


@settings(max_examples=150, deadline=None)
@given(
    enters=st.none() | moments,
    stays=st.none() | st.integers(1, 24 * 110),
    told=st.tuples(delays, delays),
    ticks=st.lists(moments, max_size=4),
)
def test_any_order_of_telling_ends_alike(enters, stays, told, ticks):
    world = World().to("VISA_ISSUED")
    if enters is not None:
        enters = max(enters, world.now)
    exits = None if enters is None or stays is None else enters + stays * HOUR
    enter_by = end_of(world.member().marks["enter_by"])
    movements = (("pilgrim.entered", enters, told[0]), ("pilgrim.exited", exits, told[1]))
    telling = [(at + delay, name, at) for name, at, delay in movements if at is not None]
    agenda = [*telling, *((at, "tick", at) for at in ticks), (HORIZON + 100 * timedelta(days=1), "tick", HORIZON)]
    for when, name, at in sorted(agenda, key=lambda entry: entry[0]):
        if name == "tick":
            world.tick(max(when, world.now))
        else:
            world.now = max(when, world.now)
            world.tell(name, 1, at=at)
    stay_until = end_of(world.member().marks["stay_until"]) if "stay_until" in world.member().marks else enter_by
    assert world.state() == expected_end(enter_by, enters, exits, stay_until)
