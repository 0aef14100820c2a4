"""An XML map held against the partner's schema: nothing unknown, nothing missing, everything in its order."""

from dataclasses import dataclass

from hub.canonical.declare import Shape
from hub.mapping.grammar import closest
from hub.mapping.model import Always, Each, Form, Group, Pair, Report, Rule, Spec, rules_for
from hub.mapping.xml import Element, tree
from hub.mapping.xsd import Declared, Simple


def check(spec: Spec, declared: Declared | None, report: Report, warn: Report) -> None:
    """Report where *spec* and the schema's *declared* elements disagree; without a schema, what no XML could hold."""
    schema = spec.schema.name if spec.schema is not None else ""
    at = declared if spec.root else None
    if declared is not None and at is not None:
        namespace = spec.tag(spec.root[0])[1:].rpartition("}")[0]
        if namespace not in {child.tag[1:].rpartition("}")[0] for child in declared.children}:
            report(
                spec.lines.get("namespace", 1),
                f"namespace is '{namespace}', but that of {schema} is '{declared.name}'",
            )
            at = None
    for depth, name in enumerate(spec.root):
        inside = at.child(spec.tag(name)) if at is not None else None
        if at is not None and inside is None:
            known = closest(name, [child.name for child in at.children])
            report(spec.lines["root"], f"root: '{'/'.join(spec.root[: depth + 1])}' is not in {schema}{known}")
        at = inside
    _Contract(spec, schema, report, warn).scope(spec.rules, at, "", spec.fields_line)


