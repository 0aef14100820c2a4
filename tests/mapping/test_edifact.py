"""EDIFACT as it really comes: separators, wrapping, wrappers, counts that are not true; and as it is written."""

import quopri
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydifact.segmentcollection import Interchange

from hub.mapping import MapError, interchange, laws, load
from tests.mapping.conftest import MAPS, design
from tests.mapping.messages import MESSAGES, PassengerManifest

EXAMPLE = (MAPS / "examples" / "passengers.edi").read_bytes()
ONE_LINE = EXAMPLE.replace(b"\n", b"")
HOME = Path(__file__).parents[2]
MAP = (MAPS / "passengers.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def passengers():
    return design("passengers")


@pytest.fixture(scope="module")
def wanted(passengers) -> PassengerManifest:
    return passengers.read(EXAMPLE)


def refused(act, *given, **named) -> MapError:
    with pytest.raises(MapError) as caught:
        act(*given, **named)
    return caught.value


def without(wire: bytes, *tags: bytes) -> bytes:
    return b"".join(part + b"'" for part in wire.split(b"'")[:-1] if not part.startswith(tags))


# --- tolerant reading ---------------------------------------------------------------------------------------------


def respelled(signs: str) -> bytes:
    """The example with other service characters: component, element, decimal, release, reserved, end."""
    text = ONE_LINE.decode()[9:]
    kept = {"?'": "\1", "?+": "\2"}
    for old, new in kept.items():
        text = text.replace(old, new)
    for old, new in zip(":+'", "\3\4\5", strict=True):
        text = text.replace(old, new)
    for mark, new in (("\3", signs[0]), ("\4", signs[1]), ("\5", signs[5])):
        text = text.replace(mark, new)
    for mark, plain in (("\1", "'"), ("\2", "+")):
        text = text.replace(mark, signs[3] + plain if plain in signs else plain)
    return f"UNA{signs}{text}".encode()


@pytest.mark.parametrize("signs", [":+.? '", "*|.? $", "=*,? ~", ":-.! '", ";/.\\ #", ":+.? \n", "\x1f\x1d.? \x1c"])
def test_any_separators(passengers, wanted, signs):
    assert passengers.read(respelled(signs)) == wanted


@pytest.mark.parametrize("signs", ["*|.? $", "=*,? ~", ":-.? #", ":+.? '"])
def test_separators_that_nothing_tells(passengers, wanted, signs):
    """Without UNA they are taken from UNB and from what stands before the next segment."""
    assert passengers.read(respelled(signs)[9:]) == wanted


def test_the_blank_of_una_may_be_lost(passengers, wanted):
    assert passengers.read(ONE_LINE.replace(b"UNA:+.? '", b"UNA:+.?'")) == wanted


@pytest.mark.parametrize("width", [69, 64, 7, 1])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_lines_break_in_the_middle_of_a_word(passengers, wanted, width, end):
    text = ONE_LINE.decode()
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    assert passengers.read(end.join(lines).encode()) == wanted


TELEX = b"\x01QU JEDAPXS\r\n.CGKZZ01 140915\r\n\x02"
FOOTER = b"\x03\r\n\r\n____________\r\nDon't print this. It's confidential: see http://mail.example/?a=b+c\r\n\x0c"
MAIL = b"From: desk@air.example\r\nSubject: UNABLE TO SEND, UNA or UNB\r\n\r\nDear all, here it is\r\n\r\n"


@pytest.mark.parametrize("before", [b"", TELEX, MAIL, b"\xef\xbb\xbf", b"\xef\xbb\xbf" + MAIL])
@pytest.mark.parametrize("after", [b"", FOOTER, b"\r\n\r\n"])
def test_telex_and_mail_around_it(passengers, wanted, before, after):
    assert passengers.read(before + EXAMPLE.replace(b"\n", b"\r\n") + after) == wanted


def test_mail_in_quoted_printable(passengers, wanted):
    head = b"From: desk@air.example\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    assert passengers.read(head + quopri.encodestring(ONE_LINE)) == wanted


def test_utf_16_with_its_mark(passengers, wanted):
    assert passengers.read(ONE_LINE.decode().encode("utf-16")) == wanted


def test_groups_of_messages_may_be_left_out(passengers, wanted):
    wire = without(ONE_LINE, b"UNG", b"UNE")
    assert passengers.read(wire) == wanted


def test_versions_and_character_sets_of_theirs_are_their_own_affair(passengers, wanted):
    wire = ONE_LINE.replace(b"UNOA:4", b"UNOB:3").replace(b"D:05B:UN:IATA", b"D:12B:UN").replace(b"++APIS", b"")
    assert passengers.read(wire) == wanted
    assert refused(passengers.read, ONE_LINE.replace(b"+PAXLST:D", b"+CUSRES:D")).code == "map_constant"


def test_letters_beyond_what_the_level_says(passengers):
    for name, encoding in (("MÜLLER", "utf-8"), ("MÜLLER", "iso8859-1"), ("ÅSE", "cp1252")):
        read = passengers.read(ONE_LINE.replace(b"+++AISYAH", f"+++{name}".encode(encoding)))
        assert read.travellers[1].family == name
    greek = ONE_LINE.replace(b"UNOA:4", b"UNOF:4").replace(b"+++AISYAH", "+++ΕΛΕΝΗ".encode("iso8859-7"))
    assert passengers.read(greek).travellers[1].family == "ΕΛΕΝΗ"


def test_segments_that_no_map_names_are_passed_over(passengers, wanted):
    """… and an unknown one of the group's own tag ends the group, so that nothing of it goes to the wrong person."""
    wire = ONE_LINE.replace(b"ATT+2++M'", b"MEA+CT++:2'FTX+BAG+++NULL'ATT+2++M'GEI+4+173'")
    assert passengers.read(wire.replace(b"UNT+38", b"UNT+41")) == wanted
    crew = ONE_LINE.replace(b"CNT+42", b"NAD+DDT+++GUARDIAN'ATT+2++M'DTM+329:700101'CNT+42")
    assert passengers.read(crew, counts="warn") == wanted


@pytest.mark.parametrize("born", ["490302", "19490302"])
def test_birth_dates_with_and_without_a_century(passengers, wanted, born):
    assert passengers.read(ONE_LINE.replace(b"490302", born.encode()), counts="strict") == wanted


def test_a_birth_date_is_never_ahead(passengers):
    for days, century in ((0, 0), (-1, 0), (1, 100)):
        day = date.today() + timedelta(days=days)
        if (day.month, day.day) == (2, 29):
            continue
        wire = ONE_LINE.replace(b"180911", f"{day:%y%m%d}".encode())
        assert passengers.read(wire).travellers[1].birth_date == day.replace(year=day.year - century)


# --- counts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"UNT+38", b"UNT+159", "file_totals"),
        (b"UNT+38", b"UNT+X", "file_totals"),
        (b"+PAX0001'UNE", b"+PAX0002'UNE", "edifact_reference"),
        (b"UNT+38+PAX0001'", b"", "file_truncated"),
        (b"UNE+1+1'", b"", "file_truncated"),
        (b"UNE+1+1", b"UNE+2+1", "file_totals"),
        (b"UNE+1+1", b"UNE+1+9", "edifact_reference"),
        (b"UNZ+1+", b"UNZ+7+", "file_totals"),
        (b"UNZ+1+26", b"UNZ+1+27", "edifact_reference"),
        (b"UNZ+1+260214091501'", b"", "file_truncated"),
        (b"CNT+42:2", b"CNT+42:47", "file_totals"),
    ],
)
def test_untrue_counts_are_a_policy(passengers, wanted, old, new, code):
    assert old in ONE_LINE
    wire = ONE_LINE.replace(old, new)
    error = refused(passengers.read, wire)
    assert error.code == code and error.line > 1
    assert passengers.read(wire, counts="warn") == wanted


