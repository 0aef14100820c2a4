"""Every fault of the register, each from one planted mistake: the file, the line and what to do."""

import pytest

from hub import partners, settings

MISSIONS = "adapters/mofa/missions/adapter.yaml"
PAYMENTS = "adapters/banks/payments/adapter.yaml"
BORDER = "adapters/border/movements/adapter.yaml"
TRIPS = "adapters/transport/trips/adapter.yaml"
DESK = "adapters/agents/desk/adapter.yaml"
HOUSING = "adapters/housing/bookings/adapter.yaml"
VISA = "adapters/mofa/visa_reference/adapter.yaml"
MOFA = "adapters/mofa/partners.yaml"
BANKS = "adapters/banks/partners.yaml"
AGENTS = "adapters/agents/partners.yaml"
POSTS = "adapters/border/partners.yaml"
SCHEDULES = "schedules/border.yaml"
PURPOSES = "mappings/purposes.yaml"

#: For each file: what stands there, the mistake, the line it is told on (None: in another file), what it says.
MISTAKES = {
    MISSIONS: [
        ("when: reference.issued", "whenn: reference.issued", "whenn:", "no key 'whenn' here; did you mean 'when'?"),
        ("when: reference.issued", "when: reference.isued", "when:", "cannot be 'reference.isued'; did you mean"),
        ("mission.received}", "mission.recieved}", "mission.recieved", "did you mean 'mission.received'?"),
        ("channel: files", "channel: file", "channel:", "'channel' cannot be 'file'; did you mean 'files'?"),
        ("per: request", "per: applicant", "per:", "it is one of booking, group, request, trip, voucher"),
        ("    per: request\n", "", "send_print_list:", "needs 'per:', one of booking, group"),
        ("within: 1s", "within: 1", "within:", "must be a time with its unit: 250ms, 30s, 5m, 6h or 365d"),
        ("max: 500", "max: 0", "max: 0", "must be from 1 to 100000"),
        ("max: 500", "max: many", "max: many", "'max' is not a valid integer"),
        ("by: mission,", "by: country,", "send_print_list:", "'batch: by: country' must be the last word of 'to:'"),
        ("to: request.mission", "to: request.misson", "to:", "did you mean 'request.mission'?"),
        ("repeat: safe", "repeat: always", "repeat:", "must be safe, never or {keyed: FIELD}"),
        ("    repeat: safe\n", "", "send_print_list:", "is sent by us, so it needs 'repeat:'"),
        ("PRINT-{partner}-{sequence:06}.xml", "PRINT-{partner}.xml", "send_print_list:",
         "lacks {sequence}, so a second file would take the first one's place"),
        ("OUTCOME-{partner}-{sequence:06}.xml", "OUTCOME-{mission}-{sequence:06}.xml", "receive_outcome:",
         "is no file name: only {partner} and {sequence:06} are filled in"),
        ('files: {name: "OUTCOME', 'rest: {method: POST, path: /x}\n    files: {name: "OUTCOME', "receive_outcome:",
         "has 'rest:' but its channel is files"),
        ("contract: missions.xsd", "contract: mission.xsd", "contract:", "there is no file 'mission.xsd' beside"),
        ("contract: missions.xsd", "contract: ../partners.yaml", "contract:", "there is no file '../partners.yaml'"),
        ("adapter: mofa/missions", "adapter: mofa/embassies", "adapter:", "says 'mofa/embassies' but lies in mofa/"),
        ("purpose: visa_printing", "purpose: visa_print", "adapter:", "did you mean 'visa_printing'?"),
        ("each: lines", "each: rows", "receive_outcome:", "each: PrintOutcomes has no list 'rows'; there are lines"),
        ("find: {request: [reference_no]}", "find: {request: [reference]}", "receive_outcome:",
         "find: PrintOutcomes has no field 'reference' to find the request by; did you mean 'reference_no'?"),
        ("find: {request: ", "find: {pilgrim: ", "find:", "cannot be 'pilgrim': it is one of"),
        ("key: reference_no", "key: [reference_no, refernce]", "receive_outcome:", "no field 'refernce'"),
        ("happened: happened", "happened: at", "receive_outcome:", "happened: PrintOutcomes has no field 'at'"),
        ("sequence: sequence", "sequence: number", "receive_outcome:", "sequence: PrintOutcomes has no field 'number'"),
        ("{printed: visa.issued", "{print: visa.issued", "receive_outcome:",
         "gives: outcome 'print' is never told; did you mean 'printed'?"),
        ("outcomes: {printed: 96", "outcomes: {stamped: 96", "send_print_list:",
         "simulate: outcome 'stamped' is never"),
        ("sends: receive_outcome", "sends: receive_outcomes", "send_print_list:",
         "there is no operation 'receive_outcomes' to send; did you mean 'receive_outcome'?"),
        ("sends: receive_outcome", "sends: send_print_list", "send_print_list:",
         "must be an operation that we receive"),
        ("expects: {operation: receive_outcome,", "expects: {operation: receive_outcomes,", "send_print_list:",
         "there is no operation 'receive_outcomes' to expect; did you mean 'receive_outcome'?"),
        ("expects: {operation: receive_outcome,", "expects: {operation: send_print_list,", "send_print_list:",
         "'expects: send_print_list' must be an operation that we receive, with 'find:'"),
        ("within: 24h", "within: a day", "expects:", "must be a time with its unit"),
        ("    sequence: sequence\n", "    sequence: sequence\n    expects: {operation: receive_outcome, within: 1h}\n",
         "receive_outcome:", "'expects' belongs to what we send"),
        ("visa_no: digits 10", "visa_no: letters 10", "visa_no:", "must look like digits"),
    ],
    VISA: [
        ("enquiry: enquire_reference", "enquiry: enquire_refrence", "request_reference:",
         "to enquire with; did you mean"),
        ("    repeat: safe\n", "    repeat: never\n", "enquire_reference:", "is an enquiry, which may be asked again"),
        ("{keyed: key}", "{keyed: kye}", "request_reference:",
         "repeat: ReferenceRequest has no field 'kye' to be our key"),
        ("not_done: [503]", "not_done: [200]", "not_done:", "must be from 400 to 599"),
        ("    when: reference.requested\n", "", "request_reference:", "is sent by us, but no event causes it"),
        (", operation: EnquireApplication}", "}", "soap: {service", "'operation' is missing; it is required"),
        ("    soap: {service", "    rest: {method: POST, path: /x}\n    soap: {service", "request_reference:",
         "has 'rest:' but its channel is soap"),
        ("channel: soap", "channel: rest", "request_reference:", "its channel is rest, so it needs 'rest:'"),
    ],
    PAYMENTS: [
        ("answer: BillAnswer", "answer: NoticeAnswer", "bill_enquiry:", "answers NoticeAnswer, but mappings/"),
        ("answer: BillAnswer", "answer: BillAnswr", "answer:", "did you mean 'BillAnswer'?"),
        ("path: /reversals", "path: /notices", "payment_reversal:", "is called at the same path as payment_notice"),
        ("path: /reversals", "path: reversals", "path: reversals", "'path' must look like"),
        ("    to: group.company\n", "", "send_bill:", "3 partners have this adapter, so 'to:' must say"),
        ("    repeat: {keyed: bill_no}\n", "", "send_bill:", "is sent by us, so it needs 'repeat:'"),
        ("    find: {voucher: [bill_no]}\n    answer", "    not_done: [503]\n    answer", "bill_enquiry:",
         "'not_done' belongs to what we send, and this is received"),
        ("    gives: {registered", "    find: {voucher: [bill_no]}\n    gives: {registered", "send_bill:",
         "'find' belongs to what we receive, and this is sent by us"),
    ],
    DESK: [
        ("    message: GroupFiling\n", "", "open_group:", "comes by our own API, so it needs 'message:'"),
        ("      hospitalised: pilgrim.hospitalised\n", "", "decide:", "'hospitalised' must stand under both 'by:' and"),
    ],
    BORDER: [
        ("    scheduled: true", "    scheduled: sometimes", "scheduled:", "'scheduled' is not a valid boolean"),
    ],
    TRIPS: [
        ('    files: {name: "STATUS', '    answer: NoticeAnswer\n    files: {name: "STATUS', "receive_status:",
         "mappings/transport/trips/receive_status/reply.v1.yaml: an active map is needed"),
        ("    repeat: safe", "    repeat: safe\n    repeat: never", "repeat: never",
         "'repeat' is given twice (first on"),
        ("    repeat: safe", "    repeat: &safe safe", "repeat: &safe", "anchors, aliases and tags are not used here"),
        ("per: trip", "per: [trip", None, "expected ',' or ']'"),
        ("purpose: transport", "purpose: [transport]", "purpose:", "'purpose' must be a single value"),
        ('name: {en: "Road trips", ar: ', "name: {ar: ", "name:", "'en' is missing; it is required"),
    ],
    MOFA: [
        ("id: mission_islamabad", "id: mission_jakarta", "- id: mission_jakarta", "the id 'mission_jakarta' is taken"),
        ("serves: {mission: [ISB]}", "serves: {mission: [ISB, JKT]}", "id: mission_islamabad",
         "serves mission 'JKT', which mission_jakarta serves already"),
        ("  serves: {mission: [ISB]}\n", "", None, "mission 'ISB' is served by no partner of mofa/missions"),
        ("serves: {mission: [ISB]}", "serves: {hotel_code: [ISB]}", "id: mission_islamabad",
         "serves 'hotel_code', by which none of its adapters' operations is addressed"),
        ("serves: {mission: [ISB]}", "serves: {embassy: [ISB]}", "serves: {embassy",
         "cannot be 'embassy': it is one of"),
        ("adapter: mofa/visa_reference", "adapter: mofa/visa_refrence", "adapter:",
         "did you mean 'mofa/visa_reference'?"),
        ("${FILES_ROOT}/mission_jakarta", "https://jakarta.example/in", "https://", "'endpoint' must look like"),
        ("desk: Visa desk", 'desk: "${VISA_DESK}"', "${VISA_DESK}", "may stand in endpoint, folders, secret, ca, cert"),
        ("timeout: 30s", "timeout: 30", "timeout: 30", "must be a time with its unit"),
        ("concurrency: 8", "concurrency: 0", "concurrency: 0", "must be 1 or more"),
        ("+999 10 000 0001", "call us", "call us", "'phone' must look like"),
        ("  endpoint: ${MOFA_URL}\n", "", "id: mofa_visa", "needs 'endpoint: ${NAME}'"),
    ],
    BANKS: [
        ("secret: ${BANK_HARAMAYN_SECRET}", "secret: hunter2", "secret:", "'secret' must look like"),
        ("  secret: ${BANK_HARAMAYN_SECRET}\n", "", "id: bank_haramayn",
         "needs 'secret: ${NAME}', for its adapter signs"),
        ("  folders: ${FILES_ROOT}/bank_haramayn\n", "", "id: bank_haramayn", "is reached by files too"),
    ],
    AGENTS: [
        ("company: company_4, quota: 20000}", "company: company_99, quota: 20000}", None,
         "'company_99' is no partner with"),
        ("  role: company\n", "  role: compny\n", "role: compny", "did you mean 'company'?"),
        ("role: health", "role: agent", "id: health_authority", "'role: agent' and 'agent:' go together"),
        ("date_order: DMY", "date_order: YDM", "date_order: YDM", "'date_order' cannot be 'YDM'"),
    ],
    "mappings/tables/hotels.csv": [
        ("MKH-AJY-03,", "MKH-AJY-99,", "MKH-AJY-99", "hotel_code 'MKH-AJY-99' is served by no"),
        ("code,city", "hotel,city", "hotel,city", "must be a CSV file in UTF-8 with a column 'code'"),
    ],
    POSTS: [
        ("id: post_jed", "id: post_jedd", None, "no partner 'post_jed'; did you mean 'post_jedd'?"),
    ],
    SCHEDULES: [
        ("operation: receive_movements", "operation: receive_movement", "receive_movement,", "did you mean"),
        ('"0 */6 * * *"', '"every hour"', "every hour", "'every hour' is no cron expression"),
        ('"0 */6 * * *"', '"0 0 * * 0"', "* * 0", "write sun, mon, tue"),
        ("Asia/Riyadh", "Asia/Riyad", "Asia/Riyad,", "no time zone 'Asia/Riyad'"),
        ("[sequence, count]", "[sequence, counts]", "counts", "no control 'counts'; did you mean 'count'?"),
        ("late_after: 30m", "late_aft: 30m", "late_aft: 30m", "no key 'late_aft' here; did you mean 'late_after'?"),
    ],
    PURPOSES: [
        ("retention: 180d", "retention: long", "retention: long", "must be a time with its unit"),
        ("visa.mrz,", "visa.mzr,", None, "no message carries 'visa.mzr'; did you mean 'visa.mrz'?"),
        ("country: [IDN", "country: [Indonesia", "country: [Indonesia", "'Indonesia' is no ISO 3166 alpha-3 code"),
    ],
}  # fmt: skip


