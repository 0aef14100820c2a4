"""What a partner's XML schema says of the elements that a map names: which, in what order, how often, what values.

Names are qualified, ``{namespace}local``, as lxml writes them.  A schema may import and include others of its folder.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lxml import etree

from hub.security import xml

_XSD = "http://www.w3.org/2001/XMLSchema"
_XS = f"{{{_XSD}}}"
_KINDS = ("element", "complexType", "simpleType", "group", "attributeGroup", "attribute")
#: So often may one group or type stand inside another without an element between them.
_DEPTH_LIMIT = 40


@dataclass(frozen=True, slots=True)
class Simple:
    """A text as the schema restricts it."""

    values: tuple[str, ...] | None = None
    longest: int | None = None


class Declared:
    """One element of the schema, looked into only as far as somebody asks: types may hold themselves.

    ``name`` is its local name, ``tag`` the qualified one.  ``children`` are in the order that the schema wants,
    ``free`` where it wants none; ``text`` is None where it holds elements; ``attributes`` says of each by name whether
    it must be there, and its text.
    """

    def __init__(self, tag: str, content: "_Content", *, required: bool = True, many: bool = False) -> None:
        self.tag, self.required, self.many, self._content = tag, required, many, content
        self.name = tag.rpartition("}")[2]

    @cached_property
    def _filled(self) -> "_Content":
        self._content.fill()
        return self._content

    @property
    def text(self) -> Simple | None:
        return self._filled.text

    @property
    def attributes(self) -> dict[str, tuple[bool, Simple]]:
        return self._filled.attributes

    @property
    def children(self) -> list["Declared"]:
        return self._filled.children

    @property
    def free(self) -> bool:
        return self._filled.free

    def child(self, tag: str) -> "Declared | None":
        return next((child for child in self.children if child.tag == tag), None)


def read(path: Path) -> Declared:
    """An element that holds the global elements of the schema in *path* and of those it imports, in no order; its name
    is the schema's namespace.

    Raises XmlRefused, or ValueError for what is declared nowhere.
    """
    schema = _Schema(path)
    content = _Content(schema, None, None)
    content.children = [schema.element(node, False, False) for node in schema.globals["element"].values()]
    content.free = content.done = True
    found = Declared(schema.namespace, content)
    found.name = schema.namespace
    return found


class _Schema:
    def __init__(self, path: Path) -> None:
        #: By kind, the global declarations by their qualified names.
        self.globals: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
        #: By file, its namespace: its own, or that of whoever includes it.
        self._spaces: dict[Any, str] = {}
        self._read: set[Path] = set()
        self.namespace = ""
        self._load(path.resolve(), None)

    def _load(self, path: Path, within: str | None) -> None:
        if path in self._read:
            return
        first = not self._read
        self._read.add(path)
        root = xml.parse(path.read_bytes())
        space = root.get("targetNamespace") or within or ""
        self._spaces[root] = space
        if first:
            self.namespace = space
        for node in root:
            kind = etree.QName(node).localname
            if kind in self.globals:
                self.globals[kind][_tag(space, node.get("name", ""))] = node
            elif kind in ("include", "import", "redefine") and (location := node.get("schemaLocation")):
                # Where it may lie has been checked: hub.security.xml.schema has compiled the same files.
                self._load((path.parent / location).resolve(), None if kind == "import" else space)

    def space(self, node: Any) -> str:
        return self._spaces[node.getroottree().getroot()]

    def tag(self, node: Any, name: str) -> str:
        """The qualified name that *name* is where *node* says it; ``xs:string`` and its like are in that namespace."""
        prefix, _, local = name.rpartition(":")
        space = node.nsmap.get(prefix or None)
        return _tag(space or ("" if prefix else self.space(node) if None not in node.nsmap else ""), local)

    def named(self, kind: str, node: Any, name: str) -> Any:
        tag = self.tag(node, name)
        if tag not in self.globals[kind]:
            raise ValueError(f"{kind} '{tag.rpartition('}')[2]}' is not declared")
        return self.globals[kind][tag]

    def element(self, node: Any, optional: bool, many: bool) -> Declared:
        required = node.get("minOccurs", "1") != "0" and not optional
        many = many or node.get("maxOccurs", "1") not in ("0", "1")
        if node.get("ref"):
            node = self.named("element", node, node.get("ref"))
        root = node.getroottree().getroot()
        form = node.get("form") or root.get("elementFormDefault", "unqualified")
        space = self.space(node) if node.getparent() is root or form == "qualified" else ""
        inner = node.find(f"{_XS}complexType")
        if inner is None:
            inner = node.find(f"{_XS}simpleType")
        return Declared(_tag(space, node.get("name")), _Content(self, node, inner), required=required, many=many)

    def simple(self, node: Any, inner: Any, name: str | None, depth: int = 0) -> Simple:
        if inner is None and name is not None:
            tag = self.tag(node, name)
            inner = self.globals["simpleType"].get(tag)
            if inner is None:
                return Simple(("true", "false", "1", "0") if tag == f"{_XS}boolean" else None)
        restriction = inner.find(f"{_XS}restriction") if inner is not None else None
        if restriction is None or depth > _DEPTH_LIMIT:
            return Simple()
        base = Simple()
        if restriction.get("base"):
            base = self.simple(restriction, None, restriction.get("base"), depth + 1)
        values = tuple(value.get("value") for value in restriction.iterfind(f"{_XS}enumeration"))
        limit = restriction.find(f"{_XS}maxLength")
        if limit is None:
            limit = restriction.find(f"{_XS}length")
        longest = int(limit.get("value")) if limit is not None else base.longest
        return Simple(values or base.values, longest)


class _Content:
    """What an element's type lets it hold, worked out when it is first asked for."""

    def __init__(self, schema: _Schema, node: Any, inner: Any) -> None:
        self.schema, self.node, self.inner = schema, node, inner
        self.text: Simple | None = None
        self.attributes: dict[str, tuple[bool, Simple]] = {}
        self.children: list[Declared] = []
        self.free = self.done = False

    def fill(self) -> None:
        if not self.done:
            self.done = True
            self._type(self.node, self.inner, self.node.get("type"), 0)

    def _type(self, node: Any, inner: Any, name: str | None, depth: int) -> None:
        if depth > _DEPTH_LIMIT:
            return
        if inner is None and name:
            inner = self.schema.globals["complexType"].get(self.schema.tag(node, name))
        if inner is not None and inner.tag == f"{_XS}complexType":
            self._complex(inner, depth)
        else:
            self.text = self.schema.simple(node, inner, name)

    def _complex(self, node: Any, depth: int) -> None:
        if node.get("mixed") == "true":
            self.text = Simple()
        for content in (f"{_XS}simpleContent", f"{_XS}complexContent"):
            for derived in node.iterfind(f"{content}/*"):
                if content.endswith("simpleContent") or derived.tag == f"{_XS}extension":
                    self._type(derived, None, derived.get("base"), depth + 1)
                self._content(derived, depth)
        self._content(node, depth)

    def _content(self, node: Any, depth: int) -> None:
        schema = self.schema
        if depth > _DEPTH_LIMIT:
            return
        for part in node:
            kind = etree.QName(part).localname
            if kind in ("sequence", "choice", "all", "group"):
                self.free = self.free or kind == "all"
                self.children += self._particles(part, depth, optional=False, many=False)
            elif kind == "attribute":
                own = schema.named("attribute", part, part.get("ref")) if _ours(schema, part) else part
                name = (own.get("name") or part.get("ref", "")).rpartition(":")[2]
                simple = schema.simple(own, own.find(f"{_XS}simpleType"), own.get("type"))
                self.attributes[name] = (part.get("use") == "required", simple)
            elif kind == "attributeGroup":
                self._content(schema.named("attributeGroup", part, part.get("ref")), depth + 1)

    def _particles(self, node: Any, depth: int, optional: bool, many: bool) -> Iterator[Declared]:
        kind = etree.QName(node).localname
        optional = optional or node.get("minOccurs") == "0" or kind == "choice"
        many = many or node.get("maxOccurs", "1") not in ("0", "1")
        if depth > _DEPTH_LIMIT:
            return
        if kind == "group" and node.get("ref"):
            node = self.schema.named("group", node, node.get("ref"))
        for part in node:
            inner = etree.QName(part).localname
            if inner == "element":
                yield self.schema.element(part, optional, many)
            elif inner in ("sequence", "choice", "all", "group"):
                yield from self._particles(part, depth + 1, optional, many)


def _ours(schema: _Schema, part: Any) -> bool:
    return bool(part.get("ref")) and schema.tag(part, part.get("ref")) in schema.globals["attribute"]


def _tag(space: str, local: str) -> str:
    return f"{{{space}}}{local}" if space else local