def test_the_policy_may_stand_in_the_map(loaded, wanted):
    map_ = loaded(MAP.replace("format: edifact", "format: edifact\ncounts: warn"))
    wire = ONE_LINE.replace(b"CNT+42:2", b"CNT+42:47")
    assert map_.read(wire) == wanted
    assert refused(map_.read, wire, counts="strict").code == "file_totals"


def test_untrue_counts_are_told_to_the_log(passengers, logged):
    passengers.read(ONE_LINE.replace(b"CNT+42:2", b"CNT+42:47"), counts="warn")
    told = str(logged)
    assert "edifact_counts" in told and "47" in told and "SANTOSO" not in told


# --- what is wrong is located -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (b"", "edifact_unreadable"),
        (b"\x00\xff\xfe" * 50, "edifact_unreadable"),
        (b"UNA:+.? '", "edifact_unreadable"),
        (b"Dear all, UNB is attached", "edifact_unreadable"),
        (ONE_LINE[:40], "file_truncated"),
        (ONE_LINE[:-60], "file_truncated"),
        (without(ONE_LINE, b"UNT", b"UNE", b"UNZ"), "file_truncated"),
        (without(ONE_LINE, b"UNH"), "file_truncated"),
        (ONE_LINE + ONE_LINE, "edifact_unreadable"),
        (ONE_LINE.replace(b"BGM+745", b"!!!"), "edifact_unreadable"),
        (ONE_LINE.replace(b"'BGM+745", b"'BGM+745'BGM+250").replace(b"T+38", b"T+39"), "map_repeated"),
        (ONE_LINE.replace(b"BGM+745", b"BGM+999"), "map_code_unknown"),
        (ONE_LINE.replace(b"DTM+36:291016", b"DTM+36:290230"), "invalid_value"),
        (ONE_LINE.replace(b"+++AISYAH", b""), "required"),
    ],
)
def test_what_is_wrong_has_a_place(passengers, wire, code):
    for counts in ("strict", "warn"):
        error = refused(passengers.read, wire, counts=counts)
        assert error.code == code
        assert str(error).startswith("maps/passengers.yaml:")
        assert "SANTOSO" not in str(error) and "X1234567" not in str(error)


