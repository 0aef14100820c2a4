"""Whose groups and requests a reading may see, said in one place.

On both stores the scope is a condition of the statement.  On PostgreSQL it is also told to the server for the length of
the transaction (:func:`confine`), whose policies then hold every statement to it: one that has forgotten its condition
shows a caller its own rows and no others.  What is outside of a scope cannot be told from what does not exist.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, false, func, select, true

from hub.store.database import Statement, Transaction, within
from hub.store.tables import exchange, request, umrah_group

#: The hub itself, and whoever runs or checks it.
_EVERYTHING = frozenset({"hub", "operator", "auditor"})
#: Whose pilgrims these are: they have the papers anyway.
_OPEN = frozenset({"agent", "company", "mission"})


@dataclass(frozen=True, slots=True)
class Scope:
    """What *partner* sees in its *role*: an agent the groups that it has filed, an Umrah company those filed for it, a
    mission the requests with a reference of its *agents*, the hub and whoever runs it all of them, others none."""

    role: str
    partner: str = ""
    agents: tuple[str, ...] = ()

    @property
    def opens(self) -> bool:
        """Whether personal data of what is seen is opened too."""
        return self.role in _OPEN

    @property
    def values(self) -> dict[str, Any]:
        """The values that the conditions of this scope are bound to."""
        if self.role == "mission":
            return {"tenant": self.partner, "tenant_agents": list(self.agents)}
        return {} if self.role in _EVERYTHING else {"tenant": self.partner}

    @property
    def groups(self) -> ColumnElement[bool]:
        """The condition under which a row of ``umrah_group`` is seen, with its bill and its bookings."""
        if self.role in _EVERYTHING:
            return true()
        if self.role == "agent":
            return umrah_group.c.agent == bindparam("tenant")
        if self.role == "company":
            return umrah_group.c.company == bindparam("tenant")
        if self.role == "mission":
            told = (request.c.group_id == umrah_group.c.id) & request.c.referenced_at.is_not(None)
            return and_(within(umrah_group.c.agent, "tenant_agents"), exists(select(request.c.id).where(told)))
        return false()

    @property
    def requests(self) -> ColumnElement[bool]:
        """The condition under which a row of ``request``, joined to its ``umrah_group``, is seen."""
        if self.role == "mission":
            # It is told of a pilgrim by the reference; before there is one, the pilgrim is none of its business.
            return and_(within(umrah_group.c.agent, "tenant_agents"), request.c.referenced_at.is_not(None))
        return self.groups

    @property
    def exchanges(self) -> ColumnElement[bool]:
        """The condition under which a row of ``exchange`` is seen: one's own, in both directions."""
        return true() if self.role in _EVERYTHING else exchange.c.partner == bindparam("tenant")


#: The hub's own.
ALL = Scope("hub")

_confine = Statement(
    select(
        func.set_config("hub.scope", bindparam("role"), true()),
        func.set_config("hub.partner", bindparam("partner"), true()),
        func.set_config("hub.agents", bindparam("agents"), true()),
        func.set_config("plan_cache_mode", bindparam("plans"), true()),
    )
)


def confine(tx: Transaction, scope: Scope, *, lists: bool = False) -> None:
    """Hold what is left of *tx* to *scope*, where the store can.  In a transaction alone: outside of one the server
    forgets it at once.

    What *lists* is planned for this caller each time: under the plan that serves for all of them, a company of four
    groups walked everybody's 160,000 requests (78 ms, and 1 under its own).  A look-up of one row is planned once.
    """
    if scope.role not in _EVERYTHING and tx.connection.dialect == "postgresql":
        plans = "force_custom_plan" if lists else "auto"
        tx.one(_confine, role=scope.role, partner=scope.partner, agents=" ".join(scope.agents), plans=plans)


class Owned:
    """A statement that is bound to a scope: *made* is given the scope, and puts its condition beside its own."""

    def __init__(self, made: Callable[[Scope], Any]) -> None:
        self._made = made
        self._statements: dict[str, Statement] = {}

    def under(self, scope: Scope) -> Statement:
        """The statement under *scope*, to be run with :attr:`Scope.values` beside its own."""
        found = self._statements.get(scope.role)
        if found is None:
            found = self._statements[scope.role] = Statement(self._made(scope))
        return found
