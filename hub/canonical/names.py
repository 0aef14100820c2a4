"""Names between scripts: what a machine readable zone can hold, and headers and digits as people really type them.

The tables of :func:`latin` are those of ICAO Doc 9303 part 3, section 6 (national Latin characters, Arabic script).
"""

import re
import unicodedata

from hub.canonical.errors import HubError

_NATIONAL = {
    "Ä": "AE", "Å": "AA", "Æ": "AE", "Ð": "D", "Ö": "OE", "Ø": "OE", "Ü": "UE", "Þ": "TH", "Đ": "D", "Ħ": "H",
    "ı": "I", "Ĳ": "IJ", "ĸ": "Q", "Ł": "L", "Ŋ": "N", "Œ": "OE", "Ŧ": "T", "ẞ": "SS", "ß": "SS",
}  # fmt: skip
_ARABIC = {
    "ء": "XE", "آ": "XAA", "أ": "XAE", "ؤ": "U", "إ": "I", "ئ": "XI", "ا": "A", "ب": "B", "ة": "XTA", "ت": "T",
    "ث": "XTH", "ج": "J", "ح": "XH", "خ": "XKH", "د": "D", "ذ": "XDH", "ر": "R", "ز": "Z", "س": "S", "ش": "XSH",
    "ص": "XSS", "ض": "XDZ", "ط": "XTT", "ظ": "XZZ", "ع": "E", "غ": "G", "ف": "F", "ق": "Q", "ك": "K", "ل": "L",
    "م": "M", "ن": "N", "ه": "H", "و": "W", "ى": "XAY", "ي": "Y", "ٱ": "XXA", "ٹ": "XXT", "ټ": "XRT", "پ": "P",
    "ځ": "XKE", "څ": "XXH", "چ": "XC", "ڈ": "XXD", "ډ": "XDR", "ڑ": "XXR", "ړ": "XRR", "ږ": "XRX", "ژ": "XJ",
    "ښ": "XXS", "ک": "XKK", "ګ": "XXK", "ڭ": "XNG", "گ": "XGG", "ں": "XNN", "ڼ": "XXN", "ھ": "XDO", "ۀ": "XYH",
    "ہ": "XXG", "ۂ": "XGE", "ۃ": "XTG", "ی": "XYA", "ۍ": "XXY", "ې": "Y", "ے": "XYB", "ۓ": "XBE",
}  # fmt: skip
_PLAIN = re.compile("[A-Za-z]+(?: [A-Za-z]+)*")  # what most names are: nothing to look up
_SHADDA = "\u0651"
_TEH_MARBUTA = "ة"
# Vowel marks, the tatweel and what joins or orders letters without being one: not encoded in a zone.
_UNWRITTEN = frozenset("\u0640\u064b\u064c\u064d\u064e\u064f\u0650\u0652\u0670'’ʼʻ‘`.,،")


def latin(text: str) -> str:
    """*text* in the letters A-Z, its parts set apart by single spaces, as ICAO 9303-3 writes it in a zone.

    Apostrophes and full stops fall away, hyphens become spaces.  Raises ``name_script`` for a script that the tables
    do not hold: such a name has to be given in Latin letters by its bearer's passport.
    """
    if _PLAIN.fullmatch(text):
        return text.upper()
    return " ".join(filter(None, map(_latin_part, _parts(text))))


def _parts(text: str) -> list[str]:
    spaced = "".join(" " if unicodedata.category(c) in ("Pd", "Zs") or c in "_/" else c for c in text)
    return unicodedata.normalize("NFC", spaced).split()


def _latin_part(part: str) -> str:
    letters = [c for c in part if c not in _UNWRITTEN and unicodedata.category(c) != "Cf"]
    written: list[str] = []
    for place, letter in enumerate(letters):
        if letter == _SHADDA:
            written.append(written[-1] if written else "")
        elif letter == _TEH_MARBUTA and place == len(letters) - 1:
            written.append("XAH")
        else:
            written.append(_letter(letter))
    return "".join(written)


