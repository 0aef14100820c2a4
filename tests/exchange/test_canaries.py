"""Personal values are planted and then looked for in everything the hub wrote for itself."""

import base64
import json

from tests.exchange.exchanging import MINISTRY, MISSION, filing

PLANTED = ("CANARIUS", "KENARIZADE", "Z9X8W7V", "canary@invented.example", "+628009998887")


def spellings(value: str) -> list[bytes]:
    raw = value.encode()
    inner = base64.b64encode(raw)[: len(raw) // 3 * 4]
    return [
        raw,
        raw.hex().encode(),
        inner,
        value.encode("utf-16-le"),
        value.encode("utf-16-be"),
        value.lower().encode(),
    ]


def test_nothing_that_identifies_somebody_stands_in_the_store_the_log_or_an_answer_to_an_operator(
    make, ministry, logged
):
    hub = make(MOFA_URL=ministry.url)
    given = filing()
    first = given.members[0]
    first.person.name.given, first.person.name.family, first.document.number = PLANTED[:3]
    first.person.email, first.person.mobile = PLANTED[3:]
    first.document.mrz = None
    for member in given.members:
        member.companion = None
    requests = [r["id"] for r in hub.open(given).body["requests"]]
    for request in requests:
        hub.decide(request, "accept")
    hub.pay()
    hub.drain(MINISTRY)
    hub.drain(MISSION)
    hub.tell(MISSION, "receive_outcome", f"<broken>{PLANTED[1]}".encode(), name="o")
    assert hub.states() == ["AT_MISSION"] * 2, "the values did go through it"
    hub.engine.database.unit(lambda tx: tx._connection.execute("SELECT 1"))
    written = b"".join(p.read_bytes() for p in hub.settings.var.rglob("*") if p.is_file())
    told = json.dumps([hub.engine.reading.now(), hub.engine.reading.incidents(), str(logged)], default=str).encode()
    assert b"G-1001" in written, "the look does find what is there"
    for value in PLANTED:
        for spelling in spellings(value):
            assert spelling not in written and spelling not in told, value
