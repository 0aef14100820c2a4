"""Which field of ours a place of theirs may be: by its name, then by what can stand in it."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

import yaml

from hub.canonical.declare import Shape, shapes
from hub.canonical.names import fold
from hub.mapping.draft.wire import Place, Wire

#: Below this likeness of names a guess would only mislead.
_LIKELY = 0.6
_HERE = Path(__file__).parent


@dataclass(slots=True)
class Guess:
    """What one scope of theirs seems to be of ours: a field for each leaf, a scope for each list, by the place's id."""

    cls: type
    leaves: dict[int, tuple[str, Shape]] = field(default_factory=dict)
    lists: dict[int, tuple[str, "Guess"]] = field(default_factory=dict)
    score: float = 0.0

    def missing(self) -> list[str]:
        """Our required fields that nothing of theirs seems to fill."""
        used = {name for name, _ in self.leaves.values()} | {name for name, _ in self.lists.values()}
        return [name for name, shape in _leaves(self.cls) if not shape.optional and name not in used]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A leaf of theirs with the names that it goes by, the shortest first."""

    place: Place
    names: tuple[str, ...]


def words(text: str) -> list[str]:
    """The words of a name, however it is run together."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    return [word for word in re.split(r"[\W_]+", fold(parted)) if word]


@lru_cache(maxsize=20_000)
def _squeezed(text: str) -> str:
    return "".join(words(text))


@cache
def _known() -> Mapping[str, tuple[str, ...]]:
    said = yaml.safe_load((_HERE / "words.yaml").read_text("utf-8"))
    return {name: tuple(_squeezed(str(word)) for word in (name, *spelled)) for name, spelled in said.items()}


@cache
def _codes() -> Mapping[str, frozenset[str]]:
    said = yaml.safe_load((_HERE / "codes.yaml").read_text("utf-8"))
    return {str(ours): frozenset(_squeezed(str(word)) for word in spelled) for ours, spelled in said.items()}


# --- one name against one field -----------------------------------------------------------------------------------


def likeness(names: Iterable[str], ours: str) -> float:
    """How much one of *names* (the bare name first, then with what it stands in) is like our field *ours*, 0 to 1."""
    last = ours.rpartition(".")[2]
    # What agrees together with what it stands in says more.
    return max(
        (_like(name, last) + 0.1 * (depth if _exact(name, last) else 0) for depth, name in enumerate(names)),
        default=0.0,
    )


def _spellings(ours: str) -> tuple[str, ...]:
    return _known().get(ours) or (_squeezed(ours),)


def _exact(name: str, ours: str) -> bool:
    return name in _spellings(ours)


@lru_cache(maxsize=100_000)
def _like(name: str, ours: str) -> float:
    known = _spellings(ours)
    if not name:
        return 0.0
    if name in known:
        # A spelling that stands early in the list is meant more often.
        return 1.0 - 0.01 * known.index(name)
    best = 0.0
    close = difflib.get_close_matches(name, known, 1, 0.85)
    if close and min(len(name), len(close[0])) > 4:
        best = 0.5 + 0.3 * difflib.SequenceMatcher(None, name, close[0]).ratio()
    for word in known:
        if len(word) > 5 and (name.endswith(word) or name.startswith(word)):
            best = max(best, 0.62 + 0.2 * len(word) / len(name))
    return best


def fits(place: Place, shape: Shape, format: str) -> bool:
    """Whether what stands in *place* can be a value of *shape* in some form."""
    kind = place.kind
    match shape.kind:
        case "text":
            if kind in ("date", "datetime", "boolean") or (kind == "decimal" and not place.values):
                return False
            return not (place.number and format == "json")
        case "integer":
            return kind == "integer" or (kind == "text" and not place.values and place.longest is None)
        case "decimal":
            return kind in ("decimal", "integer") or (kind == "text" and not place.values)
        case "date" | "datetime":
            return kind == shape.kind or (kind == "text" and not place.values and not place.seen)
        case "boolean":
            return kind == "boolean"
    return False


