"""Bodies of other interfaces than the first season's, live beside them: what they tell reaches a case, or a person."""

import dataclasses
import json
from pathlib import Path

import pytest

from hub.exchange.receive import Said
from hub.partners.overlay import Overlaid
from tests.exchange.exchanging import filing

HOME = Path(__file__).parents[2]
LIVE = (
    "statements_wadi", "swift_jakarta", "refunds_wadi", "refunds_manar", "refunds_rayyan", "crossings_ruh",
    "admissions_makkah", "visa_centre_jakarta", "report_platform", "lists_rihla", "ota_ibrahim",
)  # fmt: skip


@pytest.fixture
def live(hub):
    register = hub.engine.register
    register.become(register.overlaid([Overlaid(id=id, enabled=True) for id in LIVE]))
    return hub


def bill(hub):
    ((number, minor),) = hub.rows("SELECT bill_no, amount FROM voucher")
    return number, f"{minor / 100:.2f}"


def notification(bill_no, ref, amount, side="CRDT"):
    return f"""<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"><BkToCstmrDbtCdtNtfctn>
    <GrpHdr><MsgId>N-{ref}</MsgId><CreDtTm>2026-12-01T10:00:00Z</CreDtTm></GrpHdr><Ntfctn><Id>N-{ref}</Id>
    <Acct><Id><IBAN>SA0380000000608010167519</IBAN></Id></Acct><Ntry><Amt Ccy="SAR">{amount}</Amt>
    <CdtDbtInd>{side}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-12-01</Dt></BookgDt>
    <AcctSvcrRef>{ref}</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>{bill_no}</EndToEndId></Refs></TxDtls></NtryDtls>
    </Ntry></Ntfctn></BkToCstmrDbtCdtNtfctn></Document>""".encode()


def file(hub, partner, operation, body, name):
    return hub.tell(partner, operation, body, name=name, said=Said())


def test_a_credit_in_a_notification_settles_the_payment(live):
    live.paid()
    number, amount = bill(live)
    before = live.incidents()
    told = notification(number, "PAY-1", amount)
    assert file(live, "statements_wadi", "receive_notification", told, "CAMT054-1.xml").status == "taken"
    assert live.rows("SELECT COUNT(*) FROM history WHERE event = 'payment.settled'") == [(1,)]
    assert file(live, "statements_wadi", "receive_notification", told, "CAMT054-1.xml").status == "repeated"
    out = notification(number, "PAY-1", amount, "DBIT")
    assert file(live, "statements_wadi", "receive_notification", out, "CAMT054-2.xml").status == "taken"
    assert live.incidents() == before, "money going out by itself moves nothing"


def test_a_credit_for_a_bill_that_nobody_knows_is_put_before_a_person(live):
    told = notification("9" * 13, "PAY-9", "10.00")
    assert file(live, "statements_wadi", "receive_notification", told, "CAMT054-1.xml").status == "taken"
    assert live.incidents() == [("suspense", "payment_unknown_bill")]


def test_a_credit_of_several_payments_is_put_before_a_person(live):
    live.paid()
    number, amount = bill(live)
    before = live.incidents()
    part = f"<TxDtls><Refs><EndToEndId>{number}</EndToEndId></Refs></TxDtls>".encode()
    told = notification(number, "PAY-1", amount).replace(part, part * 2)
    assert file(live, "statements_wadi", "receive_notification", told, "CAMT054-1.xml").status == "taken"
    assert live.incidents() == [*before, ("suspense", "payment_unknown_bill")]
    assert live.rows("SELECT COUNT(*) FROM history WHERE event = 'payment.settled'") == [(0,)]


@pytest.mark.parametrize("version", [b".001.08", b".001.02"])
@pytest.mark.parametrize("old", [b"<Cd>BOOK</Cd>", b"</Ntfctn>"], ids=["pending", "two accounts"])
def test_a_notification_of_what_is_not_booked_or_of_several_accounts_is_refused(live, version, old):
    told = notification("9" * 13, "PAY-1", "10.00")
    second = told[told.index(b"<Ntfctn>") : told.index(b"</Ntfctn>") + len(b"</Ntfctn>")]
    new = b"<Cd>PDNG</Cd>" if b"BOOK" in old else old + second
    wrong = told.replace(old, new).replace(b".001.08", version)
    assert file(live, "statements_wadi", "receive_notification", wrong, "CAMT054-1.xml").status == "refused"
    right = told.replace(b".001.08", version)
    assert file(live, "statements_wadi", "receive_notification", right, "CAMT054-2.xml").status == "taken"


