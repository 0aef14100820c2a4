"""The voucher's money: told twice, too much, too late, taken back, given back."""

from datetime import date
from decimal import Decimal

import pytest

from hub.journey import AlreadyTrue, Conflict, TooEarly
from tests.journey.world import DAY, HOUR, World

CHILD = {"companion": 1, "born": date(2015, 1, 1)}
SAR = {"currency": "SAR"}


def invoiced(heads: int = 1) -> World:
    return World(heads).to("INVOICED")


def test_a_notice_told_twice_counts_once():
    world = invoiced()
    world.pay(Decimal(10))
    assert isinstance(world.pay(Decimal(10)), AlreadyTrue)
    assert isinstance(world.pay("10"), AlreadyTrue), "kept as text"
    assert world.case.voucher.paid == Decimal(10)
    assert world.pay(Decimal(11)).code == "payment_differs"
    assert world.pay(Decimal(5), ref="P2", currency="USD").code == "currency_mismatch"


def test_too_much_is_owed_back():
    world = invoiced()
    amount = world.case.voucher.amount
    world.pay(amount + 100)
    assert (world.case.voucher.state, world.case.voucher.marks["refund_due"]) == ("PAID", Decimal(100))
    assert world.told("voucher.refund_due")[0].data == {"amount": Decimal(100)}
    world.pay(Decimal(5), ref="P2")
    assert (world.case.voucher.state, world.case.voucher.marks["refund_due"]) == ("PAID", Decimal(105))
    assert world.case.voucher.paid == amount + 105
    assert len(world.told("reference.requested")) == 1


@pytest.mark.parametrize("spoken", [False, True])
@pytest.mark.parametrize("part", [Decimal(0), Decimal(10)])
def test_a_payment_made_after_the_voucher_ran_out_goes_back(spoken, part):
    world = invoiced()
    if part:
        world.pay(part, ref="P0")
    late = world.case.voucher.expires_at + HOUR
    grace = world.case.voucher.expires_at + 3 * DAY
    world.now = late
    if spoken:
        world.tick(late)
    world.pay(world.case.voucher.amount, ref="P1")
    voucher = world.case.voucher
    assert (voucher.state, voucher.marks["refund_due"], voucher.due) == ("REFUND_DUE", voucher.amount + part, grace)
    assert len(world.told("voucher.expired")) == 1
    world.tick(grace)
    assert (world.state(), world.case.state, world.case.voucher.state) == ("INVOICE_EXPIRED", "CANCELLED", "REFUND_DUE")
    assert world.case.voucher.due is None
    assert not world.told("reference.requested")
    world.pay(Decimal(1), ref="P2")
    assert world.case.voucher.marks["refund_due"] == world.case.voucher.paid


def test_money_for_a_cancelled_voucher_goes_back():
    world = invoiced()
    world.done("request.cancelled", 1)
    world.pay(Decimal(50))
    assert (world.case.voucher.state, world.case.voucher.marks["refund_due"]) == ("REFUND_DUE", Decimal(50))
    world.done("payment.refunded", bank_ref="R1", amount=Decimal(20), **SAR)
    assert world.case.voucher.state == "REFUND_DUE"
    assert isinstance(world.tell("payment.refunded", bank_ref="R1", amount=Decimal(20), **SAR), AlreadyTrue)
    assert world.conflict("payment.refunded", bank_ref="R1", amount=Decimal(21), **SAR) == "payment_differs"
    assert world.conflict("payment.refunded", bank_ref="R2", amount=Decimal(31), **SAR) == "refund_exceeds"
    world.done("payment.refunded", bank_ref="R2", amount=Decimal(30), **SAR)
    assert world.case.voucher.state == "REFUNDED"
    assert world.conflict("payment.reversed", bank_ref="X", reverses="P1", amount=Decimal(50), **SAR) == (
        "reversal_after_refund"
    )
    world.pay(Decimal(5), ref="P9")
    assert (world.case.voucher.state, world.case.voucher.marks["refund_due"]) == ("REFUND_DUE", Decimal(55))


def test_part_paid_and_everybody_gives_up():
    world = invoiced()
    world.pay(Decimal(10))
    world.done("request.cancelled", 1)
    assert (world.case.voucher.state, world.case.voucher.marks["refund_due"]) == ("REFUND_DUE", Decimal(10))
    assert [e.name for e in world.events][-3:] == ["voucher.cancelled", "voucher.refund_due", "group.cancelled"]


