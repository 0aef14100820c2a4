"""Rosters as agents make them: typed into a sheet, saved by LibreOffice, dropped into their folder."""

import csv
import io
import subprocess

import pytest

from tests.exchange.exchanging import AGENT, filing

pytestmark = pytest.mark.needs("soffice")

ARABIC = (
    "رقم المجموعة,الاسم الأول,اسم العائلة,النوع,تاريخ الميلاد,الجنسية,رقم الجواز,"
    "تاريخ إصدار الجواز,تاريخ انتهاء الجواز,رقم الجوال\n"
    "G-1001,SITI,RAHAYU,أنثى,1984-11-03,IDN,C7654321,2024-05-06,2034-05-05,+628001234567\n"
    "G-1001,BUDI,SANTOSO,ذكر,1979-02-01,IDN,C7654322,2024-05-06,2034-05-05,\n"
)


@pytest.fixture
def saved(tmp_path):
    """What LibreOffice makes of a sheet, in *form*: its own reading of the cells, its own writing of them.

    The last column is text, as people set it for telephone numbers: as a number it would lose its plus.
    """
    source = tmp_path / "sheet.csv"
    source.write_text(ARABIC, encoding="utf-8")

    def save(form: str, filter_: str) -> bytes:
        out = tmp_path / "saved"
        subprocess.run(
            ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless",
             "--infilter=CSV:44,34,76,1,10/2", "--convert-to", f"{form}:{filter_}", "--outdir", str(out), str(source)],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        return (out / f"sheet.{form}").read_bytes()

    return save


@pytest.mark.parametrize(
    ("form", "filter_"), [("xlsx", "Calc MS Excel 2007 XML"), ("csv", "Text - txt - csv (StarCalc):44,34,76,1")]
)
def test_a_roster_saved_by_libreoffice_is_taken(hub, tmp_path, saved, form, filter_):
    assert hub.open(filing(members=[])).status == "taken"
    inbox = tmp_path / "files" / AGENT / "from_partner"
    (inbox / f"roster.{form}.part").write_bytes(saved(form, filter_))
    (inbox / f"roster.{form}.part").rename(inbox / f"roster.{form}")
    collected = hub.engine.collect(hub.engine.register.partners[AGENT])
    assert (collected.files, collected.lines, collected.code) == (1, 2, None)
    assert hub.states() == ["SUBMITTED"] * 2
    hub.drain(AGENT)
    (file,) = (tmp_path / "files" / AGENT / "to_partner").glob("*.outcome.*")
    assert file.suffix == f".{form}"
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"))))
        assert [row["Outcome"] for row in rows] == ["accepted", "accepted"]
