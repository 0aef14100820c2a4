"""Writes that are put off end as if each had been made at once, and no read can tell the difference."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, delete, func, select, update

from hub.store.database import Statement, inserting, within
from hub.store.tables import flow, sequence

pytestmark = pytest.mark.both_stores

NAMES = ("a", "b", "c")
name, number = st.sampled_from(NAMES), st.integers(0, 3)

ADD = Statement(
    update(sequence).where(sequence.c.name == bindparam("of")).values(value=sequence.c.value * 2 + bindparam("more"))
)
ADD_ALL = Statement(update(sequence).values(value=sequence.c.value + bindparam("more")))
BY_VALUE = Statement(
    update(sequence).where(sequence.c.value == bindparam("was")).values(value=sequence.c.value + bindparam("more"))
)
REMOVE = Statement(delete(sequence).where(sequence.c.name == bindparam("of")))
REMOVE_MANY = Statement(delete(flow).where(flow.c.failures == bindparam("was")))
FAIL = Statement(
    update(flow).where(flow.c.partner == bindparam("of")).values(failures=flow.c.failures * 2 + bindparam("more"))
)
#: A write, and the parameters that it may be given.
WRITES = [
    (inserting(sequence, replace=True), {"name": name, "value": number}),
    (inserting(sequence, ignore=True), {"name": name, "value": number}),
    (inserting(flow, replace=True), {"partner": name, "failures": number, "rests_until": number, "paced_to": number}),
    (inserting(flow, ignore=True), {"partner": name, "failures": number, "rests_until": number, "paced_to": number}),
    (ADD, {"of": name, "more": number}),
    (ADD_ALL, {"more": number}),
    (BY_VALUE, {"was": number, "more": number}),
    (REMOVE, {"of": name}),
    (REMOVE_MANY, {"was": number}),
    (FAIL, {"of": name, "more": number}),
]
READS = [
    (Statement(select(sequence).where(sequence.c.name == bindparam("of"))), {"of": name}),
    (Statement(select(sequence.c.name).where(sequence.c.value == bindparam("is")).order_by("name")), {"is": number}),
    (Statement(select(sequence).where(within(sequence.c.name, "names")).order_by(sequence.c.name)),
     {"names": st.lists(name, max_size=3)}),
    (Statement(select(func.sum(sequence.c.value))), {}),
    (Statement(select(flow).where(flow.c.partner == bindparam("of"), flow.c.failures == bindparam("is"))),
     {"of": name, "is": number}),
    (Statement(select(sequence.c.name, flow.c.failures).join(flow, flow.c.partner == sequence.c.name).order_by("name")),
     {}),
]  # fmt: skip
CLEAR = [Statement(delete(sequence)), Statement(delete(flow))]
ALL = [Statement(select(t).order_by(*t.primary_key)) for t in (sequence, flow)]


def steps(kind, of):
    return st.one_of([st.tuples(st.just(kind), st.just(s), st.fixed_dictionaries(given)) for s, given in of])


a_step = st.one_of(steps("put", WRITES), steps("put", WRITES), steps("run", WRITES), steps("read", READS))
a_unit = st.tuples(st.lists(a_step, max_size=8), st.sampled_from([False, False, True]))


class Broken(Exception):
    pass


def plays(steps, fails, *, later):
    def unit(tx):
        seen = []
        for kind, statement, values in steps:
            if kind == "read":
                seen.append([tuple(row) for row in tx.all(statement, **values)])
            elif kind == "run" or not later:
                count = tx.run(statement, **values).rowcount
                seen += [count] if kind == "run" else []
            else:
                tx.put(statement, **values)
        if fails:
            raise Broken
        return seen

    return unit


def cleared(database):
    database.unit(lambda tx: [tx.run(statement) for statement in CLEAR])


def outcome(future):
    return "failed" if isinstance(future.exception(20), Broken) else future.result()


def rows(database):
    with database.reading() as tx:
        return [[tuple(row) for row in tx.all(statement)] for statement in ALL]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(units=st.lists(a_unit, min_size=1, max_size=6))
def test_units_that_share_a_commit_see_and_leave_what_they_would_have_alone(database, units):
    cleared(database)
    expected = [outcome(database.submit(plays(steps, fails, later=False))) for steps, fails in units]
    left = rows(database)
    cleared(database)
    gate = threading.Event()
    first = database.submit(lambda tx: gate.wait(5))
    together = [database.submit(plays(steps, fails, later=True)) for steps, fails in units]
    gate.set()
    assert first.result(20)
    assert [outcome(one) for one in together] == expected
    assert rows(database) == left
