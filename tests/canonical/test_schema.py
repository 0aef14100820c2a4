import json
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from hub.canonical import schema
from hub.canonical.case import Pilgrim
from hub.canonical.declare import Shape, canonical, decimal, faults, integer, plain, shapes, text
from hub.canonical.entities import Programme
from hub.canonical.errors import HubError, catalogue
from hub.canonical.messages import MESSAGES
from hub.canonical.schema import dump, loads_strict, problems, schema_for, undump


@canonical
class Part:
    code: str = text(5, one_of=("a", "b"))


@canonical
class Whole:
    name: str = text(10, shortest=2, path="x")
    letters: str | None = text(5, pattern=r"[A-Z]+", default=None)
    count: int = integer(1, 9)
    price: Decimal = decimal(7, 2)
    change: Decimal | None = decimal(5, 2, signed=True, default=None)
    pieces: Decimal | None = decimal(3, 0, default=None)
    day: date = plain()
    at: datetime = plain()
    flag: bool = plain(default=False)
    part: Part | None = plain(default=None)
    parts: list[Part] = plain(default=[])
    words: list[str] = plain(default=[])


GOOD: dict[str, Any] = {
    "name": "نص", "count": 3, "price": "12345.67", "day": "2026-02-18", "at": "2026-02-18T12:00:00+03:00",
    "part": {"code": "a"}, "parts": [{"code": "b"}], "words": ["x"], "flag": True,
}  # fmt: skip


def wrong(**changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        schema_for(Whole)().load(GOOD | changes)
    return [(problem["code"], problem["field"]) for problem in problems(caught.value)]


def test_load_gives_the_object() -> None:
    found = schema_for(Whole)().load(GOOD)
    assert found == Whole(
        name="نص", count=3, price=Decimal("12345.67"), day=date(2026, 2, 18), at=datetime(2026, 2, 18, 9, tzinfo=UTC),
        flag=True, part=Part(code="a"), parts=[Part(code="b")], words=["x"],
    )  # fmt: skip
    assert found.at.tzinfo == UTC
    assert list(faults(found)) == []


def test_what_is_absent_takes_its_default_and_lists_are_not_shared() -> None:
    small = {name: GOOD[name] for name in ("name", "count", "price", "day", "at")}
    one, two = schema_for(Whole)().load(small), schema_for(Whole)().load(small)
    assert one == two and one.parts is not two.parts and one.part is None and one.flag is False


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"nmae": "x"}, "unknown_field", "nmae"),
        ({"part": {"code": "a", "more": 1}}, "unknown_field", "part.more"),
        ({"name": None}, "required", "name"),
        ({"name": "x"}, "invalid_length", "name"),
        ({"name": "x" * 11}, "invalid_length", "name"),
        ({"name": 12}, "invalid_type", "name"),
        ({"name": "a\0b"}, "invalid_characters", "name"),
        ({"name": "a\nb"}, "invalid_characters", "name"),
        ({"name": "a\u0085b"}, "invalid_characters", "name"),
        ({"name": "e\u0301t"}, "invalid_characters", "name"),
        ({"name": "a\u202eb"}, "invalid_characters", "name"),
        ({"name": "a\u2066b"}, "invalid_characters", "name"),
        ({"name": "a\u2028b"}, "invalid_characters", "name"),
        ({"letters": "ab"}, "invalid_pattern", "letters"),
        ({"count": "3"}, "invalid_type", "count"),
        ({"count": 3.0}, "invalid_type", "count"),
        ({"count": Decimal(3)}, "invalid_type", "count"),
        ({"count": True}, "invalid_type", "count"),
        ({"count": 0}, "invalid_range", "count"),
        ({"count": 10}, "invalid_range", "count"),
        ({"price": 12.5}, "invalid_type", "price"),
        ({"price": 12}, "invalid_type", "price"),
        ({"price": "1e3"}, "invalid_type", "price"),
        ({"price": "NaN"}, "invalid_type", "price"),
        ({"price": "١٢"}, "invalid_type", "price"),
        ({"price": " 1"}, "invalid_type", "price"),
        ({"price": "+1"}, "invalid_type", "price"),
        ({"price": "1."}, "invalid_type", "price"),
        ({"price": "1.234"}, "invalid_range", "price"),
        ({"price": "123456"}, "invalid_range", "price"),
        ({"price": "-1"}, "invalid_range", "price"),
        ({"pieces": "1.0"}, "invalid_range", "pieces"),
        ({"day": "2026-02-30"}, "invalid_type", "day"),
        ({"day": "2026-2-3"}, "invalid_type", "day"),
        ({"day": "20260203"}, "invalid_type", "day"),
        ({"day": "2026-W01-1"}, "invalid_type", "day"),
        ({"day": "٢٠٢٦-٠٢-٠٣"}, "invalid_type", "day"),
        ({"at": "2026-02-18T12:00:00"}, "invalid_type", "at"),
        ({"at": "2026-02-18"}, "invalid_type", "at"),
        ({"at": "0001-01-01T00:00:00+03:00"}, "invalid_type", "at"),
        ({"at": 1771405200}, "invalid_type", "at"),
        ({"flag": 1}, "invalid_type", "flag"),
        ({"flag": "true"}, "invalid_type", "flag"),
        ({"part": []}, "invalid_type", "part"),
        ({"parts": {}}, "invalid_type", "parts"),
        ({"parts": [{"code": "a"}, {"code": "c"}]}, "invalid_code", "parts.1.code"),
        ({"parts": [None]}, "required", "parts.0"),
        ({"words": [1]}, "invalid_type", "words.0"),
    ],
)  # fmt: skip
def test_each_strictness_is_coded_and_located(changes: dict[str, Any], code: str, field: str) -> None:
    assert wrong(**changes) == [(code, field)]


