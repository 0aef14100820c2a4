"""The agent's page used as an agent uses it, in a real browser, from the key to the voucher."""

import copy
import io
import os
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from hub.canonical.errors import HubError
from hub.web.agent.pages import columns
from tests.web.api import Hub, example, key_of, served

pytestmark = pytest.mark.needs("chromium")

AGENT = "agent_idn_1"
PATIENCE = 60_000  # milliseconds: on a busy machine a page takes its time
GOOD = {
    "group_no": "G-1001", "given_name": "SITI", "family_name": "RAHAYU", "sex": "Female", "birth_date": "1984-11-03",
    "nationality": "IDN", "document_no": "C7654321", "issued_on": "2024-05-06", "expires_on": "2034-05-05",
}  # fmt: skip
OTHER = {**GOOD, "given_name": "DEWI", "document_no": "C7654322", "birth_date": "1986-01-09"}
#: Day and month could be either: the third pilgrim, once it is mended.
UNCLEAR = {**GOOD, "given_name": "BUDI", "sex": "Male", "birth_date": "02/03/1979", "document_no": "C7654323"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with served(tmp_path) as hub:
        hub.post(AGENT, "/v1/groups", _of_three()).raise_for_status()
        yield hub


def _of_three() -> dict[str, Any]:
    group = copy.deepcopy(example()) | {"heads": 3, "members": []}
    for house in group["programme"]["housing"]:
        house |= {"heads": 3, "rooms": house["rooms"] * 2}
    return group


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        # No name resolves, so that nothing can come from elsewhere.
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-quic", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"],
            timeout=PATIENCE,
        )
        yield browser
        browser.close()


