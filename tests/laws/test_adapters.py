"""Every adapter of the repository keeps the first tier of the quality scale, and claims nothing that is not so.

An adapter's author adds data only: this suite is the same for all.  What is missing fails; nothing is skipped.
"""

from pathlib import Path

import pytest

from hub import settings
from hub.conformance import RULES, check, every

SETTINGS = settings.load(env={})
ADAPTERS = every(SETTINGS)
#: The laws themselves are tried with a hundred messages in test_map_laws.
LAWS = 5


def test_there_are_adapters() -> None:
    there = {path.parent for path in Path(SETTINGS.home).glob("adapters/*/*/adapter.yaml")}
    assert len(ADAPTERS) == len(there) >= 8


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_is_what_it_claims(adapter: str) -> None:
    report = check(SETTINGS, adapter, laws=LAWS)
    broken = [
        f"{verdict.rule.name}: {finding}"
        for verdict in report.verdicts
        if verdict.rule.tier == RULES[0].tier and verdict.state == "broken"
        for finding in verdict.findings
    ]
    assert broken == []
    assert [str(finding) for finding in report.wrong] == []
    assert report.passed
