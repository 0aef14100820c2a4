"""Nemesis: who is killed, stopped or starved next, drawn from a seed."""

import contextlib
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

from hub.chaos.boundary import ANY, FRESH
from hub.chaos.cluster import CLIENT, HUB, NETWORK, PARTNERS, WORKERS, Cluster, Recovery, answers
from hub.chaos.postgres import Postgres

#: Whom to kill, in a hundred kills; and, where it is a server, the store.
VICTIMS = {HUB: 72, PARTNERS: 14, CLIENT: 11, NETWORK: 3}
STORE, STORE_SHARE = "postgres", 4
#: Of the kills of a process that is watched, how many are meant for an edge, and wall seconds to wait for one to come.
AT_EDGES, COMING = 0.7, 0.8
#: How many of those are meant for an edge at which nobody has died yet.
FRESH_FIRST = 0.8
#: In how many of a hundred kills the next comes while the one before is still coming up.
WHILE_RISING = 0.15
#: Wall seconds that a worker is stopped for: longer than its claims are believed, three seconds for a call and fifteen
#: beyond; and after how many kills the next one is.
FROZEN, FREEZES = 21.0, 25


@dataclass
class Nemesis:
    """Kills the processes of *cluster* by *dice*: at an edge where one comes along, otherwise at any moment; stops
    workers for longer than their claims hold; and kills *server*, where the store is one.  Counts in *kills*."""

    cluster: Cluster
    dice: random.Random
    kills: Counter[str]
    server: Postgres | None = None
    recoveries: list[Recovery] = field(default_factory=list)
    frozen: int = 0
    _cold: dict[str, float] = field(default_factory=dict)
    _struck: int = 0

    def strike(self) -> bool:
        """Kill somebody; whether anybody died of it."""
        dice, cluster = self.dice, self.cluster
        self._freeze()
        if dice.random() >= WHILE_RISING:
            cluster.wait_up(HUB, PARTNERS, patience=30)
        time.sleep(dice.uniform(0.02, 0.35))
        if cluster.over:
            return False
        if self.server is not None and dice.random() < STORE_SHARE / 100:
            self._strike_store(self.server)
            return True
        victim = dice.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        victims = [name for name in cluster.hubs if name not in self._cold] if victim == HUB else [victim]
        victims = [name for name in victims if cluster.alive(name)]
        if not victims:
            return False
        if not (victim in cluster.marks and dice.random() < AT_EDGES and self._at_edge(victims)):
            before, one = cluster.kills, dice.choice(victims)
            cluster.signal(one, signal.SIGKILL)
            until = time.monotonic() + 5
            while cluster.kills == before and time.monotonic() < until:
                time.sleep(0.002)
            self.kills[one] += 1
        self._struck += 1
        return True

    def _at_edge(self, victims: list[str]) -> bool:
        """Let the first of *victims* that comes to an edge die there, by its own hand; whether one did in time."""
        cluster, dice = self.cluster, self.dice
        # First where nobody has died yet, a few of these let pass so that it is not always the first of a life.
        fresh = dice.random() < FRESH_FIRST
        nth = dice.choice((1, 1, 2)) if fresh else dice.randrange(1, 60)
        for name in victims:
            cluster.marks[name].arm(FRESH if fresh else ANY, nth)
        until = time.monotonic() + COMING
        died: list[str] = []
        while not died and time.monotonic() < until:
            time.sleep(0.002)
            died = [name for name in victims if cluster.marks[name].died is not None or not cluster.alive(name)]
        for name in victims:
            cluster.marks[name].arm(None)
        if died:
            self.kills[f"{died[0]} at an edge"] += 1
        return bool(died)

    # -- the store ---------------------------------------------------------------------------------------------------

    def _strike_store(self, server: Postgres) -> None:
        """Kill the server with -9, let it be away for a moment, and time the door from when it is up again."""
        server.kill()
        self.kills[STORE] += 1
        time.sleep(self.dice.uniform(0, 0.5))
        server.start()
        up = time.monotonic()
        while not answers(self.cluster.roles[HUB].port or 0, "/health") and time.monotonic() < up + 60:
            time.sleep(0.01)
        self.recoveries.append(Recovery(STORE, time.monotonic() - up, False))

    # -- stale workers -----------------------------------------------------------------------------------------------

    def _freeze(self) -> None:
        """Stop a worker now and then, and let those go on whose time has come."""
        now = time.monotonic()
        for name in [name for name, until in self._cold.items() if now >= until]:
            self._go_on(name)
        workers = [name for name in WORKERS if name in self.cluster.hubs]
        if workers and not self._cold and self._struck >= FREEZES * (self.frozen + 1) / 2:
            name = self.dice.choice(workers)
            if self.cluster.roles[name].up and self.cluster.signal(name, signal.SIGSTOP):
                self._cold[name] = now + FROZEN
                self.frozen += 1

    def _go_on(self, name: str) -> None:
        with contextlib.suppress(KeyError):
            del self._cold[name]
            self.cluster.signal(name, signal.SIGCONT)

    def thaw(self) -> None:
        """Let everybody go on."""
        for name in list(self._cold):
            self._go_on(name)
