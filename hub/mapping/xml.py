"""Maps in XML: one ``%`` template a scope to write, one dictionary of children a level to read."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from hub.mapping.errors import Bad
from hub.mapping.model import Always, Blank, Each, Group, Pair, Report, Rule, Spec, rules_for
from hub.mapping.source import Lines, Ours, Source, Theirs, by_identity, counted, enough, refuse_condition
from hub.mapping.xsd import Declared


@dataclass(slots=True)
class Element:
    """What a scope's places make of one element."""

    name: str
    text: Rule | None = None
    attributes: list[tuple[str, Rule]] = field(default_factory=list)
    children: list["Element"] = field(default_factory=list)
    nested: Group | Each | None = None

    @property
    def bare(self) -> bool:
        """Only text: no attributes, no elements, and once."""
        return not self.attributes and not self.children and self.nested is None

    def rules(self) -> Iterable[Rule]:
        yield from filter(None, (self.text, self.nested, *(rule for _, rule in self.attributes)))
        for child in self.children:
            yield from child.rules()


def tree(rules: list[Rule], report: Report | None = None) -> Element:
    """The elements below a scope, in the order of the map, which is the order of the wire."""
    root = Element("")
    for rule in rules:
        if not rule.place:
            continue
        at = root
        if rule.place == ".":
            root.text = rule
            continue
        steps = rule.place.split("/")
        attribute = steps.pop()[1:] if steps[-1].startswith("@") else None
        for step in steps:
            at = _open(at, step, rule, report)
        if attribute is not None:
            at.attributes.append((attribute, rule))
        elif isinstance(rule, Group | Each):
            at.nested = rule
        else:
            at.text = rule
    if report:
        for element in _all(root):
            if element.text is not None and (element.children or element.nested):
                report(element.text.line, f"{element.text.full} would hold text and elements at once")
    return root


def _all(element: Element) -> Iterator[Element]:
    yield element
    for child in element.children:
        yield from _all(child)


def _open(at: Element, step: str, rule: Rule, report: Report | None) -> Element:
    if at.children and at.children[-1].name == step and at.children[-1].nested is None:
        return at.children[-1]
    if report and any(child.name == step for child in at.children):
        report(rule.line, f"'{step}' is opened a second time: keep its places together")
    at.children.append(Element(step))
    return at.children[-1]


# --- text ---------------------------------------------------------------------------------------------------------

_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
)
_SPECIAL = re.compile("[^ !#-%'-;=?-~\u00a1-\ud7ff]")
_NEVER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


_special = _SPECIAL.search


def escape(text: str) -> str:
    if not _special(text):
        return text
    if _NEVER.search(text):
        raise Bad("invalid_characters", "{} holds a character that XML cannot carry", text)
    return text.translate(_ESCAPES)


def _wrapped(start: str, end: str, attributes: str, inner: str) -> str:
    """An element that is left out when nothing of it is there."""
    return f"{start}{attributes}>{inner}{end}" if inner or attributes else ""


# --- writing ------------------------------------------------------------------------------------------------------


def write_source(spec: Spec, declared: Declared | None) -> Source:
    """The module whose ``write(m)`` gives the text of the body's element."""
    source = Source(spec)
    _Writer(source, spec).root(declared)
    return source


Piece = tuple[
    str, list[Lines], bool
]  # template, one argument's lines for each %s, whether anything is sure to stand there


