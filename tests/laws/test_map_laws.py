"""Every map of the repository keeps the laws of the mapping language, and agrees with its partner's own samples."""

from pathlib import Path

import pytest

from hub.mapping import Map, laws, load
from tests.mapping.messages import MESSAGES

HOME = Path(__file__).parents[2]
MAPS = sorted(HOME.glob("mappings/**/*.v*.yaml"))
DESIGN = sorted(HOME.glob("tests/mapping/maps/*.yaml"))


def loaded(path: Path) -> Map:
    return load(path, messages=MESSAGES) if path in DESIGN else load(path)


def name(path: Path) -> str:
    return str(path.relative_to(HOME)).removesuffix(".yaml")


def test_there_are_maps() -> None:
    assert MAPS, "mappings/ holds no map"
    assert len(DESIGN) >= 3


@pytest.mark.parametrize("path", MAPS + DESIGN, ids=name)
def test_laws(path: Path) -> None:
    laws.hold(loaded(path), examples=100)


@pytest.mark.parametrize("path", MAPS + DESIGN, ids=name)
def test_example_pairs(path: Path) -> None:
    map_ = loaded(path)
    assert map_.active, f"{map_.name} has no example pair: it is a draft and cannot be used"
    for sample in map_.examples:
        laws.example(map_, sample)


def test_a_sample_is_compared_by_what_it_says_and_not_by_its_prefixes(tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    folder.mkdir()
    (tmp_path / "request.v1.yaml").write_text(
        "message: BookingEnquiry\nformat: xml\nnamespace: urn:inn\nroot: Ask\nfields:\n  Ref: key\n", "utf-8"
    )
    (folder / "request-one.canonical.json").write_text('{"key": "A-1"}', "utf-8")
    sample = folder / "request-one.xml"
    sample.write_text(
        "<i:Ask xmlns:i='urn:inn' xmlns:x='http://www.w3.org/2001/XMLSchema-instance' x:schemaLocation='urn:inn i.xsd'>"
        "\n <!-- ours --> <i:Ref>A-1</i:Ref>\n</i:Ask>",
        "utf-8",
    )
    map_ = load(tmp_path / "request.v1.yaml")
    laws.example(map_, sample)
    sample.write_text(sample.read_text("utf-8").replace("</i:Ask>", "<i:More>1</i:More></i:Ask>"), "utf-8")
    with pytest.raises(AssertionError, match=r"is not written as request-one\.xml stands: 'More'; where"):
        laws.example(map_, sample)


def test_a_member_that_says_nothing_is_nothing_in_a_sample(tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    folder.mkdir()
    (tmp_path / "reply.v1.yaml").write_text(
        "message: BookingReply\nformat: json\nfields: {ref: key, is: outcome, ticket/brn: brn, ticket/why: reason}\n",
        "utf-8",
    )
    (folder / "reply-one.canonical.json").write_text('{"key": "A-1", "outcome": "not_known"}', "utf-8")
    sample = folder / "reply-one.json"
    map_ = load(tmp_path / "reply.v1.yaml")
    for ticket in ("null", '{"brn": null, "why": ""}', "{}"):
        sample.write_text(f'{{"ref": "A-1", "is": "not_known", "ticket": {ticket}}}', "utf-8")
        laws.example(map_, sample)
    sample.write_text('{"ref": "A-1", "is": "not_known", "seat": 0}', "utf-8")
    with pytest.raises(AssertionError, match="stands: 'seat'; where"):
        laws.example(map_, sample)
