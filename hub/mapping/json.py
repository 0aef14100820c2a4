"""Maps in JSON: dictionary literals to write, subscripts to read."""

import json
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from hub.canonical.schema import loads_strict
from hub.mapping.errors import Bad
from hub.mapping.model import Always, Blank, Each, Group, Pair, Report, Rule, Spec, rules_for
from hub.mapping.source import Lines, Ours, Source, Theirs, by_identity, counted, enough, refuse_condition

SIZE_LIMIT = 20_000_000


@dataclass(slots=True)
class Node:
    """What a scope's places make of one JSON object: its members in the order of the map."""

    members: dict[str, "Rule | Node"] = field(default_factory=dict)

    def sure(self) -> bool:
        """Whether something always stands in it."""
        return any(
            member.sure() if isinstance(member, Node) else not (isinstance(member, Pair) and member.may_be_empty)
            and not (isinstance(member, Group) and member.field.optional)
            for member in self.members.values()
        )  # fmt: skip

    def first(self) -> Rule:
        member = next(iter(self.members.values()))
        return member.first() if isinstance(member, Node) else member


def tree(rules: list[Rule], report: Report | None = None, sign: str = "/") -> Node:
    """*sign* sets the steps of a place apart; where there is none, a place is one member."""
    root = Node()
    for rule in rules:
        if not rule.place:
            continue
        at = root
        *outer, last = rule.place.split("/") if sign else [rule.place]
        for step in outer:
            inner = at.members.setdefault(step, Node())
            if not isinstance(inner, Node):
                if report:
                    report(rule.line, f"'{step}' is a value already and cannot hold '{rule.place}'")
                break
            at = inner
        else:
            if last in at.members and report:
                report(rule.line, f"'{last}' holds other places already and cannot be a value")
            at.members[last] = rule
    return root


def _sign(spec: Spec) -> str:
    return "/" if spec.format == "json" else ""


# --- writing ------------------------------------------------------------------------------------------------------


def write_source(spec: Spec) -> Source:
    """The module whose ``write(m)`` gives the JSON object."""
    source = Source(spec)
    _Writer(source).scope("write", spec.rules)
    return source


class _Writer:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.codes = source.codes("write", str)

    def scope(self, function: str, rules: list[Rule]) -> None:
        ours = Ours(self.source, self.codes)
        body: Lines = []
        name = self.object(tree(rules_for(rules, "write"), sign=_sign(self.source.spec)), ours, body)
        self.source.add(f"def {function}(m):")
        self.source.extend(ours.prelude, 1)
        self.source.extend(body, 1)
        self.source.add(f" return {name}")

    def object(self, node: Node, ours: Ours, body: Lines) -> str:
        """The statements that make one object; the name they give it."""
        lines: Lines = []
        empties = []
        for key, member in node.members.items():
            if isinstance(member, Node):
                value, sure, rule = self.object(member, ours, body), member.sure(), member.first()
            else:
                value, sure = self.member(member, ours)
                rule = member
            lines.append((f" {key!r}: {value},", rule))
            if not sure:
                empties.append((key, "not" if isinstance(member, Node) else "None is", rule))
        name = f"d{len(body)}"
        body.append((f"{name} = {{", None))
        body += lines
        body.append(("}", None))
        body += [(f"if {test} {name}[{key!r}]: del {name}[{key!r}]", rule) for key, test, rule in empties]
        return name

    def member(self, rule: Rule, ours: Ours) -> tuple[str, bool]:
        if isinstance(rule, Pair):
            return ours.written(rule, "None", lambda v: v), not rule.may_be_empty
        if isinstance(rule, Always):
            return ours.always(rule)[0], True
        assert isinstance(rule, Group | Each)
        function = self.source.new("w")
        self.scope(function, rule.rules)
        value = ours.value(rule.field)
        if isinstance(rule, Each):
            self.source.numbers[function] = rule, by_identity(attrgetter(str(rule.field)))
            return f"[{function}(i) for i in {enough(self.source, rule, value)}]", True
        made = f"{function}(x)"
        if allowed := ours.allows(rule):
            made = f"{made} if {allowed} else {self.source.bind(refuse_condition(rule))}(x)"
        return f"None if (x := {value}) is None else {made}", not rule.field.optional


