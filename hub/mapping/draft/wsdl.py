"""WSDL 1.1: the element that stands in an operation's SOAP body, one way or the other."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lxml import etree

from hub.mapping.draft.wire import Place, Refused, Wire
from hub.mapping.draft.xsd import XS, Schemas, of_element, parsed, within

_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_SOAPS = {"http://schemas.xmlsoap.org/wsdl/soap/": "1.1", "http://schemas.xmlsoap.org/wsdl/soap12/": "1.2"}
Part = Literal["request", "reply"]
_SIDES = {"request": "input", "reply": "output"}


@dataclass(frozen=True, slots=True)
class Bound:
    """An operation as a binding carries it.  ``soap`` is None where the binding is not SOAP, or there is none."""

    name: str
    node: Any
    operation: Any | None
    style: str
    soap: str | None
    binding: str
    service: str = ""
    port: str = ""

    @property
    def said(self) -> dict[str, str]:
        """What a manifest's ``soap:`` says of it."""
        return {"service": self.service, "port": self.port, "operation": self.name}


class Wsdl:
    """A WSDL with whatever it imports from its own folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.schemas = Schemas(path.parent)
        self._parts: dict[tuple[str, str], Any] = {}
        self._types: list[tuple[Any, Path]] = []
        self._read: set[Path] = set()
        self.notes: list[str] = []
        self._load(path.resolve())
        for node, folder in self._types:
            self.schemas.add(node, folder)

    def _load(self, path: Path) -> None:
        if path in self._read:
            return
        self._read.add(path)
        root = parsed(path.read_bytes(), path.name)
        if root.tag == "{http://www.w3.org/ns/wsdl}description":
            raise Refused("WSDL 2.0", f"{path.name} is a 'description' of WSDL 2.0", "Ask for the WSDL 1.1")
        if root.tag != f"{{{_WSDL}}}definitions":
            raise Refused(etree.QName(root).localname, f"{path.name} is no WSDL 1.1")
        for node in root.iterchildren(f"{{{_WSDL}}}*"):
            kind = etree.QName(node).localname
            if kind == "import":
                location = node.get("location") or ""
                found = within(location, path.parent, self.schemas.folder)
                if found is not None:
                    self._load(found)
                elif location:
                    self.notes.append(f"wsdl:import of {location} is not in the contract's folder and was left out")
            elif kind == "types":
                self._types += [(inner, path.parent) for inner in node.iterchildren(f"{{{XS}}}schema")]
            elif node.get("name"):
                self._parts.setdefault((kind, node.get("name")), node)

    def of_kind(self, kind: str) -> Iterator[Any]:
        return (node for (found, _), node in self._parts.items() if found == kind)

    def named(self, kind: str, name: str | None) -> Any | None:
        return self._parts.get((kind, (name or "").rpartition(":")[2]))

    def operations(self) -> list[Bound]:
        """Each operation once, as its best binding carries it: SOAP before others, 1.1 before 1.2."""
        found: dict[str, Bound] = {}
        for bound in self._bound():
            known = found.get(bound.name)
            if known is None or (bound.soap or "9") < (known.soap or "9"):
                found[bound.name] = bound
        return list(found.values())

    def _bound(self) -> Iterator[Bound]:
        ports = {
            (port.get("binding") or "").rpartition(":")[2]: (service.get("name") or "", port)
            for service in self.of_kind("service")
            for port in reversed(list(service.iterchildren(f"{{{_WSDL}}}port")))
        }
        used = set()
        for binding in self.of_kind("binding"):
            kind = self.named("portType", binding.get("type"))
            head = next((n for n in binding if _local(n) == "binding"), None)
            soap = _SOAPS.get(etree.QName(head).namespace or "") if head is not None else None
            if head is not None and soap is None and etree.QName(head).namespace == _WSDL:
                soap = "1.1"  # written without the prefix of SOAP, as some hands do
            service, port = ports.get(binding.get("name"), ("", None))
            for operation in binding.iterchildren(f"{{{_WSDL}}}operation"):
                name = operation.get("name")
                node = _child(kind, name) if kind is not None else None
                if name is None or node is None:
                    continue
                used.add(node)
                inner = next((n for n in operation if _local(n) == "operation"), None)
                style = (inner.get("style") if inner is not None else None) or (
                    head.get("style", "document") if head is not None else "document"
                )
                yield Bound(
                    name, node, operation, style, soap, binding.get("name"), service,
                    port.get("name") or "" if port is not None else "",
                )  # fmt: skip
        for kind in self.of_kind("portType"):
            for node in kind.iterchildren(f"{{{_WSDL}}}operation"):
                if node not in used and node.get("name"):
                    yield Bound(node.get("name"), node, None, "document", None, "")

    # --- one message ----------------------------------------------------------------------------------------------

    def wire(self, bound: Bound, part: Part) -> Wire:
        side = _SIDES[part]
        if bound.operation is not None and bound.soap is None:
            text = f"operation '{bound.name}' has no SOAP binding"
            raise Refused(f"binding '{bound.binding}'", text, "Describe the service as REST, or ask for its SOAP port")
        node = bound.node.find(f"{{{_WSDL}}}{side}")
        if node is None:
            what = "one-way" if part == "reply" else "output-only"
            raise Refused(f"{what} operation '{bound.name}'", f"it has no {part}")
        message = self.named("message", node.get("message"))
        if message is None:
            raise Refused(f"message '{node.get('message')}'", "it is declared nowhere")
        said = f"{part} of operation {bound.name} of {self.path.name}"
        body, notes = self._body(bound, side)
        if body is not None and body.get("use") == "encoded":
            raise Refused(
                f"{bound.style}/encoded", f"operation '{bound.name}' uses SOAP section 5 encoding",
                "Ask the partner for a document/literal endpoint, or write the map from a sample",
            )  # fmt: skip
        chosen = body.get("parts") if body is not None else None
        parts = [
            p for p in message.iterchildren(f"{{{_WSDL}}}part")
            if p.get("name") not in notes and (chosen is None or p.get("name") in chosen.split())
        ]  # fmt: skip
        root = self._rpc(bound, part, body, parts) if bound.style == "rpc" else self._document(message, parts)
        wire = of_element(root, said)
        wire.notes = [*self.notes, *notes.values(), *wire.notes]
        if bound.operation is None:
            wire.notes.append("no binding carries this operation: document/literal is taken for granted")
        if bound.style != "rpc":
            wire.schemas = self._files(root)
        return wire

    def _body(self, bound: Bound, side: str) -> tuple[Any | None, dict[str, str]]:
        """The binding's body element, and a note for each part that travels in the SOAP header."""
        node = bound.operation.find(f"{{{_WSDL}}}{side}") if bound.operation is not None else None
        body, notes = None, {}
        for inner in node.iter() if node is not None else ():
            local = _local(inner)
            if local == "body" and body is None:
                body = inner
            elif local == "header":
                name = inner.get("part") or ""
                notes[name] = f"SOAP header '{name}' of message '{inner.get('message')}' is not part of this map"
            elif local == "multipartRelated":
                notes[""] = "the message may bring attachments (MIME): they are not part of this map"
        return body, notes

    def _document(self, message: Any, parts: list[Any]) -> Place:
        if not parts:
            raise Refused(f"message '{message.get('name')}'", "it has no part in the body: there is nothing to map")
        if len(parts) > 1:
            names = ", ".join(p.get("name") or "" for p in parts)
            raise Refused(f"message '{message.get('name')}'", f"a document body has one part, this has {names}")
        element = parts[0].get("element")
        if element is None:
            text = f"part '{parts[0].get('name')}' of a document/literal message names a type, not an element"
            raise Refused(f"message '{message.get('name')}'", text)
        return self.schemas.element(*_qname(parts[0], element))

    def _rpc(self, bound: Bound, part: Part, body: Any | None, parts: list[Any]) -> Place:
        name = bound.name if part == "request" else f"{bound.name}Response"
        root = Place(name=name, kind=None, namespace=body.get("namespace") if body is not None else None)
        for node in parts:
            if node.get("type") is None:
                text = f"part '{node.get('name')}' of an rpc message names an element, not a type"
                raise Refused(f"operation '{bound.name}'", text)
            found = self.schemas.typed(node, node.get("type"))
            found.name = node.get("name") or ""
            root.children.append(found)
        if not root.children:
            raise Refused(f"operation '{bound.name}'", f"its {part} has no parts: there is nothing to map")
        return root

    def _files(self, root: Place) -> dict[str, bytes]:
        """The schemas as files of their own, that of *root*'s namespace first; {} where they cannot."""
        if self.schemas.unreachable:
            return {}
        spaces = [node.get("targetNamespace") for node, _ in self._types]
        if root.namespace not in spaces:
            files = self.schemas.files
            first = next((name for name, data in files.items() if _is_of(data, root.namespace)), None)
            return {} if first is None else {first: files[first]} | files
        if len(set(spaces)) < len(spaces):
            return {}
        stem = self.path.stem
        inline: dict[str | None, str] = {}
        for number, space in enumerate(spaces):
            if space is not None:
                inline[space] = f"{stem}.xsd" if not inline else f"{stem}-{number + 1}.xsd"
        files = {}
        for node, folder in self._types:
            if node.get("targetNamespace") is None:
                continue
            copy = deepcopy(node)
            for imported in copy.iterchildren(f"{{{XS}}}import"):
                space = imported.get("namespace")
                if imported.get("schemaLocation") is None and space in inline:
                    imported.set("schemaLocation", inline[space])
                elif imported.get("schemaLocation") is not None:
                    found = within(imported.get("schemaLocation"), folder, self.schemas.folder)
                    if found is not None:
                        imported.set("schemaLocation", found.relative_to(self.schemas.folder).as_posix())
            etree.cleanup_namespaces(copy, keep_ns_prefixes=[p for p in node.nsmap if p])
            files[inline[node.get("targetNamespace")]] = etree.tostring(copy, xml_declaration=True, encoding="UTF-8")
        first = inline[root.namespace]
        return {first: files[first]} | files | self.schemas.files


def _is_of(data: bytes, namespace: str | None) -> bool:
    return bool(parsed(data, "").get("targetNamespace") == namespace)


def draft(path: Path, operation: str | None, part: Part) -> Wire:
    wsdl = Wsdl(path)
    bounds = wsdl.operations()
    if not bounds:
        raise Refused("WSDL without operations", f"{path.name} declares no operation of its own")
    bound = next((b for b in bounds if b.name == operation), bounds[0] if len(bounds) == 1 else None)
    if bound is None:
        names = ", ".join(b.name for b in bounds[:12]) + (" …" if len(bounds) > 12 else "")
        asked = f"{path.name} has no operation '{operation}'" if operation else f"{path.name} has several operations"
        raise Refused(f"{len(bounds)} operations", asked, f"Say which with --operation: {names}")
    return wsdl.wire(bound, part)


def _child(kind: Any, name: str | None) -> Any | None:
    return next((n for n in kind.iterchildren(f"{{{_WSDL}}}operation") if n.get("name") == name), None)


def _local(node: Any) -> str:
    return etree.QName(node).localname


def _qname(node: Any, text: str) -> tuple[str | None, str]:
    prefix, _, local = text.rpartition(":")
    return node.nsmap.get(prefix or None), local
