"""Generated Python: one field a line, so that a traceback's line says which rule of the map went wrong.

Nothing of a map's text reaches the source except through ``repr()`` or as a bound object.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any

from hub.canonical.declare import Shape, shapes
from hub.mapping import forms
from hub.mapping.cells import code_sides
from hub.mapping.errors import Bad
from hub.mapping.model import MISSING, Always, Each, Field, Form, Group, Pair, Rule, Spec, rules_for

#: How a list's items are numbered when one of them fails: (the parent's argument, the item's) → number from 1.
Number = Callable[[Any, Any], int | None]
Lines = list[tuple[str, Rule | None]]


class Source:
    """The module under construction: its lines, the rule that each comes from, and what they call."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.lines: Lines = []
        self.names: dict[str, Any] = {}
        self.numbers: dict[str, tuple[Rule, Number]] = {}
        self._bound: dict[int, str] = {}
        self._codes: dict[tuple[str, str], str] = {}

    def bind(self, thing: Any) -> str:
        """The name under which the module knows *thing*."""
        if id(thing) not in self._bound:
            name = f"k{len(self.names)}"
            self.names[name] = thing
            self._bound[id(thing)] = name
        return self._bound[id(thing)]

    def codes(self, direction: str, escape: Callable[[str], str]) -> Callable[[Form], str]:
        def side(form: Form) -> str:
            key = direction, form.argument
            if key not in self._codes:
                table = self.spec.tables[form.argument]
                sides = code_sides(table, self.spec.cells, escape)
                self._codes[key] = self.bind(sides[0] if direction == "write" else sides[1])
            return self._codes[key]

        return side

    def new(self, prefix: str) -> str:
        self.names[name := f"{prefix}{len(self.names)}"] = None
        return name

    def add(self, text: str, rule: Rule | None = None) -> None:
        self.lines.append((text, rule))

    def extend(self, lines: Lines, indent: int = 0) -> None:
        self.lines += [(" " * indent + text, rule) for text, rule in lines]

    def module(self) -> "Module":
        text = "\n".join(line for line, _ in self.lines)
        file = f"<map {self.spec.name}>"
        names = dict(self.names)
        exec(compile(text, file, "exec"), names)  # noqa: S102 - see the head of this module
        rules = {number: rule for number, (_, rule) in enumerate(self.lines, 1) if rule is not None}
        return Module(file, names, rules, self.numbers, text)


@dataclass(frozen=True, slots=True)
class Module:
    """Compiled functions, and where each line of theirs comes from."""

    file: str
    names: dict[str, Any]
    rules: dict[int, Rule]
    numbers: dict[str, tuple[Rule, Number]]
    text: str

    def place(self, traceback: TracebackType | None) -> tuple[Rule | None, str]:
        """The rule that was at work when an exception passed, and « of LIST n, LIST n» for the items on the way."""
        rule, items, above = None, "", None
        while traceback is not None:
            frame = traceback.tb_frame
            if frame.f_code.co_filename == self.file:
                rule = self.rules.get(traceback.tb_lineno, rule)
                # A comprehension has a frame of its own, but not the scope's argument.
                item = frame.f_locals.get("m", above)
                if (repeated := self.numbers.get(frame.f_code.co_name)) is not None:
                    number = repeated[1](above, item)
                    items += f"{', ' if items else ' of '}{repeated[0].place} {number}"
                above = item
            traceback = traceback.tb_next
        return rule, items


def by_identity(get: Callable[[Any], Any]) -> Number:
    """Numbers an item by where it stands in the list that *get* finds in its parent."""

    def number(parent: Any, item: Any) -> int | None:
        return next((n for n, other in enumerate(get(parent), 1) if other is item), None)

    return number


# --- writing a scope ----------------------------------------------------------------------------------------------


class Ours:
    """Our side of one scope while writing: fields as expressions over the argument ``m``."""

    def __init__(self, source: Source, codes: Callable[[Form], str]) -> None:
        self.source, self.codes = source, codes
        self.prelude: Lines = []
        self._parts: dict[tuple[str, ...], str] = {(): "m"}

    def value(self, field: Field) -> str:
        """The expression of *field*: None where it, or a part on the way to it, is absent."""
        return self._step(field.names, field.shapes)

    def _step(self, names: tuple[str, ...], shapes_: tuple[Shape, ...]) -> str:
        holder = names[:-1]
        if holder not in self._parts:
            name = f"p{len(self._parts)}"
            self.prelude.append((f"{name} = {self._step(holder, shapes_[:-1])}", None))
            self._parts[holder] = name
        owner = self._parts[holder]
        if any(shape.optional for shape in shapes_[:-1]):
            return f"(None if {owner} is None else {owner}.{names[-1]})"
        return f"{owner}.{names[-1]}"

    def written(self, pair: Pair, empty: str, wrap: forms.Wrap, x: str = "x") -> str:
        """What stands on the wire for *pair*, through *wrap*; *empty* where there is nothing to write.

        *x* is the name that a value is kept under while it is looked at.
        """
        shape, value = pair.field.shape, self.value(pair.field)
        first = self._writer(pair, shape, pair.form)
        if not pair.field.optional:
            return wrap(first(value))
        if pair.otherwise is None:
            return f"{wrap(first(x))} if ({x} := {value}) is not None else {empty}"
        other, form = pair.otherwise
        second, spare = self._writer(pair, other.shape, form), self.value(other)
        start = f"{wrap(first(x))} if ({x} := {value}) is not None else "
        if not other.optional:
            return start + wrap(second(spare))
        return f"{start}{wrap(second(x))} if ({x} := {spare}) is not None else {empty}"

    def _writer(self, pair: Pair, shape: Shape, form: Form | None) -> forms.Wrap:
        return forms.writer(self.source.bind, shape, form, self.source.spec.cells, pair.width, self.codes)

    def always(self, rule: Always) -> tuple[str, bool]:
        """The expression of ``= …`` and whether it is text (in JSON a count stays a number)."""
        if rule.text is not None:
            return repr(rule.text), True
        value, shape = total(self.source, rule, lambda each: self.value(each))
        write = forms.writer(self.source.bind, shape, rule.form, self.source.spec.cells, rule.width, self.codes)
        return write(value), False

    def allows(self, group: Group) -> str:
        """The condition of *group* as an expression, or ''."""
        return condition(self.source, group, self.value)


