"""The owner of the business clock: lets the season's days pass as fast as everybody has done what a day asks for."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from hub.demo.doors import Doors
from hub.demo.driver import Driver
from hub.demo.installation import OPERATOR, Installation
from hub.demo.season import ENDS, START

#: Wall seconds between two looks: short just after a jump, longer the longer the work takes.
_FIRST_LOOK, _LAST_LOOK = 0.01, 0.08
#: Wall seconds between two looks of the desks while something is open.
_GLANCE = 0.25
#: Wall seconds in which nothing at all changed, after which the season is called stuck.
_STUCK = 120.0
#: Times in a row that the hub's schedule came round and files still lay uncollected.
_ROUNDS = 12

Now = Mapping[str, Any]


class Pace:
    """Waits until nothing is open anywhere, then jumps the clock to the next minute in which anything happens."""

    def __init__(
        self, installation: Installation, hub: Doors, simulators: Doors, driver: Driver, watch: Callable[[Now], None]
    ) -> None:
        self._clock = installation.clock
        self._hub, self._simulators, self._driver = hub, simulators, driver
        self._watch = watch
        self.jumps = 0
        # Up to here everybody must have acted.  Not the clock's own now: it runs on while they do.
        self._present = START
        self.now: Now = {}
        self._glanced = 0.0

    def start(self) -> None:
        """Wait until both answer for the first time."""
        self._simulators.get(None, "/_status")
        self._hub.get(None, "/health")

    def glance(self) -> None:
        """Show how far everybody is, and let the desks answer, every now and then."""
        if time.monotonic() - self._glanced > _GLANCE:
            self._driver.attend(self.look(), quiet=False)
            self._glanced = time.monotonic()

    def look(self) -> Now:
        """The hub's own figures, shown and remembered."""
        self.now = self._hub.get(OPERATOR, "/v1/operations/now")
        self._watch(self.now)
        return self.now

    def run(self, before: datetime | None = None) -> str | None:
        """Let days pass until the next thing to happen lies at *before* or later, or, without it, until every request
        has ended and nobody has anything left to say.

        None when it came to that; otherwise why nothing can move any more.
        """
        rounds = 0
        while True:
            stuck = self._settle()
            if stuck is not None:
                return stuck
            playing = self._playing()
            moment = self._next(playing)
            if before is not None and (moment is None or moment >= before):
                return None
            if not playing["uncollected"] and playing["next"] is None and self._all_ended():
                return None
            if moment is None:
                return "nothing is due any more, and not every request has ended"
            only_files = playing["next"] is None and self.now["next_edge"] is None
            rounds = rounds + 1 if only_files else 0
            if rounds > _ROUNDS:
                return f"{playing['uncollected']} files lie uncollected, whatever the schedule says"
            # What falls due within one minute is let fall due at once: groups filed one after another have deadlines
            # one after another, and nobody learns anything from looking at each.
            self._present = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
            if self._present > self._clock.now():
                self._clock.set(self._present)
                self.jumps += 1

    def _all_ended(self) -> bool:
        return all(state in ENDS for state, count in self.now["states"].items() if count)

    def _playing(self) -> Mapping[str, Any]:
        playing: Mapping[str, Any] = self._simulators.get(None, "/_status")
        return playing

    def _next(self, playing: Mapping[str, Any]) -> datetime | None:
        moments = [playing["next"], self.now["next_edge"]]
        if playing["uncollected"]:
            moments.append(self.now["next_schedule"])
        return min((datetime.fromisoformat(moment) for moment in moments if moment), default=None)

    def _settle(self) -> str | None:
        """Wait until the hub, the simulators and the desks have nothing open at the present moment."""
        pause, since, last = _FIRST_LOOK, time.monotonic(), None
        while True:
            before = self._open()
            if before is None:
                self.glance()
            # What left one side while we looked at the other shows in a second look at the first.
            elif not self._driver.attend(self.now) and self._open() == before:
                return None
            seen = (self.now.get("states"), self.now.get("exchanges"), self.now.get("ticked_to"))
            if seen != last:
                since, last, pause = time.monotonic(), seen, _FIRST_LOOK
            elif time.monotonic() - since > _STUCK:
                return "nothing has changed for two minutes, and yet something is open"
            time.sleep(pause)
            pause = min(pause * 1.4, _LAST_LOOK)

    def _open(self) -> object | None:
        """None while anything is open; otherwise what has been done so far, to compare."""
        playing = self._playing()
        if playing["pending"] or datetime.fromisoformat(playing["business"]) < self._present:
            return None
        now = self.look()
        ticked = now["ticked_to"]
        if not now["quiet"] or ticked is None or datetime.fromisoformat(ticked) < self._present:
            return None
        return now["states"], now["exchanges"], playing["next"], playing["uncollected"]
