"""Every way in which a partner can fail, over a real socket, and what the hub may believe afterwards."""

import resource
import time
from collections.abc import Callable

import pytest

from hub.channels import (
    Answered,
    AuthFailed,
    Channel,
    ConfigError,
    OutcomeUnknown,
    Throttled,
    Unavailable,
    open_channel,
)
from hub.chaos.faults import FAULTS, HTML, NOT_ANSWERING, SOAP_FAULT, FaultyPartner, Request
from tests.channels.conftest import out, target

BODY = {
    "rest": b'{"room": 7}',
    "soap": b'<Track xmlns="urn:parcels.example"><Number>1</Number></Track>',
}
REPLY = (
    b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/">'
    b'<e:Body xmlns="urn:parcels.example"/></e:Envelope>'
)

Check = Callable[[object], bool]


def answered(status: int, body: bytes | None = None) -> Check:
    return lambda it: isinstance(it, Answered) and it.status == status and body in (None, it.body)


def unknown(code: str) -> Check:
    return lambda it: isinstance(it, OutcomeUnknown) and it.code == code


OUTCOMES: dict[str | None, Check] = {
    None: answered(200, REPLY),
    "refuse": lambda it: isinstance(it, Unavailable) and it.code == "partner_unreachable",
    "silent_accept": unknown("reply_late"),
    "reset": unknown("reply_broken"),
    "hang_up": unknown("reply_broken"),
    "silent": unknown("reply_late"),
    "late": unknown("reply_late"),
    "drip": unknown("reply_late"),
    "drip_body": unknown("reply_late"),
    "short": unknown("reply_broken"),
    "chunk_cut": unknown("reply_broken"),
    "chunk_end_cut": unknown("reply_broken"),
    "garbage": unknown("reply_broken"),
    "html": answered(200, HTML),
    "wrong_namespace": answered(200, REPLY.replace(b"parcels.example", b"parcels.example:other")),
    "soap_fault": answered(200, SOAP_FAULT),
    "status_429": lambda it: it == Throttled(7.0, why="status 429"),
    "status_503": answered(503),
    "status_401": lambda it: it == AuthFailed("partner_refuses_us", "status 401"),
    "status_403": lambda it: it == AuthFailed("partner_refuses_us", "status 403"),
    "status_500": answered(500),
    "redirect": lambda it: isinstance(it, ConfigError) and it.code == "partner_redirects",
    "redirect_endless": lambda it: isinstance(it, ConfigError) and it.code == "partner_redirects",
    "gzip_bomb": unknown("reply_too_large"),
    "endless": unknown("reply_too_large"),
    "endless_head": unknown("reply_broken"),
    "twice": answered(200, REPLY),
    "another": answered(200, REPLY),
    "drop_idle": answered(200, REPLY),
}


@pytest.mark.parametrize("fault", OUTCOMES, ids=str)
@pytest.mark.parametrize("kind", ["rest", "soap"])
def test_each_fault_has_its_outcome_and_the_next_call_succeeds(kind: str, fault: str | None) -> None:
    channel = open_channel(kind)
    with FaultyPartner(lambda request: REPLY) as partner:
        partner.fault = fault
        slow = fault in ("silent_accept", "silent", "late", "drip", "drip_body")
        result = channel.send(target(partner.url, kind, timeout=0.3 if slow else 10.0), out(BODY[kind]))
        assert OUTCOMES[fault](result), result
        assert len(partner.requests) == (0 if fault in NOT_ANSWERING else 1), "sent once, never again by itself"
        while fault == "drop_idle" and partner.open:
            time.sleep(0.001)  # a request that crosses with the drop is rightly a doubt
        partner.fault = None
        after = channel.send(target(partner.url, kind), out(BODY[kind]))
        assert isinstance(after, Answered) and after.body == REPLY
    channel.close()


def test_every_fault_is_in_the_table() -> None:
    assert set(OUTCOMES) == {None, *FAULTS, *NOT_ANSWERING}


def test_a_bomb_is_not_held_in_memory(rest: Channel, partner: FaultyPartner) -> None:
    partner.fault = "gzip_bomb"  # 300 MB; its making costs memory too, so it is made once before measuring
    rest.send(target(partner.url), out())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rest.send(target(partner.url), out())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (503, {}, Unavailable("partner_not_done", "status 503")),
        (503, {"Retry-After": "12"}, Throttled(12.0, why="status 503")),
        (
            503,
            {"Retry-After": "Wed, 01 Jul 2026 10:00:30 GMT", "Date": "Wed, 01 Jul 2026 10:00:00 GMT"},
            Throttled(30.0, why="status 503"),
        ),
        (429, {}, Throttled(None, why="status 429")),
        (429, {"Retry-After": "soon"}, Throttled(None, why="status 429")),
        (429, {"Retry-After": "Wed, 01 Jul 2026 10:00:30"}, Throttled(None, why="status 429")),
        (
            429,
            {"Retry-After": "Wed, 01 Jul 2026 10:00:00 GMT", "Date": "Wed, 01 Jul 2026 11:00:00 GMT"},
            Throttled(0.0, why="status 429"),
        ),
        (409, {}, Unavailable("partner_not_done", "status 409")),
    ],
)
def test_what_a_manifest_lists_was_not_done(
    rest: Channel, status: int, headers: dict[str, str], outcome: object
) -> None:
    with FaultyPartner(lambda request: (status, headers, b"later")) as partner:
        assert rest.send(target(partner.url, not_done=frozenset({503, 409})), out()) == outcome


def test_a_deadline_that_has_passed_sends_nothing(rest: Channel, partner: FaultyPartner) -> None:
    result = rest.send(target(partner.url), out(within=-1))
    assert isinstance(result, Unavailable) and result.code == "deadline_passed"
    assert partner.connections == 0


def test_the_earlier_of_timeout_and_deadline_ends_a_call(rest: Channel) -> None:
    with FaultyPartner() as partner:
        partner.fault = "drip"
        for given in ({"timeout": 0.3, "within": 60.0}, {"timeout": 60.0, "within": 0.3}):
            result = rest.send(target(partner.url, timeout=given["timeout"]), out(within=given["within"]))
            # Left alone it would drip a whole and right answer.
            assert isinstance(result, OutcomeUnknown) and result.code == "reply_late"


def test_the_time_spent_is_the_partners_own(rest: Channel) -> None:
    with FaultyPartner() as partner:
        partner.fault, partner.delay = "late", 0.2
        slow = rest.send(target(partner.url), out())
    assert isinstance(slow, Answered) and slow.spent >= 0.2


def test_a_host_without_an_address_is_unavailable(rest: Channel) -> None:
    result = rest.send(target("https://nowhere.invalid"), out())
    assert isinstance(result, Unavailable) and result.code == "partner_name_unknown"


def test_no_failure_quotes_what_was_sent_or_answered() -> None:
    canary = b"K7654321"

    def answer(request: Request) -> bytes:
        return b"<x>" + canary

    for kind in ("rest", "soap"):
        channel = open_channel(kind)
        with FaultyPartner(answer) as partner:
            for fault in [*FAULTS, *NOT_ANSWERING]:
                partner.fault = fault
                body = BODY[kind].replace(b"7" if kind == "rest" else b"1", b'"K7654321"' if kind == "rest" else canary)
                result = channel.send(target(partner.url, kind, timeout=0.3), out(body))
                assert canary.decode() not in repr(result)
        channel.close()
