"""What a person has done again: told before it is done, under the same keys, and never twice what is done."""

import json
import os
from uuid import UUID

import pytest

from hub.canonical.errors import HubError
from hub.chaos.faults import FaultyPartner
from hub.exchange import control, delivery, mood
from hub.exchange.replay import UNSAFE
from hub.mapping import MapError
from hub.store.interventions import Filter
from tests.exchange.exchanging import BANK, MINISTRY, POST
from tests.exchange.test_adversity import says
from tests.exchange.test_files import drop, movement, movement_file, printed

__all__ = ["printed"]
WHY = "the line is back, agreed with their desk"


def found(hub, operation: str) -> UUID:
    """The last exchange of *operation*."""
    ((id_,),) = hub.rows("SELECT id FROM exchange WHERE operation = ? ORDER BY id DESC LIMIT 1", operation)
    return UUID(hex=id_)


def verdicts(hub, *ids: UUID, **given) -> list[str]:
    return [step.verdict for step in hub.engine.replay.preview(Filter(ids=ids, **given))]


def replayed(hub, *ids: UUID, **more) -> list[str]:
    return [step.verdict for step in hub.engine.replay.run(Filter(ids=ids), "ali", WHY, **more) if step.done]


def done_about(hub):
    return hub.rows("SELECT person, action, reason, was FROM intervention ORDER BY id")


def never(hub, *, enquiry: bool):
    """The Ministry as one that does a second time what it is told a second time."""
    operation = hub.engine.register.partners[MINISTRY].operations["request_reference"]
    object.__setattr__(operation, "repeat", "never")
    if not enquiry:
        object.__setattr__(operation, "enquiry", None)


def broken_answers(hub, monkeypatch):
    """What settles an answer breaks us, once: the exchange is parked for an engineer, and the Ministry has done it."""
    settle = hub.engine.dispatcher._delivery.settle
    monkeypatch.setattr(hub.engine.dispatcher._delivery, "settle", lambda *_: 1 / 0)
    hub.drain()
    monkeypatch.setattr(hub.engine.dispatcher._delivery, "settle", settle)
    assert hub.exchanges("request_reference") == ["parked"]


@pytest.fixture
def dead(make, ministry):
    """Nobody could be reached for three days, and then everybody can."""
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        hub.paid()
        line.fault, line.effect = "refuse", False
        now = hub.engine.dispatcher._now
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        hub.later(delivery.GIVE_UP + 60)
        hub.drain()
        assert hub.exchanges("request_reference") == ["dead"]
        hub.engine.dispatcher._now = now
        line.fault, line.effect = None, True
        yield hub


def test_a_preview_changes_nothing_and_a_replay_sends_the_frozen_bytes_under_the_same_keys(dead, ministry):
    id_ = found(dead, "request_reference")
    asked = "SELECT id, key, state FROM exchange_subject WHERE operation = 'request_reference' ORDER BY id"
    before = dead.rows(asked)
    ((sealed,),) = dead.rows("SELECT sealed FROM payload WHERE exchange_id = ?", id_.hex)
    assert verdicts(dead, id_) == verdicts(dead, partner=MINISTRY) == ["again"]
    assert dead.rows(asked) == before and not ministry.asked
    assert replayed(dead, id_) == ["again"]
    assert dead.exchanges("request_reference") == ["waiting"] and dead.incidents() == []
    dead.drain()
    assert dead.states() == ["REFERENCE_ISSUED"] * 2
    assert sorted(ministry.references) == sorted(key for _, key, _ in before)
    kept = dead.rows("SELECT sealed FROM payload WHERE exchange_id = ? AND kind = 'request'", id_.hex)
    assert kept == [(sealed,)]
    assert done_about(dead) == [("ali", "replay", WHY, "dead")]
    assert dead.rows("SELECT actor, action, entity FROM audit WHERE action LIKE 'exchange.%'") == [
        ("ali", "exchange.replay", id_.hex)
    ]
    assert verdicts(dead, id_) == ["done"] and replayed(dead, id_) == []
    assert len(ministry.asked) == 1


def test_what_is_tried_again_has_its_whole_time_again(make, monkeypatch):
    monkeypatch.setattr(mood, "REST", (0.0, 0.0))
    with FaultyPartner(upstream="http://127.0.0.1:1") as line:
        hub = make(MOFA_URL=line.url)
        hub.paid()
        line.fault = "refuse"
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        hub.later(delivery.GIVE_UP + 60)
        hub.drain(seconds=0.3)
        assert hub.exchanges("request_reference") == ["dead"]
        hub.engine.replay._now = hub.engine.dispatcher._now
        replayed(hub, found(hub, "request_reference"))
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        assert hub.exchanges("request_reference") == ["waiting"]


