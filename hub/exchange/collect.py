"""Files that partners leave for us: polled, told apart by name, received, put away."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from hub.canonical.errors import HubError
from hub.channels import Inbox
from hub.exchange.receive import Receipt, Said
from hub.partners import Operation, Register
from hub.partners.partner import Partner

log = structlog.get_logger(__name__)

EVERY = 0.1  # seconds between looks at the folders

Receive = Callable[..., Receipt]


@dataclass(frozen=True, slots=True)
class Collected:
    """What one look into a partner's folder brought: files taken, their lines, and the code of what was refused."""

    files: int = 0
    lines: int = 0
    code: str | None = None


class Collector:
    """Polls the folders of the partners that leave files; those of scheduled operations only when a run asks."""

    def __init__(self, register: Register, receive: Receive) -> None:
        self._register, self._receive = register, receive
        self._inboxes: dict[tuple[str, Path], Inbox] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="hub-collect", daemon=True)
        self.busy = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def _polled(self) -> list[Partner]:
        return [p for p in self._register.enabled if _leaves_files(p, scheduled=False)]

    def _loop(self) -> None:
        while not self._stop.wait(EVERY):
            self.busy = True
            for partner in self._polled:
                try:
                    self.collect(partner)
                except Exception as error:
                    log.error("collect_failed", partner=partner.id, exc_info=error)
            self.busy = False

    def unread(self) -> bool:
        """Whether a polled folder holds a file that nobody has taken yet."""
        return self.busy or any(_holds_files(self._folder(p)) for p in self._polled if not p.missing)

    def collect(self, partner: Partner) -> Collected:
        """Receive every whole file that *partner* has left, in the order of their numbers.

        A file whose forerunner is missing stays where it is, and so do those behind it: a gap stops the stream.
        """
        if partner.missing:
            return Collected(code="setting_missing")
        with self._locks.setdefault(partner.id, threading.Lock()):
            inbox = self._inbox(partner)
            return Collected(code="folder_missing") if inbox is None else self._receive_all(partner, inbox)

    def _receive_all(self, partner: Partner, inbox: Inbox) -> Collected:
        files = lines = 0
        code: str | None = None
        stopped: set[str] = set()
        for arrived in inbox.arrivals():
            operation = partner.sent_as(arrived.name)
            if operation is None:
                inbox.refuse(arrived, "file_name_wrong")
                code = "file_name_wrong"
                continue
            if operation.name in stopped:
                continue
            said = Said()
            if arrived.manifest is not None:
                beside = arrived.manifest
                said = Said(beside.sequence, beside.count, beside.control_sum)
            receipt = self._receive(partner.id, operation.name, arrived.body, name=arrived.name, said=said)
            if receipt.status == "gap":
                stopped.add(operation.name)
                code = "file_sequence_gap"
            elif receipt.status == "refused":
                code = receipt.problems[0]["code"]
                inbox.refuse(arrived, code)
            else:
                files, lines = files + 1, lines + receipt.lines
                inbox.done(arrived)
        return Collected(files, lines, code)

    def _inbox(self, partner: Partner) -> Inbox | None:
        folder = self._folder(partner)
        inbox = self._inboxes.get((partner.id, folder))
        if inbox is None:
            manifest = not any(op.wire.get("manifest") == "none" for op in _file_operations(partner))
            try:
                inbox = self._inboxes[partner.id, folder] = Inbox(folder, manifest=manifest)
            except HubError:
                return None
        return inbox

    @staticmethod
    def _folder(partner: Partner) -> Path:
        return partner.folder("from_partner")


def _file_operations(partner: Partner) -> Iterable[Operation]:
    return (op for op in partner.operations.values() if op.channel == "files" and op.direction == "in")


def _leaves_files(partner: Partner, *, scheduled: bool) -> bool:
    return any(op.scheduled is scheduled for op in _file_operations(partner))


def _holds_files(folder: Path) -> bool:
    try:
        with_files = [p for p in (folder, folder / "claimed") if p.is_dir()]
        return any(
            e.is_file() for p in with_files for e in p.iterdir() if not e.name.endswith((".part", ".manifest.json"))
        )
    except OSError:
        return False
