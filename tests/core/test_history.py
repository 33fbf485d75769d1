"""What was counted when: spans of three widths, packed, bounded, in windows."""

import json
import tracemalloc
import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import history as module
from proxy.core.history import GRAINS, Grain, History, Window, pack, pack_all, unpacked, window
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


def spans(history: History, word: str) -> dict[int, int]:
    """Return how many requests each span of a grain holds that has been told, by its place after NOW."""
    (grain,) = (grain for grain in GRAINS if grain.word == word)
    found = {number: unpacked(span).all().n for number, span in history.all()[word].items()}
    if word == TEN.word:
        number, counted = history.open()
        found |= {number: counted.all().n} if counted else {}
    return {number - int(NOW // grain.width_s): n for number, n in found.items()}


def packed(history: History) -> History:
    """Pack all that is over, as somebody with the time for it does."""
    unpacked = history.unpacked()
    history.keep(unpacked, pack_all(unpacked))
    return history


def test_what_the_issue_asks_for_is_kept():
    kept = {grain.word: grain.width_s * grain.keeps for grain in GRAINS}
    assert kept == {"10s": 3600, "5m": 7 * 86400, "1h": 90 * 86400}


@given(st.lists(st.tuples(st.floats(-90_000, 4000), st.integers(1, 3), st.booleans()), max_size=30))
def test_whatever_the_clock_does_no_request_is_lost_or_counted_twice(steps):
    history, now, n = History(), NOW, 0
    for pause, count, is_packed in steps:
        now += pause
        history.count(counted(count), now)
        n += count
        if is_packed:
            packed(history)
    assert sum(spans(history, "1h").values()) + history.open()[1].all().n == n


def test_spans_are_dropped_when_their_time_is_over():
    history = History()
    for number in range(400):
        history.count(counted(), NOW + 10 * number)
    ring = packed(history).rings["10s"]
    told = spans(history, "10s")
    assert (min(told), max(told), len(told)) == (39, 399, 361), "what is over, and what is open"
    assert ring.size == sum(map(len, ring.packed.values()))
    history.close_until(NOW + 100_000)
    assert (spans(history, "10s"), ring.size, ring.unpinned) == ({}, 0, set())


def test_longer_spans_hold_what_shorter_ones_did_once_these_are_over():
    history = History()
    for pause in (0, 5, 10, 400):
        history.count(counted(), NOW + pause)
    assert spans(history, "10s") == {0: 2, 1: 1, 40: 1}
    assert (spans(history, "5m"), spans(history, "1h")) == ({0: 3}, {0: 3})
    history.close_until(NOW + 410)
    assert (spans(history, "5m"), spans(history, "1h")) == ({0: 3, 1: 1}, {0: 4})


def test_what_a_clock_that_was_ahead_counted_stayed_in_the_future():
    """All of it is from before now, and what follows is counted when it comes."""
    history = History()
    for pause in (86_400, 86_410, 90_000):
        history.count(counted(), NOW + pause)
    packed(history)
    for pause in (0, 10, 20):
        history.count(counted(), NOW + pause)
    assert spans(history, "10s") == {-1: 3, 0: 1, 1: 1, 2: 1}
    assert spans(history, "1h") == {-1: 3, 0: 2}


def test_a_clock_that_goes_back_a_little_makes_a_span_longer():
    history = History()
    for pause in (12, 8, 19):
        history.count(counted(), NOW + pause)
    assert spans(history, "10s") == {1: 3}


def test_what_others_cannot_know_yet_is_what_is_over_since_and_the_longer_spans_that_are_open():
    history = History()
    for number in range(3):
        history.count(counted(), NOW + 10 * number)
    first = int(NOW // 10)
    assert {word: set(told) for word, told in history.news().items()} == {
        "10s": {first, first + 1}, "5m": {int(NOW // 300)}, "1h": {int(NOW // 3600)},
    }  # fmt: skip
    history.rings["10s"].unpinned.clear()
    assert set(history.news()["10s"]) == set()
    assert set(history.all()["10s"]) == {first, first + 1}


def test_what_is_over_is_packed_once_and_what_is_open_when_something_was_added():
    history = History()
    history.count(counted(), NOW)
    history.count(counted(), NOW + 10)
    assert {word: len(one) for word, one in history.unpacked().items()} == {"10s": 1, "5m": 1, "1h": 1}
    assert packed(history).unpacked() == {}
    assert all(isinstance(span, bytes) for told in history.news().values() for span in told.values())
    history.count(counted(), NOW + 20)
    assert {word: len(one) for word, one in history.unpacked().items()} == {"10s": 1, "5m": 1, "1h": 1}


def test_what_was_added_while_it_was_packed_is_kept():
    history = History()
    history.count(counted(), NOW)
    history.count(counted(), NOW + 10)
    before = history.unpacked()
    history.count(counted(), NOW + 20)
    history.keep(before, pack_all(before))
    assert spans(history, "5m") == {0: 2}
    assert spans(packed(history), "5m") == {0: 2}


def test_timings_by_arm_are_kept_in_short_spans_only():
    arms = {grain.word: unpacked(pack(counted(arm="candidate"), grain))["r"].by_arm for grain in GRAINS}
    assert {word: bool(by_arm) for word, by_arm in arms.items()} == {"10s": True, "5m": False, "1h": False}


@given(st.lists(st.floats(1e-6, 1e5), min_size=1, max_size=20))
def test_packed_seconds_and_bytes_are_right_to_four_digits_and_counts_exactly(seconds):
    exact = Operations()
    for one in seconds:
        exact.merge(counted(seconds=one, bytes_out=int(one * 1e6)))
        exact.count_call(Call(ended=one, rule="r"), 0.0)
    told = unpacked(pack(exact, HOUR)).all()
    assert told.n == len(seconds)
    assert told.all().total == pytest.approx(exact.all().all().total, rel=1e-3)
    assert told.all().most == pytest.approx(max(seconds), rel=1e-3)
    assert told.bytes_out == pytest.approx(exact.all().bytes_out, rel=1e-3)
    assert (told.upstream_calls, told.upstream_s) == (len(seconds), pytest.approx(sum(seconds), rel=1e-3))


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


def test_where_there_is_no_room_the_oldest_spans_go_first_and_it_is_told_since_when_all_are_kept(monkeypatch):
    history = History()
    for number in range(51):
        history.count(counted(rule=f"rule-{number}"), NOW + 30 * number)
    packed(history)
    monkeypatch.setattr(module, "MOST_BYTES", history.size // 2)
    before = {word: set(ring.packed) for word, ring in history.rings.items()}
    history.count(counted(), NOW + 30 * 51)
    packed(history)
    assert 0 < history.size <= module.MOST_BYTES
    for word, ring in history.rings.items():
        gone = before[word] - set(ring.packed)
        assert not gone or max(gone) < min(ring.packed, default=NOW)
        assert ring.kept_from == (max(gone) + 1 if gone else 0)
    assert history.rings["10s"].kept_from > 0
    monkeypatch.setattr(module, "MOST_BYTES", -1)
    assert packed(history).size == 0


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
    assert (found.grain.word, found.last - found.first, found.last) == (
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


def test_of_a_window_as_long_as_was_asked_for_is_over_and_the_window_before_is_as_long():
    found = window(600.0, NOW, twice=True)
    assert found.closed == Window(600.0, TEN, found.last - 60, found.last - 1)
    assert found.before == Window(600.0, TEN, found.first - 60, found.first - 1)


def test_a_window_holds_what_was_counted_in_it_by_any_process():
    one = [(int(NOW // 10) + number, pack(counted(1), TEN)) for number in range(10)]
    other = [(number, counted(10)) for number, _ in one]
    found = window(30.0, NOW + 95)
    assert found.of([*one, *other]).all().n == 44
    assert found.closed.of([*one, *other]).all().n == 33
    assert found.before.of(one).all().n == 3


def test_a_window_of_long_spans_tells_no_arms_of_its_last_seconds():
    spans = [(int(NOW // 300), counted(arm="candidate"))]
    assert window(3600.0, NOW, twice=True).of(spans)["r"].by_arm == {}
    spans = [(int(NOW // 10), counted(arm="candidate"))]
    assert set(window(60.0, NOW, twice=True).of(spans)["r"].by_arm) == {"candidate"}


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
                line.call = Call(sent=1, began=0.0, ended=took, rule=line.rule)
                operations.count_call(line.call, 0.0)
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
            ring, now = history.rings[grain.word], Operations()
            for number in range(last - grain.keeps + 1, last + 1):
                ring.over[number] = now
                ring.keep(number, now, bytes(bytearray(packed[number % 3])))
        del packed
        history.keep({}, {})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 16 * 2**20
    assert len(history.rings["1h"].packed) >= days * 24
    assert {word: len(history.rings[word].packed) for word in ("10s", "5m")} == {"10s": 360, "5m": 2016}
