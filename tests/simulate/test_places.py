"""Keys and effects found in raw bytes, by the places that manifests name."""

from pathlib import Path

import pytest

from hub.partners import Effect
from hub.simulate.places import Line, Unreadable, prefixes, reader

XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:q="http://q.example/v1"/>"""


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "q.xsd"
    path.write_text(XSD)
    return path


def test_prefixes_are_those_of_the_contract(contract: Path) -> None:
    assert prefixes(contract)["q"] == "http://q.example/v1"


def test_xml_lines_with_a_computed_effect(contract: Path) -> None:
    read = reader(Effect(each="//q:One", key="q:Key", of="concat(q:State, q:Number)"), contract)
    body = b"""<a xmlns="http://q.example/v1"><One><Key> k1 </Key><State>IDN</State><Number>7</Number></One>
    <One><Key>k2</Key><State>IDN</State><Number>8</Number></One></a>"""
    assert read(body) == [Line("k1", "IDN7"), Line("k2", "IDN8")]


def test_json_pointers(contract: Path) -> None:
    read = reader(Effect(key="/a/key", of="/b"), contract)
    assert read(b'{"a": {"key": 5}, "b": "x"}') == [Line("5", "x")]
    assert reader(Effect(each="/list", key="/k", of="/k"), contract)(b'{"list": [{"k": "1"}, {"k": "2"}]}') == [
        Line("1", "1"), Line("2", "2"),
    ]  # fmt: skip


def test_csv_columns_with_many_rows_a_key(contract: Path) -> None:
    read = reader(Effect(each="rows", key="trip", of="trip"), contract)
    assert read("\ufefftrip;name\nt1;a\nt1;b\nt2;c\n".encode()) == [Line("t1", "t1"), Line("t2", "t2")]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<a", b'<a xmlns="http://q.example/v2"><One/></a>', b'<a xmlns="http://q.example/v1"><One/></a>',
        b"<!DOCTYPE a><a/>",
    ],
)  # fmt: skip
def test_xml_without_the_places_is_unreadable(contract: Path, body: bytes) -> None:
    with pytest.raises(Unreadable):
        reader(Effect(each="//q:One", key="q:Key", of="q:Key"), contract)(body)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"b": 1}', b"\xff"])
def test_json_without_the_places_is_unreadable(contract: Path, body: bytes) -> None:
    with pytest.raises(Unreadable):
        reader(Effect(key="/a", of="/a"), contract)(body)


@pytest.mark.parametrize("body", [b"", b"other\n1\n", b"trip\n", b"\xff\xfe"])
def test_csv_without_the_places_is_unreadable(contract: Path, body: bytes) -> None:
    with pytest.raises(Unreadable):
        reader(Effect(each="rows", key="trip", of="trip"), contract)(body)


def test_an_attribute_may_be_a_key(contract: Path) -> None:
    read = reader(Effect(each="//q:One", key="@ref", of="q:No/@n"), contract)
    body = b'<a xmlns="http://q.example/v1"><One ref="k1"><No n="7"/></One><One ref="k2"><No n="8"/></One></a>'
    assert read(body) == [Line("k1", "7"), Line("k2", "8")]


def test_columns_of_the_lines_of_one_kind(contract: Path) -> None:
    read = reader(Effect(each="BD", key="3-6", of="7-9"), contract)
    assert read(b"BH0000000\r\nBDk1  001\r\nBDk2  002\r\nBT0000002\r\n") == [Line("k1", "001"), Line("k2", "002")]


@pytest.mark.parametrize("body", [b"", b"BH0000000\r\n", b"BD\r\n", b"BD\xff\xff\xff\xff001\r\n"])
def test_a_fixed_file_without_the_places_is_unreadable(contract: Path, body: bytes) -> None:
    with pytest.raises(Unreadable):
        reader(Effect(each="BD", key="3-6", of="7-9"), contract)(body)
