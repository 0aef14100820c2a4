"""Bills, payments and credits passed as files: the bill payment service, and a bank's notifications of an account."""

from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar, Self

from hub.canonical.case import Envelope
from hub.canonical.declare import canonical, decimal, integer, plain, text
from hub.canonical.messages.banks import BILL, CURRENCY, BillOrder, PaymentNotice


@canonical
class BillFile:
    """New bills, in a numbered file; a bill told again replaces what was told before."""

    line: ClassVar[type] = BillOrder

    sequence: int = integer(1, 999_999_999, path="exchange.sequence")
    created_at: datetime = plain(path="exchange.at")
    lines: list[BillOrder] = plain(default=[])

    @classmethod
    def of(cls, lines: list[BillOrder], envelope: Envelope) -> Self:
        return cls(sequence=envelope.sequence, created_at=envelope.at, lines=lines)


@canonical
class PaymentFile:
    """What was paid since the last file, numbered without a gap."""

    sequence: int = integer(1, 999_999_999, path="exchange.sequence")
    created_on: date = plain(path="exchange.at")
    lines: list[PaymentNotice] = plain(default=[])


@canonical
class Credit:
    """Money that has come into the account for a voucher, or has gone out of it again."""

    bank_ref: str = text(35, path="payment.reference")
    bill_no: str = text(13, pattern=BILL, path="voucher.bill_no")
    outcome: str = text(6, one_of=("credit", "debit"), path="payment.outcome")
    amount: Decimal = decimal(14, 2, path="payment.amount")
    currency: str = text(3, pattern=CURRENCY, path="payment.amount")
    booked_on: date = plain(path="payment.at")
    value_on: date | None = plain(path="payment.at", default=None)


@canonical
class CreditNotification:
    """Credits and debits of one account, told during the day."""

    notice_no: str = text(35, path="exchange.notice")
    told_at: datetime = plain(path="exchange.at")
    account: str = text(34, path="payment.account")
    entries: list[Credit] = plain(default=[])
