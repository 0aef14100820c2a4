"""YAML as maps are written: text only, with lines, and none of its traps."""

import pytest

from hub.mapping import loader


def test_scalars_stay_what_they_look_like():
    tree = loader.parse(b"a: NO\nb: 01\nc: 1e3\nd: 2026-01-01\ne: ~\nf: null\n")
    assert [(item.key, item.node.value, item.line) for item in tree.items] == [
        ("a", "NO", 1), ("b", "01", 2), ("c", "1e3", 3), ("d", "2026-01-01", 4), ("e", "~", 5), ("f", "null", 6),
    ]  # fmt: skip


def test_a_byte_order_mark_is_no_key():
    assert loader.parse(b"\xef\xbb\xbfa: b\n").items[0].key == "a"


@pytest.mark.parametrize(
    ("data", "line", "text"),
    [
        (b"a: &x b\nc: *x\n", 1, "aliases and anchors"),
        (b"a: b\nc: *x\n", 2, "aliases and anchors"),
        (b"a: !!python/object:os.system x\n", 1, "tags"),
        (b"a: [b]\n", 1, "lists"),
        (b"- a\n", 1, "lists"),
        (b"a: b\n---\nc: d\n", 2, "several documents"),
        (b"a: b\n  c: d\n", 2, "this is not YAML"),
        (b"a: b\n? {x: y}\n: z\n", 2, "a key is a text"),
        (b"just text\n", 1, "a table of"),
        (b"", 1, "a table of"),
        (b"\xff\xfe", 1, "UTF-8"),
        (b"a: \x01\n", 1, "characters that YAML does not allow"),
        (b"a: " + b"{a: " * 40 + b"b" + b"}" * 40, 1, "nested more than"),
        (b"#" * (loader.SIZE_LIMIT + 1), 1, "larger than"),
    ],
)
def test_refused(data, line, text):
    with pytest.raises(loader.Unreadable) as caught:
        loader.parse(data)
    assert text in caught.value.text
    assert caught.value.line == line


def test_a_bomb_of_aliases_is_refused_before_it_grows(faults):
    bomb = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n"
    assert faults(bomb) == ["1: aliases and anchors are not allowed in a map"]
