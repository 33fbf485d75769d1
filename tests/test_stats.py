"""LogLines → counters and timings by operation and outcome."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.log_line import Call, LogLine
from proxy.core.reasons import Reason
from proxy.core.rules import UNMATCHED
from proxy.core.types import Outcome
from proxy.stats import ERROR_SOURCES, Operation, Stats, merged


def line(outcome: Outcome = Outcome.MISS, seconds: float = 10.0, rule: str | None = "r", **known) -> LogLine:
    one = LogLine("id", "GET", "/", 0.0, rule=rule, outcome=outcome, **known)
    one.close(seconds)
    return one


def counted(*lines: LogLine) -> Stats:
    stats = Stats(started=5.0)
    for one in lines:
        stats.count(one)
    return stats


def test_it_knows_when_it_began():
    assert counted().started == 5.0


def test_requests_are_counted_by_rule_and_outcome():
    stats = counted(line(), line(), line(Outcome.HIT, 0.5), line(rule="s"))
    r, s = stats.operations["r"], stats.operations["s"]
    assert (r.n, s.n) == (3, 1)
    assert {outcome: timings.n for outcome, timings in r.by_outcome.items()} == {Outcome.MISS: 2, Outcome.HIT: 1}
    assert r.by_outcome[Outcome.MISS].total == 20.0


def test_a_request_without_a_rule_is_unmatched():
    assert list(counted(line(rule=None)).operations) == [UNMATCHED]


def test_the_timings_of_all_outcomes_together():
    together = counted(line(), line(Outcome.HIT, 0.5)).operations["r"].all()
    assert (together.n, together.total, together.most) == (2, 10.5, 10.0)
    assert Operation().all().n == 0


def test_bytes_add_up():
    r = counted(line(bytes_in=1, bytes_out=2), line(bytes_in=10, bytes_out=20)).operations["r"]
    assert (r.bytes_in, r.bytes_out) == (11, 22)


def test_our_own_time_is_counted_apart():
    r = counted(line(call=Call(began=1.0, ended=9.0))).operations["r"]
    assert (r.overhead.n, r.overhead.total) == (1, 2.0)


def test_who_got_a_202_is_counted_when_its_job_ends():
    """Else the quickest answers of all would be those that are not there yet."""
    told = line(seconds=0.01, reason=Reason.RESPOND_ASYNC, bytes_in=1, bytes_out=2)
    assert (counted(told).operations["r"].n, counted(told).operations["r"].overhead.n) == (0, 0)
    r = counted(told, line(seconds=50.0, call=Call(sent=1, began=0.0, ended=50.0), bytes_out=20)).operations["r"]
    assert (r.n, r.all().most, r.upstream_calls, r.bytes_in, r.bytes_out) == (1, 50.0, 1, 1, 22)


CALLS = {
    "a leader's": ({"call": Call(sent=1, began=1.0, ended=9.0)}, 1, 8.0),
    "a follower made none": ({"joined": 2.0, "call": Call(sent=1, began=1.0, ended=9.0)}, 0, 0.0),
    "a hit made none": ({}, 0, 0.0),
    "a leader's that was sent twice": ({"call": Call(sent=2, began=1.0, ended=9.0)}, 2, 8.0),
}


@pytest.mark.parametrize(("known", "calls", "seconds"), CALLS.values(), ids=CALLS)
def test_calls_upstream(known, calls, seconds):
    r = counted(line(**known)).operations["r"]
    assert (r.upstream_calls, r.upstream_s) == (calls, seconds)


SAVED = {
    "what the upstream once took, less what we took": (line(Outcome.HIT, 0.5, cost=40.0), 39.5),
    "never less than nothing": (line(Outcome.HIT, 2.0, cost=1.0), 0.0),
    "nothing where nothing was stored": (line(), 0.0),
}


@pytest.mark.parametrize(("one", "saved"), SAVED.values(), ids=SAVED)
def test_seconds_saved(one, saved):
    assert counted(one).seconds_saved() == saved


def test_seconds_saved_of_all_operations():
    assert counted(line(cost=11.0), line(rule="s", cost=12.0)).seconds_saved() == 3.0


def test_errors_by_their_source():
    stats = counted(
        line(error_source="client"), line(error_source="proxy"), line(rule="s", error_source="proxy"), line()
    )
    assert stats.errors() == {"client": 1, "upstream": 0, "proxy": 2}
    assert counted().errors() == dict.fromkeys(ERROR_SOURCES, 0)


PARTS = {
    "of what was put together": (line(parts=8, parts_hit=6, merge_s=0.001), (8, 6)),
    "none of which was known": (line(parts=8, parts_hit=0, merge_s=0.001), (8, 0)),
    "not of what went whole after all": (line(parts=8, parts_hit=6), (0, 0)),
    "not of what has none": (line(), (0, 0)),
}


@pytest.mark.parametrize(("one", "parts"), PARTS.values(), ids=PARTS)
def test_parts_and_how_many_of_them_were_known(one, parts):
    r = counted(one).operations["r"]
    assert (r.parts, r.parts_hit) == parts
    r = merged(5.0, [counted(one).written()] * 2).operations["r"]
    assert (r.parts, r.parts_hit) == (2 * parts[0], 2 * parts[1])


def test_what_a_process_of_an_earlier_release_counted_is_read():
    counts = orjson.loads(counted(line()).written())
    del counts["r"]["parts"], counts["r"]["parts_hit"], counts["r"]["would"]
    assert merged(5.0, [orjson.dumps(counts)]).operations["r"].n == 1


def test_what_would_have_been():
    """Counted apart from what was."""
    stats = counted(
        line(Outcome.PASSTHROUGH, would=Outcome.HIT, would_save_s=40.0, would_differ=True),
        line(Outcome.PASSTHROUGH, would=Outcome.STALE, would_save_s=2.0),
        line(Outcome.PASSTHROUGH, would=Outcome.HIT, would_save_s=0.5),
        line(Outcome.PASSTHROUGH, would=Outcome.MISS),
        line(Outcome.PASSTHROUGH),
    )
    for times, one in ((1, stats), (2, merged(5.0, [stats.written()] * 2))):
        r = one.operations["r"]
        assert r.would == {Outcome.HIT: 2 * times, Outcome.STALE: times, Outcome.MISS: times}
        assert (r.would_save_s, r.would_differ, r.seconds_saved) == (42.5 * times, times, 0.0)


RATIOS = {
    "nothing looked up": ([], 0.0),
    "hits only": ([Outcome.HIT], 1.0),
    "hits among those looked up": ([Outcome.HIT, Outcome.MISS, Outcome.EXPIRED, Outcome.COLLAPSED], 0.25),
    "what passed through was not looked up": ([Outcome.HIT, Outcome.PASSTHROUGH, Outcome.ERROR], 1.0),
}


@pytest.mark.parametrize(("outcomes", "ratio"), RATIOS.values(), ids=RATIOS)
def test_hit_ratio(outcomes, ratio):
    assert counted(*[line(outcome) for outcome in outcomes]).hit_ratio() == ratio


@given(st.lists(st.tuples(st.sampled_from(list(Outcome)), st.floats(0, 100), st.sampled_from(["r", "s", None]))))
def test_no_request_is_lost(requests):
    stats = counted(*[line(*request) for request in requests])
    assert sum(operation.n for operation in stats.operations.values()) == len(requests)
    assert all(operation.n == operation.overhead.n for operation in stats.operations.values())
    assert 0 <= stats.hit_ratio() <= 1
