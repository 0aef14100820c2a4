"""The whole thing, as a person types it: two hundred pilgrims while partners fail as badly as they can."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
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


def demo(var: Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and what was said."""
    report = var.parent / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", "demo", "--pilgrims", "200", "--seed", "1", "--faults", "storm",
         "--var", str(var), "--json", str(report)],
        capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert report.exists(), done.stdout + done.stderr
    return done.returncode, json.loads(report.read_text()), done.stdout


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run") / "season"


@pytest.fixture(scope="module")
def told(season: Path) -> tuple[dict[str, Any], str]:
    code, report, text = demo(season)
    assert code == 0, text
    return report, text


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


def test_what_goes_wrong_behind_everybodys_back_is_found(season: Path, told: tuple[dict[str, Any], str]) -> None:
    """The finished season is spoilt on either side, and looked at once more."""
    assert told[0]["lost"] == 0
    with closing(sqlite3.connect(season / "simulators.db")) as books, books:
        _ask_twice(books)
    with closing(sqlite3.connect(season / "hub.db")) as store, store:
        for table, change, which in (
            ("request", "state = 'VISA_LAPSED'", "state = 'EXITED'"),
            ("voucher", "paid = paid + 1", "state = 'PAID'"),
            ("exchange", "state = 'parked'", "state = 'settled' AND direction = 'out'"),
        ):
            store.execute(f"UPDATE {table} SET {change} WHERE id = (SELECT max(id) FROM {table} WHERE {which})")
    code, report, text = demo(season)
    assert code == 1
    assert (report["lost"], report["doubled"], report["unexplained"]) == (1, 2, 1), text


def _ask_twice(books: sqlite3.Connection) -> None:
    """The ministry is asked again for somebody to whom it has given a number, under another key, and gives another."""
    key, received = books.execute(
        "SELECT our_key, received FROM effect WHERE operation = 'request_reference'"
        " AND json_extract(decision, '$.outcome') = 'issued' LIMIT 1"
    ).fetchone()
    again = "f" * len(key)
    books.execute(
        "INSERT INTO received (partner, operation, at, name, lead, raw) SELECT partner, operation, at, name, ?,"
        " CAST(replace(CAST(raw AS TEXT), ?, ?) AS BLOB) FROM received WHERE id = ?",
        (again, key, again, received),
    )
    books.execute(
        "INSERT INTO effect (partner, operation, effect_key, our_key, decision, at, received)"
        " SELECT partner, operation, effect_key, ?, decision, at, received FROM effect WHERE our_key = ?",
        (again, key),
    )