class _Writer:
    def __init__(self, source: Source, spec: Spec) -> None:
        self.source, self.spec = source, spec
        self.codes = source.codes("write", escape)

    def root(self, declared: Declared | None) -> None:
        *outer, last = self.spec.root
        namespace = f" xmlns={_quoted(self.spec.namespace)}" if self.spec.namespace else ""
        namespace += "".join(f" xmlns:{prefix}={_quoted(uri)}" for prefix, uri in self.spec.namespaces.items())
        start = "".join(f"<{name}{namespace if n == 0 else ''}>" for n, name in enumerate(outer))
        end = "".join(f"</{name}>" for name in reversed(outer))
        at = declared
        for name in self.spec.root:
            at = at and at.child(self.spec.tag(name))
        if self.spec.header:
            self.scope("header", "SOAP-ENV:Header", self.spec.header, None, namespace=namespace)
        self.scope("write", last, self.spec.rules, at, start, end, "" if outer else namespace)

    def scope(
        self, function: str, name: str, rules: list[Rule], declared: Declared | None,
        start: str = "", end: str = "", namespace: str = "",
    ) -> None:  # fmt: skip
        ours = Ours(self.source, self.codes)
        root = tree(rules_for(rules, "write"))
        template, arguments = self.attributes(root, ours)
        inner, more, _ = self.contents(root, ours, declared)
        if root.text is not None:
            inner, more = self.own_text(root.text, ours)
        text = f"{_percent(start)}<{name}{_percent(namespace)}{template}>{inner}</{name}>{end}"
        self.source.add(f"def {function}(m):")
        self.source.extend(ours.prelude, 1)
        self.source.add(f" return {text!r} % (")
        for lines in arguments + more:
            self.source.extend(lines, 2)
        self.source.add(" )")

    def contents(self, element: Element, ours: Ours, declared: Declared | None) -> Piece:
        template, arguments, sure = "", list[Lines](), False
        for child in element.children:
            text, lines, certain = self.element(child, ours, declared and declared.child(self.spec.tag(child.name)))
            template, arguments, sure = template + text, arguments + lines, sure or certain
        return template, arguments, sure

    def attributes(self, element: Element, ours: Ours) -> tuple[str, list[Lines]]:
        template, arguments = "", list[Lines]()
        for name, rule in element.attributes:
            if isinstance(rule, Pair) and rule.may_be_empty:
                start = f' {name}="%s"'
                value = ours.written(rule, "''", lambda v, s=start, r=rule: f"{s!r} % {self.safe(r, v)}", "z")  # type: ignore[misc]
                template, arguments = template + "%s", [*arguments, [(value + ",", rule)]]
            else:
                text, lines = self.sure_text(rule, ours)
                template, arguments = f'{template} {name}="{text}"', arguments + lines
        return template, arguments

    def sure_text(self, rule: Rule, ours: Ours) -> tuple[str, list[Lines]]:
        """The template of text that always stands there, and its arguments."""
        if isinstance(rule, Pair):
            return "%s", [[(ours.written(rule, "''", lambda v: self.safe(rule, v)) + ",", rule)]]
        assert isinstance(rule, Always)
        value, constant = ours.always(rule)
        if constant:
            return _percent(escape(rule.text or "")), []
        return "%s", [[(value + ",", rule)]]

    def own_text(self, rule: Rule, ours: Ours) -> tuple[str, list[Lines]]:
        """The template of the text of the scope's own element, which stands there whether or not it is empty."""
        if not isinstance(rule, Pair):
            return self.sure_text(rule, ours)
        return "%s", [[(ours.written(rule, "''", lambda v: self.safe(rule, v)) + ",", rule)]]

    def safe(self, pair: Rule, value: str) -> str:
        assert isinstance(pair, Pair)
        forms = {pair.form.name if pair.form else "text"}
        if pair.otherwise is not None:
            forms.add(pair.otherwise[1].name if pair.otherwise[1] else "text")
        free = pair.field.shape.kind == "text" and not forms <= {"table", "digits"}
        if not free:
            return value
        return f"(y if (y := {value}).isalnum() else {self.source.bind(escape)}(y))"

    def element(self, element: Element, ours: Ours, declared: Declared | None) -> Piece:
        name = element.name
        if element.nested is not None:
            return self.nested(element, element.nested, ours, declared)
        start, attributes = self.attributes(element, ours)
        pair = element.text
        if isinstance(pair, Pair) and pair.may_be_empty:
            beside = [rule for _, rule in element.attributes if isinstance(rule, Pair)]
            if beside:
                return self.beside(element, pair, ours, all(rule.may_be_empty for rule in beside))
            values = "".join(lines[0][0] for lines in attributes)
            template = f"<{name}{start}>%s</{name}>"
            text = ours.written(pair, "''", lambda v: f"{template!r} % ({values}{self.safe(pair, v)},)")
            return "%s", [[(text + ",", pair)]], False
        if pair is not None:
            text, lines = self.sure_text(pair, ours)
            return f"<{name}{start}>{text}</{name}>", attributes + lines, True
        inner, lines, sure = self.contents(element, ours, declared)
        if sure or not element.children or (declared is not None and declared.required) or ('="' in start):
            return f"<{name}{start}>{inner}</{name}>", attributes + lines, True
        wrap: Lines = [(f"{self.source.bind(_wrapped)}({'<' + name!r}, {f'</{name}>'!r}, {start!r} % (", None)]
        wrap += [(" " + text, rule) for argument in attributes for text, rule in argument]
        wrap.append((f"), {inner!r} % (", None))
        wrap += [(" " + text, rule) for argument in lines for text, rule in argument]
        wrap.append((")),", None))
        return "%s", [wrap], False

    def beside(self, element: Element, pair: Pair, ours: Ours, spare: bool) -> Piece:
        """An element whose text may be empty while an attribute of it is not; left out where both are, if *spare*."""
        name = element.name
        start, attributes = self.attributes(element, ours)
        text = ours.written(pair, "''", lambda v: self.safe(pair, v))
        if not spare:
            return f"<{name}{start}>%s</{name}>", [*attributes, [(text + ",", pair)]], True
        wrap: Lines = [(f"{self.source.bind(_wrapped)}({'<' + name!r}, {f'</{name}>'!r}, {start!r} % (", None)]
        wrap += [(" " + text, rule) for argument in attributes for text, rule in argument]
        wrap.append((f"), {text}),", pair))
        return "%s", [wrap], False

    def nested(self, element: Element, rule: Group | Each, ours: Ours, declared: Declared | None) -> Piece:
        function = self.source.new("w")
        self.scope(function, element.name, rule.rules, declared)
        value = ours.value(rule.field)
        if isinstance(rule, Each):
            self.source.numbers[function] = rule, by_identity(attrgetter(str(rule.field)))
            items = enough(self.source, rule, value)
            return "%s", [[(f"''.join([{function}(i) for i in {items}]),", rule)]], False
        made = f"{function}(x)"
        if allowed := ours.allows(rule):
            made = f"{made} if {allowed} else {self.source.bind(refuse_condition(rule))}(x)"
        if not rule.field.optional:
            return "%s", [[(f"{made.replace('(x)', f'({value})')},", rule)]], True
        return "%s", [[(f"'' if (x := {value}) is None else {made},", rule)]], False