def faults(home):
    try:
        partners.load(settings.load(env={"HUB_HOME": str(home)}))
    except partners.RegisterFaults as found:
        return found.faults
    return ()


def plant(home, file, there, mistake):
    path = home / file
    text = path.read_text("utf-8")
    assert there in text
    path.write_text(text.replace(there, mistake, 1), "utf-8")


@pytest.mark.parametrize(
    ("file", "there", "mistake", "at", "says"), [(file, *row) for file, rows in MISTAKES.items() for row in rows]
)
def test_a_planted_mistake_is_named(home, file, there, mistake, at, says):
    plant(home, file, there, mistake)
    found = faults(home)
    told = [fault for fault in found if says in fault.text]
    assert told, [str(fault) for fault in found]
    if at is not None:
        assert {fault.path for fault in told} == {file}
        lines = (home / file).read_text("utf-8").splitlines()
        assert any(at in lines[fault.line - 1] for fault in told), [str(fault) for fault in told]


def test_all_mistakes_are_told_at_once(home):
    plant(home, MISSIONS, "to: request.mission", "to: request.misson")
    plant(home, SCHEDULES, '"0 */6 * * *"', '"every hour"')
    plant(
        home, "mappings/border/movements/receive_movements/request.v1.yaml", "6-17:   document_no", "6-17:   documnt_no"
    )
    text = "\n".join(map(str, faults(home)))
    assert "adapters/mofa/missions/adapter.yaml:" in text
    assert "schedules/border.yaml:2:" in text
    assert "no field 'documnt_no' in BorderMovement; did you mean 'document_no'?" in text


