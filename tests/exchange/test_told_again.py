"""What is told again: the same words change nothing; other words under the same number are never lost in silence."""

import json
import re
from uuid import UUID

import pytest

from hub.chaos.faults import FaultyPartner
from hub.exchange.receive import Said
from tests.exchange.exchanging import BANK, MINISTRY, MISSION, filing

pytestmark = pytest.mark.both_stores


@pytest.fixture
def accepted(hub):
    for request in hub.open().body["requests"]:
        hub.decide(request["id"], "accept")
    return hub


def paid(hub) -> list[int]:
    return [row[0] for row in hub.rows("SELECT paid FROM voucher ORDER BY id")]


@pytest.mark.parametrize("other", ["PAY-A", "pay-A", "pay- a"])
def test_bank_references_that_differ_in_a_letters_case_are_two_payments(accepted, other):
    assert accepted.pay("100.00", "pay-a").status == "taken"
    assert accepted.pay("200.00", other).status == "taken"
    assert paid(accepted) == [30_000]


def test_a_payment_told_again_with_another_amount_is_put_before_a_person(accepted):
    accepted.pay("100.00", "PAY-1")
    accepted.pay("250.00", "PAY-1")
    assert paid(accepted) == [10_000]
    assert accepted.incidents() == [("conflict", "payment_differs")]
    assert accepted.pay("250.00", "PAY-1").status == "repeated", "that, too, was told before"


def test_a_payment_for_a_bill_nobody_knows_is_taken_when_the_bank_tells_the_right_bill(accepted):
    assert accepted.pay("100.00", "PAY-1", bill="9" * 13).status == "suspense"
    assert accepted.pay("100.00", "PAY-1", bill="9" * 13).status == "repeated"
    assert accepted.pay("100.00", "PAY-1").status == "taken"
    assert paid(accepted) == [10_000]


def test_a_payment_told_of_one_bill_and_then_of_another_is_counted_once_and_put_before_a_person(accepted):
    given = filing("G-2002")
    for index, member in enumerate(given.members):
        member.document.number, member.document.mrz, member.companion = f"Y{index}000000", None, None
    for request in accepted.open(given).body["requests"]:
        accepted.decide(request["id"], "accept")
    first, second = (row[0] for row in accepted.rows("SELECT bill_no FROM voucher ORDER BY id"))
    told = []
    for bill in (first, second):
        notice = {
            "reference": "PAY-1", "billNumber": bill, "amount": "100.00", "currency": "SAR",
            "paidAt": "2026-12-01T08:30:00Z", "valueDate": "2026-12-01", "channel": "ONLINE",
        }  # fmt: skip
        told.append(accepted.tell(BANK, "payment_notice", json.dumps(notice).encode()).status)
    assert told == ["taken", "suspense"]
    assert paid(accepted) == [10_000, 0]
    assert accepted.incidents() == [("suspense", "told_otherwise")]


def test_a_visa_refused_after_it_was_issued_is_a_persons_case(make, ministry):
    hub = make(MOFA_URL=ministry.url)
    requests = hub.paid()
    hub.drain(MINISTRY)
    hub.drain(MISSION)
    about = hub.engine.reading.timeline(UUID(requests[0]))["reference_no"]

    def outcome(sequence: int, said: str) -> None:
        body = f"""<PrintOutcomes xmlns="http://mofa.example/missions/v1">
          <Mission>{MISSION}</Mission><Sequence>{sequence}</Sequence><Count>1</Count>
          <Line><ReferenceNo>{about}</ReferenceNo><PassportNo>X1234567</PassportNo>{said}</Line></PrintOutcomes>"""
        hub.tell(MISSION, "receive_outcome", body.encode(), name="o", said=Said(sequence))

    outcome(
        1,
        "<Outcome>P</Outcome><At>2026-12-02T03:20:00Z</At><VisaNo>6000123456</VisaNo><IssueDate>2026-12-02</IssueDate>"
        "<EnterBy>2027-03-01</EnterBy><StayDays>90</StayDays>",
    )
    assert hub.states()[0] == "VISA_ISSUED"
    outcome(2, "<Outcome>R</Outcome><At>2026-12-02T04:25:10Z</At><ReasonCode>M04</ReasonCode>")
    assert hub.states()[0] == "VISA_ISSUED"
    assert hub.incidents() == [("conflict", "fact_contradicts")]


def test_a_reference_number_that_another_pilgrim_has_is_a_persons_case(make):
    def answer(request):
        keys = re.findall(r"CorrelationId>([^<]+)<", request.body.decode())
        results = "".join(
            f"<Result><CorrelationId>{key}</CorrelationId><Outcome>ISSUED</Outcome><ReferenceNo>7000000001"
            "</ReferenceNo><DecidedAt>2026-12-01T09:00:00Z</DecidedAt></Result>"
            for key in keys
        )
        return (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><SubmitApplicationsResponse '
            f'xmlns="http://mofa.example/visa-reference/v1">{results}</SubmitApplicationsResponse></s:Body></s:Envelope>'
        ).encode()

    with FaultyPartner(answer) as partner:
        hub = make(MOFA_URL=partner.url)
        hub.paid()
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    assert sorted(hub.states()) == ["REFERENCE_ISSUED", "SENT_FOR_REFERENCE"]
    assert hub.incidents() == [("conflict", "number_of_another")]