def _quoted(text: str | None) -> str:
    return f'"{(text or "").translate(_ESCAPES)}"'


def _percent(text: str) -> str:
    return text.replace("%", "%%")


# --- reading ------------------------------------------------------------------------------------------------------


def read_source(spec: Spec) -> Source:
    """The module whose ``read(m, o, h)`` gives the message of element *m* under date order *o*.

    *h* is the header of the envelope that it came in, or None.
    """
    source = Source(spec)
    _Reader(source, spec).scope("read", spec.message, spec.rules, spec.header)
    return source


class _Reader:
    def __init__(self, source: Source, spec: Spec) -> None:
        self.source, self.spec = source, spec
        self.codes = source.codes("read", str)

    def tag(self, name: str) -> str:
        return repr(self.spec.tag(name))

    def scope(self, function: str, cls: type, rules: list[Rule], header: Sequence[Rule] = ()) -> None:
        theirs = Theirs(self.source, cls, codes=self.codes)
        self.places(theirs, rules, "m")
        if header:
            self.places(theirs, list(header), "h")
        self.source.add(f"def {function}(m, o, h=None):")
        self.source.extend(theirs.build(), 1)

    def places(self, theirs: Theirs, rules: list[Rule], holder: str) -> None:
        reading = rules_for(rules, "read")
        several = [rule for rule in reading if isinstance(rule, Pair) and rule.others]
        gathered = [rule for rule in reading if isinstance(rule, Each) and rule.gathered]
        root = tree([rule for rule in reading if rule not in several and rule not in gathered])
        # These are found by going all the ways that they may have; beside the others they are only known.
        for rule in several:
            find = self.source.bind(_Finder(self.spec, rule))
            theirs.pair(rule, f"{find}({holder})", f"(x := {find}({holder})) is None")
        for each in gathered:
            way = [self.spec.tag(step) for step in each.place.split("/")]
            self.each(theirs, each, f"{self.source.bind(_gatherer(way))}({holder})", counted(rules))
        if root.text is not None:
            self.leaf(theirs, root.text, f"{holder}.text", f"(x := {holder}.text) is None")
        for name, own in root.attributes:
            name = self.spec.attribute(name)
            self.leaf(theirs, own, f"{holder}.attrib[{name!r}]", f"(x := {holder}.get({name!r})) is None")
        ways = [way for rule in several for way in (rule.place, *rule.others)] + [each.place for each in gathered]
        self.level(theirs, root, holder, counted(rules), ways)

    def level(
        self, theirs: Theirs, element: Element, holder: str, first: set[tuple[str, ...]], ways: Sequence[str] = ()
    ) -> None:
        """*ways* are the places below *element* that are looked for in another manner."""
        if self.spec.unknown != "ignore" and (element.children or element.attributes or not element.name):
            self.known(theirs, element, holder, ways)
        if not element.children:
            return
        bare = all(child.bare for child in element.children)
        once = frozenset(self.spec.tag(c.name) for c in element.children if not isinstance(c.nested, Each))
        name = f"c{len(theirs.prelude)}"
        call = f"{self.source.bind(texts if bare else elements)}({holder}, {self.source.bind(once)})"
        theirs.prelude.append((f"{name} = {call}", next(iter(element.rules()), None)))
        for child in element.children:
            tag = self.tag(child.name)
            found = f"(x := {name}.get({tag})) is None"
            if isinstance(child.nested, Each):
                self.each(theirs, child.nested, f"{self.source.bind(kids)}({holder}, {tag})", first)
                continue
            if child.nested is not None:
                self.group(theirs, child.nested, f"{name}[{tag}]", found)
                continue
            if child.text is not None and bare:
                self.leaf(theirs, child.text, f"{name}[{tag}]", found)
            elif child.text is not None:
                self.leaf(theirs, child.text, f"{name}[{tag}].text", f"{found} or (x := x.text) is None")
            for attribute, own in child.attributes:
                attribute = self.spec.attribute(attribute)
                self.leaf(
                    theirs,
                    own,
                    f"{name}[{tag}].attrib[{attribute!r}]",
                    f"{found} or (x := x.get({attribute!r})) is None",
                )
            self.level(theirs, child, f"{name}.get({tag})", first, _below(ways, child.name))

    def known(self, theirs: Theirs, element: Element, holder: str, ways: Sequence[str]) -> None:
        """The statement that looks for what the map does not know."""
        tags = {self.spec.tag(child.name): child for child in element.children}
        elements = frozenset(tags) | {self.spec.tag(way.split("/")[0]) for way in ways if way[0] not in ".@"}
        attributes = frozenset(self.spec.attribute(name) for name, _ in element.attributes)
        attributes |= {self.spec.attribute(way[1:]) for way in ways if way[0] == "@"}
        leaves = frozenset(tag for tag, child in tags.items() if child.bare and not isinstance(child.text, Blank))
        rule = next(iter(element.rules()), None)
        look = self.source.bind(_Strangers(self.spec, elements, attributes, leaves))
        theirs.prelude.append((f"{look}({holder})", rule))

    def leaf(self, theirs: Theirs, rule: Rule, required: str, absent: str) -> None:
        if isinstance(rule, Pair):
            theirs.pair(rule, required, absent)
        elif isinstance(rule, Always):
            theirs.always(rule, required, self.codes)

    def each(self, theirs: Theirs, rule: Each, items: str, first: set[tuple[str, ...]]) -> None:
        function = self.source.new("r")
        assert rule.field.shape.part is not None
        self.scope(function, rule.field.shape.part, rule.rules)
        self.source.numbers[function] = rule, _sibling
        items = enough(self.source, rule, items)
        theirs.part(rule, f"[{function}(i, o) for i in {items}]", first=rule.field.names in first)

    def group(self, theirs: Theirs, rule: Group, required: str, absent: str) -> None:
        function = self.source.new("r")
        assert rule.field.shape.part is not None
        self.scope(function, rule.field.shape.part, rule.rules)
        if not rule.field.shape.optional:
            theirs.part(rule, f"{function}({required}, o)")
            return
        theirs.part(rule, f"None if {absent} else {function}(x, o)")
        theirs.check(rule)


