"""What a map may carry: our messages and their fields, as they are declared."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.report import json_option, report

if TYPE_CHECKING:
    from hub.canonical.declare import Shape


@click.command("fields", short_help="Our messages, and what may stand in them.")
@click.argument("message", required=False)
@json_option
def fields(message: str | None, json_file: Path | None) -> None:
    """The fields of MESSAGE: what each is, whether it must be there, and the path by which a purpose allows it.

    Without MESSAGE, every message of ours that a map may name.
    """
    from hub.canonical.messages import MESSAGES
    from hub.mapping.grammar import closest

    if message is None:
        all_ = [{"message": name, "says": _says(cls)} for name, cls in sorted(MESSAGES.items())]
        report(all_, json_file, ("message", "what it says"), [(one["message"], one["says"]) for one in all_])
        return
    if message not in MESSAGES:
        raise click.ClickException(f"we have no message '{message}'{closest(message, MESSAGES)}")
    found = list(_fields(MESSAGES[message], ""))
    rows = [(one["field"], one["is"], "required" if one["required"] else "", one["path"]) for one in found]
    report(found, json_file, ("field", "is", "", "path"), rows)


def _says(cls: type) -> str:
    doc = cls.__doc__ or ""
    if doc.startswith(f"{cls.__name__}("):  # what dataclasses write where nobody wrote anything
        return ""
    return " ".join(doc.split("\n\n")[0].split())


def _fields(cls: type, way: str) -> Iterator[dict[str, Any]]:
    """The fields of *cls*, those of its parts behind the name of the part; ``[]`` marks a list."""
    from hub.canonical.declare import shapes

    for name, shape in shapes(cls).items():
        told = {"field": way + name, "is": _is(shape), "required": not (shape.optional or shape.many)}
        yield told | {"path": shape.path or ""}
        if shape.part is not None:
            yield from _fields(shape.part, f"{way}{name}{'[]' if shape.many else ''}.")


def _is(shape: "Shape") -> str:
    if shape.part is not None:
        return f"a list of {shape.part.__name__}" if shape.many else shape.part.__name__
    if shape.one_of:
        return ", ".join(shape.one_of)
    if shape.kind == "text":
        return f"text, at most {shape.longest}{f', {shape.pattern}' if shape.pattern else ''}"
    if shape.kind == "integer":
        return f"integer, {shape.low} to {shape.high}"
    if shape.kind == "decimal":
        return f"decimal, {shape.digits} digits, {shape.places} of them behind the point"
    return str(shape.kind)
