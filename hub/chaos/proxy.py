"""The network between the hub and its partners, as it is on a bad day: one process in front of all of them.

``proxy --listen PORT --to URL --seed N --rate R --log FILE``.  Of all that posts, the seed picks *rate* to go wrong, in
one of :data:`KINDS`; half of these take effect all the same.  The same body goes wrong at most :data:`MOST` times, and
after SIGUSR1 nothing does any more.  What was played stands in FILE, a line of JSON each.

``--play WORD:KIND:N`` plays KIND to the first N requests that hold WORD in their path or body, after they took effect;
``--play WORD:KIND:N:unheard`` instead of it.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import threading
from collections import Counter

from hub.chaos.faults import FAULTS, FaultyPartner, Request

MOST = 3
#: How often each is played among all.  What makes the hub wait for a person (401, 403, a redirect) is left to tests,
#: but for a redirect now and then.
KINDS = dict.fromkeys(FAULTS, 6) | {
    "status_401": 0, "status_403": 0, "redirect": 1, "redirect_endless": 1, "gzip_bomb": 3, "silent": 3,
}  # fmt: skip


class Weather:
    """Which request goes wrong, and how; drawn from a seed."""

    def __init__(self, seed: int, rate: float, log: str, play: list[str]) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - weather to be had again, no secret
        self._rate = rate
        self._lock = threading.Lock()
        self._spoilt: Counter[bytes] = Counter()
        self._play = {
            (word, kind, not unheard): int(times) for word, kind, times, *unheard in (one.split(":") for one in play)
        }
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def calm(self) -> None:
        self._rate = 0.0

    def choose(self, request: Request) -> tuple[str | None, bool]:
        if request.method != "POST":
            return None, True
        with self._lock:
            for (word, kind, effect), left in self._play.items():
                if left and (word in request.path or word.encode() in request.body):
                    self._play[word, kind, effect] = left - 1
                    return self._noted(kind, effect)
            body = hashlib.blake2b(request.body, digest_size=16).digest()
            if self._dice.random() >= self._rate or self._spoilt[body] >= MOST:
                return None, True
            self._spoilt[body] += 1
            kind = self._dice.choices(list(KINDS), list(KINDS.values()))[0]
            return self._noted(kind, self._dice.random() < 0.5)

    def _noted(self, kind: str, effect: bool) -> tuple[str, bool]:
        os.write(self._log, json.dumps({"kind": kind, "effect": effect}).encode() + b"\n")
        return kind, effect


def main() -> None:
    parser = argparse.ArgumentParser("proxy")
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--log", default=os.devnull)
    parser.add_argument("--play", action="append", default=[])
    asked = parser.parse_args()
    weather = Weather(asked.seed, asked.rate, asked.log, asked.play)
    calm = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: calm.set())
    with FaultyPartner(upstream=asked.to, port=asked.listen) as partner:
        partner.keep = False
        partner.choose = weather.choose
        partner.patience, partner.delay, partner.pace = 8.0, 4.0, 0.05
        calm.wait()
        weather.calm()
        partner.hang_up()
        threading.Event().wait()


if __name__ == "__main__":
    main()
