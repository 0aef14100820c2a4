"""Money given back: transfers that the hub orders, and what the bank says of each (ISO 20022 pain.001 and pain.002)."""

from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar, Self

from hub.canonical.case import Case, Envelope, Subject
from hub.canonical.declare import canonical, decimal, integer, plain, text
from hub.canonical.messages.banks import BILL, CURRENCY


@canonical
class Refund:
    """What is still owed of one voucher, to the account that the bank keeps for the agent."""

    bill_no: str = text(13, pattern=BILL, path="voucher.bill_no")
    agent_code: str = text(20, path="agent.code")
    amount: Decimal = decimal(14, 2, path="payment.amount")
    currency: str = text(3, pattern=CURRENCY, path="payment.amount")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        voucher = case.voucher
        if voucher is None:
            return None
        owed = voucher.marks.get("refund_due", Decimal(0)) - voucher.marks.get("refunded", Decimal(0))
        if owed <= 0:
            return None
        return cls(bill_no=voucher.bill_no, agent_code=case.agent.id, amount=owed, currency=voucher.currency)


@canonical
class RefundOrder:
    """Transfers ordered together, in a numbered file."""

    line: ClassVar[type] = Refund

    bank: str = text(35, path="exchange.partner")
    sequence: int = integer(1, 999_999_999, path="exchange.sequence")
    ordered_at: datetime = plain(path="exchange.at")
    execute_on: date = plain(path="exchange.at")
    lines: list[Refund] = plain(default=[])

    @classmethod
    def of(cls, lines: list[Refund], envelope: Envelope) -> Self:
        return cls(
            bank=envelope.partner,
            sequence=envelope.sequence,
            ordered_at=envelope.at,
            execute_on=envelope.at.date(),
            lines=lines,
        )


@canonical
class RefundStatus:
    """What became of one transfer; ``bank_ref`` is the bank's number of it, once it has one."""

    bill_no: str = text(13, pattern=BILL, path="voucher.bill_no")
    outcome: str = text(8, one_of=("settled", "pending", "rejected"), path="payment.outcome")
    reason: str | None = text(4, path="payment.reason", default=None)
    bank_ref: str = text(30, path="payment.reference")
    amount: Decimal = decimal(14, 2, path="payment.amount")
    currency: str = text(3, pattern=CURRENCY, path="payment.amount")
    happened: datetime | None = plain(path="payment.at", default=None)


@canonical
class RefundStatuses:
    message_no: str = text(35, path="exchange.notice")
    told_at: datetime = plain(path="exchange.at")
    order_no: int = integer(1, 999_999_999, path="exchange.sequence")
    lines: list[RefundStatus] = plain(default=[])
