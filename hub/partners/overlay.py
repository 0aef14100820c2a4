"""What is laid over the partners' files while the hub runs: partners added live, switched on or off, or to test."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Mode = Literal["live", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaid:
    """What stands over one partner.  None leaves what the files say.

    ``row`` is the whole row of a partner that no file has, with the keys of ``partners.yaml`` and every value a text;
    ``suspended`` is an agent's, ``certificates`` are the SHA-256 of those by which the partner is known.
    ``origin`` and ``line`` say where it came from, for whoever must mend it.
    """

    id: str
    row: Mapping[str, Any] | None = None
    enabled: bool | None = None
    mode: Mode | None = None
    suspended: bool | None = None
    certificates: tuple[str, ...] | None = None
    origin: str = "added"
    line: int = 1
