from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import adapter
from hub.adapter import Form, Format, register


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(adapter, "registered", {})
    yield


def test_an_adapter_file_brings_a_form(tmp_path: Path) -> None:
    folder = tmp_path / "border" / "old_posts"
    folder.mkdir(parents=True)
    adapter.load(folder)
    assert adapter.registered == {}
    (folder / "adapter.py").write_text(
        "from hub.adapter import Form, register\n"
        "register(Form('hundreds', 'integer', lambda v: f'{v}00', lambda t: int(t) // 100, pairs=((3, '300'),)))\n"
    )
    adapter.load(folder)
    assert adapter.registered["hundreds"].read("700") == 7  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "brought",
    [
        Form("f", "text", write=str, read=str, pairs=()),
        Form("f", "text", write=str.upper, read=str, pairs=(("a", "A"),)),
        Form("f", "text", write=str.upper, read=str.lower, pairs=(("a", "a"),)),
        Format("f", write=bytes, read=bytes, pairs=()),
    ],
)
def test_what_does_not_keep_its_example_is_refused(brought: Form | Format) -> None:
    with pytest.raises(ValueError):
        register(brought)
    assert adapter.registered == {}


def test_a_name_is_taken_once() -> None:
    form = Form("f", "text", write=str.upper, read=str.lower, pairs=(("a", "A"),))
    register(form)
    with pytest.raises(ValueError):
        register(form)