def test_the_part_paid_is_enough_for_those_who_are_left():
    world = invoiced(2)
    world.pay(world.case.voucher.amount - 10)
    world.done("request.cancelled", 1)
    assert world.case.voucher.state == "PAID"
    assert world.case.voucher.amount == sum(line.amount for line in world.case.voucher.lines)
    assert world.case.voucher.marks["refund_due"] == world.case.voucher.paid - world.case.voucher.amount
    assert (world.state(1), world.state(2)) == ("CANCELLED", "SENT_FOR_REFERENCE")


def test_a_reversal_before_sending():
    world = invoiced()
    world.pay(Decimal(40))
    world.pay(Decimal(30), ref="P2")
    reversal = {"bank_ref": "X1", "reverses": "P1", "amount": Decimal(40), **SAR}
    world.done("payment.reversed", **reversal)
    assert (world.case.voucher.state, world.case.voucher.paid) == ("PART_PAID", Decimal(30))
    assert isinstance(world.tell("payment.reversed", **reversal), AlreadyTrue)
    assert world.conflict("payment.reversed", **{**reversal, "amount": Decimal(1)}) == "payment_differs"
    assert world.conflict("payment.reversed", **{**reversal, "bank_ref": "X2"}) == "reversal_exceeds"
    world.done("payment.reversed", bank_ref="X3", reverses="P2", amount=Decimal(30), **SAR)
    assert (world.case.voucher.state, world.case.voucher.paid) == ("INVOICED", Decimal(0))
    assert world.case.voucher.due == world.case.voucher.expires_at
    world.pay(ref="P3")
    assert world.case.voucher.state == "PAID"


def test_a_reversal_after_sending_is_a_persons_case():
    world = invoiced()
    world.pay()
    amount = world.case.voucher.amount
    reversal = {"reverses": "P1", "amount": amount, **SAR}
    assert world.conflict("payment.reversed", bank_ref="X1", **reversal) == "reversal_after_sending"
    assert world.state() == "SENT_FOR_REFERENCE"
    world.pay(Decimal(60), ref="P2")
    world.done("payment.reversed", bank_ref="X2", reverses="P2", amount=Decimal(60), **SAR)
    assert (world.case.voucher.state, world.case.voucher.paid) == ("PAID", amount)
    assert "refund_due" not in world.case.voucher.marks
    world.pay(Decimal(60), ref="P4")
    world.done("payment.refunded", bank_ref="R1", amount=Decimal(60), **SAR)
    assert world.conflict("payment.reversed", bank_ref="X4", reverses="P4", amount=Decimal(60), **SAR) == (
        "reversal_after_refund"
    )


def test_a_reversal_when_nobody_could_be_sent_yet():
    world = World(heads=2).to("INVOICED", {}, CHILD)
    world.done("request.cancelled", 1)
    world.pay()
    assert (world.case.voucher.state, world.state(2)) == ("PAID", "WAITING_COMPANION")
    world.done("payment.reversed", bank_ref="X", reverses="P1", amount=Decimal(1), **SAR)
    assert (world.case.voucher.state, world.case.voucher.due) == ("PART_PAID", world.case.voucher.expires_at)
    assert "paid_at" not in world.member(2).marks
    world.done("payment.reversed", bank_ref="Y", reverses="P1", amount=world.case.voucher.paid, **SAR)
    assert world.case.voucher.state == "INVOICED"


def test_a_reversal_when_some_of_the_money_is_owed_already():
    world = World(heads=2).to("INVOICED", {}, CHILD)
    world.done("request.cancelled", 1)
    world.pay()
    world.done("request.cancelled", 2)
    reversal = {"bank_ref": "X", "reverses": "P1", "amount": world.case.voucher.amount, **SAR}
    assert world.conflict("payment.reversed", **reversal) == "reversal_after_refund"


