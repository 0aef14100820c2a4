"""Pilgrims' photos: one a request at most, sealed under the pilgrim's own key."""

from uuid import UUID

from sqlalchemy import bindparam, select

from hub.security.sealing import Sealer
from hub.store.database import Row, Statement, Transaction, inserting
from hub.store.tables import photo, request, umrah_group

_put = inserting(photo, replace=True)
_get = Statement(select(photo.c.sealed).where(photo.c.request_id == bindparam("id")))
_whose = Statement(
    select(request.c.wrapped, request.c.request_no, request.c.ended_at, umrah_group.c.agent, umrah_group.c.company)
    .join(umrah_group, umrah_group.c.id == request.c.group_id)
    .where(request.c.id == bindparam("id"))
)


class Album:
    """Reads and writes of photos inside a unit of work.  Whoever asks has looked at whose they are."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def whose(self, tx: Transaction, request_id: UUID) -> Row | None:
        """The number, the end and the wrapped key of a request, its agent and its company; None where there is none."""
        return tx.one(_whose, id=request_id)

    def put(
        self, tx: Transaction, request_id: UUID, wrapped: bytes, body: bytes, *,
        sha256: str, width: int, height: int, wall: int,
    ) -> None:  # fmt: skip
        """Keep *body*, of a request whose key is *wrapped*, in the place of one that was there."""
        sealed = self._sealer.seal(self._sealer.unwrap(wrapped), body, _place(request_id))
        tx.put(_put, request_id=request_id, sha256=sha256, width=width, height=height, sealed=sealed, recorded_at=wall)

    def body(self, tx: Transaction, request_id: UUID, wrapped: bytes) -> bytes | None:
        """The photo of a request whose key is *wrapped*; None where it has none."""
        row = tx.one(_get, id=request_id)
        return None if row is None else self._sealer.open(self._sealer.unwrap(wrapped), row[0], _place(request_id))


def _place(request_id: UUID) -> bytes:
    return b"photo" + request_id.bytes
