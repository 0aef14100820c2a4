"""From the tree of a map's file to its rules, with every mistake of grammar reported and none fatal.

The grammar is that of ``docs/mapping-language.md``.
"""

import codecs
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hub import adapter
from hub.canonical.declare import Shape, shapes
from hub.mapping import edifact, tables
from hub.mapping.loader import Branch, Item, Node, Text
from hub.mapping.model import (
    MISSING,
    Always,
    Blank,
    Each,
    Field,
    Form,
    Group,
    Pair,
    Record,
    Report,
    Rule,
    Spec,
    Todo,
    When,
)

FORMATS = ("xml", "json", "fixed", "csv", "edifact", "mt940", "mt942")
FORMS = ("table", "date", "hijri", "datetime", "decimal", "digits", "text", "number", "arabic")
_KEYS = {
    "xml": {"namespace", "namespaces", "accepts", "root", "schema", "soap", "header", "fields"},
    "json": {"fields"},
    "edifact": {"una", "newline", "counts", "fields"},
    "mt940": {"encoding", "newline", "counts", "fields"},
    "mt942": {"encoding", "newline", "counts", "fields"},
    "fixed": {"encoding", "length", "newline", "order", "continuation", "filler", "block", "records"},
    "csv": {
        "encoding",
        "delimiter",
        "newline",
        "quote",
        "heading",
        "skip",
        "footer",
        "order",
        "continuation",
        "terminator",
        "records",
    },
}
_COMMON = {"message", "format", "draft", "tables", "unknown"}
#: Keys that hold one text; each has its ``key_…`` below.
_SIMPLE = (
    "namespace", "accepts", "root", "schema", "soap", "encoding", "length", "newline", "delimiter", "quote",
    "heading", "skip", "footer", "una", "counts", "order", "continuation", "terminator", "filler", "block", "unknown",
)  # fmt: skip
_NEEDED = {
    "xml": ("root", "fields"), "json": ("fields",), "fixed": ("length", "records"), "csv": ("records",),
    "edifact": ("fields",), "mt940": ("fields",), "mt942": ("fields",),
}  # fmt: skip
_RECORD = ("each", "group", "fields", "records", "length")
_LONG = {"field", "form", "default", "else", "only", "lossy"}
_ALWAYS = re.compile(
    r"=\s*(?:'(?P<text>(?:[^']|'')*)'|count\((?P<count>[\w.]+)\)|sum\((?P<sum>[\w.]+)\))\s*(?:\|(?P<form>.*))?",
    re.DOTALL,
)
_CONDITION = re.compile(r"(?P<field>[\w.]+)\s+is\s+(?P<not>not\s+)?(?P<value>.+)")
_TODO = re.compile(r"todo(?:\s.*)?", re.DOTALL)


def is_todo(text: str) -> bool:
    """Whether *text* says that somebody still has to decide what stands here."""
    return _TODO.fullmatch(text.strip()) is not None


_NAME = r"@?[A-Za-z_][\w.-]*"
_STEP = r"(?:[A-Za-z_][\w.-]*:)?[A-Za-z_][\w.-]*"
_PLACES = {
    "xml": re.compile(rf"\.|{_STEP}(?:/{_STEP})*(?:/@{_STEP})?|@{_STEP}"),
    "json": re.compile(r"[^/\s](?:[^/]*[^/\s])?(?:/[^/\s](?:[^/]*[^/\s])?)*"),
    "fixed": re.compile(r"[1-9][0-9]*-[1-9][0-9]*"),
    "csv": re.compile(r".+", re.DOTALL),
    "edifact": edifact.PLACE,
    "mt940": re.compile(r".+", re.DOTALL),
    "mt942": re.compile(r".+", re.DOTALL),
}


def _uri(text: str) -> bool:
    return bool(text) and not any(c in text for c in "{}<>\"' \t\n")


