"""Everything that can be wrong with a map and be seen before it runs."""

import dataclasses
import re
from collections.abc import Iterable

from hub.canonical.declare import Shape, shapes
from hub.canonical.names import fold
from hub.mapping import contract, csv, edifact, fixed, forms, json, mt, tables
from hub.mapping.grammar import closest
from hub.mapping.model import (
    MISSING,
    Always,
    Blank,
    Each,
    Form,
    Group,
    Pair,
    Report,
    Rule,
    Spec,
    Todo,
    every_rule,
    rules_for,
)
from hub.mapping.source import sum_start
from hub.mapping.xsd import Declared


def check(spec: Spec, declared: Declared | None, report: Report, warn: Report) -> None:
    """Report what is wrong with *spec* as a whole; *declared* is the partner's schema where the map names one."""
    checks = _Checks(spec, report, warn)
    checks.scopes()
    for rule in every_rule(spec):
        if isinstance(rule, Pair):
            checks.pair(rule)
        elif isinstance(rule, Always):
            checks.always(rule)
        elif isinstance(rule, Todo):
            checks.undecided(rule.line, f"{rule.full} is still to do")
    for line, text in spec.todo.items():
        checks.undecided(line, text)
    if spec.format == "xml":
        contract.check(spec, declared, report, warn)
    elif spec.format == "json":
        for rules in _scopes_of(spec.rules):
            json.tree(rules_for(rules, "write"), report)
            json.tree(rules_for(rules, "read"), report)
    elif spec.format == "edifact" or spec.format in mt.FORMATS:
        (edifact if spec.format == "edifact" else mt).check(spec, report)
        if spec.unknown != "ignore":
            report(spec.lines["unknown"], f"in {spec.format} what the map does not know is passed over: say 'ignore'")
    elif spec.format == "fixed":
        checks.fixed()
    elif spec.format == "csv":
        checks.csv()


def _scopes_of(rules: list[Rule]) -> Iterable[list[Rule]]:
    yield rules
    for rule in rules:
        if isinstance(rule, Group | Each):
            yield from _scopes_of(rule.rules)