def test_a_map_may_carry_only_what_its_purpose_allows(home):
    plant(home, PURPOSES, "person.name, person.sex, person.birth_date,\n           passage.date, visa.outcome",
          "person.name, person.sex,\n           passage.date, visa.outcome")  # fmt: skip
    (fault,) = faults(home)
    assert fault.path == "mappings/mofa/missions/send_print_list/request.v1.yaml"
    assert "carries 'person.birth_date', which purpose 'visa_printing' of mofa/missions does not allow" in fault.text


def test_every_path_that_a_purpose_lacks_is_told(home):
    plant(
        home, PURPOSES, "person.name, exchange.notice, exchange.outcome]\n\n# Who crosses", "exchange.notice]\n\n# Who"
    )
    assert {fault.text.split("'")[1] for fault in faults(home)} == {"exchange.outcome", "person.name"}


def test_a_map_without_an_example_is_a_draft_and_does_not_count(home):
    for example in (home / "mappings/transport/trips/receive_status/examples").iterdir():
        example.unlink()
    texts = [fault.text for fault in faults(home)]
    assert any(
        "receive_status/request.v1.yaml: an active map is needed: the file, and an example pair" in t for t in texts
    )


def test_a_map_of_no_operation_is_named(home):
    there = home / "mappings/transport/trips/receive_status"
    there.rename(there.with_name("receive_statuses"))
    texts = [str(fault) for fault in faults(home)]
    path = "mappings/transport/trips/receive_statuses/request.v1.yaml"
    assert f"{path}:1: transport/trips has no operation 'receive_statuses'; did you mean 'receive_status'?" in texts


