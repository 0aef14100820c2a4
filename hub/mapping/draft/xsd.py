"""XML schemas as places: elements and attributes in the order of the wire, types and references followed.

Unlike :mod:`hub.mapping.xsd`, which holds a finished map to one schema, this reads whatever a contract brings: several
namespaces, schemas inside a WSDL, what is imported from somewhere out of reach.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from hub.canonical.declare import Kind
from hub.mapping.draft.wire import MOST_DEEP, MOST_PLACES, Place, Refused, Wire, spelled
from hub.security import xml

XS = "http://www.w3.org/2001/XMLSchema"
_COMPONENTS = ("element", "complexType", "simpleType", "group", "attributeGroup", "attribute")
_SIZE = 20_000_000
_INTEGERS = {
    "integer", "int", "long", "short", "byte", "nonNegativeInteger", "positiveInteger", "nonPositiveInteger",
    "negativeInteger", "unsignedInt", "unsignedLong", "unsignedShort", "unsignedByte",
}  # fmt: skip
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(_INTEGERS, "integer"),
    **dict.fromkeys(("decimal", "float", "double"), "decimal"),
    "date": "date", "dateTime": "datetime", "boolean": "boolean",
}  # fmt: skip
_ODD = ("time", "duration", "gYear", "gYearMonth", "gMonthDay", "gDay", "gMonth", "base64Binary", "hexBinary")


@dataclass(frozen=True, slots=True)
class _Home:
    """The schema in which a component stands: how its names are meant."""

    namespace: str | None
    elements: bool
    attributes: bool


class Schemas:
    """All schemas of one contract.  *folder* is as far as an import may reach; nothing is ever fetched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._parts: dict[tuple[str, str | None, str], tuple[Any, _Home]] = {}
        self._read: set[Path] = set()
        self._missing: dict[str | None, str] = {}
        self._namespaces: set[str | None] = set()
        self._count = 0
        #: What the schemas are as files that lie beside each other, the first added first.
        self.files: dict[str, bytes] = {}

    # --- gathering ------------------------------------------------------------------------------------------------

    def add_file(self, path: Path, chameleon: str | None = None) -> None:
        path = path.resolve()
        if path in self._read:
            return
        self._read.add(path)
        data = path.read_bytes()
        root = parsed(data, path.name)
        if root.tag != f"{{{XS}}}schema":
            raise Refused(etree.QName(root).localname, f"{path.name} is no XML schema")
        self.files[path.relative_to(self.folder).as_posix()] = data
        self.add(root, path.parent, chameleon)

    def add(self, root: Any, folder: Path, chameleon: str | None = None) -> None:
        """Take in the ``schema`` element *root*, whose locations are relative to *folder*."""
        namespace = root.get("targetNamespace") or chameleon
        home = _Home(
            namespace, root.get("elementFormDefault") == "qualified", root.get("attributeFormDefault") == "qualified"
        )
        self._namespaces.add(namespace)
        for node in root.iterchildren(f"{{{XS}}}*"):
            kind = etree.QName(node).localname
            if kind in _COMPONENTS and node.get("name"):
                self._parts.setdefault((kind, namespace, node.get("name").strip()), (node, home))
            elif kind in ("include", "redefine", "import", "override"):
                wanted = namespace if kind != "import" else node.get("namespace")
                self._fetch(node.get("schemaLocation"), wanted, folder, None if kind == "import" else namespace)

    def _fetch(self, location: str | None, namespace: str | None, folder: Path, chameleon: str | None) -> None:
        if not location:
            return
        path = within(location, folder, self.folder)
        if path is None:
            self._missing.setdefault(namespace, location)
        else:
            self.add_file(path, chameleon)

    @property
    def unreachable(self) -> list[str]:
        """What is imported from outside the contract's folder."""
        return list(self._missing.values())

    def roots(self) -> tuple[list[tuple[str | None, str]], list[tuple[str | None, str]]]:
        """All global elements, and those of them that no other element refers to."""
        every = [(ns, name) for kind, ns, name in self._parts if kind == "element"]
        referred = {
            self._name(inner, inner.get("ref"), home)
            for node, home in self._parts.values()
            for inner in node.iter(f"{{{XS}}}element")
            if inner.get("ref")
        }
        return every, [root for root in every if root not in referred]

    # --- unfolding ------------------------------------------------------------------------------------------------

    def element(self, namespace: str | None, name: str) -> Place:
        """The global element as a place.  Raises Refused where it is declared nowhere."""
        found = self._parts.get(("element", namespace, name))
        if found is None:
            raise self._undeclared("element", namespace, name)
        node, home = found
        return self._element(node, home, (), top=True)

    def typed(self, holder: Any, name: str) -> Place:
        """The type that *holder* of a WSDL names, as a place without a name of its own."""
        found = Place(name="")
        self._type(found, None, holder, name, _Home(None, False, False), ())
        return found

    def _undeclared(self, kind: str, namespace: str | None, name: str) -> Refused:
        where = self._missing.get(namespace)
        if where is not None:
            return Refused(
                f"import of {where}",
                f"{kind} '{name}' of namespace '{namespace or ''}' is declared there, outside the contract's folder",
                "Put the file beside the contract, name it in schemaLocation, and draft again",
            )
        return Refused(f"{kind} '{name}'", f"it is declared nowhere in namespace '{namespace or ''}'")

    def _name(self, node: Any, text: str, home: _Home) -> tuple[str | None, str]:
        prefix, _, local = text.strip().rpartition(":")
        space = node.nsmap.get(prefix or None)
        return (space if space is not None else home.namespace if not prefix else XS), local

    def _element(
        self, node: Any, home: _Home, stack: tuple[Any, ...], *, top: bool = False, optional: bool = False,
        many: bool = False,
    ) -> Place:  # fmt: skip
        required = node.get("minOccurs", "1") != "0" and not optional
        many = many or node.get("maxOccurs", "1") not in ("0", "1")
        if node.get("ref"):
            space, local = self._name(node, node.get("ref"), home)
            found = self._parts.get(("element", space, local))
            if found is None:
                lost = self._undeclared("element", space, local)
                return Place(name=local, required=required, many=many, namespace=space, blocked=str(lost))
            node, home = found
            top = True
        qualified = top or node.get("form", "qualified" if home.elements else "unqualified") == "qualified"
        place = Place(
            name=(node.get("name") or "").strip(),
            required=required,
            many=many,
            namespace=home.namespace if qualified else None,
        )
        self._count += 1
        if node.get("abstract") == "true":
            place.blocked = "abstract: another element stands in its place"
        elif len(stack) >= MOST_DEEP or self._count > MOST_PLACES:
            place.blocked = "too deep to unfold"
        else:
            inner = next((c for c in node.iterchildren(f"{{{XS}}}complexType", f"{{{XS}}}simpleType")), None)
            self._type(place, inner, node, node.get("type"), home, stack)
            if place.kind is None and not place.children and not place.blocked:
                place.kind, place.always, place.note = "text", "", _also(place.note, "empty element")
        if node.get("fixed") is not None:
            place.always = node.get("fixed")
        elif node.get("default") is not None:
            place.note = _also(place.note, f"'{node.get('default')}' where left out")
        return place

    def _type(self, place: Place, inner: Any, node: Any, name: str | None, home: _Home, stack: tuple[Any, ...]) -> None:
        if inner is None and name is not None:
            space, local = self._name(node, name, home)
            found = self._parts.get(("complexType", space, local)) or self._parts.get(("simpleType", space, local))
            if found is None:
                self._builtin(place, space, local)
                return
            inner, home = found
        if inner is None:
            place.note = "of any type"
        elif inner.tag == f"{{{XS}}}simpleType":
            self._simple(place, inner, home, stack)
        elif inner in stack:
            place.kind, place.blocked = None, f"recursive: type '{inner.get('name') or place.name}' holds itself"
        else:
            place.kind = None
            self._complex(place, inner, home, (*stack, inner))

    def _builtin(self, place: Place, space: str | None, local: str) -> None:
        known = space == XS or local in _KINDS or local == "string"
        place.kind = _KINDS.get(local, "text") if known else "text"
        if local in _ODD:
            place.note = f"xs:{local}"
        if not known and space in self._missing:
            place.blocked = f"type '{local}' is declared in {self._missing[space]}, which is not in the folder"
        elif not known:
            place.blocked = f"type '{local}' is declared nowhere"

    def _complex(self, place: Place, node: Any, home: _Home, stack: tuple[Any, ...]) -> None:
        if node.get("mixed") == "true":
            place.note = _also(place.note, "text and elements mixed")
        if node.get("abstract") == "true":
            place.note = _also(place.note, "its type is abstract: xsi:type says which one stands here")
        for content in ("simpleContent", "complexContent"):
            for derived in node.iterfind(f"{{{XS}}}{content}/*"):
                if derived.tag not in (f"{{{XS}}}extension", f"{{{XS}}}restriction"):
                    continue
                whole = content == "simpleContent" or derived.tag == f"{{{XS}}}extension"
                base = derived.get("base")
                if whole and base is not None:
                    self._type(place, None, derived, base, home, stack)
                if content == "simpleContent" and place.kind is None and not place.children:
                    place.kind = "text"
                self._content(place, derived, home, stack)
                self._restrict(place, derived)
        self._content(place, node, home, stack)

    def _content(self, place: Place, node: Any, home: _Home, stack: tuple[Any, ...]) -> None:
        for part in node.iterchildren(f"{{{XS}}}*"):
            kind = etree.QName(part).localname
            if kind in ("sequence", "choice", "all", "group"):
                place.children += self._particles(place, part, home, stack)
            elif kind == "attribute":
                self._attribute(place, part, home)
            elif kind == "attributeGroup" and part.get("ref"):
                found = self._parts.get(("attributeGroup", *self._name(part, part.get("ref"), home)))
                if found is not None:
                    self._content(place, found[0], found[1], stack)

    def _attribute(self, place: Place, node: Any, home: _Home) -> None:
        if node.get("use") == "prohibited":
            return
        found = Place(name="", required=node.get("use") == "required")
        name = node.get("name")
        if node.get("form", "qualified" if home.attributes else "") == "qualified":
            found.namespace = home.namespace
        if node.get("ref"):
            found.namespace, name = self._name(node, node.get("ref"), home)
            known = self._parts.get(("attribute", found.namespace, name))
            if known is not None:
                node, home = known
        self._type(found, node.find(f"{{{XS}}}simpleType"), node, node.get("type") or "xs:string", home, ())
        found.name, found.always = f"@{(name or '').strip()}", node.get("fixed")
        place.children = [child for child in place.children if child.name != found.name]
        at = sum(child.name.startswith("@") for child in place.children)
        place.children.insert(at, found)

    def _particles(
        self, place: Place, node: Any, home: _Home, stack: tuple[Any, ...], optional: bool = False, many: bool = False
    ) -> list[Place]:
        kind = etree.QName(node).localname
        optional = optional or node.get("minOccurs") == "0"
        many = many or node.get("maxOccurs", "1") not in ("0", "1")
        if kind == "group" and node.get("ref"):
            found = self._parts.get(("group", *self._name(node, node.get("ref"), home)))
            if found is None or found[0] in stack:
                return []
            node, home = found
            stack = (*stack, node)
        branches = list(self._branches(place, node, home, stack, optional or kind == "choice", many))
        if kind == "choice" and not optional and branches:
            first = tuple(branch[0].name for branch in branches if branch)
            for branch in branches:
                for alternative in branch[:1]:
                    alternative.either = first
        return [found for branch in branches for found in branch]

    def _branches(
        self, place: Place, node: Any, home: _Home, stack: tuple[Any, ...], optional: bool, many: bool
    ) -> Iterator[list[Place]]:
        for part in node.iterchildren(f"{{{XS}}}*"):
            kind = etree.QName(part).localname
            if kind == "element":
                yield [self._element(part, home, stack, optional=optional, many=many)]
            elif kind in ("sequence", "choice", "all", "group"):
                yield self._particles(place, part, home, stack, optional, many)
            elif kind == "any":
                place.note = _also(place.note, "any other elements may stand here too (xs:any)")

    def _simple(self, place: Place, node: Any, home: _Home, stack: tuple[Any, ...]) -> None:
        if node in stack:
            return
        restriction = node.find(f"{{{XS}}}restriction")
        if restriction is None:
            place.kind = "text"
            listed, union = node.find(f"{{{XS}}}list"), node.find(f"{{{XS}}}union")
            place.note = _also(place.note, "several values, set apart by blanks" if listed is not None else "")
            if union is not None:
                self._union(place, union, home, (*stack, node))
            return
        inner = restriction.find(f"{{{XS}}}simpleType")
        if inner is not None or restriction.get("base"):
            self._type(place, inner, restriction, restriction.get("base"), home, (*stack, node))
        self._restrict(place, restriction)

    def _union(self, place: Place, node: Any, home: _Home, stack: tuple[Any, ...]) -> None:
        values: list[str] = []
        members = [(None, name) for name in (node.get("memberTypes") or "").split()]
        for inner, name in [*members, *((child, None) for child in node.iterchildren(f"{{{XS}}}simpleType"))]:
            part = Place(name="")
            self._type(part, inner, node, name, home, stack)
            if not part.values:
                return
            values += part.values
        place.values = tuple(dict.fromkeys(values))

    def _restrict(self, place: Place, node: Any) -> None:
        values = tuple(v.get("value") or "" for v in node.iterfind(f"{{{XS}}}enumeration"))
        if values:
            place.values = values
        rule = node.find(f"{{{XS}}}pattern")
        told = spelled(rule.get("value") or "") if rule is not None and place.kind == "text" else None
        if told is not None:
            place.kind, place.pattern = told
        for limit in node.iterchildren(f"{{{XS}}}maxLength", f"{{{XS}}}length"):
            if (limit.get("value") or "").isdigit():
                place.longest = int(limit.get("value"))


