"""Commands about partners: who they are, adding and switching them, playing one, and one on a page."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.report import FILE, json_option, report, settings_option, the_register, to_stdout, words
from hub.settings import Settings, load

if TYPE_CHECKING:
    from hub.partners import Overlaid, Partner, Register


@click.group()
def partner() -> None:
    """Who the hub exchanges with."""


@partner.command("list", short_help="List every partner.")
@settings_option
@json_option
def partner_list(settings_file: Path | None, json_file: Path | None) -> None:
    """List every partner, how it is spoken to, and whether it can be reached with these settings."""
    partners = the_register(settings_file).partners.values()
    found = [
        {
            "id": p.id, "name": p.name, "role": p.role, "adapters": [a.id for a in p.adapters], "serves": p.serves,
            "enabled": p.enabled, "mode": p.mode, "added": p.added, "missing": p.missing,
        }
        for p in partners
    ]  # fmt: skip
    rows = [
        (
            p.id, p.name["en"], p.name["ar"], p.role, ", ".join(a.id for a in p.adapters),
            _state(p), "needs " + ", ".join(p.missing) if p.missing else "set",
        )
        for p in partners
    ]  # fmt: skip
    report(found, json_file, ("id", "name", "", "role", "adapters", "is", "settings"), rows)


@partner.command("show", short_help="Show one partner.")
@click.argument("id")
@settings_option
@json_option
def partner_show(id: str, settings_file: Path | None, json_file: Path | None) -> None:
    """Show one partner: whom to ring, its limits, and everything that passes between it and the hub."""
    register = the_register(settings_file)
    found = _known(register, id)
    operations = found.operations.values()
    facts = {
        "id": found.id, "name": found.name, "role": found.role, "serves": found.serves, "endpoint": found.address,
        "zone": found.zone, "contact": found.contact, "limits": dataclasses.asdict(found.limits),
        "is": _state(found), "from": f"{found.path}:{found.line}", "missing": found.missing,
    }  # fmt: skip
    if not to_stdout(json_file):
        for name, value in facts.items():
            click.echo(f"{name:<9} {words(value)}")
    told = [
        {
            "name": op.name, "adapter": op.adapter, "direction": op.direction, "channel": op.channel, "when": op.when,
            "scheduled": op.scheduled, "repeat": op.repeat, "purpose": register.adapters[op.adapter].purpose,
            "gives": op.gives,
        }
        for op in operations
    ]  # fmt: skip
    rows = [
        (
            "to them" if op.direction == "out" else "to us", op.name, op.channel,
            op.when or ("on schedule" if op.scheduled else ""), op.repeat or "", register.adapters[op.adapter].purpose,
            words(op.gives),
        )
        for op in operations
    ]  # fmt: skip
    report(
        facts | {"operations": told},
        json_file,
        ("", "operation", "channel", "when", "repeat", "purpose", "gives"),
        rows,
    )


def _state(one: "Partner") -> str:
    if one.enabled and one.agent is not None and one.agent.suspended:
        return f"{one.mode}, suspended"
    return one.mode if one.enabled else "off"


def _known(register: "Register", id: str) -> "Partner":
    found = register.partners.get(id)
    if found is None:
        raise click.BadParameter(f"no partner '{id}'; see `hub partner list`", param_hint="ID")
    return found


def _columns(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each column of a partner's line."""
    told = {
        "adapter": "How the partner is spoken to; two apart by a blank.",
        "like": "Take everything that is not given from this partner.",
        "serves": "Whose messages it gets: mission=LIL, or hotel_code=MKH-1,MKH-2.",
        "name_en": "Its name in English.",
        "name_ar": "Its name in Arabic.",
        "role": "agent, company, health or body; body if not given.",
        "endpoint": "Where it is: '${NAME}' or '${NAME}/path', NAME being a setting.",
        "folders": "Where its files pass, if it is called as well.",
        "secret": "What is signed with: '${NAME}'.",
        "ca": "The only authority trusted for its certificate: '${NAME}'.",
        "cert": "Our certificate for it: '${NAME}'.",
        "signers": "The certificates that it signs SOAP calls with: '${NAME}'.",
        "zone": "The network from which it can be reached.",
        "desk": "Whom to ring.",
        "phone": "With the country's code: '+999 10 000 0001'.",
        "hours": "When somebody answers: 08:00-16:00 Africa/Tunis.",
        "email": "Where to write.",
        "concurrency": "Calls at once.",
        "per_second": "Calls a second.",
        "timeout": "Time for one whole call, with its unit: 30s.",
        "calls_per_second": "Calls a second that we take of it at our doors.",
        "calls_per_day": "Calls a day that we take of it at our doors.",
        "certificates": "SHA-256 of the certificates by which it is known; several apart by a blank.",
        "country": "Of an agent: ISO 3166 alpha-3.",
        "mission": "Of an agent: the mission its groups belong to.",
        "company": "Of an agent: the Umrah company its groups belong to.",
        "quota": "Of an agent: pilgrims a season.",
        "date_order": "Of an agent: DMY or MDY in the dates of its files.",
        "mode": "test sends to the partner's simulated address only.",
    }
    for name, text in reversed(told.items()):
        many = {"multiple": True} if name in ("adapter", "serves") else {}
        command = click.option(f"--{name.replace('_', '-')}", name, help=text, **many)(command)  # type: ignore[arg-type]
    return command