def test_a_map_of_no_adapter_is_named(home):
    there = home / "mappings/transport/trips"
    there.rename(there.with_name("trip"))
    assert any("there is no adapter 'transport/trip'; did you mean 'transport/trips'?" in str(f) for f in faults(home))


def test_a_map_needs_its_version_in_its_name(home):
    there = home / "mappings/transport/trips/receive_status/request.v1.yaml"
    there.rename(there.with_name("request.yaml"))
    assert any("a map is called request.v1.yaml or reply.v1.yaml" in fault.text for fault in faults(home))


def test_a_reply_that_nobody_hears_is_named(home):
    folder = home / "mappings/transport/trips/send_manifest"
    (folder / "reply.v1.yaml").write_text((folder / "request.v1.yaml").read_text("utf-8"), "utf-8")
    for example in list((folder / "examples").iterdir()):
        example.with_name(example.name.replace("request", "reply")).write_bytes(example.read_bytes())
    assert any("reply.v1.yaml has no use: a file is only handed over" in fault.text for fault in faults(home))


def test_an_adapter_with_two_partners_must_say_which_is_meant(home):
    path = home / MOFA
    text = path.read_text("utf-8")
    first = text[text.index("- id: mofa_visa") : text.index("- id: mission_jakarta")]
    path.write_text(text + "\n" + first.replace("mofa_visa", "mofa_visa_two"), "utf-8")
    (fault,) = faults(home)
    assert "request_reference: 2 partners have this adapter, so 'to:' must say which is meant" in fault.text


