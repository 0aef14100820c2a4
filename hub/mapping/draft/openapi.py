"""OpenAPI 3 and Swagger 2, in JSON or YAML: the JSON body of an operation's request or reply."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hub.canonical.declare import Kind
from hub.mapping.draft.sample import looks
from hub.mapping.draft.wire import MOST_DEEP, MOST_PLACES, Place, Refused, Wire, spelled
from hub.mapping.draft.wsdl import Part
from hub.mapping.draft.xsd import within

_SIZE = 20_000_000
_VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_KINDS: dict[str, Kind] = {"string": "text", "integer": "integer", "number": "decimal", "boolean": "boolean"}
_FORMATS: dict[str, Kind] = {"date": "date", "date-time": "datetime"}


@dataclass(frozen=True, slots=True)
class Operation:
    """``method path`` with the name that the contract gives it, if any."""

    name: str
    method: str
    path: str
    node: dict[str, Any]

    def __str__(self) -> str:
        return self.name or f"{self.method.upper()} {self.path}"


class OpenApi:
    """A description with the files it refers to, as far as they lie in its own folder or below."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path.resolve(), path.resolve().parent
        self._files: dict[Path, Any] = {}
        self._count = 0
        self.root = self._file(self.path)
        said = self.root.get("openapi") or self.root.get("swagger")
        if said is None:
            raise Refused("YAML or JSON", f"{path.name} says neither 'openapi' nor 'swagger': it describes no service")
        self.version = str(said)
        if not self.version.startswith(("2.", "3.")):
            raise Refused(f"OpenAPI {self.version}", "versions 2.0, 3.0 and 3.1 are read")

    def _file(self, path: Path) -> Any:
        if path not in self._files:
            self._files[path] = parsed(path)
        return self._files[path]

    def operations(self) -> list[Operation]:
        found = []
        for way, item in _table(self.root.get("paths")).items():
            item, _ = self._follow(item, self.path)
            for verb, node in _table(item).items():
                if str(verb).lower() in _VERBS and isinstance(node, dict):
                    found.append(Operation(str(node.get("operationId") or ""), str(verb).lower(), str(way), node))
        return found

    # --- one message ----------------------------------------------------------------------------------------------

    def wire(self, operation: Operation, part: Part) -> Wire:
        schema, at = self._request(operation) if part == "request" else self._reply(operation)
        body = self.place("", schema, at, part, ())
        said = f"{part} of operation {operation} of {self.path.name}"
        if body.blocked:
            raise Refused(f"{part} of {operation}", body.blocked)
        if body.many:
            raise Refused(
                f"{part} of {operation}", "the body is a list at its top, a message is an object",
                "Ask for an object around it",
            )  # fmt: skip
        if not body.children:
            raise Refused(f"{part} of {operation}", "the body has no members: there is nothing to map")
        notes = [body.note] if body.note else []
        return Wire(format="json", said=said, places=body.children, notes=notes)

    def _request(self, operation: Operation) -> tuple[Any, Path]:
        where = f"request of {operation}"
        if "requestBody" in operation.node:
            body, at = self._follow(operation.node["requestBody"], self.path)
            return self._content(where, body, at)
        item = _table(_table(self.root.get("paths")).get(operation.path))
        forms = False
        for given in [*_list(item.get("parameters")), *_list(operation.node.get("parameters"))]:
            parameter, at = self._follow(given, self.path)
            if _table(parameter).get("in") == "body":
                self._media(where, operation.node.get("consumes") or self.root.get("consumes") or ["application/json"])
                return parameter.get("schema"), at
            forms = forms or _table(parameter).get("in") == "formData"
        if forms:
            raise Refused(where, "the body is a form (formData), not JSON")
        raise Refused(
            where, f"{operation.method.upper()} {operation.path} has no body",
            "What stands in its path and query is said in the manifest; draft the reply with --part reply",
        )  # fmt: skip

    def _reply(self, operation: Operation) -> tuple[Any, Path]:
        where = f"reply of {operation}"
        answers = {str(code): answer for code, answer in _table(operation.node.get("responses")).items()}
        good = sorted(code for code in answers if code.startswith("2")) or [c for c in ("default",) if c in answers]
        if not good:
            raise Refused(where, "no answer that means success is described")
        for code in good:
            answer, at = self._follow(answers[code], self.path)
            if "schema" in answer:
                self._media(where, operation.node.get("produces") or self.root.get("produces") or ["application/json"])
                return answer["schema"], at
            if answer.get("content"):
                return self._content(where, answer, at)
        raise Refused(where, f"answer {good[0]} has no body")

    def _content(self, where: str, holder: Any, at: Path) -> tuple[Any, Path]:
        content = _table(_table(holder).get("content"))
        media = self._media(where, list(content))
        schema = _table(content[media]).get("schema")
        if schema is None:
            raise Refused(where, f"its {media} has no schema")
        return schema, at

    def _media(self, where: str, names: list[Any]) -> str:
        for name in names:
            if "json" in str(name).lower() or str(name).strip() == "*/*":
                return str(name)
        raise Refused(where, f"the body is {', '.join(map(str, names)) or 'of no kind'}, not JSON")

    # --- schemas --------------------------------------------------------------------------------------------------

    def _follow(self, node: Any, at: Path) -> tuple[Any, Path]:
        """*node*, or what its ``$ref`` leads to, with the file that it stands in."""
        seen = set()
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            ref = node["$ref"]
            file, _, pointer = ref.partition("#")
            if file:
                found = within(file, at.parent, self.folder)
                if found is None:
                    raise Refused(f"$ref {ref}", "it is not in the contract's folder, and nothing is fetched")
                at = found
            if (at, pointer) in seen:
                raise Refused(f"$ref {ref}", "it leads back to itself")
            seen.add((at, pointer))
            node = self._file(at)
            for step in pointer.strip("/").split("/") if pointer.strip("/") else ():
                key = step.replace("%7B", "{").replace("%7D", "}").replace("~1", "/").replace("~0", "~")
                if isinstance(node, list) and key.isdigit() and int(key) < len(node):
                    node = node[int(key)]
                elif isinstance(node, dict) and key in node:
                    node = node[key]
                else:
                    raise Refused(f"$ref {ref}", "it leads nowhere")
        return node, at

    def place(self, name: str, schema: Any, at: Path, part: Part, stack: tuple[int, ...]) -> Place:
        """*schema* as the place *name*.  Only what is required may refuse the whole."""
        place = Place(name=name)
        self._count += 1
        try:
            node, at = self._follow(schema, at)
        except Refused as refused:
            place.blocked = str(refused)
            return place
        if not isinstance(node, dict):
            place.note = "of any type" if node is not False else "never there"
            return place
        if id(node) in stack:
            place.kind, place.blocked = None, "recursive: it holds itself"
        elif len(stack) >= MOST_DEEP or self._count > MOST_PLACES:
            place.kind, place.blocked = None, "too deep to unfold"
        else:
            self._schema(place, node, at, part, (*stack, id(node)))
        return place

    def _schema(self, place: Place, node: dict[str, Any], at: Path, part: Part, stack: tuple[int, ...]) -> None:
        for inner in _list(node.get("allOf")):
            merged = self.place(place.name, inner, at, part, stack)
            _merge(place, merged)
        for word in ("oneOf", "anyOf"):
            choices = [c for c in _list(node.get(word)) if not (isinstance(c, dict) and c.get("type") == "null")]
            if choices:
                _merge(place, self.place(place.name, choices[0], at, part, stack))
                if len(choices) > 1:
                    place.note = _also(
                        place.note, f"{word} of {len(choices)}: this is the first, {_called(choices[0])}"
                    )
        said = node.get("type")
        kinds = [k for k in said if k != "null"] if isinstance(said, list) else [said] if said else []
        kind = kinds[0] if kinds else None
        if len(kinds) > 1:
            place.note = _also(place.note, f"may also be {', '.join(map(str, kinds[1:]))}")
        if kind == "array" or (kind is None and "items" in node):
            self._array(place, node, at, part, stack)
        elif kind == "object" or "properties" in node or "additionalProperties" in node:
            self._object(place, node, at, part, stack)
        elif kind == "file":
            place.blocked = "a file"
        elif kind is not None:
            place.kind = _FORMATS.get(str(node.get("format")), _KINDS.get(str(kind), "text")) if kind == "string" else (
                _KINDS.get(str(kind), "text")
            )  # fmt: skip
            place.number = kind in ("integer", "number")
        self._rules(place, node)

    def _array(self, place: Place, node: dict[str, Any], at: Path, part: Part, stack: tuple[int, ...]) -> None:
        items = node.get("items") or node.get("prefixItems") or {}
        if isinstance(items, list):
            place.note = _also(place.note, "each item of the list is another thing")
            items = items[0] if items else {}
        item = self.place(place.name, items, at, part, stack)
        place.kind, place.children, place.note = None, item.children, _also(place.note, item.note)
        place.blocked = item.blocked
        if item.many:
            place.blocked = "a list of lists"
        elif not item.children and not item.blocked:
            place.blocked = "a list of plain values: maps carry lists of parts"
        place.many = True

    def _object(self, place: Place, node: dict[str, Any], at: Path, part: Part, stack: tuple[int, ...]) -> None:
        place.kind = None
        place.wants |= {str(name) for name in _list(node.get("required"))}
        known = {child.name: child for child in place.children}
        for name, schema in _table(node.get("properties")).items():
            inner = self.place(str(name), schema, at, part, stack)
            ruled, _ = self._soft(schema, at)
            if ruled.get("readOnly" if part == "request" else "writeOnly") is True:
                continue
            inner.required = str(name) in place.wants
            if str(name) in known:
                _merge(known[str(name)], inner)
            else:
                place.children.append(inner)
        for child in place.children:
            child.required = child.required or child.name in place.wants
        if not place.children and not place.blocked:
            free = node.get("additionalProperties") not in (None, False)
            place.blocked = "an object of free members" if free else "an object that says nothing of its members"

    def _soft(self, schema: Any, at: Path) -> tuple[dict[str, Any], Path]:
        try:
            node, at = self._follow(schema, at)
        except Refused:
            return {}, at
        return _table(node), at

    def _rules(self, place: Place, node: dict[str, Any]) -> None:
        if place.many or place.children:
            return
        values = tuple(str(v) for v in _list(node.get("enum")) if v is not None and not isinstance(v, bool))
        if values:
            place.values = values
        if "const" in node and isinstance(node["const"], str):
            place.always = node["const"]
        longest = node.get("maxLength")
        if isinstance(longest, int) and not isinstance(longest, bool):
            place.longest = longest
        shown = node.get("example", next(iter(_list(node.get("examples"))), None))
        if isinstance(shown, str) and place.kind in ("text", "date", "datetime") and not values:
            kind, place.pattern = looks([shown])
            place.kind = kind if place.pattern else place.kind
        rule = spelled(node["pattern"]) if isinstance(node.get("pattern"), str) and place.kind == "text" else None
        if rule is not None:
            place.kind, place.pattern = rule
        if node.get("format") in ("byte", "binary"):
            place.note = _also(place.note, f"{node['format']}")


