"""What runs when, and what a purpose allows: the rows of ``schedules/*.yaml`` and ``mappings/purposes.yaml``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from marshmallow import Schema, ValidationError, fields

from hub.partners.agreement import paths
from hub.partners.documents import Document, Duration, Fault, Strict, Words, check, did_you_mean, text
from hub.partners.manifest import Operation
from hub.partners.partner import Partner

#: What a schedule may look at instead of collecting files: whether the partner still keeps the contract we know.
CHECKS = ("contract",)
#: What a run may be checked by: no number missing, the trailer's count, its totals.
CONTROLS = ("sequence", "count", "total")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One scheduled operation of one partner, or a ``check`` of it: ``cron`` (five fields) read in ``zone``; a run that
    is not done ``late_after`` seconds after its due time is late."""

    name: str
    partner: Partner
    operation: Operation | None
    cron: str
    zone: ZoneInfo
    late_after: float
    controls: tuple[str, ...] = ()
    check: str | None = None

    @property
    def what(self) -> str:
        """What is done: the operation's name, or what is checked."""
        return self.operation.name if self.operation else f"check {self.check}"

    def next_after(self, moment: datetime) -> datetime | None:
        """The first due time after *moment*; None for a calendar that has no more days."""
        trigger = CronTrigger.from_crontab(self.cron, timezone=self.zone)
        found: datetime | None = trigger.get_next_fire_time(moment, moment)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """Why personal data goes somewhere: the lawful basis, the recipients' countries (ISO alpha-3), how many seconds
    they may keep it, and the canonical paths that may be carried for it."""

    name: str
    basis: str
    country: tuple[str, ...]
    retention: float
    paths: frozenset[str]


class _Zone(fields.Field[ZoneInfo]):
    def _deserialize(self, value: object, attr: str | None, data: object, **_: object) -> ZoneInfo:
        try:
            return ZoneInfo(str(value))
        except (ValueError, OSError, KeyError):
            raise ValidationError(f"no time zone '{value}'; write one such as Asia/Riyadh") from None


def _cron(value: str) -> None:
    try:
        CronTrigger.from_crontab(value)
    except (ValueError, TypeError):
        raise ValidationError(f"'{value}' is no cron expression: minute hour day month weekday") from None
    # APScheduler counts weekdays from Monday = 0, crontab(5) from Sunday = 0.
    if any(sign.isdigit() for sign in value.split()[4].partition("/")[0]):
        raise ValidationError(f"'{value}' numbers a weekday, which not all count alike: write sun, mon, tue …")


class _Schedule(Strict):
    partner = text(required=True)
    operation = text()
    check = text(one_of=CHECKS)
    cron = fields.String(required=True, validate=_cron)
    zone = _Zone(required=True)
    late_after = Duration(required=True)
    controls = Words()


class _Purpose(Strict):
    basis = text(required=True)
    country = Words(required=True)
    retention = Duration(required=True)
    paths = Words(required=True, data_key="fields")


def schedules(document: Document, partners: Mapping[str, Partner], faults: list[Fault]) -> list[Schedule]:
    """The schedules of *document*; faulty ones are left out."""
    found = []
    for name, data in _entries(_Schedule(), document, faults):
        partner = partners.get(data["partner"])
        if partner is None:
            said = f"no partner '{data['partner']}'{did_you_mean(data['partner'], partners)}"
            faults.append(document.fault((name, "partner"), said))
            continue
        if ("operation" in data) == ("check" in data):
            faults.append(document.fault((name,), "says either 'operation:' or 'check:'"))
            continue
        if "check" in data:
            if not any(adapter.published for adapter in partner.adapters):
                said = f"no adapter of {partner.id} says where its contract is shown: give it 'published:'"
                faults.append(document.fault((name, "check"), said))
            found.append(Schedule(name=name, **(data | {"partner": partner, "operation": None})))
            continue
        operation = partner.operations.get(data["operation"])
        if operation is None:
            said = f"{partner.id} has no operation '{data['operation']}'"
            said += did_you_mean(data["operation"], partner.operations)
            faults.append(document.fault((name, "operation"), said))
            continue
        if not operation.scheduled:
            said = f"'{operation.name}' is not marked 'scheduled: true' in {operation.adapter}, so it runs by itself"
            faults.append(document.fault((name, "operation"), said))
        for control in data.get("controls", ()):
            if control not in CONTROLS:
                said = f"no control '{control}'{did_you_mean(control, CONTROLS)}"
                faults.append(document.fault((name, "controls"), said))
        found.append(Schedule(name=name, **(data | {"partner": partner, "operation": operation})))
    return found


def purposes(document: Document, faults: list[Fault]) -> list[Purpose]:
    """The purposes of *document*; faulty ones are left out."""
    found = []
    for name, data in _entries(_Purpose(), document, faults):
        for path in data["paths"]:
            if path not in paths():
                said = f"no message carries '{path}'{did_you_mean(path, paths())}"
                faults.append(document.fault((name, "fields"), said))
        for country in data["country"]:
            if not (country.isalpha() and country.isupper() and len(country) == 3):
                said = f"'{country}' is no ISO 3166 alpha-3 code, such as SAU"
                faults.append(document.fault((name, "country"), said))
        found.append(Purpose(name=name, **(data | {"paths": frozenset(data["paths"])})))
    return found


def _entries(schema: Schema, document: Document, faults: list[Fault]) -> list[tuple[str, dict[str, Any]]]:
    if not isinstance(document.data, dict):
        faults.append(document.fault([], "must be a mapping of names to entries"))
        return []
    loaded = ((name, check(schema, document, (name,), given, faults)) for name, given in document.data.items())
    return [(name, data) for name, data in loaded if data is not None]