def test_an_error_names_the_person_and_the_document_by_number(passengers):
    error = refused(passengers.read, ONE_LINE.replace(b"DTM+36:260430", b"DTM+36:269999"))
    assert error.place == "NAD+FL/DOC/DTM+36/1.2" and error.item == " of NAD+FL 1, DOC 2"


# --- strict writing -----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:segments.xml not found")
def test_what_is_written_is_read_by_others(passengers, wanted):
    """pydifact reads the service characters, the release character and every segment of ours."""
    segments = list(Interchange.from_str(passengers.write(wanted).decode()).segments)
    names = [s.elements[3] for s in segments if s.tag == "NAD"]
    assert names == [["SANTOSO'ADI", "BUDI + WATI"], "AISYAH"]
    assert [s.elements[1] for s in segments if s.tag == "DOC"] == ["X1234567", "6012345678", "A7654321"]
    interchange = Interchange.from_str(passengers.write(wanted).decode())
    assert (interchange.sender, interchange.control_reference) == ("SEA AIR DESK", "260214091501")
    assert interchange.syntax_identifier == ("UNOA", 4)


def test_other_service_characters_are_written(loaded, wanted):
    map_ = loaded(
        MAP.replace('''una: ":+.? '"''', 'una: "=*.! ~"').replace("format: edifact", "format: edifact\nnewline: lf")
    )
    wire = map_.write(wanted)
    assert wire.startswith(b"UNA=*.! ~\nUNB*UNOA=4*SEA AIR DESK*") and wire.endswith(b"~\n")
    assert map_.read(wire) == wanted
    bare = loaded(MAP.replace("""una: ":+.? '"\n""", ""))
    assert bare.write(wanted).startswith(b"UNB+UNOA:4+SEA AIR DESK+")


def test_only_characters_of_the_level_are_written(passengers, loaded, wanted):
    error = refused(passengers.write, passengers.read(ONE_LINE.replace(b"+++AISYAH", b"+++Aisyah")))
    assert error.code == "encoding_cannot_hold" and error.place == "NAD+FL/4.1" and "Aisyah" not in str(error)
    wide = loaded(MAP.replace("UNOA:4", "UNOC:4"))
    message = wide.read(ONE_LINE.replace(b"+++AISYAH", "+++Müller".encode()))
    assert "Müller".encode("iso8859-1") in wide.write(message)


