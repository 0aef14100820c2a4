"""The pages in a real browser: they lay out in both directions, keep themselves fresh and need nobody but the hub."""

import dataclasses
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.exchange.engine import Engine
from hub.web.server import open_server

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture
def served(settings, monkeypatch) -> Iterator[tuple[str, list[int]]]:
    """The address of a hub behind its real server, and how often its figures were asked for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    engine = Engine(dataclasses.replace(settings, port=port))
    server = open_server(engine)
    asked: list[int] = []
    now = engine.reading.now
    monkeypatch.setattr(engine.reading, "now", lambda: asked.append(1) or now())
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}", asked
    server.close()
    thread.join(5)
    engine.stop()


def browse(url: str, tmp_path: Path, *more: str) -> str:
    """The page as the browser has it in the end; no name resolves, so that nothing can come from elsewhere."""
    ran = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
         f"--user-data-dir={tmp_path / 'profile'}", *more, "--dump-dom", url],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    return ran.stdout


@pytest.mark.parametrize(("lang", "direction"), [("en", "ltr"), ("ar", "rtl")])
def test_a_page_lays_out_and_names_no_other_host(served, tmp_path, lang, direction):
    url, _ = served
    page = browse(f"{url}/?lang={lang}", tmp_path)
    assert f'dir="{direction}"' in page and "</html>" in page
    linked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert linked and all(link.startswith(("/", "?", "#")) for link in linked)


def test_a_page_keeps_itself_fresh(served, tmp_path):
    url, asked = served
    page = browse(f"{url}/", tmp_path, "--virtual-time-budget=13000")
    assert len(asked) >= 3, "the page asked for itself again"
    assert re.search(r'id="silent"[^>]* hidden=""', page), "and it was answered"