def test_required_fields_are_all_told_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        schema_for(Whole)().load({})
    assert {(p["code"], p["field"]) for p in problems(caught.value)} == {
        ("required", name) for name in ("name", "count", "price", "day", "at")
    }


def test_problems_repeat_no_value_and_no_strange_name() -> None:
    with pytest.raises(ValidationError) as caught:
        schema_for(Whole)().load(GOOD | {"count": "A1234567", "Zubayda <x>": 1, "letters": "zuba"})
    told = problems(caught.value)
    assert len(told) == 3 and not any(word in str(told) for word in ("A1234567", "Zubayda", "zuba"))
    for problem in told:
        assert problem["en"].startswith((problem["field"], "?")) and problem["ar"]


def test_a_body_that_is_no_object_is_told() -> None:
    for body in ([], "x", None, 3):
        with pytest.raises(ValidationError) as caught:
            schema_for(Whole)().load(body)  # type: ignore[arg-type]
        assert [problem["code"] for problem in problems(caught.value)] == ["invalid_type"]


def test_dumping_writes_what_loading_reads() -> None:
    read = schema_for(Whole)()
    found = read.load(GOOD)
    assert read.load(json.loads(json.dumps(read.dump(found)))) == found
    assert read.dump(found)["price"] == "12345.67"


# --- every message ----------------------------------------------------------------------------------------------------


def leaf(shape: Shape) -> st.SearchStrategy[Any]:
    if shape.one_of is not None:
        return st.sampled_from(shape.one_of)
    match shape.kind:
        case "integer":
            return st.integers(shape.low, shape.high)
        case "decimal":
            top = Decimal(10) ** ((shape.digits or 9) - (shape.places or 0)) - 1
            return st.decimals(-top if shape.signed else 0, top, places=shape.places or 0)
        case "date":
            return st.dates()
        case "datetime":
            zones = st.sampled_from([UTC, timezone(timedelta(hours=3))])
            return st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1), timezones=zones)
        case "boolean":
            return st.booleans()
    if shape.pattern is not None:
        printable = st.characters(min_codepoint=33, max_codepoint=126, include_characters="\n" * shape.lines)
        return st.from_regex(shape.pattern, fullmatch=True, alphabet=printable).filter(
            lambda found: shape.shortest <= len(found) <= (shape.longest or 99)
        )
    written = st.text(st.characters(exclude_categories=("Cc", "Cs", "Co")), max_size=shape.longest)
    return written.map(lambda found: normal(normal(found)[: shape.longest].ljust(shape.shortest, "x")))


def normal(value: str) -> str:
    return unicodedata.normalize("NFC", value)