def draft(path: Path, operation: str | None, part: Part) -> Wire:
    api = OpenApi(path)
    found = api.operations()
    if not found:
        raise Refused("OpenAPI without operations", f"{path.name} describes no operation under 'paths'")
    chosen = [o for o in found if operation in (o.name, f"{o.method.upper()} {o.path}", f"{o.method} {o.path}", o.path)]
    if not chosen and len(found) == 1:
        chosen = found
    if not chosen:
        names = ", ".join(map(str, found[:12])) + (" …" if len(found) > 12 else "")
        asked = f"{path.name} has no operation '{operation}'" if operation else f"{path.name} has several operations"
        raise Refused(f"{len(found)} operations", asked, f"Say which with --operation: {names}")
    return api.wire(chosen[0], part)


def parsed(path: Path) -> dict[str, Any]:
    """A description's tree.  Raises Refused for what is neither JSON nor YAML."""
    data = path.read_bytes()
    if len(data) > _SIZE:
        raise Refused("size", f"{path.name} is larger than {_SIZE} bytes")
    try:
        text = data.decode("utf-8-sig")
        tree = json.loads(text) if text.lstrip().startswith(("{", "[")) else _Loader(text).get_single_data()
    except (ValueError, RecursionError, yaml.YAMLError):
        raise Refused("YAML or JSON", f"{path.name} is neither well-formed JSON nor YAML") from None
    if not isinstance(tree, dict):
        raise Refused("YAML or JSON", f"{path.name} is no table at its top")
    return tree