class Desk:
    """An agent before the page: what it asked for, and what went wrong in it."""

    def __init__(self, browser: Browser, hub: Hub, lang: str = "en", width: int = 1000) -> None:
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.context: BrowserContext = browser.new_context(viewport={"width": width, "height": 800})
        self.context.set_default_timeout(PATIENCE)
        self.context.on("request", lambda one: self.asked.append(one.url))
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._said)
        # Heard from the beginning: asked for at the moment itself, the browser may have opened its own window already.
        self.page.on("filechooser", lambda chooser: None)
        self.page.goto(f"{hub.url}/agent/?lang={lang}")

    def _said(self, said: ConsoleMessage) -> None:
        # The browser itself notes every refusal.
        if said.type == "error" and not said.text.startswith("Failed to load resource"):
            self.wrong.append(said.text)

    def enter(self, key: str) -> None:
        """The key is typed, as whoever has no mouse does it."""
        expect(self.page.locator("#key")).to_be_focused()
        self.page.keyboard.type(key)
        self.page.keyboard.press("Enter")

    def choose(self, *files: Path) -> None:
        """Files are chosen without a mouse."""
        self.page.locator("#files").focus()
        with self.page.expect_file_chooser() as chooser:
            self.page.keyboard.press("Enter")
        chooser.value.set_files(files)

    def drop(self, file: Path) -> None:
        """A file is let go over the box."""
        held = self.page.evaluate_handle(
            "([name, bytes]) => { const held = new DataTransfer();"
            "held.items.add(new File([new Uint8Array(bytes)], name)); return held; }",
            [file.name, list(file.read_bytes())],
        )
        self.page.dispatch_event("#drop", "drop", {"dataTransfer": held})

    def download(self, name: str) -> tuple[str, bytes]:
        """What the button or link *name* gives."""
        with self.page.expect_download() as given:
            self.page.get_by_text(name, exact=True).first.click()
        return given.value.suggested_filename, given.value.path().read_bytes()

    def step(self) -> Any:
        """What the page says is next for the group."""
        return self.page.locator("#groups tbody tr td").last

    def fits(self) -> bool:
        """Whether the page is no wider than what it is looked at with."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def filled(hub: Hub, template: bytes, rows: list[dict[str, str]]) -> bytes:
    book = load_workbook(io.BytesIO(template))
    sheet = book.worksheets[0]
    places = list(columns(hub.engine.register.map("agents/roster", "receive_roster", "request"), "en"))
    for number, row in enumerate(rows, 2):
        for field, value in row.items():
            sheet.cell(number, places.index(field) + 1, value)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def camera(exif: bool = False) -> bytes:
    said, out = Image.Exif(), io.BytesIO()
    said[0x010F] = "SECRET-CAMERA"
    Image.new("RGB", (600, 800), "grey").save(out, "JPEG", **({"exif": said.tobytes()} if exif else {}))
    return out.getvalue()


class Reading:
    """The hub reads what was handed in, and stops half-way until it is told to go on."""

    def __init__(self, hub: Hub, monkeypatch: pytest.MonkeyPatch, stops_after: int) -> None:
        self._go, self._hub = threading.Event(), hub
        self._thread = threading.Thread(target=hub.engine.take_uploads, daemon=True)
        unit = hub.engine.database.unit

        def slow(work: Any) -> Any:
            done = unit(work)
            if threading.current_thread() is self._thread:
                (newest, *_) = hub.engine.uploads.page(AGENT, None, 1)
                if newest["rows"]["read"] == stops_after:
                    self._go.wait(PATIENCE / 1000)
            return done

        monkeypatch.setattr(hub.engine.database, "unit", slow)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._go.set()
        self._thread.join(PATIENCE / 1000)
        assert not self._thread.is_alive()


def test_an_agent_files_a_group_and_sees_it_through(hub, browser, tmp_path, monkeypatch):
    desk = Desk(browser, hub)
    page = desk.page

    # A key of nobody is told of, and may be typed again over what stands there.
    expect(page.locator("#leave")).to_be_hidden()
    desk.enter("nobody" * 5)
    expect(page.locator("#problem")).to_contain_text("This key opens nothing")
    desk.enter(key_of(AGENT))
    expect(page.locator("#inside")).to_be_visible()
    expect(page.locator("#begin")).to_be_focused()
    expect(page.locator("#problem")).to_be_hidden()
    expect(desk.step()).to_contain_text("drop a roster above")
    assert page.locator("#groups tbody td").first.inner_text() == "0 / 3"

    # The template, filled in: two pilgrims that can be taken, one whose dates nobody can read, and a heap of another's.
    name, template = desk.download("Template (XLSX)")
    assert name == "roster-en.xlsx"
    strangers = [{**GOOD, "group_no": "G-9", "document_no": f"D{n:07}"} for n in range(57)]
    roster, photos = tmp_path / "my pilgrims.xlsx", tmp_path / "album.zip"
    roster.write_bytes(filled(hub, template, [GOOD, UNCLEAR, *strangers, OTHER]))
    with zipfile.ZipFile(photos, "w", zipfile.ZIP_DEFLATED) as album:
        album.writestr("faces/C7654321.jpg", camera(exif=True))
        album.writestr("faces/C7654322.jpg", b"\xff\xd8" + os.urandom(2_000_001))
        album.writestr("faces/Z0000001.jpg", camera())
        album.writestr("faces/.DS_Store", b"of no interest")
        album.writestr("__MACOSX/faces/._C7654321.jpg", b"of no interest")

    # Both at once, the photos first: the roster is read before anybody's face is looked for.
    reading = Reading(hub, monkeypatch, stops_after=50)
    desk.choose(photos, roster)
    told = page.locator("#files-told article").first
    expect(told.locator("h3")).to_have_text("my pilgrims.xlsx")
    expect(told.locator("[role=status]")).to_contain_text("waiting")
    expect(page.locator("#photos-told")).to_contain_text("waiting until the roster is read")
    assert page.locator("#files").input_value() == "", "the same file can be chosen again"
    reading.begin()
    expect(told.locator("[role=status]")).to_contain_text("reading · Rows: 50 · accepted 1 · to fix 49")
    expect(told.locator("progress")).to_be_visible()
    expect(told.locator("tbody tr")).to_have_count(49)
    reading.end()
    expect(told.locator("[role=status]")).to_contain_text("taken · Rows: 60 · accepted 2 · to fix 58")
    expect(told.locator("progress")).to_have_count(0)
    expect(told.locator("tbody tr")).to_have_count(58)
    assert [cell.inner_text() for cell in told.locator("tbody tr").first.locator("td").all()] == [
        "3",
        HubError("date_order_undeclared").en,
    ]

    # The photos: one is kept, two are told of with their reasons; what a computer left in the ZIP is nobody's trouble.
    faces = page.locator("#photos-told")
    expect(faces.locator("p")).to_have_text("Photos: accepted 1 · to fix 2")
    expect(faces.locator("li")).to_have_text([
        "C7654322.jpg: The photo is too large: at most 2 MB.",
        "Z0000001.jpg: None of your pilgrims has this passport. File the pilgrim first, or mend the photo's name.",
    ])  # fmt: skip
    filed = {one["document"]["number"]: one["id"] for one in hub.get(AGENT, "/v1/pilgrims").json()["pilgrims"]}
    assert set(filed) == {"C7654321", "C7654322"}
    kept = hub.get(AGENT, f"/v1/requests/{filed['C7654321']}/photo")
    assert kept.status_code == 200 and b"SECRET-CAMERA" not in kept.content and b"Exif" not in kept.content
    assert Image.open(io.BytesIO(kept.content)).size == (600, 800)
    assert hub.get(AGENT, f"/v1/requests/{filed['C7654322']}/photo").status_code == 404

    # The same in Arabic, from right to left, on a phone: nothing of it is lost on the way.
    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_text("العربية", exact=True).click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(told.locator("[role=status]")).to_contain_text("تم الاستلام")
    expect(told.locator("tbody tr").first.locator("td").last).to_have_text(HubError("date_order_undeclared").ar)
    expect(faces.locator("li").first).to_contain_text("الحد الأقصى 2 ميغابايت")
    expect(desk.step()).to_contain_text("سجّل بقية المعتمرين")
    heading, button = page.locator("#begin").bounding_box(), page.locator("#again").bounding_box()
    assert heading and button and button["x"] > 390 / 2, "what begins, begins on the right"
    assert desk.fits()
    page.get_by_text("English", exact=True).click()
    expect(page.locator("html")).to_have_attribute("dir", "ltr")
    assert desk.fits()

    # The rows to fix come back as they were; the one that is mended is dropped again and is the third pilgrim.
    name, left = desk.download("Download the rows to fix")
    assert name == "my pilgrims.to-fix.xlsx"
    book = load_workbook(io.BytesIO(left))
    sheet = book.worksheets[0]
    assert sheet.max_row == 59
    (at,) = [cell for cell in sheet[2] if cell.value == UNCLEAR["birth_date"]]
    at.value = "1979-03-02"
    sheet.delete_rows(3, 57)
    mended = tmp_path / name
    book.save(mended)
    desk.drop(mended)
    expect(page.locator("#files-told article")).to_have_count(2)
    hub.engine.take_uploads()
    expect(told.locator("[role=status]")).to_contain_text("taken · Rows: 1 · accepted 1 · to fix 0")
    face = tmp_path / "C7654322.jpg"
    face.write_bytes(camera())
    desk.drop(face)
    expect(faces.locator("p")).to_have_text("Photos: accepted 2 · to fix 1")
    assert hub.get(AGENT, f"/v1/requests/{filed['C7654322']}/photo").status_code == 200

    # Group, programme, voucher: who must do what.
    now = page.locator("#groups [aria-current=step]")
    expect(desk.step()).to_contain_text("your Umrah company is looking")
    expect(page.locator("#groups .done")).to_have_text(["Group ✓"])
    expect(now).to_have_text("Programme")
    pilgrims = hub.get(AGENT, "/v1/pilgrims").json()["pilgrims"]
    assert {one["document"]["number"] for one in pilgrims} == {"C7654321", "C7654322", "C7654323"}
    for one in pilgrims:
        hub.post("company_1", f"/v1/requests/{one['id']}/decisions", {"outcome": "accept"}).raise_for_status()
    page.locator("#again").click()
    expect(desk.step()).to_have_text("Housing and transport are being confirmed")
    group = pilgrims[0]["group"]
    for kind, line in (("housing", "H1"), ("housing", "H2"), ("transport", "T1"), ("transport", "T2")):
        hub.happen(f"{kind}.confirmed", group, line=line, data={"brn": f"BRN{line}"})
    (bill,) = hub.get(AGENT, "/v1/invoices").json()["invoices"]
    page.locator("#again").click()
    expect(desk.step()).to_contain_text("Pay the bill at your bank")
    expect(desk.step()).to_contain_text(f"{bill['bill_no']}: {bill['amount']} {bill['currency']}")
    expect(now).to_have_text("Voucher")
    paid = {"bank_ref": "BANK/1", "amount": bill["amount"], "currency": bill["currency"]}
    hub.happen("payment.received", group, data=paid)
    page.locator("#again").click()
    expect(desk.step()).to_contain_text("Nothing to do")
    expect(page.locator("#groups .done")).to_have_text(["Group ✓", "Programme ✓", "Voucher ✓"])

    # Whoever sits down next finds nothing.
    page.locator("#leave").click()
    expect(page.locator("#door")).to_be_visible()
    expect(page.locator("#key")).to_be_focused()
    expect(page.locator("#inside")).to_be_hidden()
    assert page.evaluate("sessionStorage.length") == 0
    assert "my pilgrims" not in page.content() and "C7654322" not in page.content()
    assert [one for one in desk.asked if not one.startswith((f"{hub.url}/", f"blob:{hub.url}/"))] == []
    assert desk.wrong == []


def test_what_cannot_be_taken_is_told_and_a_busy_hub_is_waited_for(browser, tmp_path):
    with served(tmp_path, calls_per_second=5) as hub:
        desk = Desk(browser, hub, "ar", width=390)
        page, trouble = desk.page, desk.page.locator("#problem p")
        desk.enter(key_of("agent_idn_2"))
        expect(page.locator("#groups")).to_contain_text("لا توجد مجموعات بعد")
        assert desk.fits()

        # What is none of ours, or cannot be opened, is told of each by its name, and keeps nothing else back.
        old, torn, large = tmp_path / "list.xls", tmp_path / "torn.zip", tmp_path / "C0000001.jpg"
        old.write_bytes(b"\xd0\xcf\x11\xe0")
        torn.write_bytes(b"PK\x03\x04 and no more")
        large.write_bytes(b"\xff\xd8" + bytes(4_500_000))
        desk.choose(old, torn, large)
        expect(trouble).to_have_count(2)
        expect(trouble.first).to_contain_text("list.xls: ليس كشفاً")
        expect(trouble.last).to_contain_text("torn.zip: تعذر فك")
        expect(page.locator("#photos-told li")).to_contain_text("الحد الأقصى 2 ميغابايت")
        assert not [one for one in desk.asked if "/v1/photos/" in one], "what is too large is not sent"

        # More at once than an agent may call: the page comes again when it is told to.
        many = tmp_path / "many.zip"
        with zipfile.ZipFile(many, "w") as album:
            for n in range(12):
                album.writestr(f"Z{n:07}.jpg", camera())
        desk.choose(many)
        expect(page.locator("#photos-told li")).to_have_count(13)
        expect(page.locator("#photos-told progress")).to_have_count(0)
        expect(trouble).to_have_count(0)
        nobody = page.locator("#photos-told li", has_text=HubError("photo_of_nobody").ar)
        expect(nobody).to_have_count(12)

        # The line is cut: it is said, nothing is lost, and the same file goes again.
        roster = tmp_path / "roster.csv"
        roster.write_text("Group No;Family Name\nG-1001;RAHAYU\n", "utf-8")
        desk.context.set_offline(True)
        desk.choose(roster)
        expect(trouble).to_contain_text("المركز لا يجيب")
        desk.context.set_offline(False)
        desk.choose(roster)
        expect(page.locator("#files-told article")).to_have_count(1)
        expect(trouble).to_have_count(0)

        # An agent that leaves while its file waits leaves nothing to the next, in whose name nothing of it is sent.
        again, face, own = tmp_path / "again.csv", tmp_path / "C0000002.jpg", tmp_path / "C0000003.jpg"
        again.write_text("Group No;Family Name\nG-1002;RAHAYU\n", "utf-8")
        for one in (face, own):
            one.write_bytes(camera())
        desk.choose(again, face)
        expect(page.locator("#photos-told")).to_contain_text("بانتظار قراءة الكشف")
        page.locator("#leave").click()
        desk.enter(key_of(AGENT))
        expect(page.locator("#groups")).to_contain_text("لا توجد مجموعات بعد")
        hub.engine.take_uploads()
        desk.choose(own)
        expect(page.locator("#photos-told li")).to_contain_text(own.name)
        expect(page.locator("#photos-told li")).to_have_count(1)
        expect(page.locator("#files-told article")).to_have_count(0)
        expect(page.locator("#problem")).to_be_hidden()
        assert not [one for one in desk.asked if face.name in one]
        assert desk.wrong == [] and [one for one in desk.asked if not one.startswith(f"{hub.url}/")] == []