def test_a_reversal_of_what_would_have_gone_back():
    world = invoiced()
    world.pay(Decimal(10), ref="P0")
    world.tick(world.case.voucher.expires_at + HOUR)
    world.done("payment.reversed", bank_ref="X0", reverses="P0", amount=Decimal(4), **SAR)
    assert (world.case.voucher.state, world.case.voucher.paid) == ("INVOICE_EXPIRED", Decimal(6))
    world.pay(Decimal(20))
    assert world.case.voucher.marks["refund_due"] == Decimal(26)
    world.done("payment.reversed", bank_ref="X1", reverses="P1", amount=Decimal(20), **SAR)
    assert (world.case.voucher.state, world.case.voucher.marks["refund_due"]) == ("REFUND_DUE", Decimal(6))
    world.done("payment.reversed", bank_ref="X2", reverses="P0", amount=Decimal(6), **SAR)
    assert world.case.voucher.state == "REFUNDED"
    world.tick(world.case.voucher.expires_at + 4 * DAY)
    assert (world.state(), world.case.state, world.case.voucher.due) == ("INVOICE_EXPIRED", "CANCELLED", None)
    assert world.case.marks["closed_on"]


def test_a_settlement_may_come_after_the_reversal():
    world = invoiced()
    world.pay(Decimal(10))
    world.done("payment.reversed", bank_ref="X", reverses="P1", amount=Decimal(10), **SAR)
    world.done("payment.settled", bank_ref="P1", amount=Decimal(10))
    assert world.case.voucher.state == "INVOICED"
    world = invoiced()
    world.pay(Decimal(10))
    world.done("payment.reversed", bank_ref="X", reverses="P1", amount=Decimal(10), **SAR)
    world.done("request.cancelled", 1)
    world.done("payment.settled", bank_ref="P1", amount=Decimal(10))
    world.done("voucher.billed")
    assert world.case.voucher.state == "CANCELLED"


def test_a_dependant_that_gives_up_makes_the_voucher_smaller():
    for part, state in ((None, "INVOICED"), (Decimal(10), "PART_PAID"), (Decimal(3200), "PAID")):
        world = World(heads=3).to("INVOICED", {}, CHILD, {})
        world.done("request.cancelled", 1)
        before = world.case.voucher.amount
        if part:
            world.pay(part)
        world.tick(world.member(2).due)
        assert (world.case.voucher.state, world.state(2)) == (state, "CANCELLED")
        assert world.case.voucher.amount < before
        assert world.state(3) == ("SENT_FOR_REFERENCE" if state == "PAID" else "ACCEPTED")


def test_who_gives_up_in_the_voucher_s_grace_is_not_paid_for():
    world = World(heads=3).to("INVOICED", {}, CHILD, {})
    world.tick(world.case.voucher.expires_at - DAY)
    made = world.now
    world.done("request.cancelled", 1)
    world.tick(world.case.voucher.expires_at)
    world.done("request.cancelled", 2)
    assert world.case.voucher.state == "INVOICE_EXPIRED"
    world.pay(at=made)
    assert (world.case.voucher.state, world.state(3)) == ("PAID", "SENT_FOR_REFERENCE")
    assert "refund_due" not in world.case.voucher.marks


def test_a_settlement_confirms_a_payment():
    world = invoiced()
    assert isinstance(world.tell("payment.settled", bank_ref="P1", amount=Decimal(1)), TooEarly)
    world.kept.clear()
    world.pay(Decimal(10))
    assert world.conflict("payment.settled", bank_ref="P1", amount=Decimal(9)) == "settlement_differs"
    world.done("payment.settled", bank_ref="P1", amount=Decimal(10))
    assert world.case.voucher.marks["settled"] == ["P1"]
    assert isinstance(world.tell("payment.settled", bank_ref="P1", amount=Decimal(10)), AlreadyTrue)


def test_money_told_before_there_is_a_voucher_is_kept():
    world = World().to("ACCEPTED")
    for name in ("payment.received", "payment.reversed", "payment.settled", "payment.refunded", "voucher.billed",
                 "voucher.issued"):  # fmt: skip
        assert isinstance(world.tell(name, bank_ref="P1", amount=Decimal(1), **SAR), TooEarly), name
    world = invoiced()
    assert isinstance(world.tell("payment.reversed", bank_ref="X", reverses="P", amount=Decimal(1), **SAR), TooEarly)


def test_nothing_is_given_back_that_is_not_owed():
    world = invoiced()
    world.pay()
    assert world.conflict("payment.refunded", bank_ref="R", amount=Decimal(1), **SAR) == "refund_exceeds"


def test_a_visa_refused_leaves_ground_and_insurance_to_give_back():
    world = World().to("AT_MISSION")
    world.done("visa.refused", 1)
    assert world.case.voucher.marks["refund_due"] == Decimal("101.49")
    assert world.case.voucher.state == "PAID"
    assert isinstance(world.tell("voucher.issued"), AlreadyTrue)


