"""Pilgrims' photos: handed in by their agent, told apart by passport, kept under the pilgrim's own key."""

import hashlib
import re
from dataclasses import dataclass
from uuid import UUID

from hub.canonical.errors import HubError
from hub.exchange.receive import Receiver
from hub.partners.partner import Partner
from hub.security.pictures import Picture, made_anew
from hub.security.sealing import Sealer
from hub.store.cases import Cases, kind_of
from hub.store.database import Database, Transaction
from hub.store.ledger import Ledger
from hub.store.photos import Album

#: A photo's file is called by the passport: ``C1234567.jpg``, with the issuing state before it where that is another
#: than the agent's country: ``PAK-C1234567.jpg``.
_NAME = re.compile(r"(?:.*/)?(?:([A-Za-z]{3})[-_ ])?([A-Za-z0-9]{5,12})\.(?:jpe?g|png)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Kept:
    """A photo that is kept: whose, and its SHA-256 (hex), which stands for it in messages."""

    request_no: str
    request: UUID
    sha256: str
    width: int
    height: int


class Photos:
    """Keeps photos and gives them back to whoever may see them."""

    def __init__(self, database: Database, cases: Cases, ledger: Ledger, receiver: Receiver, sealer: Sealer) -> None:
        self._database, self._cases, self._ledger = database, cases, ledger
        self._receiver, self._album = receiver, Album(sealer)

    def named(self, agent: Partner, name: str) -> UUID:
        """Whose photo a file called *name* is.

        Raises HubError ``photo_name_wrong`` for a name that holds no passport's number, ``photo_of_nobody`` where no
        live request of *agent* has that passport.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise HubError("photo_name_wrong")
        state = (match[1] or (agent.agent.country if agent.agent else "")).upper()
        kind = kind_of("document", test=agent.mode == "test")
        with self._database.reading() as tx:
            for found, _, live in self._cases.find(tx, kind, match[2].upper(), state):
                row = self._album.whose(tx, found)
                if live and row is not None and row["agent"] == agent.id:
                    return found
        raise HubError("photo_of_nobody")

    def keep(self, agent: Partner, about: UUID, data: bytes) -> Kept:
        """Keep *data* as the photo of request *about*, in the place of one that was there.

        Raises HubError ``not_found`` for a request that is not *agent*'s, ``request_ended``, and as
        :func:`~hub.security.pictures.made_anew` does.
        """
        with self._database.reading() as tx:
            row = self._album.whose(tx, about)
        if row is None or row["agent"] != agent.id:
            raise HubError("not_found")  # before anything of theirs is unpacked
        picture = made_anew(data)
        return self._database.unit(lambda tx: self._write(tx, agent, about, picture))

    def _write(self, tx: Transaction, agent: Partner, about: UUID, picture: Picture) -> Kept:
        row = self._album.whose(tx, about)
        if row is None or row["agent"] != agent.id:
            raise HubError("not_found")
        if row["ended_at"] is not None:
            raise HubError("request_ended")
        at, digest = self._receiver.now(), hashlib.sha256(picture.body).hexdigest()
        self._album.put(
            tx, about, row["wrapped"], picture.body,
            sha256=digest, width=picture.width, height=picture.height, wall=at.wall,
        )  # fmt: skip
        self._ledger.audit(tx, at, agent.id, "photo", about.hex, None)
        return Kept(row["request_no"], about, digest, picture.width, picture.height)

    def of(self, about: UUID, owner: str) -> bytes:
        """The photo of request *about* as JPEG; *owner* is the agent or company that asks.

        Raises HubError ``not_found`` where there is none, or it is not theirs to see.
        """
        with self._database.reading() as tx:
            row = self._album.whose(tx, about)
            if row is None or owner not in (row["agent"], row["company"]):
                raise HubError("not_found")
            body = self._album.body(tx, about, row["wrapped"])
        if body is None:
            raise HubError("not_found")
        return body
