"""What becomes of an exchange: answered, in part, not at all, by somebody else's answer, or cut off by a crash.

Effects are counted in the stranger's own book: one application, one reference.
"""

import pytest

from hub.canonical.errors import catalogue
from hub.chaos.faults import FaultyPartner
from tests.exchange.exchanging import MINISTRY

pytestmark = pytest.mark.both_stores


def one_reference_each(ministry, hub):
    assert len(ministry.references) == 2
    keys = {row[0] for row in hub.rows("SELECT key FROM exchange_subject WHERE operation = 'request_reference'")}
    assert set(ministry.references) == keys, "the key is kept through every sending"


def test_one_batch_answered_in_another_order_is_paired_by_key(make, ministry):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    hub.drain()
    assert [name for name, _ in ministry.asked] == ["SubmitApplications"]
    assert hub.states() == ["REFERENCE_ISSUED"] * 2
    assert hub.exchanges("request_reference") == ["settled"]
    one_reference_each(ministry, hub)


def test_what_an_answer_omits_is_asked_for_singly(make, ministry):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    ((key,),) = hub.rows("SELECT key FROM exchange_subject WHERE operation = 'request_reference' LIMIT 1")
    ministry.withheld.add(key)
    hub.drain()
    assert [(name, len(ids)) for name, ids in ministry.asked] == [("SubmitApplications", 2), ("EnquireApplication", 1)]
    assert hub.states() == ["REFERENCE_ISSUED"] * 2
    assert hub.exchanges("request_reference") == ["settled"]
    one_reference_each(ministry, hub)


# After the effect: the answer does not come, or cannot be understood.  Ask, and never send again blindly.
UNKNOWN = ("html", "garbage", "wrong_namespace", "soap_fault", "short", "reset", "hang_up", "chunk_cut", "gzip_bomb")


@pytest.mark.parametrize("fault", UNKNOWN)
def test_an_unknown_outcome_is_enquired_never_repeated(make, ministry, fault):
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        hub.paid()
        line.fault = fault
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        assert hub.exchanges("request_reference") == ["in_doubt"]
        ((code,),) = hub.rows("SELECT code FROM exchange WHERE operation = 'request_reference'")
        assert (code == "reply_html") == (fault == "html") and catalogue()[code].ar
        line.fault = None
        hub.drain()
    assert [name for name, _ in ministry.asked].count("SubmitApplications") == 1
    assert hub.states() == ["REFERENCE_ISSUED"] * 2
    one_reference_each(ministry, hub)


def test_what_an_enquiry_settles_is_audited_as_settled_by_it(make, ministry):
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        hub.paid()
        line.fault = "reset"
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        ((doubted,),) = hub.rows("SELECT id FROM exchange WHERE operation = 'request_reference'")
        about = "SELECT actor, action FROM audit WHERE exchange_id = ?"
        assert hub.rows(about, doubted) == []
        line.fault = None
        hub.drain()
    assert hub.rows(about, doubted) == [(MINISTRY, "enquire_reference")] * 2, "each of the two was asked about"
    asked = {row[0] for row in hub.rows("SELECT id FROM exchange WHERE operation = 'enquire_reference'")}
    audited = {row[0] for row in hub.rows("SELECT exchange_id FROM audit WHERE action = 'enquire_reference'")}
    assert audited == asked | {doubted}


def test_what_the_partner_never_knew_is_sent_again_under_the_same_key(make, ministry):
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        hub.paid()
        before = hub.rows("SELECT id, key FROM exchange_subject WHERE operation = 'request_reference' ORDER BY id")
        line.fault, line.effect = "reset", False
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        line.fault, line.effect = None, True
        hub.drain()
    names = [name for name, _ in ministry.asked]
    assert names.count("EnquireApplication") == 2 and names.count("SubmitApplications") >= 1
    assert hub.rows("SELECT id, key FROM exchange_subject WHERE operation = 'request_reference' ORDER BY id") == before
    assert hub.states() == ["REFERENCE_ISSUED"] * 2
    one_reference_each(ministry, hub)


@pytest.mark.parametrize("fault", ["refuse", "status_503", "status_429"])
def test_what_was_provably_not_done_is_simply_sent_again(make, ministry, fault):
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        hub.paid()
        line.fault, line.effect = fault, False
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        assert hub.exchanges("request_reference") == ["waiting"]
        line.fault, line.effect = None, True
        hub.later(10)  # longer than any Retry-After
        hub.drain()
    assert [name for name, _ in ministry.asked] == ["SubmitApplications"]
    assert hub.states() == ["REFERENCE_ISSUED"] * 2


