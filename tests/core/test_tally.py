"""What one process tells the others of what it has counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.detail import Details
from proxy.core.history import unpacked
from proxy.core.log_line import LogLine
from proxy.core.operation import Operations
from proxy.core.tally import Held, Tally, counting, ring_of, ring_written, spans_of, tally_of
from proxy.core.types import Outcome


def line(**known) -> LogLine:
    return LogLine("", "GET", "/a", 0.0, **{"rule": "r", "outcome": Outcome.HIT, "duration_s": 0.5, **known})


def tally(name: str = "here", **known) -> Tally:
    return Tally(name, 20.0, 10.0, **known)


def full() -> Tally:
    operations, far, details = Operations(), Operations(), Details()
    operations.count(line(cost=3.0))
    far.count(line(rule="s"))
    details.count(line(cost=3.0, age_s=4, ttl_s=5, key_hash="k", parts=3))
    spans = {"10s": {7: b"seven", 8: b""}, "1h": {1: bytes(range(256))}}
    held = (Held("memory", 1, 2, 3), Held("disk", 4, 5, 6, shared=True, is_well=False))
    return tally(
        operations=operations, far=far, details=details, spans=spans, took=("a",), left=True, held=held,
        evictions={"disk": 9}, waiting={"client": 2}, in_flight=3, reload_failed=True, reloaded_at=5.0, open=8, kept_from={"1h": 7}, edition=3,
    )  # fmt: skip


@pytest.mark.parametrize("told", [tally(), full()], ids=["nothing counted", "all there is"])
def test_what_is_written_is_read(told):
    assert tally_of(told.written()) == told


def test_what_is_open_is_packed_when_it_is_written():
    operations = full().operations
    told = tally_of(tally(spans={"10s": {7: operations}}).written())
    assert unpacked(told.spans["10s"][7])["r"].n == 1


@given(st.dictionaries(st.integers(0, 10**9), st.binary()))
def test_a_ring_is_read_as_it_was_written(spans):
    assert ring_of(ring_written(spans)) == spans


FOREIGN = [b"", b"{}", b"5\n{}", b"x\ny", b"10\n" + b'{"v":9999}', full().written()[:-300], b"\xff\n\xff"]
FOREIGN += [
    full().written().replace(*pair)
    for pair in (
        (b'["memory",1,2', b'["memory",{},2'[:13]),
        (b'"client":2', b'"client":x'),
        (b'"disk":9', b'"disk":{'),
    )
]


@pytest.mark.parametrize("note", FOREIGN)
def test_a_note_that_nobody_of_this_release_wrote_tells_nothing(note):
    assert tally_of(note) is None
    assert ring_of(note) == {}


@given(st.binary())
def test_no_note_does_harm(note):
    assert tally_of(note) is None
    ring_of(note)


def test_what_another_took_does_not_count():
    told = {"a": tally(), "b": tally(took=("a", "gone before")), "c": tally()}
    assert set(counting(told)) == {"b", "c"}


def test_of_a_span_that_both_tell_the_tally_is_newer():
    told = tally(spans={"10s": {2: b"new", 3: b"open"}})
    assert spans_of(told, {"10s": {1: b"one", 2: b"old"}}, "10s") == [(1, b"one"), (2, b"new"), (3, b"open")]
    assert spans_of(told, {}, "1h") == []


def test_the_longer_spans_that_are_open_hold_what_the_shortest_does():
    told = tally(spans={"10s": {365: b"open"}, "1h": {1: b"so far"}}, open=365)
    assert spans_of(told, {}, "1h") == [(1, b"so far"), (1, b"open")]
    assert spans_of(told, {"5m": {11: b"over"}}, "5m") == [(11, b"over"), (12, b"open")]
