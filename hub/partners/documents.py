"""The YAML files that describe partners, read so that nothing is guessed and every fault has its line.

Every scalar stays the text it looks like (``NO``, ``01``, ``1e3``); a marshmallow schema says what it means.
Anchors, aliases, tags and keys given twice are refused.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validates_schema

LONGEST = 1_000_000
#: How many words a fault lists of those that may stand in a place.
MOST_LISTED = 20
Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What is wrong in one place of one file, and what to do about it.  ``path`` is relative to its source."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(slots=True)
class Document:
    """One file as plain dicts, lists and texts, with the line of each of its places."""

    path: str
    data: Any = None
    lines: dict[Where, int] = field(default_factory=dict)

    def fault(self, where: Iterable[str | int], text: str) -> Fault:
        """A fault at *where*, or at the nearest place around it that is in the file."""
        place = tuple(where)
        while place and place not in self.lines:
            place = place[:-1]
        return Fault(self.path, self.lines.get(place, 1), text)


class _Loader(yaml.BaseLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(
                problem="anchors, aliases and tags are not used here; write the value out",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)


def read(path: Path, shown: str, faults: list[Fault]) -> Document | None:
    """The document in *path*, or None with its faults added to *faults*.  *shown* is how people know the file."""
    try:
        raw = path.read_bytes()
        if len(raw) > LONGEST:
            faults.append(Fault(shown, 1, f"is longer than {LONGEST} bytes; split it"))
            return None
        root = yaml.compose(raw.decode("utf-8-sig"), Loader=_Loader)
    except OSError as error:
        faults.append(Fault(shown, 1, f"cannot be read: {error.strerror}"))
        return None
    except UnicodeDecodeError:
        faults.append(Fault(shown, 1, "is not UTF-8; save it as UTF-8"))
        return None
    except RecursionError:
        faults.append(Fault(shown, 1, "is nested too deeply"))
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        faults.append(Fault(shown, mark.line + 1 if mark else 1, str(getattr(error, "problem", None) or "is not YAML")))
        return None
    document = Document(shown)
    document.data = None if root is None else _plain(root, (), document, faults)
    return document


def _plain(node: yaml.Node, where: Where, document: Document, faults: list[Fault]) -> Any:
    document.lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*where, index), document, faults) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                faults.append(Fault(document.path, line, "a key must be a word"))
            elif key.value in found:
                first = document.lines[(*where, key.value)]
                faults.append(Fault(document.path, line, f"'{key.value}' is given twice (first on line {first})"))
            else:
                document.lines[(*where, key.value)] = line
                found[key.value] = _plain(value, (*where, key.value), document, faults)
        return found
    return node.value


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'this'?`` for the nearest of *known*, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


class Strict(Schema):
    """A schema that refuses unknown keys and names the nearest known one."""

    class Meta:
        unknown = EXCLUDE

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _known_keys(self, data: Any, original: Any, **_: Any) -> None:
        if isinstance(original, Mapping):
            known = {one.data_key or name for name, one in self.fields.items()}
            there = f"; there are {listed(known)}"
            strange = {
                key: [f"no key '{key}' here{did_you_mean(key, known) or there}"] for key in original if key not in known
            }
            if strange:
                raise ValidationError(strange)


def text(*, pattern: str | None = None, one_of: Sequence[str] | Mapping[str, Any] | None = None, **kw: Any) -> Any:
    """A text field; with *one_of* a word of that list, with *pattern* one that looks so."""
    return _Text(pattern, one_of, **kw)


class _Text(fields.String):
    def __init__(self, pattern: str | None, one_of: Iterable[str] | None, **kw: Any) -> None:
        super().__init__(**kw)
        self.pattern, self.one_of = pattern, one_of

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kw: Any) -> str:
        name = f"'{attr}' " if attr else ""  # keys and values of a mapping have none
        if not isinstance(value, str):
            raise ValidationError(f"{name}must be a single value")
        if not value.strip():
            raise ValidationError(f"{name}is empty; give a value or leave the key out")
        if self.one_of is not None and value not in self.one_of:
            many = f": it is one of {len(tuple(self.one_of))}, which docs/manifests.md lists"
            short = f": it is one of {listed(self.one_of)}" if len(tuple(self.one_of)) <= MOST_LISTED else many
            wanted = did_you_mean(value, self.one_of) or short
            raise ValidationError(f"{name}cannot be '{value}'{wanted}")
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise ValidationError(f"{name}must look like {self.pattern}")
        return value


class Words(fields.Field[tuple[str, ...]]):
    """One word or a list of words, as a tuple."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kw: Any) -> tuple[str, ...]:
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not found or not all(isinstance(w, str) and w for w in found):
            raise ValidationError(f"'{attr}' must be a word or a list of words")
        if len(set(found)) != len(found):
            raise ValidationError(f"'{attr}' names the same word twice")
        return tuple(found)


class Duration(fields.Field[float]):
    """Seconds, written with their unit: ``250ms``, ``30s``, ``5m``, ``6h``, ``365d``."""

    UNITS: ClassVar[dict[str, float]] = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kw: Any) -> float:
        match = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d)", value) if isinstance(value, str) else None
        if match is None:
            raise ValidationError(f"'{attr}' must be a time with its unit: 250ms, 30s, 5m, 6h or 365d")
        return int(match[1]) * self.UNITS[match[2]]


class Names(Strict):
    """A name in both languages of the house."""

    en = text(required=True)
    ar = text(required=True)


def check(schema: Schema, document: Document, where: Where, data: Any, faults: list[Fault]) -> Any:
    """*data* loaded by *schema*, or None with every error as a located fault."""
    try:
        return schema.load(data)
    except ValidationError as error:
        for place, said in _flat(error.messages, where):
            faults.append(document.fault(place, said))
        return None


def _flat(messages: Any, where: Where) -> Iterator[tuple[Where, str]]:
    if isinstance(messages, Mapping):
        for key, below in messages.items():
            # marshmallow puts what is wrong with a whole part under _schema, and a mapping's items under key and value
            yield from _flat(below, where if key in ("_schema", "key", "value") else (*where, key))
    elif isinstance(messages, list):
        for said in messages:
            yield from _flat(said, where)
    else:
        said = str(messages)
        name = where[-1] if where else "it"
        if said == "Missing data for required field.":
            said = f"'{name}' is missing; it is required"
        elif said in ("Not a valid integer.", "Not a valid boolean.", "Not a valid list.", "Not a valid mapping type."):
            said = f"'{name}' is n{said[1:-1]}"
        yield where, said
