"""Which lines are wanted: a table of filters over a few lines, and whatever a line holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.log_filter import Filter

LINES = {
    "hit": {"event": "request", "level": "info", "rule": "query", "outcome": "hit", "status": 200, "path": "/q", "duration_s": 0.001, "request_id": "1"},
    "miss": {"event": "request", "level": "info", "rule": "query", "outcome": "miss", "status": 404, "path": "/q/a", "duration_s": 1.0, "request_id": "2"},
    "passed": {"event": "request", "level": "info", "outcome": "passthrough", "reason": "no_rule", "status": 500, "path": "/x", "duration_s": 2.0, "request_id": "3"},
    "failed": {"event": "request", "level": "error", "rule": "search", "outcome": "error", "error": "upstream_reset", "error_source": "upstream", "status": 502, "path": "/s", "duration_s": 70, "request_id": "4"},
    "gone": {"event": "request", "level": "info", "outcome": "miss", "error": "client_gone", "path": "/q", "duration_s": 1.5, "request_id": "5"},
    "call": {"event": "upstream_call", "level": "info", "status": 200, "path": "/q/a", "duration_s": 0.9, "request_id": "2"},
    "ready": {"event": "ready", "level": "info"},
}  # fmt: skip
TAKEN = {
    "nothing is asked": (Filter(), "hit miss passed failed gone ready"),
    "events": (Filter(events=frozenset({"upstream_call", "ready"})), "call ready"),
    "a rule": (Filter(rules=frozenset({"query"})), "hit miss"),
    "what no rule matched": (Filter(rules=frozenset({"unmatched"})), "passed gone"),
    "what no rule matched, with its calls": (
        Filter(rules=frozenset({"unmatched"}), events=frozenset({"request", "upstream_call", "ready"})),
        "passed gone call",
    ),
    "outcomes": (Filter(outcomes=frozenset({"hit", "error"})), "hit failed"),
    "a reason": (Filter(reasons=frozenset({"no_rule"})), "passed"),
    "one request with its calls": (Filter(requests=frozenset({"2"})), "miss call"),
    "its calls only": (Filter(requests=frozenset({"2"}), events=frozenset({"upstream_call"})), "call"),
    "a status": (Filter(statuses=("404",)), "miss"),
    "statuses": (Filter(statuses=("5xx", "200")), "hit passed failed"),
    "a path": (Filter(paths=("/q",)), "hit gone"),
    "paths": (Filter(paths=("/q*", "/s")), "hit miss failed gone"),
    "slow ones": (Filter(slower_than_s=1.0), "passed failed gone"),
    "errors": (Filter(errors=True), "passed failed gone"),
    "several": (Filter(errors=True, slower_than_s=1.6, statuses=("5xx",), rules=frozenset({"search"})), "failed"),
    "too many": (Filter(errors=True, outcomes=frozenset({"hit"})), ""),
}


@pytest.mark.parametrize(("wanted", "taken"), TAKEN.values(), ids=TAKEN)
def test_a_line_is_taken_where_it_meets_all_that_is_asked(wanted, taken):
    assert [name for name, line in LINES.items() if wanted.takes(line)] == taken.split()


ODD = st.sampled_from([None, True, 0, 1e308, "", "x", [], [1], {}, {"a": 1}])
EVERYTHING = Filter(*[frozenset({"x"})] * 5, statuses=("5xx",), paths=("*",), slower_than_s=1.0, errors=True)


@given(st.dictionaries(st.sampled_from([*LINES["failed"], "reason"]), ODD))
def test_no_line_is_an_error(line):
    assert EVERYTHING.takes(line) is False or line
    assert Filter().takes(line) == (line.get("event") != "upstream_call")
