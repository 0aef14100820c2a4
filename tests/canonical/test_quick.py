"""The quick reader and the marshmallow schema are one reading: what one takes, the other takes as well."""

import copy
import json
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from hub.canonical.declare import holds_controls
from hub.canonical.messages import MESSAGES
from hub.canonical.messages.desk import Decision, GroupFiling
from hub.canonical.quick import Doubt, reader
from hub.canonical.schema import schema_for
from tests.canonical.test_schema import GOOD, Whole, made

#: Values that are nearly right somewhere.
TRICKY: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 10**30, [], [None], ["x"], {}, {"x": 1}, [{}],
    "", " ", "x", "\n", "a\nb", "A\n", "\x00", "\x7f", "\u200d", "\u200f", "\u202e", "\u2028", "\ud800", "\u00a0",
    "e\u0301", "é", "نص", "ﷲ", "\U0001f600", "\ue000", "x" * 200,
    "٣", "1", "-1", "1.0", "-0.00", "1.", "0001", "1e3", "NaN", "12345678901234567890", "true",
    "2026-02-30", "2026-02-28", "0000-01-01", "9999-12-31", "2026-2-1", "\uff12026-02-01",
    "2026-02-18T12:00:00Z", "2026-02-18T12:00:00", "2026-02-18T24:00:00Z", "2026-02-18T12:00:60Z",
    "2026-02-18T12:00:00+24:00", "2026-02-18T12:00:00-00:00", "2026-02-18T12:00:00.123456+03:00",
    "2026-02-18T12:00:00.1Z", "0001-01-01T00:00:00+03:00", "9999-12-31T23:59:59-03:00", "2026-02-18t12:00:00z",
]  # fmt: skip


def slowly(cls: type, data: Any) -> Any:
    """What marshmallow alone makes of *data*, or what it has against it."""
    try:
        return Schema.load(schema_for(cls)(), data)
    except ValidationError as wrong:
        return wrong.messages


def places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every place in *value*, a JSON value, as (what holds it, the key or index)."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((value, key))
        if isinstance(inner, dict | list):
            places(inner, found)
    return found


def agree(cls: type, data: Any) -> None:
    before = copy.deepcopy(data)
    expected = slowly(cls, data)
    try:
        found = reader(cls)(data)
    except (ValueError, OverflowError):
        try:
            found = schema_for(cls)().load(data)
        except ValidationError as wrong:
            found = wrong.messages
    assert repr(found) == repr(expected)
    assert data == before


@pytest.mark.parametrize("cls", [*MESSAGES.values(), GroupFiling, Decision, Whole], ids=lambda cls: cls.__name__)
def test_both_readings_agree_on_what_is_right_and_on_what_is_wrong(cls: type) -> None:
    @settings(max_examples=25, deadline=None)
    @given(made(cls), st.data())
    def agrees(value: Any, draw: st.DataObject) -> None:
        right = json.loads(json.dumps(schema_for(cls)().dump(value)))
        agree(cls, right)
        for _ in range(8):
            wrong = copy.deepcopy(right)
            holder, key = draw.draw(st.sampled_from(places({"": wrong}, [])[1:] or [(wrong, "x")]))
            if isinstance(holder, dict) and draw.draw(st.integers(0, 4)) == 0:
                holder.pop(key, None)
            else:
                holder[key] = draw.draw(st.sampled_from(TRICKY))
            agree(cls, wrong)

    agrees()


@pytest.mark.parametrize("name", [*GOOD, "letters", "change", "pieces", "unknown"])
def test_both_readings_agree_on_every_tricky_value_of_every_kind(name: str) -> None:
    for value in TRICKY:
        agree(Whole, GOOD | {name: value})
    agree(Whole, {key: value for key, value in GOOD.items() if key != name})


def test_what_is_plainly_right_needs_no_second_reading() -> None:
    assert repr(reader(Whole)(GOOD)) == repr(slowly(Whole, GOOD))
    with pytest.raises(Doubt):
        reader(Whole)(GOOD | {"unknown": 1})


def test_a_list_of_one_object_is_not_another_ones() -> None:
    small = {name: GOOD[name] for name in ("name", "count", "price", "day", "at")}
    assert reader(Whole)(small).parts is not reader(Whole)(small).parts


def test_no_printable_character_is_a_control() -> None:
    """The quick look asks only whether a text is printable; the long one asks for each character's category."""
    turning = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        control = unicodedata.category(letter) in ("Cc", "Cs", "Co", "Zl", "Zp") or letter in turning
        assert not (letter.isprintable() and control)
        assert holds_controls(letter) == control