def test_what_a_later_attempt_took_over_is_done_and_what_no_case_wants_is_left(dead):
    id_ = found(dead, "request_reference")
    first, second = (r[0] for r in dead.rows("SELECT id FROM request ORDER BY member"))
    dead.decide(str(UUID(hex=first)), "cancel", by="agent_idn_1")
    assert verdicts(dead, id_) == [UNSAFE], "the frozen bytes ask for both, and one has cancelled"
    assert replayed(dead, id_) == []
    dead.decide(str(UUID(hex=second)), "cancel", by="agent_idn_1")
    assert verdicts(dead, id_) == ["unwanted"] and replayed(dead, id_, unsafe=True) == []
    dead.engine.replay.withdraw(id_, "ali", WHY)
    assert dead.exchanges("request_reference") == ["settled"] and dead.incidents() == []


def test_a_newer_attempt_makes_the_dead_one_done(dead, ministry):
    id_ = found(dead, "request_reference")
    with dead.engine.database.reading() as tx:
        rows = dead.engine._ledger.subjects_of(tx, id_)
    for row in rows:
        dead.engine.database.unit(
            lambda tx, row=row: dead.engine._ledger.add_subject(
                tx, dead.engine.now(), partner=MINISTRY, operation="request_reference", kind="request",
                subject_id=row["subject_id"], group_id=UUID(hex=row["group_id"]), lane=row["lane"],
                key=row["key"][::-1], urgency=1, not_before=0,
            )
        )  # fmt: skip
    dead.drain()
    assert verdicts(dead, id_) == ["done"] and replayed(dead, id_) == []
    assert len(ministry.references) == 2


def test_what_may_have_been_done_is_asked_first(make, ministry, monkeypatch):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    broken_answers(hub, monkeypatch)
    id_ = found(hub, "request_reference")
    assert verdicts(hub, id_) == ["enquire"]
    assert replayed(hub, id_) == ["enquire"]
    assert verdicts(hub, id_) == ["under_way"]
    hub.drain()
    assert [name for name, _ in ministry.asked] == ["SubmitApplications", "EnquireApplication", "EnquireApplication"]
    assert hub.states() == ["REFERENCE_ISSUED"] * 2 and hub.exchanges("request_reference") == ["settled"]


@pytest.mark.parametrize("unsafe", [False, True])
def test_what_must_never_be_repeated_is_asked_about_even_where_a_person_would_repeat_it(
    make, ministry, monkeypatch, unsafe
):
    hub = make(MOFA_URL=ministry.url)
    never(hub, enquiry=True)
    hub.paid()
    broken_answers(hub, monkeypatch)
    assert replayed(hub, found(hub, "request_reference"), unsafe=unsafe) == ["enquire"]
    hub.drain()
    assert [name for name, _ in ministry.asked].count("SubmitApplications") == 1
    assert hub.states() == ["REFERENCE_ISSUED"] * 2


def test_what_the_partner_does_not_know_goes_again_singly_on_a_persons_word(make, ministry):
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        never(hub, enquiry=True)
        hub.paid()
        line.fault, line.effect = "reset", False
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        line.fault, line.effect = None, True
        hub.drain()
        assert hub.exchanges("request_reference") == ["parked"], "asked, and not known"
        id_ = found(hub, "request_reference")
        assert verdicts(hub, id_) == ["unsafe"] and replayed(hub, id_) == []
        with pytest.raises(HubError) as many:
            hub.engine.replay.run(Filter(partner=MINISTRY), "ali", WHY, unsafe=True)
        assert many.value.code == "replay_unsafe"
        assert replayed(hub, id_, unsafe=True) == ["unsafe"]
        hub.drain()
        assert hub.states() == ["REFERENCE_ISSUED"] * 2
        assert [name for name, _ in ministry.asked].count("SubmitApplications") == 1


def test_what_is_sent_again_on_a_persons_word_must_be_asked_about_again(make, ministry, monkeypatch):
    """The partner's "not known" was of the time before it was sent once more."""
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        never(hub, enquiry=True)
        hub.paid()
        line.fault, line.effect = "reset", False
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        line.fault, line.effect = None, True
        hub.drain()
        id_ = found(hub, "request_reference")
        replayed(hub, id_, unsafe=True)
        broken_answers(hub, monkeypatch)
        assert verdicts(hub, id_) == ["enquire"]