# --- reading ------------------------------------------------------------------------------------------------------


def read_source(spec: Spec) -> Source:
    """The module whose ``read(m, o)`` gives the message of JSON object *m* under date order *o*."""
    source = Source(spec)
    _Reader(source).scope("read", spec.message, spec.rules)
    return source


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.codes = source.codes("read", str)

    def scope(self, function: str, cls: type, rules: list[Rule]) -> None:
        theirs = Theirs(self.source, cls, codes=self.codes)
        root = tree(rules_for(rules, "read"), sign=_sign(self.source.spec))
        theirs.prelude.append((f"{self.source.bind(_object)}(m)", root.first() if root.members else None))
        self.object(theirs, root, "m", (), counted(rules))
        self.source.add(f"def {function}(m, o):")
        self.source.extend(theirs.build(), 1)

    def object(
        self, theirs: Theirs, node: Node, holder: str, way: tuple[str, ...], first: set[tuple[str, ...]]
    ) -> None:
        if self.source.spec.unknown != "ignore" and node.members:
            look = self.source.bind(_strangers(self.source.spec, frozenset(node.members)))
            theirs.prelude.append((f"{look}({holder})", node.first()))
        for key, member in node.members.items():
            required = f"{holder}[{key!r}]"
            if isinstance(member, Node):
                name = f"j{len(theirs.prelude)}"
                theirs.prelude.append((f"{name} = {self.source.bind(_inner)}({holder}.get({key!r}))", member.first()))
                self.object(theirs, member, name, (*way, key), first)
            elif isinstance(member, Pair):
                empty = "in (None, '')" if member.field.shape.kind == "text" else "is None"
                theirs.pair(member, required, f"(x := {holder}.get({key!r})) {empty}")
            elif isinstance(member, Always):
                theirs.always(member, required, self.codes)
            elif isinstance(member, Blank):
                continue
            elif isinstance(member, Each):
                function = self.part(member)
                self.source.numbers[function] = member, by_identity(_Way((*way, key)))
                given = enough(self.source, member, f"{self.source.bind(_list)}({holder}.get({key!r}))")
                items = f"[{function}(i, o) for i in {given}]"
                theirs.part(member, items, first=member.field.names in first)
            else:
                assert isinstance(member, Group)
                function = self.part(member)
                if not member.field.shape.optional:
                    theirs.part(member, f"{function}({required}, o)")
                    continue
                theirs.part(member, f"None if (x := {holder}.get({key!r})) is None else {function}(x, o)")
                theirs.check(member)

    def part(self, rule: Group | Each) -> str:
        function = self.source.new("r")
        assert rule.field.shape.part is not None
        self.scope(function, rule.field.shape.part, rule.rules)
        return function


def _strangers(spec: Spec, known: frozenset[str]) -> Any:
    """Looks for members that the map does not know, and refuses or notices them."""

    def look(members: dict[str, Any]) -> None:
        for name in members.keys() - known:
            if spec.unknown == "refuse":
                raise Bad("map_unknown", "stands beside something that the map does not know")
            spec.notice(name)

    return look


class _Way:
    def __init__(self, way: tuple[str, ...]) -> None:
        self.way = way

    def __call__(self, value: Any) -> Any:
        for key in self.way:
            value = value[key]
        return value


_NOTHING: dict[str, Any] = {}


def _object(value: Any) -> None:
    if type(value) is not dict:
        raise Bad("invalid_type", "must be an object")


def _inner(value: Any) -> Any:
    if value is None:
        return _NOTHING
    _object(value)
    return value


def _list(value: Any) -> Any:
    if value is None:
        return ()
    if type(value) is not list:
        raise Bad("invalid_type", "must be a list")
    return value


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def loads(data: bytes) -> Any:
    """The value of *data*; refused: duplicate keys, NaN, lone surrogates, endless nesting, too many bytes."""
    return loads_strict(data.removeprefix(b"\xef\xbb\xbf"), SIZE_LIMIT)