def test_counts_are_written_true(passengers, wanted):
    wire = passengers.write(wanted)
    assert b"CNT+42:2'UNT+38+PAX0001'UNE+1+1'UNZ+1+260214091501'" in wire
    assert len(list(interchange.parse(wire, interchange.unreadable))) == 38 + 4


# --- maps ---------------------------------------------------------------------------------------------------------


def test_what_follows_a_segment_is_told_by_it(loaded):
    """The same segment after the passport and after the visa, without a part of ours for either."""
    start = MAP.index("      DOC:\n")
    flat = MAP[:start] + "      DOC+P/2: seat\n      DOC+P/LOC+91/2: embarked\n      DOC+V/2: locator\n"
    flat += "      DOC+V/LOC+91/2: disembarked\n" + MAP[MAP.index("  CNT+42") :]
    for line in ("LOC+178/2:   embarked", "LOC+179/2:   disembarked", "RFF+AVF/1.2: locator", "RFF+SEA/1.2: seat"):
        flat = flat.replace(f"      {line}\n", "")
    map_ = loaded(flat)
    both, one = map_.read(ONE_LINE).travellers
    assert (both.seat, both.embarked, both.locator, both.disembarked) == ("X1234567", "IDN", "6012345678", "SAU")
    assert (one.seat, one.embarked, one.locator, one.disembarked) == ("A7654321", None, None, None)
    visa_alone = ONE_LINE.replace(b"DOC+P:110:111+X1234567'DTM+36:291016'LOC+91+IDN'", b"").replace(b"+38+", b"+35+")
    assert map_.read(visa_alone).travellers[0].embarked is None
    assert map_.read(visa_alone).travellers[0].disembarked == "SAU"
    twice = ONE_LINE.replace(b"LOC+91+SAU'", b"LOC+91+SAU'LOC+91+SAU'").replace(b"+38+", b"+39+")
    assert refused(map_.read, twice).place == "NAD+FL/DOC+V/LOC+91/2"
    laws.hold(map_, 60)


def test_several_messages_of_one_interchange(loaded):
    map_ = loaded(
        "message: HotelBooking\nformat: edifact\nfields:\n"
        "  UNB/1.*: = 'UNOB:3'\n  UNB/2.1: booking_id\n  UNB/3.1: hotel_code\n"
        "  UNB/4.1: check_in | date YYYYMMDD\n  UNB/5: {field: total, form: decimal 2}\n"
        "  UNB/7: currency\n  UNB/8.1: check_out | date YYYYMMDD\n"
        "  UNH++ORDERS:\n    each: rooms\n    fields:\n"
        "      '1': rate | decimal 2\n      '2.2': = 'D'\n      BGM/1: kind\n      BGM/2: board\n"
        "      LIN:\n        each: guests\n        fields:\n"
        "          '1': passport_number\n          '2.1': given\n          '2.2': family\n"
        "          DTM/1.2: birth_date | date YYYYMMDD\n          NAT/1: nationality\n          QTY+21/1.2: is_lead\n"
        "      CNT+2/1.2: = count(guests)\n"
    )
    wire = (
        b"UNB+UNOB:3+B1+H1+20260201+10.50++SAR+20260203'"
        b"UNH+1.00+ORDERS:D'BGM+double+half'LIN+P1+A:B'DTM+:19800101'NAT+IDN'QTY+21:true'CNT+2:1'UNT+8+1.00'"
        b"UNH+2.00+ORDERS:D'BGM+single+none'CNT+2:0'UNT+4+2.00'UNZ+2+10.50'"
    )
    read = map_.read(wire)
    assert [(room.kind, len(room.guests)) for room in read.rooms] == [("double", 1), ("single", 0)]
    assert map_.write(read) == wire
    assert refused(map_.read, wire.replace(b"2.00+ORDERS", b"2.00+INVOIC")).code == "map_root"


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("  BGM/1:   kind", "  BGM:   kind", "'BGM' is a segment: say which of its data"),
        ("  BGM/1:   kind", "  BGM/0:   kind", "'BGM/0' is no place in edifact"),
        ("  BGM/1:   kind", "  '1':   kind", "'1' names no segment, and no group begins here"),
        ("  NAD+FL:\n", "  NAD/1:\n", "a group or a list begins with a segment"),
        ("DTM+329/1.2", "DTM+329/1.1", "is what tells the segment from others"),
        ("  UNH/2.5: = 'IATA'", "  UNH/2.1.: = 'IATA'", "is no place in edifact"),
        ("  UNH/2.5: = 'IATA'", "  UNT/1: = '5'", "is written and held against the segments by itself"),
        ("  CNT+42/1.2:", "  NAD+FL/4.3:", "begins a group or a list"),
        ('''una: ":+.? '"''', 'una: "::.? x"', "una is the six service characters"),
        ("format: edifact", "format: edifact\ncounts: often", "counts is strict"),
        ("format: edifact", "format: edifact\nunknown: refuse", "what the map does not know is passed over"),
        ("date YYMMDD past", "date YYYYMMDD past", "'past' is for years of two digits"),
        ("      NAT+2/2: ", "      LOC+178/2.1: ", "is the place of line"),
    ],
)  # fmt: skip
def test_mistakes_of_a_map(faults, old, new, wanted):
    assert old in MAP
    found = faults(MAP.replace(old, new, 1))
    assert any(wanted in fault for fault in found), found


