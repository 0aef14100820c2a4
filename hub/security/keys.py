"""The keys of an installation: in one file outside the database, readable by its owner only."""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from hub.canonical.errors import HubError

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys, by what they are for.

    ``sealing`` holds key-encryption keys by id (1 to 255): ``current`` seals what is new, the others still open what is
    old.  ``index`` is of look-ups, which have to be built anew when it changes; ``signing`` of our own signatures.
    """

    current: int
    sealing: Mapping[int, bytes] = field(repr=False)
    index: bytes = field(repr=False)
    signing: bytes = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The keys in file *path*.  Raises ``keys_missing``, ``keys_exposed`` (mode not 0600), ``keys_unreadable``."""
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & 0o077:
                    raise HubError("keys_exposed")
                kept = json.loads(file.read())
        except FileNotFoundError:
            raise HubError("keys_missing") from None
        except ValueError:
            raise HubError("keys_unreadable") from None
        try:
            sealing = {int(number): _key(text) for number, text in kept["sealing"].items()}
            keys = cls(kept["current"], sealing, _key(kept["index"]), _key(kept["signing"]))
            if keys.current not in sealing or not all(1 <= number <= 255 for number in sealing):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise HubError("keys_unreadable") from None
        return keys

    @classmethod
    def generate(cls, path: Path) -> Self:
        """Make new keys and keep them in *path*, mode 0600.  Raises ``keys_exist`` rather than overwrite any."""
        made = {"sealing": {"1": _new()}, "index": _new(), "signing": _new(), "current": 1}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
                json.dump(made, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            # A link fails where a file stands already, and what it makes is whole from the first moment.
            os.link(part, path)
        except FileExistsError:
            raise HubError("keys_exist") from None
        finally:
            part.unlink(missing_ok=True)
        return cls.load(path)


def _new() -> str:
    return base64.b64encode(os.urandom(KEY_BYTES)).decode("ascii")


def _key(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError
    return key
