"""What several processes have counted, put together."""

from dataclasses import replace

import pytest

from proxy.core.census import STILL_THERE_S, census, is_alive
from proxy.core.detail import Details
from proxy.core.history import GRAINS, Grain, pack, window
from proxy.core.log_line import LogLine
from proxy.core.operation import Operations
from proxy.core.tally import Held, Tally
from proxy.core.types import Outcome

NOW = 1_000_000_000.0
TEN, _, HOUR = GRAINS


def counted(n: int) -> Operations:
    operations = Operations()
    for _ in range(n):
        operations.count(LogLine("", "GET", "/", 0.0, rule="r", outcome=Outcome.MISS, duration_s=1.0))
    return operations


def tally(n: int = 1, machine: str = "here", **known) -> Tally:
    details = Details()
    details.count(LogLine("", "GET", "/", 0.0, rule="r", cost=2.0, age_s=1, ttl_s=1, key_hash="k"))
    return Tally(machine, **{"at": NOW, "since": NOW - n, "operations": counted(n), "details": details, **known})


def n_of(operations: Operations) -> int:
    return operations.all().n


def test_of_all_machines_and_of_this_one():
    others = {"b": tally(10), "c": tally(100, "elsewhere"), "d": tally(1000, far=counted(5))}
    found = census("a", tally(), others, {}, None, [])
    assert (n_of(found.operations), n_of(found.here), found.processes) == (1116, 1011, 4)
    assert found.since == NOW - 1000
    assert found.details["r"].keys["k"].hits == 4


def test_what_is_under_way_is_of_this_machine():
    """Each machine tells of its own, for Prometheus adds them up."""
    busy = {"in_flight": 2, "waiting": {"client": 3}}
    others = {"b": tally(reloaded_at=7.0, **busy), "c": tally(1, "elsewhere", reload_failed=True, **busy)}
    found = census("a", tally(reloaded_at=9.0, **busy), others, {}, None, [])
    assert (found.processes, found.workers, found.in_flight, found.waiting) == (3, 2, 4, {"client": 6})
    assert (found.reload_failed, found.reloaded_at) == (False, 7.0)


def test_nobody_is_counted_twice():
    found = census("a", tally(took=("b",)), {"b": tally(10), "c": tally(100, left=True)}, {}, None, [])
    assert n_of(found.operations) == 101
    assert found.processes == 2, "b is there, if only by its name; c has ended"


LIVES = {
    "it has just told": (0.0, False, True),
    "it is quiet": (STILL_THERE_S + 1, False, True),
    "it is silent": (STILL_THERE_S + 3, False, False),
    "its clock is ahead": (-5.0, False, True),
    "it has ended": (0.0, True, False),
}


@pytest.mark.parametrize(("ago", "left", "alive"), LIVES.values(), ids=LIVES)
def test_who_is_alive(ago, left, alive):
    assert is_alive(tally(at=NOW - ago, left=left), NOW) is alive


def test_what_stores_hold_is_summed_but_for_what_they_share():
    mine = (Held("memory", 1, 10, 100), Held("disk", 5, 50, 500, shared=True))
    theirs = (Held("memory", 2, 20, 100), Held("disk", 4, 40, 500, shared=True, is_well=False))
    found = census("a", tally(held=mine), {"b": tally(held=theirs), "c": tally(held=theirs, left=True)}, {}, None, [])
    assert found.held == (Held("memory", 3, 30, 200), Held("disk", 5, 50, 500, shared=True, is_well=False))


def test_evictions_are_of_this_machine_and_never_fall():
    others = {
        "b": tally(evictions={"memory": 2}),
        "c": tally(evictions={"memory": 4, "disk": 3}, left=True),
        "d": tally(1, "elsewhere", evictions={"memory": 8}),
        "e": tally(waiting={"client": 2}),
    }
    found = census("a", tally(evictions={"memory": 1}, waiting={"client": 1}), others, {}, None, [])
    assert (found.evictions, found.waiting) == ({"memory": 7, "disk": 3}, {"client": 3})


def spans(*ns: int, grain: Grain = TEN) -> dict[int, bytes]:
    """Return spans in which so many were counted: in the one that is open, in the one before, and so on."""
    return {int(NOW // grain.width_s) - ago: pack(counted(n), grain) for ago, n in enumerate(ns)}


def test_a_window_is_of_all_spans_that_are_told():
    own, other = tally(100, spans={"10s": spans(1, 2)}), tally(spans={"10s": spans(10)})
    rings = {"a": {"10s": spans(0, 0, 4, 5, 6, 7)}, "b": {"10s": spans(7, 20, 40)}, "unknown": {"10s": spans(1000)}}
    found = census("a", own, {"b": other}, rings, window(20.0, NOW, twice=True), [])
    assert n_of(found.window) == (1 + 2 + 4) + (10 + 20 + 40)
    assert tuple(map(n_of, found.trend)) == (2 + 4 + 20 + 40, 5 + 6)
    taken = replace(own, took=("b",))
    assert n_of(census("a", taken, {"b": other}, rings, window(20.0, NOW), []).window) == 7


TRENDS = {
    "all of the time before is known": ({"since": NOW - 1300}, 600.0, True),
    "it began in the time before": ({"since": NOW - 1000}, 600.0, False),
    "some of that had no room": ({"since": NOW - 9000, "kept_from": {"10s": int(NOW // 10) - 100}}, 600.0, False),
    "it had room": ({"since": NOW - 9000, "kept_from": {"10s": int(NOW // 10) - 120}}, 600.0, True),
    "no span is kept for so long": ({"since": 0.0}, 60 * 86400.0, False),
}


@pytest.mark.parametrize(("known", "seconds", "has_trend"), TRENDS.values(), ids=TRENDS)
def test_a_trend_came_from_a_time_before_of_which_not_all_was_known(known, seconds, has_trend):
    try:
        wanted = window(seconds, NOW, twice=True)
    except ValueError:
        wanted = window(seconds, NOW)
    found = census("a", tally(**known), {"b": tally(1)}, {}, wanted, [])
    assert (found.trend is not None) is has_trend


def test_since_when_all_of_a_window_is_known():
    wanted = window(600.0, NOW, twice=True)
    since = {"since": NOW - 9000}
    assert census("a", tally(**since), {}, {}, wanted, []).kept_since == wanted.since
    assert census("a", tally(since=NOW - 5), {}, {}, wanted, []).kept_since == NOW - 5
    short = tally(**since, kept_from={"10s": int(NOW // 10) - 3})
    assert census("a", tally(**since), {"b": short}, {}, wanted, []).kept_since == NOW - 30


def test_what_the_open_short_span_holds_is_in_windows_of_longer_ones():
    own = tally(1000, spans={"10s": spans(3), "1h": spans(5, grain=HOUR)}, open=int(NOW // 10))
    found = census("a", own, {}, {}, window(2 * 86400.0 * 7, NOW, twice=True), [])
    assert n_of(found.window) == 8
