"""The way of a group in which everything goes well."""

from hub.journey import AlreadyTrue
from tests.journey.world import ARRIVES, World


def test_a_pilgrim_goes_from_draft_to_exit():
    world = World(heads=2).to("EXITED")
    ways = {who: [t.now for t in world.history if t.id == world.member(who).id] for who in (1, 2)}
    assert ways[1] == ways[2] == [
        "DRAFT", "SUBMITTED", "ACCEPTED", "PAID", "SENT_FOR_REFERENCE", "REFERENCE_ISSUED", "AT_MISSION",
        "VISA_ISSUED", "EXPECTED", "INSIDE", "EXITED",
    ]  # fmt: skip
    assert world.case.state == "PROGRAMME_READY"
    assert world.case.voucher.state == "PAID"
    assert world.case.marks["closed_on"] > ARRIVES
    assert [e.name for e in world.events] == [
        "housing.requested", "housing.requested", "transport.requested", "transport.requested", "programme.ready",
        "voucher.issued", "voucher.paid", "request.paid", "reference.requested", "request.paid", "reference.requested",
        "group.closed",
    ]  # fmt: skip


def test_whatever_is_told_again_is_already_true():
    world = World().to("EXITED")
    for name in ("request.submitted", "request.accepted", "reference.issued", "mission.received", "visa.issued",
                 "pilgrim.expected", "pilgrim.entered"):  # fmt: skip
        assert isinstance(world.tell(name, 1), AlreadyTrue), name
