"""The process that plays all partners."""

import json
import logging
import signal
import threading
from pathlib import Path
from typing import Any

from hub import partners
from hub.clock import Clock
from hub.settings import Settings
from hub.simulate import door
from hub.simulate.agenda import Agenda
from hub.simulate.calls import Calls
from hub.simulate.chance import Chance
from hub.simulate.desk import Desk
from hub.simulate.faults import Faults
from hub.simulate.folders import Folders
from hub.simulate.ledger import Ledger
from hub.simulate.plan import Plan

LEDGER, PLAN = "simulators.db", "plan.json"
#: Wall seconds between two looks at the agenda, the books and the folders.
PULSE = 0.02
_log = logging.getLogger(__name__)


class Simulators:
    """All partners of *register*, ready to be started; left out, it is that of *settings*.

    *faults* is a level or a kind of :mod:`hub.simulate.faults`, or the faults themselves; port 0 takes any free one.
    """

    def __init__(
        self,
        settings: Settings,
        var: Path,
        seed: int,
        faults: str | Faults,
        port: int,
        register: partners.Register | None = None,
    ) -> None:
        chance = Chance(seed)
        self._ledger = Ledger(var / LEDGER)
        self._clock = Clock(settings.business_clock)
        self._desk = Desk(
            register or partners.load(settings),
            self._ledger,
            self._clock,
            Plan(var / PLAN),
            chance,
            Faults(faults, chance) if isinstance(faults, str) else faults,
        )
        self._agenda = Agenda(self._desk)
        hub = settings.addresses.get("HUB_URL") or f"http://{settings.host}:{settings.port}"
        self._calls = Calls(self._desk, hub)
        self._folders = Folders(self._desk)
        self._server = door.server(door.Doors(self._desk, settings, self.status), port)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        for work in (self._serve, self._pulse):
            thread = threading.Thread(target=work, daemon=True, name=f"simulators{work.__name__}")
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()
        self._calls.close()
        self._ledger.close()

    def status(self) -> dict[str, Any]:
        """What ``GET /_status`` says (see the package's docstring)."""
        # In the order in which work moves on, so that what is on its way from one place to the next is seen in one.
        acted = self._agenda.acted
        coming = self._folders.arrived() + self._desk.busy()
        with self._ledger.read() as books:
            due, following = books.agenda_left(self._clock.now())
            calls = books.open_count("call")
            waiting = books.open("file")
        files, uncollected = self._folders.left(waiting)
        return {
            # Who has just been started has not looked at the agenda yet.
            "pending": coming + due + calls + files + (acted is None),
            "next": None if following is None else following.isoformat(),
            "uncollected": uncollected,
            "business": None if acted is None else acted.isoformat(),
        }

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def _pulse(self) -> None:
        while not self._stop.is_set():
            try:
                did = self._folders.take() | self._agenda.tick() | self._folders.show()
                self._calls.pulse()
            except Exception:
                # Everything it does is in the books or not done, so the next pulse takes it up again.
                _log.exception("a pulse of the simulators failed")
                did = False
            if not did:
                self._stop.wait(PULSE)


def run(
    settings: Settings,
    var: Path,
    seed: int,
    faults: str = "none",
    port: int = 0,
    register: partners.Register | None = None,
) -> None:
    """Play all partners until SIGTERM or SIGINT.  The first line of standard output is ``{"port": n}``."""
    simulators = Simulators(settings, var, seed, faults, port, register)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    simulators.start()
    print(json.dumps({"port": simulators.port}), flush=True)
    stop.wait()
    simulators.stop()
