"""Messages of the published flat files that the record formats are tried on; the hub itself does not carry them."""

from datetime import date
from decimal import Decimal

from hub.canonical.declare import canonical, decimal, integer, plain, text


@canonical
class Addendum:
    kind: str = text(2)
    body: str = text(80)
    entry_no: int = integer(0, 9_999_999)


@canonical
class AchEntry:
    kind: str = text(2, pattern="[0-9]{2}")
    receiver: str = text(9)
    account: str = text(17, personal=True)
    amount: Decimal = decimal(10, 2)
    reference: str | None = text(15, default=None)
    name: str | None = text(24, personal=True, default=None)
    addenda: str = text(1, one_of=("0", "1"))
    trace: str | None = text(15, default=None)
    more: list[Addendum] = plain(default=[])


@canonical
class AchBatch:
    service: str = text(3)
    company: str = text(16)
    company_id: str = text(10)
    kind: str = text(3)
    purpose: str | None = text(10, default=None)
    paid_on: str | None = text(6, default=None)
    number: int = integer(0, 9_999_999)
    entries: list[AchEntry] = plain()
    entries_and_addenda: int = integer(0, 999_999)
    debit: Decimal = decimal(12, 2)
    credit: Decimal = decimal(12, 2)


@canonical
class AchFile:
    destination: str = text(10)
    origin: str = text(10)
    created_on: date = plain()
    batches: list[AchBatch] = plain()
    debit: Decimal = decimal(12, 2)
    credit: Decimal = decimal(12, 2)


@canonical
class BaiDetail:
    code: str = text(3, pattern="[0-9]{3}")
    amount: int = integer(0, 10**15)
    funds: str | None = text(1, default=None)


@canonical
class BaiAccount:
    number: str = text(20, personal=True)
    currency: str | None = text(3, default=None)
    details: list[BaiDetail] = plain()
    control: str = text(20)
    records: int = integer(1, 999_999)


@canonical
class BaiGroup:
    receiver: str = text(20)
    originator: str = text(20)
    as_of: date = plain()
    accounts: list[BaiAccount] = plain()
    control: str = text(20)
    records: int = integer(1, 999_999)


@canonical
class BaiFile:
    sender: str = text(20)
    receiver: str = text(20)
    created_on: date = plain()
    groups: list[BaiGroup] = plain()
    control: str = text(20)
    records: int = integer(1, 999_999)


@canonical
class AccountLine:
    booked_on: date = plain()
    purpose: str = text(60)
    amount: Decimal = decimal(12, 2, signed=True)
    currency: str = text(3)
    account: str = text(34, personal=True)
    reference: str = text(20)


@canonical
class AccountLines:
    lines: list[AccountLine] = plain()


MESSAGES: dict[str, type] = {cls.__name__: cls for cls in (AchFile, BaiFile, AccountLines)}
