"""A new adapter out of a contract: everything that can be known from it, and ``todo`` where only a person can know."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.canonical.errors import HubError
from hub.canonical.events import EVENTS
from hub.channels.contract import PINS
from hub.conformance.check import FILE
from hub.conformance.rules import RULES
from hub.mapping import draft as drafts
from hub.mapping.draft import Offered, Refused
from hub.partners import Operation, Register, RegisterFaults, load
from hub.partners.manifest import NAME, SUBJECTS
from hub.security import xml
from hub.settings import Settings

__all__ = ["Refused", "Scaffolded", "scaffold"]

_EXAMPLES = (".xml", ".json", ".txt", ".csv", ".xlsx")
_TEST = '''"""What {id} must show before it ships.  Each rule fails until it is kept; data is all it takes."""

import pytest

from hub import conformance, settings


@pytest.fixture(scope="module")
def report():
    return conformance.check(settings.load(), "{id}")


@pytest.mark.parametrize("rule", [rule.name for rule in conformance.RULES if rule.tier == "bronze"])
def test_a_rule_is_kept(report, rule):
    (verdict,) = [verdict for verdict in report.verdicts if verdict.rule.name == rule]
    assert verdict.state == "kept", "\\n".join(map(str, verdict.findings))
'''


@dataclass(frozen=True, slots=True)
class Scaffolded:
    """One file that was written: what it is, and how many places of it a person must fill."""

    path: Path
    what: str
    todos: int


@dataclass(frozen=True, slots=True)
class _Twin:
    """An operation of another adapter that carries the same message: what it means is the same here."""

    operation: Operation
    purpose: str
    reply: str | None


@dataclass(slots=True)
class _Drawn:
    """What was drafted of one operation."""

    offered: Offered
    twin: _Twin | None
    drafts: dict[str, drafts.Draft]

    @property
    def message(self) -> str | None:
        """The message of its request; None where nothing tells which that is."""
        request = self.drafts.get("request")
        return request.message if request is not None and request.alike else None

    @property
    def enquiry(self) -> bool:
        """Whether it asks what became of another."""
        return "enquiry" in (self.message or "").lower()

    @property
    def unanswered(self) -> bool:
        """Whether what is sent is only handed over: a file has no reply."""
        return self.offered.channel == "files" and "reply" not in self.drafts


def scaffold(
    settings: Settings,
    id: str,
    contract: Path,
    *,
    operations: Sequence[str] = (),
    messages: Mapping[str, str] | None = None,
    samples: Sequence[Path] = (),
    into: Path | None = None,
) -> list[Scaffolded]:
    """Write adapter *id* out of *contract* into the home folder, or *into* another; answers what was written.

    *operations* are those wanted of the contract, if not all; *messages* names ours by operation where the guess from
    the names would be wrong; *samples* are put among the examples of the operation, or of ``request`` and ``reply``
    as their names begin.  Nothing that is there is written over.  Raises :class:`Refused` for a contract that cannot
    be drafted from, naming the construct, and for an id that is none or is taken.
    """
    if re.fullmatch(f"{NAME}/{NAME}", id) is None:
        raise Refused(f"'{id}'", "an adapter is called family/name, in small letters, digits and underscores")
    home = into or settings.home
    folder = home / "adapters" / id
    if (folder / "adapter.yaml").exists():
        raise Refused(f"'{id}'", "there is such an adapter already")
    offered = [one for one in drafts.operations(contract) if not operations or one.name in operations]
    if not offered:
        raise Refused(f"operation {', '.join(operations) or ''}".strip(), "the contract offers none")
    drawn, refused = _drawn(contract, offered, messages or {}, _twins(settings))
    folder.mkdir(parents=True, exist_ok=True)
    written = [Scaffolded(path, "contract", 0) for path in _copied(contract, folder)]
    for name, one in drawn.items():
        there = home / "mappings" / id / name
        there.mkdir(parents=True, exist_ok=True)
        for part, made in one.drafts.items():
            for file, data in made.schemas.items():
                if not (folder / file).exists():
                    (folder / file).parent.mkdir(parents=True, exist_ok=True)
                    (folder / file).write_bytes(data)
                    written.append(Scaffolded(folder / file, "schema", 0))
            (there / f"{part}.v1.yaml").write_text(made.text, "utf-8")
            written.append(Scaffolded(there / f"{part}.v1.yaml", "map", made.todos))
        written += _put_samples(one.offered, contract, samples, there)
    written.append(_pin(folder))
    manifest = _manifest(id, contract, drawn, refused)
    for path, text in (
        (folder / "adapter.yaml", manifest),
        (folder / FILE, _quality()),
        (folder / "QUIRKS.md", _quirks(id)),
        (home / "tests" / "adapters" / f"test_{id.replace('/', '_')}.py", _TEST.format(id=id)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written.append(Scaffolded(path, path.name, len(re.findall(r"\btodo\b", text, re.IGNORECASE))))
    return written


def _drawn(
    contract: Path, offered: Sequence[Offered], messages: Mapping[str, str], twins: Mapping[str, _Twin]
) -> tuple[dict[str, _Drawn], list[str]]:
    """What can be drafted of each operation, by its name, and why some cannot.  Raises Refused where none can."""
    found: dict[str, _Drawn] = {}
    refused: list[Refused] = []
    for one in offered:
        if _name(one.name) in found:  # the same at another port
            continue
        drawn = _Drawn(one, None, {})
        try:
            for part in one.parts:
                ours = messages.get(one.name if part == "request" else f"{one.name}/reply")
                if part == "reply" and ours is None and drawn.twin is not None:
                    ours = drawn.twin.reply
                drawn.drafts[part] = drafts.draft(contract, one.name, part=part, message=ours)
                if part == "request":
                    drawn.twin = twins.get(drawn.message or "")
        except Refused as why:
            refused.append(why)
            continue
        found[_name(one.name)] = drawn
    if not found:
        raise refused[0]
    _enquiries_answer_alike(contract, found, messages)
    return found, [str(why) for why in refused]


def _enquiries_answer_alike(contract: Path, found: Mapping[str, _Drawn], messages: Mapping[str, str]) -> None:
    """What an enquiry is answered with is what the operation that it asks about would have been, and means the same."""
    asked = next((one for one in found.values() if one.twin and one.twin.operation.enquiry), None)
    if asked is None or "reply" not in asked.drafts:
        return
    ours = asked.drafts["reply"].message
    for one in found.values():
        if not one.enquiry or "reply" not in one.drafts or f"{one.offered.name}/reply" in messages:
            continue
        if one.drafts["reply"].message != ours:
            one.drafts["reply"] = drafts.draft(contract, one.offered.name, part="reply", message=ours)
            one.twin = asked.twin


def _name(operation: str) -> str:
    """The operation's name as the hub writes names: ``SubmitVisa`` and ``POST /visa/submit`` → submit_visa …"""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", operation)
    name = re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")
    return name if re.match(r"[a-z]", name) else f"operation_{name}".rstrip("_")