@dataclass(frozen=True, slots=True)
class _Contract:
    spec: Spec
    schema: str
    report: Report
    warn: Report

    def scope(self, rules: list[Rule], declared: Declared | None, prefix: str, line: int) -> None:
        writing = tree(rules_for(rules, "write"), self.report)
        if declared is not None:
            self.element(writing, declared, prefix, line, certain=True)
        for element in _nested(writing):
            place = element.nested
            assert place is not None
            inner = None
            if declared is not None:
                inner = declared
                for step in place.place.split("/"):
                    inner = inner.child(self.spec.tag(step)) if inner is not None else None
            self.scope(place.rules, inner, place.full + "/", place.line)

    def element(self, element: Element, declared: Declared, prefix: str, line: int, *, certain: bool) -> None:
        """*certain*: the element is written even where nothing would stand in it."""
        if not element.name and element.text is not None:
            self.own(element.text, declared, prefix + ".", certain=False)
        for name, rule in element.attributes:
            self.attribute(name, rule, declared, prefix, certain)
        self.children(element, declared, prefix, line, certain)
        written = {name.rpartition(":")[2] for name, _ in element.attributes}
        for name, (required, _) in declared.attributes.items():
            if required and name not in written:
                self.missing(f"{prefix}@{name}", line)

    def children(self, element: Element, declared: Declared, prefix: str, line: int, certain: bool) -> None:
        tag = self.spec.tag
        order = {child.tag: place for place, child in reversed(list(enumerate(declared.children)))}
        known = [child for child in element.children if tag(child.name) in order]
        for place, child in enumerate(known):
            later = [other for other in known[place + 1 :] if order[tag(other.name)] < order[tag(child.name)]]
            if later and not declared.free:
                after = max(_line(other) for other in later)
                self.report(_line(child), f"out of order: {self.schema} wants this after line {after}")
        for child in element.children:
            found = declared.child(tag(child.name))
            where = prefix + child.name
            if found is None:
                near = closest(child.name.rpartition(":")[2], [known.name for known in declared.children])
                for rule in child.rules():
                    self.report(rule.line, f"{rule.full} is not in {self.schema}{near}")
                continue
            if child.text is None or isinstance(child.text, Pair | Always):
                self.child(child, found, where, certain)
        for wanted in declared.children:
            if wanted.required and wanted.tag not in {tag(child.name) for child in element.children}:
                self.missing(prefix + wanted.name, line)

    def child(self, child: Element, found: Declared, where: str, certain: bool) -> None:
        if isinstance(child.nested, Each) and not found.many:
            self.report(_line(child), f"{where} stands once in {self.schema}, but 'each:' may write it many times")
        if not isinstance(child.nested, Each) and found.many and not child.children:
            self.report(_line(child), f"{where} may stand many times in {self.schema}: map it with 'each:'")
        if child.nested is not None:
            if certain and found.required and _may_be_absent(child.nested):
                self.seldom(where, child.nested)
            return
        if child.text is not None and not self.own(child.text, found, where, certain=certain):
            return
        self.element(child, found, where + "/", _line(child), certain=found.required or _sure(child))

    def own(self, rule: Rule, found: Declared, where: str, *, certain: bool) -> bool:
        """Whether *found* holds text at all."""
        if found.text is None:
            self.report(rule.line, f"{where} holds elements in {self.schema}, not text")
            return False
        self.text(rule, found.text, where)
        if certain and found.required and isinstance(rule, Pair) and rule.may_be_empty:
            self.seldom(where, rule)
        return True

    def attribute(self, name: str, rule: Rule, declared: Declared, prefix: str, certain: bool) -> None:
        name = name.rpartition(":")[2]
        known = declared.attributes.get(name)
        if known is None:
            near = closest(name, declared.attributes)
            self.report(rule.line, f"{prefix}@{name} is not in {self.schema}{near}")
            return
        required, simple = known
        if isinstance(rule, Pair | Always):
            self.text(rule, simple, f"{prefix}@{name}")
        if certain and required and isinstance(rule, Pair) and rule.may_be_empty:
            self.seldom(f"{prefix}@{name}", rule)

    def text(self, rule: Rule, simple: Simple, where: str) -> None:
        """The values that would be written, as far as they can be seen now, against those that are allowed."""
        if isinstance(rule, Always):
            if rule.text is not None and simple.values is not None and rule.text not in simple.values:
                allowed = ", ".join(simple.values)
                self.report(rule.line, f"{where} does not take '{rule.text}'; the schema allows {allowed}")
            return
        assert isinstance(rule, Pair)
        for form, shape in ((rule.form, rule.field.shape), *_other(rule)):
            if form is not None and form.name == "table":
                table = self.spec.tables[form.argument]
                for code in table.read:
                    if simple.values is not None and code not in simple.values:
                        allowed = ", ".join(simple.values)
                        self.report(
                            rule.line,
                            f"{where} does not take '{code}' of table '{table.name}'; the schema allows {allowed}",
                        )
            elif shape.kind == "text" and shape.one_of is not None and simple.values is not None:
                for value in shape.one_of:
                    if value not in simple.values:
                        allowed = ", ".join(simple.values)
                        self.report(rule.line, f"{where} does not take '{value}'; the schema allows {allowed}")
            elif shape.kind == "text" and simple.longest is not None and (shape.longest or 0) > simple.longest:
                self.spec.longest[rule.line] = simple.longest
                self.warn(
                    rule.line,
                    f"'{rule.field}' may have {shape.longest} characters, {where} takes {simple.longest}: "
                    "longer values are refused when written",
                )

    def missing(self, where: str, line: int) -> None:
        self.report(line, f"{where} is required by {self.schema} but nothing is written to it")

    def seldom(self, where: str, rule: Rule) -> None:
        assert isinstance(rule, Pair | Group | Each)
        text = f"{where} is required by {self.schema}, but '{rule.field}' may be empty: then it is refused when written"
        self.warn(rule.line, text)
        self.spec.needed.add(rule.line)


def _other(rule: Pair) -> list[tuple[Form | None, Shape]]:
    return [] if rule.otherwise is None else [(rule.otherwise[1], rule.otherwise[0].shape)]


def _may_be_absent(rule: Group | Each) -> bool:
    return isinstance(rule, Each) or rule.field.optional


def _sure(element: Element) -> bool:
    """Whether something always stands in it."""
    for rule in element.rules():
        if isinstance(rule, Always) or (isinstance(rule, Pair) and not rule.may_be_empty):
            return True
        if isinstance(rule, Group) and not rule.field.optional:
            return True
    return False


def _line(element: Element) -> int:
    return min((rule.line for rule in element.rules()), default=1)


def _nested(element: Element) -> list[Element]:
    found = [child for child in element.children if child.nested is not None]
    for child in element.children:
        found += _nested(child)
    return found
