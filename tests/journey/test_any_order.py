"""Whatever is told in whatever order: nothing fails, and what must always hold, holds."""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hub.canonical.events import Event
from hub.journey import EDGES, ENDS, Applied, apply
from hub.journey.graph import ANSWERS
from tests.journey.world import GROUP, World

FACTS = sorted(
    {edge.event for edge in EDGES if edge.machine == "request"}
    - {"clock.due", "request.paid", "request.invoice_expired", "request.companion_lost", "payment.reversed"}
)
STATES = {machine: {e.now for e in EDGES if e.machine == machine} for machine in ("group", "voucher", "request")}
STAGES = ("DRAFT", "SUBMITTED", "ACCEPTED", "INVOICED", "SENT_FOR_REFERENCE", "REFERENCE_ISSUED", "AT_MISSION",
          "VISA_ISSUED", "EXPECTED", "INSIDE")  # fmt: skip
CHILD = {"born": date(2015, 1, 1), "companion": 1}
# Told again at once, these may do something again: a correction mends once more, the clock goes on.
_AGAIN = {"request.corrected", "clock.due"}

back = st.one_of(st.just(0), st.integers(0, 24 * 40)).map(lambda hours: timedelta(hours=hours))
amounts = st.sampled_from([Decimal(1), Decimal("100.50"), Decimal(2000), Decimal(5000)])
refs = st.sampled_from(["P1", "P2", "P3", "P4"])
whom = st.integers(1, 3)