def code(theirs: str, allowed: Iterable[str]) -> str | None:
    """The one of our codes that *theirs* seems to mean; None where none or several may be meant."""
    text = _squeezed(theirs) or fold(theirs)
    ours = list(allowed)
    for tried in (
        [one for one in ours if _squeezed(one) == text],
        [one for one in ours if text in _codes().get(one, ())],
        [one for one in ours if len(text) > 2 and (_squeezed(one).startswith(text) or text.startswith(_squeezed(one)))],
        [one for one in ours if len(text) <= 2 and text.isalpha() and _squeezed(one).startswith(text)],
        [one for one in ours if len(text) == 3 and _bones(one)[:3] == text],
    ):
        if tried:
            return tried[0] if len(tried) == 1 else None
    return None


def _bones(word: str) -> str:
    plain = _squeezed(word)
    return plain[:1] + re.sub("[aeiou]", "", plain[1:])


# --- whole scopes -------------------------------------------------------------------------------------------------


def _leaves(cls: type, prefix: str = "") -> Iterator[tuple[str, Shape]]:
    """Our leaves and lists of one scope, parts that stand once gone through."""
    for name, shape in shapes(cls).items():
        if shape.part is not None and not shape.many:
            yield from _leaves(shape.part, f"{prefix}{name}.")
        elif not (shape.many and shape.part is None):
            yield f"{prefix}{name}", shape


def scope(cls: type, places: list[Place], format: str) -> Guess:
    """The best reading of *places* as the fields of *cls*."""
    guess = Guess(cls)
    theirs, lists = _gathered(places)
    ours = list(_leaves(cls))
    found = sorted(
        (
            (score, -n, -m)
            for n, leaf in enumerate(theirs)
            for m, (name, shape) in enumerate(ours)
            if not shape.many and fits(leaf.place, shape, format)
            and (score := likeness(leaf.names, name) + _typed(leaf.place, shape)) >= _LIKELY
        ),
        reverse=True,
    )  # fmt: skip
    taken: set[int] = set()
    for score, n, m in found:
        leaf, (name, shape) = theirs[-n], ours[-m]
        if id(leaf.place) in guess.leaves or m in taken:
            continue
        guess.leaves[id(leaf.place)] = name, shape
        taken.add(m)
        guess.score += min(score, 1.0)
    for name, shape in ours:
        if not shape.many or shape.part is None:
            continue
        options = [
            (inner.score + 0.5 * likeness(leaf.names, name), leaf.place, inner)
            for leaf in lists
            if id(leaf.place) not in guess.lists and (inner := scope(shape.part, leaf.place.children, format)).score > 0
        ]
        if options:
            score, place, inner = max(options, key=lambda option: option[0])
            guess.lists[id(place)] = name, inner
            guess.score += score
    return guess


def adopt(guess: Guess | None, places: list[Place], format: str) -> None:
    """Where one list of ours and one of theirs are left over, the one is taken for the other, whatever it is called."""
    if guess is None:
        return
    theirs = [leaf.place for leaf in _gathered(places)[1]]
    named = {name for name, _ in guess.lists.values()}
    ours = [(name, shape.part) for name, shape in _leaves(guess.cls) if shape.many and shape.part and name not in named]
    left = [place for place in theirs if id(place) not in guess.lists and place.children]
    if len(ours) == len(left) == 1:
        name, part = ours[0]
        guess.lists[id(left[0])] = name, scope(part, left[0].children, format)
        left[0].note = left[0].note or "the only list left of theirs and of ours"
    for place in theirs:
        if id(place) in guess.lists:
            adopt(guess.lists[id(place)][1], place.children, format)


def sampled(cls: type, wire: Wire) -> Guess:
    """The reading of an XML sample: what stands there once may be the only item of a list."""
    best = scope(cls, wire.places, wire.format)
    for place in list(_parts(wire.places)):
        if len(best.lists) == sum(shape.many and shape.part is not None for _, shape in _leaves(cls)):
            break
        place.many = True
        tried = scope(cls, wire.places, wire.format)
        if tried.score > best.score and id(place) in tried.lists:
            best, place.note = tried, "stands once in the sample; taken for a list of ours"
        else:
            place.many = False
    return best


def _parts(places: list[Place]) -> Iterator[Place]:
    """Places that hold others and stand once, the outer first."""
    for place in places:
        if not place.many and sum(child.kind is not None or bool(child.children) for child in place.children) > 1:
            yield place
        if not place.many:
            yield from _parts(place.children)


