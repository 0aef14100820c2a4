"""Chance that can be played again: every draw is a function of the seed and of what it is about."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """Draws for one seed.  The same *about* always draws the same, whatever was drawn in between."""

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(16, "big", signed=True)

    def number(self, below: int, *about: object) -> int:
        """A whole number from 0 to *below* - 1."""
        text = "\x1f".join(map(str, about)).encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=self._key).digest(), "big") % below

    def share(self, *about: object) -> float:
        """A number from 0 up to, not including, 1."""
        return self.number(1 << 53, *about) / (1 << 53)

    def digits(self, count: int, *about: object) -> str:
        """*count* digits, the first of them not a zero."""
        low = 10 ** (count - 1)
        return str(low + self.number(9 * low, *about))

    def one_of(self, choices: Sequence[T], *about: object) -> T:
        return choices[self.number(len(choices), *about)]

    def weighed(self, weights: Mapping[str, int], *about: object) -> str:
        """One of the keys of *weights*, as often as its weight says."""
        left = self.number(sum(weights.values()), *about)
        for key, weight in weights.items():
            left -= weight
            if left < 0:
                return key
        raise ValueError("weights must be positive")