def test_two_adapters_of_a_partner_with_an_operation_of_the_same_name(home):
    plant(home, DESK, "  decide:", "  receive_roster:")
    assert any("two of its adapters have an operation 'receive_roster'" in fault.text for fault in faults(home))


def test_the_same_schedule_in_two_files(home):
    text = (home / SCHEDULES).read_text("utf-8")
    (home / "schedules/more.yaml").write_text(text, "utf-8")
    assert any("a schedule 'movements_yanbu' is in another file too" in fault.text for fault in faults(home))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe", "is not UTF-8; save it as UTF-8"),
        (b"[" * 3000, "is nested too deeply"),
        (b"- 1\n", "must be a mapping of names to entries"),
        (b"x: !!python/name:os.system\n", "anchors, aliases and tags are not used here"),
        (b"? [a]\n: b\n", "a key must be a word"),
        (b"#" * 1_000_001, "is longer than 1000000 bytes; split it"),
    ],
)
def test_a_file_that_is_no_such_file(home, content, says):
    (home / "schedules/strange.yaml").write_bytes(content)
    assert [(f.path, f.line) for f in faults(home) if says in f.text] == [("schedules/strange.yaml", 1)]


@pytest.mark.parametrize("content", [b"", b"id: x\n", b"just words\n"])
def test_a_partners_file_is_a_list_of_rows(home, content):
    (home / POSTS).write_bytes(content)
    assert (POSTS, 1, "must be a list of partners, each with its id") in [
        (f.path, f.line, f.text) for f in faults(home)
    ]


@pytest.mark.parametrize("content", [b"", b"[]\n", b"just words\n"])
def test_a_manifest_is_a_mapping(home, content):
    (home / MISSIONS).write_bytes(content)
    assert any(f.path == MISSIONS and f.line == 1 for f in faults(home))


def test_a_map_for_what_comes_by_our_own_api_is_named(home):
    there = home / "mappings/housing/bookings/receive_stay"
    there.rename(home / "mappings/agents/roster/receive_stay")
    (home / "mappings/agents/desk").mkdir()
    (home / "mappings/agents/roster/receive_stay").rename(home / "mappings/agents/desk/decide")
    found = [(fault.path, fault.text) for fault in faults(home)]
    assert (DESK, "decide: comes by our own API, so mappings/agents/desk/decide has no use") in found
