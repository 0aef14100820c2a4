"""What an adapter claims of itself is held against what a machine sees."""

import pytest
import yaml

from hub.conformance import RULES, check, every
from hub.conformance.check import quality_file, recorded

HOUSING = "housing/bookings"
#: Rules that take no time, two of each tier.
FEW = [rule for rule in RULES if rule.name in ("contract", "maps", "signed", "pinned")]


@pytest.fixture(autouse=True)
def unpinned(home):
    """The adapter as it was before its contract was pinned and its quality was claimed: one rule of silver is open."""
    for name in ("contract.sha256", "quality.yaml"):
        (home / "adapters" / HOUSING / name).unlink(missing_ok=True)


def claim(settings, text):
    quality_file(settings, HOUSING).write_text(text, "utf-8")
    return check(settings, HOUSING, rules=FEW)


def test_a_claim_that_is_so(settings):
    report = claim(settings, "contract: done\nmaps: done\nsigned: done\npinned: todo\n")
    assert (report.tier, report.passed, report.wrong) == ("bronze", True, ())
    tier, needs = report.next
    assert (tier, [verdict.rule.name for verdict in needs]) == ("silver", ["pinned"])


def test_a_claim_that_is_not_so(settings):
    report = claim(settings, "contract: done\nmaps: done\nsigned: done\npinned: done\n")
    assert report.tier == "bronze" and not report.passed
    assert "says that 'pinned' is done, and it is not" in report.wrong[0].text


def test_what_is_done_and_not_claimed_is_no_fault(settings):
    report = claim(settings, "contract: todo\nmaps: todo\nsigned: todo\npinned: todo\n")
    assert report.tier == "bronze" and report.passed


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("signed: {exempt: They call through a line that nobody else can reach}", None),
        ("signed: {exempt: no}", "'signed': say why, in words that somebody else understands"),
        ("signed: {exempt: }", "'signed': say why"),
        ("signed: maybe", "'signed' is done, todo, or {exempt: WHY}"),
        ("signed: done\nsinged: done", "there is no rule 'singed'; did you mean 'signed'?"),
        ("", "does not say how 'signed' stands"),
    ],
)
def test_how_a_rule_may_be_spoken_of(home, settings, said, wrong):
    manifest = home / "adapters" / HOUSING / "adapter.yaml"
    manifest.write_text(manifest.read_text("utf-8").replace(", signed: hmac", ""), "utf-8")
    report = claim(settings, f"contract: done\nmaps: done\npinned: todo\n{said}\n")
    state = next(verdict.state for verdict in report.verdicts if verdict.rule.name == "signed")
    if wrong is None:
        assert (state, report.wrong) == ("exempt", ())
    else:
        assert state == "broken"
        assert any(wrong in finding.text for finding in report.wrong), report.wrong


def test_nobody_is_exempt_from_what_keeps_messages_whole(settings):
    report = claim(settings, "contract: done\nmaps: {exempt: There is no time for it}\nsigned: done\npinned: todo\n")
    assert [finding.text for finding in report.wrong] == ["nobody can be exempt from 'maps'"]
    assert not any(rule.may_be_exempt for rule in RULES if rule.tier == "bronze")


def test_no_file_is_said(home, settings):
    report = check(settings, HOUSING, rules=FEW)
    assert report.tier == "bronze" and not report.passed
    assert "is not there: `hub adapter check --record` writes it" in report.wrong[0].text


@pytest.mark.parametrize("text", ["- done\n", "", "just words\n", "a: [\n"])
def test_a_file_that_is_none(settings, text):
    assert not claim(settings, text).passed


def test_what_is_found_can_be_recorded_and_keeps_its_reasons(home, settings):
    manifest = home / "adapters" / HOUSING / "adapter.yaml"
    manifest.write_text(manifest.read_text("utf-8").replace(", signed: hmac", ""), "utf-8")
    why = "They call through a line: nobody else, «ever», can reach it"
    claim(settings, yaml.safe_dump({"signed": {"exempt": why}}, allow_unicode=True))
    text = recorded(check(settings, HOUSING, rules=FEW))
    assert yaml.safe_load(text) == {"contract": "done", "maps": "done", "signed": {"exempt": why}, "pinned": "todo"}
    assert claim(settings, text).passed


def test_every_adapter_is_found_drafts_too(home, settings):
    manifest = home / "adapters" / HOUSING / "adapter.yaml"
    manifest.write_text("draft: true\n" + manifest.read_text("utf-8"), "utf-8")
    assert every(settings) == ["banks/payments", HOUSING, "mofa/missions", "mofa/visa_reference"]
    with pytest.raises(KeyError):
        check(settings, "housing/nobody")
