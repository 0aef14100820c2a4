"""The voucher: one invoice for the accepted members of a group, its payments, its end, and what is given back."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from hub.canonical.case import Case, Member, Voucher
from hub.canonical.entities import VoucherLine
from hub.journey.results import NOTHING, AlreadyTrue, Conflict, Refusal, TooEarly
from hub.journey.rules import Season
from hub.journey.steps import Steps, as_amount

_CENT = Decimal("0.01")
_ZERO = Decimal(0)
UNPAID = frozenset({"INVOICED", "PART_PAID", "INVOICE_EXPIRED"})
#: Where a member stands while an unpaid voucher covers it.
COVERED = frozenset({"ACCEPTED", "WAITING_COMPANION"})


# -- what it comes to --------------------------------------------------------------------------------------------------


def price(case: Case, heads: int, season: Season) -> dict[str, Decimal]:
    """The lines of a voucher for *heads* of the group, by kind.

    Fees, insurance and ground services are each pilgrim's own; a house and a vehicle cost what they cost, however
    many ride.  Programme prices are for the whole group; each pilgrim's part is an equal share.
    """
    own = _own_part(case, season)
    lines = {kind: (amount * heads).quantize(_CENT, ROUND_HALF_UP) for kind, amount in own.items()}
    lines["transport"] = sum((leg.price for leg in case.programme.transport), _ZERO)
    lines["housing"] = sum((house.price for house in case.programme.housing), _ZERO)
    lines["vat"] = _vat(lines, season)
    return {kind: amount for kind, amount in lines.items() if amount}


def _own_part(case: Case, season: Season) -> dict[str, Decimal]:
    """What one pilgrim costs, before rounding and tax, whatever becomes of the others."""
    programme = case.programme
    insurance = programme.insurance.price if programme.insurance else _ZERO
    ground = sum((service.price for service in programme.services), _ZERO)
    return {**season.fees, "insurance": insurance / case.heads, "ground": ground / case.heads}


def _vat(lines: dict[str, Decimal], season: Season) -> Decimal:
    taxed = sum((amount for kind, amount in lines.items() if kind in season.vat_on), _ZERO)
    return (taxed * season.vat_percent / 100).quantize(_CENT, ROUND_HALF_UP)


def refundable(case: Case, stage: str, season: Season) -> Decimal:
    """What comes back of one pilgrim's own part, with its tax, when the request ends at *stage* of its way."""
    own = _own_part(case, season)
    lines = {kind: own[kind].quantize(_CENT, ROUND_HALF_UP) for kind in season.refunds[stage] if kind in own}
    return sum(lines.values(), _ZERO) + _vat(lines, season)


def covered(steps: Steps) -> list[Member]:
    return [member for member in steps.case.members.values() if steps.state(member) in COVERED]


# -- made, amended, withdrawn ------------------------------------------------------------------------------------------


def issue(steps: Steps) -> None:
    """Make the voucher under the number that was reserved when the group was opened."""
    case, season = steps.case, steps.season(steps.now)
    lines = price(case, len(covered(steps)), season)
    expires = steps.now + timedelta(days=season.voucher_days)
    known = case.marks["voucher_id"]
    steps.issue(
        Voucher(
            id=known if isinstance(known, UUID) else UUID(known),
            bill_no=case.marks["bill_no"],
            state="INVOICED",
            currency=season.currency,
            amount=sum(lines.values(), _ZERO),
            lines=[VoucherLine(kind=kind, amount=amount) for kind, amount in lines.items()],
            issued_at=steps.now,
            expires_at=expires,
            due=expires,
        )
    )
    steps.emit("voucher.issued")


def amend(steps: Steps) -> None:
    """Somebody covered does not travel any more: the voucher asks for the others only."""
    voucher = steps.voucher
    assert voucher is not None and voucher.issued_at is not None
    lines = price(steps.case, len(covered(steps)), steps.season(voucher.issued_at))
    amount = sum(lines.values(), _ZERO)
    if voucher.state == "PART_PAID" and voucher.paid >= amount:
        _settle(steps, voucher, voucher.paid, lines=lines, amount=amount)
    else:
        steps.bill(voucher.state, due=voucher.due, lines=lines, amount=amount)


