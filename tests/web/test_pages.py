"""The pages: complete in both languages, without a pilgrim on them, and true."""

import re
import xml.dom.minidom
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from hub.journey.graph import EDGES, ENDS
from hub.web.console import pages

TEXTS = yaml.safe_load((Path(pages.__file__).parent / "texts.yaml").read_text("utf-8"))


def test_every_text_is_there_in_both_languages():
    assert [key for key, text in TEXTS.items() if set(text) != {"en", "ar"} or not all(text.values())] == []
    assert [key for key, text in TEXTS.items() if key != "other" and re.search(r"[a-z]{3}", text["ar"])] == []


def test_every_state_of_the_journey_has_a_name_and_a_place():
    states = {state.lower() for edge in EDGES for state in (edge.was, edge.now)} - {"new"}
    assert states <= set(TEXTS)
    requests = {edge.now.lower() for edge in EDGES if edge.machine == "request"}
    assert set(pages.ENDS) == {state.lower() for state in ENDS}
    placed = {s for members in pages.STAGES.values() for s in members} | set(pages.ENDS)
    assert requests <= placed


@pytest.mark.parametrize("path", ["/", "/timetable"])
@pytest.mark.parametrize(("lang", "direction"), [("en", "ltr"), ("ar", "rtl"), ("xx", "ltr")])
def test_pages_are_whole_in_each_language(client, path, lang, direction):
    answer = client.get(f"{path}?lang={lang}")
    assert answer.status_code == 200
    assert f'dir="{direction}"' in answer.text
    if lang == "ar":
        told = re.sub(r"<code>.*?</code>|<bdi>.*?</bdi>|<script.*?</script>|<[^>]*>", " ", answer.text, flags=re.S)
        assert re.findall(r"[A-Za-z]{4,}", told.replace("English", "").replace("cron", "")) == []


def test_now_counts_what_is_there_and_shows_nobody(client, as_, group):
    told = as_("agent_idn_1").post("/v1/groups", group).json
    page = client.get("/").text
    assert re.search(r"submitted</dt><dd>2</dd>", page)
    for secret in ("BUDI", "WIBOWO", "X1234567", told["requests"][0]["request_no"], told["group_no"], "G-1001"):
        assert secret not in page


def test_now_says_what_needs_a_person(client, engine):
    assert 'class="verdict quiet"' in client.get("/").text
    engine.database.unit(
        lambda tx: engine._ledger.raise_incident(tx, engine.now(), "suspense", "payment_unknown_bill", "bank", line=1)
    )
    page = client.get("/").text
    assert 'class="verdict needs"' in page
    assert TEXTS["suspense"]["en"] in page


def test_now_says_who_must_act_with_whom_and_since_when(client, engine):
    def unreadable(tx):
        at = engine.now()
        earlier = type(at)(at.wall - 600_000_000, at.business)
        for when in (at, earlier):
            engine._ledger.raise_incident(tx, when, "exchange", "invalid_value", "partner", partner="bank_haramayn")

    engine.database.unit(unreadable)
    page = client.get("/").text
    (row,) = re.findall(r'<tr class="stuck">(.*?)</tr>', page, re.S)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)
    assert cells == ["2", "… has a value that cannot be right.", "Haramayn Bank", TEXTS["who_partner"]["en"], "10 min"]


def test_now_says_how_long_something_waits_on_whom(client, as_, group, engine, monkeypatch):
    told = as_("agent_idn_1").post("/v1/groups", group).json
    for request in told["requests"]:
        as_("company_1").post(f"/v1/requests/{request['id']}/decisions", {"outcome": "accept"})
    since = engine.reading.waiting_since()
    assert {"stay_zamzam_towers", "bus_badr"} <= set(since)
    early = {partner: at - timedelta(minutes=7) for partner, at in since.items()}
    monkeypatch.setattr(engine.reading, "waiting_since", lambda: early)
    page = client.get("/").text
    assert page.count(">7 min</td>") == len(since)
    assert "Zamzam Towers" in page


def test_the_timetable_lists_what_runs_and_when(client, engine):
    page = client.get("/timetable").text
    for schedule in engine.register.schedules.values():
        assert schedule.name in page
    assert TEXTS["no_runs"]["en"] in page


def test_the_timetable_shows_runs_once_they_came_due(client, engine):
    from hub.timetable import Timetable

    timetable = Timetable(engine)
    timetable.tick(engine.clock.now())
    page = client.get("/timetable").text
    assert "badge done" in page
    assert TEXTS["no_runs"]["en"] not in page


def test_nothing_of_a_page_comes_from_elsewhere(client):
    for path in ("/", "/timetable"):
        page = client.get(path).text
        for found in re.findall(r'(?:src|href)="([^"]+)"', page):
            assert found.startswith(("/", "?")), found
            assert client.get(found if found.startswith("/") else path + found).status_code == 200
    static = Path(pages.__file__).parent / "static"
    for file in static.iterdir():
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.M), file.name
    xml.dom.minidom.parseString((static / "mark.svg").read_bytes())


def test_metrics_count_a_code_of_two_kinds_together(client, engine):
    for kind in ("file", "exchange"):
        engine.database.unit(
            lambda tx, kind=kind: engine._ledger.raise_incident(tx, engine.now(), kind, "internal", "engineer")
        )
    assert 'hub_incidents{code="internal"} 2' in client.get("/metrics").text


def test_metrics_are_the_same_counts_in_prometheus_text(client, as_, group):
    told = as_("agent_idn_1").post("/v1/groups", group).json
    for request in told["requests"]:
        decided = as_("company_1").post(f"/v1/requests/{request['id']}/decisions", {"outcome": "accept"})
        assert decided.status_code < 300, decided.text
    answer = client.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'hub_requests{state="ACCEPTED"} 2' in lines
    assert any(line.startswith('hub_exchanges{partner="') for line in lines)
    for line in lines:
        assert re.fullmatch(r'# (HELP|TYPE) hub_\w+ .+|hub_\w+(\{(\w+="[^"]*",?)+\})? -?[0-9.e+-]+', line), line
    for secret in ("BUDI", "WIBOWO", "X1234567", "G-1001"):
        assert secret not in answer.text


def test_health_says_so_and_no_more(client):
    assert client.get("/health").json == {"status": "ok"}


def test_health_fails_when_the_store_cannot_be_read(client, engine, monkeypatch):
    def broken():
        raise OSError("disk")

    monkeypatch.setattr(engine.reading, "alive", broken)
    assert client.get("/health").status_code == 500


def test_the_operator_gets_the_figures(as_):
    now = as_("operator").get("/v1/operations/now").json
    assert now["quiet"] is True
    assert {"business_at", "states", "exchanges", "suspense", "seconds_to_reference"} <= set(now)
