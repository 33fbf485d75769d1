"""Which request lines are written where not all are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.log_line import LogLine
from proxy.core.sampling import Sampling
from proxy.core.types import Outcome

NONE = Sampling(0.0, slower_than=1.0)


def line(request_id: str = "id", seconds: float = 0.001, outcome: Outcome = Outcome.HIT, **known) -> LogLine:
    return LogLine(request_id, "GET", "/", 0.0, duration_s=seconds, **{"outcome": outcome, "rule": "r", **known})


ALWAYS = {
    "an error": line(outcome=Outcome.ERROR, error="upstream_error", error_source="upstream"),
    "an answer that stood in for one": line(outcome=Outcome.STALE, error="upstream_timeout", error_source="upstream"),
    "a client that left": line(error="client_gone", error_source="client"),
    "a slow one": line(seconds=1.0),
    "a fallback": line(outcome=Outcome.MISS, fell_back="frame"),
    "what passed though it has a rule": line(outcome=Outcome.PASSTHROUGH, reason="cookie"),
    "an upstream that said that it failed": line(outcome=Outcome.PASSTHROUGH, rule=None, status=503),
    "an error from the store": line(status=500),
    "what is compared once it has left": line(outcome=Outcome.MISS, after=[print]),
    "a mismatch": line(outcome=Outcome.MISS, would=Outcome.HIT, would_differ=True),
}


@pytest.mark.parametrize("one", ALWAYS.values(), ids=ALWAYS)
def test_what_is_of_interest_is_always_written(one):
    assert NONE.keeps(one)
    assert one.sample_rate == 1.0


SELDOM = {
    "a quick hit": line(),
    "what is not there": line(outcome=Outcome.MISS, status=404),
    "a quick miss": line(outcome=Outcome.MISS),
    "what no rule names": line(outcome=Outcome.PASSTHROUGH, rule=None),
    "what would have been the same": line(outcome=Outcome.MISS, would_differ=False),
}


@pytest.mark.parametrize("one", SELDOM.values(), ids=SELDOM)
def test_of_the_rest_a_share_is_written_that_the_line_tells(one):
    assert not NONE.keeps(one)
    assert Sampling(0.9999999).keeps(one)
    assert one.sample_rate == 0.9999999


@given(st.floats(0, 1))
def test_the_share_is_what_it_says(rate):
    kept = sum(Sampling(rate).keeps(line(f"{number:032x}")) for number in range(1000))
    assert abs(kept / 1000 - rate) < 0.08


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_with_a_larger_share_nothing_is_left_out_that_was_written(request_id, one, other):
    fewer, more = sorted([one, other])
    assert Sampling(more).keeps(line(request_id)) >= Sampling(fewer).keeps(line(request_id))


def test_lines_of_one_trace_are_written_together():
    kept = {Sampling(0.5).keeps(line(f"{number:032x}", trace_id="t")) for number in range(50)}
    assert len(kept) == 1


def test_sums_come_out_when_lines_are_weighted():
    lines = [line(f"{number:032x}") for number in range(4000)] + [line(f"s{number}", 2.0) for number in range(100)]
    weights = [1 / one.sample_rate for one in lines if Sampling(0.25).keeps(one)]
    assert sum(weights) == pytest.approx(4100, rel=0.05)
