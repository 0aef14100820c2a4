"""How a draft is laid out: YAML that is quoted where it must be, aligned, and commented within the measure."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_WIDTH = 116
_PLAIN = re.compile(r"[^\W\d_](?:[\w ./()@-]*[\w./()-])?|[0-9]+-[0-9]+")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "todo", "~"}


def scalar(text: str) -> str:
    """*text* as YAML, quoted where it would be read as something else."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _WORDS:
        return text
    return quoted(text)


def quoted(text: str) -> str:
    plain = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in plain)


@dataclass(slots=True)
class Line:
    """A line of the draft: a key with its value, or a key whose value is what follows further in."""

    depth: int
    key: str
    value: str = ""
    comment: str = ""


def table(name: str, codes: list[tuple[str, str]], comment: str) -> Iterator[str]:
    pairs = [f"{scalar(theirs)}: {scalar(ours) if ours != 'todo' else 'todo'}" for theirs, ours in codes]
    short = f"  {scalar(name)}: {{{', '.join(pairs)}}}"
    if len(short) <= _WIDTH - 20 and "partial: " not in short:
        yield f"  # {comment}"
        yield short
        return
    yield commented(f"  {scalar(name)}:", comment)
    for pair in pairs:
        yield f"    {pair}"


def aligned(lines: list[Line]) -> Iterator[str]:
    wide = max((len(line.key) + 2 * line.depth for line in lines if line.value and line.key), default=0)
    column = min(wide + 2, 48)
    for line in lines:
        start = "  " * line.depth
        if not line.key:
            yield from wrapped([line.comment], start)
        elif not line.value:
            yield commented(f"{start}{line.key}:", line.comment)
        else:
            key = f"{start}{line.key}:".ljust(column - 1)
            yield commented(f"{key} {line.value}", line.comment)


def commented(text: str, comment: str) -> str:
    comment = "".join(sign for sign in " ".join(comment.split()) if sign.isprintable())
    if not comment:
        return text.rstrip()
    room = max(_WIDTH - len(text) - 4, 40)
    return f"{text.rstrip()}   # {comment if len(comment) <= room else comment[: room - 1] + '…'}"


def wrapped(notes: list[str], start: str = "") -> Iterator[str]:
    for note in notes:
        line = ""
        for word in "".join(sign if sign.isprintable() else " " for sign in note).split():
            if line and len(start) + len(line) + len(word) > _WIDTH - 4:
                yield f"{start}# {line}"
                line = " "
            line = f"{line} {word}" if line else word
        yield f"{start}# {line}"


def value(text: str) -> str:
    if text == "todo" or (re.fullmatch(r"[\w.]+(?: \| [\w .:/-]+)?", text) and ": " not in text):
        return text
    if re.fullmatch(r"= (?:'[\w ./-]*'|count\([\w.]+\)(?: \| \w+)?)", text):
        return text
    return quoted(text)