def _typed(place: Place, shape: Shape) -> float:
    """A little more for a place that says it holds exactly what ours does."""
    if place.values and not place.seen and shape.one_of:
        understood = sum(code(value, shape.one_of) is not None for value in place.values)
        return 0.3 * understood / len(place.values) - 0.1
    return 0.03 if place.kind == shape.kind and shape.kind != "text" else 0.0


def _gathered(places: list[Place], outer: tuple[str, ...] = ()) -> tuple[list[_Leaf], list[_Leaf]]:
    """The leaves and the lists of one scope, with the names they go by."""
    leaves, lists = [], []
    for place in places:
        name = place.name.removeprefix("@")
        way = (*outer, name)
        names = tuple(
            _squeezed("".join(f"{step} " for step in way[-depth:])) for depth in (1, 2, 3) if depth <= len(way)
        )
        # What its column is called may be said in two languages.
        spelled = tuple(_squeezed(part) for part in name.split(" / ")) if " / " in name else ()
        entry = _Leaf(place, (*spelled, *names))
        if place.blocked:
            continue
        if place.many:
            lists.append(entry)
            continue
        if place.kind is not None and place.always is None:
            leaves.append(entry)
        inner = _gathered(place.children, way)
        leaves += inner[0]
        lists += inner[1]
    return leaves, lists


# --- whole messages -----------------------------------------------------------------------------------------------


def kinds_of_line(cls: type, wire: Wire) -> list[Guess | None]:
    """For each kind of line of a file, what of ours it holds: the head of the message, an item of a list, nothing."""
    found: list[Guess | None] = []
    lists = [(name, shape.part) for name, shape in _leaves(cls) if shape.many and shape.part is not None]
    free = dict(lists)
    for line in wire.lines:
        if not line.many:
            found.append(scope(cls, line.places, wire.format))
            continue
        options = [(scope(part, line.places, wire.format), name) for name, part in free.items()]
        best = max(options, key=lambda option: option[0].score, default=None)
        if best is None:
            found.append(None)
            continue
        inner, name = best
        free.pop(name)
        guess = Guess(cls, lists={id(line): (name, inner)}, score=inner.score)
        found.append(guess)
    return found


def message(wire: Wire, name: str, part: str, messages: Mapping[str, type]) -> tuple[str, list[str]]:
    """The message that *wire* is most like, and the runners-up that come near it."""
    ranked: list[tuple[float, str]] = []
    for called, cls in messages.items():
        if wire.format == "csv" and not any(shape.many and shape.part for _, shape in _leaves(cls)):
            continue
        if wire.lines:
            guesses = [guess for guess in kinds_of_line(cls, wire) if guess is not None]
            score = sum(guess.score for guess in guesses)
            theirs = sum(len(_gathered(line.places)[0]) for line in wire.lines)
            lacking = sum(len(inner.missing()) for guess in guesses for _, inner in guess.lists.values())
        else:
            guess = scope(cls, wire.places, wire.format)
            score, theirs = guess.score, _size(wire.places)
            lacking = len(guess.missing()) + sum(len(inner.missing()) for _, inner in guess.lists.values())
        # As much of theirs as can be, with as little of ours left unfilled as can be.
        worth = 2 * score / (max(score, min(theirs, 30)) + score + lacking) if score else 0.0
        worth += 0.25 * _alike(name, called) + (0.1 if _answers(called) == (part == "reply") else -0.1)
        ranked.append((worth, called))
    ranked.sort(reverse=True)
    best = ranked[0]
    return best[1], [called for worth, called in ranked[1:4] if worth > best[0] - 0.15]


def _size(places: list[Place]) -> int:
    return sum(
        _size(place.children) + (place.kind is not None and place.always is None) if not place.blocked else 0
        for place in places
        if place.required
    )


def _alike(name: str, called: str) -> float:
    ours, theirs = set(words(called)), set(words(name))
    stems = {word[:5] for word in theirs}
    return sum(word[:5] in stems for word in ours) / len(ours)


def _answers(called: str) -> bool:
    return words(called)[-1] in ("reply", "answer", "received", "registered", "outcome", "outcomes", "statuses")
