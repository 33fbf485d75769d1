"""What is counted of one rule's requests: counters and timings by outcome, mergeable."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.log_line import Call, LogLine, Purpose
from proxy.core.operation import Operation, Operations, operations_of, read
from proxy.core.reasons import Reason
from proxy.core.rules import UNMATCHED
from proxy.core.types import Outcome


def line(outcome: Outcome = Outcome.MISS, seconds: float = 10.0, rule: str | None = "r", **known) -> LogLine:
    one = LogLine("id", "GET", "/", 0.0, rule=rule, outcome=outcome, **known)
    one.close(seconds)
    return one


def counted(*lines: LogLine | Call) -> Operations:
    operations = Operations()
    for one in lines:
        count(operations, one)
    return operations


def count(operations: Operations, one: LogLine | Call) -> None:
    if isinstance(one, Call):
        operations.count_call(one, 0.0)
    else:
        operations.count(one)


def told_again(operations: Operations, times: int = 1) -> Operations:
    """Return what several processes have counted, each as much, after it was written and read."""
    together = Operations()
    for _ in range(times):
        together.merge(operations_of(json.loads(json.dumps(operations.written()))))
    return together


def test_requests_are_counted_by_rule_and_outcome():
    stats = counted(line(), line(), line(Outcome.HIT, 0.5), line(rule="s"))
    r, s = stats["r"], stats["s"]
    assert (r.n, s.n) == (3, 1)
    assert {outcome: timings.n for outcome, timings in r.by_outcome.items()} == {Outcome.MISS: 2, Outcome.HIT: 1}
    assert r.by_outcome[Outcome.MISS].total == 20.0


def test_a_request_without_a_rule_is_unmatched():
    assert list(counted(line(rule=None))) == [UNMATCHED]


def test_the_timings_of_all_outcomes_together():
    together = counted(line(), line(Outcome.HIT, 0.5))["r"].all()
    assert (together.n, together.total, together.most) == (2, 10.5, 10.0)
    assert Operation().all().n == 0


def test_bytes_add_up():
    r = counted(line(bytes_in=1, bytes_out=2), line(bytes_in=10, bytes_out=20))["r"]
    assert (r.bytes_in, r.bytes_out) == (11, 22)


def test_our_own_time_is_counted_apart():
    r = counted(line(call=Call(began=1.0, ended=9.0)))["r"]
    assert (r.overhead.n, r.overhead.total) == (1, 2.0)


def test_who_got_a_202_is_counted_when_its_job_ends():
    """Else the quickest answers of all would be those that are not there yet."""
    told = line(seconds=0.01, reason=Reason.RESPOND_ASYNC, bytes_in=1, bytes_out=2)
    assert (counted(told)["r"].n, counted(told)["r"].overhead.n) == (0, 0)
    r = counted(told, line(seconds=50.0, bytes_out=20))["r"]
    assert (r.n, r.all().most, r.bytes_in, r.bytes_out) == (1, 50.0, 1, 22)


def call(seconds: float = 8.0, rule: str | None = "r", purpose: Purpose = Purpose.CLIENT) -> Call:
    return Call(began=1.0, ended=1.0 + seconds, rule=rule, purpose=purpose)


def test_calls_upstream_are_counted_by_rule_and_by_what_they_are_for():
    """Not by the lines of requests: who fetched behind a client's back, or at once, spent as much."""
    stats = counted(call(), call(2.0), call(3.0, purpose=Purpose.REFRESH), call(1.0, None, Purpose.SHADOW))
    for times, one in ((1, stats), (3, told_again(stats, 3))):
        assert one["r"].calls == {"client": 2 * times, "refresh": times}
        assert one["r"].calls_s == {"client": 10.0 * times, "refresh": 3.0 * times}
        assert (one["r"].upstream_calls, one["r"].upstream_s, one["r"].n) == (3 * times, 13.0 * times, 0)
        assert one[UNMATCHED].calls_s == {"shadow": 1.0 * times}


def test_a_requests_line_is_no_call():
    """Its flight may be another's, or go on when it has ended."""
    r = counted(line(call=Call(sent=2, began=1.0, ended=9.0)))["r"]
    assert (r.upstream_calls, r.upstream_s) == (0, 0.0)


