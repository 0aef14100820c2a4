"""Commands for those who connect a new kind of partner: scaffold an adapter, check it, list all."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hub.cli.report import FILE, json_option, report, settings_option
from hub.settings import load


@click.group()
def adapter() -> None:
    """How each kind of partner is spoken to."""


@adapter.command("new", short_help="Scaffold an adapter from a contract.")
@click.argument("id", metavar="FAMILY/NAME")
@click.option("--from", "contract", type=FILE, required=True, help="WSDL, XSD, OpenAPI document, or a sample message.")
@click.option("--operation", "operations", multiple=True, help="Only this one of the contract's operations.")
@click.option("--message", "messages", multiple=True, metavar="OP=MESSAGE", help="Our message that OP carries.")
@click.option("--sample", "samples", multiple=True, type=FILE, help="A sample for the examples; may be given again.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="Another folder than the home folder.")
@settings_option
def adapter_new(
    id: str, contract: Path, operations: Sequence[str], messages: Sequence[str], samples: Sequence[Path],
    into: Path | None, settings_file: Path | None,
) -> None:  # fmt: skip
    """Write adapter FAMILY/NAME from a contract: manifest, draft maps, pins, a quality file and failing tests.

    What can be known is filled in: places, forms, code tables, and what an operation means where another adapter
    carries the same message. Where only a person can know stands `todo`; `hub adapter check` counts what is left.
    """
    from hub.conformance import Refused, scaffold

    named = dict(one.split("=", 1) for one in messages if "=" in one)
    if len(named) < len(messages):
        raise click.BadParameter("write it as OPERATION=MESSAGE", param_hint="--message")
    found = load(settings_file)
    try:
        written = scaffold(
            found, id, contract, operations=operations, messages=named, samples=samples,
            into=into.resolve() if into else None,
        )  # fmt: skip
    except Refused as refused:
        raise click.ClickException(str(refused)) from None
    home = into.resolve() if into else found.home
    rows = [(one.path.relative_to(home).as_posix(), f"{one.todos} to do" if one.todos else "") for one in written]
    report([], None, ("written", ""), rows)
    click.echo(f"Next: hub adapter check {id}")


@adapter.command("check", short_help="Which tier an adapter reaches, and why not more.")
@click.argument("ids", nargs=-1, metavar="[FAMILY/NAME]…")
@click.option("--laws", type=click.IntRange(1), default=50, show_default=True, help="Messages to try each map with.")
@click.option("--record", is_flag=True, help="Write what was found into quality.yaml; reasons are kept.")
@settings_option
@json_option
def adapter_check(
    ids: Sequence[str], laws: int, record: bool, settings_file: Path | None, json_file: Path | None
) -> None:
    """Try adapters by every rule of the quality scale, and say which tier each reaches and what the next one needs.

    Manifest, contract, maps, examples, laws, the purpose's fields, a round trip with the partner played over real
    sockets and folders, and every fault on the way. Ends with 1 if one is below bronze or claims what is not so.
    """
    from hub.conformance import check, every
    from hub.conformance.check import quality_file, recorded

    found = load(settings_file)
    told: list[dict[str, Any]] = []
    rows: list[tuple[str, ...]] = []
    failed = False
    for id in ids or every(found):
        try:
            one = check(found, id, laws=laws)
            if record:
                quality_file(found, id).write_text(recorded(one), "utf-8")
                one = check(found, id, laws=1)
        except KeyError:
            raise click.BadParameter(f"no adapter '{id}'; see `hub adapter list`", param_hint="FAMILY/NAME") from None
        failed |= not one.passed
        after = one.next
        told.append(
            {
                "adapter": id, "tier": one.tier, "passed": one.passed,
                "rules": [
                    {
                        "rule": v.rule.name, "tier": v.rule.tier, "asks": v.rule.asks, "state": v.state,
                        "claim": v.claim, "why": v.why, "findings": [f._asdict() for f in v.findings],
                    }
                    for v in one.verdicts
                ],
                "wrong_claims": [f._asdict() for f in one.wrong],
                "next": {"tier": after[0], "needs": [v.rule.name for v in after[1]]} if after else None,
            }
        )  # fmt: skip
        for verdict in one.verdicts:
            level = "ok" if verdict.state == "kept" else verdict.state
            said = verdict.why if verdict.state == "exempt" else verdict.rule.asks
            rows.append((id, level, verdict.rule.tier, verdict.rule.name, said))
            if verdict.state == "broken":
                rows += [("", "", "", "", str(finding)) for finding in verdict.findings]
        rows += [(id, "error", "", "quality", str(finding)) for finding in one.wrong]
        rows.append((id, one.tier or "no tier", "", "", _next(after)))
    report(told, json_file, ("adapter", "", "tier", "rule", "what it asks, and what is found"), rows)
    if failed:
        sys.exit(1)


def _next(after: Any) -> str:
    if after is None:
        return "nothing is left to reach"
    tier, needs = after
    return f"{tier} needs {', '.join(v.rule.name for v in needs)}" if needs else f"{tier} needs nothing more"


@adapter.command("list", short_help="List every adapter.")
@settings_option
@json_option
def adapter_list(settings_file: Path | None, json_file: Path | None) -> None:
    """List every adapter, drafts too: how it is spoken, what it may carry and why, and who has it."""
    from hub.cli.report import the_register

    register = the_register(settings_file)
    found: list[dict[str, Any]] = [
        {
            "id": one.id, "name": one.name, "channel": one.channel, "purpose": one.purpose, "draft": False,
            "operations": list(one.operations), "from": one.path,
            "partners": [p.id for p in register.speaking(one.id)],
            "enabled": sum(p.enabled for p in register.speaking(one.id)),
        }
        for one in register.adapters.values()
    ]  # fmt: skip
    rows = [
        (
            one["id"], one["name"]["en"], one["channel"], one["purpose"], str(len(one["operations"])),
            f"{one['enabled']} of {len(one['partners'])}",
        )
        for one in found
    ]  # fmt: skip
    found += [{"id": id, "draft": True, "from": path} for id, path in register.drafts.items()]
    rows += [(id, "a draft", "", "", "", "") for id in register.drafts]
    report(found, json_file, ("adapter", "name", "channel", "purpose", "operations", "partners on"), rows)
