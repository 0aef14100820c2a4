"""The rules of the quality scale: what each asks, which tier it belongs to, and how a machine sees it kept.

A rule looks at one adapter and knows none by name.  What does not apply to an adapter (nothing is signed where nothing
is called) is kept by it; what it has a reason not to keep, its ``quality.yaml`` says with that reason, where the rule
allows it.
"""

import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from hub.canonical.declare import shapes
from hub.canonical.errors import HubError
from hub.channels.contract import PINS, check_contract
from hub.conformance import play
from hub.conformance.subject import Finding, Subject
from hub.mapping.model import Each, Group, Pair
from hub.mapping.model import Rule as MapRule
from hub.partners import RegisterFaults, load
from hub.security import xml

#: What is reached, the lowest first.  A tier asks for everything below it too.
TIERS = ("bronze", "silver")
#: Words of a page about oddities below which it says nothing yet.
FEWEST_WORDS = 20


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.  ``may_be_exempt`` says whether an adapter may have a reason not to keep it, ``before`` whether it can
    be looked at before the manifest loads."""

    name: str
    tier: str
    asks: str
    broken: Callable[[Subject], Iterable[Finding]]
    may_be_exempt: bool = False
    before: bool = False


def manifest(subject: Subject) -> Iterator[Finding]:
    for fault in subject.faults:
        if (
            fault.path == subject.manifest
            and " an active map is needed" not in fault.text
            and not _of_purpose(fault.text)
        ):
            yield Finding(*_parts(fault))
    if subject.adapter is None and not subject.faults:
        yield subject.told("is not a manifest")


def released(subject: Subject) -> Iterator[Finding]:
    if re.search(r"^draft:", (subject.folder / "adapter.yaml").read_text("utf-8"), re.MULTILINE):
        yield subject.told(
            "is a draft, which the hub leaves alone: take the line 'draft: true' out when the rest is done"
        )


def contract(subject: Subject) -> Iterator[Finding]:
    adapter = subject.adapter
    if adapter is None:
        return
    shown = f"{subject.manifest.rpartition('/')[0]}/{adapter.contract.name}"
    if not adapter.contract.is_file():
        yield Finding(shown, 0, "is not there")
        return
    data = adapter.contract.read_bytes()
    if not data.strip():
        yield Finding(shown, 0, "is empty")
        return
    if adapter.contract.suffix in (".wsdl", ".xsd", ".xml"):
        try:
            xml.parse(data)
        except HubError as error:
            yield Finding(shown, 0, error.en)
            return
    described = _described(data) if adapter.contract.suffix in (".yaml", ".yml", ".json") else None
    for op in subject.operations:
        if op.channel == "soap":
            try:
                check_contract(op.folder, op.wire, op.driver)
            except HubError as error:
                yield Finding(subject.manifest, op.line, f"{op.name}: {error.en}")
        elif op.channel == "rest" and described is not None:
            method, path = op.wire["method"].lower(), op.wire["path"]
            if method not in described.get(path, ()):
                yield Finding(subject.manifest, op.line, f"{op.name}: {shown} has no {method.upper()} {path}")


def _described(data: bytes) -> dict[str, set[str]] | None:
    """The paths of an OpenAPI document and their methods; None where the contract is none."""
    try:
        found: Any = yaml.safe_load(data)
    except yaml.YAMLError:
        return {}
    if not isinstance(found, dict) or not {"openapi", "swagger"} & found.keys():
        return None
    every = {**(found.get("paths") or {}), **(found.get("webhooks") or {})}
    return {path: {str(method).lower() for method in items} for path, items in every.items() if isinstance(items, dict)}


def maps(subject: Subject) -> Iterator[Finding]:
    for one in subject.maps:
        yield from (Finding(one.shown, fault.line, fault.text) for fault in one.faults)
        if one.map is not None and one.map.spec.draft is not None:
            yield Finding(one.shown, 1, "is a draft: decide what is still to do and take the line 'draft:' out")
            yield from (Finding(one.shown, warning.line, warning.text) for warning in one.map.warnings)
    there = {(one.operation, one.side) for one in subject.maps}
    for fault in subject.faults:
        if " an active map is needed" in fault.text:
            path = fault.text.partition(": ")[2].partition(": ")[0]
            operation, side = path.split("/")[-2], path.rpartition("/")[2].partition(".")[0]
            if (operation, side) not in there:
                yield Finding(path, 0, "is not there")
        elif fault.path.startswith(subject.manifest.partition("adapters/")[0] + "mappings/") and not any(
            fault.path.endswith(one.shown) for one in subject.maps
        ):
            yield Finding(*_parts(fault))


def examples(subject: Subject) -> Iterator[Finding]:
    from hub.mapping import laws

    for one in subject.maps:
        if one.map is None:
            continue
        if not one.map.examples:
            yield Finding(
                one.shown, 0, "has no example pair: a sample of the partner's and its .canonical.json beside it"
            )
        for sample in one.map.examples if one.map.spec.draft is None else ():
            shown = f"{one.shown.rpartition('/')[0]}/examples/{sample.name}"
            try:
                laws.example(one.map, sample)
            except (HubError, AssertionError) as error:
                yield Finding(shown, 0, str(error))
            except (LookupError, TypeError, ValueError) as error:
                yield Finding(
                    shown, 0, f"its .canonical.json is no {one.map.message.__name__} ({type(error).__name__})"
                )


def laws(subject: Subject) -> Iterator[Finding]:
    from hub.mapping import laws as the_laws

    if importlib.util.find_spec("hypothesis") is None:
        yield subject.told("the laws cannot be tried without hypothesis, which the extra 'test' brings")
        return
    for one in subject.maps:
        if one.map is None or one.map.spec.draft is not None:
            yield Finding(one.shown, 1, "cannot be tried while it is a draft or does not load")
    for one, map_ in subject.sound:
        try:
            the_laws.hold(map_, examples=subject.laws)
        except Exception as error:
            yield Finding(one.shown, 1, f"breaks a law of maps: {type(error).__name__}: {str(error).splitlines()[0]}")


def purpose(subject: Subject) -> Iterator[Finding]:
    for fault in subject.faults:
        if _of_purpose(fault.text):
            yield Finding(*_parts(fault))


def _of_purpose(text: str) -> bool:
    return "which purpose '" in text or text.startswith("no purpose '")


def round_trip(subject: Subject) -> Iterator[Finding]:
    return play.round_trip(subject) if subject.adapter else iter(())


def faults(subject: Subject) -> Iterator[Finding]:
    return play.fault_suite(subject) if subject.adapter else iter(())


def quirks(subject: Subject) -> Iterator[Finding]:
    path = subject.folder / "QUIRKS.md"
    text = path.read_text("utf-8") if path.is_file() else ""
    if len(text.split()) < FEWEST_WORDS or "to do" in text.lower() or "todo" in text.lower():
        shown = f"{subject.manifest.rpartition('/')[0]}/QUIRKS.md"
        yield Finding(shown, 0, "does not say yet in what the partner is odd, and why that matters")


def outcomes(subject: Subject) -> Iterator[Finding]:
    for op in subject.operations:
        one = subject.in_use(op, "request" if op.direction == "in" else "reply")
        if one is None or op.channel == "api":
            continue
        shown = {
            getattr(line, "outcome", None) for example in subject.examples(one) for line in _lines(op, example.message)
        }
        for outcome in op.gives:
            if outcome not in shown and shapes(one.message) and outcome not in ("delivered", "received"):
                text = f"{op.name}: no example of {one.name} shows outcome '{outcome}'"
                yield Finding(subject.manifest, op.line, text)


def _lines(op: Any, message: Any) -> list[Any]:
    return list(getattr(message, op.each)) if op.each else [message]


def covered(subject: Subject) -> Iterator[Finding]:
    for one, map_ in subject.sound:
        given = [example.message for example in subject.examples(map_)]
        rules = [*map_.spec.rules, *(rule for record in map_.spec.records for rule in _record(record, map_.message))]
        for place, line in _never(rules, given) if given else ():
            yield Finding(one.shown, line, f"no example fills '{place}'")


def _record(record: Any, message: type) -> list[MapRule]:
    if record.each is None:
        return list(record.rules)
    return [Each(place=record.name, full=record.name, line=record.line, field=record.each, rules=record.rules)]


def _never(rules: Iterable[MapRule], messages: list[Any]) -> Iterator[tuple[str, int]]:
    """The pairs for which none of *messages* has a value."""
    for rule in rules:
        if not isinstance(rule, Pair | Group | Each):
            continue
        values = [value for value in (_value(one, rule) for one in messages) if value is not None]
        if isinstance(rule, Each):
            values = [item for value in values for item in value]
        if not values:
            yield str(rule.field), rule.line
        elif not isinstance(rule, Pair):
            yield from _never(rule.rules, values)


def _value(message: Any, rule: Pair | Group | Each) -> Any:
    for name in rule.field.names:
        message = None if message is None else getattr(message, name, None)
    return message


def enquiry(subject: Subject) -> Iterator[Finding]:
    for op in subject.operations:
        if op.direction == "out" and op.repeat == "never" and op.channel != "files" and op.enquiry is None:
            text = f"{op.name}: what must not be repeated wants an 'enquiry:', so that nobody has to ring up"
            yield Finding(subject.manifest, op.line, text)


def not_done(subject: Subject) -> Iterator[Finding]:
    for op in subject.operations:
        if op.direction == "out" and op.channel in ("soap", "rest") and op.repeat != "safe" and not op.not_done:
            text = f"{op.name}: 'not_done:' lists no status that says nothing was done, so every failure is enquired"
            yield Finding(subject.manifest, op.line, text)


def signed(subject: Subject) -> Iterator[Finding]:
    for op in subject.operations:
        if op.channel == "rest" and not op.wire.get("signed"):
            yield Finding(subject.manifest, op.line, f"{op.name}: says not 'signed: hmac'")


def pinned(subject: Subject) -> Iterator[Finding]:
    if subject.adapter is None:
        return
    folder, name = subject.adapter.folder, subject.adapter.contract.name
    path = folder / PINS
    shown = f"{subject.manifest.rpartition('/')[0]}/{PINS}"
    pins = {}
    if path.is_file():
        lines = (line.split(maxsplit=1) for line in path.read_text("utf-8").splitlines() if line.strip())
        pins = {rest[0].lstrip("*").strip(): digest for digest, *rest in lines if rest}
    if name not in pins:
        yield Finding(shown, 0, f"does not list {name}: write it with `sha256sum {name} > {PINS}`")
    for pin, digest in pins.items():
        file = folder / pin
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            yield Finding(shown, 0, f"{pin} is not the file that was pinned")


def published(subject: Subject) -> Iterator[Finding]:
    called = any(op.channel in ("soap", "rest") and op.direction == "out" for op in subject.operations)
    if called and subject.adapter and subject.adapter.published is None:
        yield subject.told("'published:' does not say where the partner shows the contract it keeps now")


def partner(subject: Subject) -> Iterator[Finding]:
    try:
        speaking = load(subject.settings).speaking(subject.id)
    except RegisterFaults as wrong:
        yield subject.told(f"nobody can be seen to have it: {len(wrong.faults)} faults stand in the files of partners")
        return
    if not speaking:
        yield subject.told("no partner has it: add a row to partners.yaml, 'enabled: false' until it is live")
    for one in speaking:
        if "hours" not in one.contact:
            yield Finding(one.path, one.line, f"{one.id}: 'contact:' does not say the hours of its desk")


def _parts(fault: Any) -> tuple[str, int, str]:
    return fault.path, fault.line, fault.text


RULES = (
    Rule("manifest", "bronze", "The manifest loads and agrees with the messages of its maps.", manifest, before=True),
    Rule("contract", "bronze", "The contract is there, is sound and has what the manifest names.", contract),
    Rule("maps", "bronze", "Every map is there, loads and is no draft.", maps, before=True),
    Rule("examples", "bronze", "Every map has an example pair, and keeps it both ways.", examples, before=True),
    Rule("laws", "bronze", "Every map keeps the four laws.", laws, before=True),
    Rule("purpose", "bronze", "No map carries a field that the purpose does not allow.", purpose),
    Rule("round_trip", "bronze", "Over real sockets and folders every outcome comes back as it was meant.", round_trip),
    Rule("faults", "bronze", "Whatever goes wrong, nothing false is believed and nothing done twice.", faults),
    Rule("released", "bronze", "The manifest is no draft.", released, before=True),
    Rule("quirks", "silver", "QUIRKS.md says in what the partner is odd and why that matters.", quirks),
    Rule("outcomes", "silver", "Every outcome that means something is shown by an example.", outcomes, True),
    Rule("covered", "silver", "The examples between them fill every field that the maps carry.", covered, True),
    Rule("enquiry", "silver", "What must not be repeated can be enquired.", enquiry, True),
    Rule("not_done", "silver", "The statuses that say nothing was done are listed.", not_done, True),
    Rule("signed", "silver", "REST calls are signed.", signed, True),
    Rule("pinned", "silver", "The contract is pinned by its hash.", pinned),
    Rule("published", "silver", "It is known where the partner shows the contract it keeps now.", published, True),
    Rule("partner", "silver", "A partner has it, and its desk's hours are known.", partner, True),
)  # fmt: skip