# --- published samples --------------------------------------------------------------------------------------------


@pytest.mark.needs("specimens")
def test_every_published_passenger_list_gives_its_persons(passengers, specimens: Path):
    files = sorted(specimens.glob("paxlst/**/*.txt"))
    assert files
    for file in files:
        data = file.read_bytes()
        read = passengers.read(data, counts="warn")
        flat = data.replace(b"\r", b"").replace(b"\n", b"")
        for tag, found in ((b"NAD", read.travellers), (b"DOC", [p for t in read.travellers for p in t.papers])):
            signs = flat[flat.index(b"UNA") + 3 :]
            opening = signs[5:6] + tag + signs[1:2] + (b"FL" if tag == b"NAD" else b"")
            assert len(found) == flat.count(opening) > 0, file.name
        for person in read.travellers:
            assert person.family and person.birth_date and person.nationality and person.papers
            assert person.birth_date <= date.today() and all(paper.number for paper in person.papers)
        assert read.legs[0].flight and {call.role for call in read.legs[0].calls} == {"departure", "arrival"}
        assert passengers.read(data.replace(b"\n", b"\r\n"), counts="warn") == read


@pytest.mark.needs("specimens")
def test_the_map_of_the_carriers_reads_them_as_they_come(specimens: Path):
    map_ = load(HOME / "mappings/transport/passenger_lists/receive_list/request.v1.yaml")
    for file in sorted(specimens.glob("paxlst/**/*.txt")):
        read = map_.read(file.read_bytes())
        assert read.passengers and all(person.document_no and person.birth_date for person in read.passengers), (
            file.name
        )


@pytest.mark.needs("specimens")
def test_wrapped_and_cleaned_say_the_same(passengers, specimens: Path):
    for cleaned in sorted(specimens.glob("paxlst/*/reference/*.txt")):
        original = cleaned.parent.parent / "original" / cleaned.name
        read = passengers.read(original.read_bytes(), counts="warn")
        assert read == passengers.read(cleaned.read_bytes(), counts="warn")


@pytest.mark.needs("specimens")
def test_every_published_interchange_is_a_tree(specimens: Path):
    files = [*specimens.glob("edifact/*"), *specimens.glob("pnrgov/*")]
    assert len(files) >= 4
    for file in files:
        tags = [segment.tag for segment in interchange.parse(file.read_bytes(), interchange.unreadable)]
        assert tags[0] == "UNB" and tags[-1] == "UNZ" and tags.count("UNH") == tags.count("UNT") > 0


def test_the_map_is_among_the_examples():
    assert load(MAPS / "passengers.yaml", messages=MESSAGES).active