SAVED = {
    "what the upstream once took, less what we took": (line(Outcome.HIT, 0.5, cost=40.0), 39.5),
    "never less than nothing": (line(Outcome.HIT, 2.0, cost=1.0), 0.0),
    "nothing where nothing was stored": (line(), 0.0),
}


@pytest.mark.parametrize(("one", "saved"), SAVED.values(), ids=SAVED)
def test_seconds_saved(one, saved):
    assert counted(one).all().seconds_saved == saved


def test_seconds_saved_of_all_operations():
    assert counted(line(cost=11.0), line(rule="s", cost=12.0)).all().seconds_saved == 3.0


def test_errors_by_their_source():
    stats = counted(
        line(error_source="client"), line(error_source="proxy"), line(rule="s", error_source="proxy"), line()
    )
    assert stats.all().errors == {"client": 1, "proxy": 2}
    assert counted().all().errors == {}


PARTS = {
    "of what was put together": (line(parts=8, parts_hit=6, merge_s=0.001), (8, 6)),
    "none of which was known": (line(parts=8, parts_hit=0, merge_s=0.001), (8, 0)),
    "not of what went whole after all": (line(parts=8, parts_hit=6), (0, 0)),
    "not of what has none": (line(), (0, 0)),
}


@pytest.mark.parametrize(("one", "parts"), PARTS.values(), ids=PARTS)
def test_parts_and_how_many_of_them_were_known(one, parts):
    r = counted(one)["r"]
    assert (r.parts, r.parts_hit) == parts
    r = told_again(counted(one), 2)["r"]
    assert (r.parts, r.parts_hit) == (2 * parts[0], 2 * parts[1])


def test_what_would_have_been():
    """Counted apart from what was."""
    stats = counted(
        line(Outcome.PASSTHROUGH, would=Outcome.HIT, would_save_s=40.0, would_differ=True),
        line(Outcome.PASSTHROUGH, would=Outcome.STALE, would_save_s=2.0),
        line(Outcome.PASSTHROUGH, would=Outcome.HIT, would_save_s=0.5),
        line(Outcome.PASSTHROUGH, would=Outcome.MISS),
        line(Outcome.PASSTHROUGH),
    )
    for times, one in ((1, stats), (2, told_again(stats, 2))):
        r = one["r"]
        assert r.would == {Outcome.HIT: 2 * times, Outcome.STALE: times, Outcome.MISS: times}
        assert (r.would_save_s, r.would_differ, r.seconds_saved) == (42.5 * times, times, 0.0)


RATIOS = {
    "nothing looked up": ([], 0.0),
    "hits only": ([Outcome.HIT], 1.0),
    "hits among those looked up": ([Outcome.HIT, Outcome.MISS, Outcome.EXPIRED, Outcome.COLLAPSED], 0.25),
    "a stale answer is from the store": ([Outcome.HIT, Outcome.STALE, Outcome.MISS, Outcome.EXPIRED], 0.5),
    "what is validated or has unknown parts is not": (
        [Outcome.HIT, Outcome.REVALIDATED, Outcome.PARTIAL, Outcome.MISS],
        0.25,
    ),
    "what passed through was not looked up": ([Outcome.HIT, Outcome.PASSTHROUGH, Outcome.ERROR], 1.0),
}


@pytest.mark.parametrize(("outcomes", "ratio"), RATIOS.values(), ids=RATIOS)
def test_hit_ratio(outcomes, ratio):
    assert counted(*[line(outcome) for outcome in outcomes]).all().hit_ratio() == ratio


@given(st.lists(st.tuples(st.sampled_from(list(Outcome)), st.floats(0, 100), st.sampled_from(["r", "s", None]))))
def test_no_request_is_lost(requests):
    stats = counted(*[line(*request) for request in requests])
    assert sum(operation.n for operation in stats.values()) == len(requests)
    assert all(operation.n == operation.overhead.n for operation in stats.values())
    assert 0 <= stats.all().hit_ratio() <= 1


def test_why_requests_were_not_answered_from_the_store():
    r = counted(line(reason="no_ttl"), line(reason="no_ttl"), line(reason="cookie"), line())["r"]
    assert r.reasons == {"no_ttl": 2, "cookie": 1}


def test_reasons_are_bounded():
    """A plug-in of a stranger's may make up reasons."""
    r = counted(*[line(reason=f"reason-{number}") for number in range(1000)], line(reason="reason-1"))["r"]
    assert (len(r.reasons), r.reasons["reason-1"]) == (100, 2)


