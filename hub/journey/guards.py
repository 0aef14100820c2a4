"""What a request must satisfy to be filed: the document, the companion, the agent's standing."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import MAXYEAR, date, datetime

from hub.canonical.case import Agent, Case, Member, Pilgrim
from hub.canonical.countries import STATES
from hub.canonical.entities import Person
from hub.canonical.errors import HubError
from hub.canonical.mrz import disagreements
from hub.journey.graph import ENDS
from hub.journey.results import Fault
from hub.journey.rules import Season


def months_after(day: date, months: int) -> date:
    """The same day *months* later, or the last of its month.  Raises OverflowError beyond the calendar."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    if year > MAXYEAR:
        raise OverflowError
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def is_minor(person: Person, on: date, season: Season) -> bool:
    """Whether *person* is below the season's age on that day.  Of an uncertain birth date the latest counts."""
    born = person.birth_date
    if person.birth_known == "year":
        born = date(born.year, 12, 31)
    elif person.birth_known == "month":
        born = born.replace(day=monthrange(born.year, born.month)[1])
    return on < months_after(born, 12 * season.minor_below)


def person_faults(case: Case, member: Member, pilgrim: Pilgrim, season: Season) -> Iterator[Fault]:
    """What stands against the person, the document and the companion."""
    person, document = pilgrim.person, pilgrim.document
    if not {person.nationality, person.residence, document.issuing_state} <= STATES:
        yield Fault("unknown_nationality")
    if document.mrz is not None:
        try:
            wrong = disagreements(document.mrz, person, document)
        except HubError as error:
            yield Fault(error.code, error.where)
        else:
            if wrong:
                yield Fault("mrz_disagrees", {"field": ", ".join(wrong)})
    if document.expires_on < months_after(case.arrives_on, season.passport_months):
        yield Fault("document_expired")
    if is_minor(person, case.arrives_on, season):
        yield from _companion_faults(case, member, pilgrim)
    elif pilgrim.companion is not None and member.companion not in case.members:
        yield Fault("companion_unknown")


def _companion_faults(case: Case, member: Member, pilgrim: Pilgrim) -> Iterator[Fault]:
    if pilgrim.companion is None:
        yield Fault("minor_without_companion")
        return
    companion = None if member.companion is None else case.members.get(member.companion)
    if companion is None:
        yield Fault("companion_unknown")
    elif companion.id == member.id or companion.minor or companion.state in ENDS:
        yield Fault("minor_without_companion")


def agent_faults(agent: Agent, at: datetime, season: Season) -> Iterator[Fault]:
    """What stands against a new request of *agent* at that moment.  Requests already filed go on whatever it is."""
    since, until = agent.suspended_from, agent.suspended_until
    if since is not None and since <= at and (until is None or at < until):
        yield Fault("agent_suspended")
    if not agent.agreement:
        yield Fault("agreement_missing")
    if season.quota and agent.quota_left is not None and agent.quota_left <= 0:
        yield Fault("quota_exhausted")


def programme_faults(case: Case, season: Season) -> Iterator[Fault]:
    """Houses that had to be confirmed before the request, where the season asks for it."""
    if season.housing_confirmed_before == "submission":
        for line in case.programme.housing:
            known = case.bookings.get(line.line)
            if known is None or known.state != "confirmed":
                yield Fault("housing_unconfirmed", {"line": line.line})