def closest(wrong: str, known: Iterable[str]) -> str:
    """«; did you mean 'x'?» where something like *wrong* is known."""
    near = difflib.get_close_matches(wrong, list(known), 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def read(tree: Branch, spec: Spec, messages: Mapping[str, type], folders: tuple[Path, Path], report: Report) -> bool:
    """Fill *spec* from *tree*; *folders* hold code tables and the partner's schemas.

    False when the file's head is so wrong that nothing else of it can be understood.
    """
    return _Grammar(spec, *folders, report).file(tree, messages)


class _Grammar:
    def __init__(self, spec: Spec, tables: Path, schemas: Path, report: Report) -> None:
        self.spec, self.tables, self.schemas, self.report = spec, tables, schemas, report
        self.brought: Mapping[str, adapter.Form] = {}
        try:
            self.brought = adapter.load(schemas)
        except ValueError as error:
            report(1, f"the adapter's own forms cannot be used: {error}")

    # --- the file -------------------------------------------------------------------------------------------------

    def file(self, tree: Branch, messages: Mapping[str, type]) -> bool:
        given = self.table(tree, "key")
        head = self.head(given, tree.line, messages)
        if not head:
            return False
        spec = self.spec
        spec.newline = {"edifact": "", "mt940": "\r\n", "mt942": "\r\n"}.get(spec.format, "\n")
        for key, item in given.items():
            spec.lines[key] = item.line
            if key not in _KEYS[spec.format] | _COMMON:
                known = _KEYS[spec.format] | _COMMON
                self.report(item.line, f"'{key}' is no key of a map in {spec.format}{closest(key, known)}")
        for key in _NEEDED[spec.format]:
            if key not in given:
                self.report(tree.line, f"'{key}' is missing: a map in {spec.format} needs it")
        if "namespaces" in given and spec.format == "xml":
            for item in self.table(self.branch(given["namespaces"]), "prefix").values():
                uri = self.text(item.node) or ""
                if not re.fullmatch(r"[A-Za-z_][\w.-]*", item.key) or item.key.lower().startswith("xml"):
                    self.report(item.line, f"'{item.key}' is no prefix")
                elif not _uri(uri):
                    self.report(item.line, "a namespace is a URI")
                spec.namespaces[item.key] = uri
        for key in _SIMPLE:
            if key in given and key in _KEYS[spec.format] | _COMMON:
                text = self.text(given[key].node)
                if text is not None:
                    getattr(self, f"key_{key}")(text, given[key].line)
        if "draft" in given:
            spec.draft = self.text(given["draft"].node) or "a draft"
        if "tables" in given:
            for item in self.table(self.branch(given["tables"]), "table").values():
                table, undecided = tables.read(item, self.tables, self.report, is_todo)
                spec.todo.update(undecided)
                if undecided and spec.draft is not None:
                    table = replace(table, partial=table.partial or "a draft")
                spec.tables[table.name] = table
        if "header" in given and spec.format == "xml":
            spec.header = self.rules(self.branch(given["header"]), spec.message, "")
        if "fields" in given:
            spec.fields_line = given["fields"].line
            spec.rules = self.rules(self.branch(given["fields"]), spec.message, "")
        if "records" in given:
            spec.fields_line = given["records"].line
            for item in self.table(self.branch(given["records"]), "record").values():
                if (record := self.record(item, spec.message, -1)) is not None:
                    spec.records.append(record)
        return True

    def head(self, given: Mapping[str, Item], line: int, messages: Mapping[str, type]) -> bool:
        whole = True
        for key, known in (("message", messages), ("format", FORMATS)):
            if key not in given:
                self.report(line, f"'{key}' is missing: every map says its {key}")
                whole = False
                continue
            value = self.text(given[key].node) or ""
            if value not in known:
                self.report(given[key].line, f"no {key} '{value}'{closest(value, known)}")
                whole = False
            elif key == "message":
                self.spec.message, self.spec.message_line = messages[value], given[key].line
            else:
                self.spec.format = value  # type: ignore[assignment]
        return whole

    def key_namespace(self, text: str, line: int) -> None:
        if not _uri(text):
            self.report(line, "a namespace is a URI")
        self.spec.namespace = text

    def key_root(self, text: str, line: int) -> None:
        first, *others = text.split(" / ")
        for way in (first, *others):
            if not _PLACES["xml"].fullmatch(way) or "@" in way or way == "." or not self.prefixed(way, line):
                self.report(line, f"root '{way}' is no path of elements")
                return
        self.spec.root = tuple(first.split("/"))
        self.spec.roots = tuple(tuple(way.split("/")) for way in others)
        if any(len(way) != len(self.spec.root) for way in self.spec.roots):
            self.report(line, "the ways of a root are equally long")

    def prefixed(self, place: str, line: int) -> bool:
        """Whether every prefix of *place* is one of the map's."""
        for step in re.split("[/@]", place):
            prefix, colon, _ = step.rpartition(":")
            if colon and prefix not in self.spec.namespaces:
                self.report(line, f"no prefix '{prefix}' in 'namespaces'{closest(prefix, self.spec.namespaces)}")
                return False
        return True

    def key_accepts(self, text: str, line: int) -> None:
        self.spec.accepts = tuple(text.split())
        if not all(one == "none" or _uri(one.removesuffix("*")) for one in self.spec.accepts):
            self.report(line, "'accepts' holds namespaces with blanks between them; one may end in *, or be none")

    def key_soap(self, text: str, line: int) -> None:
        if text not in ("1.1", "1.2"):
            self.report(line, "soap is 1.1 or 1.2")
        self.spec.soap = text

    def key_schema(self, text: str, line: int) -> None:
        path = (self.schemas / text).resolve()
        if not path.is_relative_to(self.schemas.resolve()):
            self.report(line, f"schema '{text}' lies outside the adapter's folder")
        elif not path.is_file():
            self.report(line, f"there is no schema '{text}' in the adapter's folder")
        else:
            self.spec.schema = path

    def key_encoding(self, text: str, line: int) -> None:
        try:
            codecs.lookup(text)
            "a".encode(text)
        except (LookupError, UnicodeError):
            self.report(line, f"there is no encoding '{text}'")
        else:
            self.spec.encoding = text

    def key_length(self, text: str, line: int) -> None:
        self.spec.length = self.columns(text, line)

    def columns(self, text: str, line: int) -> int:
        if not re.fullmatch(r"[1-9][0-9]{0,4}", text):
            self.report(line, "a length is a number of columns from 1 to 99999")
            return 0
        return int(text)

    def key_newline(self, text: str, line: int) -> None:
        if text not in ("crlf", "lf", "none") or (text == "none" and self.spec.format != "fixed"):
            self.report(line, "a newline is crlf or lf")
        self.spec.newline = {"crlf": "\r\n", "none": ""}.get(text, "\n")

    def key_una(self, text: str, line: int) -> None:
        signs = text.removeprefix("UNA")
        if len(signs) != 6 or any(c.isalnum() for c in signs) or len({*signs[:2], *signs[3:]} - {" "}) < 4:
            self.report(line, 'una is the six service characters, such as ":+.? \'"')
        else:
            self.spec.una = signs

    def key_counts(self, text: str, line: int) -> None:
        if text not in ("strict", "warn"):
            self.report(line, "counts is strict (what is not true is refused) or warn (it is told and read)")
        else:
            self.spec.counts = text  # type: ignore[assignment]

    def key_delimiter(self, text: str, line: int) -> None:
        text = "\t" if text == "tab" else text
        if text not in (",", ";", "\t", "|"):
            self.report(line, "a delimiter is one of , ; | tab")
        else:
            self.spec.delimiter = text

    def key_quote(self, text: str, line: int) -> None:
        """``'`` or another sign, ``none`` where no cell is ever quoted, ``all`` where every one is."""
        if text in ("none", "all"):
            self.spec.quote, self.spec.quote_all = '"' if text == "all" else "", text == "all"
        elif len(text) != 1 or text.isalnum() or text.isspace():
            self.report(line, "a quote is one sign, all or none")
        else:
            self.spec.quote = text

    def key_heading(self, text: str, line: int) -> None:
        if text not in ("yes", "none"):
            self.report(line, "a heading is yes or none")
        self.spec.heading = text != "none"

    def key_skip(self, text: str, line: int) -> None:
        self.spec.skip = self.number(text, line, "skip")

    def key_footer(self, text: str, line: int) -> None:
        self.spec.footer = self.number(text, line, "footer")

    def key_block(self, text: str, line: int) -> None:
        self.spec.block = self.number(text, line, "block")

    def number(self, text: str, line: int, what: str) -> int:
        if not re.fullmatch(r"[1-9][0-9]?", text):
            self.report(line, f"'{what}' says how many: from 1 to 99")
            return 0
        return int(text)

    def key_order(self, text: str, line: int) -> None:
        if text not in ("any", "map"):
            self.report(line, "the order of records is that of the map, or any")
        self.spec.any_order = text == "any"

    def key_continuation(self, text: str, line: int) -> None:
        if not text or len(text) > 8 or not text.isprintable():
            self.report(line, "'continuation' is the tag that such a row begins with")
        self.spec.continuation = text

    def key_terminator(self, text: str, line: int) -> None:
        if len(text) != 1 or text.isalnum() or text.isspace():
            self.report(line, "a terminator is one sign that ends a row")
        self.spec.terminator = text

    def key_filler(self, text: str, line: int) -> None:
        if len(text) != 1 or not text.isprintable():
            self.report(line, "a filler is the one character of the rows that fill up a block")
        self.spec.filler = text

    def key_unknown(self, text: str, line: int) -> None:
        if text not in ("refuse", "ignore", "warn"):
            self.report(line, "'unknown' is refuse, ignore or warn")
        else:
            self.spec.unknown = text  # type: ignore[assignment]

    # --- nodes ----------------------------------------------------------------------------------------------------

    def undecided(self, item: Item) -> bool:
        return isinstance(item.node, Text) and is_todo(item.node.value)

    def text(self, node: Node) -> str | None:
        if isinstance(node, Text):
            return node.value
        self.report(node.line, "a text is wanted here, not a table")
        return None

    def branch(self, item: Item) -> Branch:
        if isinstance(item.node, Branch):
            return item.node
        self.report(item.line, f"'{item.key}' wants a table of 'key: value' lines below it")
        return Branch((), item.line)

    def table(self, branch: Branch, what: str) -> dict[str, Item]:
        """The items of *branch* by key; what comes twice is reported and its first wins."""
        found: dict[str, Item] = {}
        for item in branch.items:
            if item.key in found:
                self.report(item.line, f"{what} '{item.key}' is given twice (first on line {found[item.key].line})")
            else:
                found[item.key] = item
        return found

    # --- rules ----------------------------------------------------------------------------------------------------

    def record(self, item: Item, cls: type, parent: int) -> Record | None:
        """One kind of row, and what belongs to it; *cls* is what the rows around it are of."""
        given = self.table(self.branch(item), "key")
        for key, inner in given.items():
            if key not in _RECORD:
                self.report(inner.line, f"'{key}' is no key of a record{closest(key, _RECORD)}")
        record = Record(name=item.key, line=item.line, part=cls, parent=parent)
        for key in ("each", "group"):
            if key not in given:
                continue
            if self.undecided(given[key]):
                self.spec.todo[item.line] = f"record '{item.key}': what it repeats for is still to do"
                self.spec.understood = False
                return None
            field = self.part_field(given[key], cls, many=key == "each")
            if field is None:
                self.spec.understood = False
                return None
            assert field.shape.part is not None
            record.part = field.shape.part
            setattr(record, key, field)
        if record.each is not None and record.group is not None:
            self.report(item.line, f"record '{item.key}' is a list or a part, not both")
        if "fields" not in given:
            self.report(item.line, f"record '{item.key}' has no fields")
            self.spec.understood = False
            return None
        if "length" in given and self.spec.format == "fixed":
            record.length = self.columns(self.text(given["length"].node) or "", given["length"].line)
        record.rules = self.rules(self.branch(given["fields"]), record.part, "")
        place = len(self.spec.kinds)
        self.spec.kinds.append(record)
        if "records" in given:
            for inner in self.table(self.branch(given["records"]), "record").values():
                if (below := self.record(inner, record.part, place)) is not None:
                    record.records.append(below)
        return record

    def rules(self, branch: Branch, cls: type, prefix: str) -> list[Rule]:
        found = []
        seen: dict[str, int] = {}
        for item in branch.items:
            if item.key in seen:
                self.report(item.line, f"'{item.key}' is given twice (first on line {seen[item.key]})")
                continue
            seen[item.key] = item.line
            if not self.place(item.key):
                self.report(item.line, f"'{item.key}' is no place in {self.spec.format}")
                found.append(Rule(place="", full="", line=item.line))
                continue
            key, gathered = item.key, self.spec.format == "xml" and "+/" in item.key
            key = key.replace("+/", "/") if gathered else key
            if self.spec.format == "xml" and not self.prefixed(key, item.line):
                found.append(Rule(place="", full="", line=item.line))
                continue
            first, *others = key.split(" / ") if self.spec.format == "xml" else [key]
            where: dict[str, Any] = {"place": first, "full": prefix + first, "line": item.line}
            if self.spec.format == "fixed":
                first, last = item.key.split("-")
                where["columns"] = int(first), int(last)
            # A rule that was not understood still holds its place, so that nothing else is blamed for the gap.
            rule = self.rule(item, cls, where) or Rule(**where)
            if gathered and isinstance(rule, Each):
                rule.gathered = True
            elif gathered and not isinstance(rule, Todo):
                self.report(item.line, "only what holds an 'each:' may stand many times")
            if others and isinstance(rule, Pair):
                rule.others = tuple(others)
            elif others and not isinstance(rule, Todo) and type(rule) is not Rule:
                self.report(item.line, "only a pair has several places")
            found.append(rule)
        return found

    def place(self, key: str) -> bool:
        if self.spec.format == "xml":
            ways = key.replace("+/", "/").split(" / ")
            return all(_PLACES["xml"].fullmatch(way) is not None for way in ways)
        if self.spec.format == "csv" and not self.spec.heading:
            return re.fullmatch("[1-9][0-9]{0,2}", key) is not None
        return _PLACES[self.spec.format].fullmatch(key) is not None

    def rule(self, item: Item, cls: type, where: dict[str, Any]) -> Rule | None:
        node = item.node
        if self.undecided(item):
            return Todo(**where)
        if isinstance(node, Text) and node.value == "~":
            return Blank(**where)
        if isinstance(node, Text):
            return self.short(node, cls, where)
        keys = {inner.key for inner in node.items}
        kind = "each" if "each" in keys else "group" if "group" in keys else "field"
        allowed = {"each": {"each", "least", "fields"}, "group": {"group", "when", "fields"}, "field": _LONG}[kind]
        given = self.table(node, "key")
        for key, inner in given.items():
            if key not in allowed:
                self.report(inner.line, f"'{key}' is no key of a {kind} rule{closest(key, allowed)}")
        if kind in given and self.undecided(given[kind]):
            return Todo(**where)
        if kind == "field":
            return self.long(given, item, cls, where)
        if self.spec.format in ("fixed", "csv"):
            self.report(item.line, f"'{kind}:' has no place inside a record of a {self.spec.format} file")
            return None
        return self.nested(kind, given, item, cls, where)

    def nested(self, kind: str, given: dict[str, Item], item: Item, cls: type, where: dict[str, Any]) -> Rule | None:
        field = self.part_field(given[kind], cls, many=kind == "each")
        if "fields" not in given:
            self.report(item.line, f"'{kind}:' needs 'fields:'")
            return None
        when = self.condition(given["when"], cls) if "when" in given and kind == "group" else None
        if field is None:
            return None
        assert field.shape.part is not None
        rules = self.rules(self.branch(given["fields"]), field.shape.part, where["full"] + "/")
        if kind == "each":
            least = self.number(self.text(given["least"].node) or "", item.line, "least") if "least" in given else 0
            if least:
                self.spec.needed.add(item.line)
            return Each(field=field, rules=rules, least=least, **where)
        return Group(field=field, rules=rules, when=when, **where)

    def short(self, node: Text, cls: type, where: dict[str, Any]) -> Rule | None:
        if node.value.startswith("="):
            return self.always(node, cls, where)
        name, _, form = node.value.partition("|")
        field = self.leaf(name.strip(), node.line, cls)
        read_form = self.form(form, node.line) if "|" in node.value else None
        if field is None or ("|" in node.value and read_form is None):
            return None
        return Pair(field=field, form=read_form, **where)

    def long(self, given: dict[str, Item], item: Item, cls: type, where: dict[str, Any]) -> Rule | None:
        if "field" not in given:
            self.report(item.line, "a rule needs 'field:', 'group:' or 'each:'")
            return None
        values = {key: self.text(inner.node) for key, inner in given.items() if key in _LONG}
        field = self.leaf(values["field"] or "", given["field"].line, cls)
        form = self.form(values["form"] or "", given["form"].line) if "form" in given else None
        if field is None or ("form" in given and form is None):
            return None
        pair = Pair(field=field, form=form, **where)
        if "default" in given:
            pair.default = self.literal(field, values["default"] or "", given["default"].line)
        if "else" in given:
            name, bar, spare = (values["else"] or "").partition("|")
            other = self.leaf(name.strip(), given["else"].line, cls)
            other_form = self.form(spare, given["else"].line) if bar else None
            if other is None or (bar and other_form is None):
                return None
            pair.otherwise = other, other_form
        if "only" in given:
            if values["only"] in ("write", "read"):
                pair.only = values["only"]  # type: ignore[assignment]
            else:
                self.report(given["only"].line, "'only:' is write or read")
        if "lossy" in given:
            pair.lossy = values["lossy"]
            if not pair.lossy:
                self.report(given["lossy"].line, "'lossy:' says why")
        return pair

    def always(self, node: Text, cls: type, where: dict[str, Any]) -> Rule | None:
        match = _ALWAYS.fullmatch(node.value.strip())
        if match is None:
            self.report(node.line, "after '=' comes 'TEXT', count(LIST) or sum(LIST.FIELD)")
            return None
        form = self.form(match["form"], node.line) if match["form"] is not None else None
        if match["form"] is not None and form is None:
            return None
        if match["text"] is not None:
            return Always(text=match["text"].replace("''", "'"), form=form, **where)
        name, summed = match["count"], None
        if name is None:
            name, _, last = match["sum"].rpartition(".")
        each = self.resolve(name, node.line, cls)
        if each is None:
            return None
        if not each.shape.many or each.shape.part is None:
            self.report(node.line, f"'{name}' is no list")
            return None
        if match["sum"]:
            inner = self.leaf(last, node.line, each.shape.part)
            if inner is None:
                return None
            summed = inner.shape
            if summed.kind not in ("decimal", "integer") or summed.optional:
                self.report(node.line, f"'{match['sum']}' cannot be summed: it is not always a number")
                return None
        return Always(each=each, summed=summed, form=form, **where)

    # --- fields, forms, values ------------------------------------------------------------------------------------

    def resolve(self, name: str, line: int, cls: type) -> Field | None:
        names, found = tuple(name.split(".")), []
        for depth, step in enumerate(names):
            known = shapes(cls)
            if step not in known:
                self.report(line, f"no field '{name}' in {self.owner(cls, depth)}{closest(step, known)}")
                return None
            shape = known[step]
            found.append(shape)
            if depth < len(names) - 1:
                if shape.part is None or shape.many:
                    kind = "list" if shape.many else shape.kind
                    self.report(line, f"'{step}' is a {kind}: nothing of it can be named as '{name}'")
                    return None
                cls = shape.part
        return Field(names, tuple(found))

    def owner(self, cls: type, depth: int) -> str:
        return self.spec.message.__name__ if depth else cls.__name__

    def leaf(self, name: str, line: int, cls: type) -> Field | None:
        field = self.resolve(name, line, cls)
        if field is not None and (field.shape.part is not None or field.shape.many):
            word = "each" if field.shape.many else "group"
            self.report(line, f"'{name}' is a {'list' if field.shape.many else 'part'}: map it with '{word}:'")
            return None
        return field

    def part_field(self, item: Item, cls: type, *, many: bool) -> Field | None:
        name = self.text(item.node)
        field = self.resolve(name, item.line, cls) if name is not None else None
        if field is not None and (field.shape.part is None or field.shape.many != many):
            self.report(item.line, f"'{name}' is no {'list of parts' if many else 'part'}")
            return None
        return field

    def form(self, text: str, line: int) -> Form | None:
        name, _, argument = text.strip().partition(" ")
        argument = argument.strip()
        if name in self.brought:
            if argument:
                self.report(line, f"form '{name}' takes nothing after it")
            return Form(name, brought=self.brought[name])
        if name not in FORMS:
            self.report(line, f"no form '{name}'{closest(name, (*FORMS, *self.brought))}")
            return None
        if name in ("table", "date", "hijri", "datetime", "decimal") and not argument:
            self.report(line, f"form '{name}' says which: '{name} {'NAME' if name == 'table' else 'PATTERN'}'")
            return None
        if name in ("digits", "text", "number", "arabic") and argument:
            self.report(line, f"form '{name}' takes nothing after it")
            return None
        if name == "decimal" and not re.fullmatch(r"[0-9](?: [,.])?", argument):
            self.report(line, "form 'decimal' says how many decimal places: a digit")
            return None
        if name == "table" and argument not in self.spec.tables:
            self.report(line, f"no table '{argument}'{closest(argument, self.spec.tables)}")
            return None
        zone, past = None, False
        if name == "date" and argument.endswith(" past"):
            argument, past = argument.removesuffix(" past").strip(), True
            if "YY" not in argument or "YYYY" in argument:
                self.report(line, "'past' is for years of two digits")
        if name == "datetime":
            pattern, _, last = argument.rpartition(" ")
            if pattern and (last == "UTC" or "/" in last):
                argument = pattern.strip()
                try:
                    zone = ZoneInfo(last)
                except (KeyError, ValueError, OSError):
                    self.report(line, f"there is no time zone '{last}'")
                    return None
        return Form(name, argument, zone, past)

    def condition(self, item: Item, cls: type) -> When | None:
        text = self.text(item.node)
        match = _CONDITION.fullmatch((text or "").strip())
        if match is None:
            self.report(item.line, "a condition reads FIELD is VALUE, or FIELD is not VALUE")
            return None
        field = self.leaf(match["field"], item.line, cls)
        if field is None:
            return None
        value = match["value"].strip()
        if value == "none" and "none" not in (field.shape.one_of or ()):
            if not field.optional:
                self.report(item.line, f"'{field}' is never none")
            return When(field, None, bool(match["not"]))
        return When(field, self.literal(field, value, item.line), bool(match["not"]))

    def literal(self, field: Field, text: str, line: int) -> Any:
        """The canonical value that *text* names; MISSING, with a report, where *field* never has it."""
        value, wanted = _typed(field.shape, text)
        if wanted:
            self.report(line, f"'{field}' is never '{text}': it is {wanted}")
        return value


def _typed(shape: Shape, text: str) -> tuple[Any, str]:
    """The value, or what it had to be."""
    match shape.kind:
        case "boolean":
            return {"true": True, "false": False}.get(text, MISSING), "" if text in (
                "true",
                "false",
            ) else "true or false"
        case "integer" if re.fullmatch(r"-?[0-9]+", text):
            return int(text), ""
        case "decimal":
            try:
                return Decimal(text), ""
            except InvalidOperation:
                return MISSING, "a decimal"
        case "text":
            if shape.one_of is not None and text not in shape.one_of:
                return MISSING, f"one of {', '.join(shape.one_of)}"
            return text, ""
    return MISSING, f"a {shape.kind}"