def test_timings_by_arm_are_of_those_that_had_one():
    r = counted(line(arm="candidate"), line(Outcome.HIT, 0.5, arm="control"), line())["r"]
    found = {arm: {outcome: one.n for outcome, one in by_outcome.items()} for arm, by_outcome in r.by_arm.items()}
    assert found == {"candidate": {Outcome.MISS: 1}, "control": {Outcome.HIT: 1}}
    assert r.n == 3


def test_how_long_calls_waited_for_their_turn():
    r = counted(line(call=Call(began=4.0, ended=9.0, queue_s=3.0, sent=1)), line())["r"]
    assert (r.queue.n, r.queue.total) == (1, 3.0)


SHARES = {
    "nothing": ((), 0.0),
    "saved as much as spent": ((line(Outcome.HIT, 1.0, cost=9.0), call(8.0)), 0.5),
    "also behind the clients' backs": (
        (line(Outcome.HIT, 1.0, cost=9.0), call(4.0), call(4.0, purpose=Purpose.REFRESH)),
        0.5,
    ),
}


@pytest.mark.parametrize(("lines", "share"), SHARES.values(), ids=SHARES)
def test_hit_ratio_by_seconds(lines, share):
    assert counted(*lines).all().hit_ratio_by_seconds() == share


durations = st.floats(0, 100)
arms = st.sampled_from([None, "control", "candidate"])
lines = st.builds(
    lambda outcome, seconds, rule, arm, cost, reason: line(outcome, seconds, rule, arm=arm, cost=cost, reason=reason),
    st.sampled_from(list(Outcome)), durations, st.sampled_from(["r", "s", None]), arms, st.none() | durations,
    st.none() | st.sampled_from(["a", "b"]),
) | st.builds(call, durations, st.sampled_from(["r", "s", None]), st.sampled_from(Purpose))  # fmt: skip


@given(st.lists(lines), st.lists(lines))
def test_merged_is_as_if_all_were_counted_in_one_place(some, more):
    merged = told_again(counted(*some))
    merged.merge(told_again(counted(*more)))
    both = counted(*some, *more)
    assert merged.keys() == both.keys()
    for name, one in both.items():
        mine = merged[name]
        assert {outcome: (of.n, of.buckets) for outcome, of in mine.by_outcome.items()} == {
            outcome: (of.n, of.buckets) for outcome, of in one.by_outcome.items()
        }
        assert (mine.reasons, mine.errors, mine.by_arm.keys()) == (one.reasons, one.errors, one.by_arm.keys())
        assert mine.seconds_saved == pytest.approx(one.seconds_saved, abs=1e-5)
        assert (mine.calls, mine.calls_s) == (one.calls, pytest.approx(one.calls_s, abs=1e-5))


@given(st.lists(lines), lines)
def test_a_copy_counts_for_itself(some, more):
    operations = counted(*some)
    copy, before = operations.copied(), operations.written()
    assert copy == operations
    count(copy, more)
    assert operations.written() == before
    count(operations, more)
    assert copy == operations


@given(st.lists(lines))
def test_who_counted_it_and_who_heard_of_it_have_the_same_sums(some):
    """Else what is told falls and rises with who is asked."""
    told = counted(*some).as_told()
    heard = operations_of(told.written())
    assert {name: sums(one) for name, one in heard.items()} == {name: sums(one) for name, one in told.items()}


def sums(one):
    totals = [of.total for of in (*one.by_outcome.values(), one.waited, one.queue)]
    return [*totals, one.seconds_saved, one.calls_s]


@given(st.lists(lines, max_size=50))
def test_with_few_buckets_it_is_coarser_but_no_request_is_lost(some):
    operations = counted(*some)
    told = operations_of(json.loads(json.dumps(operations.written(4, arms=False))))
    assert {name: one.n for name, one in told.items()} == {name: one.n for name, one in operations.items()}
    assert all(len(of.buckets) <= 4 for one in told.values() for of in one.by_outcome.values())
    assert not any(one.by_arm for one in told.values())


@pytest.mark.parametrize("told", [None, [], {}, [1] * 9, "text", [{}, [0], [0, 0, 0], {}, [], {}, {}, {}]])
def test_what_was_never_written_is_refused(told):
    with pytest.raises((ValueError, TypeError, AttributeError, KeyError)):
        read(told)
