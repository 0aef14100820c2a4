"""The rosters that agents pass: one row a pilgrim, told again every day as it grows."""

from datetime import date

from hub.canonical import codes
from hub.canonical.declare import canonical, integer, plain, text
from hub.canonical.entities import DOCUMENT_NUMBER, STATE


@canonical
class RosterRow:
    """A pilgrim of a group.  A row told before and unchanged changes nothing; a changed one corrects."""

    group_no: str = text(20, path="group.no")
    given_name: str | None = text(60, path="person.name", personal=True, default=None)
    father_name: str | None = text(60, path="person.name", personal=True, default=None)
    grandfather_name: str | None = text(60, path="person.name", personal=True, default=None)
    family_name: str = text(60, path="person.name", personal=True)
    full_name_ar: str | None = text(120, path="person.name_ar", personal=True, default=None)
    sex: str = text(11, one_of=codes.SEX, path="person.sex", personal=True)
    birth_date: date = plain(path="person.birth_date", personal=True)
    nationality: str = text(3, pattern=STATE, path="person.nationality")
    residence: str | None = text(3, pattern=STATE, path="person.residence", default=None)
    document_no: str = text(12, pattern=DOCUMENT_NUMBER, path="document.number", personal=True)
    issuing_state: str | None = text(3, pattern=STATE, path="document.issuing_state", default=None)
    issued_on: date = plain(path="document.issued_on", personal=True)
    expires_on: date = plain(path="document.expires_on", personal=True)
    mobile: str | None = text(16, pattern=r"\+[1-9][0-9]{6,14}", path="person.contact", personal=True, default=None)
    # The companion's passport, or the row of the file that the companion stands in.
    companion_no: str | None = text(
        12, pattern=rf"{DOCUMENT_NUMBER}|[0-9]{{1,4}}", path="companion.number", personal=True, default=None
    )
    companion_relation: str | None = text(
        20, one_of=codes.RELATIONS, path="companion.relation", personal=True, default=None
    )


@canonical
class Roster:
    rows: list[RosterRow] = plain(default=[])


@canonical
class RowOutcome:
    """What stands beside a row that is given back: accepted, unchanged or rejected with its reason."""

    row: int = integer(1, 9_999_999, path="exchange.row")
    outcome: str = text(9, one_of=("accepted", "unchanged", "rejected"), path="exchange.outcome")
    request_no: str | None = text(13, path="request.no", default=None)
    code: str | None = text(40, path="exchange.code", default=None)
    reason_en: str | None = text(300, path="exchange.reason", default=None)
    reason_ar: str | None = text(300, path="exchange.reason", default=None)


@canonical
class RosterOutcome:
    """The outcome file: accepted + rejected = received."""

    received: int | None = integer(0, 9_999_999, path="exchange.count", default=None)
    accepted: int | None = integer(0, 9_999_999, path="exchange.count", default=None)
    rejected: int | None = integer(0, 9_999_999, path="exchange.count", default=None)
    rows: list[RowOutcome] = plain(default=[])