CAMT = ("statements_wadi", "statements/receive_statement/examples/request-day.xml", "CAMT053-1.xml")
MT940 = ("swift_jakarta", "swift_statements/receive_statement/examples/request-haramayn.sta", "MT940-1.sta")


@pytest.mark.parametrize(
    ("sent", "closing", "untrue", "figures"),
    [
        (CAMT, b'"SAR">58022.00<', b'"SAR">58022.10<', ("58022.1", "58022")),
        (MT940, b":62F:C260214SAR15985,00", b":62F:C260214SAR15985,10", ("15985.10", "15985.00")),
        (MT940, b":62F:D260215SAR15,00", b":62F:C260215SAR15,00", ("15.00", "-15.00")),
    ],
    ids=["camt", "mt940", "mt940-overdrawn"],
)
def test_a_statement_that_does_not_add_up_is_refused_with_both_figures(live, sent, closing, untrue, figures):
    partner, example, name = sent
    body = (HOME / "mappings/banks" / example).read_bytes()
    assert body.count(closing) == 1
    receipt = file(live, partner, "receive_statement", body.replace(closing, untrue), name)
    assert (receipt.status, receipt.fault.code) == ("refused", "file_totals")
    assert tuple(str(receipt.fault.where[which]) for which in ("expected", "found")) == figures
    assert all(figure in receipt.problems[0][language] for figure in figures for language in ("en", "ar"))
    assert live.incidents() == [("file", "file_totals")] and live.exchanges("receive_statement") == ["dead"]
    assert file(live, partner, "receive_statement", body, name).status == "taken"


def test_a_statement_is_held_to_its_balances_where_it_has_both_and_as_strictly_as_the_partner_says(live):
    body = (HOME / "mappings/banks" / CAMT[1]).read_bytes().replace(b'"SAR">58022.00<', b'"SAR">58022.10<')
    no_opening = body.replace(b"OPBD", b"OPAV")
    assert file(live, CAMT[0], "receive_statement", no_opening, "CAMT053-1.xml").status == "taken"
    partners = live.engine.register.partners
    lax = dataclasses.replace(partners[CAMT[0]], counts="warn")
    live.engine.register.become(live.engine.register.just(*{**partners, lax.id: lax}.values()))
    assert file(live, CAMT[0], "receive_statement", body, "CAMT053-2.xml").status == "taken"


def test_a_crossing_of_a_stranger_is_put_before_a_person_and_answered(live):
    notice = {
        "notice": "RUH-1", "port": "RUH", "crossings": [
            {"kind": "IN", "at": "2026-12-02T01:30:00", "doc": {"number": "Z9999999", "country": "ID"}, "port": "RUH"}
        ],
    }  # fmt: skip
    receipt = live.tell("crossings_ruh", "receive_crossings", json.dumps(notice).encode())
    assert json.loads(receipt.answer) == {"notice": "RUH-1", "status": "unknown"}
    assert live.incidents() == [("suspense", "unknown_id")]


def test_what_a_hospital_tells_finds_the_pilgrim_by_passport(live):
    live.paid()
    document = filing().members[0].document.number
    before = live.states()
    notice = {
        "messageId": "H-1", "facility": "HSP-7", "event": "DISCHARGE", "eventTime": "2026-12-05T03:00:00Z",
        "patient": {"passport": document, "issuer": "ID"},
    }  # fmt: skip
    receipt = live.tell("admissions_makkah", "receive_admission", json.dumps(notice).encode())
    assert json.loads(receipt.answer) == {"messageId": "H-1", "ack": "AA"}
    assert live.states() == before and live.incidents() == []


def test_a_house_that_takes_back_what_it_confirmed_is_put_before_a_person(live):
    told = b"""<OTA_CancelRQ xmlns="http://www.opentravel.org/OTA/2003/05" Version="1.003" EchoToken="C-1"
    CancelType="Commit"><UniqueID Type="14" ID="nobody-knows-this-key"/></OTA_CancelRQ>"""
    receipt = live.tell("ota_ibrahim", "receive_cancellation", told)
    assert b'Status="Unsuccessful"' in receipt.answer
    assert live.incidents() == [("suspense", "unknown_id")]