def _letter(letter: str) -> str:
    upper = letter if letter in ("ß", "ı") else letter.upper()
    if upper in _NATIONAL:
        return _NATIONAL[upper]
    if letter in _ARABIC:
        return _ARABIC[letter]
    plain = unmarked(upper).upper()
    if not plain or (plain.isascii() and plain.isalpha()):
        return plain
    raise HubError("name_script")


def unmarked(text: str) -> str:
    """*text* without the marks on its letters: é becomes e, أ becomes ا."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) != "Mn")


# Longest first; a vowel at the start of a word is carried by an alif.
_TO_ARABIC = (
    ("SH", "ش"), ("TH", "ث"), ("KH", "خ"), ("DH", "ذ"), ("GH", "غ"), ("CH", "تش"), ("PH", "ف"), ("CK", "ك"),
    ("AA", "ا"), ("EE", "ي"), ("II", "ي"), ("OO", "و"), ("OU", "و"), ("UU", "و"), ("AI", "ي"), ("AY", "ي"),
    ("EI", "ي"), ("EY", "ي"), ("AU", "و"), ("AW", "و"), ("A", "ا"), ("B", "ب"), ("C", "ك"), ("D", "د"), ("E", "ي"),
    ("F", "ف"), ("G", "ج"), ("H", "ه"), ("I", "ي"), ("J", "ج"), ("K", "ك"), ("L", "ل"), ("M", "م"), ("N", "ن"),
    ("O", "و"), ("P", "ب"), ("Q", "ق"), ("R", "ر"), ("S", "س"), ("T", "ت"), ("U", "و"), ("V", "ف"), ("W", "و"),
    ("X", "كس"), ("Y", "ي"), ("Z", "ز"),
)  # fmt: skip
_VOWELS = frozenset("AEIOU")


def arabic(text: str) -> str:
    """*text* approximately in Arabic letters: what a partner's form wants where the Arabic name is not known.

    One way only: it cannot be read back.  Letters that are Arabic already, digits and what no table holds stay.
    """
    return " ".join(_arabic_part(part) for part in text.split())


def _arabic_part(part: str) -> str:
    pieces: list[str] = []
    for letter in part:
        try:
            pieces.append(letter if letter in _ARABIC or letter in _UNWRITTEN else _letter(letter))
        except HubError:
            pieces.append(letter)
    rest, written = "".join(pieces), ""
    while rest:
        for sound, letters in _TO_ARABIC:
            if rest.startswith(sound):
                if not written and letters in ("ي", "و") and sound[0] in _VOWELS:
                    letters = "ا" + letters
                break
        else:
            sound = letters = rest[0]
        written, rest = written + letters, rest[len(sound) :]
        # A doubled consonant is one letter in Arabic; its shadda is seldom written.
        while rest.startswith(sound) and sound not in _VOWELS and sound.isascii() and sound.isalpha():
            rest = rest[len(sound) :]
    return written


_SAME = str.maketrans("ىیېکةۃہھٱ", "يييكهههها", "\u0640")
_DIGITS = {
    code: str(unicodedata.digit(chr(code)))
    for code in range(0x80, 0x1FFFF)
    if unicodedata.category(chr(code)) == "Nd"
}  # fmt: skip


def western_digits(text: str) -> str:
    """*text* with the decimal digits of every script (Arabic-Indic, Persian, Bengali …) as 0-9."""
    return text if text.isascii() else text.translate(_DIGITS)


def fold(text: str) -> str:
    """*text* as headers and code words are compared: two spellings of one word fold to the same string.

    Alif with or without hamza or madda, ya and alif maqsura, ta marbuta and ha are one; tatweel, vowel marks, accents,
    zero-width marks and letter case fall away; digits are western, white space is single.
    """
    if not text.isascii():
        plain = unicodedata.normalize("NFKD", text)
        plain = "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Cf"))
        text = unicodedata.normalize("NFC", western_digits(plain.translate(_SAME)))
    return " ".join(text.casefold().split())
