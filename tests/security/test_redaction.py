import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hub.canonical.errors import HubError
from hub.security import redaction

CANARY = "Zubayda Canarybird"
PASSPORT = "X9CANARY77"
ID = UUID(int=7)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root, pinned = logging.getLogger(), [logging.getLogger(name) for name in redaction._PINNED]
    before = (root.handlers[:], root.level, [logger.level for logger in pinned])
    stream = io.StringIO()
    redaction.configure_logging("DEBUG", stream)
    yield stream
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    for logger, level in zip(pinned, before[2], strict=True):
        logger.setLevel(level)


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def clean(stream: io.StringIO) -> None:
    text = stream.getvalue()
    for part in (CANARY, PASSPORT, "Zubayda", "Canarybird", "CANARY"):
        assert part not in text


def test_listed_keys_and_code_words_pass(lines: io.StringIO) -> None:
    log = structlog.get_logger()
    log.info(
        "sent", partner="mission_jakarta", exchange=ID, count=3, seconds=0.25, due=datetime(2026, 2, 18, tzinfo=UTC)
    )
    (line,) = read(lines)
    assert line.pop("timestamp")
    assert line == {
        "event": "sent", "level": "info", "partner": "mission_jakarta", "exchange": str(ID), "count": 3,
        "seconds": 0.25, "due": "2026-02-18 00:00:00+00:00",
    }  # fmt: skip


def test_what_is_not_listed_is_left_out_and_counted(lines: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(pilgrim=CANARY)
    structlog.get_logger().info("sent", passport=PASSPORT, name=CANARY, code="ok")
    (line,) = read(lines)
    assert line["withheld"] == 3 and line["code"] == "ok"
    clean(lines)


def test_a_listed_key_cannot_carry_free_text(lines: io.StringIO) -> None:
    log = structlog.get_logger()
    log.info("sent", code=CANARY, partner="محمد", counts={"ok": 1, CANARY: 2}, rows=[1, CANARY], state=object())
    (line,) = read(lines)
    assert line["withheld"] == 5
    clean(lines)


def test_an_event_is_a_name_not_a_sentence(lines: io.StringIO) -> None:
    structlog.get_logger().info(f"could not send {CANARY}")
    assert read(lines)[0]["event"] == "event_withheld"
    clean(lines)


def test_exceptions_show_types_codes_and_places_but_no_words(lines: io.StringIO) -> None:
    try:
        try:
            raise ValueError(f"bad passport {PASSPORT}")
        except ValueError as error:
            raise HubError("mrz_disagrees", field=CANARY) from error
    except HubError as error:
        structlog.get_logger().exception("failed")
        structlog.get_logger().error("failed", exc_info=error)
        logging.getLogger("library").exception("failed for %s", CANARY)
    for line in read(lines):
        assert [told.split()[0] for told in line["error"]] == ["HubError[mrz_disagrees]", "ValueError"]
    clean(lines)


def test_libraries_say_who_and_where_only(lines: io.StringIO) -> None:
    logging.getLogger("sqlalchemy.engine").warning("INSERT … %r", {"passport": PASSPORT})
    (line,) = read(lines)
    assert (
        line["event"] == "library"
        and line["logger"] == "sqlalchemy.engine"
        and line["place"].startswith("test_redaction:")
    )
    clean(lines)


def test_zeep_and_urllib3_never_write_their_messages(lines: io.StringIO) -> None:
    import zeep.transports

    assert not zeep.transports.Transport().logger.isEnabledFor(logging.DEBUG)
    zeep.transports.Transport().logger.debug("HTTP Post to %s:\n%s", "x", f"<Envelope>{CANARY}</Envelope>")
    logging.getLogger("urllib3.connectionpool").debug("GET /v1/pilgrims/%s", PASSPORT)
    assert lines.getvalue() == ""
    # … while another library's DEBUG does arrive: it is the pin that keeps these out.
    logging.getLogger("elsewhere").debug("x")
    assert len(read(lines)) == 1


@given(st.text(min_size=1, max_size=40))
def test_a_mask_never_tells_enough(value: str) -> None:
    shown = redaction.mask(value)
    told = shown.rpartition(" (")[0]
    assert shown.endswith(f"({len(value)})")
    assert told == "…" if len(value) < 6 else told == f"{value[0]}…{value[-1]}"


def test_masks_as_people_see_them() -> None:
    assert [redaction.mask(value) for value in ("A12345673", "male", 17)] == ["A…3 (9)", "… (4)", "… (2)"]
