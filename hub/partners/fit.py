"""Whether what was found fits together: manifests with maps and purposes, partners with the codes that cases have."""

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from hub.canonical.messages import MESSAGES
from hub.mapping import Map
from hub.partners import agreement
from hub.partners.documents import Fault, did_you_mean
from hub.partners.manifest import Adapter, Operation
from hub.partners.partner import Partner
from hub.partners.schedules import Purpose, Schedule

Side = Literal["request", "reply"]
Maps = Mapping[tuple[str, str, Side], Map]
T = TypeVar("T")
K = TypeVar("K")
#: Where the codes of a ``to:`` are listed that need somebody to serve them; the others are those that agents name.
_LISTED = {"hotel_code": "mappings/tables/hotels.csv", "company_code": "mappings/tables/carriers.csv"}


def agree(
    adapters: Mapping[str, Adapter],
    maps: Maps,
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
            sends, tells = messages(op, maps)
            later = adapter.operations.get(op.simulate.sends or "") if op.simulate else None
            told = agreement.outcomes(op, tells)
            told_later = agreement.outcomes(later, messages(later, maps)[1]) if later else ()
            lacking = [*_lacking(op, request, reply)]
            # Of a map that cannot be used nobody knows yet what it tells.
            unsaid = () if lacking and tells is None else agreement.unsaid_outcomes(op, told, told_later)
            for said in (
                *lacking,
                *(f"{key}: {said}" for key, said in agreement.unsaid(op, sends, tells)),
                *(f"{key}: {said}" for key, said in unsaid),
            ):
                faults.append(Fault(adapter.path, op.line, f"{op.name}: {said}"))
            for one in (request, reply):
                if one is None or purpose is None:
                    continue
                for path in sorted(one.carries - purpose.paths):
                    said = f"carries '{path}', which purpose '{adapter.purpose}' of {adapter.id} does not allow; "
                    said += "take the field out of the map, or give the purpose the path and its reason"
                    faults.append(Fault(f"{_before(adapter)}mappings/{one.name}.v{one.version}.yaml", 1, said))


def _before(adapter: Adapter) -> str:
    """What stands before the paths of the source that *adapter* comes from."""
    return adapter.path.partition("adapters/")[0]


def messages(op: Operation, maps: Maps) -> tuple[type | None, type | None]:
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
    elif op.channel == "soap" and op.direction == "in" and request.spec.schema is None:
        # What a stranger posts is held to the contract's own schema before anything of it is believed.
        yield f"{folder}/request.v{request.version}.yaml needs 'schema:', the one that {op.wire['wsdl']} imports"
    answered = op.answer is not None if op.direction == "in" else op.channel in ("soap", "rest")
    if reply is None and answered:
        yield f"{folder}/reply.v1.yaml: {active}"
    elif reply is not None and not answered:
        yield f"{folder}/reply.v{reply.version}.yaml has no use: " + (
            "a file is only handed over" if op.direction == "out" else "the manifest gives no 'answer:'"
        )
    elif reply is not None and op.answer is not None and reply.message.__name__ != op.answer:
        yield f"answers {op.answer}, but {folder} has a map of {reply.message.__name__}"


def know_each_other(partners: Mapping[str, Partner], schedules: Mapping[str, Schedule], faults: list[Fault]) -> None:
    """Agents name their company; what is scheduled only is collected from everybody."""
    shown = grouped((sha256, one.id) for one in partners.values() for sha256 in one.certificates)
    collected = {(one.partner.id, one.operation.name) for one in schedules.values() if one.operation}
    for one in partners.values():
        company = partners.get(one.agent.company) if one.agent else None
        if one.agent and (company is None or company.role != "company"):
            said = f"{one.id}: '{one.agent.company}' is no partner with 'role: company'"
            faults.append(Fault(one.path, one.line, said + did_you_mean(one.agent.company, partners)))
        for other in {id for sha256 in one.certificates for id in shown[sha256]} - {one.id}:
            faults.append(Fault(one.path, one.line, f"{one.id}: {other} is known by the same certificate"))
        for op in one.operations.values():
            if one.enabled and op.scheduled and (one.id, op.name) not in collected:
                said = f"{one.id}: nothing in schedules/ ever collects '{op.name}' from it"
                faults.append(Fault(one.path, one.line, said))


def served(
    home: Path,
    adapters: Mapping[str, Adapter],
    partners: Mapping[str, Partner],
    paused: Collection[str],
    faults: list[Fault],
) -> None:
    """Every code that a case may have is served by exactly one partner of the adapters that take it.

    Of a partner that is *paused* (switched off while the hub runs) somebody knows that its codes are nobody's for now.
    """
    spoken = grouped((adapter.id, one) for one in partners.values() for adapter in one.adapters)
    for adapter in adapters.values():
        speaking = spoken.get(adapter.id, ())
        for one in speaking:
            for word in one.serves:
                if all(word not in _words(other) for other in one.adapters):
                    said = f"{one.id}: serves '{word}', by which none of its adapters' operations is addressed or held"
                    faults.append(Fault(one.path, one.line, said))
        enabled = sum(one.enabled for one in speaking)
        if enabled > 1:
            for op in adapter.operations.values():
                if op.when and op.to is None:
                    said = f"{op.name}: {enabled} partners have this adapter, so 'to:' must say which is meant"
                    faults.append(Fault(adapter.path, op.line, said))
    listed = {word: _codes(home, file, faults) for word, file in _LISTED.items()}
    for operations in alternatives(adapters.values()):
        word = (operations[0].to or "").rpartition(".")[2]
        serving: dict[str, Partner] = {}
        speaking = tuple(dict.fromkeys(one for op in operations for one in spoken.get(op.adapter, ()) if one.enabled))
        for one in speaking:
            for code in one.serves.get(word, ()):
                first = serving.setdefault(code, one)
                if first is not one:
                    said = f"{one.id}: serves {word} '{code}', which {first.id} serves already"
                    faults.append(Fault(one.path, one.line, said))
        if operations[0].optional or not speaking:
            continue
        known = set(serving)
        for op in operations:
            known.update(c for one in spoken.get(op.adapter, ()) if one.id in paused for c in one.serves.get(word, ()))
        ids = {op.adapter for op in operations if any(one.enabled for one in spoken.get(op.adapter, ()))}
        for code, path, line in listed[word] if word in listed else _named_by_agents(word, partners.values()):
            if code not in known:
                said = f"{word} '{code}' is served by no partner of {' or '.join(sorted(ids))}"
                faults.append(Fault(path, line, said + did_you_mean(code, known)))


def _words(adapter: Adapter) -> set[str]:
    """By which words its partners are chosen, or held to the bills of those they serve."""
    operations = adapter.operations.values()
    chosen = {op.to.rpartition(".")[2] for op in operations if op.to}
    return chosen | ({"company"} if any("voucher" in op.find for op in operations) else set())


def alternatives(adapters: Iterable[Adapter]) -> Iterable[list[Operation]]:
    """The addressed operations, those together of which a case needs one; of optional ones each by itself."""
    found: dict[tuple[str | None, ...], list[Operation]] = {}
    for adapter in adapters:
        for op in adapter.operations.values():
            if op.to is not None:
                found.setdefault((op.when, op.to, f"{adapter.id}/{op.name}" if op.optional else None), []).append(op)
    return found.values()


def alternative(one: Operation, other: Operation) -> bool:
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


def grouped(pairs: Iterable[tuple[K, T]]) -> dict[K, tuple[T, ...]]:
    found: dict[K, list[T]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}