def withdraw(steps: Steps) -> None:
    """Nobody is left whom the unpaid voucher would cover; what was paid goes back."""
    voucher = steps.voucher
    assert voucher is not None
    paid = voucher.paid
    if voucher.state not in UNPAID:
        # Its money came too late and goes back, or went back, already.
        steps.bill(voucher.state, "voucher.cancelled", happened=steps.now)
        return
    steps.bill("REFUND_DUE" if paid else "CANCELLED", "voucher.cancelled", happened=steps.now, refund_due=paid or None)
    steps.emit("voucher.cancelled")
    if paid:
        steps.emit("voucher.refund_due", amount=paid)


def give_back(steps: Steps, request: UUID, stage: str) -> None:
    """A paid request ended at *stage* without a journey: its refundable part is owed."""
    voucher = steps.voucher
    assert voucher is not None and voucher.issued_at is not None
    amount = refundable(steps.case, stage, steps.season(voucher.issued_at))
    if amount:
        owed = voucher.marks.get("refund_due", _ZERO) + amount
        steps.bill("PAID", "voucher.refund_due", due=voucher.due, refund_due=owed)
        steps.emit("voucher.refund_due", request, amount=amount)


def money_settled(voucher: Voucher | None) -> bool:
    """Whether nothing is left to be paid or given back."""
    if voucher is None or voucher.state in ("CANCELLED", "REFUNDED"):
        return True
    return voucher.state == "PAID" and _owed(voucher) <= 0


def _owed(voucher: Voucher) -> Decimal:
    due: Decimal = voucher.marks.get("refund_due", _ZERO)
    refunded: Decimal = voucher.marks.get("refunded", _ZERO)
    return due - refunded


# -- payments ----------------------------------------------------------------------------------------------------------


def received(steps: Steps) -> Refusal | None:
    voucher = steps.voucher
    if voucher is None:
        return TooEarly("voucher_missing")
    data = steps.event.data
    bank_ref, amount = data["bank_ref"], as_amount(data["amount"])
    if amount <= 0:
        return Conflict("payment_amount_wrong", "nothing was paid")
    if refusal := _told_before(voucher, bank_ref, amount, data["currency"]):
        return refusal
    paid, payments = voucher.paid + amount, {**voucher.payments, bank_ref: amount}
    in_time = voucher.expires_at is None or steps.event.happened <= voucher.expires_at
    if voucher.state in ("INVOICED", "PART_PAID") and not in_time:
        _expire(steps, voucher)
    state = steps.voucher.state if steps.voucher else voucher.state
    if state in UNPAID and in_time:
        if paid >= voucher.amount:
            _settle(steps, voucher, paid, payments=payments)
        elif state == "INVOICE_EXPIRED":
            steps.bill(state, due=voucher.due, paid=paid, payments=payments)
        else:
            steps.bill("PART_PAID", reason="payment_part", due=voucher.due, paid=paid, payments=payments)
            steps.emit("voucher.part_paid", happened=steps.event.happened)
        return None
    owed = voucher.marks.get("refund_due", _ZERO) + amount if state == "PAID" else paid
    to = "PAID" if state == "PAID" else "REFUND_DUE"
    due = steps.voucher.due if steps.voucher else None
    steps.bill(to, due=due, paid=paid, payments=payments, refund_due=owed)
    steps.emit("voucher.refund_due", amount=amount)
    return None


def _told_before(voucher: Voucher, bank_ref: str, amount: Decimal, currency: str) -> Refusal | None:
    if currency != voucher.currency:
        return Conflict("currency_mismatch", "the voucher is in another currency")
    if bank_ref in voucher.payments:
        if voucher.payments[bank_ref] == amount:
            return AlreadyTrue()
        return Conflict("payment_differs", "the bank told this payment before with another amount")
    return None


