"""Files that partners have given us, by whatever way: received, read, and what became of them row by row.

A file is ``waiting`` until somebody reads it, ``reading``, ``held`` (its forerunner is missing, or it breaks us), and
then ``taken``, ``repeated`` or ``refused``.  The numbers grow in the commits in which the rows themselves are stored.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, delete, or_, select, update

from hub.canonical.ids import new_id
from hub.store.database import Row, Statement, Transaction, as_uuid, inserting
from hub.store.ledger import Ledger, Moment
from hub.store.tables import file_in, payload

#: Characters of a name that the store keeps.
LONGEST_NAME = 120
_KIND = "upload"
_REJECTED = "rejected"

_insert = inserting(file_in)
_get = Statement(select(file_in).where(file_in.c.id == bindparam("id")))
_unfinished = Statement(
    select(file_in)
    .where(file_in.c.partner == bindparam("partner"), file_in.c.ended_at.is_(None))
    .order_by(file_in.c.id)
)
_partners = Statement(
    select(file_in.c.partner)
    .where(
        file_in.c.ended_at.is_(None),
        file_in.c.via == "api",
        # What waits for its forerunner is looked at when that comes.
        or_(file_in.c.state != "held", file_in.c.code != "file_sequence_gap"),
    )
    .distinct()
)
_page = Statement(
    select(file_in)
    .where(file_in.c.partner == bindparam("partner"), file_in.c.id < bindparam("before"))
    .order_by(file_in.c.id.desc())
    .limit(bindparam("most"))
)
_answered = Statement(
    select(file_in)
    .where(file_in.c.partner == bindparam("partner"), file_in.c.exchange_id == bindparam("exchange"))
    .order_by(file_in.c.id)
    .limit(1)
)
_progress = Statement(
    update(file_in)
    .where(file_in.c.id == bindparam("file"))
    .values({c: bindparam(f"now_{c}") for c in ("read", "accepted", "rejected")})
)
_outcome = Statement(update(file_in).where(file_in.c.id == bindparam("file")).values(outcome=bindparam("given_back")))
_stand = Statement(
    update(file_in)
    .where(file_in.c.id == bindparam("file"))
    .values({c: bindparam(f"now_{c}") for c in ("state", "code", "exchange_id", "ended_at")})
)
_bytes_end = Statement(
    delete(payload).where(payload.c.exchange_id == bindparam("file"), payload.c.kind == bindparam("of_kind"))
)


class RejectedRow(NamedTuple):
    """A row that was not taken: its number, as a spreadsheet numbers it, the code, and the reason in two languages."""

    row: int
    code: str
    en: str
    ar: str


class FilesIn:
    """The files of all partners."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def begin(
        self,
        tx: Transaction,
        at: Moment,
        *,
        partner: str,
        operation: str,
        name: str,
        via: str,
        sha256: str,
        size: int,
        number: int | None = None,
        count: int | None = None,
        control: str | None = None,
        body: bytes | None = None,
    ) -> UUID:
        """A file has come by *via* (api, folder); its *body* is kept, sealed, where nothing else holds it."""
        row_id = new_id()
        tx.put(
            _insert,
            id=row_id, partner=partner, operation=operation, name=name[:LONGEST_NAME], via=via,
            state="reading" if body is None else "waiting", code=None, bytes=size, sha256=sha256, number=number,
            count=count, control=control, read=0, accepted=0, rejected=0, exchange_id=None, outcome=None,
            received_at=at.wall, ended_at=None,
        )  # fmt: skip
        if body is not None:
            self._ledger.keep(tx, at, row_id, _KIND, body)
        return row_id

    def begun(self, tx: Transaction, partner: str, operation: str, sha256: str) -> UUID | None:
        """The file of a folder whose taking was cut off, or that was held."""
        rows = tx.all(_unfinished, partner=partner)
        same = (r for r in rows if (r["operation"], r["sha256"], r["via"]) == (operation, sha256, "folder"))
        found = next(same, None)
        return None if found is None else as_uuid(found["id"])

    def partners(self, tx: Transaction) -> list[str]:
        """Whose files lie here and can be read."""
        return [row[0] for row in tx.all(_partners)]

    def unread(self, tx: Transaction, partner: str) -> list[Row]:
        """The files of *partner* whose bytes lie here, by when they came."""
        return [row for row in tx.all(_unfinished, partner=partner) if row["via"] == "api"]

    def body(self, tx: Transaction, file: UUID) -> bytes:
        return self._ledger.bytes_of(tx, file, _KIND)

    def progress(self, tx: Transaction, file: UUID, read: int, accepted: int, rejected: int) -> None:
        """Say how far *file* has come, in the commit that brought it there."""
        tx.put(_progress, file=file, now_read=read, now_accepted=accepted, now_rejected=rejected)

    def reject(self, tx: Transaction, at: Moment, file: UUID, rows: list[RejectedRow], *, first: bool) -> None:
        """Note what stands against *rows*, beside those noted before; *first* says that a file is read anew."""
        if first:
            tx.put(_bytes_end, file=file, of_kind=_REJECTED)
        if rows:
            self._ledger.keep(tx, at, file, _REJECTED, json.dumps(rows, ensure_ascii=False).encode())

    def rejected(self, tx: Transaction, row: Row | Mapping[str, Any]) -> list[RejectedRow]:
        """The rows of the file *row* that were rejected so far, in the file's order; of one that was told before, those
        of the first."""
        if row["state"] == "repeated":
            row = tx.one(_answered, partner=row["partner"], exchange=row["exchange_id"]) or row
        parts = self._ledger.each_of(tx, as_uuid(row["id"]), _REJECTED)
        return sorted(RejectedRow(*one) for part in parts for one in json.loads(part))

    def given_back(self, tx: Transaction, file: UUID, exchange: UUID) -> None:
        """The rows of *file* go back in *exchange*."""
        tx.put(_outcome, file=file, given_back=exchange)

    def stand(self, tx: Transaction, file: UUID, state: str, code: str | None = None) -> None:
        """Put *file*, which is not done, into *state*."""
        tx.put(_stand, file=file, now_state=state, now_code=code, now_exchange_id=None, now_ended_at=None)

    def ended(
        self, tx: Transaction, at: Moment, file: UUID, state: str, code: str | None, exchange: UUID | None
    ) -> None:
        """Be done with *file*, which became *exchange*.  One that was told before has what came of it then."""
        if state == "repeated" and exchange is not None:
            row = self.get(tx, file)
            first = tx.one(_answered, partner=row["partner"], exchange=exchange)
            if first is not None:
                self.progress(tx, file, first["read"], first["accepted"], first["rejected"])
                if first["outcome"] is not None:
                    self.given_back(tx, file, as_uuid(first["outcome"]))
        tx.put(_stand, file=file, now_state=state, now_code=code, now_exchange_id=exchange, now_ended_at=at.wall)
        tx.put(_bytes_end, file=file, of_kind=_KIND)

    def get(self, tx: Transaction, file: UUID) -> Row | Mapping[str, Any]:
        """Raises LookupError for an id that no file has."""
        row = tx.one(_get, id=file)
        if row is None:
            raise LookupError("no such file")
        return row

    def page(self, tx: Transaction, partner: str, before: UUID, most: int) -> list[Row]:
        """The files of *partner* that came before the one of id *before*, the youngest first."""
        return tx.all(_page, partner=partner, before=before, most=most)
