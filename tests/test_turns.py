"""Calls that take turns: one waits, the others go on, and each gets what it waited for."""

import contextvars
import threading
from concurrent.futures import Future

import pytest

from hub import turns
from hub.turns import Turns


@pytest.fixture
def thread():
    """Calls that take turns in a thread that runs meanwhile."""
    taking = Turns()
    running = threading.Thread(target=taking.run)
    running.start()
    yield taking
    taking.close()
    running.join(10)
    assert not running.is_alive()


def called(thread, work):
    """Put *work*; what it answers or raises comes in the future."""
    said = Future()

    def call():
        try:
            said.set_result(work())
        except Exception as error:
            said.set_exception(error)

    thread.put(call)
    return said


def test_one_waits_and_the_others_go_on(thread):
    first, second = Future(), Future()
    one = called(thread, lambda: (threading.get_ident(), turns.result(first)))
    two = called(thread, lambda: (threading.get_ident(), turns.result(second)))
    three = called(thread, threading.get_ident)
    ident = three.result(10)
    assert not one.done() and not two.done()
    second.set_result("second")
    assert two.result(10) == (ident, "second") and not one.done()
    first.set_result("first")
    assert one.result(10) == (ident, "first")


def test_a_thousand_wait_in_one_thread(thread):
    waited_for = Future()
    threads = threading.active_count()
    waiting = [called(thread, lambda: turns.result(waited_for, 30)) for _ in range(1_000)]
    called(thread, lambda: None).result(10)
    assert threading.active_count() <= threads
    waited_for.set_result("all")
    assert {one.result(10) for one in waiting} == {"all"}


def test_a_wait_ends_after_its_time_and_what_comes_later_ends_no_other(thread):
    late, later = Future(), Future()

    def work():
        with pytest.raises(TimeoutError):
            turns.result(late, 0.02)
        late.set_result("late")
        return turns.result(later)

    said = called(thread, work)
    assert called(thread, lambda: turns.result(late, 10)).result(10) == "late"
    assert not said.done()
    later.set_result("later")
    assert said.result(10) == "later"


def test_who_waits_shorter_is_told_first(thread):
    ended = []

    def work(seconds):
        with pytest.raises(TimeoutError):
            turns.result(Future(), seconds)
        ended.append(seconds)

    for one in [called(thread, lambda s=s: work(s)) for s in (0.2, 0.05, 0.1)]:
        one.result(10)
    assert ended == [0.05, 0.1, 0.2]


def test_what_went_wrong_is_raised_where_it_is_waited_for(thread):
    failed = Future()
    said = called(thread, lambda: turns.result(failed))
    failed.set_exception(LookupError("gone"))
    with pytest.raises(LookupError, match="gone"):
        said.result(10)


def test_each_has_a_context_of_its_own(thread):
    who = contextvars.ContextVar("who")
    waits = [Future(), Future()]

    def work(name, until):
        who.set(name)
        turns.result(until)
        return who.get()

    said = [called(thread, lambda n=n, u=u: work(n, u)) for n, u in zip("ab", waits, strict=True)]
    for one in reversed(waits):
        one.set_result(None)
    assert [one.result(10) for one in said] == ["a", "b"]
    assert called(thread, lambda: who.get(None)).result(10) is None


def test_any_other_thread_just_waits():
    future = Future()
    with pytest.raises(TimeoutError):
        turns.result(future, 0.01)
    future.set_result(1)
    assert turns.result(future) == 1


def test_a_call_that_breaks_takes_no_other_with_it(thread, logged):
    until = Future()

    def breaks(how):
        turns.result(until)
        raise how

    thread.put(lambda: breaks(LookupError("broken")))
    thread.put(lambda: breaks(SystemExit(1)))
    said = called(thread, lambda: turns.result(until))
    until.set_result("went on")
    assert said.result(10) == "went on"
    assert called(thread, lambda: "still").result(10) == "still"
    assert [one["event"] for one in logged] == ["turn_failed"] * 2
