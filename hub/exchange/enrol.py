"""Pilgrims filed into a group over the API, up to 500 in one body: each is accepted or refused by itself, in order.

The writer is not kept from everybody else for so long: they are taken in parts, each a commit with its own answer under
the caller's key.  Whoever sends the same again is told what became of the parts that were taken, and has the rest
taken, wherever the hub or the call had stopped.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from hub.canonical.messages.desk import Filing
from hub.exchange.intake import Intake
from hub.exchange.receive import Once, Receipt, Receiver, Refusal, problem, refused
from hub.partners.partner import Partner
from hub.store.cases import Cases, Kept
from hub.store.database import Transaction
from hub.store.ledger import Ledger, Moment

#: Pilgrims that one body may hold.
MOST = 500
#: Pilgrims to a commit.
PART = 50


@dataclass(frozen=True, slots=True)
class Offered:
    """One pilgrim as it was sent: the filing that it means, or the coded errors that its schema has against it."""

    filing: Filing | None
    problems: Sequence[dict[str, Any]] = ()


class Enrolment:
    """Takes pilgrims into groups that are there."""

    def __init__(self, cases: Cases, ledger: Ledger, receiver: Receiver, intake: Intake) -> None:
        self._cases, self._ledger, self._receiver, self._intake = cases, ledger, receiver, intake

    def take(self, agent: Partner, group: UUID, offered: Sequence[Offered], body: bytes, once: Once) -> Receipt:
        """File *offered*, which *body* held, into *group*; answers what became of each, in order.

        Raises :class:`~hub.canonical.errors.HubError` where the store cannot take them.
        """
        outcomes: list[dict[str, Any]] = []
        exchange: UUID | None = None
        for start in range(0, len(offered), PART):
            # The first part has the caller's key itself; no caller can say a key with a sign like this in it.
            part = once if not start else replace(once, key=f"{once.key}#{start}")
            taken = self._part(agent, group, offered[start : start + PART], start, body, part, exchange)
            if taken.problems:
                return taken
            outcomes += taken.body["pilgrims"]
            exchange = exchange or UUID(taken.body["exchange"])
        accepted = sum(one["outcome"] == "accepted" for one in outcomes)
        told = {
            "exchange": str(exchange), "accepted": accepted, "refused": len(outcomes) - accepted, "pilgrims": outcomes,
        }  # fmt: skip
        return Receipt("taken", 200, told, exchange=exchange)

    def _part(
        self, agent: Partner, group: UUID, offered: Sequence[Offered], start: int, body: bytes, once: Once,
        begun: UUID | None,
    ) -> Receipt:  # fmt: skip
        def unit(tx: Transaction) -> Receipt:
            at = self._receiver.now()
            kept = self._cases.load(tx, group)
            if kept is None:
                raise Refusal(refused("not_found"))
            exchange = begun or self._ledger.open(
                tx, at, partner=agent.id, operation="enrol", direction="in", state="settled", body=body,
                sha256=hashlib.sha256(body).hexdigest(),
            )  # fmt: skip
            told = [self._one(tx, agent, kept, one, index, at) for index, one in enumerate(offered, start)]
            self._ledger.audit(tx, at, agent.id, "enrol", group.hex, exchange)
            return Receipt("taken", 200, {"exchange": str(exchange), "pilgrims": told}, exchange=exchange)

        return self._receiver.once(once, unit)

    def _one(self, tx: Transaction, agent: Partner, kept: Kept, one: Offered, index: int, at: Moment) -> dict[str, Any]:
        if one.filing is None:
            return _refused(index, one.problems)
        if len(kept.case.members) >= kept.case.heads:
            return _refused(index, [problem("group_full", limit=kept.case.heads)])
        filed = self._intake.file(tx, kept, one.filing, at, agent)
        if isinstance(filed, list):
            return _refused(index, [problem(code, field, **where) for code, field, where in filed])
        member = kept.case.members[filed]
        return {
            "index": index, "outcome": "accepted", "request": str(filed), "request_no": member.request_no,
            "state": member.state, "errors": [],
        }  # fmt: skip


def _refused(index: int, errors: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "index": index, "outcome": "refused", "request": None, "request_no": None, "state": None, "errors": [*errors],
    }  # fmt: skip