def test_a_dependant_that_was_paid_but_never_sent_gets_everything_of_its_own_back():
    world = World(heads=2).to("INVOICED", {}, CHILD)
    world.done("request.cancelled", 1)
    world.pay()
    world.done("request.cancelled", 2)
    own = Decimal("188.75") + Decimal("120.00") + Decimal("63.25") + Decimal("25.00")
    tax = Decimal("31.24")
    assert world.case.voucher.marks["refund_due"] == own + tax


def test_a_group_that_is_closed_is_opened_again_by_a_late_entry():
    world = World().to("VISA_ISSUED")
    in_time = world.member().due - HOUR
    world.tick(world.member().due)
    assert world.case.marks["closed_on"]
    world.done("pilgrim.entered", 1, at=in_time)
    assert "closed_on" not in world.case.marks
    assert isinstance(world.tell("request.cancelled", 1), Conflict)


def in_state(state: str) -> World:
    """A voucher in *state*, with the payment P1 on it."""
    world = invoiced()
    if state == "PAID":
        world.pay()
        return world
    world.pay(Decimal(10))
    if state in ("INVOICE_EXPIRED", "REFUND_DUE", "REFUNDED"):
        world.tick(world.case.voucher.expires_at + (0 if state == "INVOICE_EXPIRED" else 4) * DAY)
    if state == "REFUNDED":
        world.done("payment.refunded", bank_ref="R1", amount=Decimal(10), **SAR)
    return world


@pytest.mark.parametrize("state", ["PART_PAID", "PAID", "INVOICE_EXPIRED", "REFUND_DUE", "REFUNDED"])
def test_registration_and_settlement_may_be_told_late(state):
    world = in_state(state)
    due = world.case.voucher.due
    world.done("voucher.billed")
    world.done("payment.settled", bank_ref="P1", amount=world.case.voucher.payments["P1"])
    assert (world.case.voucher.state, world.case.voucher.due) == (state, due)


def test_a_whole_payment_taken_back_before_anybody_was_sent():
    world = World(heads=2).to("INVOICED", {}, CHILD)
    world.done("request.cancelled", 1)
    world.pay()
    world.done("payment.reversed", bank_ref="X", reverses="P1", amount=world.case.voucher.paid, **SAR)
    assert (world.case.voucher.state, world.case.voucher.paid) == ("INVOICED", Decimal(0))


def test_a_part_paid_voucher_gets_smaller():
    world = invoiced(2)
    world.pay(Decimal(10))
    world.done("request.cancelled", 2)
    assert (world.case.voucher.state, world.state(1)) == ("PART_PAID", "ACCEPTED")


def test_a_dependant_may_still_be_waiting_when_the_voucher_ends():
    for waits, ends in ((5, "CANCELLED"), (1, "INVOICE_EXPIRED")):
        world = World(heads=3).to("INVOICED", {}, CHILD, {})
        expires = world.case.voucher.expires_at
        world.tick(expires - waits * DAY)
        world.done("request.cancelled", 1)
        before = world.case.voucher.amount
        world.tick(expires + 2 * DAY)
        assert world.case.voucher.state == "INVOICE_EXPIRED"
        assert (world.case.voucher.amount < before) is (ends == "CANCELLED")
        world.tick(expires + 3 * DAY)
        assert (world.state(2), world.state(3)) == (ends, "INVOICE_EXPIRED")


@pytest.mark.parametrize("amount", [Decimal(0), Decimal("-1.00")])
def test_a_payment_of_nothing_is_no_payment(amount):
    world = invoiced()
    result = world.tell("payment.received", bank_ref="N1", amount=amount, currency="SAR")
    assert isinstance(result, Conflict) and result.code == "payment_amount_wrong"
    assert world.case.voucher.state == "INVOICED"


def test_what_was_too_little_or_too_much_says_so_in_the_history():
    world = invoiced()
    total = world.case.voucher.amount
    world.tell("payment.received", bank_ref="P1", amount=total - 1, currency="SAR")
    world.tell("payment.received", bank_ref="P2", amount=Decimal(3), currency="SAR")
    reasons = [t.reason for t in world.history if t.event == "payment.received" and t.machine == "voucher"]
    assert reasons == ["payment_part", "payment_over"]