@partner.command("add", short_help="Add a partner while the hub runs.")
@click.argument("id")
@_columns
@click.option("--disabled", is_flag=True, help="Known and checked, but nothing passes until `hub partner enable`.")
@settings_option
def partner_add(id: str, disabled: bool, settings_file: Path | None, **given: Any) -> None:
    """Add partner ID, live: no file is edited, and a hub at work follows within a second.

    The row is checked as one of partners.yaml is; who added it is in the audit. A new embassy of a kind that the hub
    knows already is one such line: hub partner add mission_lilliput --like mission_cairo --serves mission=LIL …
    """
    from hub.partners import Fault, flat

    line = {name: value for name, value in given.items() if isinstance(value, str)}
    line |= {"id": id, "adapter": " ".join(given["adapter"]), "serves": "; ".join(given["serves"])}
    if disabled:
        line["enabled"] = "false"
    faults: list[Fault] = []
    one = flat.overlaid(line, the_register(settings_file).partners, f"partner {id}", 1, faults)
    if one is None:
        raise click.ClickException("\n".join(fault.text for fault in faults))
    _change(load(settings_file), [one])
    _told(settings_file, [id])


@partner.command("import", short_help="Add partners from a CSV file, all or none.")
@click.argument("file", type=FILE)
@settings_option
@json_option
def partner_import(file: Path, settings_file: Path | None, json_file: Path | None) -> None:
    """Add every partner of CSV FILE, or none: each fault of each row is told with its line.

    The heading names the columns as the options of `hub partner add` do, with underscores: id, adapter or like,
    name_en, name_ar, serves, endpoint, desk, phone, mode, enabled … A cell left empty is as if not given.
    """
    from hub.partners import flat

    found, faults = flat.read(file.read_bytes(), the_register(settings_file).partners, file.name)
    if not faults:
        _change(load(settings_file), found, json_file)
    else:
        _refuse(faults, json_file)
    partners = the_register(settings_file).partners
    rows = [(one.id, _state(partners[one.id])) for one in found]
    report({"added": [one.id for one in found]}, json_file, ("added", "is"), rows)


@partner.command("enable", short_help="Let things pass again.")
@click.argument("ids", nargs=-1, required=True)
@settings_option
def partner_enable(ids: Sequence[str], settings_file: Path | None) -> None:
    """Let things pass between the hub and partners IDS; what waits for them is sent."""
    from hub.partners import Overlaid

    _change(load(settings_file), [Overlaid(id=id, enabled=True) for id in ids])
    _told(settings_file, ids)


