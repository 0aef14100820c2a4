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