def _settle(steps: Steps, voucher: Voucher, paid: Decimal, **changes: Any) -> None:
    """Enough is paid.  Every covered member's request goes to the Ministry of Foreign Affairs in the same breath."""
    happened = steps.event.happened
    amount = changes.get("amount", voucher.amount)
    assert isinstance(amount, Decimal)
    over = paid - amount
    reason = "payment_over" if over else None
    steps.bill("PAID", reason=reason, paid=paid, refund_due=over or None, paid_at=happened, **changes)
    steps.emit("voucher.paid", happened=happened)
    if over:
        steps.emit("voucher.refund_due", amount=over)
    for member in covered(steps):
        if steps.state(member) == "ACCEPTED":
            steps.request(member, "PAID", "request.paid", marks={"paid_at": happened})
            steps.emit("request.paid", member.id, happened=happened)
            send(steps, member)
        else:
            steps.note(member, {"paid_at": happened}, "request.paid")
            steps.emit("request.paid", member.id, happened=happened)


def send(steps: Steps, member: Member, event: str = "reference.requested", marks: Mapping[str, Any] = NOTHING) -> None:
    """Ask for a reference number; the attempt counts up where it was asked before."""
    attempt = member.marks.get("attempt", 1) + ("sent_at" in member.marks)
    cleared = {"reference_at": None, "mission_at": None, "resume": None}
    steps.request(
        member, "SENT_FOR_REFERENCE", event, happened=steps.now,
        marks={**marks, **cleared, "sent_at": steps.now, "attempt": attempt},
    )  # fmt: skip
    steps.emit("reference.requested", member.id, attempt=attempt)


def reversed_(steps: Steps) -> Refusal | None:
    voucher = steps.voucher
    if voucher is None:
        return TooEarly("voucher_missing")
    data = steps.event.data
    bank_ref, reverses, amount = data["bank_ref"], data["reverses"], as_amount(data["amount"])
    if refusal := _told_before(voucher, bank_ref, -amount, data["currency"]):
        return refusal
    if reverses not in voucher.payments:
        return TooEarly("payment_unknown")
    taken_back = voucher.marks.get("reversed", {})
    if amount > voucher.payments[reverses] - taken_back.get(reverses, _ZERO):
        return Conflict("reversal_exceeds", "more is taken back than was paid")
    paid, payments = voucher.paid - amount, {**voucher.payments, bank_ref: -amount}
    changes: dict[str, Any] = {
        "paid": paid,
        "payments": payments,
        "reversed": {**taken_back, reverses: taken_back.get(reverses, _ZERO) + amount},
    }
    owed = voucher.marks.get("refund_due", _ZERO) - amount
    refunded = voucher.marks.get("refunded", _ZERO)
    if voucher.state == "INVOICE_EXPIRED":
        steps.bill("INVOICE_EXPIRED", due=voucher.due, **changes)
    elif voucher.state == "PART_PAID":
        steps.bill("PART_PAID" if paid else "INVOICED", due=voucher.due, **changes)
    elif owed < refunded and (voucher.state != "PAID" or paid >= voucher.amount):
        return Conflict("reversal_after_refund", "the money was given back before")
    elif voucher.state == "PAID":
        if paid >= voucher.amount:
            steps.bill("PAID", refund_due=owed or None, **changes)
        else:
            return _unpay(steps, voucher, paid, changes)
    else:
        to = "REFUNDED" if owed == refunded else "REFUND_DUE"
        steps.bill(to, due=voucher.due, refund_due=owed, **changes)
    return None


def _unpay(steps: Steps, voucher: Voucher, paid: Decimal, changes: Mapping[str, Any]) -> Refusal | None:
    """A voucher that is not fully paid any more, as long as nothing went out on the strength of it."""
    waiting, members = covered(steps), steps.case.members.values()
    if any("sent_at" in member.marks for member in members):
        return Conflict("reversal_after_sending", "requests went to the Ministry of Foreign Affairs on this payment")
    if voucher.marks.get("refunded") or any("paid_at" in member.marks and member not in waiting for member in members):
        return Conflict("reversal_after_refund", "some of the money was given back before, or is owed already")
    steps.bill("PART_PAID" if paid else "INVOICED", due=voucher.expires_at, refund_due=None, paid_at=None, **changes)
    for member in waiting:
        steps.note(member, {"paid_at": None})
    return None