class AnyOrder(RuleBasedStateMachine):
    @initialize(stage=st.sampled_from(STAGES))
    def begin(self, stage: str) -> None:
        self.world = World(heads=3).to(stage, {}, CHILD, {})
        self.world.member(2).minor = True

    def tell(self, name: str, who: int | None = None, *, ago: timedelta = timedelta(0), **more: Any) -> None:
        world = self.world
        facts = more.pop("facts", {})
        event = Event(
            name=name, group=GROUP, request=None if who is None else UUID(int=100 + who), line=more.pop("line", None),
            happened=world.now - ago, data=more, facts=facts,
        )  # fmt: skip
        before = repr(world.case)
        result = apply(world.case, event, world.rules, world.now)
        assert repr(world.case) == before, "only evolve moves a case"
        assert not isinstance(result, Applied) or result.transitions
        kept = len(world.kept)
        world.take(event)
        if isinstance(result, Applied) and name not in _AGAIN and kept == len(world.kept) == 0:
            again = apply(world.case, event, world.rules, world.now)
            assert not isinstance(again, Applied), (name, again)

    @rule(name=st.sampled_from(FACTS), who=whom, ago=back, number=st.sampled_from(["1", "2"]))
    def fact(self, name: str, who: int, ago: timedelta, number: str) -> None:
        facts = {"reference.issued": "reference_no", "visa.issued": "visa_no", "pilgrim.entered": "border_no"}
        self.tell(name, who, ago=ago, city="makkah", reason="r", facts={facts[name]: number} if name in facts else {})

    @rule(which=st.integers(0, 20), who=whom, ago=back)
    def fact_that_fits(self, which: int, who: int, ago: timedelta) -> None:
        fitting = [name for name in FACTS if (self.world.state(who), name) in ANSWERS]
        if fitting:
            self.fact(fitting[which % len(fitting)], who, ago, "1")

    @rule(which=st.integers(0, 20), who=whom)
    def fact_that_fits_now(self, which: int, who: int) -> None:
        self.fact_that_fits(which, who, timedelta(0))

    @rule(
        name=st.sampled_from(["housing.confirmed", "housing.refused", "transport.confirmed", "transport.started"]),
        number=st.integers(1, 3),
    )
    def line(self, name: str, number: int) -> None:
        line = f"{name[0].upper()}{number}"
        self.tell(name, line=line, brn=f"B{line}")

    @rule(ref=refs, amount=amounts, ago=back)
    def payment(self, ref: str, amount: Decimal, ago: timedelta) -> None:
        self.tell("payment.received", ago=ago, bank_ref=ref, amount=amount, currency="SAR")

    @rule()
    def the_rest(self) -> None:
        if (voucher := self.world.case.voucher) is not None and voucher.amount > voucher.paid:
            rest = voucher.amount - voucher.paid
            self.tell("payment.received", bank_ref=f"R{len(voucher.payments)}", amount=rest, currency="SAR")

    @rule(ref=refs, amount=amounts, number=st.integers(1, 3))
    def reversal(self, ref: str, amount: Decimal, number: int) -> None:
        self.tell("payment.reversed", bank_ref=f"X{number}", reverses=ref, amount=amount, currency="SAR")

    @rule(name=st.sampled_from(["payment.refunded", "payment.settled"]), ref=refs, amount=amounts)
    def money(self, name: str, ref: str, amount: Decimal) -> None:
        self.tell(name, bank_ref=ref, amount=amount, currency="SAR")

    @rule(name=st.sampled_from(["voucher.billed", "voucher.issued", "group.opened", "voucher.paid"]))
    def other(self, name: str) -> None:
        self.tell(name)

    @rule(who=st.sampled_from([1, 3]))
    def another_companion(self, who: int) -> None:
        child = self.world.member(2)
        if child.state == "WAITING_COMPANION":
            child.companion = self.world.member(who).id
            self.tell("request.corrected", 2)

    @rule(days=st.integers(1, 30))
    def time_passes(self, days: int) -> None:
        self.world.tick(self.world.now + timedelta(days=days))

    # -- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def everybody_is_in_one_state(self) -> None:
        case = self.world.case
        assert case.state in STATES["group"]
        assert case.voucher is None or case.voucher.state in STATES["voucher"]
        for member in case.members.values():
            assert member.state in STATES["request"] - {"PAID"}
            assert (member.ended_at is not None) is (member.state in ENDS)
            assert (member.end_reason is not None) is (member.state in ENDS)
            assert member.state not in ENDS or member.due is None

    @invariant()
    def the_history_is_whole_and_ends_are_final(self) -> None:
        was: dict[UUID, str] = defaultdict(lambda: "NEW")
        for step in self.world.history:
            assert step.was == was[step.id]
            assert step.was not in ENDS or step.now == step.was or step.corrects or step.machine != "request"
            was[step.id] = step.now
        case = self.world.case
        assert was[case.id] == case.state
        assert all(was[member.id] == member.state for member in case.members.values())
        assert case.voucher is None or was[case.voucher.id] == case.voucher.state

    @invariant()
    def money_sums_up(self) -> None:
        voucher = self.world.case.voucher
        if voucher is None:
            return
        assert voucher.amount == sum(line.amount for line in voucher.lines)
        assert voucher.paid == sum(voucher.payments.values()) >= 0
        assert voucher.marks.get("refunded", 0) <= voucher.marks.get("refund_due", 0)
        assert voucher.state != "PAID" or voucher.paid >= voucher.amount
        assert voucher.state != "PART_PAID" or 0 < voucher.paid < voucher.amount
        assert voucher.state not in ("INVOICED", "CANCELLED") or voucher.paid == 0
        if voucher.state == "REFUND_DUE":
            assert voucher.marks["refund_due"] == voucher.paid

    @invariant()
    def nothing_is_sent_before_full_payment_and_once_an_attempt(self) -> None:
        attempts: dict[UUID | None, list[int]] = defaultdict(list)
        for event in self.world.events:
            if event.name == "reference.requested":
                attempts[event.request].append(event.data["attempt"])
        for told in attempts.values():
            assert told == sorted(set(told))
        if attempts:
            assert self.world.case.voucher is not None
            assert self.world.case.voucher.state == "PAID"

    @invariant()
    def a_group_without_travellers_is_cancelled_or_closed(self) -> None:
        case = self.world.case
        ended = all(member.state in ENDS for member in case.members.values())
        if ended and (case.voucher is None or case.voucher.state != "PAID"):
            assert case.state == "CANCELLED"
        if case.state == "CANCELLED":
            assert ended
        if case.marks.get("closed_on"):
            assert ended

    @invariant()
    def nobody_without_an_end_is_forgotten(self) -> None:
        """Whoever waits for no partner and no person has a due time."""
        case = self.world.case
        for member in case.members.values():
            if member.state in ("RETURNED", "NEEDS_DATA", "WAITING_COMPANION", "CANCEL_REQUESTED", "REFERENCE_ISSUED",
                                "AT_MISSION", "VISA_ISSUED", "EXPECTED", "INSIDE", "LEAVING_SOON"):  # fmt: skip
                assert member.due is not None, member.state
        assert case.state != "OPEN" or case.due is not None
        if case.voucher is not None and case.voucher.state in ("INVOICED", "PART_PAID", "INVOICE_EXPIRED"):
            assert case.voucher.due is not None


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
