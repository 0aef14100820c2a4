"""A bank's desk over SOAP, with real bills: asked for, paid, taken back, given up, given back; and whose they are."""

import pytest
from lxml import etree

from hub.partners import Overlaid

DESK, OTHER = "bill_desk_najd", "bill_desk_asir"
SPACE = "http://bank.example/bill-desk/v1"


@pytest.fixture
def desk(hub):
    """A hub with a group invoiced, and a bank that calls: ``desk(operation, element, **values)`` gives the answer."""
    hub.engine.register.become(hub.engine.register.overlaid([Overlaid(id=one, enabled=True) for one in (DESK, OTHER)]))
    for request in (requests := [r["id"] for r in hub.open().body["requests"]]):
        hub.decide(request, "accept")
    ((bill, minor),) = hub.rows("SELECT bill_no, amount FROM voucher")

    def call(operation, by=DESK, **values):
        element = "".join(part.title() for part in operation.split("_"))
        body = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
        receipt = hub.tell(by, operation, f'<{element} xmlns="{SPACE}">{body}</{element}>'.encode())
        assert receipt.answer, receipt.problems
        return {child.tag.rpartition("}")[2]: child.text for child in etree.fromstring(receipt.answer)}

    call.hub, call.bill, call.minor, call.requests = hub, bill, minor, requests
    return call


def money(minor):
    return f"{minor / 100:.2f}"


def pay(desk, amount, reference="N-1"):
    return desk(
        "tell_payment", Reference=reference, BillNumber=desk.bill, Amount=amount, Currency="SAR",
        PaidAt="2026-12-01T08:30:00Z", ValueDate="2026-12-01",
    )["Status"]  # fmt: skip


def ask(desk, **more):
    return desk("ask_bill", **more, BillNumber=desk.bill)


def test_a_bill_is_due_with_its_amount_and_expiry_until_it_is_paid(desk):
    due = ask(desk)
    assert (due["Status"], due["AmountDue"], due["Currency"]) == ("DUE", money(desk.minor), "SAR")
    assert due["ExpiresAt"].endswith("Z")
    assert pay(desk, "100.00") == "TAKEN"
    assert ask(desk)["AmountDue"] == money(desk.minor - 10_000)
    assert pay(desk, "100.00") == "REPEATED"
    assert pay(desk, money(desk.minor - 10_000), "N-2") == "TAKEN"
    paid = ask(desk)
    assert paid["Status"] == "PAID" and "AmountDue" not in paid
    assert desk.hub.states() == ["SENT_FOR_REFERENCE"] * 2


def test_a_payment_is_taken_back(desk):
    pay(desk, "100.00")
    told = desk(
        "tell_reversal", Reference="R-1", OriginalReference="N-1", BillNumber=desk.bill, Amount="100.00",
        Currency="SAR", ReversedAt="2026-12-01T08:40:00Z",
    )  # fmt: skip
    assert told["Status"] == "TAKEN"
    assert ask(desk)["AmountDue"] == money(desk.minor)


def test_a_group_that_is_given_up_is_not_payable_and_its_refund_is_told(desk):
    pay(desk, "100.00")
    for request in desk.requests:
        desk.hub.decide(request, "cancel", by="agent_idn_1")
    assert ask(desk)["Status"] == "CANCELLED"
    assert desk.hub.rows("SELECT state FROM voucher") == [("REFUND_DUE",)]
    refund = {
        "Reference": "F-1", "BillNumber": desk.bill, "Amount": "100.00", "Currency": "SAR",
        "RefundedAt": "2026-12-01T08:50:00Z",
    }  # fmt: skip
    assert desk("tell_refund", **refund)["Status"] == "TAKEN"
    assert desk.hub.rows("SELECT state FROM voucher") == [("REFUNDED",)]
    assert desk("tell_refund", **refund)["Status"] == "REPEATED"


def test_a_bill_of_a_company_that_the_bank_does_not_serve_is_not_found(desk):
    assert ask(desk, by=OTHER) == {"BillNumber": desk.bill, "Status": "NOT_FOUND"}
