"""What a bank says of an account: balances and entries, end of day or during it (MT940, MT942, camt.052, 053, 054).

Amounts are never negative: ``direction`` says whether they were added to the account (``credit``) or taken from it
(``debit``), as seen by its owner.  A reversal keeps the direction in which the money moved.
"""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from hub.canonical.declare import canonical, decimal, integer, plain, text
from hub.canonical.errors import HubError

CURRENCY = r"[A-Z]{3}"
DIRECTIONS = ("credit", "debit")
#: Of a balance: at the beginning and the end of the statement, booked or available, and what is expected later.
BALANCES = (
    "opening", "closing", "opening_available", "closing_available", "forward_available", "previous_closing",
    "interim", "interim_available", "expected", "information",
)  # fmt: skip
STATUSES = ("booked", "pending", "future", "information")


@canonical
class Balance:
    kind: str = text(20, one_of=BALANCES, path="statement.balance")
    amount: Decimal = decimal(20, 5, path="statement.balance")
    currency: str = text(3, pattern=CURRENCY, path="statement.balance")
    direction: str = text(6, one_of=DIRECTIONS, path="statement.balance")
    on: date | None = plain(path="statement.balance", default=None)

    @property
    def signed(self) -> Decimal:
        return self.amount if self.direction == "credit" else -self.amount


@canonical
class Remittance:
    """One line of what the payer wrote."""

    text: str = text(500, path="statement.remittance", personal=True)


@canonical
class CreditorReference:
    """One structured block; not every one has a reference."""

    reference: str | None = text(35, path="statement.remittance", default=None)


@canonical
class Movement:
    """One payment of an entry; an entry may sum up many of them."""

    message_ref: str | None = text(35, path="statement.reference", default=None)
    batch_ref: str | None = text(35, path="statement.reference", default=None)
    instruction_ref: str | None = text(35, path="statement.reference", default=None)
    end_to_end_ref: str | None = text(35, path="statement.reference", default=None)
    transaction_ref: str | None = text(35, path="statement.reference", default=None)
    mandate_ref: str | None = text(35, path="statement.reference", default=None)
    servicer_ref: str | None = text(35, path="statement.reference", default=None)
    cheque_no: str | None = text(35, path="statement.reference", default=None)
    amount: Decimal | None = decimal(20, 5, path="statement.amount", default=None)
    currency: str | None = text(3, pattern=CURRENCY, path="statement.amount", default=None)
    direction: str | None = text(6, one_of=DIRECTIONS, path="statement.amount", default=None)
    debtor: str | None = text(140, path="statement.party", personal=True, default=None)
    debtor_account: str | None = text(34, path="statement.party", personal=True, default=None)
    creditor: str | None = text(140, path="statement.party", personal=True, default=None)
    creditor_account: str | None = text(34, path="statement.party", personal=True, default=None)
    remittance: list[Remittance] = plain(path="statement.remittance", default=[])
    creditor_references: list[CreditorReference] = plain(path="statement.remittance", default=[])
    note: str | None = text(500, path="statement.remittance", personal=True, default=None)


@canonical
class Entry:
    """One line of a statement.

    ``code`` is the bank's code for what kind of thing it was: domain/family/sub-family of ISO 20022 or the bank's own.
    """

    amount: Decimal = decimal(20, 5, path="statement.amount")
    currency: str = text(3, pattern=CURRENCY, path="statement.amount")
    direction: str = text(6, one_of=DIRECTIONS, path="statement.amount")
    reversal: bool = plain(path="statement.amount", default=False)
    status: str = text(11, one_of=STATUSES, path="statement.status", default="booked")
    booked_on: date | None = plain(path="statement.date", default=None)
    value_on: date | None = plain(path="statement.date", default=None)
    reference: str | None = text(35, path="statement.reference", default=None)
    servicer_ref: str | None = text(35, path="statement.reference", default=None)
    domain: str | None = text(4, path="statement.code", default=None)
    family: str | None = text(4, path="statement.code", default=None)
    sub_family: str | None = text(4, path="statement.code", default=None)
    code: str | None = text(35, path="statement.code", default=None)
    movements: list[Movement] = plain(path="statement.amount", default=[])
    note: str | None = text(2000, path="statement.remittance", personal=True, default=None)

    @property
    def signed(self) -> Decimal:
        return self.amount if self.direction == "credit" else -self.amount


@canonical
class AccountStatement:
    """One account over one time."""

    reference: str = text(35, path="statement.no")
    number: str | None = text(18, path="statement.no", default=None)
    legal_number: str | None = text(18, path="statement.no", default=None)
    page: int | None = integer(0, 99999, path="statement.no", default=None)
    last_page: bool | None = plain(path="statement.no", default=None)
    created_at: datetime | None = plain(path="statement.at", default=None)
    from_at: datetime | None = plain(path="statement.at", default=None)
    to_at: datetime | None = plain(path="statement.at", default=None)
    copy: str | None = text(9, one_of=("copy", "duplicate", "both"), path="statement.no", default=None)
    account: str = text(34, path="statement.account", personal=True)
    account_name: str | None = text(70, path="statement.account", personal=True, default=None)
    currency: str | None = text(3, pattern=CURRENCY, path="statement.account", default=None)
    owner: str | None = text(140, path="statement.account", personal=True, default=None)
    balances: list[Balance] = plain(path="statement.balance", default=[])
    entries: list[Entry] = plain(path="statement.amount", default=[])
    note: str | None = text(2000, path="statement.remittance", personal=True, default=None)

    def balance(self, kind: str) -> Balance | None:
        """The first balance of *kind*, or None."""
        return next((balance for balance in self.balances if balance.kind == kind), None)

    @property
    def difference(self) -> Decimal | None:
        """Closing less opening less what was booked: 0 where they agree, None where one of them is missing."""
        opening = self.balance("opening") or self.balance("previous_closing")
        closing = self.balance("closing")
        if opening is None or closing is None:
            return None
        return closing.signed - opening.signed - _booked(self.entries)


def _booked(entries: Iterable[Entry]) -> Decimal:
    return sum((entry.signed for entry in entries if entry.status == "booked"), Decimal(0))


@canonical
class Statement:
    """A message of a bank: the statements of one or more accounts."""

    message_id: str | None = text(35, path="statement.no", default=None)
    created_at: datetime | None = plain(path="statement.at", default=None)
    page: int | None = integer(0, 99999, path="statement.no", default=None)
    last_page: bool | None = plain(path="statement.no", default=None)
    accounts: list[AccountStatement] = plain(path="statement.account")

    def contradiction(self) -> HubError | None:
        """The first account whose entries do not lead from its opening to its closing balance, with what it says and
        what they make; None where all do, or do not say both."""
        for number, account in enumerate(self.accounts, 1):
            closing = account.balance("closing")
            if closing is not None and account.difference:
                said, found = closing.signed.normalize(), (closing.signed - account.difference).normalize()
                return HubError(
                    "file_totals", place=f"accounts/{number}/closing", expected=f"{said:f}", found=f"{found:f}"
                )
        return None
