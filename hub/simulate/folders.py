"""Partners who exchange files: what the hub wrote for them is taken in, what they have for the hub is put down.

A file is put down after it is in the books and, if it is missing, again with the same bytes.  A file shown broken on
purpose is followed by the right one as soon as the hub has taken the broken one away; the next number of the same
partner waits until then.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub.canonical.errors import HubError
from hub.channels import FileManifest, Inbox
from hub.channels.files import CLAIMED, MANIFEST
from hub.partners import Operation, Partner
from hub.simulate.agenda import RIGHT
from hub.simulate.desk import Desk, NotUnderstood
from hub.simulate.ledger import Sent


@dataclass(frozen=True, slots=True)
class _Place:
    partner: Partner
    inbox: Inbox | None
    out: Path


class Folders:
    """The folders of all partners that are played through files."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._places: dict[str, _Place] = {}
        for partner in desk.register.enabled:
            ours = [op for op in partner.operations.values() if op.channel == "files" and desk.acts(op)]
            if not ours or partner.missing:
                continue
            theirs, out = partner.folder("to_partner"), partner.folder("from_partner")
            for folder in (theirs, out):
                folder.mkdir(parents=True, exist_ok=True)
            takes = any(desk.plays(op) for op in ours)
            self._places[partner.id] = _Place(partner, Inbox(theirs) if takes else None, out)

    def take(self) -> bool:
        """Take in what has arrived; whether there was anything."""
        did = False
        for place in self._places.values():
            inbox = place.inbox
            for arrived in inbox.arrivals() if inbox is not None else ():
                assert inbox is not None
                did = True
                operation = _named(place.partner.operations.values(), arrived.name, place.partner.id)
                if operation is None or not self._desk.plays(operation):
                    inbox.refuse(arrived, HubError("file_name_wrong"))
                    continue
                try:
                    self._desk.finished(self._desk.take(place.partner, operation, arrived.body, arrived.name))
                except NotUnderstood:
                    inbox.refuse(arrived, HubError("file_totals"))
                else:
                    inbox.done(arrived)
        return did

    def show(self) -> bool:
        """Put down what is to be put down now; whether there was anything."""
        did = False
        with self._desk.ledger.read() as books:
            waiting = books.open("file")
        for sent, gone in self._turns(waiting):
            place = self._places[sent.partner]
            if not gone:
                continue
            did = True
            if sent.shown == len(sent.shows):
                with self._desk.ledger.write() as books:
                    books.acknowledge(sent.id, self._desk.clock.now(), None, None)
                continue
            body, said = _spoilt(sent.raw, sent.shows[sent.shown])
            _put(place.out / sent.number, body, said, sent.facts)
            with self._desk.ledger.write() as books:
                books.shown(sent.id, sent.shown + 1)
        return did

    def arrived(self) -> int:
        """How many files the hub has put down that are not in the books."""
        return sum(_waiting(place.inbox) for place in self._places.values() if place.inbox is not None)

    def left(self, waiting: list[Sent]) -> tuple[int, int]:
        """Of the files in *waiting*: how many are to be put down now, and how many lie there uncollected."""
        turns = list(self._turns(waiting))
        pending = sum(1 for sent, gone in turns if gone and sent.shown < len(sent.shows))
        return pending, sum(1 for _, gone in turns if not gone)

    def _turns(self, waiting: list[Sent]) -> Iterator[tuple[Sent, bool]]:
        """The files whose turn it is, each with whether nothing of it lies in the folder."""
        held: set[tuple[str, str]] = set()
        for sent in waiting:
            stream = sent.partner, sent.operation
            if stream in held:
                continue
            if RIGHT not in sent.shows[: sent.shown]:
                held.add(stream)
            path = self._places[sent.partner].out / sent.number
            yield sent, not (os.path.lexists(path) or _being_taken(path))


def _named(operations: Iterable[Operation], name: str, partner: str) -> Operation | None:
    for op in operations:
        if op.channel == "files" and op.direction == "out" and op.claims(name, partner):
            return op
    return None


def _being_taken(path: Path) -> bool:
    """Whether somebody has the data and takes its manifest in a moment: a new one put there before would go with it.

    A manifest whose data nobody has was left by whoever died before the data were put down, and keeps nothing back.
    """
    return os.path.lexists(path.with_name(path.name + MANIFEST)) and os.path.lexists(path.parent / CLAIMED / path.name)


def _waiting(inbox: Inbox) -> int:
    return sum(
        1
        for folder in (inbox.folder, inbox.folder / CLAIMED)
        for entry in os.scandir(folder)
        if entry.is_file() and not entry.name.endswith((MANIFEST, ".part"))
    )


def _spoilt(raw: bytes, how: str) -> tuple[bytes, bytes]:
    """What is written, and what its manifest says was written."""
    if how == "truncated":
        return raw[: len(raw) * 2 // 3], raw
    if how == "wrong_totals":
        # One record is lost, and the trailer still counts it.
        lines = raw.splitlines(keepends=True)
        raw = b"".join(lines[:1] + lines[2:])
    return raw, raw


def _put(path: Path, body: bytes, said: bytes, facts: Mapping[str, Any]) -> None:
    """The manifest first, then the data under its own name: what is there is whole."""
    manifest = FileManifest(
        name=path.name, sequence=facts["sequence"], count=facts["records"], control_sum=facts["control"],
        sha256=hashlib.sha256(said).hexdigest(), bytes=len(said), created=datetime.now(UTC).isoformat(),
    )  # fmt: skip
    beside = path.with_name(path.name + MANIFEST)
    for target, content in ((beside, json.dumps(asdict(manifest)).encode()), (path, body)):
        part = target.with_name(target.name + ".part")
        part.write_bytes(content)
        part.replace(target)
