"""Files that partners give us, by whatever way: kept, told of while they are read, acknowledged with a signature.

What comes by the API lies in the store, sealed, until it is read; what lies in a folder stays there.  Both are read by
the same collector, in the same order of numbers.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from hub.canonical.errors import HubError
from hub.channels import Arrived, FileManifest
from hub.channels.inbox import LONGEST, decent
from hub.exchange.outcomes import Outcomes
from hub.exchange.pressure import Pressure
from hub.exchange.progress import Progress
from hub.exchange.receive import Once, Receipt, Receiver, Said, refused
from hub.mapping.given_back import rejected
from hub.partners import Operation
from hub.partners.partner import Partner
from hub.security.host_key import HostKey
from hub.store.database import Database, Row, Transaction, as_uuid, maybe_uuid
from hub.store.encoding import moment
from hub.store.files_in import FilesIn
from hub.store.ledger import Ledger, Moment

log = structlog.get_logger(__name__)

ACKNOWLEDGED, SIGNED = ".ack.json", ".ack.json.sig"
_KIND = "ack"
#: Before every file that has not come yet.
NEWEST = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class Uploaded(Arrived):
    """A file whose bytes lie in the store; ``operation`` is what its sender called it."""

    file: UUID = field(default=UUID(int=0))
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """An acknowledgement, and who can check it: ``signature`` is of exactly these bytes."""

    body: bytes
    signature: bytes


class Uploads:
    """Takes files in, and tells of them."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        receiver: Receiver,
        pressure: Pressure,
        outcomes: Outcomes,
        key: HostKey,
    ) -> None:
        self._database, self._ledger, self._receiver = database, ledger, receiver
        self._pressure, self._outcomes, self._key = pressure, outcomes, key
        self._files = FilesIn(ledger)

    # -- in ----------------------------------------------------------------------------------------------------------

    def accept(self, partner: Partner, operation: Operation, body: bytes, name: str, said: Said, once: Once) -> Receipt:
        """Keep a file that came by the API; answered when it is durable, before it is read.

        Raises HubError for a name that no file may have, and for what is too large or nothing at all.
        """
        if not plain(name) or not operation.claims(name, partner.id):
            raise HubError("file_name_wrong")
        if not body:
            raise HubError("file_truncated")
        if len(body) > LONGEST:
            raise HubError("file_too_large", limit=LONGEST)
        self._pressure.admit("new" if operation.opens else "file")

        def unit(tx: Transaction) -> Receipt:
            at = self._receiver.now()
            file = self._files.begin(
                tx, at, partner=partner.id, operation=operation.name, name=name, via="api",
                sha256=hashlib.sha256(body).hexdigest(), size=len(body), number=said.sequence, count=said.count,
                control=said.control, body=body,
            )  # fmt: skip
            self._ledger.audit(tx, at, partner.id, "file.upload", str(file), None)
            return Receipt("taken", 202, {"id": str(file), "state": "waiting"})

        return self._receiver.once(once, unit)

    def partners(self) -> list[str]:
        """Whose files lie in the store and can be read now."""
        with self._database.reading() as tx:
            return self._files.partners(tx)

    def arrivals(self, partner: Partner, rests: Callable[[Path], bool]) -> Iterator[Uploaded]:
        """The unread files of *partner* in the order of their numbers, else as they came; without those that rest."""
        with self._database.reading() as tx:
            rows = self._files.unread(tx, partner.id)
        for row in sorted(rows, key=lambda row: row["number"] or 0):
            if row["operation"] not in partner.operations:
                self._database.unit(partial(self._gone, row))
                continue
            file = as_uuid(row["id"])
            taken = Path("upload") / str(file)
            if rests(taken):
                continue
            with self._database.reading() as tx:
                body = self._files.body(tx, file)
            manifest = FileManifest(
                row["name"], row["number"], row["count"], row["control"], row["sha256"], "", row["bytes"]
            )
            yield Uploaded(row["name"], body, manifest, taken, file, row["operation"])

    def _gone(self, row: Row, tx: Transaction) -> None:
        self._files.ended(tx, self._receiver.now(), as_uuid(row["id"]), "refused", "operation_gone", None)

    def begin(self, partner: Partner, operation: Operation, arrived: Arrived) -> Progress:
        """*arrived* is read from now on."""

        def unit(tx: Transaction) -> UUID:
            if isinstance(arrived, Uploaded):
                self._files.stand(tx, arrived.file, "reading")
                return arrived.file
            digest = hashlib.sha256(arrived.body).hexdigest()
            known = self._files.begun(tx, partner.id, operation.name, digest)
            if known is not None:
                self._files.stand(tx, known, "reading")
                return known
            return self._files.begin(
                tx, self._receiver.now(), partner=partner.id, operation=operation.name, name=arrived.name,
                via="folder", sha256=digest, size=len(arrived.body),
            )  # fmt: skip

        return Progress(self._files, self._database.unit(unit))

    def end(self, partner: Partner, operation: Operation, progress: Progress, receipt: Receipt) -> None:
        """What became of the file; its sender is told in the same commit, where it is one that looks into a folder.

        One that must wait for its forerunner, or broke us, is held.
        """
        said = receipt.problems[0] if receipt.problems else None
        code = said["code"] if said else None
        given_back = self._given_back(partner, operation, progress, receipt)
        file = progress.file

        def unit(tx: Transaction) -> None:
            if receipt.status == "broken":
                self._files.stand(tx, file, "held", code)
            elif receipt.status == "gap":
                self._held(tx, partner, operation, file, receipt)
            else:
                self._ended(tx, partner, operation, file, receipt, given_back)

        self._database.unit(unit)

    def _held(self, tx: Transaction, partner: Partner, operation: Operation, file: UUID, receipt: Receipt) -> None:
        """*file* waits for its forerunner.  Its sender is told which one: again only when it is another."""
        said = receipt.problems[0]
        self._files.stand(tx, file, "held", said["code"])
        row = self._files.get(tx, file)
        expected = receipt.fault.where.get("expected") if receipt.fault else None
        if _looks(partner, operation, row["via"]) and self._ledger.first_time(
            tx, partner.id, f"held/{file}/{expected}", file
        ):
            word = ".held" if expected is None else f".held-{expected}"
            out = {word: self._composed(tx, row, said)}
            self._put_out(tx, self._receiver.now(), partner, operation, row, receipt, out)

    def _ended(
        self,
        tx: Transaction,
        partner: Partner,
        operation: Operation,
        file: UUID,
        receipt: Receipt,
        given_back: tuple[str, bytes] | None = None,
    ) -> None:
        at, row = self._receiver.now(), self._files.get(tx, file)
        said = receipt.problems[0] if receipt.problems else None
        state = receipt.status if receipt.status in ("refused", "repeated") else "taken"
        if state == "repeated" and row["read"]:
            state = "taken"  # by us, a moment before we were cut off
        self._files.ended(tx, at, file, state, said["code"] if said else None, receipt.exchange)
        body = self._composed(tx, self._files.get(tx, file), said)
        self._ledger.keep(tx, at, file, _KIND, body)
        if _looks(partner, operation, row["via"]):
            self._put_out(tx, at, partner, operation, row, receipt, {"": body}, given_back)

    def refuse(self, partner: Partner, operation: Operation, name: str, code: str, size: int, sha256: str) -> None:
        """A file that lay in a folder was refused before anybody could read it."""

        # Its name may be why: what cannot be shown, or is no text at all, stands there as a mark.
        shown = "".join(c if c.isprintable() else "\ufffd" for c in name)

        def unit(tx: Transaction) -> None:
            file = self._files.begin(
                tx, self._receiver.now(), partner=partner.id, operation=operation.name, name=shown, via="folder",
                sha256=sha256, size=size,
            )  # fmt: skip
            self._ended(tx, partner, operation, file, refused(code))

        self._database.unit(unit)

    def _given_back(
        self, partner: Partner, operation: Operation, progress: Progress, receipt: Receipt
    ) -> tuple[str, bytes] | None:
        """The outcome file, where one is to lie with the acknowledgement: made before the unit that puts it out, for it
        takes its time."""
        try:
            with self._database.reading() as tx:
                row = self._files.get(tx, progress.file)
                if row["outcome"] is None or not _looks(partner, operation, row["via"]):
                    return None
                if as_uuid(row["outcome"]) != receipt.exchange:
                    return None
                kept = self._outcomes.kept(tx, row)
            return kept.given_back()
        except Exception as error:  # what was taken must be settled, whatever its outcome file breaks
            log.error("outcome_failed", partner=partner.id, operation=operation.name, exc_info=error)
            return None

    def _put_out(
        self,
        tx: Transaction,
        at: Moment,
        partner: Partner,
        operation: Operation,
        row: Any,
        receipt: Receipt,
        acknowledged: dict[str, bytes],
        given_back: tuple[str, bytes] | None = None,
    ) -> None:
        """Put before *partner* what became of its file, where it looks for files."""
        stem = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in row["name"])[:60]
        stem = f"{stem.strip('-._') or 'file'}.{str(as_uuid(row['id']))[-12:]}"
        out = {} if given_back is None else {f"{stem}.outcome.{given_back[0]}": given_back[1]}
        for word, body in acknowledged.items():
            # The signature first: who finds the acknowledgement finds it too.
            out |= {f"{stem}{word}{SIGNED}": self._key.sign(body), f"{stem}{word}{ACKNOWLEDGED}": body}
        for name, body in out.items():
            self._ledger.open(
                tx, at, partner=partner.id, operation=operation.name, direction="out", state="waiting", body=body,
                name=name, answers=receipt.exchange,
            )  # fmt: skip
        tx.wake(partner.id)

    # -- what is told ------------------------------------------------------------------------------------------------

    def page(self, partner: str, before: UUID | None, most: int) -> list[dict[str, Any]]:
        """The files of *partner*, the youngest first, from the one before *before* on."""
        with self._database.reading() as tx:
            return [told(row) for row in self._files.page(tx, partner, before or NEWEST, most)]

    def one(self, partner: str, file: UUID) -> dict[str, Any]:
        """Raises ``not_found`` for what is no file, or not *partner*'s."""
        with self._database.reading() as tx:
            return told(self._own(tx, partner, file))

    def rejected(self, partner: str, file: UUID, after: int, most: int) -> list[dict[str, Any]]:
        """The rows of a file that were rejected so far, in its order, from the one after row *after* on.

        Raises ``not_found`` for what is no file, or not *partner*'s.
        """
        with self._database.reading() as tx:
            rows = self._files.rejected(tx, self._own(tx, partner, file))
        found = [one for one in rows if one.row > after][:most]
        return [{"row": one.row, "code": one.code, "reason": {"en": one.en, "ar": one.ar}} for one in found]

    def outcome(self, partner: str, file: UUID, *, only_rejected: bool = False) -> tuple[str, bytes]:
        """The name and the bytes of the file in which the rows go back, all or those to mend.

        Raises ``not_found`` while there is none.
        """
        with self._database.reading() as tx:
            row = self._own(tx, partner, file)
            if row["outcome"] is None or row["ended_at"] is None:
                raise HubError("not_found")
            exchange = as_uuid(row["outcome"])
            if exchange == maybe_uuid(row["exchange_id"]):
                try:
                    kept = self._outcomes.kept(tx, row)
                except LookupError:
                    raise HubError("not_found") from None
            else:
                kept, body = None, self._ledger.bytes_of(tx, exchange)
        if kept is not None:
            ending, body = kept.given_back(only_rejected=only_rejected)
            return f"{file}.{'to-fix' if only_rejected else 'outcome'}.{ending}", body
        ending = "xlsx" if body.startswith(b"PK\x03\x04") else "csv"
        if only_rejected:
            return f"{file}.to-fix.{ending}", rejected(body)
        return f"{file}.outcome.{ending}", body

    def acknowledgement(self, partner: str, file: UUID) -> Signed:
        """What became of a file, or why it is held, signed.  Raises ``not_found`` while nobody knows."""
        with self._database.reading() as tx:
            row = self._own(tx, partner, file)
            if row["ended_at"] is None and row["state"] != "held":
                raise HubError("not_found")
            try:
                body = self._ledger.bytes_of(tx, file, _KIND)
            except LookupError:
                body = self._composed(tx, row)
        return Signed(body, self._key.sign(body))

    def _own(self, tx: Transaction, partner: str, file: UUID) -> Any:
        try:
            row = self._files.get(tx, file)
        except LookupError:
            raise HubError("not_found") from None
        if row["partner"] != partner:
            raise HubError("not_found")
        return row

    def _composed(self, tx: Transaction, row: Any, said: dict[str, Any] | None = None) -> bytes:
        """What an acknowledgement says of a file; *said* is the error with its places, of which the row has the code.

        Where no rows can go back, it names what was not taken.
        """
        tells = told(row)
        if said is not None:
            tells["reason"] = {"en": said["en"], "ar": said["ar"]}
        if row["exchange_id"] is not None and row["outcome"] is None:
            tells["rejected"] = self._outcomes.named(tx, as_uuid(row["exchange_id"]))
        return json.dumps(tells, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _looks(partner: Partner, operation: Operation, via: str) -> bool:
    """Whether *partner* looks into a folder for what became of a file that came *via*: one that comes by SFTP does, and
    one whose adapter says so.  Who called asks for it where it looks for the file."""
    return via != "api" and (bool(partner.ssh_keys) or operation.wire.get("acknowledge") == "signed")


def told(row: Any) -> dict[str, Any]:
    """A file as its sender is told of it."""
    error = HubError(row["code"]) if row["code"] else None
    return {
        "id": str(as_uuid(row["id"])),
        "operation": row["operation"],
        "name": row["name"],
        "bytes": row["bytes"],
        "sha256": row["sha256"],
        "state": row["state"],
        "rows": {"read": row["read"], "accepted": row["accepted"], "rejected": row["rejected"]},
        "outcome": row["outcome"] is not None and row["ended_at"] is not None,
        "code": error.code if error else None,
        "reason": {"en": error.en, "ar": error.ar} if error else None,
        "exchange": str(as_uuid(row["exchange_id"])) if row["exchange_id"] is not None else None,
        "received_at": moment(row["received_at"]).isoformat(),
        "ended_at": moment(row["ended_at"]).isoformat() if row["ended_at"] is not None else None,
    }


def plain(name: str) -> bool:
    """Whether *name* is one name that any folder can hold, and nothing that leads elsewhere or looks like another."""
    return (
        decent(name)
        and 0 < len(name) <= 120
        and name not in (".", "..")
        and name[0] not in ".~"
        and "/" not in name
        and name == name.strip()
    )
