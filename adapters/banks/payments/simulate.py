"""A bank, played: its customers pay their bills as the season's plan says, and every evening's file settles."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hub.canonical.ids import bill_no
from hub.canonical.messages.banks import (
    BillAnswer,
    BillEnquiry,
    BillOrder,
    PaymentNotice,
    PaymentReversal,
    SettlementFile,
    SettlementLine,
)
from hub.simulate.script import Decision, Item, Say, World, following

#: Hours, UTC: the bank's day begins; the settlement file is made.
OPENS, SETTLES = 6, 18
TOO_MUCH, FEE = Decimal("100.00"), Decimal("1.15")
#: How much of a bill is paid first by those who pay in parts, and by those who take it back.
FIRST = {"parts": Decimal("0.60"), "reversed": Decimal("0.40")}
CHANNELS = ("branch", "online", "atm")


def received(world: World, partner: str, operation: str, message: BillOrder, decided: Mapping[str, Decision]) -> None:
    if message.bill_no not in decided or decided[message.bill_no]["outcome"] != "registered":
        return
    world.note(
        "bill", message.bill_no, payer=f"{message.agent_code}/{message.group_no}", amount=str(message.amount),
        currency=message.currency,
    )  # fmt: skip
    payer = world.plan.payer(message.agent_code, message.group_no)
    if payer.pays == "never":
        return
    bill: dict[str, Any] = {"bill": message.bill_no, "pays": payer.pays}
    if payer.pays == "late":
        paid = message.expires_at - timedelta(hours=1)
        told = payer.at or message.expires_at + timedelta(days=1)
        world.later(partner, "ask", f"{message.bill_no} 1", at=paid, told=told.isoformat(), **bill)
    else:
        world.later(partner, "ask", f"{message.bill_no} 1", **bill)


def due(world: World, partner: str, task: str, items: list[Item]) -> Iterable[Say]:
    if task == "settle":
        yield from _settlements(world, partner, items)
        return
    for item in items:
        if task == "ask":
            yield Say(
                operation="bill_enquiry", message=BillEnquiry(bill_no=item.facts["bill"]), number=f"Q{item.subject}",
                facts={**item.facts, "asked": world.now.isoformat(), "nth": int(item.subject.split()[1])},
            )  # fmt: skip
        elif task == "pay":
            yield from _pay(world, partner, item)
        elif task == "reverse":
            yield _reverse(world, partner, item)


def answered(world: World, partner: str, operation: str, facts: Mapping[str, Any], answer: Any) -> None:
    if operation == "bill_enquiry":
        _asked(world, partner, facts, answer)
    elif operation == "payment_notice" and facts.get("then") == "ask":
        morning = following(world.now, OPENS)
        world.later(partner, "ask", f"{facts['bill']} 2", at=morning, bill=facts["bill"], pays="full")
    elif operation == "payment_notice" and facts.get("then") == "reverse":
        world.later(partner, "reverse", facts["bank_ref"], at=following(world.now, OPENS), **facts)
    elif operation == "payment_reversal":
        world.later(partner, "ask", f"{facts['bill']} 2", bill=facts["bill"], pays="full")


def _asked(world: World, partner: str, facts: Mapping[str, Any], answer: BillAnswer) -> None:
    """The hub has said what the bill comes to: it is paid, if anything is to be paid."""
    if answer.outcome != "payable" or answer.amount is None:
        return
    pays, bill, nth = facts["pays"], facts["bill"], facts["nth"]
    whole = answer.amount
    paid = {"bill": bill, "currency": answer.currency, "paid_at": facts["asked"]}
    if pays in FIRST:
        amount = (whole * FIRST[pays]).quantize(Decimal("0.01"))
        then = "ask" if pays == "parts" else "reverse"
        world.later(partner, "pay", f"{bill} {nth}", amount=str(amount), then=then, **paid)
    elif pays == "over":
        world.later(partner, "pay", f"{bill} {nth}", amount=str(whole + TOO_MUCH), back=str(TOO_MUCH), **paid)
    elif pays == "twice":
        world.later(partner, "pay", f"{bill} {nth}", amount=str(whole), **paid)
        world.later(partner, "pay", f"{bill} {nth} again", amount=str(whole), back=str(whole), **paid)
    elif pays == "late":
        told = datetime.fromisoformat(facts["told"])
        world.later(partner, "pay", f"{bill} {nth}", at=told, amount=str(whole), **paid)
    else:
        world.later(partner, "pay", f"{bill} {nth}", amount=str(whole), **paid)


def _pay(world: World, partner: str, item: Item) -> Iterable[Say]:
    facts, ref = item.facts, _reference(world, partner, "payment", item.subject)
    amount, paid_at = Decimal(facts["amount"]), datetime.fromisoformat(facts["paid_at"])
    notice = PaymentNotice(
        bank_ref=ref, bill_no=facts["bill"], amount=amount, currency=facts["currency"], paid_at=paid_at,
        value_date=paid_at.date(), channel=world.chance.one_of(CHANNELS, partner, ref),
    )  # fmt: skip
    told = {"bill": facts["bill"], "bank_ref": ref, "amount": facts["amount"], "currency": facts["currency"]}
    what = {**told, "then": facts.get("then"), "kind": "paid"}
    yield Say(operation="payment_notice", message=notice, number=ref, facts=what)
    evening = following(world.now, SETTLES)
    world.later(partner, "settle", ref, at=evening, outcome="settled", **told)
    if "back" in facts:
        # Too much was paid: what is left over goes back to the payer the day after.
        back = told | {"bank_ref": _reference(world, partner, "refund", ref), "amount": facts["back"]}
        world.later(partner, "settle", back["bank_ref"], at=evening + timedelta(days=1), outcome="refunded", **back)
    if world.wild(partner, "notice", item.subject):
        yield _unknown_bill(world, partner, item.subject, notice)


def _unknown_bill(world: World, partner: str, subject: str, like: PaymentNotice) -> Say:
    """Somebody mistyped a bill number that nobody has been given."""
    ref = _reference(world, partner, "mistyped", subject)
    strange = bill_no(99_999_999_999 - world.chance.number(10**9, ref))
    message = PaymentNotice(
        bank_ref=ref, bill_no=strange, amount=like.amount, currency=like.currency, paid_at=like.paid_at,
        value_date=like.value_date, channel=like.channel,
    )  # fmt: skip
    return Say(operation="payment_notice", message=message, number=ref, planned=(("", "unknown_bill"),))


def _reverse(world: World, partner: str, item: Item) -> Say:
    facts, ref = item.facts, _reference(world, partner, "reversal", item.subject)
    message = PaymentReversal(
        bank_ref=ref, reverses=facts["bank_ref"], bill_no=facts["bill"], amount=Decimal(facts["amount"]),
        currency=facts["currency"], reversed_at=world.now,
    )  # fmt: skip
    told = {"bill": facts["bill"], "amount": facts["amount"], "currency": facts["currency"], "kind": "reversed"}
    notice = ("payment_notice", facts["bank_ref"])
    return Say(operation="payment_reversal", message=message, number=ref, after=notice, facts=told)


def _settlements(world: World, partner: str, items: list[Item]) -> Iterable[Say]:
    currencies: dict[str, list[Item]] = {}
    for item in items:
        currencies.setdefault(item.facts["currency"], []).append(item)
    day = world.now.date()
    for currency, settled in currencies.items():
        number = world.number(partner, "receive_settlement")
        lines = [
            SettlementLine(
                bank_ref=item.facts["bank_ref"], bill_no=item.facts["bill"], booked_on=day,
                amount=Decimal(item.facts["amount"]), fee=FEE, outcome=item.facts["outcome"],
            )
            for item in settled
        ]  # fmt: skip
        yield Say(
            operation="receive_settlement",
            message=SettlementFile(created_on=day, value_on=day, file_no=number, currency=currency, lines=lines),
            sequence=number,
            facts={"settled": [[item.facts["bill"], item.facts["outcome"], item.facts["amount"]] for item in settled]},
        )


def _reference(world: World, partner: str, kind: str, subject: str) -> str:
    return f"{kind[:3].upper()}{world.chance.digits(12, partner, kind, subject)}"
