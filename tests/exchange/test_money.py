"""Payments: in full, in part, too much, twice, for nobody, taken back.

Nothing goes to the Ministry before all is paid.
"""

import json

import pytest

from tests.exchange.exchanging import BANK


@pytest.fixture
def invoiced(hub):
    for request in hub.open().body["requests"]:
        hub.decide(request["id"], "accept")
    ((hub.minor,),) = hub.rows("SELECT amount FROM voucher")
    return hub


def test_part_payment_sends_nothing_and_the_rest_sends_once(invoiced):
    invoiced.pay("100.00", "A")
    assert invoiced.states() == ["ACCEPTED", "ACCEPTED"]
    assert invoiced.rows("SELECT count(*) FROM exchange_subject WHERE operation = 'request_reference'") == [(0,)]
    invoiced.pay(f"{invoiced.minor / 100 - 100:.2f}", "B")
    assert invoiced.states() == ["SENT_FOR_REFERENCE"] * 2
    assert invoiced.rows("SELECT count(*) FROM exchange_subject WHERE operation = 'request_reference'") == [(2,)]


def test_a_notice_told_twice_counts_once(invoiced):
    assert invoiced.pay().status == "taken"
    assert invoiced.pay().status == "repeated"
    assert invoiced.rows("SELECT paid, amount FROM voucher") == [(invoiced.minor, invoiced.minor)]
    assert invoiced.rows("SELECT count(*) FROM exchange_subject WHERE operation = 'request_reference'") == [(2,)]


def test_over_payment_pays_and_what_is_too_much_is_known(invoiced):
    invoiced.pay(f"{invoiced.minor / 100 + 50:.2f}")
    assert invoiced.states() == ["SENT_FOR_REFERENCE"] * 2
    assert "refund" in invoiced.rows("SELECT body FROM voucher")[0][0]


def test_money_for_no_bill_is_kept_in_suspense_with_an_owner(invoiced):
    receipt = invoiced.pay(bill="9" * 13)
    assert receipt.status == "suspense" and b"SUSPENSE" in receipt.answer.upper()
    assert invoiced.incidents() == [("suspense", "payment_unknown_bill")]
    assert invoiced.rows("SELECT owner FROM incident")[0][0] in ("bank", "operator")


def test_a_bank_cannot_pay_a_bill_that_another_bank_serves(invoiced):
    ((bill,),) = invoiced.rows("SELECT bill_no FROM voucher")
    notice = {
        "reference": "X1", "billNumber": bill, "amount": "1.00", "currency": "SAR",
        "paidAt": "2026-12-01T08:30:00Z", "valueDate": "2026-12-01",
    }  # fmt: skip
    assert invoiced.tell("bank_tawfiq", "payment_notice", json.dumps(notice).encode()).status == "suspense"
    assert invoiced.rows("SELECT paid FROM voucher") == [(0,)]


def test_a_bank_asks_and_is_told_what_is_left(invoiced):
    ((bill,),) = invoiced.rows("SELECT bill_no FROM voucher")
    invoiced.pay("100.00", "A")
    answer = json.loads(invoiced.tell(BANK, "bill_enquiry", json.dumps({"billNumber": bill}).encode()).answer)
    assert answer["amountDue"] == f"{invoiced.minor / 100 - 100:.2f}"


def test_a_reversal_before_the_ministry_takes_the_payment_back(invoiced):
    invoiced.pay("100.00", "A")
    ((bill,),) = invoiced.rows("SELECT bill_no FROM voucher")
    back = {
        "reference": "R1", "originalReference": "A", "billNumber": bill, "amount": "100.00", "currency": "SAR",
        "reversedAt": "2026-12-01T08:40:00Z",
    }  # fmt: skip
    assert invoiced.tell(BANK, "payment_reversal", json.dumps(back).encode()).status == "taken"
    assert invoiced.rows("SELECT state, paid FROM voucher") == [("INVOICED", 0)]