def draft(path: Path, operation: str | None) -> Wire:
    """The message whose element *operation* names; left out, the only one that no other element refers to."""
    schemas = Schemas(path.parent)
    schemas.add_file(path)
    root = _chosen(path, schemas, operation)
    wire = of_element(schemas.element(*root), f"element {root[1]} of {path.name}")
    wire.schemas = schemas.files
    return wire


def _chosen(path: Path, schemas: Schemas, operation: str | None) -> tuple[str | None, str]:
    every, outer = schemas.roots()
    if not every:
        text, todo = f"{path.name} declares types only", "Draft from the schema that uses them"
        raise Refused("schema without elements", text, todo)
    for root in every:
        if root[1] == operation:
            return root
    # An operation of ours may have any name: then the schema has to say by itself which element is meant.
    if len(outer) == 1:
        return outer[0]
    names = ", ".join(name for _, name in (outer or every)[:12]) + (" …" if len(outer or every) > 12 else "")
    raise Refused(
        f"{len(outer or every)} elements",
        f"{path.name} has several that a message may be",
        f"Say which with --operation: {names}",
    )


def of_element(root: Place, said: str) -> Wire:
    """The wire whose body is *root*; wrappers that hold one element and nothing else belong to the way to the body."""
    names, at, spaces = [root.name], root, root.namespace
    while len(at.children) == 1 and not at.children[0].name.startswith("@"):
        inner = at.children[0]
        if inner.many or not inner.required or not inner.children or inner.namespace != spaces or inner.blocked:
            break
        names.append(inner.name)
        at = inner
    if root.blocked:
        raise Refused(f"element '{root.name}'", root.blocked)
    wire = Wire(format="xml", said=said, places=at.children, namespace=spaces, root="/".join(names))
    if at.leaf:
        raise Refused(
            f"element '{root.name}'", "it holds nothing but a text" if at.always is None else "it is empty",
            "There is nothing to map",
        )  # fmt: skip
    if at.note:
        wire.notes.append(f"{at.name}: {at.note}")
    return wire


