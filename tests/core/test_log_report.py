"""Lines add up to what was put in: a whole generated day, a sampled one, and lines that hold anything."""

import orjson
import pytest
from day import REQUESTS, day, sampled
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.log_counts import MOST_WORDS, OTHERS
from proxy.core.log_report import LogReport
from proxy.core.log_report_text import told as text_of

LINE = {"event": "request", "outcome": "miss", "rule": "r", "duration_s": 2.0, "upstream_calls": 1, "upstream_s": 1.9}


def report(*lines, **settings):
    found = LogReport(**settings)
    for fields in lines:
        found.add(fields)
    return found.told()


@pytest.fixture(scope="module")
def told():
    return report(*day().fields())


def exact_quantile(durations, share):
    ranked = sorted(durations)
    return ranked[max(0, -(-int(share * 100) * len(ranked) // 100) - 1)]


def test_a_day_is_counted_by_operation_and_outcome(told):
    found = {(one["operation"], of["outcome"]): of for one in told["operations"] for of in one["outcomes"]}
    name = lambda one: (one.rule or "unmatched", str(one.outcome))  # noqa: E731
    assert {key: of["n"] for key, of in found.items()} == day().count(name)
    assert {key: of["saved_s"] for key, of in found.items()} == pytest.approx(
        day().total(name, lambda one: one.saved_s), abs=1e-3
    )
    assert {key: of["upstream_s"] for key, of in found.items()} == pytest.approx(
        day().total(name, lambda one: one.upstream_s), abs=1e-3
    )
    for key, of in found.items():
        durations = [one.duration_s for one in day().put if name(one) == key]
        for quantile, share in (("p50_s", 0.5), ("p90_s", 0.9), ("p99_s", 0.99)):
            assert of[quantile] == pytest.approx(exact_quantile(durations, share), rel=0.011), (key, quantile)
        assert of["max_s"] == pytest.approx(max(durations), abs=1e-5)


def test_calls_are_of_the_rule_that_led_to_them_whether_or_not_a_client_waited():
    call = {"event": "upstream_call", "rule": "r", "duration_s": 2.0}
    found = report(LINE, call, call, {**call, "purpose": "refresh", "duration_s": 5.0}, {**call, "rule": None})
    assert {one["operation"]: one["by_purpose"] for one in found["operations"]} == {
        "r": {"client": {"upstream_calls": 2, "upstream_s": 4.0}, "refresh": {"upstream_calls": 1, "upstream_s": 5.0}},
        "unmatched": {"client": {"upstream_calls": 1, "upstream_s": 2.0}},
    }
    many = report(*[{**call, "purpose": f"purpose-{number}"} for number in range(2 * MOST_WORDS)])
    assert len(many["operations"][0]["by_purpose"]) == MOST_WORDS + 1


def test_a_day_in_all(told):
    calls = day().count(lambda one: one.asked or None)[True]
    assert told["lines"] == {
        "read": REQUESTS + calls, "by_event": {"request": REQUESTS, "upstream_call": calls}, "unreadable": 0, "lost": 0,
    }  # fmt: skip
    assert (told["n"], told["is_sampled"]) == (REQUESTS, False)
    assert told["hit_ratio"] == pytest.approx(day().hit_ratio, abs=1e-6)
    assert told["upstream_s"] == pytest.approx(sum(one.upstream_s for one in day().put))
    assert told["saved_s"] == pytest.approx(sum(one.saved_s for one in day().put))
    stamps = [line["timestamp"] for line in day().fields()]
    assert (told["since"], told["until"]) == (min(stamps), max(stamps))


def test_why_things_passed_and_what_failed(told):
    for one in told["operations"]:
        mine = [put for put in day().put if (put.rule or "unmatched") == one["operation"]]
        passed = [str(put.reason) for put in mine if put.outcome == "passthrough"]
        failed = [f"{put.source}: {put.error}" for put in mine if put.source]
        assert one["passthrough"] == {reason: passed.count(reason) for reason in set(passed)}
        assert one["errors"] == {error: failed.count(error) for error in set(failed)}


def test_parts(told):
    (query,) = (one for one in told["operations"] if one["operation"] == "query")
    assert query["parts"] == sum(one.parts for one in day().put) > 0
    assert query["parts_hit"] == sum(one.parts_hit for one in day().put)
    assert all(one["parts"] == 0 for one in told["operations"] if one is not query)


def test_the_costliest_and_the_slowest_keys(told):
    key = lambda one: one.key_hash or "GET /other"  # noqa: E731
    cost = day().total(key, lambda one: one.upstream_s)
    costliest = sorted(cost, key=lambda one: -cost[one])[:10]
    assert [one["key"] for one in told["costliest"]] == costliest
    assert [one["upstream_s"] for one in told["costliest"]] == pytest.approx([cost[one] for one in costliest])
    assert all(one["at_most_s"] == one["upstream_s"] for one in told["costliest"])
    slowest = {}
    for one in day().put:
        slowest[key(one)] = max(slowest.get(key(one), 0), one.duration_s)
    ranked = sorted(slowest, key=lambda one: -slowest[one])[:10]
    assert [one["key"] for one in told["slowest"]] == ranked
    assert [one["duration_s"] for one in told["slowest"]] == pytest.approx([slowest[one] for one in ranked], abs=1e-5)


def test_calls_upstream(told):
    calls = [one for one in day().put if one.asked]
    assert (told["calls"]["n"], told["calls"]["upstream_s"]) == (
        len(calls), pytest.approx(sum(one.upstream_s for one in calls)),
    )  # fmt: skip
    assert told["calls"]["errors"] == day().count(lambda one: one.error if one.source == "upstream" else None)


def test_a_sampled_day_comes_to_nearly_the_same(told):
    found = report(*map(orjson.loads, sampled().splitlines()))
    assert found["is_sampled"]
    assert found["lines"]["read"] < told["lines"]["read"]
    assert found["n"] == pytest.approx(told["n"], abs=10)  # hits are told in tens
    assert found["hit_ratio"] == pytest.approx(told["hit_ratio"], abs=0.001)
    assert found["saved_s"] == pytest.approx(told["saved_s"], rel=0.1)
    assert found["upstream_s"] == told["upstream_s"]


SLOW = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 50)), max_size=60)