def settled(steps: Steps) -> Refusal | None:
    voucher = steps.voucher
    if voucher is None:
        return TooEarly("voucher_missing")
    bank_ref = steps.event.data["bank_ref"]
    if bank_ref not in voucher.payments:
        return TooEarly("payment_unknown")
    known = voucher.marks.get("settled", [])
    if bank_ref in known:
        return AlreadyTrue()
    if as_amount(steps.event.data["amount"]) != voucher.payments[bank_ref]:
        return Conflict("settlement_differs", "the settlement has another amount than the payment")
    steps.bill(voucher.state, due=voucher.due, settled=[*known, bank_ref])
    return None


def refunded(steps: Steps) -> Refusal | None:
    voucher = steps.voucher
    if voucher is None:
        return TooEarly("voucher_missing")
    data = steps.event.data
    bank_ref, amount = data["bank_ref"], as_amount(data["amount"])
    known = voucher.marks.get("refunds", {})
    if bank_ref in known:
        if known[bank_ref] == amount:
            return AlreadyTrue()
        return Conflict("payment_differs", "the bank told this refund before with another amount")
    left = _owed(voucher) - amount
    if left < 0:
        return Conflict("refund_exceeds", "more was given back than is owed")
    changes: dict[str, Any] = {
        "refunds": {**known, bank_ref: amount},
        "refunded": voucher.marks.get("refunded", _ZERO) + amount,
    }
    to = "REFUNDED" if voucher.state == "REFUND_DUE" and not left else voucher.state
    steps.bill(to, due=voucher.due, **changes)
    return None


# -- registered, reissued, out of time ---------------------------------------------------------------------------------


def billed(steps: Steps) -> Refusal | None:
    voucher = steps.voucher
    if voucher is None:
        return TooEarly("voucher_missing")
    if "billed_at" in voucher.marks:
        return AlreadyTrue()
    steps.bill(voucher.state, due=voucher.due, billed_at=steps.event.happened)
    return None


def reissued(steps: Steps) -> Refusal | None:
    """A voucher that ran out is issued again while its grace lasts."""
    voucher = steps.voucher
    if voucher is None:
        return TooEarly("voucher_missing")
    if voucher.state != "INVOICE_EXPIRED":
        live = voucher.state in ("INVOICED", "PART_PAID", "PAID")
        return AlreadyTrue() if live else Conflict("voucher_ended", "the voucher covers nobody any more")
    expires = steps.now + timedelta(days=steps.season(steps.now).voucher_days)
    steps.bill("PART_PAID" if voucher.paid else "INVOICED", due=expires, expires_at=expires)
    return None


def due(steps: Steps) -> None:
    """The voucher's time has come: it runs out, or its grace is over and with it the requests that it covered."""
    voucher = steps.voucher
    assert voucher is not None and voucher.due is not None
    if voucher.state in ("INVOICED", "PART_PAID"):
        _expire(steps, voucher)
        return
    for member in covered(steps):
        steps.request(
            member, "INVOICE_EXPIRED", "request.invoice_expired", happened=voucher.due, reason="voucher_expired"
        )
        steps.emit("request.invoice_expired", member.id, happened=voucher.due)


def _expire(steps: Steps, voucher: Voucher) -> None:
    assert voucher.expires_at is not None
    grace = timedelta(days=steps.season(voucher.expires_at).voucher_grace_days)
    steps.bill("INVOICE_EXPIRED", "voucher.expired", happened=voucher.expires_at, due=voucher.expires_at + grace)
    steps.emit("voucher.expired", happened=voucher.expires_at)
