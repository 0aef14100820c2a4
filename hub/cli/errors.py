"""The catalogue of errors, for whoever meets one and for the page that partners read."""

from pathlib import Path
from typing import Any

import click

from hub.canonical.errors import Entry, catalogue, explain
from hub.cli.report import json_option, report

_PAGE = """\
# Error codes

Every refusal carries one of these codes, its text in English and Arabic, and who must act. The codes are stable: a
program decides by the code, a person reads the text. *Status* is the HTTP status of a door; in files and SOAP faults
the same code stands beside the row or in the fault's detail. An ellipsis stands for what a text names when it is given:
a field, a place in a file, a limit; never a value that somebody sent.

This page is written by `hub errors --page`.

| code | status | who acts | English | العربية |
|---|---|---|---|---|
"""


@click.command(short_help="What each error code means.")
@click.argument("code", required=False)
@click.option("--page", is_flag=True, help="As the page docs/errors.md.")
@json_option
def errors(code: str | None, page: bool, json_file: Path | None) -> None:
    """Say what CODE means, in English and Arabic, and who must act; without CODE every code there is."""
    found = catalogue()
    if code is not None and code not in found:
        near = sorted(one for one in found if code in one)
        raise click.ClickException(f"{code}: no such code{'; is it one of ' + ', '.join(near) if near else ''}")
    entries = [found[code]] if code is not None else [found[one] for one in sorted(found)]
    if page:
        click.echo(_PAGE + "\n".join(_line(one) for one in entries))
        return
    rows = [_row(one) for one in entries]
    columns = ("code", "status", "who", "en", "ar")
    report(rows, json_file, columns, [[str(row[name]) for name in columns] for row in rows])


def _row(one: Entry) -> dict[str, Any]:
    en, ar = _texts(one)
    return {"code": one.code, "status": one.status, "who": one.who, "en": en, "ar": ar}


def _line(one: Entry) -> str:
    en, ar = (text.replace("|", r"\|") for text in _texts(one))
    return f"| `{one.code}` | {one.status} | {one.who} | {en} | {ar} |"


def _texts(one: Entry) -> tuple[str, str]:
    return explain(one.en, {}), explain(one.ar, {})
