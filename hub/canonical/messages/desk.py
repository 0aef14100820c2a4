"""What people at their desks tell the hub through its own API: agents, companies, the health authority."""

from datetime import datetime

from hub.canonical.declare import canonical, integer, plain, text
from hub.canonical.entities import Companion, Document, Person, Programme

DECISIONS = (
    "accept", "return", "refuse", "report",  # the Umrah company
    "correct", "cancel",  # the agent
    "deceased", "hospitalised",  # the health authority
)  # fmt: skip


@canonical
class Filing:
    """One pilgrim of a filing."""

    person: Person = plain()
    document: Document = plain()
    companion: Companion | None = plain(default=None)


@canonical
class GroupFiling:
    """A group with its programme and its members, filed at once, or opened for a roster to fill.

    ``heads`` is how many travel: the voucher waits until so many are accepted or ended.
    """

    group_no: str = text(20, pattern=r"[A-Za-z0-9-]+", path="group.no")
    season: int = integer(1400, 1500, path="group.season")
    heads: int = integer(1, 999, path="group.heads")
    programme: Programme = plain()
    members: list[Filing] = plain(default=[])


@canonical
class Decision:
    """What somebody with the right to it decides on one request."""

    outcome: str = text(12, one_of=DECISIONS, path="decision.outcome")
    reason: str | None = text(20, pattern=r"[a-z_]+", path="decision.reason", default=None)
    happened: datetime | None = plain(path="decision.at", default=None)
    correction: Filing | None = plain(default=None)