def _twins(settings: Settings) -> dict[str, _Twin]:
    """For each message, an operation that carries it, of an adapter that somebody is reached by where there is one."""
    try:
        register: Register = load(settings)
    except RegisterFaults:
        return {}
    used = {adapter.id for one in register.enabled for adapter in one.adapters}
    found: dict[str, _Twin] = {}
    for (adapter, operation, side), one in sorted(register.maps.items(), key=lambda at: (at[0][0] not in used, at[0])):
        if side == "request":
            reply = register.maps.get((adapter, operation, "reply"))
            known = register.adapters[adapter]
            twin = _Twin(known.operations[operation], known.purpose, reply.message.__name__ if reply else None)
            found.setdefault(one.message.__name__, twin)
    return found


def _copied(contract: Path, folder: Path) -> Iterator[Path]:
    """The contract and the files beside it that it names, copied; each must lie in the contract's own folder."""
    beside = contract.resolve().parent
    waiting, seen = [contract.resolve()], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        target = folder / path.relative_to(beside)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        yield target
        if path.suffix.lower() in (".wsdl", ".xsd"):
            for named in _names(path):
                other = (path.parent / named).resolve()
                if other.is_file() and other.is_relative_to(beside):
                    waiting.append(other)


def _names(path: Path) -> Iterator[str]:
    try:
        root = xml.parse(path.read_bytes())
    except HubError:
        return
    for element in root.iter():
        for attribute in ("schemaLocation", "location"):
            named = element.get(attribute)
            if named and "://" not in named and str(element.tag).rpartition("}")[2] in ("import", "include"):
                yield named


