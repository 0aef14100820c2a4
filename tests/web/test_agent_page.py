"""The agent's page: its template is one that the map reads, photos are made anew, and it lays out in a browser."""

import csv
import dataclasses
import io
import re
import socket
import subprocess
import threading
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from openpyxl import load_workbook
from PIL import Image

from hub.exchange.engine import Engine
from hub.web.agent.pages import columns
from hub.web.server import open_server
from tests.web.conftest import key_of

AGENT, OTHER = "agent_idn_1", "agent_idn_2"
FILLED = {
    "group_no": "G-1001", "given_name": "SITI", "family_name": "RAHAYU", "sex": {"en": "Female", "ar": "أنثى"},
    "birth_date": "1984-11-03", "nationality": "IDN", "document_no": "C7654321", "issued_on": "2024-05-06",
    "expires_on": "2034-05-05",
}  # fmt: skip


@pytest.fixture
def filed(as_, group) -> dict[str, Any]:
    told = as_(AGENT).post("/v1/groups", {**group, "group_no": "G-1001"})
    assert told.status_code == 201, told.json
    return told.json


def photo(size: tuple[int, int] = (600, 800), kind: str = "JPEG", exif: bytes = b"") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "grey").save(out, kind, **({"exif": exif} if exif else {}))
    return out.getvalue()


def bearer(who: str = AGENT) -> dict[str, str]:
    return {"Authorization": f"Bearer {key_of(who)}"}


@pytest.mark.parametrize("lang", ["en", "ar"])
def test_the_template_filled_in_is_a_roster_that_is_taken(client, engine, as_, group, lang):
    assert as_(AGENT).post("/v1/groups", {**group, "group_no": "G-1001", "members": []}).status_code == 201
    book = load_workbook(io.BytesIO(client.get(f"/agent/roster-{lang}.xlsx").data))
    sheet = book.worksheets[0]
    assert sheet.sheet_view.rightToLeft is (lang == "ar")
    fields = list(columns(engine.register.map("agents/roster", "receive_roster", "request"), lang))
    for field, value in FILLED.items():
        sheet.cell(2, fields.index(field) + 1, value[lang] if isinstance(value, dict) else value)
    out = io.BytesIO()
    book.save(out)
    told = client.post(
        "/v1/files?operation=receive_roster&name=roster.xlsx", data=out.getvalue(),
        headers={**bearer(), "Idempotency-Key": str(uuid4())},
    )  # fmt: skip
    assert told.status_code == 202, told.json
    engine.take_uploads()
    there = client.get(told.headers["Location"], headers=bearer()).json
    assert there["rows"] == {"read": 1, "accepted": 1, "rejected": 0}, there


def test_only_the_rows_to_mend_come_back_where_they_are_asked_for(client, engine, as_, group):
    assert as_(AGENT).post("/v1/groups", {**group, "group_no": "G-1001", "members": []}).status_code == 201
    head = "Group No;Given Name;Family Name;Sex;Date of Birth;Nationality;Passport No;Issue Date;Expiry Date"
    rows = [
        "G-1001;SITI;RAHAYU;F;1984-11-03;IDN;C7654321;2024-05-06;2034-05-05",
        "G-1001;BUDI;SANTOSO;M;1979-03-02;IDN;C7654322;2024-05-06;2019-05-05",
    ]
    told = client.post(
        "/v1/files?operation=receive_roster&name=r.csv", data="\r\n".join((head, *rows)),
        headers={**bearer(), "Idempotency-Key": str(uuid4())},
    )  # fmt: skip
    engine.take_uploads()
    at = told.headers["Location"]
    back = client.get(f"{at}/outcome?only=rejected", headers=bearer())
    assert "to-fix" in back.headers["Content-Disposition"]
    heading, *left = csv.reader(io.StringIO(back.data.decode("utf-8-sig"), newline=""), delimiter=";")
    assert heading[:2] == ["Group No", "Given Name"]
    assert [row[1] for row in left] == ["BUDI"]
    assert any("؀" <= letter <= "ۿ" for letter in "".join(left[0]))  # the reason in Arabic beside it
    assert client.get(f"{at}/outcome?only=accepted", headers=bearer()).status_code == 422


def test_a_photo_is_kept_without_anything_but_its_pixels(client, engine, filed, settings):
    about = filed["requests"][0]["id"]
    exif = Image.Exif()
    exif[0x010F] = "SECRET-CAMERA"
    given = photo(exif=exif.tobytes())
    assert b"SECRET-CAMERA" in given
    told = client.put(f"/v1/requests/{about}/photo", data=given, headers=bearer())
    assert told.status_code == 200, told.json
    assert (told.json["width"], told.json["height"]) == (600, 800)
    back = client.get(f"/v1/requests/{about}/photo", headers=bearer())
    assert back.mimetype == "image/jpeg" and b"SECRET-CAMERA" not in back.data and b"Exif" not in back.data
    assert Image.open(io.BytesIO(back.data)).size == (600, 800)
    engine.database.close()
    # Sealed where it lies.
    assert not any(back.data[20:60] in path.read_bytes() for path in settings.var.glob("hub.db*"))


