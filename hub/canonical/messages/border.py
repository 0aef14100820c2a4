"""What the border tells the hub: who is expected, who came in, who was turned back, who left."""

from datetime import date, datetime

from hub.canonical import codes
from hub.canonical.declare import canonical, integer, plain, text
from hub.canonical.entities import STATE
from hub.canonical.ids import hash_total


@canonical
class BorderMovement:
    outcome: str = text(11, one_of=codes.MOVEMENTS, path="movement.kind")
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    visa_no: str | None = text(12, path="visa.number", personal=True, default=None)
    border_no: str | None = text(12, path="movement.border_no", personal=True, default=None)
    port: str = text(5, path="movement.port")
    happened: datetime = plain(path="movement.at")
    carrier: str | None = text(8, path="movement.carrier", default=None)
    reason: str | None = text(6, path="movement.reason", default=None)


@canonical
class MovementFile:
    """One post's movements of one period, numbered without a gap."""

    port: str = text(5, path="movement.port")
    sequence: int = integer(1, 999_999, path="exchange.sequence")
    created_on: date = plain(path="exchange.at")
    lines: list[BorderMovement] = plain(default=[])

    def control(self) -> str:
        return hash_total(line.document_no for line in self.lines)
