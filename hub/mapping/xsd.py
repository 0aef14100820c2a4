"""What a partner's XML schema says of the elements that a map names: which, in what order, how often, what values."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from hub.security import xml

_XS = "{http://www.w3.org/2001/XMLSchema}"
_DEPTH_LIMIT = 40


@dataclass(frozen=True, slots=True)
class Simple:
    """A text as the schema restricts it."""

    values: tuple[str, ...] | None = None
    longest: int | None = None


@dataclass(slots=True)
class Declared:
    """One element of the schema.  ``children`` are in the order that the schema wants, ``free`` where it wants none."""

    name: str
    required: bool = True
    many: bool = False
    text: Simple | None = None
    attributes: dict[str, tuple[bool, Simple]] = field(default_factory=dict)
    children: list["Declared"] = field(default_factory=list)
    free: bool = False

    def child(self, name: str) -> "Declared | None":
        return next((child for child in self.children if child.name == name), None)


def read(path: Path) -> Declared:
    """An element that holds the schema's global elements, named by its target namespace.

    Raises XmlRefused, or ValueError for what is declared nowhere or written in a way that maps do not carry.
    """
    schema = _Schema(path)
    return Declared(
        schema.namespace, children=[schema.element(e, 0) for e in schema.globals["element"].values()], free=True
    )


class _Schema:
    def __init__(self, path: Path) -> None:
        self.globals: dict[str, dict[str, Any]] = {
            kind: {} for kind in ("element", "complexType", "simpleType", "group", "attributeGroup", "attribute")
        }
        self._read: set[Path] = set()
        self.namespace = ""
        self._load(path.resolve())

    def _load(self, path: Path) -> None:
        if path in self._read:
            return
        root = xml.parse(path.read_bytes())
        if not self._read:
            self.namespace = root.get("targetNamespace", "")
            if self.namespace and root.get("elementFormDefault") != "qualified":
                raise ValueError("its elements are unqualified: elementFormDefault must be qualified")
        self._read.add(path)
        for node in root:
            kind = etree.QName(node).localname
            if kind in self.globals:
                self.globals[kind][node.get("name", "")] = node
            elif kind in ("include", "import") and (location := node.get("schemaLocation")):
                # Where it may lie has been checked: hub.security.xml.schema has compiled the same files.
                self._load((path.parent / location).resolve())

    def named(self, kind: str, name: str) -> Any:
        local = name.rpartition(":")[2]
        if local not in self.globals[kind]:
            raise ValueError(f"{kind} '{local}' is not declared")
        return self.globals[kind][local]

    def element(self, node: Any, depth: int, optional: bool = False) -> Declared:
        required = node.get("minOccurs", "1") != "0" and not optional
        many = node.get("maxOccurs", "1") not in ("0", "1")
        if node.get("ref"):
            node = self.named("element", node.get("ref"))
        found = Declared(node.get("name"), required, many)
        if depth < _DEPTH_LIMIT:
            inner = node.find(f"{_XS}complexType")
            simple = node.find(f"{_XS}simpleType")
            self._type(found, inner if inner is not None else simple, node.get("type"), depth)
        return found

    def _type(self, found: Declared, inner: Any, name: str | None, depth: int) -> None:
        local = (name or "").rpartition(":")[2]
        if inner is None and local in self.globals["complexType"]:
            inner = self.globals["complexType"][local]
        if inner is not None and inner.tag == f"{_XS}complexType":
            self._complex(found, inner, depth)
        else:
            found.text = self._simple(inner, name)

    def _complex(self, found: Declared, node: Any, depth: int) -> None:
        if node.get("mixed") == "true":
            found.text = Simple()
        for content in (f"{_XS}simpleContent", f"{_XS}complexContent"):
            for derived in node.iterfind(f"{content}/*"):
                base = derived.get("base")
                if content.endswith("simpleContent") or derived.tag == f"{_XS}extension":
                    self._type(found, None, base, depth)
                self._content(found, derived, depth)
        self._content(found, node, depth)

    def _content(self, found: Declared, node: Any, depth: int) -> None:
        for part in node:
            kind = etree.QName(part).localname
            if kind in ("sequence", "choice", "all", "group"):
                found.free = found.free or kind == "all"
                found.children += self._particles(part, depth, optional=False, many=False)
            elif kind == "attribute":
                name = (part.get("name") or part.get("ref", "")).rpartition(":")[2]
                simple = self._simple(part.find(f"{_XS}simpleType"), part.get("type"))
                found.attributes[name] = (part.get("use") == "required", simple)
            elif kind == "attributeGroup":
                self._content(found, self.named("attributeGroup", part.get("ref")), depth)

    def _particles(self, node: Any, depth: int, optional: bool, many: bool) -> Iterator[Declared]:
        kind = etree.QName(node).localname
        optional = optional or node.get("minOccurs") == "0" or kind == "choice"
        many = many or node.get("maxOccurs", "1") not in ("0", "1")
        if kind == "group" and node.get("ref"):
            node = self.named("group", node.get("ref"))
        for part in node:
            inner = etree.QName(part).localname
            if inner == "element":
                child = self.element(part, depth + 1, optional)
                child.many = child.many or many
                yield child
            elif inner in ("sequence", "choice", "all", "group"):
                yield from self._particles(part, depth, optional, many)

    def _simple(self, inner: Any, name: str | None) -> Simple:
        local = (name or "").rpartition(":")[2]
        if inner is None and local in self.globals["simpleType"]:
            inner = self.globals["simpleType"][local]
        if inner is None:
            return Simple(("true", "false", "1", "0") if local == "boolean" else None)
        restriction = inner.find(f"{_XS}restriction")
        if restriction is None:
            return Simple()
        base = self._simple(None, restriction.get("base")) if restriction.get("base") else Simple()
        values = tuple(value.get("value") for value in restriction.iterfind(f"{_XS}enumeration"))
        limit = restriction.find(f"{_XS}maxLength")
        if limit is None:
            limit = restriction.find(f"{_XS}length")
        longest = int(limit.get("value")) if limit is not None else base.longest
        return Simple(values or base.values, longest)
