"""Bills, payments and credits passed as files: the bill payment service, and a bank's notifications of an account."""

import re
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
class CreditPart:
    """One payment of an entry, as its payer named it."""

    reference: str | None = text(35, path="payment.reference", default=None)
    amount: Decimal | None = decimal(14, 2, path="payment.amount", default=None)
    currency: str | None = text(3, pattern=CURRENCY, path="payment.amount", default=None)


@canonical
class Credit:
    """Money that has come into the account, or has gone out of it again; an entry may sum up several payments."""

    bank_ref: str = text(35, path="payment.reference")
    outcome: str = text(6, one_of=("credit", "debit"), path="payment.outcome")
    amount: Decimal = decimal(14, 2, path="payment.amount")
    currency: str = text(3, pattern=CURRENCY, path="payment.amount")
    status: str = text(6, one_of=("booked",), path="statement.status")
    booked_on: date | None = plain(path="payment.at", default=None)
    value_on: date | None = plain(path="payment.at", default=None)
    payments: list[CreditPart] = plain(path="payment.reference", default=[])

    @property
    def bill_no(self) -> str | None:
        """The bill that the whole entry is for; None where it sums up several payments, or its payer named no bill."""
        named = [part.reference or "" for part in self.payments]
        return named[0] if len(named) == 1 and re.fullmatch(BILL, named[0]) else None


@canonical
class CreditNotification:
    """Credits and debits of one account, told during the day."""

    notice_no: str = text(35, path="exchange.notice")
    told_at: datetime = plain(path="exchange.at")
    account: str = text(34, path="payment.account")
    entries: list[Credit] = plain(default=[])