def _put_samples(one: Offered, contract: Path, samples: Sequence[Path], there: Path) -> Iterator[Scaffolded]:
    """The partner's samples, where the examples of the operation lie: our form of each is still to be written."""
    given = list(samples)
    if drafts.kind(contract) == "sample":
        given.insert(0, contract)
    for sample in given:
        if sample.suffix.lower() not in _EXAMPLES:
            continue
        stem = sample.stem.lower().replace(" ", "_")
        side = next((part for part in one.parts if stem.startswith(part)), None)
        name = stem if side else f"request-{stem}"
        path = there / "examples" / f"{name}{sample.suffix.lower()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample, path)
        yield Scaffolded(path, "sample", 1)


def _pin(folder: Path) -> Scaffolded:
    pins = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != PINS
    )
    (folder / PINS).write_text(pins, "utf-8")
    return Scaffolded(folder / PINS, "pins", 0)


# ---------------------------------------------------------------------------------------------- what is written


def _manifest(id: str, contract: Path, drawn: Mapping[str, _Drawn], refused: Sequence[str]) -> str:
    channels = [one.offered.channel for one in drawn.values()]
    channel = max(set(channels), key=channels.count)
    twins = [one.twin for one in drawn.values() if one.twin is not None]
    # An enquiry is for whatever the thing is for that it asks about.
    purposes = {one.twin.purpose for one in drawn.values() if one.twin and not one.enquiry}
    purpose = purposes.pop() if len(purposes) == 1 else "todo"
    lines = [
        f"# Drafted from {contract.name}.  `hub adapter check {id}` says what is still to do;",
        "# docs/manifests.md has the grammar.",
        *(f"# Left out: {why}" for why in refused),
        f"adapter: {id}",
        "name: {en: todo, ar: todo}",
        f"channel: {channel}",
        f"contract: {contract.name}",
        f"purpose: {purpose}"
        + ("                # one of mappings/purposes.yaml, or a new one there" if purpose == "todo" else ""),
        "draft: true                  # the hub leaves it alone until this line goes",
        "operations:",
    ]
    suffix = ".xml" if contract.suffix.lower() == ".xsd" else contract.suffix.lower()
    asks = next((name for name, one in drawn.items() if one.enquiry), None)
    enquired = any(twin.operation.enquiry for twin in twins)
    for name, one in drawn.items():
        lines.append(f"  {name}:")
        lines += [f"    {line}" for line in _operation(name, one, channel, asks if enquired else None, suffix)]
    return "\n".join(lines) + "\n"


