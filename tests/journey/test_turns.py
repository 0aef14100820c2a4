"""The five-minute clock reads a history: whose turn it was, how long everybody took, and where it stands still."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.canonical.errors import HubError
from hub.journey import Step, Turns, spent, turns

FILE = Path(turns.__file__).with_name("budgets.yaml")
BUDGETS = Turns.load(FILE).at(datetime(2026, 12, 1, tzinfo=UTC))
SECOND = 1_000_000


def steps(*rows):
    """Rows as (seconds, machine, event, was, now)."""
    return [Step(machine, event, was, now, at * SECOND) for at, machine, event, was, now in rows]


FILED = (
    (0, "group", "group.opened", "NEW", "OPEN"),
    (0, "request", "request.drafted", "NEW", "DRAFT"),
    (0, "request", "request.submitted", "DRAFT", "SUBMITTED"),
)
PAID = (
    (60, "request", "request.accepted", "SUBMITTED", "ACCEPTED"),
    (70, "group", "programme.ready", "OPEN", "PROGRAMME_READY"),
    (100, "voucher", "voucher.issued", "NEW", "INVOICED"),
    (1000, "voucher", "payment.received", "INVOICED", "PAID"),
    (1000, "request", "request.paid", "ACCEPTED", "PAID"),
    (1000, "request", "reference.requested", "PAID", "SENT_FOR_REFERENCE"),
)
ISSUED = ((1004, "request", "reference.issued", "SENT_FOR_REFERENCE", "REFERENCE_ISSUED"),)


def stays(found):
    return [(spell.stage.name, spell.us // SECOND) for spell in found.spells]


def test_three_figures_are_kept_apart():
    found = spent(steps(*FILED, *PAID, *ISSUED), BUDGETS, 9_000 * SECOND)
    assert stays(found) == [
        ("filing", 0), ("decision", 60), ("programme", 10), ("others", 30), ("payment", 900), ("reference", 4),
    ]  # fmt: skip
    assert (found.promise, found.machine, found.wall) == (4 * SECOND, 14 * SECOND, 1004 * SECOND)
    assert found.ended == found.referenced == 1004 * SECOND
    assert found.waits_for is None, "its clock has stopped"


def test_it_stands_still_while_a_named_person_must_act_and_says_who():
    wanting = (1002, "request", "reference.needs_data", "SENT_FOR_REFERENCE", "NEEDS_DATA")
    asked = spent(steps(*FILED, *PAID, wanting), BUDGETS, 5_000 * SECOND)
    assert asked.waits_for == "agent"
    assert asked.machine == 12 * SECOND
    assert asked.promise == 4_000 * SECOND, "the promise does not stand still"
    corrected = (5000, "request", "request.corrected", "NEEDS_DATA", "SENT_FOR_REFERENCE")
    found = spent(steps(*FILED, *PAID, wanting, corrected), BUDGETS, 5_003 * SECOND)
    assert found.waits_for == "partner"
    assert found.machine == 15 * SECOND
    assert found.spells[-1].until is None


def test_what_has_not_begun_has_no_figure():
    found = spent(steps(*FILED), BUDGETS, 7 * SECOND)
    assert (found.promise, found.machine, found.wall, found.waits_for) == (None, 0, 7 * SECOND, "company")
    assert spent([], BUDGETS, SECOND).wall is None


def test_an_end_without_a_number_stops_it_and_breaks_no_promise():
    refused = (1010, "request", "reference.refused", "SENT_FOR_REFERENCE", "REFERENCE_REFUSED")
    found = spent(steps(*FILED, *PAID, refused), BUDGETS, 5_000 * SECOND)
    assert (found.promise, found.referenced, found.wall) == (None, None, 1010 * SECOND)


def test_machines_whose_clocks_differ_make_no_time_run_backwards():
    early = (990, "request", "reference.issued", "SENT_FOR_REFERENCE", "REFERENCE_ISSUED")
    found = spent(steps(*FILED, *PAID, early), BUDGETS, 5_000 * SECOND)
    assert found.promise == 0
    assert all(spell.us >= 0 for spell in found.spells)


def test_every_state_before_the_reference_number_is_in_a_stage():
    before = {"DRAFT", "SUBMITTED", "RETURNED", "WAITING_COMPANION", "ACCEPTED", "PAID", "SENT_FOR_REFERENCE",
              "NEEDS_DATA", "CANCEL_REQUESTED"}  # fmt: skip
    for state in before:
        for group in ("OPEN", "PROGRAMME_READY"):
            assert BUDGETS.stage(state, group, "NEW") is not None, state


def test_budgets_change_by_date(tmp_path):
    later = FILE.read_text("utf-8") + "\n- from: 2027-01-01\n  promise: 240\n"
    (tmp_path / "b.yaml").write_text(later, "utf-8")
    found = Turns.load(tmp_path / "b.yaml")
    assert found.at(datetime(2026, 12, 31, 20, tzinfo=UTC)).promise == 300
    assert found.at(datetime(2026, 12, 31, 21, tzinfo=UTC)).promise == 240, "the day begins in Riyadh"
    assert found.at(datetime(2027, 2, 1, tzinfo=UTC)).stages == BUDGETS.stages


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("promise: 300 ", "promise: 0 ", "promise"),
        ("alarms: [60, 100]", "alarms: []", "alarms"),
        ("turn: hub", "turn: nobody", "stages"),
        ("states: [DRAFT]", "states: [DRAUGHT]", "stages"),
        ("asks: [reference.requested]", "asks: [reference.wanted]", "stages"),
        ("from: 1445-12-15H", "from: soon", "from"),
    ],
)
def test_a_wrong_budget_is_named(tmp_path, old, new, rule):
    text = FILE.read_text("utf-8")
    assert old in text
    (tmp_path / "b.yaml").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(HubError) as caught:
        Turns.load(tmp_path / "b.yaml")
    assert (caught.value.code, caught.value.where["rule"]) == ("rules_invalid", rule)
