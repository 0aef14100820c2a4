"""What one round of delivery takes: much while nobody else writes, little while others do, and a share of each partner.

The exchanges are print lists with nobody in them, and their sending is the test's own function.
"""

import dataclasses
import threading
from collections import Counter

import pytest

from hub.channels import Answered
from hub.exchange.dispatch import ROUND, SHORT
from hub.partners.partner import Limits
from tests.exchange.exchanging import MISSION
from tests.exchange.test_claims import OTHER, put, until


class Rounds:
    """What each round settled and what it claimed, by partner.  With *others*, somebody else writes beside each."""

    def __init__(self, hub, others):
        self.settled, self.claimed = [], []
        self._database, self._others = hub.engine.database, others
        dispatcher = hub.engine.dispatcher
        self._settle, self._claim = dispatcher._delivery.settle, dispatcher._outbox.claim
        dispatcher._delivery.settle, dispatcher._outbox.claim = self.settle, self.claim

    def settle(self, tx, done, at):
        self.settled.append(Counter(one.work.partner.id for one in done))
        self._beside()
        return self._settle(tx, done, at)

    def claim(self, tx, allowed, at, claim):
        found = self._claim(tx, allowed, at, claim)
        self.claimed.append(Counter({partner: len(claimed.works) for partner, claimed in found.items()}))
        self._beside()
        return found

    def _beside(self):
        if self._others:
            self._database.submit(lambda tx: None)


@pytest.fixture
def busy(hub):
    """A hub with two partners that take whatever they are sent."""
    known = hub.engine.register.partners
    for partner in (MISSION, OTHER):
        known[partner] = dataclasses.replace(known[partner], limits=Limits(concurrency=150, per_second=10_000))
    return hub


def settled(hub):
    return hub.rows("SELECT count(*) FROM exchange WHERE state = 'settled'")[0][0]


@pytest.mark.parametrize("others", [False, True])
def test_a_round_is_short_while_others_write_and_each_partner_has_its_share(busy, others):
    rounds = Rounds(busy, others)
    for partner in (MISSION, OTHER):
        put(busy, 300, partner)
    busy.engine.dispatcher._send = lambda work: Answered(b"", 201, 0.0)
    busy.engine._claims.start("test", "")
    until(lambda: settled(busy) == 600)
    most = SHORT if others else ROUND
    assert max(one.total() for one in rounds.claimed) <= most
    assert max(one.total() for one in rounds.settled) <= most
    fullest = max(rounds.claimed, key=Counter.total)
    assert min(fullest[MISSION], fullest[OTHER]) >= SHORT // 2, "neither waits until the other has had its fill"


def test_alone_a_round_takes_more_than_beside_others(busy):
    rounds = Rounds(busy, others=False)
    busy.engine.dispatcher._send = lambda work: Answered(b"", 201, 0.0)
    put(busy, 150)
    busy.engine._claims.start("test", "")
    until(lambda: settled(busy) == 150)
    assert max(one.total() for one in rounds.claimed) > SHORT


def test_the_few_results_of_one_partner_do_not_wait_behind_the_many_of_another(busy):
    rounds, gates = Rounds(busy, others=False), {MISSION: threading.Event(), OTHER: threading.Event()}
    sent, back, free = Counter(), Counter(), threading.Event()

    def send(work):
        sent[work.partner.id] += 1
        gates[work.partner.id].wait()
        back[work.partner.id] += 1
        return Answered(b"", 201, 0.0)

    busy.engine.dispatcher._send = send
    put(busy, 90, MISSION)
    put(busy, 3, OTHER)
    busy.engine._claims.start("test", "")
    until(lambda: sent == {MISSION: 90, OTHER: 3})
    busy.engine.database.submit(lambda tx: free.wait(20))  # the writer is at something long
    for partner, count in {MISSION: 90, OTHER: 3}.items():
        gates[partner].set()
        until(lambda: back[partner] == count)  # noqa: B023
    busy.engine.database.submit(lambda tx: None)
    free.set()
    until(lambda: settled(busy) == 93)
    assert sum(one[OTHER] for one in rounds.settled[:2]) == 3, "in the first that was put together with all in sight"
    assert sum(one[MISSION] for one in rounds.settled[2:]) > 0