@partner.command("disable", short_help="Let nothing pass.")
@click.argument("ids", nargs=-1, required=True)
@settings_option
def partner_disable(ids: Sequence[str], settings_file: Path | None) -> None:
    """Let nothing pass between the hub and partners IDS: nothing is sent, collected or taken from them.

    What waits stays where it is. What would be sent to one of them from now on is put before a person.
    """
    from hub.partners import Overlaid

    _change(load(settings_file), [Overlaid(id=id, enabled=False) for id in ids])
    _told(settings_file, ids)


@partner.command("suspend", short_help="Let agents file nobody new.")
@click.argument("ids", nargs=-1, required=True)
@settings_option
def partner_suspend(ids: Sequence[str], settings_file: Path | None) -> None:
    """Let agents IDS file no new group and no new pilgrim, until `hub partner resume`.

    What they have filed goes on, and they read and decide as before.
    """
    _suspend(settings_file, ids, True)


@partner.command("resume", short_help="Let agents file again.")
@click.argument("ids", nargs=-1, required=True)
@settings_option
def partner_resume(ids: Sequence[str], settings_file: Path | None) -> None:
    """Let agents IDS, who were suspended, file groups and pilgrims again."""
    _suspend(settings_file, ids, False)


def _suspend(settings_file: Path | None, ids: Sequence[str], suspended: bool) -> None:
    from hub.partners import Overlaid

    register = the_register(settings_file)
    for id in ids:
        if _known(register, id).agent is None:
            raise click.BadParameter(f"{id} is no agent", param_hint="IDS")
    _change(load(settings_file), [Overlaid(id=id, suspended=suspended) for id in ids])
    _told(settings_file, ids)


@partner.command("certificates", short_help="Say by which certificates a partner is known.")
@click.argument("id")
@click.argument("sha256", nargs=-1)
@settings_option
def partner_certificates(id: str, sha256: Sequence[str], settings_file: Path | None) -> None:
    """Know partner ID by the certificates with these SHA256, and by no others; without any, by none.

    What `openssl x509 -noout -fingerprint -sha256` prints is taken as it is. One that is left out is refused within a
    second: that is how a certificate is withdrawn. While one is being changed, name both.
    """
    import re

    from hub.partners import Overlaid
    from hub.partners.partner import CERTIFICATE

    found = tuple(one.rpartition("=")[2].replace(":", "").lower() for one in sha256)
    for one in found:
        if not re.fullmatch(CERTIFICATE, one):
            raise click.BadParameter("a SHA-256 has 64 hex digits", param_hint="SHA256")
    _change(load(settings_file), [Overlaid(id=id, certificates=found)])
    _told(settings_file, [id])


@partner.command("mode", short_help="Switch partners to test, or live.")
@click.argument("mode", type=click.Choice(["test", "live"]))
@click.argument("ids", nargs=-1, required=True)
@settings_option
def partner_mode(mode: Any, ids: Sequence[str], settings_file: Path | None) -> None:
    """Switch partners IDS to test or live.

    In test everything is done as in life, and sent to ${SIMULATED_URL}/ID (files: ${SIMULATED_ROOT}/ID), where
    `hub partner simulate ID` or `hub simulate` plays them. The partners themselves are not touched.
    """
    from hub.partners import Overlaid

    known = the_register(settings_file).partners
    for id in ids:
        if mode == "live" and id in known and known[id].role == "agent" and known[id].mode == "test":
            raise click.UsageError(f"{id} is an agent: it goes live by `hub partner promote {id}`")
    _change(load(settings_file), [Overlaid(id=id, mode=mode) for id in ids])
    _told(settings_file, ids)