def made(cls: type) -> st.SearchStrategy[Any]:
    def one(shape: Shape) -> st.SearchStrategy[Any]:
        value = leaf(shape) if shape.part is None else made(shape.part)
        value = st.lists(value, max_size=2) if shape.many else value
        return st.none() | value if shape.optional else value

    return st.builds(cls, **{name: one(shape) for name, shape in shapes(cls).items()})


@pytest.mark.parametrize("cls", [*MESSAGES.values(), Pilgrim, Programme, Whole], ids=lambda cls: cls.__name__)
def test_every_canonical_object_survives_both_forms(cls: type) -> None:
    @settings(max_examples=15, deadline=None)
    @given(made(cls))
    def survives(value: Any) -> None:
        assert undump(cls, json.loads(json.dumps(dump(value)))) == value
        edge = schema_for(cls)()
        if not list(faults(value)):
            assert edge.load(json.loads(json.dumps(edge.dump(value)))) == value

    survives()


# --- the plain form ---------------------------------------------------------------------------------------------------


def test_the_plain_form_is_small_and_versioned() -> None:
    whole = schema_for(Whole)().load(GOOD)
    assert dump(whole) == {
        "schema": 1, "name": "نص", "count": 3, "price": "12345.67", "day": "2026-02-18",
        "at": "2026-02-18T09:00:00+00:00", "flag": True, "part": {"code": "a"}, "parts": [{"code": "b"}],
        "words": ["x"],
    }  # fmt: skip


def test_what_an_older_form_lacks_takes_its_default() -> None:
    old = dump(schema_for(Whole)().load(GOOD))
    for name in ("flag", "parts", "words", "part"):
        del old[name]
    one, two = undump(Whole, old), undump(Whole, old)
    assert one.flag is False and one.parts == [] and one.part is None
    assert one.parts is not two.parts
    del old["name"]
    with pytest.raises(KeyError):
        undump(Whole, old)


def test_older_forms_are_upcast_step_by_step_and_newer_ones_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_upcasts", {})

    @schema.upcast(Part)
    def letter(form: dict[str, Any]) -> dict[str, Any]:
        return {"letter": form["kind"]}

    @schema.upcast(Part)
    def code(form: dict[str, Any]) -> dict[str, Any]:
        return {"code": form["letter"]}

    first = {"schema": 1, "kind": "a"}
    assert undump(Part, first) == undump(Part, {"schema": 2, "letter": "a"}) == undump(Part, dump(Part(code="a")))
    assert first == {"schema": 1, "kind": "a"} and dump(Part(code="a"))["schema"] == 3
    with pytest.raises(HubError) as caught:
        undump(Part, {"schema": 4, "code": "a"})
    assert caught.value.code == "schema_newer"


# --- json ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"a":1,"a":2}', "json_duplicate_key"),
        (b'{"b":{"a":1,"a":1}}', "json_duplicate_key"),
        (b'{"a":NaN}', "json_unreadable"),
        (b"[Infinity]", "json_unreadable"),
        (b"[-Infinity]", "json_unreadable"),
        (b"", "json_unreadable"),
        (b"{", "json_unreadable"),
        (b"{} {}", "json_unreadable"),
        (b'"\xff"', "json_unreadable"),
        (b'\xff\xfe"\0a\0"\0', "json_unreadable"),
        (b'"\\ud800"', "json_unreadable"),
        (b'{"\\udfff":1}', "json_unreadable"),
        (b"[" * 100_000, "json_unreadable"),
        (b"1" * 5000, "json_unreadable"),
        (b'"' + b"x" * 1_000_000 + b'"', "json_too_large"),
    ],
)
def test_loads_strict_refuses(data: bytes, code: str) -> None:
    with pytest.raises(HubError) as caught:
        loads_strict(data)
    assert caught.value.code == code and code in catalogue()


def test_loads_strict_reads_the_rest() -> None:
    assert loads_strict('{"a":[1,2.50,null,true,"ن\\u0646\\ud83d\\ude00"]}'.encode()) == {
        "a": [1, Decimal("2.50"), None, True, "نن😀"]
    }
    assert loads_strict(b"[1]", limit=3) == [1]
