"""Several interfaces for one need: who is asked, whom nobody need tell, and when a person must look."""

import pytest

from hub import partners, settings
from hub.partners import RegisterFaults
from hub.partners.overlay import Overlaid
from tests.partners.test_register import case


@pytest.fixture(scope="module")
def register():
    return partners.load(settings.load(env={}))


def on(register, *ids):
    return register.overlaid([Overlaid(id=id, enabled=True) for id in ids])


def asked(register, event, subject="T1", **changes):
    """Who gets what *event* causes, and the operations that leave something undone."""
    given = case()
    for name, value in changes.items():
        setattr(given.programme.transport[0], name, value)
    found, undone = {}, []
    for op in register.subscribers(event):
        partner = register.choose(op, given, subject)
        if partner is not None:
            found[op.name] = partner.id
        elif register.awaited(op, given, subject):
            undone.append(op.name)
    return found, undone


def test_an_operation_that_nobody_enabled_speaks_is_not_caused(register):
    assert [op.name for op in register.subscribers("transport.requested")] == ["send_manifest"]
    assert register.subscribers("pilgrim.entered") == ()


def test_each_code_goes_to_the_one_interface_that_serves_it(register):
    after = on(register, "coach_rimal", "rail_haramain")
    assert len(after.subscribers("transport.requested")) == 3
    assert asked(after, "transport.requested") == ({"send_manifest": "bus_safwa"}, [])
    assert asked(after, "transport.requested", company_code="BUS-RIMAL") == ({"book_trip": "coach_rimal"}, [])
    assert asked(after, "transport.requested", company_code="RAIL-HHR") == ({"reserve_seats": "rail_haramain"}, [])


def test_what_no_alternative_serves_is_put_before_a_person_once(register):
    after = on(register, "coach_rimal", "rail_haramain")
    found, undone = asked(after, "transport.requested", company_code="BUS-NOBODY")
    assert found == {} and len(undone) == 1
    assert asked(register, "transport.requested", company_code="BUS-RIMAL") == ({}, ["send_manifest"])


def test_an_optional_one_is_missed_by_nobody(register):
    after = on(register, "arrivals_company_1", "ferry_red_sea")
    assert asked(after, "pilgrim.entered") == ({}, []), "company_2 has no desk of its own"
    assert asked(after, "programme.ready") == ({}, []), "SV is no ferry"
    both = on(register, "arrivals_company_1", "arrivals_company_2")
    assert asked(both, "pilgrim.entered") == ({"tell_arrivals": "arrivals_company_2"}, [])


def test_one_code_in_two_interfaces_is_a_fault(register):
    with pytest.raises(RegisterFaults) as wrong:
        register.overlaid(
            [
                Overlaid(id="bill_service", enabled=True),
                Overlaid(
                    id="bill_service_new",
                    row={
                        "id": "bill_service_new", "adapter": "banks/sadad", "serves": {"company": ["company_1"]},
                        "name": {"en": "New", "ar": "جديد"}, "endpoint": "${FILES_ROOT}/new", "zone": "riyadh",
                        "contact": {"desk": "Desk", "phone": "+999 10 000 0999"},
                    },
                ),
            ]
        )  # fmt: skip
    assert "serves company 'company_1', which bank_haramayn serves already" in str(wrong.value)
