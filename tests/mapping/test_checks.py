"""Every mistake in a map is found when it is loaded, at its line, with what to do."""

# ruff: noqa: E501 - a table of expectations is read by its lines

import pytest

VISA, BANK, HOTEL = "mofa-visa-request", "bank-settlement", "hotel-booking"
DRIVERS, VEHICLE, VEHICLE_JSON = "drivers", "vehicle", "vehicle-json"

PLANTED = [
    # --- fields and messages ---
    (VISA, [("passport.issue_place", "passport.isue_place")],
     "28: no field 'passport.isue_place' in VisaRequest; did you mean 'issue_place'?"),
    (BANK, [("fee | decimal 2", "feee | decimal 2")], "25: no field 'feee' in SettlementLine; did you mean 'fee'?"),
    (VISA, [("message: VisaRequest", "message: VisaRequst")], "1: no message 'VisaRequst'; did you mean 'VisaRequest'?"),
    (VISA, [("format: xml", "format: xlm")], "2: no format 'xlm'; did you mean 'xml'?"),
    (VISA, [("message: VisaRequest\n", "")], "1: 'message' is missing: every map says its message"),
    (VISA, [("schema:", "shema:")], "5: 'shema' is no key of a map in xml; did you mean 'schema'?"),
    (VISA, [("root: SubmitVisa/Application\n", "")], "1: 'root' is missing: a map in xml needs it"),
    (VISA, [("passport.number", "passport")], "23: 'passport' is a part: map it with 'group:'"),
    (VISA, [("group_no\n", "vaccinations\n")], "22: 'vaccinations' is a list: map it with 'each:'"),
    (VISA, [("passport.number", "vaccinations.code")],
     "23: 'vaccinations' is a list: nothing of it can be named as 'vaccinations.code'"),
    (VISA, [("passport.number", "gender.x")], "23: 'gender' is a text: nothing of it can be named as 'gender.x'"),
    (VISA, [("group: companion", "group: vaccinations")], "50: 'vaccinations' is no part"),
    (VISA, [("each: vaccinations", "each: companion")], "55: 'companion' is no list of parts"),
    (VISA, [("each: vaccinations", "each: vacinations")],
     "55: no field 'vacinations' in VisaRequest; did you mean 'vaccinations'?"),
    (VISA, [("contact.city", "contact.address")],
     "43: 'contact.address' is mapped twice, so reading is ambiguous; say 'only: write' on one"),
    (BANK, [("27-29:   currency", "27-29:   = 'SAR'")],
     "1: 'currency' of SettlementFile is required, but nothing is read into it"),
    (VISA, [("  Applicant/Sex:           gender | table sex\n", "")],
     "1: 'gender' of VisaRequest is required, but nothing is read into it"),
    (VISA, [("name.given_ar, else: name.given |", "gender, form: table sex, else: name.given |")],
     "32: 'gender' is never empty, so 'else:' never applies"),
    # --- places ---
    (VISA, [("  Season:                  season\n", "  Season:                  season\n  Season:                  season\n")],
     "20: 'Season' is given twice (first on line 19)"),
    (VISA, [("Travel/Port:", "Travel//Port:")], "47: 'Travel//Port' is no place in xml"),
    (BANK, [("52-71:", "52..71:")], "26: '52..71' is no place in fixed"),
    (HOTEL, [("price/currency:", "price//x:")], "17: 'price//x' is no place in json"),
    (HOTEL, [("  reference:               booking_id\n", "  stay:  booking_id\n")],
     "13: 'stay' is a value already and cannot hold 'stay/from'"),
    (HOTEL, [("  note:                    remarks\n", "  stay:   remarks\n")],
     "34: 'stay' holds other places already and cannot be a value"),
    (VEHICLE, [("  Total: total", "  Driver/Total: total")], "33: 'Driver' is opened a second time: keep its places together"),
    (VEHICLE, [("Papers/Licence/@until", "Papers/Licence/Until")], "19: Driver/Papers/Licence would hold text and elements at once"),
    # --- the partner's schema ---
    (VISA, [("  Travel/Port:             travel.port\n", "")], "45: Travel/Port is required by visa.xsd but nothing is written to it"),
    (VISA, [("Applicant/BirthPlace:", "Applicant/BirthTown:")],
     "36: Applicant/BirthTown is not in visa.xsd"),
    (VISA, [("  Travel/Port:             travel.port\n", ""),
            ("  Travel/ArrivalDate", "  Travel/Port:             travel.port\n  Travel/ArrivalDate")],
     "45: out of order: visa.xsd wants this after line 47"),
    (VISA, [("{M: male, F: female}", "{M: male, W: female}")],
     "34: Applicant/Sex does not take 'W' of table 'sex'; the schema allows M, F"),
    (VISA, [("gender | table sex", "= 'Q'")], "34: Applicant/Sex does not take 'Q'; the schema allows M, F"),
    (VISA, [("gender | table sex", "gender")], "34: Applicant/Sex does not take 'male'; the schema allows M, F"),
    (VISA, [("fee.currency", "agent_code")], "60: 'agent_code' is mapped twice, so reading is ambiguous; say 'only: write' on one"),
    (VISA, [("Fee/@currency:", "Fee/@curency:")], "60: Fee/@curency is not in visa.xsd; did you mean 'currency'?"),
    (VISA, [("Fee/@currency:", "Fee/@curency:")], "59: Fee/@currency is required by visa.xsd but nothing is written to it"),
    (VISA, [("  Fee:                     fee.amount\n", "  Passport:                     fee.amount\n")],
     "59: 'Passport' is opened a second time: keep its places together"),
    (VISA, [("  Travel/ArrivalDate:", "  Travel:")], "45: Travel holds elements in visa.xsd, not text"),
    (VISA, [("Vaccinations/Vaccination:\n    each: vaccinations", "Companion2:\n    each: vaccinations")],
     "54: Companion2 is not in visa.xsd; did you mean 'Companion'?"),
    (VISA, [("Vaccinations/Vaccination:\n", "Vaccinations:\n")],
     "54: Vaccinations stands once in visa.xsd, but 'each:' may write it many times"),
    (VISA, [("mofa.example/visa/v2", "mofa.example/visa/v3")],
     "3: namespace is 'http://mofa.example/visa/v3', but that of visa.xsd is 'http://mofa.example/visa/v2'"),
    (VISA, [("SubmitVisa/Application", "SubmitVisa/Aplication")],
     "4: root: 'SubmitVisa/Aplication' is not in visa.xsd; did you mean 'Application'?"),
    (VISA, [("visa.xsd", "viza.xsd")], "5: there is no schema 'viza.xsd' in the adapter's folder"),
    (VISA, [("visa.xsd", "../visa.xsd")], "5: schema '../visa.xsd' lies outside the adapter's folder"),
    (VISA, [("name.given_ar, else: name.given | arabic", "name.given_ar")],
     "32: Applicant/GivenNameAr is required by visa.xsd, but 'name.given_ar' may be empty: then it is refused when written   (warning)"),
    (VISA, [("name.given\n", "name.father\n"), ("name.father\n  Applicant/FamilyName:", "name.given\n  Applicant/FamilyName:")],
     "29: Applicant/GivenName is required by visa.xsd, but 'name.father' may be empty: then it is refused when written   (warning)"),
    (VISA, [("contact.country | table nationality", "contact.city"), ("contact.city\n", "contact.country | table nationality\n")],
     "44: 'contact.city' may have 40 characters, Contact/Country takes 6: longer values are refused when written   (warning)"),
    # --- forms ---
    (VISA, [("Applicant/BirthDate:     birth_date", "Applicant/BirthDate:     birth_date | date DD/MM/YY")],
     "35: form 'date DD/MM/YY' loses YYYY of date 'birth_date'; give a fuller form, or say 'only: write', or 'lossy: WHY'"),
    (VISA, [("submitted_at | datetime YYYY-MM-DDThh:mm:ssZ", "submitted_at | datetime YYYY-MM-DDThh:mmZ")],
     "18: form 'datetime YYYY-MM-DDThh:mmZ' loses ss of datetime 'submitted_at'; "
     "give a fuller form, or say 'only: write', or 'lossy: WHY'"),
    (BANK, [("amount | decimal 2", "amount | decimal 1")], "24: form 'decimal 1' loses decimals of 'amount', which has 2"),
    (VISA, [("season\n", "season | table sex\n")], "19: form 'table' is for text, but 'season' is integer"),
    (VISA, [("season\n", "season | date YYYY\n")], "19: form 'date' is for date, but 'season' is integer"),
    (HOTEL, [("total | text", "total")], "16: 'total' is a decimal: say its form, such as '| text'"),
    (BANK, [("amount | decimal 2", "amount")], "24: 'amount' is a decimal: say its form, such as '| decimal 2'"),
    (VISA, [("submitted_at | datetime YYYY-MM-DDThh:mm:ssZ", "submitted_at")],
     "18: 'submitted_at' is a datetime: say its form, such as '| datetime YYYY-MM-DDThh:mm:ssZ'"),
    (VISA, [("name.given\n", "name.given | arabic\n")], "29: form 'arabic' cannot be read back; use it under 'else:'"),
    (VISA, [("name.given\n", "name.given | arabc\n")], "29: no form 'arabc'; did you mean 'arabic'?"),
    (VISA, [("table sex", "table six")], "34: no table 'six'; did you mean 'sex'?"),
    (VISA, [("table sex", "table")], "34: form 'table' says which: 'table NAME'"),
    (VISA, [("birth_date\n", "birth_date | date\n")], "35: form 'date' says which: 'date PATTERN'"),
    (VISA, [("birth_date\n", "birth_date | date YYYY-MM-YYYY\n")],
     "35: 'YYYY-MM-YYYY' is no pattern of 'date': it has each of YYYY YY MM DD at most once"),
    (VISA, [("birth_date\n", "birth_date | hijri hhmm\n")],
     "35: 'hhmm' is no pattern of 'hijri': it has each of YYYY YY MM DD at most once"),
    (VISA, [("birth_date\n", "birth_date | date YYYY<MM-DD\n")],
     "35: 'YYYY<MM-DD' is no pattern of 'date': between its tokens stand signs, T and Z"),
    (VISA, [("hh:mm:ssZ", "hh:mmZ Asia/Riyadh")],
     "18: 'YYYY-MM-DDThh:mmZ' says Z, which is UTC, and a zone besides"),
    (VISA, [("hh:mm:ssZ", "hh:mm:ss Asia/Mekka")], "18: there is no time zone 'Asia/Mekka'"),
    (BANK, [("file_no | digits", "file_no | digits 9")], "15: form 'digits' takes nothing after it"),
    (BANK, [("amount | decimal 2", "amount | decimal two")], "24: form 'decimal' says how many decimal places: a digit"),
    (BANK, [("52-71:   bill_no", "52-71:   bill_no | digits")],
     "26: form 'digits' is for text that is always 20 digits, which 'bill_no' is not"),
    (HOTEL, [("reference:               booking_id", "reference:               booking_id | digits")],
     "11: form 'digits' is for text that is digits only, which 'booking_id' is not"),
    # --- tables ---
    (VISA, [("{M: male, F: female}", "{M: male, F: female, M: female}")],
     "11: table 'sex': 'M' stands for both 'male' and 'female', so it cannot be read back"),
    (VISA, [("{M: male, F: female}", "{M: male, F: female, M: male}")], "11: table 'sex': 'M' is given twice (first on line 11)"),
    (VISA, [(", SA-001: SAU", "")], "8: table 'nationality' has no code for SAU; where the partner has none, 'partial: WHY' in the table says so"),
    (VISA, [("{M: male, F: female}", "{M: male, F: femal}")],
     "11: table 'sex': 'gender' is never 'femal'; did you mean 'female'?"),
    (VISA, [("  sex:         {M: male, F: female}", "  sex: {}")], "11: table 'sex' has no codes"),
    (VISA, [("  sex:         {M: male, F: female}", "  sex: sex.csv")], "11: table 'sex': there is no file 'sex.csv' below mappings/tables"),
    (VISA, [("{M: male, F: female}", "{M: {male: x}, F: female}")], "11: a text is wanted here, not a table"),
    (BANK, [("{OK: settled", "{OKAY: settled")], "7: table 'status': 'OKAY' is longer than columns 84-85"),
    (BANK, [("{OK: settled", "{partial: '', OK: settled")], "7: 'partial:' says why"),
    (BANK, [("{OK: settled", "{日: settled")], "7: '日' cannot be written in cp1256"),
    (VISA, [("tables:  ", "tables: x\nothers:  ")], "7: 'tables' wants a table of 'key: value' lines below it"),
    # --- conditions and the long spelling ---
    (VISA, [("group: companion\n", "group: companion\n    when: gender is woman\n")],
     "51: 'gender' is never 'woman': it is one of male, female"),
    (VISA, [("group: companion\n", "group: companion\n    when: season is many\n")], "51: 'season' is never 'many': it is a integer"),
    (VISA, [("group: companion\n", "group: companion\n    when: gender is none\n")], "51: 'gender' is never none"),
    (VISA, [("group: companion\n", "group: companion\n    when: gender\n")],
     "51: a condition reads FIELD is VALUE, or FIELD is not VALUE"),
    (VISA, [("group: companion\n", "group: companion\n    when: sex is male\n")], "51: no field 'sex' in VisaRequest"),
    (VISA, [("group: companion\n", "group: companion\n    wen: gender is male\n")],
     "51: 'wen' is no key of a group rule; did you mean 'when'?"),
    (VISA, [("    group: companion\n    fields:", "    group: companion\n    feilds:")], "49: 'group:' needs 'fields:'"),
    (VISA, [("{field: name.given_ar, else:", "{feld: name.given_ar, else:")], "32: a rule needs 'field:', 'group:' or 'each:'"),
    (HOTEL, [("only: write", "only: never")], "15: 'only:' is write or read"),
    (HOTEL, [("only: write", "lossy: ''")], "15: 'lossy:' says why"),
    (HOTEL, [("only: write", "only: write, default: none")], "15: 'check_in' is never 'none': it is a date"),
    (HOTEL, [("default: none", "default: lunch")], "23: 'board' is never 'lunch': it is one of none, breakfast, half, full"),
    (HOTEL, [("default: none", "default: none, only: write")], "23: 'default:' is for reading, and this is written only"),
    (VISA, [("else: name.given | arabic", "else: name.given | arabic, only: read")],
     "32: 'else:' is for writing, and this is read only"),
    # --- constants and totals ---
    (HOTEL, [("= '3'", "= 3")], "10: after '=' comes 'TEXT', count(LIST) or sum(LIST.FIELD)"),
    (HOTEL, [("= '3'", "= '3' | text")], "10: a constant text has no form"),
    (HOTEL, [("= count(rooms)", "= count(room)")], "18: no field 'room' in HotelBooking; did you mean 'rooms'?"),
    (HOTEL, [("= count(rooms)", "= count(total)")], "18: 'total' is no list"),
    (HOTEL, [("= count(rooms)", "= sum(rooms.kind)")], "18: 'rooms.kind' cannot be summed: it is not always a number"),
    (HOTEL, [("= count(rooms)", "= sum(rooms.rat)")], "18: no field 'rat' in Room; did you mean 'rate'?"),
    (HOTEL, [("= count(rooms)", "= sum(rooms.rate)")], "18: 'sum(rooms.rate)' is a decimal: say its form, such as '| text'"),
    (BANK, [("sum(lines.amount) | decimal 2", "sum(lines.amount) | decimal 1")],
     "35: form 'decimal 1' loses decimals of 'sum(lines.amount)', which has 2"),
    (BANK, [("= 'H'", "= 'HH'")], "12: 'HH' is longer than columns 1-1"),
    (BANK, [("72-83:   = ''", "72-83:   = count(lines) | digits")], "27: no field 'lines' in SettlementLine"),
    # --- columns ---
    (BANK, [("52-71:   bill_no", "53-71:   bill_no")], "26: columns 52-52 belong to no field"),
    (BANK, [("41-51", "40-51")], "25: columns 40-51 overlap the field before, which ends at 40"),
    (BANK, [("146-160: = ''", "146-159: = ''")], "18: columns 160-160 belong to no field"),
    (BANK, [("146-160: = ''", "146-161: = ''")], "18: record 'detail' ends at 161, but 'length' is 160"),
    (BANK, [("146-160: = ''", "160-146: = ''")], "30: columns 160-146 end before they begin"),
    (BANK, [("86-145:  payer_name", "86-125:  payer_name"), ("146-160:", "126-160:")],
     "29: 'payer_name' may have 60 characters, columns 86-125 hold 40: longer values are refused when written   (warning)"),
    (BANK, [("2-9:     created_on", "2-8:     created_on"), ("10-17:", "9-17:")],
     "13: form 'date YYYYMMDD' writes 8 characters, columns 2-8 hold 7"),
    (BANK, [("= 'D'", "= 'H'")], "9: records cannot be told apart: give each a constant of its own in the same columns"),
    (BANK, [("length: 160", "length: wide")], "4: a length is a number of columns from 1 to 99999"),
    (BANK, [("encoding: cp1256", "encoding: cp125x")], "3: there is no encoding 'cp125x'"),
    (BANK, [("length: 160", "length: 160\nnewline: cr")], "5: a newline is crlf or lf"),
    (BANK, [("    each: lines\n", "    each: line\n")], "19: no field 'line' in SettlementFile; did you mean 'lines'?"),
    (BANK, [("    each: lines\n", "    each: lines\n    evry: x\n")], "20: 'evry' is no key of a record"),
    (BANK, [("  header:\n    fields:", "  header:\n    felds:")], "10: record 'header' has no fields"),
    # --- csv ---
    (DRIVERS, [("delimiter: ;", "delimiter: x")], "3: a delimiter is one of , ; | tab"),
    (DRIVERS, [("      Phone: phone", "      NAME: phone")], "16: column 'NAME' is that of line 12"),
    (DRIVERS, [("    each: rows\n    fields:", "    fields:")], "7: a csv file has one record, with 'each:'"),
    (DRIVERS, [("      Phone: phone", "      Phone: {group: licence, fields: {x: number}}")],
     "16: 'group:' has no place inside a record of a csv file"),
    # --- keys ---
    (VISA, [("namespace: http://mofa.example/visa/v2", "namespace: a b")], "3: a namespace is a URI"),
    (VISA, [("SubmitVisa/Application", "Submit Visa")], "4: root 'Submit Visa' is no path of elements"),
    (HOTEL, [("format: json\n", "format: json\nformat: json\n")], "3: key 'format' is given twice (first on line 2)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "wanted"), PLANTED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_planted_mistake(planted, name, changes, wanted):
    found = planted(name, *changes)
    assert wanted in found, "\n".join(found)


@pytest.mark.parametrize("name", [VISA, BANK, HOTEL, DRIVERS, VEHICLE, VEHICLE_JSON])
def test_no_mistake(planted, name):
    assert planted(name) == []


def test_all_mistakes_at_once(planted):
    found = planted(
        BANK, ("fee | decimal 2", "feee | decimal 2"), ("41-51", "40-51"), ("file_no | digits", "file_no | digts")
    )
    assert found == [
        "15: no form 'digts'; did you mean 'digits'?",
        "25: columns 40-51 overlap the field before, which ends at 40",
        "25: no field 'feee' in SettlementLine; did you mean 'fee'?",
    ]


def test_one_mistake_is_told_once(planted):
    assert len(planted(VISA, ("table sex", "table six"))) == 1
    assert len(planted(BANK, ("fee | decimal 2", "feee | decimal 2"))) == 1