def _sibling(parent: Any, item: Any) -> int:
    return 1 + sum(1 for _ in item.itersiblings(item.tag, preceding=True))


_NOTHING: dict[Any, Any] = {}


def texts(element: Any, once: frozenset[str]) -> dict[str, str | None]:
    """The texts of an element's children by tag; those of *once* may not come twice."""
    if element is None:
        return _NOTHING
    found = {child.tag: child.text for child in element}
    if len(found) != len(element):
        _twice(element, once)
    return found


def elements(element: Any, once: frozenset[str]) -> dict[str, Any]:
    """The children of an element by tag; those of *once* may not come twice."""
    if element is None:
        return _NOTHING
    found = {child.tag: child for child in element}
    if len(found) != len(element):
        _twice(element, once)
    return found


def _twice(element: Any, once: frozenset[str]) -> None:
    seen = set()
    for child in element:
        if child.tag in seen and child.tag in once:
            raise Bad("map_repeated", "an element beside it stands there twice")
        seen.add(child.tag)


class _Finder:
    """Looks for a text in all the places that it may have, in their order."""

    def __init__(self, spec: Spec, pair: Pair) -> None:
        self.ways = []
        for place in (pair.place, *pair.others):
            steps = [] if place == "." else place.split("/")
            attribute = spec.attribute(steps.pop()[1:]) if steps and steps[-1].startswith("@") else None
            self.ways.append(([spec.tag(step) for step in steps], attribute))

    def __call__(self, element: Any) -> str | None:
        for tags, attribute in self.ways:
            at = element
            for tag in tags:
                at = None if at is None else at.find(tag)
            found = None if at is None else at.text if attribute is None else at.get(attribute)
            if found is not None and not found.isspace():
                return found  # type: ignore[no-any-return]
        return None


