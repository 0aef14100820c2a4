"""What an ``adapter.py`` may bring where data cannot say it: a form that the adapter's maps then use by name.

An adapter is data.  One that needs code puts this in its folder::

    from hub.adapter import Form, register

    register(Form("julian", "date", write=to_julian, read=from_julian, pairs=((date(2026, 2, 18), "26049"),)))

and its maps say ``PLACE: field | julian``.  What an adapter brings is known to its own maps alone.
"""

import importlib.util
import threading
from collections.abc import Callable, Mapping
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


_registered: dict[str, Form] = {}
_loaded: dict[tuple[Path, int], Mapping[str, Form]] = {}
_loading = threading.RLock()


def register(brought: Form) -> None:
    """Make *brought* known by its name.  Raises ValueError for a name taken, no example, or an example that fails."""
    if brought.name in _registered:
        raise ValueError(f"{brought.name} is registered already")
    if not brought.pairs:
        raise ValueError(f"{brought.name} has no example pair")
    for ours, theirs in brought.pairs:
        if brought.write(ours) != theirs or brought.read(theirs) != ours:
            raise ValueError(f"{brought.name} does not keep its example pair")
    _registered[brought.name] = brought


def load(folder: Path) -> Mapping[str, Form]:
    """What the ``adapter.py`` of adapter *folder* brings, by name; it is run once, and again when it changes.

    Raises ValueError where it cannot be run, or brings what does not keep its examples.
    """
    path = folder / "adapter.py"
    if not path.is_file():
        return {}
    stamp = path, path.stat().st_mtime_ns
    with _loading:
        if stamp not in _loaded:
            _registered.clear()
            spec = importlib.util.spec_from_file_location(f"adapter_{folder.parent.name}_{folder.name}", path)
            if spec is None or spec.loader is None:
                raise ValueError(f"{path.name} cannot be loaded")
            try:
                spec.loader.exec_module(importlib.util.module_from_spec(spec))
            except ValueError:
                raise
            except Exception as error:
                raise ValueError(f"{path.name} breaks with {type(error).__name__}") from error
            _loaded[stamp] = dict(_registered)
        return _loaded[stamp]