def _operation(name: str, one: _Drawn, channel: str, asks: str | None, suffix: str) -> Iterator[str]:
    """The lines of one operation; *asks* is the one that enquires what became of another."""
    offered, enquiry = one.offered, name == asks
    twin: Operation | None = one.twin.operation if one.twin else None
    if offered.channel != channel:
        yield f"channel: {offered.channel}"
    if twin is not None:
        yield f"# as {twin.adapter} has {twin.name}, which carries the same message"
    elif one.message is None:
        yield f"# todo: which message of ours it carries. `hub map fields` lists them; --message {offered.name}=MESSAGE"
    if enquiry:
        yield "repeat: safe"
    elif twin is None:
        yield f"when: todo                 # the event that causes it: {', '.join(list(EVENTS)[:3])} …"
        yield f"per: todo                  # {', '.join(SUBJECTS)}"
        yield "repeat: todo               # safe, never or {keyed: FIELD}"
    elif twin.direction == "out":
        if twin.when:
            yield f"when: {twin.when}"
            yield f"per: {twin.per}"
        if twin.batch:
            by = f"by: {twin.batch.by}, " if twin.batch.by else ""
            yield f"batch: {{{by}max: {twin.batch.max}, within: {twin.batch.within:g}s}}"
        if twin.to:
            yield f"to: {twin.to}"
        yield f"repeat: {{keyed: {twin.keyed}}}" if twin.keyed else f"repeat: {twin.repeat}"
        if twin.enquiry and asks:
            yield f"enquiry: {asks}"
    if offered.channel == "files":
        yield f'files: {{name: "{name.upper()}-{{partner}}-{{sequence:06}}{suffix}"}}    # todo: the partner\'s names'
    else:
        wire = dict(offered.wire) | ({"signed": "hmac"} if offered.channel == "rest" else {})
        yield f"{offered.channel}: {{{', '.join(f'{key}: {_quoted(value)}' for key, value in wire.items())}}}"
    yield from _meaning(twin, one.unanswered)
    if not enquiry and (twin is None or twin.direction == "out"):
        place = _place(one.drafts["request"].text, twin.keyed or "key" if twin else "key")
        yield f"effect: {{key: {place}, of: {place}}}    # in the raw bytes: our key, and what may be done once only"
        made = twin.simulate if twin else None
        outcomes = ", ".join(f"{k}: {v}" for k, v in (made.outcomes if made else {}).items()) or "todo: 100"
        make = ", ".join(f"{k}: {v}" for k, v in (made.make if made else {}).items())
        if one.unanswered:
            outcomes, make = "delivered: 100", ""
        yield f"simulate: {{outcomes: {{{outcomes}}}{f', make: {{{make}}}' if make else ''}}}"


def _meaning(twin: Operation | None, unanswered: bool) -> Iterator[str]:
    """What its outcomes mean, and how the thing it is about is found."""
    if twin is None:
        yield "gives: {todo: todo}         # outcome: event, or nothing"
        return
    if twin.direction == "out" and unanswered:
        yield f"gives: {{delivered: {twin.gives.get('delivered', 'nothing')}}}"
        return
    if twin.sequence:
        yield f"sequence: {twin.sequence}"
    if twin.each:
        yield f"each: {twin.each}"
    if twin.find:
        yield "find: {" + ", ".join(f"{kind}: [{', '.join(names)}]" for kind, names in twin.find.items()) + "}"
    if twin.key:
        yield f"key: [{', '.join(twin.key)}]"
    if twin.happened:
        yield f"happened: {twin.happened}"
    if twin.gives:
        yield "gives: {" + ", ".join(f"{outcome}: {event}" for outcome, event in twin.gives.items()) + "}"
    if twin.answer:
        yield f"answer: {twin.answer}"


def _quoted(value: str) -> str:
    """*value* as YAML takes it within braces."""
    return value if re.fullmatch(r"[\w./-]+", value) else json.dumps(value, ensure_ascii=False)


def _place(text: str, field: str) -> str:
    """Where the map in *text* has our key, as ``effect:`` writes it; of an XML message only a person can say."""
    found = re.search(rf"^  ([\w/.-]+): +{field}\b", text, re.MULTILINE)
    return f"/{found[1]}" if found and "\nformat: json" in text else "todo"


def _quality() -> str:
    head = "# What this adapter keeps of the quality scale: done, todo, or {exempt: WHY}.\n"
    return head + "# `hub adapter check --record` fills it in.\n" + "".join(f"{rule.name}: todo\n" for rule in RULES)


def _quirks(id: str) -> str:
    return (
        f"# Oddities of {id}\n\nTo do: one line for each thing in which the partner is not as its contract, or\n"
        "anybody, would expect, and why this matters.\n"
    )
