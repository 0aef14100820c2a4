"""The register: every adapter, partner, map, purpose and schedule, checked together and then only looked up."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from hub.canonical.case import Case
from hub.mapping import Map
from hub.partners import disk, fit, partner
from hub.partners.documents import Document, Fault
from hub.partners.fit import Maps, Side, grouped
from hub.partners.manifest import Adapter, Operation
from hub.partners.overlay import Overlaid
from hub.partners.partner import Partner
from hub.partners.sandbox import is_twin, own_of, twin_of, with_twins
from hub.partners.schedules import Purpose, Schedule
from hub.partners.sources import sources
from hub.partners.webhooks import Listener
from hub.settings import Settings


class RegisterFaults(Exception):
    """The files that describe partners are wrong; ``faults`` says all of it, each with its file and line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(map(str, self.faults)))


def _housing(case: Case, line: str) -> str | None:
    return next((h.hotel_code for h in case.programme.housing if h.line == line), None)


def _transport(case: Case, line: str) -> str | None:
    return next((t.company_code for t in case.programme.transport if t.line == line), None)


#: For each ``to:`` of a manifest, the code that a case has there.  A subject that is a programme line goes by its id.
_READ: Mapping[str, Callable[[Case, str], str | None]] = {
    "request.mission": lambda case, _: case.agent.mission,
    "group.company": lambda case, _: own_of(case.agent.company),
    "housing.hotel_code": _housing,
    "transport.company_code": _transport,
    "agent.country": lambda case, _: case.agent.country,
    "passage.port": lambda case, _: case.programme.arrival.port,
    "passage.carrier": lambda case, _: case.programme.arrival.carrier,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """What the files say: all there is before anything is laid over it."""

    settings: Settings
    adapters: Mapping[str, Adapter]
    drafts: Mapping[str, str]
    partners: Mapping[str, Partner]
    maps: Maps
    purposes: Mapping[str, Purpose]
    schedules: Mapping[str, Schedule]


class Register:
    """What is known of partners.  Built by :func:`load`; every question to it is answered from a dictionary.

    ``adapters`` are those that may be used, ``drafts`` where those lie that are being written; ``enabled`` are the
    partners with whom anything is exchanged, and ``listeners`` who subscribed to events, found among ``partners`` too.
    """

    def __init__(self, filed: Filed, own: Mapping[str, Partner], listeners: Iterable[Listener] = ()) -> None:
        self._filed, self._own = filed, own
        self.adapters, self.drafts = dict(filed.adapters), filed.drafts
        self.listeners = {one.id: one for one in listeners}
        partners: Mapping[str, Partner] = {**own, **self.listeners} if self.listeners else own
        self.partners, self.maps, self.purposes = partners, filed.maps, filed.purposes
        self.schedules = {name: replace(one, partner=partners[one.partner.id]) for name, one in filed.schedules.items()}
        # What is collected from a partner by the calendar is collected from its twin too.
        self.schedules |= {
            twin_of(name): replace(one, name=twin_of(name), partner=partners[twin_of(one.partner.id)])
            for name, one in filed.schedules.items()
            if one.operation and twin_of(one.partner.id) in own
        }
        self.enabled: tuple[Partner, ...] = tuple(one for one in own.values() if one.enabled)
        self._by_adapter: dict[str, tuple[Partner, ...]] = grouped(
            (adapter.id, one) for one in own.values() if not is_twin(one.id) for adapter in one.adapters
        )
        self._hearing: dict[tuple[str, str, str], tuple[Listener, ...]] = grouped(
            ((event, kind, code), one)
            for one in self.listeners.values()
            if one.enabled
            for event in one.events
            for kind, code in one.whose
        )
        self._presenting = {sha256: one for one in self.enabled for sha256 in one.certificates}
        self._agents: dict[str, tuple[str, ...]] = grouped(
            (one.agent.mission, one.id)
            for one in own.values()
            if one.agent is not None and one.mode == "live"  # what is a test is no mission's business
        )
        self._serving = {
            (adapter.id, word, code): one
            for one in self.enabled
            if not is_twin(one.id)
            for adapter in one.adapters
            for word, codes in one.serves.items()
            for code in codes
        }
        spoken = {adapter.id for one in self.enabled for adapter in one.adapters}
        self._subscribers: dict[str, tuple[Operation, ...]] = grouped(
            (op.when, op)
            for adapter in self.adapters.values()
            for op in adapter.operations.values()
            if op.when and adapter.id in spoken
        )

    def overlaid(self, over: Iterable[Overlaid]) -> "Register":
        """The same files under another overlay.  Raises :class:`RegisterFaults` where the two do not fit."""
        return _under(self._filed, over)

    def heard_by(self, listeners: Iterable[Listener]) -> "Register":
        """The same partners with other *listeners*; one whose caller is not there any more, or not enabled, is out."""
        there = {one.id for one in self.enabled}
        return Register(self._filed, self._own, [one for one in listeners if one.owner.id in there])

    def just(self, *partners: Partner) -> "Register":
        """The same adapters and maps with *partners* alone."""
        named = {one.id: one for one in partners}
        kept = {name: one for name, one in self._filed.schedules.items() if one.partner.id in named}
        return Register(replace(self._filed, schedules=kept), named)

    def become(self, other: "Register") -> None:
        """Take the place of what was known by what *other* knows, for everybody who holds this register."""
        self.__dict__.update(other.__dict__)

    def map(self, adapter: str, operation: str, side: Side) -> Map:
        """The active map of one side of an operation.  Raises KeyError where the operation has none."""
        return self.maps[adapter, operation, side]

    def operation(self, adapter: str, name: str) -> Operation:
        return self.adapters[adapter].operations[name]

    def subscribers(self, event: str) -> tuple[Operation, ...]:
        """The operations that *event* causes; not those of adapters of which no partner is enabled."""
        return self._subscribers.get(event, ())

    def hearing(self, event: str, case: Case) -> Iterable[Listener]:
        """Who has asked to hear of *event*, of those whose *case* it is, with its focus: its agent, its company, and
        its mission once a reference number binds the pilgrim to it."""
        if not self._hearing:
            return ()
        agent, member = case.agent, case.member
        found = self._hearing.get((event, "agent", agent.id), ()) + self._hearing.get(
            (event, "company", agent.company), ()
        )
        if member is not None and not agent.test and member.marks.get("reference_at") is not None:
            found += self._hearing.get((event, "mission", agent.mission), ())
        return found

    def speaking(self, adapter: str) -> tuple[Partner, ...]:
        """The partners that are reached by *adapter*."""
        return self._by_adapter.get(adapter, ())

    def choose(self, operation: Operation, case: Case, subject_id: str) -> Partner | None:
        """Who gets *operation* for this case; *subject_id* names the programme line where the operation is about one.

        None when nobody that is enabled serves the code that the case has there; see :meth:`awaited`.  Of a case that
        is a test only somebody simulated is chosen.
        """
        one = self._chosen(operation, case, subject_id)
        if one is None or not case.agent.test or one.mode == "test":
            return one
        return self._own.get(twin_of(one.id))

    def _chosen(self, operation: Operation, case: Case, subject_id: str) -> Partner | None:
        if operation.to is None:
            only = [one for one in self.speaking(operation.adapter) if one.enabled]
            return only[0] if len(only) == 1 else None
        code = _READ[operation.to](case, subject_id)
        return self._serving.get((operation.adapter, operation.to.rpartition(".")[2], code or ""))

    def presenting(self, certificate: str) -> Partner | None:
        """The enabled partner that is known by the certificate with this SHA-256 (hex)."""
        return self._presenting.get(certificate)

    def agents_of(self, mission: Partner) -> tuple[str, ...]:
        """The agents whose pilgrims go to *mission*: enabled or not, for what they have filed goes on."""
        return tuple(agent for code in mission.serves.get("mission", ()) for agent in self._agents.get(code, ()))

    def awaited(self, operation: Operation, case: Case, subject_id: str) -> bool:
        """Whether *operation*, for which :meth:`choose` found nobody, leaves something undone: a person must look.

        Not if it is optional, nor if an alternative has somebody, nor if an earlier alternative has said so already.
        """
        if operation.optional:
            return False
        alternatives = [op for op in self.subscribers(operation.when or "") if fit.alternative(op, operation)]
        return alternatives[0] is operation and not any(self.choose(op, case, subject_id) for op in alternatives)


def load(settings: Settings, over: Iterable[Overlaid] = ()) -> Register:
    """Everything that the sources hold, found and checked.  Raises :class:`RegisterFaults` with all that is wrong.

    A partner whose ``${NAME}`` is not set is loaded, and only cannot be sent to.
    """
    faults: list[Fault] = []
    filed = _filed(settings, faults)
    fit.agree(filed.adapters, filed.maps, filed.purposes, faults)
    fit.served(settings.home, filed.adapters, filed.partners, (), faults)
    fit.know_each_other(filed.partners, filed.schedules, faults)
    if faults:
        raise RegisterFaults(faults)
    over = tuple(over)
    return _under(filed, over) if over else Register(filed, with_twins(filed.partners, settings))


def alone(settings: Settings, adapter: str) -> tuple[Register, tuple[Fault, ...]]:
    """Adapter *adapter* by itself, a draft or not: a register without partners, and all that is wrong with it.

    Raises KeyError for an adapter that no source holds.
    """
    elsewhere: list[Fault] = []
    faults: list[Fault] = []
    every = sources(settings, elsewhere)
    source = next((one for one in every if (one.folder / "adapters" / adapter / "adapter.yaml").is_file()), None)
    if source is None:
        raise KeyError(adapter)
    one = disk.adapter(source, adapter, faults)
    known = {} if one is None else {adapter: one}
    others = {f"{p.parent.parent.name}/{p.parent.name}" for p in source.folder.glob("mappings/*/*/*")} - {adapter}
    filed = Filed(
        settings=settings,
        adapters=known,
        drafts={},
        partners={},
        maps=disk.maps((source,), known, others, faults) if known else {},
        purposes=disk.purposes(every, elsewhere),
        schedules={},
    )
    fit.agree(known, filed.maps, filed.purposes, faults)
    return Register(filed, {}), tuple(sorted(set(faults)))


def _filed(settings: Settings, faults: list[Fault]) -> Filed:
    found = sources(settings, faults)
    known, drafts = disk.adapters(found, faults)
    partners = disk.partners(found, settings, known, drafts, faults)
    return Filed(
        settings=settings,
        adapters=known,
        drafts=drafts,
        partners=partners,
        maps=disk.maps(found, known, drafts, faults),
        purposes=disk.purposes(found, faults),
        schedules=disk.timetable(found, partners, faults),
    )


def _under(filed: Filed, over: Iterable[Overlaid]) -> Register:
    """What the files say with *over* laid over it."""
    faults: list[Fault] = []
    found = dict(filed.partners)
    over = tuple(over)
    for one in over:
        if one.row is not None:
            document = Document(one.origin, [one.row], {(0,): one.line})
            for added in partner.rows(
                document, filed.adapters, filed.settings, faults, drafts=filed.drafts, added=True
            ):
                disk.put_partner(found, added, faults)
    paused = set()
    for one in over:
        if one.id in found:
            found[one.id] = found[one.id].switched(one)
            if one.enabled is False:
                paused.add(one.id)
    fit.served(filed.settings.home, filed.adapters, found, paused, faults)
    fit.know_each_other(found, filed.schedules, faults)
    if faults:
        raise RegisterFaults(faults)
    return Register(filed, with_twins(found, filed.settings))
