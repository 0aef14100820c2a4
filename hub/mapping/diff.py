"""What a map's successor changes: on the wire, in its codes, and in what it carries of ours."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from hub.mapping.compiled import Map
from hub.mapping.model import MISSING, Always, Each, Group, Pair, Record, Rule, Spec, Table

#: What a Spec says of the file that the map is in, and what was worked out from it: not what is on the wire.
_NOT_WIRE = {"path", "shown", "name", "version", "message_line", "fields_line", "understood", "unready", "draft"}


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """``kind`` is what the new map does to ``what`` at ``where``; ``was`` and ``now`` are what either says there."""

    what: Literal["file", "place", "order", "code", "field"]
    where: str
    kind: Literal["gains", "loses", "changes"]
    was: str = ""
    now: str = ""


def diff(old: Map, new: Map) -> list[Change]:
    """Every change from *old* to *new*: the file's head, then places in the old order, codes, and our fields."""
    return [*_head(old.spec, new.spec), *_places(old.spec, new.spec), *_codes(old.spec, new.spec), *_fields(old, new)]


def _head(old: Spec, new: Spec) -> Iterator[Change]:
    for entry in dataclasses.fields(Spec):
        was, now = getattr(old, entry.name), getattr(new, entry.name)
        if entry.name in _NOT_WIRE or not isinstance(
            was if was is not None else now, str | int | bool | tuple | Path | type
        ):
            continue
        if _plain(was) != _plain(now):
            kind: Literal["gains", "loses", "changes"] = "changes"
            if not _plain(was) or not _plain(now):
                kind = "gains" if not _plain(was) else "loses"
            yield Change("file", entry.name, kind, _plain(was), _plain(now))


def _plain(value: object) -> str:
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, Path):
        return value.name
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    return "" if value is None or value is False else str(value)


# --- places -------------------------------------------------------------------------------------------------------


def _each_place(spec: Spec, called: Mapping[str, str] = MappingProxyType({})) -> Iterator[tuple[str, Rule, str]]:
    """Every place with its rule and the way to our fields there, lists and groups before what they hold.

    *called* are the prefixes that go by another name.
    """
    for rules, prefix in ((spec.header, "header "), (spec.rules, "")):
        for where, rule, way in _below(rules, ""):
            steps = re.sub(r"([\w.-]+):(?=[\w])", lambda m: f"{called.get(m[1], m[1])}:", where) if called else where
            yield prefix + steps, rule, way
    for record in spec.kinds:
        way = _way(spec, record)
        yield from ((f"{record.name} {where}", rule, way + inner) for where, rule, inner in _below(record.rules, ""))


def _way(spec: Spec, record: Record) -> str:
    outer = _way(spec, spec.kinds[record.parent]) if record.parent >= 0 else ""
    part = record.each or record.group
    return f"{outer}{part}." if part is not None else outer


def _renamed(old: Spec, new: Spec) -> dict[str, str]:
    """For each prefix of *new* what *old* calls its namespace: a prefix is a name for us, not on the wire."""
    names = {uri: prefix for prefix, uri in old.namespaces.items()}
    return {
        prefix: names.get(uri, uri if prefix in old.namespaces else prefix) for prefix, uri in new.namespaces.items()
    }


def _below(rules: list[Rule], way: str) -> Iterator[tuple[str, Rule, str]]:
    for rule in rules:
        yield rule.full, rule, way
        if isinstance(rule, Group | Each):
            yield from _below(rule.rules, f"{way}{rule.field}.")


def said(rule: Rule) -> str:
    """*rule* as a map writes it, table names aside: their codes are told one by one."""
    match rule:
        case Pair():
            form = "" if rule.form is None else f" | {'table' if rule.form.name == 'table' else _form(rule.form)}"
            more = [f"only {rule.only}"] if rule.only else []
            more += ["lossy"] if rule.lossy else []
            more += [f"default {rule.default}"] if rule.default is not MISSING else []
            if rule.otherwise is not None:
                other, own = rule.otherwise
                more.append(f"else {other}" + ("" if own is None else f" | {_form(own)}"))
            return f"{rule.field}{form}" + (f" ({', '.join(more)})" if more else "")
        case Always():
            form = "" if rule.form is None else f" | {_form(rule.form)}"
            if rule.text is not None:
                return f"= '{rule.text}'"
            return f"= {f'count({rule.each})' if rule.summed is None else f'sum({rule.each}.{rule.summed.name})'}{form}"
        case Group():
            when = rule.when
            told = "" if when is None else f" when {when.field} is {'not ' if when.negated else ''}{when.value}"
            return f"group {rule.field}{told}"
        case Each():
            return f"each {rule.field}" + (f" (at least {rule.least})" if rule.least else "")
    return "todo"


def _form(form: object) -> str:
    zone = getattr(form, "zone", None)
    return f"{form} {zone.key}" if zone is not None else str(form)


def _places(old: Spec, new: Spec) -> Iterator[Change]:
    was = {where: said(rule) for where, rule, _ in _each_place(old)}
    now = {where: said(rule) for where, rule, _ in _each_place(new, _renamed(old, new))}
    for where in was:
        if where not in now:
            yield Change("place", where, "loses", was[where])
        elif was[where] != now[where]:
            yield Change("place", where, "changes", was[where], now[where])
    for where in now:
        if where not in was:
            yield Change("place", where, "gains", "", now[where])
    if old.format == new.format != "json":
        yield from _order([w for w in was if w in now], [w for w in now if w in was])


def _order(was: list[str], now: list[str]) -> Iterator[Change]:
    """The first place that stands elsewhere than it did: what follows it moved with it."""
    for before, after in zip(was, now, strict=True):
        if before != after:
            yield Change("order", after, "changes", f"after {before}", f"before {before}")
            return


# --- codes and fields ---------------------------------------------------------------------------------------------


def _tables(spec: Spec) -> dict[str, Table]:
    return {
        where: spec.tables[rule.form.argument]
        for where, rule, _ in _each_place(spec)
        if isinstance(rule, Pair) and rule.form is not None and rule.form.name == "table"
        and rule.form.argument in spec.tables
    }  # fmt: skip


def _codes(old: Spec, new: Spec) -> Iterator[Change]:
    was, now = _tables(old), _tables(new)
    for where in was:
        if where not in now:
            continue
        before, after = was[where], now[where]
        for theirs in before.read:
            if theirs not in after.read:
                yield Change("code", f"{where} '{theirs}'", "loses", before.read[theirs])
            elif before.read[theirs] != after.read[theirs]:
                yield Change("code", f"{where} '{theirs}'", "changes", before.read[theirs], after.read[theirs])
        for theirs in after.read:
            if theirs not in before.read:
                yield Change("code", f"{where} '{theirs}'", "gains", "", after.read[theirs])
        for ours, code in before.write.items():
            other = after.write.get(ours, code)
            if other != code and other in before.read:
                yield Change("code", f"{where} for {ours}", "changes", f"writes '{code}'", f"writes '{other}'")


def _carried(spec: Spec) -> dict[str, str]:
    found: dict[str, str] = {}
    for where, rule, way in _each_place(spec):
        if isinstance(rule, Pair):
            found.setdefault(way + str(rule.field), where)
    return found


def _fields(old: Map, new: Map) -> Iterator[Change]:
    was, now = _carried(old.spec), _carried(new.spec)
    for name in was:
        if name not in now:
            yield Change("field", name, "loses", was[name])
    for name in now:
        if name not in was:
            yield Change("field", name, "gains", "", now[name])
