"""What partners do of themselves: items that come due are turned into calls and files, in one commit each."""

import time
from datetime import datetime
from typing import Any

from hub.canonical.declare import shapes
from hub.simulate.desk import Desk
from hub.simulate.ledger import Books
from hub.simulate.script import Say, World

RIGHT = "right"
#: How a file that is spoilt is shown to the hub, one after the other.
SHOWS = {
    None: [RIGHT],
    "duplicate": [RIGHT, "duplicate"],
    "truncated": ["truncated", RIGHT],
    "wrong_totals": ["wrong_totals", RIGHT],
}


class Agenda:
    """Works off the agenda.  ``acted`` is the business moment up to which everything due has been done."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.acted: datetime | None = None

    def tick(self) -> bool:
        """Do what is due; whether there was anything."""
        now = self._desk.clock.now()
        did = False
        with self._desk.ledger.read() as books:
            due = books.due(now)
        for partner, task, slot, ready in due:
            if ready <= time.time():
                self._do(partner, task, slot, now)
                did = True
        self.acted = now
        return did

    def _do(self, partner: str, task: str, slot: str, now: datetime) -> None:
        with self._desk.ledger.write() as books:
            world = self._desk.world(books)
            if slot:
                world.now = datetime.fromisoformat(slot)
            items = books.items(partner, task, slot, now)
            adapter = self._desk.register.partners[partner].adapter.id
            for say in self._desk.scripts[adapter].due(world, partner, task, items):
                self._keep(books, world, partner, say)
            books.finish(items)

    def _keep(self, books: Books, world: World, partner: str, say: Say) -> None:
        operation = self._desk.register.partners[partner].operations[say.operation]
        written = self._desk.register.map(operation.adapter, operation.name, "request")
        raw = written.write(say.message)
        faults = self._desk.faults
        after = None if say.after is None else books.said(partner, *say.after)
        ready = time.time()
        facts = {
            **say.facts,
            "sequence": say.sequence,
            "records": _records(written.message, say.message),
            "control": say.message.control() if hasattr(say.message, "control") else None,
        }
        if operation.channel == "files":
            assert say.sequence is not None
            number = operation.file_name(partner, say.sequence)
            # Only a file with a trailer can contradict itself.
            fault = faults.file(partner, number, totals=written.format == "fixed")
            shows = SHOWS[fault]
        else:
            number = say.number
            fault = faults.call(partner, operation.name, number)
            shows = [RIGHT, RIGHT] if fault == "twice" else [RIGHT]
            if fault == "early":
                after = None
            elif fault == "late":
                ready += faults.share(partner, number)
        books.say(
            partner, operation.name, "file" if operation.channel == "files" else "call", number, raw, world.now, ready,
            after, shows, facts, list(say.planned),
        )  # fmt: skip


def _records(cls: type, message: Any) -> int:
    """How many lines *message*, a *cls*, has: what a file's manifest says."""
    return next((len(getattr(message, name)) for name, shape in shapes(cls).items() if shape.many), 1)