class _Checks:
    def __init__(self, spec: Spec, report: Report, warn: Report) -> None:
        self.spec, self.report, self.warn = spec, report, warn

    def undecided(self, line: int, text: str) -> None:
        """Something that a draft may leave open."""
        (self.warn if self.spec.draft is not None else self.report)(line, text)

    # --- whole scopes: is everything read, and once? --------------------------------------------------------------

    def scopes(self) -> None:
        spec = self.spec
        if spec.format not in ("fixed", "csv"):
            self.scope(spec.message, spec.rules + spec.header, spec.message_line)
            return
        self.records(spec.message, -1, [], spec.message_line)

    def records(self, cls: type, parent: int, head: list[Rule], line: int) -> None:
        """What the records that belong to *parent* read together is one scope; those that repeat hold more."""
        head = list(head)
        for kind, record in enumerate(self.spec.kinds):
            if record.parent != parent:
                continue
            field = record.each or record.group
            if field is None:
                head += record.rules
                if record.records:
                    self.report(record.line, f"record '{record.name}' stands once, so nothing belongs to it alone")
                continue
            kind_of = Each if record.each is not None else Group
            head.append(kind_of(place=record.name, full=record.name, line=record.line, field=field, rules=[]))
            if record.records:
                self.records(record.part, kind, record.rules, record.line)
            else:
                self.scope(record.part, record.rules, record.line)
        if self.spec.understood:
            self.scope(cls, head, line, inner=False)

    def scope(self, cls: type, rules: list[Rule], line: int, inner: bool = True) -> None:
        read: dict[tuple[str, ...], Rule] = {}
        for rule in rules_for(rules, "read"):
            if not isinstance(rule, Pair | Group | Each):
                continue
            if rule.field.names in read:
                self.report(
                    rule.line,
                    f"'{rule.field}' is mapped twice, so reading is ambiguous; say 'only: write' on one",
                )
            read[rule.field.names] = rule
            if inner and isinstance(rule, Group | Each) and rule.field.shape.part is not None:
                self.scope(rule.field.shape.part, rule.rules, rule.line)
        if self.spec.draft is not None or all(isinstance(rule, Pair | Always | Group | Each | Blank) for rule in rules):
            self.required(cls, cls, (), set(read), line)
        lists = {str(rule.field) for rule in rules if isinstance(rule, Each)}
        for rule in rules:
            if isinstance(rule, Always) and rule.each is not None and str(rule.each) not in lists:
                self.report(rule.line, f"'{rule.each}' is counted or summed here, but no 'each:' beside it reads it")

    def required(self, owner: type, cls: type, prefix: tuple[str, ...], read: set[tuple[str, ...]], line: int) -> None:
        """What reading could not fill."""
        for name, shape in shapes(cls).items():
            where = (*prefix, name)
            below = any(names[: len(where)] == where and len(names) > len(where) for names in read)
            if where in read or (shape.default is not dataclasses.MISSING and not below):
                continue
            if shape.part is not None and not shape.many and (below or not shape.optional):
                self.required(owner, shape.part, where, read, line)
            elif not shape.optional and not below:
                text = f"'{'.'.join(where)}' of {owner.__name__} is required, but nothing is read into it"
                self.spec.unready = self.spec.unready or text
                self.undecided(line, text)

    # --- one rule -------------------------------------------------------------------------------------------------

    def pair(self, rule: Pair) -> None:
        name, shape = str(rule.field), rule.field.shape
        if rule.form is not None and rule.form.name == "arabic":
            self.report(rule.line, "form 'arabic' cannot be read back; use it under 'else:'")
        elif not self.form(rule, rule.form, name, shape):
            lost = forms.loses(rule.form, name, shape)
            if lost and rule.only != "write" and not rule.lossy:
                self.report(rule.line, lost)
        if rule.otherwise is not None:
            other, form = rule.otherwise
            if not rule.field.optional:
                self.report(rule.line, f"'{name}' is never empty, so 'else:' never applies")
            self.form(rule, form, str(other), other.shape)
        if rule.only == "write" and rule.default is not MISSING:
            self.report(rule.line, "'default:' is for reading, and this is written only")
        if rule.only == "read" and rule.otherwise is not None:
            self.report(rule.line, "'else:' is for writing, and this is read only")

    def form(self, rule: Pair | Always, form: Form | None, name: str, shape: Shape) -> bool:
        """Whether *form* was reported as unfit."""
        wrong = forms.misfit(form, name, shape, self.spec.cells, rule.width)
        if wrong:
            self.report(rule.line, wrong)
            return True
        if form is not None and form.name == "table":
            self.table(rule, form, name, shape)
        if rule.width is not None:
            self.width(rule, form, name, shape)
        return False

    def always(self, rule: Always) -> None:
        if rule.text is not None:
            if rule.form is not None:
                self.report(rule.line, "a constant text has no form")
            if rule.width is not None and len(rule.text) > rule.width:
                self.report(rule.line, f"'{rule.text}' is longer than columns {rule.place}")
            self.encodable(rule.text, rule.line)
            return
        assert rule.each is not None
        name = f"count({rule.each})" if rule.summed is None else f"sum({rule.each}.{rule.summed.name})"
        shape = sum_start(rule.summed)[1]
        if not self.form(rule, rule.form, name, shape) and (lost := forms.loses(rule.form, name, shape)):
            self.report(rule.line, lost)

    def table(self, rule: Rule, form: Form, name: str, shape: Shape) -> None:
        table = self.spec.tables[form.argument]
        for theirs, ours in table.read.items():
            line = table.lines[theirs]
            if shape.one_of is not None and ours not in shape.one_of:
                self.report(line, f"table '{table.name}': '{name}' is never '{ours}'{closest(ours, shape.one_of)}")
            elif shape.one_of is None and shape.pattern and not re.fullmatch(shape.pattern, ours):
                self.report(line, f"table '{table.name}': '{name}' is never '{ours}': it looks like {shape.pattern}")
            if rule.width is not None and len(theirs) > rule.width:
                self.report(line, f"table '{table.name}': '{theirs}' is longer than columns {rule.place}")
            self.encodable(theirs, line)
        if not table.read or table.partial is not None or (isinstance(rule, Pair) and rule.only == "read"):
            return
        for day, one in tables.periods(table):
            if missing := [value for value in shape.one_of or () if value not in one.write]:
                since = f" from {day}" if day is not None else ""
                lacks = f"table '{table.name}' has no code for {', '.join(missing)}{since}"
                self.report(table.line, f"{lacks}; where the partner has none, 'partial: WHY' in the table says so")

    def encodable(self, text: str, line: int) -> None:
        if self.spec.format in ("fixed", "csv"):
            try:
                text.encode(self.spec.encoding)
            except UnicodeEncodeError:
                self.report(line, f"'{text}' cannot be written in {self.spec.encoding}")

    # --- fixed width ----------------------------------------------------------------------------------------------

    def width(self, rule: Pair | Always, form: Form | None, name: str, shape: Shape) -> None:
        assert rule.width is not None
        if form is not None and form.name in ("date", "hijri", "datetime"):
            wide = 10 if form.argument == "declared" else len(form.argument)
            if wide > rule.width:
                text = f"form '{form}' writes {wide} characters, columns {rule.place} hold {rule.width}"
                self.report(rule.line, text)
            return
        wide = _widest(form, shape)
        if wide > rule.width and not (isinstance(rule, Pair) and rule.only == "read"):
            self.warn(
                rule.line,
                f"'{name}' may have {wide} characters, columns {rule.place} hold {rule.width}: "
                "longer values are refused when written",
            )

    def fixed(self) -> None:
        spec = self.spec
        for record in spec.kinds:
            end, length = 0, record.length or spec.length
            for rule in sorted(record.rules, key=lambda rule: rule.columns or (0, 0)):
                if rule.columns is None:
                    continue
                first, last = rule.columns
                if last < first:
                    self.report(rule.line, f"columns {rule.place} end before they begin")
                elif first <= end:
                    text = f"columns {rule.place} overlap the field before, which ends at {end}"
                    self.report(rule.line, text)
                elif first > end + 1:
                    self.report(rule.line, f"columns {end + 1}-{first - 1} belong to no field")
                end = max(end, last)
            if not length:
                continue
            if end < length:
                self.report(record.line, f"columns {end + 1}-{length} belong to no field")
            elif end > length:
                self.report(record.line, f"record '{record.name}' ends at {end}, but 'length' is {length}")
            if record.length > spec.length and not spec.continuation and spec.newline == "":
                self.report(record.line, "records of several lengths need line ends")
        self.lists()
        if len(spec.kinds) > 1 and spec.understood and fixed.tags(spec) is None:
            text = "records cannot be told apart: give each a constant of its own in the same columns"
            self.report(spec.fields_line, text)
        if spec.block and not spec.filler:
            self.report(spec.lines["block"], "a 'block' is filled up with a 'filler'")

    def lists(self) -> None:
        for record in self.spec.kinds:
            for rule in record.rules if record.each is not None and not record.records else ():
                if isinstance(rule, Always) and rule.each is not None:
                    self.report(rule.line, "a repeated record has no count or sum of its own")

    # --- csv ------------------------------------------------------------------------------------------------------

    def csv(self) -> None:
        self.lists()
        if not self.spec.understood:
            return
        if not self.spec.heading:
            if len(self.spec.kinds) > 1 and csv.cell_tags(self.spec) is None:
                text = "records cannot be told apart: give each a constant of its own in the same cell"
                self.report(self.spec.fields_line, text)
            return
        if len(self.spec.kinds) != 1 or self.spec.kinds[0].each is None:
            self.report(self.spec.fields_line, "a csv file has one record, with 'each:'")
            return
        for key in ("continuation", "terminator", "order"):
            if key in self.spec.lines:
                self.report(self.spec.lines[key], f"'{key}' is for files with 'heading: none'")
        seen: dict[str, int] = {}
        for rule in self.spec.kinds[0].rules:
            for name in csv.spellings(rule.place):
                other = seen.setdefault(fold(name), rule.line)
                if other != rule.line:
                    self.report(rule.line, f"column '{name}' is that of line {other}")
                self.encodable(name, rule.line)


def _widest(form: Form | None, shape: Shape) -> int:
    if form is not None and form.name == "table":
        return 0
    match shape.kind:
        case "text":
            return max(map(len, shape.one_of)) if shape.one_of else shape.longest or 0
        case "integer":
            return len(str(shape.high)) if shape.high is not None else 0
        case "decimal" if shape.name != "sum":
            point = 1 if form is not None and (form.name != "decimal" or form.point) and shape.places else 0
            return (shape.digits or 0) + point + bool(shape.signed)
        case "date":
            return 10
        case "boolean":
            return 5
    return 0
