"""How a partner is doing: whether it is to be left alone, and how much may be sent to it now.

What is known of it is a row that all workers share, so that they slow down, stop and begin again together.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from hub.channels import Answered, Failure, OutcomeUnknown, Throttled, Unavailable
from hub.partners.partner import Limits
from hub.store.database import Row
from hub.store.workers import OWED

TRIPPED = 3  # failures in a row after which a partner is left alone
REST = (0.5, 30.0)  # seconds: the first and the longest rest
BURST = 0.1  # seconds of a partner's rate that may be sent at once
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Mood:
    """How a partner is doing, as all workers know it; times in microseconds of the store's clock.

    ``paced_to`` is when the next exchange would be due if they had been sent evenly.
    Source of the pacing: the generic cell rate algorithm (ITU-T I.371).
    """

    failures: int
    rests_until: int
    paced_to: int

    def like(self, other: "Mood") -> bool:
        """Whether both are the same but for the pace."""
        return (self.failures, self.rests_until) == (other.failures, other.rests_until)

    def after(self, failed: Sequence[bool], now: int) -> "Mood":
        """The mood after results that came in this order, and after those that others have only counted."""
        failures, rests = self.failures, self.rests_until
        if rests == OWED:
            rests = now + _rest(failures) if failures >= TRIPPED else 0
        for one in failed:
            failures = failures + 1 if one else 0
            if failures >= TRIPPED:
                rests = now + _rest(failures)
        return Mood(failures, rests, self.paced_to)

    def width(self, limits: Limits) -> int:
        return 1 if self.failures >= TRIPPED else limits.concurrency

    def allows(self, limits: Limits, now: int) -> tuple[int, float]:
        """How many exchanges may be sent now, and the seconds until one may where none."""
        if self.rests_until > now:
            return 0, (self.rests_until - now) / _SECOND
        # A little slower than the rate, so that the burst does not take any second over it.
        spacing = _SECOND * (1 + BURST) / limits.per_second
        ahead = max(self.paced_to, now) - now - BURST * _SECOND
        if ahead > 0:
            return 0, ahead / _SECOND
        return int(-ahead / spacing) + 1, 0.0

    def paced(self, limits: Limits, now: int, sent: int) -> "Mood":
        spacing = _SECOND * (1 + BURST) / limits.per_second
        return Mood(self.failures, self.rests_until, max(self.paced_to, now) + int(sent * spacing))


def _rest(failures: int) -> int:
    """For how long (µs) a partner is left alone after so many *failures* in a row, which are TRIPPED at least."""
    ceiling = min(REST[1], REST[0] * 2.0 ** min(failures - TRIPPED, 10))
    return int(random.uniform(ceiling / 2, ceiling) * _SECOND)  # noqa: S311  spread, not secrecy


def failed(result: Answered | Failure) -> bool:
    # A partner that lets us wait in vain holds its senders as long as one that cannot be reached.
    late = isinstance(result, OutcomeUnknown) and result.code == "reply_late"
    return late or isinstance(result, Unavailable | Throttled)


def mood_of(row: Row) -> Mood:
    return Mood(row["failures"], row["rests_until"], row["paced_to"])
