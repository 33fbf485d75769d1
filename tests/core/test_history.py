"""What was counted when: spans of three widths, packed, bounded, in windows."""

import json
import tracemalloc
import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import history as module
from proxy.core.history import GRAINS, Grain, History, Ring, Window, pack, unpacked, window
from proxy.core.log_line import Call, LogLine
from proxy.core.operation import Operations
from proxy.core.types import Outcome

NOW = 1_000_000_000.0
TEN, FIVE_MINUTES, HOUR = GRAINS


def counted(n: int = 1, seconds: float = 2.0, rule: str = "r", **more) -> Operations:
    operations = Operations()
    for _ in range(n):
        operations.count(LogLine("", "GET", "/", 0.0, rule=rule, outcome=Outcome.MISS, duration_s=seconds, **more))
    return operations


def held(ring: Ring) -> dict[int, int]:
    """Return how many requests each span holds."""
    first = int(NOW // ring.grain.width_s)
    return {number - first: unpacked(packed).all().n for number, packed in ring.all().items()}


def test_what_the_issue_asks_for_is_kept():
    kept = {grain.word: grain.width_s * grain.keeps for grain in GRAINS}
    assert kept == {"10s": 3600, "5m": 7 * 86400, "1h": 90 * 86400}


@given(st.lists(st.tuples(st.floats(-20, 4000), st.integers(1, 3)), max_size=30))
def test_whatever_the_clock_does_no_request_is_lost_while_its_span_is_kept(steps):
    ring, now, n = Ring(HOUR), NOW, 0
    for pause, count in steps:
        now += pause
        ring.count(counted(count), now)
        n += count
    assert sum(held(ring).values()) == n


def test_spans_are_dropped_when_their_time_is_over():
    ring = Ring(TEN)
    for number in range(400):
        ring.count(counted(), NOW + 10 * number)
    assert (min(held(ring)), max(held(ring)), len(held(ring))) == (40, 399, 360)
    assert ring.size == sum(map(len, ring.closed.values()))
    ring.close_until(NOW + 100_000)
    assert (held(ring), ring.size, ring.unpinned) == ({}, 0, set())


def test_a_span_that_two_processes_counted_in_holds_both():
    ring = Ring(TEN)
    ring.count(counted(1), NOW)
    ring.add(int(NOW // 10), pack(counted(2), TEN))
    assert held(ring) == {0: 3}
    ring.count(counted(4), NOW + 10)
    assert held(ring) == {0: 3, 1: 4}
    ring.add(int(NOW // 10), pack(counted(8), TEN))
    assert held(ring) == {0: 11, 1: 4}
    assert ring.size == sum(map(len, ring.closed.values()))


def test_what_others_cannot_know_yet_is_the_open_span_and_what_changed_since():
    ring = Ring(TEN)
    ring.count(counted(1), NOW)
    ring.count(counted(2), NOW + 10)
    assert set(ring.spans()) == {int(NOW // 10), int(NOW // 10) + 1}
    ring.unpinned.clear()
    assert set(ring.spans()) == {int(NOW // 10) + 1}
    ring.add(int(NOW // 10), pack(counted(1), TEN))
    assert set(ring.spans()) == {int(NOW // 10), int(NOW // 10) + 1}


def test_an_open_span_includes_what_was_added_to_it_and_told_before():
    ring = Ring(TEN)
    ring.count(counted(1), NOW)
    ring.add(int(NOW // 10), pack(counted(2), TEN))
    ring.unpinned.clear()
    (packed,) = ring.spans().values()
    assert unpacked(packed).all().n == 3


def test_timings_by_arm_are_kept_in_short_spans_only():
    arms = {grain.word: unpacked(pack(counted(arm="candidate"), grain))["r"].by_arm for grain in GRAINS}
    assert {word: bool(by_arm) for word, by_arm in arms.items()} == {"10s": True, "5m": True, "1h": False}


DAMAGED = {
    "nothing": b"",
    "not packed": b"{}",
    "not JSON": zlib.compress(b"\xff"),
    "another form": zlib.compress(json.dumps({"r": [1]}).encode()),
    "no numbers": zlib.compress(json.dumps({"r": None}).encode()),
}


@pytest.mark.parametrize("packed", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_span_holds_nothing(packed):
    assert unpacked(packed) == {}
    ring = Ring(TEN)
    ring.add(5, packed)
    ring.add(5, pack(counted(2), TEN))
    assert unpacked(ring.closed[5]).all().n == 2


def test_where_there_is_no_room_the_oldest_spans_go_first(monkeypatch):
    history = History()
    for number in range(50):
        history.count(counted(rule=f"rule-{number}"), NOW + 300 * number)
    history.close_until(NOW + 300 * 50)
    monkeypatch.setattr(module, "MOST_BYTES", history.size // 2)
    before = {word: set(ring.closed) for word, ring in history.rings.items()}
    history.trim()
    assert 0 < history.size <= module.MOST_BYTES
    for word, ring in history.rings.items():
        gone = before[word] - set(ring.closed)
        assert not gone or not ring.closed or max(gone) < min(ring.closed)


def test_spans_of_another_process_are_added_and_bounded(monkeypatch):
    history = History()
    history.add("1h", {number: pack(counted(), HOUR) for number in range(100)})
    assert len(history.rings["1h"].closed) == 100
    monkeypatch.setattr(module, "MOST_BYTES", history.size // 4)
    history.add("1h", {100: pack(counted(), HOUR)})
    assert max(history.rings["1h"].closed) == 100
    assert len(history.rings["1h"].closed) < 30


WINDOWS = {
    "ten seconds": (10.0, False, "10s", 1),
    "an hour": (3600.0, False, "10s", 360),
    "an hour and the one before": (3600.0, True, "5m", 12),
    "ten minutes and those before": (600.0, True, "10s", 60),
    "a day": (86400.0, True, "5m", 288),
    "a week": (7 * 86400.0, False, "5m", 2016),
    "a week and the one before": (7 * 86400.0, True, "1h", 168),
    "90 days": (90 * 86400.0, False, "1h", 2160),
    "not a whole number of spans": (95.0, False, "10s", 10),
}


@pytest.mark.parametrize(("seconds", "twice", "word", "count"), WINDOWS.values(), ids=WINDOWS)
def test_a_window_is_of_the_finest_grain_that_reaches_back_so_far(seconds, twice, word, count):
    found = window(seconds, NOW, twice=twice)
    assert (found.grain.word, found.last - found.first + 1, found.last) == (
        word,
        count,
        int(NOW // found.grain.width_s),
    )
    assert found.since == found.first * found.grain.width_s


@pytest.mark.parametrize(
    ("seconds", "twice"), [(0.0, False), (9.0, False), (91 * 86400.0, False), (46 * 86400.0, True)]
)
def test_a_window_that_nothing_is_kept_of(seconds, twice):
    with pytest.raises(ValueError, match="from 10 s to 90 days"):
        window(seconds, NOW, twice=twice)


def test_the_window_before_is_as_long_and_ends_where_this_one_begins():
    found = window(600.0, NOW, twice=True)
    assert found.before == Window(600.0, TEN, found.first - 60, found.first - 1)


def test_a_window_holds_what_was_counted_in_it_by_any_process():
    one, other = Ring(TEN), Ring(TEN)
    for number in range(10):
        one.count(counted(1), NOW + 10 * number)
        other.count(counted(10), NOW + 10 * number)
    found = window(30.0, NOW + 95)
    assert found.of([one.all(), other.all()]).all().n == 33
    assert found.before.of([one.all()]).all().n == 3


def busy(grain: Grain, per_second: float, rng: Random) -> bytes:
    """Return a span of 50 rules, some of them asked for much more often than others, of hits and of misses."""
    operations = Operations()
    for rule in range(50):
        share = per_second * grain.width_s / (rule + 1) / 4.5
        for _ in range(min(2000, int(share) + (rng.random() < share % 1))):
            ours = rng.lognormvariate(-6.9, 0.3)
            is_hit = rng.random() < 0.6
            line = LogLine(
                "", "GET", "/", 0.0, rule=f"rule-{rule}", outcome=Outcome.HIT if is_hit else Outcome.MISS,
                bytes_out=rng.randrange(2000), cost=40.0 if is_hit else None,
            )  # fmt: skip
            line.duration_s = ours
            if not is_hit:
                line.duration_s += (took := rng.lognormvariate(1.0 + rule / 20, 0.2))
                line.call = Call(sent=1, began=0.0, ended=took)
            operations.count(line)
    return pack(operations, grain)


LOADS = {"a request a second": (1.0, 90), "twenty a second": (20.0, 60)}


@pytest.mark.parametrize(("per_second", "days"), LOADS.values(), ids=LOADS)
def test_fifty_rules_fit_in_sixteen_mebibytes(per_second, days):
    """Of all that is kept; where they do not, the oldest hours go first."""
    rng, history = Random(1), History()
    tracemalloc.start()
    try:
        for grain in GRAINS:
            packed = [busy(grain, per_second, rng) for _ in range(3)]
            last = int(NOW // grain.width_s)
            kept = range(last - grain.keeps + 1, last + 1)
            history.add(grain.word, {number: bytes(bytearray(packed[number % 3])) for number in kept})
        del packed
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 16 * 2**20
    assert len(history.rings["1h"].closed) >= days * 24
    assert {word: len(history.rings[word].closed) for word in ("10s", "5m")} == {"10s": 360, "5m": 2016}
