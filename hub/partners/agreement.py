"""Whether a manifest agrees with the messages that its operations' maps carry, and the maps with their purpose."""

from collections.abc import Iterable, Mapping
from functools import cache

from hub.canonical.declare import Shape, shapes, walk
from hub.canonical.messages import MESSAGES
from hub.partners.documents import did_you_mean, listed
from hub.partners.manifest import DELIVERED, RECEIVED, Operation


def outcomes(op: Operation, tells: type | None) -> tuple[str, ...]:
    """Every outcome that *op* can have; *tells* is the message that says it: what comes back, or what comes in."""
    handed = (DELIVERED,) if op.direction == "out" and op.channel == "files" else ()
    if tells is None:
        return handed
    outcome = _known(op, tells).get("outcome")
    return (*handed, *((outcome.one_of or ()) if outcome else (RECEIVED,)))


def unsaid(op: Operation, sends: type | None, tells: type | None) -> Iterable[tuple[str, str]]:
    """What the manifest says of fields that its messages do not have, as pairs of key and text.

    *sends* is the message of what we send, *tells* of what comes back or comes in; None where there is none.
    """
    if tells is not None:
        lists = {s.name for s in shapes(tells).values() if s.many and s.part}
        if op.each is not None and op.each not in lists:
            yield "each", f"{tells.__name__} has no list '{op.each}'{did_you_mean(op.each, lists) or _there(lists)}"
            return
        known = _known(op, tells)
        for kind, names in op.find.items():
            # our own API names the thing in its path, which is no field of the message
            fields = [name for name in names if op.channel != "api" and not _derived(op, tells, name)]
            yield from _absent("find", fields, known, tells, f"to find the {kind} by")
        yield from _absent("key", op.key, known, tells, "to know it again by")
        yield from _absent("happened", (op.happened,) if op.happened else (), known, tells, "to say when it happened")
        yield from _absent(
            "sequence", (op.sequence,) if op.sequence else (), _leaves(tells), tells, "to number the file"
        )
    if sends is not None and op.keyed is not None:
        parts = [s.part for s in shapes(sends).values() if s.many and s.part is not None]
        known = {name: shape for cls in (sends, *parts) for name, shape in _leaves(cls).items()}
        yield from _absent("repeat", (op.keyed,), known, sends, "to be our key")


def unsaid_outcomes(op: Operation, told: Iterable[str], later: Iterable[str]) -> Iterable[tuple[str, str]]:
    """What ``gives:`` and ``simulate:`` say of outcomes that nothing tells.

    *told* are the operation's own outcomes, *later* those of the operation that the partner ``sends`` afterwards.
    """
    told, later = set(told), set(later)
    for outcome in op.gives:
        if outcome not in told:
            yield "gives", f"outcome '{outcome}' is never told{did_you_mean(outcome, told) or _there(told)}"
    for outcome in op.simulate.outcomes if op.simulate else ():
        if outcome not in told | later:
            yield "simulate", f"outcome '{outcome}' is never told{did_you_mean(outcome, told | later) or _there(told)}"


@cache
def paths() -> frozenset[str]:
    """Every canonical path that a message carries: what ``mappings/purposes.yaml`` may list."""
    return frozenset(shape.path for cls in MESSAGES.values() for _, shape in walk(cls) if shape.path)


def _known(op: Operation, tells: type) -> Mapping[str, Shape]:
    """The fields of a line of *tells*, and of the message around it."""
    line = shapes(tells).get(op.each or "")
    return {**_leaves(tells), **(_leaves(line.part) if line and line.part else {})}


def _derived(op: Operation, tells: type, name: str) -> bool:
    """Whether a line of *tells* makes *name* of what it holds."""
    line = shapes(tells).get(op.each or "")
    return isinstance(getattr(line.part if line and line.part else tells, name, None), property)


def _leaves(cls: type) -> Mapping[str, Shape]:
    return {name: shape for name, shape in shapes(cls).items() if shape.part is None}


def _there(words: Iterable[str]) -> str:
    return f"; there are {listed(words)}" if words else ""


def _absent(
    key: str, names: Iterable[str], known: Mapping[str, Shape], message: type, use: str
) -> Iterable[tuple[str, str]]:
    for name in names:
        if name not in known:
            yield key, f"{message.__name__} has no field '{name}' {use}{did_you_mean(name, known) or _there(known)}"
