"""The register: every adapter, partner, map, purpose and schedule, checked together and then only looked up."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from hub import mapping
from hub.canonical.case import Case
from hub.canonical.messages import MESSAGES
from hub.mapping import Map, MapFaults
from hub.partners import agreement, documents, manifest, partner, schedules
from hub.partners.documents import Document, Fault, did_you_mean
from hub.partners.manifest import Adapter, Operation
from hub.partners.partner import Partner
from hub.partners.schedules import Purpose, Schedule
from hub.settings import Settings

Side = Literal["request", "reply"]
_MAP_FILE = re.compile(r"(request|reply)\.v([1-9][0-9]*)\.yaml")
T = TypeVar("T")


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
    "group.company": lambda case, _: case.agent.company,
    "housing.hotel_code": _housing,
    "transport.company_code": _transport,
    "agent.country": lambda case, _: case.agent.country,
    "passage.port": lambda case, _: case.programme.arrival.port,
    "passage.carrier": lambda case, _: case.programme.arrival.carrier,
}
#: Where the codes of a ``to:`` are listed that need somebody to serve them; the others are those that agents name.
_LISTED = {"hotel_code": "mappings/tables/hotels.csv", "company_code": "mappings/tables/carriers.csv"}


class Register:
    """What is known of partners.  Built once by :func:`load`; every question to it is answered from a dictionary."""

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        partners: Mapping[str, Partner],
        maps: Mapping[tuple[str, str, Side], Map],
        purposes: Mapping[str, Purpose],
        schedules: Mapping[str, Schedule],
    ) -> None:
        self.adapters, self.partners, self.maps = adapters, partners, maps
        self.purposes, self.schedules = purposes, schedules
        self._by_adapter: dict[str, tuple[Partner, ...]] = _grouped(
            (adapter.id, one) for one in partners.values() for adapter in one.adapters
        )
        self._serving = {
            (adapter.id, word, code): one
            for one in partners.values()
            for adapter in one.adapters
            for word, codes in one.serves.items()
            for code in codes
        }
        self.enabled: tuple[Partner, ...] = tuple(one for one in partners.values() if one.enabled)
        spoken = {adapter.id for one in self.enabled for adapter in one.adapters}
        self._subscribers: dict[str, tuple[Operation, ...]] = _grouped(
            (op.when, op)
            for adapter in adapters.values()
            for op in adapter.operations.values()
            if op.when and adapter.id in spoken
        )

    def map(self, adapter: str, operation: str, side: Side) -> Map:
        """The active map of one side of an operation.  Raises KeyError where the operation has none."""
        return self.maps[adapter, operation, side]

    def operation(self, adapter: str, name: str) -> Operation:
        return self.adapters[adapter].operations[name]

    def subscribers(self, event: str) -> tuple[Operation, ...]:
        """The operations that *event* causes; not those of adapters of which no partner is enabled."""
        return self._subscribers.get(event, ())

    def speaking(self, adapter: str) -> tuple[Partner, ...]:
        """The partners that are reached by *adapter*."""
        return self._by_adapter.get(adapter, ())

    def choose(self, operation: Operation, case: Case, subject_id: str) -> Partner | None:
        """Who gets *operation* for this case; *subject_id* names the programme line where the operation is about one.

        None when nobody that is enabled serves the code that the case has there; see :meth:`awaited`.
        """
        if operation.to is None:
            only = [one for one in self.speaking(operation.adapter) if one.enabled]
            return only[0] if len(only) == 1 else None
        code = _READ[operation.to](case, subject_id)
        found = self._serving.get((operation.adapter, operation.to.rpartition(".")[2], code or ""))
        return found if found is not None and found.enabled else None

    def awaited(self, operation: Operation, case: Case, subject_id: str) -> bool:
        """Whether *operation*, for which :meth:`choose` found nobody, leaves something undone: a person must look.

        Not if it is optional, nor if an alternative has somebody, nor if an earlier alternative has said so already.
        """
        if operation.optional:
            return False
        alternatives = [op for op in self.subscribers(operation.when or "") if _alternative(op, operation)]
        return alternatives[0] is operation and not any(self.choose(op, case, subject_id) for op in alternatives)


def load(settings: Settings) -> Register:
    """Everything below the home folder, found and checked.  Raises :class:`RegisterFaults` with all that is wrong.

    A partner whose ``${NAME}`` is not set is loaded, and only cannot be sent to.
    """
    faults: list[Fault] = []
    adapters = _adapters(settings.home, faults)
    partners = _partners(settings, adapters, faults)
    maps = _maps(settings.home, adapters, faults)
    found_purposes = _purposes(settings.home, faults)
    found_schedules = _schedules(settings.home, partners, faults)
    _agree(adapters, maps, found_purposes, faults)
    _served(settings.home, adapters, partners, faults)
    _know_each_other(partners, found_schedules, faults)
    if faults:
        raise RegisterFaults(faults)
    return Register(adapters, partners, maps, found_purposes, found_schedules)


# ---------------------------------------------------------------------------------------------- what is on disk


def _documents(home: Path, pattern: str, faults: list[Fault]) -> Iterator[tuple[Path, Document]]:
    for path in sorted(home.glob(pattern)):
        document = documents.read(path, home, faults)
        if document is not None:
            yield path, document


def _adapters(home: Path, faults: list[Fault]) -> dict[str, Adapter]:
    found = {}
    for path, document in _documents(home, "adapters/*/*/adapter.yaml", faults):
        adapter = manifest.adapter(document, path.parent, faults)
        if adapter is not None:
            found[adapter.id] = adapter
    return found


def _partners(settings: Settings, adapters: Mapping[str, Adapter], faults: list[Fault]) -> dict[str, Partner]:
    found: dict[str, Partner] = {}
    for _, document in _documents(settings.home, "adapters/*/partners.yaml", faults):
        for one in partner.rows(document, adapters, settings, faults):
            first = found.setdefault(one.id, one)
            if first is not one:
                said = f"the id '{one.id}' is taken (by {first.path}:{first.line})"
                faults.append(Fault(one.path, one.line, said))
    return found


def _maps(home: Path, adapters: Mapping[str, Adapter], faults: list[Fault]) -> dict[tuple[str, str, Side], Map]:
    """The highest active version of every map; those of no operation are faults."""
    found: dict[tuple[str, str, Side], tuple[int, Map]] = {}
    for path in sorted(home.glob("mappings/*/*/*/*.yaml")):
        shown = path.relative_to(home).as_posix()
        adapter, operation = f"{path.parts[-4]}/{path.parts[-3]}", path.parts[-2]
        named = _MAP_FILE.fullmatch(path.name)
        if adapter not in adapters:
            faults.append(Fault(shown, 1, f"there is no adapter '{adapter}'{did_you_mean(adapter, adapters)}"))
            continue
        known = adapters[adapter].operations
        if operation not in known:
            faults.append(Fault(shown, 1, f"{adapter} has no operation '{operation}'{did_you_mean(operation, known)}"))
            continue
        if named is None:
            faults.append(Fault(shown, 1, "a map is called request.v1.yaml or reply.v1.yaml, with its version"))
            continue
        try:
            one = mapping.load(path, home=home)
        except MapFaults as refused:
            faults += [Fault(shown, fault.line, fault.text) for fault in refused.faults if fault.level == "error"]
            continue
        side: Side = "request" if named[1] == "request" else "reply"
        version = int(named[2])
        if one.active and version > found.get((adapter, operation, side), (0,))[0]:
            found[adapter, operation, side] = version, one
    return {name: one for name, (_, one) in found.items()}


def _purposes(home: Path, faults: list[Fault]) -> dict[str, Purpose]:
    found: dict[str, Purpose] = {}
    for _, document in _documents(home, "mappings/purposes.yaml", faults):
        found |= {purpose.name: purpose for purpose in schedules.purposes(document, faults)}
    return found


def _schedules(home: Path, partners: Mapping[str, Partner], faults: list[Fault]) -> dict[str, Schedule]:
    found: dict[str, Schedule] = {}
    for _, document in _documents(home, "schedules/*.yaml", faults):
        for schedule in schedules.schedules(document, partners, faults):
            if schedule.name in found:
                faults.append(document.fault((schedule.name,), f"a schedule '{schedule.name}' is in another file too"))
            found[schedule.name] = schedule
    return found


# ---------------------------------------------------------------------------------------------- whether it fits


def _agree(
    adapters: Mapping[str, Adapter],
    maps: Mapping[tuple[str, str, Side], Map],
    purposes: Mapping[str, Purpose],
    faults: list[Fault],
) -> None:
    """Manifests against maps and purposes."""
    for adapter in adapters.values():
        purpose = purposes.get(adapter.purpose)
        if purpose is None:
            said = f"no purpose '{adapter.purpose}' in mappings/purposes.yaml{did_you_mean(adapter.purpose, purposes)}"
            faults.append(Fault(adapter.path, 1, said))
        for op in adapter.operations.values():
            request, reply = maps.get((adapter.id, op.name, "request")), maps.get((adapter.id, op.name, "reply"))
            sends, tells = _messages(op, maps)
            later = adapter.operations.get(op.simulate.sends or "") if op.simulate else None
            told = agreement.outcomes(op, tells)
            told_later = agreement.outcomes(later, _messages(later, maps)[1]) if later else ()
            for said in (
                *_lacking(op, request, reply),
                *(f"{key}: {said}" for key, said in agreement.unsaid(op, sends, tells)),
                *(f"{key}: {said}" for key, said in agreement.unsaid_outcomes(op, told, told_later)),
            ):
                faults.append(Fault(adapter.path, op.line, f"{op.name}: {said}"))
            for one in (request, reply):
                if one is None or purpose is None:
                    continue
                for path in sorted(one.carries - purpose.paths):
                    said = f"carries '{path}', which purpose '{adapter.purpose}' of {adapter.id} does not allow; "
                    said += "take the field out of the map, or give the purpose the path and its reason"
                    faults.append(Fault(f"mappings/{one.name}.v{one.version}.yaml", 1, said))


def _messages(op: Operation, maps: Mapping[tuple[str, str, Side], Map]) -> tuple[type | None, type | None]:
    """The messages of *op* as (what we send, what tells us something); None where there is none."""
    request, reply = maps.get((op.adapter, op.name, "request")), maps.get((op.adapter, op.name, "reply"))
    if op.direction == "out":
        return request.message if request else None, reply.message if reply else None
    if op.channel == "api":
        return None, MESSAGES.get(op.message or "")
    return None, request.message if request else None


def _lacking(op: Operation, request: Map | None, reply: Map | None) -> Iterator[str]:
    """The maps that *op* needs and has not, or has and does not need."""
    folder = f"mappings/{op.adapter}/{op.name}"
    active = "an active map is needed: the file, and an example pair in examples/ beside it"
    if op.channel == "api":
        if request or reply:
            yield f"comes by our own API, so {folder} has no use"
        return
    if request is None:
        yield f"{folder}/request.v1.yaml: {active}"
    answered = op.answer is not None if op.direction == "in" else op.channel in ("soap", "rest")
    if reply is None and answered:
        yield f"{folder}/reply.v1.yaml: {active}"
    elif reply is not None and not answered:
        yield f"{folder}/reply.v{reply.version}.yaml has no use: " + (
            "a file is only handed over" if op.direction == "out" else "the manifest gives no 'answer:'"
        )
    elif reply is not None and op.answer is not None and reply.message.__name__ != op.answer:
        yield f"answers {op.answer}, but {folder} has a map of {reply.message.__name__}"


def _know_each_other(partners: Mapping[str, Partner], schedules: Mapping[str, Schedule], faults: list[Fault]) -> None:
    """Agents name their company; what is scheduled only is collected from everybody."""
    collected = {(schedule.partner.id, schedule.operation.name) for schedule in schedules.values()}
    for one in partners.values():
        company = partners.get(one.agent.company) if one.agent else None
        if one.agent and (company is None or company.role != "company"):
            said = f"{one.id}: '{one.agent.company}' is no partner with 'role: company'"
            faults.append(Fault(one.path, one.line, said + did_you_mean(one.agent.company, partners)))
        for op in one.operations.values():
            if op.scheduled and (one.id, op.name) not in collected:
                said = f"{one.id}: nothing in schedules/ ever collects '{op.name}' from it"
                faults.append(Fault(one.path, one.line, said))


def _served(home: Path, adapters: Mapping[str, Adapter], partners: Mapping[str, Partner], faults: list[Fault]) -> None:
    """Every code that a case may have is served by exactly one partner of the adapter that needs it."""
    spoken = _grouped((adapter.id, one) for one in partners.values() for adapter in one.adapters)
    for adapter in adapters.values():
        speaking = spoken.get(adapter.id, ())
        if not speaking:
            faults.append(Fault(adapter.path, 1, f"no partner has adapter '{adapter.id}'; add a row to partners.yaml"))
        for one in speaking:
            for word in one.serves:
                if all(word not in _words(other) for other in one.adapters):
                    said = f"{one.id}: serves '{word}', by which none of its adapters' operations is addressed"
                    faults.append(Fault(one.path, one.line, said))
        enabled = sum(one.enabled for one in speaking)
        if enabled > 1:
            for op in adapter.operations.values():
                if op.when and op.to is None:
                    said = f"{op.name}: {enabled} partners have this adapter, so 'to:' must say which is meant"
                    faults.append(Fault(adapter.path, op.line, said))
    listed = {word: _codes(home, file, faults) for word, file in _LISTED.items()}
    for operations in _alternatives(adapters.values()):
        word = (operations[0].to or "").rpartition(".")[2]
        serving: dict[str, Partner] = {}
        speaking = tuple(dict.fromkeys(one for op in operations for one in spoken.get(op.adapter, ())))
        for one in speaking:
            for code in one.serves.get(word, ()):
                first = serving.setdefault(code, one)
                if first is not one:
                    said = f"{one.id}: serves {word} '{code}', which {first.id} serves already"
                    faults.append(Fault(one.path, one.line, said))
        if operations[0].optional or not any(one.enabled for one in speaking):
            continue
        served = {code for code, one in serving.items() if one.enabled}
        ids = {op.adapter for op in operations if any(one.enabled for one in spoken.get(op.adapter, ()))}
        for code, path, line in listed[word] if word in listed else _named_by_agents(word, partners.values()):
            if code not in served:
                said = f"{word} '{code}' is served by no partner of {' or '.join(sorted(ids))}"
                faults.append(Fault(path, line, said + did_you_mean(code, served)))


def _words(adapter: Adapter) -> set[str]:
    return {op.to.rpartition(".")[2] for op in adapter.operations.values() if op.to}


def _alternatives(adapters: Iterable[Adapter]) -> Iterable[list[Operation]]:
    """The addressed operations, those together of which a case needs one; of optional ones each by itself."""
    found: dict[tuple[str | None, ...], list[Operation]] = {}
    for adapter in adapters:
        for op in adapter.operations.values():
            if op.to is not None:
                found.setdefault((op.when, op.to, f"{adapter.id}/{op.name}" if op.optional else None), []).append(op)
    return found.values()


def _alternative(one: Operation, other: Operation) -> bool:
    return (one.when, one.to, one.optional) == (other.when, other.to, False) and (one.to is not None or one is other)


def _named_by_agents(word: str, partners: Iterable[Partner]) -> Iterator[tuple[str, str, int]]:
    for one in partners:
        if one.agent is not None and one.enabled:
            yield getattr(one.agent, word), one.path, one.line


def _codes(home: Path, file: str, faults: list[Fault]) -> list[tuple[str, str, int]]:
    """The column ``code`` of a table, each code with its file and line."""
    try:
        with (home / file).open(encoding="utf-8-sig", newline="") as table:
            rows = csv.DictReader(table)
            return [(row["code"], file, rows.line_num) for row in rows]
    except (OSError, KeyError, UnicodeDecodeError):
        faults.append(Fault(file, 1, "must be a CSV file in UTF-8 with a column 'code'"))
        return []


def _grouped(pairs: Iterable[tuple[str, T]]) -> dict[str, tuple[T, ...]]:
    found: dict[str, list[T]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}