class _Loader(yaml.SafeLoader):
    """Plain texts, numbers and flags: a date in an example stays what it looks like."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _merge(place: Place, other: Place) -> None:
    """What ``allOf`` and the first of ``oneOf`` bring to *place*."""
    known = {child.name: child for child in place.children}
    place.wants |= other.wants
    for child in other.children:
        child.required = child.required or child.name in place.wants
        if child.name in known:
            known[child.name].required = known[child.name].required or child.required
        else:
            place.children.append(child)
    for child in place.children:
        child.required = child.required or child.name in place.wants
    if other.children or other.kind is None:
        place.kind = None
    elif not place.children:
        place.kind, place.number = other.kind, place.number or other.number
    place.many = place.many or other.many
    place.values = other.values or place.values
    place.longest = other.longest or place.longest
    place.always = other.always if place.always is None else place.always
    place.blocked = place.blocked or other.blocked
    if place.children and not other.blocked:
        place.blocked = ""
    place.note = _also(place.note, other.note)


def _called(schema: Any) -> str:
    ref = schema.get("$ref") if isinstance(schema, dict) else None
    return str(ref).rpartition("/")[2] if ref else str(_table(schema).get("title") or "unnamed")


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _also(note: str, more: str) -> str:
    return f"{note}; {more}" if note and more and more not in note else note or more


def walk(places: list[Place]) -> Iterator[Place]:
    for place in places:
        yield place
        yield from walk(place.children)
