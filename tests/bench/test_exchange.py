"""The measurements of the engine count right and do the work that they say they do.  No figure is judged."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lxml import etree
from sqlalchemy import select

from hub.bench import cases, engine, exchange, isolation, load, peers
from hub.bench.door import Door, ministry
from hub.bench.figure import Figure, missing
from hub.bench.place import ASKS, MINISTRY, Place, one_a_call
from hub.bench.postgres import Server
from hub.bench.process import Child, Died
from hub.bench.sink import Sink
from hub.cli import hub
from hub.store import tables

HOME = Path(__file__).parents[2]
ADAPTER = HOME / "adapters" / "mofa" / "visa_reference"
EXAMPLES = HOME / "mappings" / "mofa" / "visa_reference"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HUB_HOME", str(HOME))
    monkeypatch.setenv("HUB_VAR", str(tmp_path / "var"))


@contextlib.contextmanager
def answering(reply: Any) -> Iterator[int]:
    """A server on loopback that answers each POST with what *reply* makes of its JSON: (status, body)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, told = reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in getattr(reply, "headers", {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(path: Path, port: int, count: int, **plan: Any) -> dict[str, Any]:
    """Load on a server that is told numbers from 0 to *count*."""
    load.pack(path, (load.post("/", json.dumps({"n": n}).encode()) for n in range(count)))
    return load.run(
        load.Plan(
            ports=(port,), requests=str(path), **{"expect": "reference", "seconds": 5.0, "connections": 4, **plan}
        )
    )


# -- the ministry's stand-in -----------------------------------------------------------------------------------------


def body_of(answer: bytes) -> Any:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and f"Content-Length: {len(body)}".encode() in head
    (inside,) = etree.fromstring(body).find("{http://schemas.xmlsoap.org/soap/envelope/}Body")
    schema = etree.XMLSchema(etree.parse(str(ADAPTER / "visa_reference.xsd")))
    schema.assertValid(etree.ElementTree(inside))
    return inside


def test_the_sink_answers_by_the_contract_and_honours_keys():
    sink = Sink("2026-12-01T09:00:00Z")
    asked = (EXAMPLES / ASKS / "examples" / "request-family.xml").read_bytes()
    first, again = (sink.answer(b"POST /", asked) for _ in range(2))
    assert first == again
    numbers = [found.text for found in body_of(first).iter("{*}ReferenceNo")]
    subjects = asked.count(b"<CorrelationId>")
    assert subjects > 1 and len(set(numbers)) == subjects
    assert sink.count() == {"calls": 2, "subjects": 2 * subjects, "effects": subjects, "enquiries": 0, "refused": 0}


def test_the_sink_tells_what_became_of_a_key():
    sink = Sink("2026-12-01T09:00:00Z")
    enquiry = (EXAMPLES / "enquire_reference" / "examples" / "request-one.xml").read_bytes()
    assert [o.text for o in body_of(sink.answer(b"POST /", enquiry)).iter("{*}Outcome")] == ["UNKNOWN"]
    key = etree.fromstring(enquiry).findtext("{*}CorrelationId")
    sink.answer(b"POST /", b"<CorrelationId>%s</CorrelationId>" % key.encode())
    assert [o.text for o in body_of(sink.answer(b"POST /", enquiry)).iter("{*}Outcome")] == ["ISSUED"]
    assert sink.answer(b"POST /", b"<Envelope/>").startswith(b"HTTP/1.1 400")


# -- the load --------------------------------------------------------------------------------------------------------


def test_each_request_is_sent_once_and_every_answer_counted(tmp_path):
    heard: list[int] = []

    def reply(told):
        heard.append(told["n"])
        return (500, {}) if told["n"] % 10 == 0 else (200, {"reference": 1}) if told["n"] % 2 else (200, {})

    with answering(reply) as port:
        seen = ask(tmp_path / "requests", port, 100)
    assert sorted(heard) == list(range(100)) and seen["ran_out"]
    assert (seen["sent"], seen["answered"], seen["good"]) == (100, 100, 50)
    assert (seen["non2xx"], seen["lacking"], seen["broken"]) == (10, 40, 0)
    assert seen["first_bad"].startswith("HTTP/1.1") and seen["statuses"] == {"500": 10, "200": 40}
    assert seen["p50_ms"] <= seen["p99_ms"] <= seen["max_ms"]


def test_a_connection_that_is_closed_is_opened_anew(tmp_path):
    def reply(told):
        return 200, {"reference": 1}

    reply.headers = {"Connection": "close"}
    with answering(reply) as port:
        seen = ask(tmp_path / "requests", port, 60)
    assert (seen["good"], seen["broken"]) == (60, 0)


def test_a_paced_load_sends_no_more_than_is_due(tmp_path):
    with answering(lambda told: (200, {"reference": 1})) as port:
        seen = ask(tmp_path / "requests", port, 1000, seconds=0.5, pace=100.0)
    assert 0 < seen["sent"] <= 51 and seen["good"] == seen["sent"] and not seen["ran_out"]


# -- the cases -------------------------------------------------------------------------------------------------------


def leaves(value: Any) -> int:
    return sum(map(leaves, value.values())) if isinstance(value, dict) else 1


def test_a_decision_has_twenty_five_fields_and_no_two_have_the_same_passport():
    made = [json.loads(cases.decision(number)) for number in range(50)]
    assert {leaves(one) for one in made} == {25}
    assert len({one["correction"]["document"]["number"] for one in made}) == 50


def test_cases_stand_one_event_short_of_the_ministry(tmp_path):
    place = Place.make(tmp_path / "place", store=None, ministry="http://127.0.0.1:1/")
    made = place.write(5)
    assert [row[0] for row in place.rows(select(tables.request.c.state))] == ["NEEDS_DATA"] * 5
    assert place.rows(select(tables.exchange_subject.c.id)) == []
    due = place.write(3, 5, due=True)
    assert len({request for request, _ in made + due}) == 8
    waiting = place.rows(select(tables.exchange_subject.c.partner, tables.exchange_subject.c.operation))
    assert waiting == [(MINISTRY, ASKS)] * 3
    place.crowd(40)
    assert len(place.rows(select(tables.exchange_subject.c.lane).distinct())) == 43


# -- the hub ---------------------------------------------------------------------------------------------------------


def test_a_run_at_the_door_counts_the_same_on_both_sides(tmp_path):
    with Door.open(tmp_path / "door", None, 400) as door:
        seen = door.run(0.4, 0.1, wait=False)
        again = door.run(0.4, 0.1, wait=False)
    assert seen["equal"] and again["equal"], seen["first_bad"]
    assert seen["good"] == seen["sent"] == seen["asked"] > 0
    states = [row[0] for row in door.place.rows(select(tables.request.c.state))]
    assert states.count("NEEDS_DATA") == 400 - seen["sent"] - again["sent"]


def test_an_answer_that_is_waited_for_holds_the_reference_number(tmp_path):
    with Door.open(tmp_path / "door", None, 200) as door:
        seen = door.run(0.4, 0.1, wait=True)
    assert seen["equal"] and seen["lacking"] == 0 and seen["good"] > 0, seen["first_bad"]


def test_two_hubs_answer_at_one_port_of_one_store(tmp_path, postgres):
    with Door.open(tmp_path / "door", postgres, 200, None, 2) as door:
        seen = door.run(0.5, 0.1, wait=True)
    assert seen["equal"] and seen["lacking"] == 0 and seen["good"] > 0, seen["first_bad"]


def test_two_workers_drain_one_backlog(tmp_path, monkeypatch, postgres):
    monkeypatch.setattr(engine, "WARM", 0.1)
    seen = engine._run(tmp_path, "postgres", Server(postgres), "call", 2, 0.5, one_a_call, expected=100)
    assert seen["equal"] and 0 < seen["settled"] <= seen["backlog"] == 320


def test_what_is_claimed_and_settled_is_in_the_rows(tmp_path):
    (found,) = engine.claimed(tmp_path, "sqlite", None, 0.2)
    assert found.value and found.value > 0 and "DIFFER" not in found.note


@pytest.mark.parametrize("role", ["drain", "call"])
def test_a_backlog_is_drained_by_a_worker(tmp_path, monkeypatch, role):
    # The window opens at once: a fast machine would otherwise drain so short a backlog before it.
    monkeypatch.setattr(engine, "WARM", 0.0)
    seen = engine._run(tmp_path, "sqlite", None, role, 1, 1.0, one_a_call, expected=500)
    assert seen["equal"] and 0 < seen["settled"] <= seen["backlog"] == 1000
    # Whoever is ended has some on their way: asked about, and not yet settled.
    assert seen["a_call"] == 1.0 and (seen["asked"] is None if role == "drain" else seen["asked"] >= seen["settled"])


def test_when_work_is_taken_up_is_measured_of_every_request(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "PICKED", 5)
    found = list(engine.picked_up(tmp_path, "sqlite", None))
    assert [f.unit for f in found] == ["ms", "ms"] and all(f.value and f.value > 0 for f in found)
    assert {f.note for f in found} == {"5 one after the other"}


def test_those_who_are_well_are_served_by_another_partner(tmp_path):
    with Child("hub.bench.sink", log=tmp_path / "sink.log") as sink:
        other = f"http://127.0.0.1:{sink.told()['port']}/"
        place = Place.make(
            tmp_path / "two", store=None, ministry="http://127.0.0.1:1/", other=other, edit=isolation._two_ministries
        )
        place.write(8, due=True)
    rows = place.rows(select(tables.exchange_subject.c.partner))
    assert sorted(row[0] for row in rows) == [MINISTRY] * 2 + ["mofa_visa_2"] * 6


def test_the_sink_counts_what_it_was_asked(tmp_path):
    with Child("hub.bench.sink", log=tmp_path / "sink.log") as sink:
        port = sink.told()["port"]
        load.pack(tmp_path / "one", [load.post("/", b"<CorrelationId>a</CorrelationId>")])
        seen = load.run(
            load.Plan(ports=(port,), requests=str(tmp_path / "one"), expect="ISSUED", seconds=0.2, repeat=True)
        )
        told = ministry(port)
    assert seen["good"] == seen["sent"] == told["calls"] == told["subjects"] and told["effects"] == 1


def test_a_process_that_ends_before_its_time_is_told(tmp_path):
    with (
        Child("hub.bench.sink", "--delay", "soon", log=tmp_path / "sink.log") as sink,
        pytest.raises(Died, match=r"hub\.bench\.sink"),
    ):
        sink.told()


# -- other systems ---------------------------------------------------------------------------------------------------


def named(tmp_path: Path, port: int, name: str = "other") -> dict[str, str]:
    (tmp_path / "request.json").write_text('{"request_id": "REQ-1", "passport_number": "A1"}')
    return {
        "HUB_BENCH_PEERS": f"{name}=http://127.0.0.1:{port}/visa",
        "HUB_BENCH_PEER_REQUEST": str(tmp_path / "request.json"),
    }


def test_a_peer_is_measured_with_requests_of_their_own_names(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "WARM", 0.1)
    heard: list[str] = []

    def reply(told):
        heard.append(told["request_id"])
        return (200, {"reference_number": "R1"}) if told["passport_number"] else (422, {})

    with answering(reply) as port:
        (peer,) = peers._named(tmp_path, named(tmp_path, port))
        seen = peer.run(0.3)
    assert seen["equal"] and seen["good"] > 0
    assert len(set(heard)) == len(heard) == seen["sent"] + 2  # the good and the bad one before


@pytest.mark.parametrize(
    ("good", "bad", "why"),
    [(200, 200, "a bad request with 200"), (201, 422, "holds no reference"), (500, 422, "holds no reference")],
)
def test_a_peer_that_does_not_do_the_work_is_not_measured(tmp_path, good, bad, why):
    def reply(told):
        return (bad, {}) if not told["passport_number"] else (good, {"reference": "R1"} if good == 200 else {"id": 1})

    with answering(reply) as port:
        (found,) = peers.all_of(tmp_path, (), None, 0.2, named(tmp_path, port))
    assert found.value is None and why in found.note


def test_peers_are_on_this_machine_alone(tmp_path):
    (found,) = peers._named(tmp_path, {"HUB_BENCH_PEERS": "far=http://example.org:80/visa"})
    assert isinstance(found, Figure) and found.value is None


# -- what is told ----------------------------------------------------------------------------------------------------


def test_a_figure_says_whether_its_bar_is_reached():
    rate, time = (
        Figure(part="p", what="w", value=2100.0, bar=2000),
        Figure(part="p", what="w", value=7, unit="ms", bar=5),
    )
    assert (rate.told, rate.asked, rate.level) == ("2,100/s", "≥ 2,000/s: reached", "ok")
    assert (time.told, time.asked, time.level) == ("7.00 ms", "≤ 5.00 ms: not reached", "error")
    lost = missing("p", "w", "no reason")
    assert (lost.told, lost.asked, lost.met) == ("not measured", "", None)


def test_the_command_reports_as_json_and_refuses_a_part_that_there_is_not(tmp_path):
    report = tmp_path / "report.json"
    asked = ["bench", "exchange", "--store", "sqlite", "--seconds", "0.2", "--only", "limits", "--json", str(report)]
    done = CliRunner().invoke(hub, asked)
    assert done.exit_code == 0, done.output
    told = json.loads(report.read_text())
    assert [f["store"] for f in told["figures"]].count("sqlite") == 1 and all(f["value"] > 0 for f in told["figures"])
    assert not list((tmp_path / "var").iterdir())
    wrong = CliRunner().invoke(hub, ["bench", "exchange", "--only", "nothing"])
    assert wrong.exit_code == 2 and all(part in wrong.output for part in exchange.PARTS)