def test_without_an_enquiry_what_must_never_be_repeated_waits_for_a_persons_word(make, ministry, monkeypatch):
    hub = make(MOFA_URL=ministry.url)
    never(hub, enquiry=False)
    hub.paid()
    broken_answers(hub, monkeypatch)
    assert verdicts(hub, partner=MINISTRY) == ["unsafe"] and replayed(hub, found(hub, "request_reference")) == []
    hub.drain()
    assert len(ministry.asked) == 1


def test_what_is_held_goes_at_once_when_the_setting_is_mended(make, ministry):
    hub = make()
    hub.engine.settings.addresses.pop("MOFA_URL")
    hub.paid()
    hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    assert hub.exchanges("request_reference") == ["held"]
    hub.engine.settings.addresses["MOFA_URL"] = ministry.url
    hub.engine.register.partners[MINISTRY]._targets.clear()
    assert replayed(hub, found(hub, "request_reference")) == ["again"]
    hub.drain()
    assert hub.states() == ["REFERENCE_ISSUED"] * 2


def test_a_line_that_could_not_be_written_is_written_anew_under_its_key(make, ministry, monkeypatch):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    map_ = hub.engine.register.map("mofa/visa_reference", "request_reference", "request")
    real = map_.write

    def write(message):
        if any(a.given_name == "SITI" for a in message.applications):
            raise MapError("encoding_cannot_hold", path="m", line=1, place="p", field="family_name", text="x")
        return real(message)

    monkeypatch.setattr(map_, "write", write)
    hub.drain()
    (line,) = hub.engine.replay.preview(Filter(partner=MINISTRY))
    assert (line.verdict, line.code, line.found.unsent) == ("broken", "encoding_cannot_hold", True)
    monkeypatch.setattr(map_, "write", real)
    assert replayed(hub, line.found.id) == ["again"] and hub.incidents() == []
    hub.drain()
    assert hub.states() == ["REFERENCE_ISSUED"] * 2
    assert {key for (key,) in hub.rows("SELECT key FROM exchange_subject WHERE partner = ?", MINISTRY)} == set(
        ministry.references
    )


def test_nothing_is_done_without_a_reason_a_filter_or_beyond_the_cap(dead):
    id_ = found(dead, "request_reference")
    for reason, code in (
        (None, "reason_missing"), ("why", "reason_missing"), ("ring +966 50 123 4567 first", "reason_personal"),
        ("her passport C7654321 came", "reason_personal"), ("mail siti@example.org", "reason_personal"),
    ):  # fmt: skip
        with pytest.raises(HubError) as wrong:
            dead.engine.replay.run(Filter(ids=(id_,)), "ali", reason)
        assert wrong.value.code == code
    for wanted, most, code in (
        (Filter(), 100, "replay_unfiltered"), (Filter(ids=(UUID(int=1),)), 100, "exchange_unknown"),
        (Filter(partner=MINISTRY), 0, "replay_too_many"),
    ):  # fmt: skip
        with pytest.raises(HubError) as wrong:
            dead.engine.replay.run(wanted, "ali", WHY, most=most)
        assert wrong.value.code == code
    assert dead.exchanges("request_reference") == ["dead"] and done_about(dead) == []


def test_a_filter_means_what_it_says(dead):
    for meant in (
        {"partner": MINISTRY}, {"operation": "request_reference"}, {"state": "dead"}, {"owner": "operator"},
        {"code": dead.rows("SELECT code FROM exchange WHERE state = 'dead'")[0][0]}, {"since": 0},
        {"until": 2**60, "partner": MINISTRY},
    ):  # fmt: skip
        assert verdicts(dead, **meant) == ["again"], meant
    for not_meant in ({"partner": BANK}, {"state": "parked"}, {"until": 1}, {"since": 2**60}, {"code": "internal"}):
        assert verdicts(dead, **not_meant) == [], not_meant


def test_the_change_and_its_record_are_one_commit(dead, monkeypatch):
    def fails(*_args, **_more):
        raise RuntimeError

    monkeypatch.setattr(dead.engine.replay._interventions, "note", fails)
    with pytest.raises(RuntimeError):
        replayed(dead, found(dead, "request_reference"))
    assert dead.exchanges("request_reference") == ["dead"]


# -- what came in ------------------------------------------------------------------------------------------------------


@pytest.fixture
def refused(hub, tmp_path, monkeypatch):
    """A file of movements that a map of ours could not read, and the map mended."""
    map_ = hub.engine.register.map("border/movements", "receive_movements", "request")
    lines = (movement("IN", f"600000000{n}", "20270201013000", document=f"X000000{n}") for n in range(5))

    def unreadable(*_args, **_more):
        raise HubError("map_unknown")

    monkeypatch.setattr(map_, "open_rows", unreadable)
    drop(tmp_path / "files" / POST / "from_partner", f"MOVE-{POST}-000001.txt", movement_file(*lines), 1)
    hub.engine.collect(hub.engine.register.partners[POST])
    assert hub.incidents() == [("file", "map_unknown")]
    hub.mend = lambda: monkeypatch.undo()
    return hub


