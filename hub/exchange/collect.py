"""Files that partners leave for us: polled, told apart by name, received, put away."""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from hub.canonical.errors import HubError
from hub.channels import Arrived, Inbox
from hub.exchange.pressure import REASONS, Closed, Kind, Pressure
from hub.exchange.receive import Receipt, Said, refused
from hub.exchange.uploads import Uploaded, Uploads
from hub.partners import Operation, Register
from hub.partners.partner import Partner
from hub.store.database import store_at_fault

log = structlog.get_logger(__name__)

EVERY = 0.1  # seconds between looks at the folders
AGAIN = 60.0  # seconds until a file that broke us is tried again

Receive = Callable[..., Receipt]
GAP = replace(refused("file_sequence_gap"), status="gap")


@dataclass(frozen=True, slots=True)
class Collected:
    """What one look into a partner's folder brought: files taken, their lines, and the code of what was refused.

    ``stopped`` says that nobody looked: intake is stopped, and the files lie where they are.
    """

    files: int = 0
    lines: int = 0
    code: str | None = None
    stopped: bool = False


class Collector:
    """Polls the folders of the partners that leave files; those of scheduled operations only when a run asks."""

    def __init__(
        self,
        register: Register,
        receive: Receive,
        put_aside: Callable[[Partner, str | None, str], None],
        serves: Callable[[str], bool],
        alone: Callable[[str], AbstractContextManager[bool]],
        pressure: Pressure,
        uploads: Uploads,
    ) -> None:
        self._register, self._receive, self._put_aside = register, receive, put_aside
        self._serves, self._alone = serves, alone
        self._pressure, self._uploads = pressure, uploads
        self._broken: dict[Path, float] = {}
        self._gaps: dict[tuple[str, type], set[Path]] = {}
        self._not_whole: dict[str, str] = {}
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
        return [p for p in self._register.enabled if self._serves(p.id) and _leaves_files(p, scheduled=False)]

    def _loop(self) -> None:
        while not self._stop.wait(EVERY):
            self.busy = True
            for partner in self._polled:
                try:
                    if partner.missing or not _holds_files(self._folder(partner)):
                        continue
                    with self._alone(f"collect/{partner.id}") as mine:
                        if mine:
                            self.collect(partner)
                except Exception as error:
                    log.error("collect_failed", partner=partner.id, exc_info=error)
            try:
                self.take_uploads()
            except Exception as error:
                log.error("collect_failed", exc_info=error)
            self.busy = False

    def take_uploads(self) -> None:
        """Receive what partners have given us by the API."""
        for name in self._uploads.partners():
            partner = self._register.partners.get(name)
            if partner is None or not self._serves(name) or self.stopped(partner) is not None:
                continue
            with self._alone(f"collect/{name}") as mine:
                if mine:
                    self.read_uploads(partner)

    def read_uploads(self, partner: Partner) -> Collected:
        """Receive what *partner* has given us by the API, in the order of its numbers."""
        with self._locks.setdefault(partner.id, threading.Lock()):
            return self._all_uploads(partner)

    def _all_uploads(self, partner: Partner) -> Collected:
        """Receive what lies in the store; once more as long as there may be one that waited for another."""
        files = lines = 0
        while True:
            found = self._receive_all(partner, _FromStore(self._uploads, partner, self._rests))
            files, lines = files + found.files, lines + found.lines
            if not found.files:
                return replace(found, files=files, lines=lines)
            # What lies here or in the folder may have waited for one of them.
            for place in (_FromStore, Inbox):
                self._gaps.pop((partner.id, place), None)

    def unread(self) -> bool:
        """Whether the store or a polled folder holds a file that nobody has taken yet."""
        return (
            self.busy
            or bool(self._uploads.partners())
            or any(_holds_files(self._folder(p)) for p in self._polled if not p.missing)
        )

    def collect(self, partner: Partner) -> Collected:
        """Receive every whole file that *partner* has left, in the order of their numbers.

        A file whose forerunner is missing stays where it is, and so do those behind it: a gap stops the stream.
        """
        if partner.missing:
            return Collected(code="setting_missing")
        stopped = self.stopped(partner)
        if stopped is not None:
            return Collected(code=stopped, stopped=True)
        with self._locks.setdefault(partner.id, threading.Lock()):
            inbox = self._inbox(partner)
            if inbox is None:
                return Collected(code="folder_missing")
            found = self._receive_all(partner, inbox)
            if found.files:
                # What came by the API may have waited for one of them.
                self._gaps.pop((partner.id, _FromStore), None)
                self._all_uploads(partner)
            return found

    def _rests(self, taken: Path) -> bool:
        """Whether the file at *taken* broke us a moment ago."""
        return self._broken.get(taken, 0.0) > time.monotonic()

    def stopped(self, partner: Partner) -> str | None:
        """The code for which nothing of *partner*'s folder is taken now; None where it is."""
        brings: Kind = "new" if any(op.opens for op in _file_operations(partner)) else "file"
        reason = self._pressure.against(brings)
        return None if reason is None else REASONS[reason][0]

    def _receive_all(self, partner: Partner, inbox: "Inbox | _FromStore") -> Collected:
        files = lines = 0
        code: str | None = None
        stopped: set[str] = set()
        waited = self._gaps.pop((partner.id, type(inbox)), set())
        for arrived in inbox.arrivals():
            operation = _operation(partner, arrived)
            if operation is None:
                code = "file_name_wrong"
                inbox.refuse(arrived, HubError(code))
                self._put_aside(partner, None, code)
                continue
            if operation.name in stopped:
                continue
            # What has no forerunner need not be read again as long as nothing came before it.
            gapes = arrived.taken in waited and not files
            receipt = GAP if gapes else self._take(partner, operation, arrived)
            if receipt.status == "gap":
                self._gaps.setdefault((partner.id, type(inbox)), set()).add(arrived.taken)
            if receipt.status in ("gap", "broken"):
                code = receipt.problems[0]["code"]
                # What has a number waits for its forerunner; what has none stands for itself.
                if operation.sequence and isinstance(inbox, Inbox):
                    stopped.add(operation.name)
            elif receipt.status == "refused":
                assert receipt.fault is not None
                code = receipt.fault.code
                inbox.refuse(arrived, receipt.fault)
            else:
                files, lines = files + 1, lines + receipt.lines
                inbox.done(arrived)
        return Collected(files, lines, code or self._not_whole.pop(partner.id, None))

    def _take(self, partner: Partner, operation: Operation, arrived: Arrived) -> Receipt:
        """Receive one file.  One that breaks us is ``broken``: it stays where it is and is tried again after a while,
        an engineer hears of it, and nobody else's file waits for it."""
        broken = replace(refused("internal"), status="broken")
        if self._rests(arrived.taken):
            return broken
        beside = arrived.manifest
        said = Said() if beside is None else Said(beside.sequence, beside.count, beside.control_sum)
        progress = self._uploads.begin(partner, operation, arrived)
        try:
            receipt = self._receive(
                partner.id, operation.name, arrived.body, name=arrived.name, said=said, progress=progress
            )
        except Exception as error:
            if store_at_fault(error) or isinstance(error, Closed):
                raise
            log.error("file_failed", partner=partner.id, operation=operation.name, exc_info=error)
            self._broken[arrived.taken] = time.monotonic() + AGAIN
            self._put_aside(partner, operation.name, "internal")
            self._uploads.end(partner, operation, progress, broken)
            return broken
        self._broken.pop(arrived.taken, None)
        self._uploads.end(partner, operation, progress, receipt)
        return receipt

    def _inbox(self, partner: Partner) -> Inbox | None:
        folder = self._folder(partner)
        inbox = self._inboxes.get((partner.id, folder))
        if inbox is None:
            manifest = not any(op.wire.get("manifest") == "none" for op in _file_operations(partner))

            def not_whole(name: str, code: str, size: int, sha256: str) -> None:
                operation = partner.sent_as(name)
                self._put_aside(partner, operation.name if operation else None, code)
                if operation is not None:
                    self._uploads.refuse(partner, operation, name, code, size, sha256)
                self._not_whole[partner.id] = code

            try:
                inbox = self._inboxes[partner.id, folder] = Inbox(folder, manifest=manifest, on_refused=not_whole)
            except HubError:
                return None
        return inbox

    @staticmethod
    def _folder(partner: Partner) -> Path:
        return partner.folder("from_partner")


class _FromStore:
    """The files of one partner that lie in the store, as an inbox."""

    def __init__(self, uploads: Uploads, partner: Partner, rests: Callable[[Path], bool]) -> None:
        self._uploads, self._partner, self._rests = uploads, partner, rests

    def arrivals(self) -> Iterable[Arrived]:
        return self._uploads.arrivals(self._partner, self._rests)

    def done(self, arrived: Arrived) -> None:
        """It ended with its receipt."""

    def refuse(self, arrived: Arrived, fault: HubError) -> None:
        """It ended with its receipt."""


def _operation(partner: Partner, arrived: Arrived) -> Operation | None:
    if isinstance(arrived, Uploaded):
        return partner.operations.get(arrived.operation)
    return partner.sent_as(arrived.name)


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