@given(SLOW)
def test_the_slowest_of_each_key_is_exact(asked):
    lines = [LINE | {"key_hash": key, "duration_s": float(took)} for key, took in asked]
    slowest = {}
    for key, took in asked:
        slowest[key] = max(took, slowest.get(key, 0))
    found = [one["duration_s"] for one in report(*lines, top=3)["slowest"]]
    assert found == sorted(slowest.values(), reverse=True)[:3]


def test_who_joined_anothers_flight_cost_nothing():
    follower = LINE | {"outcome": "collapsed", "upstream_calls": 0, "flight": "follow"}
    assert report(follower)["upstream_s"] == 0.0
    assert report(follower)["costliest"] == []


def test_what_a_job_tells_is_told_once():
    """As the counters of the admin API: the 202 is not, the job's own line is."""
    waits, job = LINE | {"reason": "respond_async", "outcome": "passthrough"}, LINE | {"event": "job"}
    assert report(waits, job, LINE | {"reason": "wait_over"})["n"] == 1


def test_observed_requests_tell_what_they_would_have_been():
    lines = [LINE | {"would": "hit", "would_save_s": 4.0}, LINE | {"would": "miss"}, LINE | {"would": "hit"}]
    (one,) = report(*lines)["operations"]
    assert (one["would"], one["would_save_s"]) == ({"hit": 2, "miss": 1}, 4.0)


def test_lines_that_were_never_written_are_told():
    assert report(LINE, {"event": "dropped", "count": 7})["lines"]["lost"] == 7


NOT_OURS = {
    "a list": [], "a text": "x", "nothing": None, "no event": {"level": "info"}, "an event that is no word": {"event": 1},
    "a request without its end": {"event": "request", "outcome": "hit"},
    "a request without its outcome": {"event": "request", "duration_s": 1.0},
    "a call without its end": {"event": "upstream_call"},
}  # fmt: skip


@pytest.mark.parametrize("fields", NOT_OURS.values(), ids=NOT_OURS)
def test_what_is_no_line_of_ours_is_counted(fields):
    lines = report(LINE, fields)["lines"]
    assert (lines["read"], lines["unreadable"], lines["by_event"]) == (2, 1, {"request": 1})


ANYTHING = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        2**64 - 1,
        -(2**63),
        1e308,
        5e-324,
        -0.0,
        0.5,
        "",
        "x",
        "\ud800",
        "x" * 999,
        [],
        [1],
        {},
        {"a": 1},
    ]
)


@given(st.dictionaries(st.sampled_from([*LINE, "reason", "path", "merge_s", "sample_rate", "error_source"]), ANYTHING))
def test_no_line_is_an_error_neither_added_nor_told(more):
    assert text_of(report(LINE | more))
    assert report(LINE | more)["lines"]["read"] == 1
    assert report(LINE | more | {"event": "upstream_call"})["lines"]["read"] == 1
    assert report(LINE | more | {"event": "dropped"})["lines"]["read"] == 1


def test_a_foreign_log_cannot_fill_the_memory():
    count = MOST_WORDS + 50
    lines = [
        LINE | {"rule": f"r{one}", "outcome": f"o{one}", "path": f"/{one}", "key_hash": f"{one}"}
        for one in range(count)
    ]
    found = LogReport(most_keys=100)
    for line in lines + [LINE | {"outcome": line["outcome"]} for line in lines]:
        found.add(line)
    assert len(found._operations) == MOST_WORDS + 1
    assert len(found._costliest.held) <= 200
    told = {one["operation"]: one for one in found.told()["operations"]}
    assert told[OTHERS]["n"] == 50 + count
    assert len(told[OTHERS]["outcomes"]) == MOST_WORDS + 1
