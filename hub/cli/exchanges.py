"""Commands for what waits for a person: exchanges that are parked, held or dead, and incidents."""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from hub.cli.asking import asked
from hub.cli.report import json_option, report, settings_option, to_stdout, words, write_json
from hub.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.store.database import Transaction
    from hub.store.interventions import Filter

#: What a preview says of each exchange.
_WOULD = {
    "again": "sent again, same key",
    "done": "nothing: done already, it would double",
    "enquire": "the partner is asked what became of it",
    "unsafe": "nothing without --unsafe: it may be done twice",
    "read": "read again from its kept bytes",
    "under_way": "nothing: the hub has it in hand",
    "unwanted": "nothing: its case no longer wants it",
    "broken": "nothing: it would fail again",
    "gone": "nothing: its partner or operation is gone",
    "question": "nothing: it only asked; replay what it asked about",
    "theirs": "nothing: the partner must send it anew",
}
_STATES = ("waiting", "leased", "sending", "in_doubt", "held", "parked", "dead", "settled")


def _reason(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--reason", required=True, metavar="WORDS", help="Why, without anybody's name or number; kept with who did it."
    )(command)


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed((
        click.option("--partner", metavar="ID", help="Only those of this partner."),
        click.option("--operation", metavar="NAME", help="Only those of this operation."),
        click.option("--state", type=click.Choice(_STATES), help="In this state; else all that wait for a person."),
        click.option("--code", metavar="CODE", help="Only those that this code stopped."),
        click.option("--owner", metavar="WHO", help="Only those on which these must act: operator, engineer …"),
        click.option("--since", metavar="TIME", help="Made at this time or later: 2026-12-01T09:00, UTC."),
        click.option("--until", metavar="TIME", help="Made before this time."),
    )):  # fmt: skip
        command = option(command)
    return command


@click.group()
def exchange() -> None:
    """What passes between the hub and its partners, and what waits for a person."""


@exchange.command("list", short_help="List what waits for a person.")
@_filters
@click.option("--most", type=click.IntRange(1, 5000), default=100, show_default=True, help="How many at most.")
@settings_option
@json_option
def exchange_list(most: int, settings_file: Path | None, json_file: Path | None, **given: str | None) -> None:
    """List exchanges that are parked, held or dead and on which somebody must act, the oldest first.

    With --state those in any other state. Shows codes, states and who must act; never what an exchange says.
    """
    from hub.store.interventions import Interventions

    with _reading(settings_file) as tx:
        found = [one.told() for one in Interventions().find(tx, _filter((), given), most)] if tx else []
    rows = [
        (
            e["id"], e["created"][:16], e["direction"], e["partner"], e["operation"], e["state"], words(e["code"]),
            words(e["owner"]), str(e["subjects"]),
        )
        for e in found
    ]  # fmt: skip
    columns = ("id", "made (UTC)", "", "partner", "operation", "state", "code", "who must act", "subjects")
    report({"exchanges": found}, json_file, columns, rows)


@exchange.command("show", short_help="Show one exchange's whole life.")
@click.argument("id", type=click.UUID)
@settings_option
@json_option
def exchange_show(id: UUID, settings_file: Path | None, json_file: Path | None) -> None:
    """Show exchange ID: state and who must act, each subject, what was asked and is awaited, who did what and why.

    What it says is not shown: that is sealed.
    """
    from hub.canonical.errors import HubError, catalogue
    from hub.store.interventions import Interventions

    with _reading(settings_file) as tx:
        found = Interventions().one(tx, id) if tx else None
        if tx is None or found is None:
            raise HubError("exchange_unknown")
        life = Interventions().life(tx, found)
    entry = catalogue().get(life["code"] or "")
    if not to_stdout(json_file):
        for name in ("partner", "operation", "state", "code", "owner", "created", "attempts", "awaited", "overdue"):
            click.echo(f"{name:<9} {words(life[name])}")
        if entry is not None:
            click.echo(f"{'says':<9} {entry.en}\n{'':<9} {entry.ar}")
        for done in life["done"]:
            click.echo(f"{'done':<9} {done['recorded']} {done['action']} by {done['person']}: {done['reason']}")
    rows = [
        (
            s["kind"], words(s["id"]), s["state"], words(s["outcome"]), words(s["code"]), words(s["owner"]),
            words(s["asked"]),
        )
        for s in life["subjects"]
    ]  # fmt: skip
    report(life, json_file, ("subject", "id", "state", "outcome", "code", "who must act", "asked"), rows)


@exchange.command("replay", short_help="Have exchanges sent, asked or read again.")
@click.argument("ids", type=click.UUID, nargs=-1)
@_filters
@click.option("--most", type=click.IntRange(1, 5000), default=100, show_default=True, help="Refused if more are meant.")
@click.option("--reason", metavar="WORDS", help="Why, without anybody's name or number; kept with who did it.")
@click.option("--do", "do", is_flag=True, help="Do it. Otherwise what would come of it is shown.")
@click.option("--unsafe", is_flag=True, help="Send one ID again that the partner may do twice: it has been asked.")
@settings_option
@json_option
def exchange_replay(
    ids: Sequence[UUID],
    most: int,
    reason: str | None,
    do: bool,
    unsafe: bool,
    settings_file: Path | None,
    json_file: Path | None,
    **given: str | None,
) -> None:
    """Have exchanges IDS, or all that the filters mean, sent again, asked about, or read again.

    Shows what would come of each, and changes nothing without --do and --reason. The frozen bytes go again under the
    same keys. What may have been done is asked first where the partner can be asked; what is done is left alone.
    """
    if unsafe and len(set(ids)) != 1:
        raise click.UsageError("--unsafe is for one ID at a time")
    if do and reason is None:
        raise click.UsageError("--do needs --reason")
    wanted: dict[str, Any] = {"ids": [id.hex for id in ids], **_filter(ids, given).given}
    meant = {"do": "replay", "filter": wanted, "most": most, "reason": reason, "unsafe": unsafe, "dry_run": not do}
    told = asked(settings_file, "replay", meant)
    rows = [
        (
            e["id"], e["partner"], e["operation"], e["state"], words(e["code"]),
            _did(e) if do else _WOULD[e["verdict"]],
        )
        for e in told["exchanges"]
    ]  # fmt: skip
    told = {"done": do, **told}
    report(told, json_file, ("id", "partner", "operation", "was", "code", "did" if do else "would be"), rows)
    if not do and rows and not to_stdout(json_file):
        click.echo("Nothing was changed. Say --do --reason WORDS to do it.", err=True)


