"""Our own log: which of its lines say enough to be asked again."""

import json
from collections import Counter

import pytest

from proxy.core.log_fields import ORDER
from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.warm.logged import Logged
from proxy.warm.wanted import LeftOut, Unreadable

LINE = {"event": "request", "method": "GET", "path": "/a", "status": 200, "key_hash": "1", "upstream_s": 2.5}


def line(**fields):
    return json.dumps({name: value for name, value in {**LINE, **fields}.items() if value is not None}).encode()


def read(*raw):
    """Return what lines want, (target, cost), and what they left out."""
    logged, left_out = Logged(), Counter()
    at_once = [one for one in map(logged.add, raw) if one is not None]
    wanted = [*at_once, *logged.wanted(left_out)]
    assert all(one.request == Request("GET", one.request.target) for one in wanted)
    return [(one.request.target, one.cost_s) for one in wanted], dict(left_out)


LOGS = {
    "a miss": ([line()], [(b"/a", 2.5)], {}),
    "a hit has cost nothing": ([line(outcome="hit", upstream_s=None)], [(b"/a", 0.0)], {}),
    "the most that it took": ([line(upstream_s=1), line(upstream_s=3), line(upstream_s=None)], [(b"/a", 3.0)], {}),
    "paths": ([line(), line(path="/b", upstream_s=7.0)], [(b"/a", 2.5), (b"/b", 7.0)], {}),
    "one path, several keys": (
        [line(), line(key_hash="2"), line(key_hash="3"), line(path="/b")], [(b"/b", 2.5)], {"query not in the log": 1},
    ),
    "one path, with and without a key": ([line(), line(key_hash=None)], [], {"query not in the log": 1}),
    "one path, without a key": ([line(key_hash=None)], [(b"/a", 2.5)], {}),
    "one path, twice without a key": ([line(key_hash=None), line(key_hash=None)], [], {"query not in the log": 1}),
    "a query": ([line(query="b=c"), line(query="b=d", key_hash="2")], [(b"/a?b=c", 2.5), (b"/a?b=d", 2.5)], {}),
    "a query of nothing": ([line(query="")], [(b"/a", 2.5)], {}),
    "another event": ([b'{"event": "ready", "url": "http://a"}', b'{"event": "upstream_call", "path": "/b"}'], [], {}),
    "a rule may be written since": ([line(outcome="passthrough", reason="no_rule")], [(b"/a", 2.5)], {}),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "wanted", "left_out"), LOGS.values(), ids=LOGS)
def test_what_a_log_wants(raw, wanted, left_out):
    assert read(*raw) == (wanted, left_out)


LEFT_OUT = {
    "a POST": (line(method="POST"), "method"),
    "a HEAD": (line(method="HEAD"), "method"),
    "no 200": (line(status=404), "status"),
    "no answer": (line(status=None), "status"),
    "somebody's own": (line(reason="cookie"), Reason.COOKIE),
    "a part": (line(reason="range"), Reason.RANGE),
    "letters beyond ASCII": (line(path="/ä"), "beyond ASCII"),
    "bytes beyond all letters": (line(path="/\\xff"), "beyond ASCII"),
}


@pytest.mark.parametrize(("raw", "reason"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_lines_that_are_left_out(raw, reason):
    with pytest.raises(LeftOut) as left:
        Logged().add(raw)
    assert left.value.reason == reason


UNREADABLE = [
    b"{", b"{}", b"[1]", b'{"event": "request"}', line(path=7), line(path="a"), line(path="/a b"), line(path="/" * 70_000),
    line(query="a b"), line()[:-1], b'{"a":' * 5000, b'{"event":"\xff"}',
]  # fmt: skip


@pytest.mark.parametrize("raw", UNREADABLE)
def test_lines_that_are_none(raw):
    with pytest.raises(Unreadable):
        Logged().add(raw)


def test_what_is_read_is_what_is_written():
    assert LINE.keys() <= set(ORDER)


def test_what_is_kept_of_a_log_is_bounded(monkeypatch):
    monkeypatch.setattr("proxy.warm.logged.MOST_KEPT_BYTES", 1000)
    logged = Logged()
    logged.add(line(path="/1"))
    logged.add(line(path="/2"))
    with pytest.raises(LeftOut, match="256 MiB"):
        logged.add(line(path="/3"))
    logged.add(line(path="/1", upstream_s=9))
    assert [one.cost_s for one in logged.wanted(Counter())] == [9.0, 2.5]
