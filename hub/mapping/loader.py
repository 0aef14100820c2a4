"""YAML as maps are written in it: texts and tables only, each knowing its line.

Every scalar is text (``NO``, ``01``, ``1e3`` stay what they look like).  Aliases, anchors, tags, lists and more than
one document are refused, and so is a file that is too large.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

SIZE_LIMIT = 256_000
_DEPTH_LIMIT = 32
#: The same events from the library in C, where it is there.
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclass(frozen=True, slots=True)
class Text:
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Item:
    key: str
    line: int
    node: "Node"


@dataclass(frozen=True, slots=True)
class Branch:
    """A YAML mapping.  A key given twice is there twice: what that means depends on where it stands."""

    items: tuple[Item, ...]
    line: int


Node = Text | Branch


class Unreadable(Exception):
    """The file is not what a map is written in."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line, self.text = line, text


def parse(data: bytes) -> Branch:
    """The tree of a YAML file.  Raises :class:`Unreadable`."""
    if len(data) > SIZE_LIMIT:
        raise Unreadable(1, f"the file is larger than {SIZE_LIMIT} bytes")
    try:
        events = _Events(data.decode("utf-8-sig"))
        tree = events.node(0) if events.starts() else None
        if tree and events.more():
            raise Unreadable(events.line, "a file holds one map, not several documents")
    except UnicodeDecodeError:
        raise Unreadable(1, "the file is not in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark
        raise Unreadable(mark.line + 1, f"this is not YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise Unreadable(1, "this is not YAML: it holds characters that YAML does not allow") from None
    if not isinstance(tree, Branch):
        raise Unreadable(1, "a map is a table of 'key: value' lines")
    return tree


class _Events:
    def __init__(self, text: str) -> None:
        self.events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        self.line = 1

    def next(self) -> yaml.Event:
        event = next(self.events)
        mark: Any = event.start_mark
        self.line = mark.line + 1
        return event

    def starts(self) -> bool:
        self.next()
        return isinstance(self.next(), yaml.DocumentStartEvent)

    def more(self) -> bool:
        self.next()  # the end of the first document
        return isinstance(self.next(), yaml.DocumentStartEvent)

    def node(self, depth: int) -> Node:
        return self.made(self.next(), depth)

    def made(self, event: yaml.Event, depth: int) -> Node:
        line = self.line
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise Unreadable(line, "aliases and anchors are not allowed in a map")
        if getattr(event, "tag", None):
            raise Unreadable(line, "tags are not allowed in a map")
        if isinstance(event, yaml.ScalarEvent):
            return Text(event.value, line)
        if not isinstance(event, yaml.MappingStartEvent):
            raise Unreadable(line, "lists are not allowed in a map")
        if depth == _DEPTH_LIMIT:
            raise Unreadable(line, f"nested more than {_DEPTH_LIMIT} deep")
        items = []
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key = self.made(event, depth + 1)
            if not isinstance(key, Text):
                raise Unreadable(key.line, "a key is a text")
            items.append(Item(key.value, key.line, self.node(depth + 1)))
        return Branch(tuple(items), line)
