import io
from typing import Any

import pytest
from rich.console import Console

from hub.demo.checker import Finding
from hub.demo.installation import Terms
from hub.demo.season import ENDS
from hub.demo.show import STAGES, Show, stages
from hub.journey.graph import EDGES, NEW
from hub.journey.graph import ENDS as THE_JOURNEYS

TERMS = Terms(pilgrims=10, seed=1, faults="none")
REPORT: dict[str, Any] = {
    "pilgrims": 10, "states": {"EXITED": 9, "CANCELLED": 1}, "references": 9, "visas": 9, "exited": 9,
    "exchanges": {"mofa_visa": {"sent": 9, "refused": 0, "retried": 2, "dead": 0},
                  "agent_idn_1": {"sent": 0, "refused": 0, "retried": 0, "dead": 0}},
    "lost": 0, "doubled": 1, "unexplained": 0, "seconds_to_reference": {"p50": 0.1, "p99": 1.2, "max": None},
    "stage_seconds": {"file": 1.0}, "wall_s": 2.0, "pilgrims_per_s": 5.0,
}  # fmt: skip


def shown(show: Show) -> str:
    show.console = Console(file=io.StringIO(), width=120)
    show.summary(REPORT, [Finding("doubled", "took effect 2 times", "mofa_visa")])
    show.story({"en": "The story of [Noor]", "ar": "حكاية نور"}, [{"at": "2026-09-01", "en": "filed", "ar": "قُدّم"}])
    show.address("http://127.0.0.1:1", staying=True)
    text = show.console.file
    assert isinstance(text, io.StringIO)
    return text.getvalue()


def test_every_state_of_a_request_is_at_one_stage() -> None:
    known = {state for edge in EDGES if edge.machine == "request" for state in (edge.was, edge.now)} - {NEW}
    listed = [state for _, states in STAGES for state in states]
    assert sorted(listed) == sorted(known)


def test_the_demonstration_names_the_same_ends_as_the_journey() -> None:
    assert ENDS == THE_JOURNEYS


def test_whoever_is_further_has_passed_the_stages_before() -> None:
    reached = stages({"SUBMITTED": 1, "VISA_ISSUED": 2, "EXITED": 3, "REFUSED_BY_COMPANY": 4})
    assert reached == {
        "filed": 10, "accepted": 9, "paid": 9, "reference": 9, "visa": 9, "in the Kingdom": 7, "ended": 7,
    }  # fmt: skip


def test_the_summary_tells_the_figures_the_findings_and_a_story_in_both_languages() -> None:
    text = shown(Show(TERMS))
    for wanted in ("EXITED", "10 pilgrims", "doubled 1", "mofa_visa: took effect 2 times", "[Noor]", "حكاية نور",
                   "http://127.0.0.1:1/"):  # fmt: skip
        assert wanted in text
    assert "agent_idn_1" not in text, "a partner with whom nothing passed is left out"


def test_quiet_says_nothing_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    show = Show(TERMS, quiet=True)
    with show:
        show.stage("file")
        show.watch({"states": {}})
        show.stage(None)
    assert shown(show) == ""
    assert capsys.readouterr().out == ""
    assert show.stage_seconds.keys() == {"file"}


def test_a_pipe_gets_a_line_a_stage_and_no_bars(capsys: pytest.CaptureFixture[str]) -> None:
    with Show(TERMS) as show:
        show.stage("file")
        show.watch({"states": {"SUBMITTED": 10}})
        show.stage(None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A season of 10 pilgrims, seed 1, faults none"
    assert len(lines) == 2 and lines[1].startswith("file: ")
