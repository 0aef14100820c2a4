import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.canonical.errors import HubError
from hub.canonical.names import arabic, fold, latin, western_digits


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Müller-Groß", "MUELLER GROSS"),
        ("O'Connor", "OCONNOR"),
        ("Đặng Thị Nguyễn", "DANG THI NGUYEN"),
        ("Çelik Işık İzmir ılık", "CELIK ISIK IZMIR ILIK"),
        ("Ærøskøbing Åse Þór", "AEROESKOEBING AASE THOR"),
        ("  Anna   Maria ", "ANNA MARIA"),
        ("A. B.", "A B"),
        ("e\u0301t\u00e9", "ETE"),
        # ICAO 9303-3, section 6, table C.
        ("محمد", "MXHMD"),
        ("عبد الرحمن", "EBD ALRXHMN"),
        ("فاطمة", "FAXTTMXAH"),
        ("فاطمة الزهراء", "FAXTTMXAH ALZHRAXE"),
        ("مَكّة", "MKKXAH"),
        ("شــاه", "XSHAH"),
    ],
)
def test_latin_by_the_tables_of_icao_9303(name: str, zone: str) -> None:
    assert latin(name) == zone


@pytest.mark.parametrize("name", ["日本", "Иван", "Αθηνά", "A1", "ন"])
def test_a_script_without_a_table_is_refused(name: str) -> None:
    with pytest.raises(HubError) as caught:
        latin(name)
    assert caught.value.code == "name_script"
    assert name not in str(caught.value)


@given(st.text(max_size=40))
def test_latin_gives_letters_and_single_spaces_or_a_coded_error(text: str) -> None:
    try:
        found = latin(text)
    except HubError as error:
        assert error.code == "name_script"
    else:
        assert re.fullmatch(r"([A-Z]+( [A-Z]+)*)?", found)


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("KHALID", "خاليد"),
        ("SHAH", "شاه"),
        ("MOHAMMED", "موهاميد"),
        ("Aisha", "ايشا"),
        ("علي", "علي"),
        ("Łukasz 2", "لوكاسز 2"),
    ],
)
def test_arabic_is_approximate_and_keeps_what_is_arabic(name: str, letters: str) -> None:
    assert arabic(name) == letters


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=30))
def test_arabic_leaves_no_latin_letter(name: str) -> None:
    assert re.fullmatch(r"[\u0621-\u064a]+", arabic(name))


@given(st.text(max_size=40))
def test_arabic_never_fails(text: str) -> None:
    arabic(text)


@pytest.mark.parametrize(
    "spellings",
    [
        (
            "رقم الجواز",
            "رقم الجــواز",
            "رَقَمُ الجَواز",
            " رقم\u00a0 الجواز\u200f",
            "رقم\u200cالجواز".replace("\u200c", " "),
        ),
        ("تاريخ الانتهاء", "تأريخ الإنتهاء", "تآريخ الٱنتهاء"),
        ("نوع التاشيرة", "نوع التأشيره", "نوع التأشيرة"),
        ("مستشفى", "مستشفي", "مستشفی"),
        ("رقم 12", "رقم ١٢", "رقم ۱۲"),
        ("Passport No", "PASSPORT  NO", "passport\tno", "Ｐassport No"),
        ("Prénom", "PRENOM", "Pre\u0301nom"),
    ],
)
def test_fold_makes_the_usual_spellings_one(spellings: tuple[str, ...]) -> None:
    assert len({fold(spelling) for spelling in spellings}) == 1


def test_fold_keeps_different_words_apart() -> None:
    words = [
        "رقم الجواز",
        "رقم الحدود",
        "تاريخ الدخول",
        "تاريخ الخروج",
        "داخل المملكة",
        "خرج",
        "غادر",
        "Entry",
        "Exit",
        "12",
        "21",
    ]
    assert len({fold(word) for word in words}) == len(words)


@given(st.text(max_size=40))
def test_fold_twice_is_fold(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_western_digits_of_every_script() -> None:
    assert western_digits("٠١٢٣٤٥٦٧٨٩ ۰۱۲۳۴۵۶۷۸۹ ০১২ 5 ½") == "0123456789 0123456789 012 5 ½"