def _did(told: dict[str, Any]) -> str:
    if told["became"]:
        return f"read again as {told['became']}"
    return _WOULD[told["verdict"]]


@exchange.command("settle", short_help="Say what a partner told you became of it.")
@click.argument("id", type=click.UUID)
@click.option("--outcome", required=True, help="What its answer would have said: issued, confirmed, delivered …")
@click.option("--says", multiple=True, metavar="FIELD=VALUE", help="What else it would have said: reference_no=…")
@_reason
@settings_option
@json_option
def exchange_settle(
    id: UUID, outcome: str, says: Sequence[str], reason: str, settings_file: Path | None, json_file: Path | None
) -> None:
    """Settle exchange ID by what its partner told you outside the hub; the cases go on as if it had answered.

    Of each subject that is still open the same OUTCOME holds. An answer with numbers in it is given for one subject.
    """
    fields = dict(_pair(one) for one in says)
    meant = {"do": "settle", "id": id.hex, "outcome": outcome, "says": fields, "reason": reason}
    told = asked(settings_file, "replay", meant)
    _told(told, "settled", json_file)


@exchange.command("withdraw", short_help="Let an exchange rest for good.")
@click.argument("id", type=click.UUID)
@_reason
@settings_option
@json_option
def exchange_withdraw(id: UUID, reason: str, settings_file: Path | None, json_file: Path | None) -> None:
    """Let exchange ID rest for good: it is neither sent nor asked about again, and its cases stay as they are."""
    _told(asked(settings_file, "replay", {"do": "withdraw", "id": id.hex, "reason": reason}), "withdrawn", json_file)


@click.group()
def incident() -> None:
    """What the hub has put before a person."""


@incident.command("list", short_help="List what the hub has put before a person.")
@click.option("--partner", metavar="ID", help="Only those about this partner.")
@click.option("--code", metavar="CODE", help="Only those with this code.")
@click.option("--owner", metavar="WHO", help="Only those on which these must act: operator, engineer, bank …")
@click.option("--most", type=click.IntRange(1, 5000), default=100, show_default=True, help="How many at most.")
@settings_option
@json_option
def incident_list(
    partner: str | None,
    code: str | None,
    owner: str | None,
    most: int,
    settings_file: Path | None,
    json_file: Path | None,
) -> None:
    """List the open incidents, the oldest first: what happened, where, and who must act."""
    from hub.store.interventions import Interventions

    with _reading(settings_file) as tx:
        found = Interventions().incidents(tx, most, partner, code, owner) if tx else []
    rows = [
        (
            i["id"], i["raised"][:16], i["kind"], i["code"], i["owner"], words(i["partner"]), words(i["operation"]),
            words(i["exchange"]),
        )
        for i in found
    ]  # fmt: skip
    columns = ("id", "raised (UTC)", "kind", "code", "who must act", "partner", "operation", "exchange")
    report({"incidents": found}, json_file, columns, rows)


@incident.command("resolve", short_help="Take an incident off the list.")
@click.argument("id", type=click.UUID)
@_reason
@settings_option
@json_option
def incident_resolve(id: UUID, reason: str, settings_file: Path | None, json_file: Path | None) -> None:
    """Take incident ID off the list: somebody has seen to it. Nothing else changes."""
    told = asked(settings_file, "replay", {"do": "resolve", "id": id.hex, "reason": reason})
    write_json(told, json_file)
    if not to_stdout(json_file):
        click.echo(f"{id}: resolved")


# ----------------------------------------------------------------------------------------------------------------------


@contextmanager
def _reading(settings_file: Path | None) -> "Iterator[Transaction | None]":
    """The store, to be read beside whoever writes it; None where there is none yet."""
    from hub.store.backend import backend_of
    from hub.store.database import looking

    store = load(settings_file).store
    if not backend_of(store).exists():
        yield None
        return
    with looking(store) as tx:
        yield tx


def _filter(ids: Sequence[UUID], given: dict[str, str | None]) -> "Filter":
    from hub.store.interventions import Filter

    if ids and any(given.values()):
        raise click.UsageError("give IDS or filters, not both")
    times = {name: _micros(name, given.pop(name)) for name in ("since", "until")}
    return Filter(ids=tuple(ids), **given, **times)  # type: ignore[arg-type]


def _micros(name: str, text: str | None) -> int | None:
    from hub.store.encoding import micros

    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("a time like 2026-12-01T09:00", param_hint=f"--{name}") from None
    return micros(at if at.tzinfo else at.replace(tzinfo=UTC))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter("FIELD=VALUE", param_hint="--says")
    return name, value


def _told(told: dict[str, Any], done: str, json_file: Path | None) -> None:
    write_json({**told, "done": done}, json_file)
    if not to_stdout(json_file):
        click.echo(f"{told['id']}: {done}")
