"""The page on manifests knows every key, event, address and rule that the code does."""

from pathlib import Path

from hub.canonical.events import EVENTS
from hub.conformance import RULES
from hub.partners import manifest, partner, schedules

PAGE = (Path(__file__).resolve().parent.parent / "docs/manifests.md").read_text("utf-8")


def test_every_key_is_told():
    for schema in (manifest._Adapter, manifest._Operation, partner._Row, schedules._Schedule):
        for name, field in schema().fields.items():
            assert (
                f"`{field.data_key or name}" in PAGE or f"{field.data_key or name}" in PAGE.partition("## Schedules")[2]
            ), name


def test_every_event_address_and_rule_is_told():
    for word in (*EVENTS, *manifest.ADDRESSES, *manifest.SUBJECTS, *manifest.ROLES):
        assert f"`{word}`" in PAGE, word
    for rule in RULES:
        exempt = "yes" if rule.may_be_exempt else "no"
        assert f"| `{rule.name}` | {rule.tier} | {rule.asks} | {exempt} |" in PAGE
