"""``hub promises``: what the system promises, the command that shows each promise, and the figure last measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

NOT_YET = "not yet shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """``shown_by`` is a command that a reader can type; ``measured`` what it gave last, ``on`` which day and where.

    A promise of which only a part is shown says in ``lacks`` what is not.
    """

    id: str
    promise: str
    shown_by: str | None = None
    measured: str | None = None
    on: date | None = None
    lacks: str | None = None

    @property
    def figure(self) -> str:
        """What was measured last, or that nothing was."""
        return self.measured or NOT_YET


def promises() -> list[Promise]:
    """All of them, R1 to R24 in order."""
    return list(_read(Path(__file__).with_name("promises.yaml")))


def _read(path: Path) -> Iterator[Promise]:
    for id, given in yaml.safe_load(path.read_text("utf-8")).items():
        yield Promise(id=id, **given)