def _gatherer(way: list[str]) -> Any:
    def gather(element: Any) -> Any:
        found = () if element is None else [element]
        for tag in way:
            found = [child for at in found for child in at.iterchildren(tag)]
        return found

    return gather


class _Strangers:
    """Looks for elements and attributes that the map does not know, and refuses or notices them."""

    def __init__(
        self, spec: Spec, elements: frozenset[str], attributes: frozenset[str], leaves: frozenset[str]
    ) -> None:
        self.spec, self.elements, self.attributes, self.leaves = spec, elements, attributes, leaves

    def __call__(self, element: Any) -> None:
        if element is None:
            return
        strange = [child.tag for child in element if child.tag not in self.elements]
        strange += [f"@{name}" for name in element.attrib if name not in self.attributes and not name.startswith(_XSI)]
        for child in element:
            if child.tag in self.leaves:
                strange += [f"@{name}" for name in child.attrib if not name.startswith(_XSI)]
                strange += [inner.tag for inner in child]
        for name in strange:
            if self.spec.unknown == "refuse":
                raise Bad("map_unknown", "stands beside something that the map does not know")
            self.spec.notice(re.sub(r"\{[^}]*\}", "", name))


_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"


def _below(ways: Sequence[str], name: str) -> list[str]:
    return [way[len(name) + 1 :] for way in ways if way.startswith(f"{name}/")]


def kids(element: Any, tag: str) -> Any:
    return () if element is None else element.iterchildren(tag)
