"""Whose rows a caller may see.  It is said here, once, and stands in every statement that a caller's question becomes.

What is outside a scope is not found: nobody can tell it from what does not exist.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, exists, false, select, true

from hub.store.tables import exchange, exchange_subject, umrah_group

#: Whoever runs or checks the hub sees that a thing is there, and what became of it; never whose face it has.
_ALL = frozenset({"operator", "auditor", "administrator"})
#: Whose pilgrims these are: they have the papers anyway.
_OPEN = frozenset({"agent", "company", "mission"})


@dataclass(frozen=True, slots=True)
class Scope:
    """What *partner* sees in its *role*: an agent the groups that it has filed, an Umrah company those filed for it, a
    mission those whose references were sent to it, whoever runs the hub all of them, anybody else none."""

    role: str
    partner: str

    @property
    def opens(self) -> bool:
        """Whether personal data of what is seen is opened too."""
        return self.role in _OPEN

    @property
    def values(self) -> dict[str, Any]:
        """The values that the conditions of this scope are bound to."""
        return {} if self.role in _ALL else {"tenant": self.partner}

    @property
    def groups(self) -> ColumnElement[bool]:
        """The condition under which a row of ``umrah_group`` is seen, with all that belongs to it."""
        tenant: ColumnElement[str] = bindparam("tenant")
        match self.role:
            case role if role in _ALL:
                return true()
            case "agent":
                return umrah_group.c.agent == tenant
            case "company":
                return umrah_group.c.company == tenant
            case "mission":
                sent = (exchange_subject.c.group_id == umrah_group.c.id) & (exchange_subject.c.partner == tenant)
                return exists(select(exchange_subject.c.id).where(sent))
        return false()

    @property
    def requests(self) -> ColumnElement[bool]:
        """The condition under which a row of ``request``, joined to its ``umrah_group``, is seen."""
        return self.groups

    @property
    def exchanges(self) -> ColumnElement[bool]:
        """The condition under which a row of ``exchange`` is seen: one's own, in both directions."""
        return true() if self.role in _ALL else exchange.c.partner == bindparam("tenant")
