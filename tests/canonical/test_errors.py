import ast
from pathlib import Path

import pytest
import yaml

from hub.canonical import errors
from hub.canonical.errors import HubError, catalogue

HUB = Path(errors.__file__).parents[1]
TEXT = (HUB / "canonical" / "errors.yaml").read_text("utf-8")


@pytest.mark.parametrize("code", sorted(catalogue()))
def test_every_code_speaks_both_languages(code: str) -> None:
    entry = catalogue()[code]
    assert code.isidentifier() and code == code.lower()
    assert any("a" <= c <= "z" for c in entry.en) and entry.en == entry.en.strip()
    assert any("\u0621" <= c <= "\u064a" for c in entry.ar)
    assert 200 <= entry.status < 600


def test_no_code_is_given_twice() -> None:
    node = yaml.compose(TEXT, Loader=yaml.SafeLoader)
    names = [key.value for key, _ in node.value]
    assert sorted(names) == sorted(set(names))


def test_the_errors_that_bad_input_needs_are_there() -> None:
    wanted = {
        "mrz_disagrees", "document_expired", "minor_without_companion", "night_uncovered", "leg_missing",
        "insurance_missing", "ticket_missing", "ground_service_missing", "housing_unlicensed",
        "agent_suspended", "agreement_missing", "quota_exhausted", "duplicate_request", "payment_part",
        "payment_over", "payment_repeated", "payment_unknown_bill", "unknown_id", "reply_twice",
        "reply_unreadable", "reply_not_ours", "reply_html", "xml_refused", "xml_namespace", "xml_doctype",
        "file_totals", "file_sequence_gap", "file_sequence_repeated", "file_truncated", "file_manifest_missing",
        "unknown_nationality", "encoding_cannot_hold", "date_order_undeclared", "disk_full",
        "idempotency_conflict", "unauthorised", "forbidden", "not_found", "invalid_value", "required",
    }  # fmt: skip
    assert wanted <= set(catalogue())


def _raised() -> set[tuple[str, str]]:
    """(code, file) of every coded error in the hub's sources: calls of an error class with a literal first argument."""
    trees = {path.relative_to(HUB).as_posix(): ast.parse(path.read_text("utf-8")) for path in HUB.rglob("*.py")}
    coded = {"HubError", "ConfigError", "ClockError"}
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    while grown := {name for name, of in bases.items() if of & coded} - coded:
        coded |= grown
    return {
        (node.args[0].value, path)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in coded
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    raised = _raised()
    assert ("xml_doctype", "security/xml.py") in raised
    assert sorted((code, path) for code, path in raised if code not in catalogue()) == []


def test_an_error_speaks_and_says_who_must_act() -> None:
    error = HubError("file_totals", place="trailer", expected=3, found=2)
    assert error.en == "The file's totals do not agree: trailer says 3, its lines make 2. The whole file is refused."
    assert "trailer" in error.ar and error.who == "partner" and error.status == 422
    assert str(error) == "file_totals (place=trailer expected=3 found=2)"
    assert HubError("not_found").status == 404 and str(HubError("not_found")) == "not_found"


def test_what_is_no_place_is_never_shown() -> None:
    error = HubError("mrz_disagrees", field="person.name", passport="A1234567")
    for shown in (str(error), repr(error), error.en, error.ar):
        assert "A1234567" not in shown
    assert HubError("mrz_disagrees").en.endswith(": ….")


def test_a_code_that_nobody_wrote_down_does_not_hide_the_error() -> None:
    error = HubError("never_heard_of")
    assert error.code == "never_heard_of" and error.status == 500 and error.who == "engineer"


@pytest.mark.parametrize(
    "entry",
    [
        {"en": "Name {passport}.", "ar": "ن", "who": "agent"},
        {"en": "x", "ar": "ن {person}", "who": "agent"},
        {"en": "x", "ar": "ن", "who": "somebody"},
    ],
)
def test_an_entry_that_could_tell_too_much_does_not_load(entry: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        errors._entry("x", entry)