def test_an_answer_to_somebody_else_settles_nobody(make, ministry):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    real = ministry.answer

    def others(data, action):
        status, body = real(data, action)
        for key in ministry.references:
            body = body.replace(key.encode(), key[::-1].encode())
        return status, body

    ministry.answer = others
    hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    assert hub.exchanges("request_reference") == ["in_doubt"]
    assert hub.states() == ["SENT_FOR_REFERENCE"] * 2
    ministry.answer = real
    hub.drain()
    assert hub.states() == ["REFERENCE_ISSUED"] * 2
    one_reference_each(ministry, hub)


def test_a_process_that_dies_before_sending_sends_later(make, ministry):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    hub.claim()
    assert hub.exchanges("request_reference") == ["sending"], "committed before the first byte"
    hub.restart()
    assert hub.exchanges("request_reference") == ["in_doubt"]
    hub.drain()
    assert [name for name, _ in ministry.asked].count("EnquireApplication") == 2
    assert ministry.asked[0][0] == "EnquireApplication", "asked before anything is sent"
    assert hub.states() == ["REFERENCE_ISSUED"] * 2
    one_reference_each(ministry, hub)


def test_a_process_that_dies_after_the_effect_does_nothing_twice(make, ministry):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    hub.engine.dispatcher._send(hub.claim())
    assert len(ministry.references) == 2
    hub.restart()
    hub.drain()
    assert [name for name, _ in ministry.asked].count("SubmitApplications") == 1
    assert hub.states() == ["REFERENCE_ISSUED"] * 2
    one_reference_each(ministry, hub)


def test_a_missing_address_holds_the_exchange_for_an_engineer(make):
    hub = make()
    hub.settings.addresses.pop("MOFA_URL")
    hub.paid()
    hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    assert hub.rows("SELECT state, owner FROM exchange WHERE operation = 'request_reference'") == [("held", "operator")]


def test_a_request_cancelled_before_it_left_is_withdrawn(make, ministry):
    hub = make(MOFA_URL=ministry.url)
    first, _ = hub.paid()
    hub.decide(first, "cancel", by="agent_idn_1")
    hub.drain()
    ((_, ids),) = [a for a in ministry.asked if a[0] == "SubmitApplications"]
    assert len(ids) == 1
    assert sorted(r[0] for r in hub.rows("SELECT state FROM exchange_subject WHERE operation='request_reference'")) == [
        "done",
        "withdrawn",
    ]


def test_an_answer_that_breaks_us_is_parked_for_an_engineer_and_the_others_go_on(make, ministry, monkeypatch):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()

    def breaks(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(hub.engine.dispatcher._delivery, "_answered", breaks)
    hub.drain()
    assert hub.rows("SELECT state, owner FROM exchange WHERE operation = 'request_reference'") == [
        ("parked", "engineer")
    ]
    assert hub.incidents() == [("exchange", "internal")]
    assert hub.states() == ["SENT_FOR_REFERENCE"] * 2


def test_a_case_that_cannot_be_told_stops_nobody_behind_it(make, ministry, monkeypatch):
    from hub.canonical.messages.mofa import Application

    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    real, calls = Application.project.__func__, []

    def first_breaks(cls, case, subject):
        calls.append(1)
        if len(calls) == 1:
            raise AttributeError("a fault of ours")
        return real(cls, case, subject)

    monkeypatch.setattr(Application, "project", classmethod(first_breaks))
    hub.drain()
    assert sorted(hub.states()) == ["REFERENCE_ISSUED", "SENT_FOR_REFERENCE"]
    assert hub.incidents() == [("exchange", "internal")]


def test_a_name_that_the_partner_cannot_hold_goes_to_a_person_and_the_others_go_on(make, ministry, monkeypatch):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    map_ = hub.engine.register.map("mofa/visa_reference", "request_reference", "request")
    real = map_.write

    def write(message):
        from hub.mapping import MapError

        if any(a.given_name == "SITI" for a in message.applications):
            raise MapError("encoding_cannot_hold", path="m", line=1, place="p", field="family_name", text="x")
        return real(message)

    monkeypatch.setattr(map_, "write", write)
    hub.drain()
    assert sorted(hub.states()) == ["REFERENCE_ISSUED", "SENT_FOR_REFERENCE"]
    assert hub.incidents() == [("exchange", "encoding_cannot_hold")]


def test_a_keyed_sending_that_nobody_ever_answers_is_left_to_a_person(make):
    with FaultyPartner(lambda _: b"<html>") as line:
        hub = make(BANKS_URL=line.url)
        for request in hub.open().body["requests"]:
            hub.decide(request["id"], "accept")
        bank = hub.engine.register.partners["bank_haramayn"]
        hub.engine.dispatcher.drain(bank)
        assert hub.exchanges("send_bill") == ["waiting"]
        hub.later(73 * 3600)
        hub.engine.dispatcher.drain(bank)
    assert hub.rows("SELECT state, owner, code FROM exchange WHERE operation = 'send_bill'") == [
        ("parked", "operator", "reply_html")
    ]