def parsed(data: bytes, name: str) -> Any:
    """The root of an XML contract.  Raises Refused for what cannot be parsed."""
    try:
        return xml.parse(data.lstrip(), _SIZE)
    except xml.XmlRefused as error:
        if error.code == "xml_doctype":
            raise Refused("document type", f"{name} has a DOCTYPE, which is never read") from None
        if error.code == "xml_too_large":
            raise Refused("size", f"{name} is larger than {_SIZE} bytes") from None
        line = error.where.get("line", 1)
        unknown = _undeclared(data)
        if unknown:
            raise Refused(f"prefix '{unknown}'", f"{name} uses it at line {line} and declares it nowhere") from None
        raise Refused("XML", f"{name} is not well formed at line {line}") from None


def _undeclared(data: bytes) -> str | None:
    """A namespace prefix that is used for a name and declared nowhere."""
    text = data.decode("utf-8", "replace")
    declared = {"xml", "xmlns", *re.findall(r"xmlns:([\w.-]+)\s*=", text)}
    used = re.findall(r"<([\w.-]+):[\w.-]+|\s([\w.-]+):[\w.-]+\s*=\s*[\"']", text)
    return next((name for pair in used for name in pair if name and name not in declared), None)


def within(location: str, folder: Path, limit: Path) -> Path | None:
    """The file at *location*, where it is a local one inside *limit*."""
    if "://" in location or "?" in location or location.startswith("//"):
        return None
    path = (folder / location).resolve()
    return path if path.is_relative_to(limit) and path.is_file() else None


def _also(note: str, more: str) -> str:
    return f"{note}; {more}" if note and more else note or more