def test_a_file_that_our_map_refused_is_read_again_from_its_kept_bytes(refused):
    id_ = found(refused, "receive_movements")
    (step,) = refused.engine.replay.run(Filter(ids=(id_,)), "ali", WHY)
    assert (step.verdict, step.code, step.done) == ("broken", "map_unknown", False), "refused again: nothing changed"
    assert done_about(refused) == []
    refused.mend()
    assert verdicts(refused, id_) == ["read"]
    (step,) = refused.engine.replay.run(Filter(ids=(id_,)), "ali", WHY)
    assert step.done and step.became == found(refused, "receive_movements") != id_
    assert refused.incidents() == [("suspense", "unknown_id")] * 5, "each line, and no longer the file"
    assert verdicts(refused, id_) == ["done"] and replayed(refused, id_) == []


def test_a_file_that_a_dying_process_had_half_read_again_is_gone_on_with(refused, monkeypatch):
    refused.mend()
    monkeypatch.setattr("hub.exchange.receive.CHUNK", 2)
    receiver, calls = refused.engine.exchange._receiver, []
    taken = receiver._take

    def dies(*args):
        calls.append(1)
        if len(calls) == 2:
            raise MemoryError
        return taken(*args)

    monkeypatch.setattr(receiver, "_take", dies)
    with pytest.raises(MemoryError):
        replayed(refused, found(refused, "receive_movements"))
    refused.restart()
    refused.engine.start()
    assert refused.incidents() == [("suspense", "unknown_id")] * 5
    assert refused.exchanges("receive_movements") == ["dead", "settled"]


def test_what_the_partner_alone_can_mend_is_not_read_again(hub, tmp_path):
    """Beside the file stood another sum: to read it without would be to pass it by."""
    body = movement_file(movement("IN", "6000000001", "20270201013000"))
    drop(tmp_path / "files" / POST / "from_partner", f"MOVE-{POST}-000001.txt", body, 1, count=2)
    hub.engine.collect(hub.engine.register.partners[POST])
    id_ = found(hub, "receive_movements")
    assert verdicts(hub, id_) == ["theirs"] and replayed(hub, id_) == []
    hub.engine.replay.withdraw(id_, "ali", "they have sent it under the next number")
    assert hub.incidents() == []
    assert hub.rows("SELECT state FROM exchange") == [("dead",)], "refused bytes are never taken for known ones"


def test_a_message_that_our_map_refused_is_read_again(make, monkeypatch):
    hub = make()
    for request in hub.open().body["requests"]:
        hub.decide(request["id"], "accept")
    map_ = hub.engine.register.map("banks/payments", "payment_notice", "request")

    def unreadable(*_args, **_more):
        raise HubError("map_unknown")

    monkeypatch.setattr(map_, "read", unreadable)
    assert hub.pay().status == "refused"
    monkeypatch.undo()
    assert replayed(hub, found(hub, "payment_notice")) == ["read"]
    assert set(hub.states()) == {"SENT_FOR_REFERENCE"}


# -- other decisions ---------------------------------------------------------------------------------------------------


@pytest.fixture
def parked(make):
    """The Ministry was at it for three days and more."""
    with FaultyPartner(says("PENDING")) as partner:
        hub = make(MOFA_URL=partner.url)
        hub.paid()
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        now = hub.engine.dispatcher._now
        hub.later(delivery.GIVE_UP + 60)
        hub.drain()
        hub.engine.dispatcher._now = now
        assert hub.exchanges("request_reference") == ["parked"]
        yield hub


def test_what_the_partner_told_us_outside_settles_it_as_its_answer_would(parked):
    id_ = found(parked, "request_reference")
    settle = parked.engine.replay.settle
    with pytest.raises(HubError) as several:
        settle(id_, "issued", "ali", WHY, {"reference_no": "7000000001"})
    assert several.value.code == "decision_unfit", "one number is not for two"
    for outcome, code in (("approved", "outcome_impossible"), ("issued", "outcome_impossible")):
        with pytest.raises(HubError) as wrong:
            settle(id_, outcome, "ali", WHY)
        assert wrong.value.code == code
    assert parked.exchanges("request_reference") == ["parked"]
    settle(id_, "refused", "ali", WHY)
    assert parked.states() == ["REFERENCE_REFUSED"] * 2 and parked.exchanges("request_reference") == ["settled"]
    assert done_about(parked) == [("ali", "settle", WHY, "parked")]
    with pytest.raises(HubError) as over:
        settle(id_, "refused", "ali", WHY)
    assert over.value.code == "decision_unfit"