def condition(source: Source, group: Group, value: Callable[[Field], str]) -> str:
    if group.when is None:
        return ""
    name = value(group.when.field)
    if group.when.value is None:
        return f"{name} is {'not ' if group.when.negated else ''}None"
    return f"{name} {'!=' if group.when.negated else '=='} {source.bind(group.when.value)}"


def enough(source: Source, rule: Each, items: str) -> str:
    """The source of *items*, refused where there are fewer than the rule wants."""
    if not rule.least:
        return items

    def count(found: Any) -> Any:
        found = list(found)
        if len(found) < rule.least:
            raise Bad("required", f"is there {len(found)} times, {rule.least} are wanted at least")
        return found

    return f"{source.bind(count)}({items})"


def refuse_condition(group: Group) -> Callable[[Any], str]:
    assert group.when is not None
    shown = f"{group.when.field} is {'not ' if group.when.negated else ''}{_plain(group.when.value)}"

    def refuse(part: Any) -> str:
        raise Bad("map_condition", f"is only there when {shown}")

    return refuse


def _plain(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


COUNT = Shape(name="count", kind="integer", optional=False, default=None)


def total(source: Source, rule: Always, value: Callable[[Field], str]) -> tuple[str, Shape]:
    """The expression of a count or a sum over the list that *value* names, and the shape of what comes out."""
    assert rule.each is not None
    items = value(rule.each)
    start, shape = sum_start(rule.summed)
    if rule.summed is None:
        return f"len({items})", shape
    return f"sum([y.{rule.summed.name} for y in {items}], {source.bind(start)})", shape


def sum_start(summed: Shape | None) -> tuple[Any, Shape]:
    """What a count or a sum starts from, and its shape: that of the summed field, but longer."""
    if summed is None or summed.kind == "integer":
        return 0, COUNT
    start = Decimal(0).scaleb(-(summed.places or 0))
    return start, Shape(
        name="sum", kind="decimal", optional=False, digits=28, places=summed.places, signed=summed.signed, default=None
    )


# --- reading a scope ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Leaf:
    """One field to be read: its expression, and the same where nothing at all may stand on the wire."""

    rule: Rule
    field: Field
    plain: str
    tolerant: str


@dataclass(slots=True)
class Theirs:
    """Collects the leaves of one scope and makes the expression that builds its canonical object."""

    source: Source
    cls: type
    prelude: Lines = field(default_factory=list)
    after: Lines = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    codes: Callable[[Form], str] = str
    conditions: Lines = field(default_factory=list)

    def pair(self, pair: Pair, required: str, absent: str) -> None:
        """*required* is the raw expression; *absent* binds it to ``x`` and is true where nothing stands there."""
        read = forms.reader(
            self.source.bind, pair.field.shape, pair.form, self.source.spec.cells, pair.width, self.codes
        )
        default = "None" if pair.default is MISSING else self.source.bind(pair.default)
        tolerant = f"{default} if {absent} else {read('x')}"
        plain = read(required) if not pair.field.shape.optional and pair.default is MISSING else tolerant
        self.leaves.append(Leaf(pair, pair.field, plain, tolerant))

    def part(self, rule: Group | Each, expression: str, *, first: bool = False) -> None:
        """A part or a list.  *first*: something else of the scope counts its items."""
        if first:
            name = _list_name(rule.field)
            self.prelude.append((f"{name} = {expression}", rule))
            expression = name
        self.leaves.append(Leaf(rule, rule.field, expression, expression))

    def always(self, rule: Always, raw: str, codes: Callable[[Form], str]) -> None:
        """The check of ``= …``, once the scope's lists have been read."""
        bind = self.source.bind
        if rule.text is not None:
            self.after.append((f"{bind(same)}({raw}, {rule.text!r})", rule))
            return
        value, shape = total(self.source, rule, _list_name)
        read = forms.reader(bind, shape, rule.form, self.source.spec.cells, rule.width, codes)
        self.after.append((f"{bind(agree)}({read(raw)}, {value})", rule))

    def check(self, group: Group) -> None:
        """The condition of *group*, held against the object that was built: refused when read as when written."""
        allowed = condition(self.source, group, lambda field: f"{self.source.bind(_walk(field))}(r)")
        if allowed:
            part = f"{self.source.bind(_walk(group.field))}(r)"
            refuse = self.source.bind(refuse_condition(group))
            self.conditions.append((f"{part} is None or {allowed} or {refuse}(None)", group))

    def build(self) -> Lines:
        """The statements of the function's body, the last of them its ``return``."""
        body: Lines = []
        made = self._made(self.cls, (), self.leaves, body)
        if {leaf.field.names[0] for leaf in self.leaves} >= set(shapes(self.cls)) and not hasattr(
            self.cls, "__post_init__"
        ):
            return self.prelude + self.after + body + self._filled(made)
        made[0] = (f"{'r =' if self.conditions else 'return'} {made[0][0]}", made[0][1])
        if self.conditions:
            made += [*self.conditions, ("return r", None)]
        return self.prelude + self.after + body + made

    def _filled(self, made: Lines) -> Lines:
        """The same object, field by field: with so many fields that is faster than to hand them over by name."""
        filled: Lines = [(f"r = {self.source.bind(object.__new__)}({self.source.bind(self.cls)})", None)]
        for text, rule in made[1:-1]:
            if text.startswith("  "):
                filled.append((text, rule))
            else:
                start = "" if text == " )," else "r."
                filled.append((start + text[bool(start) :].removesuffix(","), rule))
        return [*filled, *self.conditions, ("return r", None)]

    def _made(self, cls: type, prefix: tuple[str, ...], leaves: list[Leaf], body: Lines) -> Lines:
        """``Cls(field=…, …)`` as lines.  *body* takes what must be worked out before."""
        depth = len(prefix)
        inside: dict[str, list[Leaf]] = {}
        for leaf in leaves:
            inside.setdefault(leaf.field.names[depth], []).append(leaf)
        lines: Lines = [(f"{self.source.bind(cls)}(", None)]
        for name, below in inside.items():
            shape = shapes(cls)[name]
            leaf = below[0]
            if len(leaf.field.names) == depth + 1:
                lines.append((f" {name}={leaf.plain},", leaf.rule))
                continue
            assert shape.part is not None
            if shape.optional:
                lines.append((f" {name}={self._optional(shape.part, (*prefix, name), below, body)},", None))
            else:
                part = self._made(shape.part, (*prefix, name), below, body)
                lines.append((f" {name}={part[0][0]}", part[0][1]))
                lines += [(" " + text, rule) for text, rule in part[1:-1]]
                lines.append((" ),", None))
        lines.append((")", None))
        return lines

    def _optional(self, cls: type, prefix: tuple[str, ...], leaves: list[Leaf], body: Lines) -> str:
        """A part that is None where nothing of it stands on the wire; the name that *body* gives it."""
        number = len(body)
        names = []
        for place, leaf in enumerate(leaves):
            name = f"v{number}_{place}"
            body.append((f"{name} = {leaf.tolerant}", leaf.rule))
            names.append(name)
            needed = not leaf.field.shape.optional and isinstance(leaf.rule, Pair) and leaf.rule.default is MISSING
            leaf.plain = f"{self.source.bind(need)}({name})" if needed else name
        nothing = " and ".join(
            f"not {name}" if _countable(leaf) else f"{name} is None" for name, leaf in zip(names, leaves, strict=True)
        )
        name = f"v{number}"
        made = self._made(cls, prefix, leaves, body)
        body.append((f"{name} = None if {nothing} else {made[0][0]}", None))
        body += made[1:]
        return name


def _walk(field: Field) -> Callable[[Any], Any]:
    def walk(value: Any) -> Any:
        for name in field.names:
            value = None if value is None else getattr(value, name)
        return value

    return walk


def _list_name(field: Field) -> str:
    return f"l_{'_'.join(field.names)}"


def _countable(leaf: Leaf) -> bool:
    return isinstance(leaf.rule, Each)


def need(value: Any) -> Any:
    if value is None:
        raise Bad("required", "is missing")
    return value


def same(found: Any, wanted: str) -> None:
    if found != wanted and (not isinstance(found, str | None) or (found or "").strip() != wanted.strip()):
        raise Bad("map_constant", f"must be {wanted!r}, is {{}}", found)


def agree(found: Any, wanted: Any) -> None:
    """A control total: both numbers are shown, since a total identifies nobody."""
    if found != wanted:
        raise Bad("file_totals", f"must be {wanted}, is {found}", (wanted, found))


def counted(rules: list[Rule]) -> set[tuple[str, ...]]:
    """The lists that some ``= count()`` or ``= sum()`` of the scope speaks of."""
    return {rule.each.names for rule in rules_for(rules, "read") if isinstance(rule, Always) and rule.each is not None}
