"""What the network plays on demand, and in which order."""

import os

from hub.chaos.faults import Request
from hub.chaos.proxy import Weather


def test_what_is_asked_for_is_played_so_often_with_its_effect_or_unheard() -> None:
    weather = Weather(1, 0.0, os.devnull, ["Submit:status_503:1:unheard", "/bookings:hang_up:2"])
    submit, booking = Request("POST", "/mofa", {}, b"<Submit/>"), Request("POST", "/bookings", {}, b"")
    assert [weather.choose(submit) for _ in range(2)] == [("status_503", False), (None, True)]
    assert [weather.choose(booking) for _ in range(3)] == [("hang_up", True), ("hang_up", True), (None, True)]