@partner.command("simulate", short_help="Play one partner, for anyone's client.")
@click.argument("id")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to answer at; 0 takes a free one.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="Where its files pass and its books are kept."
)
@click.option(
    "--fault",
    default="none",
    show_default=True,
    help="some, storm, or one kind, always: refuse, reset, closed, garbage …",
)
@click.option("--seed", default=1, show_default=True, help="The same seed decides the same.")
@settings_option
def partner_simulate(
    id: str, port: int, folder: Path | None, fault: str, seed: int, settings_file: Path | None
) -> None:
    """Play partner ID on a port and in a folder, for the hub in test mode or for anyone's client.

    It reads its contract and maps as `hub simulate` does and says where it is; Ctrl-C ends it. Its files pass in
    FOLDER/ID/to_partner and FOLDER/ID/from_partner. Without --folder a fresh one is made.
    """
    import secrets
    import tempfile

    from hub.partners import Overlaid
    from hub.security.redaction import configure_logging
    from hub.simulate.faults import KINDS, RATES
    from hub.simulate.process import run

    if fault not in (*RATES, *KINDS):
        raise click.BadParameter(f"it is one of {', '.join((*RATES, *KINDS))}", param_hint="--fault")
    configure_logging()
    register = the_register(settings_file)
    one = _known(register, id)
    found = load(settings_file)
    place = folder.resolve() if folder else Path(tempfile.mkdtemp(prefix=f"{id}-"))
    place.mkdir(parents=True, exist_ok=True)
    shared = dict(found.secrets)
    made = []
    played = one.switched(Overlaid(id=id, enabled=True, mode="test"))
    for name in played.needs:
        if name not in found.addresses and name not in shared and not name.startswith("SIMULATED_"):
            shared[name] = secrets.token_hex(32)
            made.append(name)
    port = port or _free_port()
    addresses = {**found.addresses, "SIMULATED_URL": f"http://127.0.0.1:{port}", "SIMULATED_ROOT": str(place)}
    found = dataclasses.replace(found, addresses=addresses, secrets=shared)
    played = played.within(found)
    for op in played.operations.values():
        if op.direction == "out" and op.channel in ("soap", "rest"):
            click.echo(
                f"{op.name}: {op.wire.get('method', 'POST')} {played.target(op).endpoint}{op.wire.get('path', '')}"
            )
        elif op.channel == "files":
            click.echo(f"{op.name}: {played.folder('to_partner' if op.direction == 'out' else 'from_partner')}")
    for name in made:
        click.echo(f"{name} is not set; signed with {shared[name]}")
    run(found, place, seed, fault, port, register.just(played))


@partner.command("sheet", short_help="One partner on one page.")
@click.argument("id")
@settings_option
@json_option
def partner_sheet(id: str, settings_file: Path | None, json_file: Path | None) -> None:
    """Print partner ID on one page: endpoints, keys, calendar, cut-offs, contacts and error codes.

    For whoever sits at the partner's desk, or on the phone with it. Names of secrets are shown, never their values.
    """
    from hub.cli.sheet import lines, sheet

    register = the_register(settings_file)
    found = sheet(register, _known(register, id), load(settings_file))
    report(found, json_file, (found["id"], f"{found['name']['en']} · {found['name']['ar']}"), lines(found))


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _change(found: Settings, changes: Sequence["Overlaid"], json_file: Path | None = None) -> None:
    from hub.exchange.control import change
    from hub.partners import RegisterFaults

    try:
        change(found, changes)
    except RegisterFaults as wrong:
        _refuse(wrong.faults, json_file)


def _refuse(faults: Sequence[Any], json_file: Path | None) -> None:
    found = [{"file": one.path, "line": one.line, "text": one.text} for one in faults]
    rows = [(f"{one.path}:{one.line}", one.text) for one in faults]
    report({"faults": found}, json_file, ("where", "what is wrong"), rows)
    click.echo(f"Nothing was changed: {len(found)} faults.", err=True)
    sys.exit(1)


def _told(settings_file: Path | None, ids: Sequence[str]) -> None:
    register = the_register(settings_file)
    for id in ids:
        one = register.partners[id]
        wants = f"; needs {', '.join(one.missing)}" if one.missing else ""
        click.echo(f"{id}: {_state(one)}{wants}")