def test_a_number_that_the_partner_told_us_goes_where_its_answer_would_have_put_it(parked):
    id_, (first, _) = found(parked, "request_reference"), parked.rows("SELECT id FROM request ORDER BY member")
    with parked.engine.database.reading() as tx:
        row = next(r for r in parked.engine._ledger.subjects_of(tx, id_) if r["subject_id"] != first[0])
    parked.engine.database.unit(
        lambda tx: parked.engine._ledger.settle_subject(tx, parked.engine.now(), row, "done", "refused")
    )
    parked.engine.replay.settle(id_, "issued", "ali", WHY, {"reference_no": "7000000001"})
    timeline = parked.engine.reading.timeline(UUID(hex=first[0]))
    assert (timeline["state"], timeline["reference_no"]) == ("REFERENCE_ISSUED", "7000000001")
    assert "7000000001" not in json.dumps(parked.rows("SELECT * FROM intervention"), default=str)


def test_an_exchange_that_is_withdrawn_rests_and_frees_its_lane(parked):
    id_ = found(parked, "request_reference")
    parked.engine.replay.withdraw(id_, "ali", WHY)
    assert parked.exchanges("request_reference") == ["settled"]
    assert parked.rows(
        "SELECT DISTINCT state FROM exchange_subject WHERE enquires IS NULL AND partner = ?", MINISTRY
    ) == [("withdrawn",)]
    assert parked.states() == ["SENT_FOR_REFERENCE"] * 2
    assert verdicts(parked, id_) == ["done"]


def test_a_file_that_was_taken_all_the_same_is_settled_as_delivered(printed):
    id_ = found(printed, "send_print_list")
    printed.engine.database.unit(
        lambda tx: printed.engine._ledger.move(
            tx, printed.engine.now(), printed.engine._ledger.get(tx, id_), "held", code="folder_missing",
            owner="operator",
        )
    )  # fmt: skip
    for outcome in ("printed", "refused"):
        with pytest.raises(HubError) as wrong:
            printed.engine.replay.settle(id_, outcome, "ali", WHY)
        assert wrong.value.code == "outcome_impossible"
    printed.engine.replay.settle(id_, "delivered", "ali", WHY)
    assert printed.exchanges("send_print_list") == ["settled"] and printed.states() == ["AT_MISSION"] * 2


def test_an_incident_is_resolved_once_by_whoever_says_why(hub):
    hub.pay(bill="1234567890123")
    ((id_, code),) = hub.rows("SELECT id, code FROM incident")
    hub.engine.replay.resolve(UUID(hex=id_), "ali", "booked to the account of the office")
    assert hub.incidents() == [] and code == "payment_unknown_bill"
    assert done_about(hub) == [("ali", "resolve", "booked to the account of the office", "suspense")]
    with pytest.raises(HubError) as again:
        hub.engine.replay.resolve(UUID(hex=id_), "ali", "booked to the account of the office")
    assert again.value.code == "incident_unknown"


# -- beside a hub at work ----------------------------------------------------------------------------------------------


def test_a_hub_at_work_is_asked_through_its_socket(dead, ministry):
    dead.engine.start()
    id_ = found(dead, "request_reference")
    asked = {"do": "replay", "filter": {"ids": [id_.hex]}, "most": 10, "reason": WHY, "unsafe": False}
    told = control.ask(dead.settings, "replay", {**asked, "dry_run": True})
    assert told["counts"] == {"again": 1} and not told["exchanges"][0]["done"]
    told = control.ask(dead.settings, "replay", {**asked, "dry_run": False})
    assert told["exchanges"][0]["done"]
    ((who,),) = dead.rows("SELECT person FROM intervention")
    assert who == control.name_of(os.getuid())
    with pytest.raises(HubError) as wrong:
        control.ask(dead.settings, "replay", {"do": "resolve", "id": id_.hex, "reason": WHY})
    assert wrong.value.code == "incident_unknown"
    with pytest.raises(HubError) as wrong:
        control.ask(dead.settings, "replay", {"do": "dance"})
    assert wrong.value.code == "bad_request"


def test_what_is_told_of_an_exchange_names_nobody(dead):
    told = json.dumps([step.told() for step in dead.engine.replay.preview(Filter(partner=MINISTRY))])
    for (number,) in dead.rows("SELECT request_no FROM request"):
        assert number not in told
    assert "SITI" not in told
