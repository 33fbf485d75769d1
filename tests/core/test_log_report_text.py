"""A report on a log, as people read it."""

import pytest

from proxy.core.log_report import LogReport
from proxy.core.log_report_text import seconds, told

MISS = {
    "event": "request", "timestamp": "2026-03-01T10:00:00.000000Z", "request_id": "1" * 32, "method": "GET", "path": "/a",
    "rule": "query", "outcome": "miss", "key_hash": "abc", "upstream_calls": 1, "upstream_s": 56.0, "duration_s": 56.4,
}  # fmt: skip
HIT = {**MISS, "outcome": "hit", "upstream_calls": 0, "upstream_s": 0, "duration_s": 0.0009, "saved_s": 56.0}


def text(*lines):
    report = LogReport()
    for line in lines:
        report.add(line)
    return told(report.told())


def test_the_whole_of_it():
    passed = {**MISS, "rule": None, "outcome": "passthrough", "reason": "no_rule", "path": "/b", "key_hash": None, "duration_s": 1.0, "upstream_s": 1.0}  # fmt: skip
    merged = {**MISS, "outcome": "partial", "merge_s": 0.1, "parts": 4, "parts_hit": 3, "would": "hit"}
    failed = {**MISS, "outcome": "error", "error": "upstream_reset", "error_source": "upstream"}
    call = {"event": "upstream_call", "rule": "query", "duration_s": 56.0, "error": "upstream_reset"}
    refresh = {"event": "upstream_call", "rule": "query", "purpose": "refresh", "duration_s": 30.0}
    assert text(MISS, HIT, passed, merged, failed, call, refresh).splitlines() == [
        "2026-03-01T10:00:00.000000Z … 2026-03-01T10:00:00.000000Z",
        "5 requests; hit ratio 33.3 %; upstream 86 s, saved 56 s",
        "",
        "operation  outcome      n       p50       p90       p99     max  saved  upstream",
        "query      miss         1    56.2 s    56.2 s    56.2 s  56.4 s             56 s",
        "query      hit          1  0.894 ms  0.894 ms  0.894 ms  0.9 ms   56 s",
        "query      partial      1    56.2 s    56.2 s    56.2 s  56.4 s             56 s",
        "query      error        1    56.2 s    56.2 s    56.2 s  56.4 s             56 s",
        "unmatched  passthrough  1    990 ms    990 ms    990 ms     1 s              1 s",
        "",
        "why requests passed",
        "operation  reason   n",
        "unmatched  no_rule  1",
        "",
        "errors",
        "operation  source: error             n",
        "query      upstream: upstream_reset  1",
        "",
        "only observed: they would have been",
        "operation  outcome  n",
        "query      hit      1",
        "",
        "put together from parts",
        "operation  parts       known",
        "query          4  3 (75.0 %)",
        "",
        "calls upstream",
        "operation  for      n  upstream",
        "query      client   1      56 s",
        "query      refresh  1      30 s",
        "",
        "costliest keys",
        "upstream  calls of  key     path",
        "   168 s         3  abc     /a",
        "     1 s         1  GET /b  /b",
        "",
        "slowest keys",
        "duration  outcome                            request_id  key     path",
        "  56.4 s  miss         11111111111111111111111111111111  abc     /a",
        "     1 s  passthrough  11111111111111111111111111111111  GET /b  /b",
        "",
        "calls upstream: 2, 86 s; p50 29.8 s, p90 56 s, p99 56 s, max 56 s; failed: 1 upstream_reset",
    ]


def test_what_is_not_known_is_said():
    said = text(HIT | {"sample_rate": 0.1}, {"event": "dropped", "count": 1234}, [])
    assert "\n10 requests; sampled lines are weighted; hit ratio 100.0 %" in said
    assert "\nLOST: 1,234 lines were never written (event dropped)\n" in said
    assert "\nNOT READ: 1 of 3 lines are none of Frontrunner's log\n" in said
    assert text({"event": "ready"}).startswith("no time … no time\n0 requests; hit ratio unknown;")


def test_what_calls_failed_with_commanded_the_terminal():
    """A log is an input, and may be anybody's."""
    said = text({"event": "upstream_call", "duration_s": 1, "error": "\x1b]0;a\x07\x1b[31mb\nc"})
    assert said.endswith(r"failed: 1 \x1b]0;a\x07\x1b[31mb\nc")


DURATIONS = {
    0.0: "0 ms",
    0.0004: "0.4 ms",
    0.99: "990 ms",
    0.9994: "999 ms",
    0.9996: "1 s",
    1.0: "1 s",
    99.6: "99.6 s",
    1234.0: "1,234 s",
}


@pytest.mark.parametrize(("value", "shown"), DURATIONS.items())
def test_a_duration_as_people_read_it(value, shown):
    assert seconds(value) == shown


def test_a_key_that_was_let_go_between_says_how_much_it_may_lack():
    report = LogReport(most_keys=1)
    for key in ("a", "b", "c"):
        report.add(MISS | {"key_hash": key, "upstream_s": 2.0})
    assert "\n2 s to 4 s         1  c    /a\n" in told(report.told())


@pytest.mark.parametrize("name", ["rule", "path", "key_hash", "reason", "request_id", "timestamp"])
def test_a_terminal_obeys_nobody_and_columns_hold(name):
    said = text(MISS | {"outcome": "passthrough", name: "\x1b[2J\nx"})
    assert "\x1b" not in said
    assert said.count("\n") == text(MISS | {"outcome": "passthrough", name: "y"}).count("\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 ms"), (0.0009, "0.9 ms"), (0.9994, "999 ms"), (1, "1 s"), (56.44, "56.4 s"), (169.4, "169 s"), (1e6, "1,000,000 s")],
)  # fmt: skip
def test_seconds(value, shown):
    assert seconds(value) == shown
