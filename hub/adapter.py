"""What an ``adapter.py`` may bring where data cannot say it: a form or a format that maps then use by name.

An adapter is data.  One that needs code puts this in its folder::

    from hub.adapter import Form, register

    register(Form("julian", "date", write=to_julian, read=from_julian, pairs=((date(2026, 2, 18), "26049"),)))
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Form:
    """How one value stands in a partner's message.

    ``kind`` is the canonical kind (text, integer, decimal, date, datetime, boolean).  ``write`` gives their text,
    ``read`` the value; both raise ValueError for what they cannot carry.  ``pairs`` are examples, (ours, theirs).
    """

    name: str
    kind: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]
    pairs: tuple[tuple[Any, str], ...]


@dataclass(frozen=True, slots=True)
class Format:
    """A whole notation: ``read`` turns bytes into a tree of dicts, lists and texts, ``write`` turns it back.

    Both raise ValueError for what they cannot carry.  ``pairs`` are examples, (tree, bytes).
    """

    name: str
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    pairs: tuple[tuple[Any, bytes], ...]


registered: dict[str, Form | Format] = {}


def register(brought: Form | Format) -> None:
    """Make *brought* known by its name.  Raises ValueError for a name taken, no example, or an example that fails."""
    if brought.name in registered:
        raise ValueError(f"{brought.name} is registered already")
    if not brought.pairs:
        raise ValueError(f"{brought.name} has no example pair")
    for ours, theirs in brought.pairs:
        if brought.write(ours) != theirs or brought.read(theirs) != ours:  # type: ignore[arg-type]
            raise ValueError(f"{brought.name} does not keep its example pair")
    registered[brought.name] = brought


def load(folder: Path) -> None:
    """Run the ``adapter.py`` of adapter *folder* where there is one."""
    path = folder / "adapter.py"
    if path.exists():
        spec = importlib.util.spec_from_file_location(f"adapter_{folder.parent.name}_{folder.name}", path)
        if spec is None or spec.loader is None:
            raise ValueError(f"{path.name} cannot be loaded")
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
