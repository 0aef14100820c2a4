"""Commands about API keys: who may call."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hub.cli.asking import asked
from hub.cli.report import json_option, report, settings_option, to_stdout, words

_COLUMNS = ("key", "holder", "role", "is", "made", "until", "last used", "label")


@click.group("key")
def key() -> None:
    """Who may call the hub, and by which key."""


@key.command("new", short_help="Make a key; it is shown once.")
@click.argument("holder")
@click.option("--role", type=click.Choice(["operator", "auditor", "administrator"]),
              help="For a person of your own. A partner calls in the role that it has.")  # fmt: skip
@click.option("--label", default="", metavar="WORDS", help="What it is for, without anybody's name.")
@click.option("--days", type=click.IntRange(1, 3650), help="Until when; without, until it is revoked.")
@settings_option
@json_option
def key_new(
    holder: str, role: str | None, label: str, days: int | None, settings_file: Path | None, json_file: Path | None
) -> None:
    """Make a key for HOLDER: a partner of `hub partner list`, or a person with --role.

    The key is shown once, and kept nowhere: the hub keeps its SHA-256. A holder has two live keys at most, the one in
    use and the one that takes its place.
    """
    given = {"do": "new", "holder": holder, "role": role, "label": label, "days": days}
    _made(asked(settings_file, "key", given), json_file)


@key.command("rotate", short_help="Make a key that takes another's place.")
@click.argument("id")
@click.option("--hours", type=click.IntRange(0, 720), default=24, show_default=True, help="For which both are live.")
@click.option("--days", type=click.IntRange(1, 3650), help="Until when the new one lives.")
@settings_option
@json_option
def key_rotate(id: str, hours: int, days: int | None, settings_file: Path | None, json_file: Path | None) -> None:
    """Make a new key for the holder of key ID, which ends by itself after --hours."""
    _made(asked(settings_file, "key", {"do": "rotate", "id": id, "hours": hours, "days": days}), json_file)


@key.command("revoke", short_help="End a key.")
@click.argument("id")
@settings_option
@json_option
def key_revoke(id: str, settings_file: Path | None, json_file: Path | None) -> None:
    """End key ID: within a second no process of the hub takes it any more."""
    told = asked(settings_file, "key", {"do": "revoke", "id": id})
    report(told, json_file, _COLUMNS, [_row(told)])


@key.command("list", short_help="List the keys.")
@click.argument("holder", required=False)
@settings_option
@json_option
def key_list(holder: str | None, settings_file: Path | None, json_file: Path | None) -> None:
    """List every key, or those of HOLDER: since when, until when, and the day of its last use.

    Those of [api_keys] in hub.toml are not among them: they live until they are taken out of the file.
    """
    told = asked(settings_file, "key", {"do": "list", "holder": holder})
    report(told, json_file, _COLUMNS, [_row(one) for one in told["keys"]])


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        one["id"], one["holder"], one["role"], one["state"], one["created"][:10],
        words(one["expires"] and one["expires"][:10]), words(one["used_on"]), one["label"],
    )  # fmt: skip


def _made(told: Mapping[str, Any], json_file: Path | None) -> None:
    report(told, json_file, _COLUMNS, [_row(told)])
    if not to_stdout(json_file):
        click.echo(f"\n{told['key']}\n\nThis is the key. It is not shown again.")
