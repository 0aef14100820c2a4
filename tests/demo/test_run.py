"""The whole thing, as a person types it: two hundred pilgrims while partners fail as badly as they can."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KEYS = {
    "pilgrims", "states", "references", "visas", "exited", "exchanges", "lost", "doubled", "unexplained",
    "seconds_to_reference", "stage_seconds", "wall_s", "pilgrims_per_s",
}  # fmt: skip
#: Kinds of end that every season of two hundred has, by what is planned or by the law of large numbers.
ENDS = {
    "EXITED", "EXITED_LATE", "DEPORTED", "DECEASED", "ENTRY_REFUSED", "VISA_LAPSED", "VISA_REFUSED",
    "REFERENCE_REFUSED", "REFUSED_BY_COMPANY", "CANCELLED", "INVOICE_EXPIRED",
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    folder = tmp_path_factory.mktemp("run")
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", "demo", "--pilgrims", "200", "--seed", "1", "--faults", "storm",
         "--var", str(folder / "season"), "--json", str(folder / "report.json")],
        capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(Path(folder / "report.json").read_text()), done.stdout


def test_nothing_is_lost_doubled_or_unexplained_and_everybody_has_come_to_an_end(
    told: tuple[dict[str, Any], str],
) -> None:
    report, _ = told
    assert (report["lost"], report["doubled"], report["unexplained"]) == (0, 0, 0)
    assert sum(report["states"].values()) == report["pilgrims"] == 200
    assert set(report["states"]) == ENDS
    assert report["exited"] == report["states"]["EXITED"] >= 160


def test_the_report_has_the_keys_that_programs_read(told: tuple[dict[str, Any], str]) -> None:
    report, _ = told
    assert set(report) == KEYS
    assert set(report["seconds_to_reference"]) == {"p50", "p99", "max"}
    assert all(set(counts) == {"sent", "refused", "retried", "dead"} for counts in report["exchanges"].values())
    assert report["exchanges"]["mofa_visa"]["sent"] >= report["references"] >= report["visas"] >= report["exited"]
    assert sum(counts["retried"] for counts in report["exchanges"].values()), "a storm that nobody noticed is none"


def test_a_person_reads_the_figures_and_one_story_in_english_and_arabic(told: tuple[dict[str, Any], str]) -> None:
    _, text = told
    assert "lost 0, doubled 0, unexplained 0" in text
    assert "The story of" in text and "left the Kingdom in time" in text
    assert "حكاية" in text and "غادر المملكة في الموعد" in text
