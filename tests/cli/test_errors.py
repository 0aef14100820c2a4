"""The catalogue of errors: on the command line, and as the page that partners read."""

import json
from pathlib import Path

from click.testing import CliRunner

from hub.canonical.errors import catalogue
from hub.cli import hub

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def run(*words: str) -> str:
    done = CliRunner().invoke(hub, ["errors", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_page_is_the_catalogue():
    assert PAGE.read_text("utf-8") == run("--page"), "write it anew: hub errors --page > docs/errors.md"


def test_a_code_is_explained_in_both_languages():
    (told,) = json.loads(run("photo_too_large", "--json", "-"))
    assert told["status"] == 413 and told["who"] == "agent"
    assert "photo" in told["en"] and "الصورة" in told["ar"] and "{" not in told["en"]
    assert len(json.loads(run("--json", "-"))) == len(catalogue())


def test_a_code_that_there_is_not_names_those_like_it():
    done = CliRunner().invoke(hub, ["errors", "photo"])
    assert done.exit_code == 1 and "photo_too_small" in done.output