def test_inventory_is_kept_and_moves_nothing(live):
    told = b"""<OTA_HotelInvCountNotifRQ xmlns="http://www.opentravel.org/OTA/2003/05" Version="1.003" EchoToken="I-1">
    <Inventories HotelCode="MKH-IBR-01"><Inventory><StatusApplicationControl Start="2026-12-01" End="2026-12-05"
    InvTypeCode="DBL"/><InvCounts><InvCount CountType="2" Count="40"/></InvCounts></Inventory></Inventories>
    </OTA_HotelInvCountNotifRQ>"""
    receipt = live.tell("ota_ibrahim", "receive_inventory", told)
    assert (receipt.status, live.incidents()) == ("taken", [])
    assert live.exchanges("receive_inventory") == ["settled"]


def test_a_list_names_a_passenger_without_a_state_and_nobody_falls(live):
    told = (
        "UNB+UNOA:4+RIHLA+UMRAHHUB+261201:0840+L1++APIS'UNH+1+PAXLST:D:05B:UN:IATA'BGM+745'TDT+20+RH881'LOC+87+JED'"
        "DTM+232:2612011805:201'NAD+FL+++ALI'DOC+P:110:111+Q1'NAD+FL+++OMAR'CNT+42:2'UNT+11+1'UNZ+1+L1'"
    )
    receipt = file(live, "lists_rihla", "receive_list", told.encode(), "RH881.edi")
    assert receipt.status == "taken", receipt.problems
    assert live.incidents() == [("suspense", "unknown_id")] * 2


def test_a_refund_that_the_bank_rejects_is_put_before_a_person(live):
    live.paid()
    number, _ = bill(live)
    told = f"""<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>
    <GrpHdr><MsgId>R1</MsgId><CreDtTm>2026-12-02T05:00:00Z</CreDtTm></GrpHdr>
    <OrgnlGrpInfAndSts><OrgnlMsgId>5</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInfAndSts>
    <OrgnlPmtInfAndSts><OrgnlPmtInfId>5</OrgnlPmtInfId><TxInfAndSts><OrgnlEndToEndId>{number}</OrgnlEndToEndId>
    <TxSts>RJCT</TxSts><AcctSvcrRef>RF1</AcctSvcrRef><OrgnlTxRef><Amt><InstdAmt Ccy="SAR">10.00</InstdAmt></Amt>
    </OrgnlTxRef></TxInfAndSts></OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>""".encode()
    assert file(live, "refunds_wadi", "receive_status", told, "PAIN002-refunds_wadi-000001.xml").status == "taken"
    assert live.incidents() == [("suspense", "outcome_unforeseen")]


REPORT = "رقم المعتمر في النظام,الجنسية,رقم الجواز,رقم التأشيرة,حالة المعتمر"


def test_a_standing_that_nobody_knows_rejects_its_row_and_the_others_go_on(live):
    rows = ["9001,IDN,C7654321,6000000001,داخل المملكة", "9002,IDN,C7654322,6000000002,مفقود"]
    receipt = file(live, "report_platform", "receive_report", "\n".join([REPORT, *rows]).encode(), "monday.csv")
    assert (receipt.status, receipt.lines) == ("taken", 1)
    assert sorted(live.incidents()) == [("file", "map_code_unknown"), ("suspense", "unknown_id")]
    # Tuesday's is cumulative: yesterday's rows come again, and nobody is asked twice about them.
    rows.append("9003,IDN,C7654323,6000000003,غادر")
    receipt = file(live, "report_platform", "receive_report", "\n".join([REPORT, *rows]).encode(), "tuesday.csv")
    assert (receipt.status, receipt.lines) == ("taken", 2)
    assert len(live.incidents()) == 3


def test_a_report_of_which_no_row_can_be_read_is_refused(live):
    body = "\n".join([REPORT, "9002,IDN,C7654322,6000000002,مفقود"]).encode()
    assert file(live, "report_platform", "receive_report", body, "monday.csv").status == "refused"
