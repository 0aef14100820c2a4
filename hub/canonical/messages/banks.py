"""What passes between the hub and a bank: bills, payments, reversals, settlement.

Amounts are decimals with their ISO 4217 currency.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Self

from hub.canonical.case import Case, Subject
from hub.canonical.declare import canonical, decimal, integer, plain, text

BILL = r"[0-9]{13}"
CURRENCY = r"[A-Z]{3}"


@canonical
class BillOrder:
    """A voucher registered at the bank as a bill that anyone may pay."""

    bill_no: str = text(13, pattern=BILL, path="voucher.bill_no")
    agent_code: str = text(20, path="agent.code")
    group_no: str = text(20, path="group.no")
    amount: Decimal = decimal(14, 2, path="voucher.amount")
    currency: str = text(3, pattern=CURRENCY, path="voucher.amount")
    expires_at: datetime = plain(path="voucher.expires_at")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        voucher = case.voucher
        if voucher is None or voucher.state != "INVOICED" or voucher.expires_at is None:
            return None
        return cls(
            bill_no=voucher.bill_no,
            agent_code=case.agent.id,
            group_no=case.agent_ref,
            amount=voucher.amount,
            currency=voucher.currency,
            expires_at=voucher.expires_at,
        )


@canonical
class BillRegistered:
    bill_no: str = text(13, pattern=BILL, path="voucher.bill_no")
    outcome: str = text(10, one_of=("registered", "refused"), path="voucher.outcome")
    reason: str | None = text(20, path="voucher.reason", default=None)


@canonical
class BillEnquiry:
    """A bank asks what a bill comes to before it takes the money."""

    bill_no: str = text(13, pattern=BILL, path="voucher.bill_no")


#: What a bill in a voucher's state is to somebody who wants to pay it; every other state is paid.
_PAYABLE = {
    "INVOICED": "payable",
    "PART_PAID": "payable",
    "INVOICE_EXPIRED": "expired",
    "CANCELLED": "cancelled",
    "REFUND_DUE": "cancelled",
    "REFUNDED": "cancelled",
}


@canonical
class BillAnswer:
    """What a bill comes to now: ``amount`` is what is still to be paid."""

    bill_no: str = text(13, pattern=BILL, path="voucher.bill_no")
    outcome: str = text(11, one_of=("payable", "paid", "expired", "cancelled", "unknown"), path="voucher.outcome")
    amount: Decimal | None = decimal(14, 2, path="voucher.amount", default=None)
    currency: str | None = text(3, pattern=CURRENCY, path="voucher.amount", default=None)
    expires_at: datetime | None = plain(path="voucher.expires_at", default=None)

    @classmethod
    def answer(cls, asked: BillEnquiry, case: Case | None, taken: str) -> Self:
        voucher = case.voucher if case is not None else None
        if voucher is None:
            return cls(bill_no=asked.bill_no, outcome="unknown")
        outcome = _PAYABLE.get(voucher.state, "paid")
        return cls(
            bill_no=asked.bill_no,
            outcome=outcome,
            amount=voucher.amount - voucher.paid if outcome == "payable" else None,
            currency=voucher.currency,
            expires_at=voucher.expires_at,
        )


@canonical
class PaymentNotice:
    """A bank has taken money for a bill.  ``bank_ref`` is the bank's own number, the same when it is told again."""

    bank_ref: str = text(30, path="payment.reference")
    bill_no: str = text(13, pattern=BILL, path="voucher.bill_no")
    amount: Decimal = decimal(14, 2, path="payment.amount")
    currency: str = text(3, pattern=CURRENCY, path="payment.amount")
    paid_at: datetime = plain(path="payment.at")
    value_date: date = plain(path="payment.at")
    channel: str | None = text(20, path="payment.channel", default=None)


@canonical
class PaymentReversal:
    """A bank takes a payment back."""

    bank_ref: str = text(30, path="payment.reference")
    reverses: str = text(30, path="payment.reference")
    bill_no: str = text(13, pattern=BILL, path="voucher.bill_no")
    amount: Decimal = decimal(14, 2, path="payment.amount")
    currency: str = text(3, pattern=CURRENCY, path="payment.amount")
    reversed_at: datetime = plain(path="payment.at")


@canonical
class RefundNotice:
    """A bank has paid out what was owed of a voucher, in full or in part."""

    bank_ref: str = text(30, path="payment.reference")
    bill_no: str = text(13, pattern=BILL, path="voucher.bill_no")
    amount: Decimal = decimal(14, 2, path="payment.amount")
    currency: str = text(3, pattern=CURRENCY, path="payment.amount")
    refunded_at: datetime = plain(path="payment.at")


@canonical
class NoticeAnswer:
    """What we say to a notice, a reversal or a refund: taken, taken before, or put aside for want of such a bill."""

    bank_ref: str = text(30, path="payment.reference")
    outcome: str = text(9, one_of=("taken", "repeated", "suspense"), path="payment.outcome")

    @classmethod
    def answer(cls, asked: PaymentNotice | PaymentReversal | RefundNotice, case: Case | None, taken: str) -> Self:
        return cls(bank_ref=asked.bank_ref, outcome=taken)


@canonical
class SettlementLine:
    bank_ref: str = text(30, path="payment.reference")
    bill_no: str = text(13, pattern=BILL, path="voucher.bill_no")
    booked_on: date = plain(path="payment.at")
    amount: Decimal = decimal(14, 2, path="payment.amount")
    fee: Decimal = decimal(10, 2, path="payment.amount")
    outcome: str = text(8, one_of=("settled", "refunded", "rejected"), path="payment.outcome")


@canonical
class SettlementFile:
    """A bank's day: every payment it settled, with totals."""

    created_on: date = plain(path="exchange.at")
    value_on: date = plain(path="payment.at")
    file_no: int = integer(1, 999_999_999, path="exchange.sequence")
    currency: str = text(3, pattern=CURRENCY, path="payment.amount")
    lines: list[SettlementLine] = plain(default=[])

    def control(self) -> str:
        return str(sum((line.amount for line in self.lines), Decimal(0)))
