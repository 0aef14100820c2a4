"""docs/first-reference.md and the agent's guide as an agent types them: from the first call to reference numbers."""

import json
import re

import pytest

from hub.journey.graph import EDGES
from tests.typed import ROOT, Checkout

GUIDE = (ROOT / "docs" / "first-reference.md").read_text("utf-8")
ARABIC = (ROOT / "docs" / "agent-guide.ar.md").read_text("utf-8")


@pytest.mark.needs("openssl", "curl")
def test_an_agents_first_call_ends_in_reference_numbers(tmp_path):
    checkout = Checkout(tmp_path)
    printed = checkout.typed(
        f"""
        {checkout.commands(GUIDE, "file")}
        {checkout.commands(ARABIC, "file")} >again.json
        {checkout.commands(GUIDE, "watch")}
        {checkout.commands(GUIDE, "python")}
        """,
        300,
    )
    said = printed.strip().splitlines()
    filed = json.loads(said[0])
    assert {one["state"] for one in filed["requests"]} == {"SUBMITTED"}
    # The same call again, out of the Arabic guide: the same answer, and nothing filed twice.
    assert json.loads((checkout.home / "again.json").read_text("utf-8")) == filed
    issued = re.compile(r"\d{13} REFERENCE_ISSUED \d{10,12}|\d{13} \w+ \d{10,12}")
    assert len(said) == 4 and all(issued.fullmatch(line) for line in said[1:]), said


def test_the_states_of_the_arabic_guide_are_those_of_the_journey():
    known = {edge.now for edge in EDGES if edge.machine == "request"}
    told = set(re.findall(r"^\| `([A-Z_]+)` \|", ARABIC, re.M))
    assert told and told <= known
