"""The daily report of pilgrims that agencies pass round: cumulative, with Arabic headers, one row a pilgrim."""

from datetime import date

from hub.canonical.declare import canonical, integer, plain, text
from hub.canonical.entities import STATE

#: Where the report says that a pilgrim stands.  A word that means none of these rejects its row.
STANDINGS = ("printed", "refused", "inside", "exited", "overstayed", "reported", "deceased")


@canonical
class ReportRow:
    """A pilgrim as the report has it.  Yesterday's rows come again: a row told before and unchanged changes nothing."""

    pilgrim_no: int = integer(1, 999_999_999_999, path="report.pilgrim")
    agent_no: str | None = text(20, path="agent.code", default=None)
    group_no: str | None = text(20, path="group.no", default=None)
    full_name_ar: str | None = text(120, path="person.name_ar", personal=True, default=None)
    nationality: str = text(3, pattern=STATE, path="person.nationality")
    document_no: str = text(12, path="document.number", personal=True)
    visa_no: str | None = text(12, path="visa.number", personal=True, default=None)
    reference_no: str | None = text(12, path="reference.number", personal=True, default=None)
    border_no: str | None = text(12, path="movement.border_no", personal=True, default=None)
    entered_on: date | None = plain(path="movement.at", default=None)
    exited_on: date | None = plain(path="movement.at", default=None)
    days: int | None = integer(0, 999, path="report.days", default=None)
    outcome: str = text(10, one_of=STANDINGS, path="report.standing")


@canonical
class DailyReport:
    rows: list[ReportRow] = plain(default=[])
