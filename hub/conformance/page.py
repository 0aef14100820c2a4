"""A report of the caller's kit as a page that a person keeps, prints or sends: one file, in English and Arabic."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from flask import Flask, render_template

from hub.conformance.caller import FRESH

#: What the page says, and the cases' names in Arabic.
SAID: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("report.yaml").read_text("utf-8"))


def page(sealed: str, name: Mapping[str, str]) -> str:
    """The *sealed* report, as :func:`~hub.conformance.caller.sealed` writes it, of the agent called *name* (en, ar)."""
    given = json.loads(sealed)
    until = datetime.fromisoformat(given["report"]["at"]) + FRESH
    with Flask(__name__, static_folder=None).app_context():
        return render_template(
            "report.html", report=given["report"], seal=given["seal"], name=name, until=until.isoformat(), **SAID
        )