def test_a_photo_finds_its_pilgrim_by_the_name_of_its_file(client, filed, group):
    document = group["members"][0]["document"]
    name = f"{document['issuing_state']}-{document['number']}.JPG"
    told = client.put(f"/v1/photos/{name}", data=photo(), headers=bearer())
    assert told.status_code == 200 and told.json["request"] == filed["requests"][0]["id"], told.json
    assert client.put("/v1/photos/Z0000001.jpg", data=photo(), headers=bearer()).json["code"] == "photo_of_nobody"
    assert client.put("/v1/photos/my%20face.jpg", data=photo(), headers=bearer()).json["code"] == "photo_name_wrong"
    # Whose pilgrim it is not learns nothing.
    assert client.put(f"/v1/photos/{name}", data=photo(), headers=bearer(OTHER)).json["code"] == "photo_of_nobody"


def test_another_agents_pilgrim_is_answered_like_one_that_nobody_has(client, filed):
    about = filed["requests"][0]["id"]
    client.put(f"/v1/requests/{about}/photo", data=photo(), headers=bearer())
    for path in (f"/v1/requests/{about}/photo", f"/v1/requests/{uuid4()}/photo"):
        assert client.get(path, headers=bearer(OTHER)).json["code"] == "not_found"
        assert client.put(path, data=photo(), headers=bearer(OTHER)).json["code"] == "not_found"


def bomb() -> bytes:
    out = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "photo_unreadable"),
        (b"GIF89a" + b"\0" * 100, "photo_unreadable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "photo_unreadable"),
        (photo()[:400], "photo_unreadable"),
        (photo((600, 800), "GIF"), "photo_unreadable"),
        (photo((600, 800), "TIFF"), "photo_unreadable"),
        (photo((150, 800)), "photo_too_small"),
        (b"\xff\xd8" + b"\0" * 2_000_001, "photo_too_large"),
        (bomb(), "photo_too_large"),
    ],
    ids=["nothing", "gif-like", "svg", "cut off", "gif", "tiff", "thin", "long", "bomb"],
)
def test_what_is_no_photo_is_refused_with_its_reason(client, filed, body, code):
    told = client.put(f"/v1/requests/{filed['requests'][0]['id']}/photo", data=body, headers=bearer())
    assert told.json["code"] == code and 400 <= told.status_code < 500


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(("lang", "direction"), [("en", "ltr"), ("ar", "rtl")])
def test_the_page_lays_out_in_a_browser_and_names_no_other_host(served, tmp_path, lang, direction):
    ran = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=4000", "--dump-dom", f"{served}/agent/?lang={lang}"],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    assert f'dir="{direction}"' in ran.stdout and 'id="door"' in ran.stdout
    linked = re.findall(r'(?:src|href)="([^"]+)"', ran.stdout)
    assert linked and all(link.startswith(("/", "?", "#")) for link in linked)


@pytest.fixture
def served(settings):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    engine = Engine(dataclasses.replace(settings, port=port))
    server = open_server(engine)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.close()
    thread.join(5)
    engine.stop()


def test_the_scripts_unpack_a_zip_as_the_browser_will(tmp_path):
    """The unpacker, run where node is there; what a ZIP claims of its lengths is not believed."""
    node = subprocess.run(["which", "node"], capture_output=True, text=True, check=False).stdout.strip()
    if not node:
        pytest.skip("node is not installed")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/C1234567.jpg", b"picture" * 1000)
        archive.writestr(zipfile.ZipInfo("stored.png"), b"plain")
        archive.writestr("huge.jpg", b"\0" * 2_000_001)
        archive.writestr("folder/", b"")
    script = Path(__file__).parents[2] / "hub/web/agent/static/unzip.js"
    (tmp_path / "run.cjs").write_text(
        script.read_text("utf-8")
        + "\n(async () => { const blob = new Blob([require('fs').readFileSync(process.argv[2])]);"
        "for await (const one of unzip(blob)) console.log(one.name, one.blob ? one.blob.size : one.why); })();"
    )
    ran = subprocess.run(
        [node, str(tmp_path / "run.cjs"), str(tmp_path / "photos.zip")],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert ran.stdout.split("\n")[:3] == ["a/C1234567.jpg 7000", "stored.png 5", "huge.jpg photo_too_large"]
