"""One client request in one line: its fields, their order, their arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.log_fields import ORDER, call_fields, request_fields
from proxy.core.log_line import Call, Draw, LogLine
from proxy.core.trace_context import Begun, SpanContext

BEGAN = 1000.0


def line(**known) -> LogLine:
    return LogLine("id", "GET", "/a", BEGAN, **known)


def closed(duration: float = 10.0, **known) -> LogLine:
    one = line(**known)
    one.close(BEGAN + duration)
    return one


UPSTREAM = {
    "no call, no time": (None, None, None, 10.0),
    "from its begin to its end": (Call(began=BEGAN + 1, ended=BEGAN + 9), None, 8.0, 2.0),
    "a call that goes on counts to the request's end": (Call(began=BEGAN + 1), None, 9.0, 1.0),
    "a call that ended later too": (Call(began=BEGAN + 1, ended=BEGAN + 99), None, 9.0, 1.0),
    "a follower waited since it joined": (Call(began=BEGAN - 30, ended=BEGAN + 9), BEGAN + 2, 7.0, 3.0),
    "a follower that joined before the call began": (Call(began=BEGAN + 3, ended=BEGAN + 9), BEGAN + 2, 6.0, 4.0),
    "a follower of a call that had ended did not wait": (Call(began=BEGAN - 9, ended=BEGAN - 1), BEGAN + 2, 0.0, 10.0),
    "a call that never began took no more than the request": (Call(), None, 10.0, 0.0),
}


@pytest.mark.parametrize(("call", "joined", "upstream_s", "overhead_s"), UPSTREAM.values(), ids=UPSTREAM)
def test_time_upstream_and_our_own(call, joined, upstream_s, overhead_s):
    one = closed(call=call, joined=joined)
    assert (one.upstream_s, one.overhead_s) == (upstream_s, overhead_s)


moment = st.floats(0, 2 * BEGAN)


@given(st.floats(0, 100), moment, st.none() | moment, st.none() | st.floats(BEGAN, 2 * BEGAN))
def test_no_wait_is_longer_than_the_request(duration, began, ended, joined):
    one = closed(duration, call=Call(began=began, ended=ended), joined=joined)
    assert 0 <= one.upstream_s <= one.duration_s + 1e-9
    assert one.upstream_s + one.overhead_s == pytest.approx(one.duration_s)


def test_a_follower_tells_nothing_of_the_leaders_waits():
    call = Call(began=BEGAN, connect_s=1.0, first_byte=BEGAN + 5, ended=BEGAN + 6, store_s=0.5)
    told = request_fields(closed(call=call, flight="follow", joined=BEGAN + 1))
    assert told["upstream_s"] == 5.0
    assert {"upstream_connect_s", "upstream_ttfb_s", "store_s"}.isdisjoint(told)


GOES_ON = {
    "it ends": lambda call: setattr(call, "ended", BEGAN + 20),
    "it is sent again": lambda call: call.sum_up(Call(sent=2, queue_s=3.0), 1),
    "it begins anew": lambda call: (call.begin_again(), call.begin(BEGAN, BEGAN + 15)),
    "it leaves the queue": lambda call: (call.wait(Place()), call.begin(BEGAN, BEGAN + 15)),
    "its answer is stored": lambda call: setattr(call, "store_s", 0.5),
}


@pytest.mark.parametrize("goes_on", GOES_ON.values(), ids=GOES_ON)
@pytest.mark.parametrize("ended", [None, BEGAN + 5])
@pytest.mark.parametrize("joined", [None, BEGAN + 1])
def test_a_line_that_was_counted_told_something_else_once_its_flight_had_gone_on(goes_on, ended, joined):
    call = Call(began=BEGAN + 1, ended=ended, sent=1, first_byte=BEGAN + 4, connect_s=0.1)
    one = closed(10.0, call=call, joined=joined, flight="lead" if joined is None else "follow")
    told = request_fields(one)
    goes_on(call)
    assert request_fields(one) == told


def test_a_line_that_has_ended_keeps_no_place_in_a_queue_alive():
    one = closed(call=Call(waiting=Place()))
    assert (one.call.waiting, one.call) == (None, Call())


LEVELS = {None: "info", "client": "info", "upstream": "error", "proxy": "error"}


@pytest.mark.parametrize(("source", "level"), LEVELS.items())
def test_levels(source, level):
    assert line(error_source=source).level == level


def recorded(flags):
    return Begun(SpanContext("a" * 32, "1" * 16, flags))


@pytest.mark.parametrize(("span", "told"), [(recorded(1), ["a" * 32, "1" * 16]), (recorded(0), []), (None, [])])
def test_a_call_names_its_span_where_that_is_recorded(span, told):
    fields = call_fields(Call("GET", "/a", span=span), "id", BEGAN)
    assert [fields[name] for name in ("trace_id", "span_id") if name in fields] == told


def test_calls_are_summed_up_as_they_are_sent():
    summed = Call()
    first, second = Call(sent=1, span=recorded(1)), Call(sent=3, queue_s=2.0, span=recorded(0))
    first.began, first.asked_at, first.first_byte = 5.0, 50.0, 6.0
    second.began, second.asked_at, second.first_byte = 7.0, 70.0, 8.0
    summed.sum_up(first, 0)
    summed.sum_up(second, 1)
    assert (summed.began, summed.asked_at, summed.first_byte) == (5.0, 50.0, 6.0)
    assert (summed.sent, summed.queue_s, summed.span) == (3, 2.0, recorded(1))


CALLS = {
    "an answer": (
        Call("POST", "/a", 200, BEGAN, 0.1, BEGAN + 7.5, BEGAN + 8, 10, 20, 0.5),
        {
            "request_id": "id", "method": "POST", "path": "/a", "status": 200, "bytes_in": 10, "bytes_out": 20,
            "duration_s": 8.0, "upstream_connect_s": 0.1, "upstream_ttfb_s": 7.5,
        },
    ),
    "none": (
        Call("GET", "/a", began=BEGAN, ended=BEGAN + 1 / 3, error="upstream_refused"),
        {
            "request_id": "id", "method": "GET", "path": "/a", "error": "upstream_refused", "bytes_in": 0,
            "bytes_out": 0, "duration_s": 0.333333,
        },
    ),
    "one that goes on": (
        Call("GET", "/a", began=BEGAN),
        {"request_id": "id", "method": "GET", "path": "/a", "bytes_in": 0, "bytes_out": 0, "duration_s": 9.0},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "told"), CALLS.values(), ids=CALLS)
def test_the_fields_of_a_call(call, told):
    assert call_fields(call, "id", BEGAN + 9) == told
    assert list(told) == [name for name in ORDER if name in told]


def test_a_call_that_is_made_again_keeps_only_how_often_it_was_sent():
    call = Call("GET", "/a", 304, 1.0, 0.5, 2.0, 3.0, 10, 20, 0.25, "abandoned", 2)
    call.begin_again()
    assert (call.status, call.connect_s, call.first_byte, call.ended, call.error) == (None,) * 5
    assert (call.method, call.path, call.bytes_in, call.bytes_out, call.sent) == ("GET", "/a", 0, 0, 2)


class Place:
    """A place in a queue."""

    def ahead(self) -> int | None:
        return 3

    def hurry(self, client: str) -> None:
        """Do nothing."""

    def step_back(self) -> None:
        """Do nothing."""


def test_a_call_that_had_to_wait_tells_for_how_long_and_behind_how_many():
    call = Call()
    call.begin(BEGAN, BEGAN)
    assert (call.queue_s, call.place) == (None, None)
    for waited in (2.0, 5.0):
        call.wait(Place())
        assert call.place == 3
        call.begin(BEGAN, BEGAN + waited)
    assert (call.queue_s, call.place, call.began) == (7.0, None, BEGAN + 5.0)


@pytest.mark.parametrize(("joined", "queue_s"), [(None, 4.0), (BEGAN + 1, 3.0), (BEGAN + 9, 0.0)])
def test_the_wait_for_a_turn_upstream_is_no_overhead_of_ours(joined, queue_s):
    call = Call(began=BEGAN + 4, ended=BEGAN + 10, sent=1, queue_s=4.0)
    one = closed(10.0, call=call, joined=joined)
    assert one.queue_s == queue_s
    assert one.overhead_s == pytest.approx(10.0 - queue_s - one.upstream_s)


def test_what_was_spent_in_vain_is_upstream_time_too():
    one = closed(10.0, call=Call(began=BEGAN + 6, ended=BEGAN + 10, sent=1), sent_before=2, spent_before_s=6.0)
    assert (one.upstream_calls, one.upstream_s, one.overhead_s) == (3, 10.0, 0.0)
    assert closed(10.0, sent_before=1, spent_before_s=6.0).upstream_s == 6.0


def test_calls_are_summed_up_in_one():
    call = Call()
    for took in (2.0, 5.0, 3.0):
        call.add(took)
    assert (call.busy_s, call.longest_s) == (10.0, 5.0)


def test_each_feature_has_one_arm_and_lines_share_none():
    """A line is copied where a request is asked again unseen: what is drawn for one is not drawn for the other."""
    one = line()
    one.drew("split", Draw("control", 5.0))
    other = line(draws=one.draws)
    other.drew("normalize", Draw("candidate", 25.0))
    one.drew("split", Draw("control", None, "held"))
    assert one.draws == {"split": Draw("control", None, "held")}
    assert other.draws == {"split": Draw("control", 5.0), "normalize": Draw("candidate", 25.0)}


def test_what_waits_for_the_answer_to_leave_is_done_then_in_its_order_and_once():
    one, done = line(), []
    for name in "ab":
        one.afterwards(lambda name=name: done.append(name))
    assert done == []
    one.leave()
    one.leave()
    assert done == ["a", "b"]


def test_what_waits_for_one_answer_to_leave_may_wait_for_anothers():
    """Now or later; else what waits for nothing looks as if it did."""
    one, other, done = closed(), closed(), []
    one.afterwards(lambda: done.append("before"))
    one.leave_by(other)
    one.afterwards(lambda: done.append("later"))
    assert (done, one.after, len(other.after)) == ([], None, 2)
    other.leave()
    one.afterwards(lambda: done.append("at once"))
    assert done == ["before", "later", "at once"]
    one = closed()
    one.leave_by(third := closed())
    assert third.after is None


def test_once_it_has_left_nothing_waits():
    one, done = line(), []
    one.leave()
    one.afterwards(lambda: done.append("now"))
    assert (done, one.after) == (["now"], None)


def test_what_is_to_be_done_may_ask_for_more():
    one, done = line(), []
    one.afterwards(lambda: one.afterwards(lambda: done.append("more")))
    one.leave()
    assert done == ["more"]


def test_nothing_of_arms_and_comparisons_is_in_the_line():
    one = closed(draws={"split": Draw("candidate", 5.0)}, fell_back="vary", after=[], has_left=True)
    assert request_fields(one) == request_fields(closed())
