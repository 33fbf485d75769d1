"""The fields of log lines: their names, their order, their units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import log_fields as module
from proxy.core.log_fields import ORDER, request_fields
from proxy.core.log_line import Call, LogLine
from proxy.core.reasons import Reason
from proxy.core.types import Outcome

BEGAN = 1000.0


def closed(duration: float = 10.0, **known) -> LogLine:
    one = LogLine("id", "GET", "/a", BEGAN, **known)
    one.close(BEGAN + duration)
    return one


FULL = closed(
    client_ip="1.2.3.4", trace_id="t", span_id="s", status=200, rule="r", outcome=Outcome.MISS, reason=Reason.NO_TTL, error="e",
    error_source="proxy", key_hash="k", age_s=5, ttl_s=55, parts=3, parts_hit=1, flight="lead",
    bytes_in=1, bytes_out=2, normalize_s=0.1, lookup_s=0.2, send_s=0.3, first_byte=BEGAN + 9.5, cost=40.0,
    would=Outcome.HIT, would_reason=Reason.NO_STORE, would_save_s=4.0, would_differ=True,
    call=Call("GET", "/a", 200, BEGAN + 1, 0.5, BEGAN + 8, BEGAN + 9, 10, 20, 0.25, None, 1),
)  # fmt: skip

CONTRACT = """
timestamp level event version pid request_id trace_id span_id client_ip method path status rule outcome arm reason would would_reason would_save_s would_differ error error_source key_hash age_s ttl_s
parts parts_hit upstream_calls flight translated
bytes_in bytes_out duration_s ttfb_s queue_s normalize_s lookup_s upstream_connect_s upstream_ttfb_s upstream_s merge_s store_s send_s overhead_s saved_s sample_rate
"""


def test_the_fields_of_the_contract_in_its_order():
    assert " ".join(ORDER) == " ".join(CONTRACT.split())


def test_a_line_of_which_little_is_known():
    assert request_fields(closed()) == {
        "request_id": "id", "client_ip": "", "method": "GET", "path": "/a", "outcome": "passthrough",
        "upstream_calls": 0, "bytes_in": 0, "bytes_out": 0, "duration_s": 10.0, "overhead_s": 10.0,
    }  # fmt: skip


def test_a_line_of_which_all_is_known():
    assert request_fields(FULL) == {
        "request_id": "id", "trace_id": "t", "span_id": "s", "client_ip": "1.2.3.4", "method": "GET", "path": "/a", "status": 200,
        "rule": "r", "outcome": "miss", "reason": "no_ttl", "would": "hit", "would_reason": "no_store",
        "would_save_s": 4.0, "would_differ": True, "error": "e", "error_source": "proxy", "key_hash": "k",
        "age_s": 5, "ttl_s": 55, "parts": 3, "parts_hit": 1, "upstream_calls": 1, "flight": "lead", "bytes_in": 1,
        "bytes_out": 2, "duration_s": 10.0, "ttfb_s": 9.5, "normalize_s": 0.1, "lookup_s": 0.2,
        "upstream_connect_s": 0.5, "upstream_ttfb_s": 7.0, "upstream_s": 8.0, "store_s": 0.25, "send_s": 0.3,
        "overhead_s": 2.0, "saved_s": 30.0,
    }  # fmt: skip


@pytest.mark.parametrize("one", [closed(), FULL], ids=["little known", "all known"])
def test_fields_are_in_writing_order(one):
    names = list(request_fields(one))
    assert names == [name for name in ORDER if name in names]


def test_durations_are_rounded_to_microseconds():
    told = request_fields(closed(1 / 3, lookup_s=2 / 3))
    assert (told["duration_s"], told["overhead_s"], told["lookup_s"]) == (0.333333, 0.333333, 0.666667)


_texts, _seconds = st.none() | st.text(), st.none() | st.floats(0, 1e4)


_any_hit = st.builds(
    lambda **known: closed(**{name: value for name, value in known.items() if value is not None}),
    duration=st.floats(0, 1e4), status=st.none() | st.integers(200, 599), rule=_texts, key_hash=_texts,
    outcome=st.sampled_from([Outcome.HIT, Outcome.HIT, Outcome.MISS]), age_s=st.none() | st.integers(0, 99), ttl_s=st.none() | st.integers(-9, 99),
    normalize_s=_seconds, lookup_s=_seconds, send_s=_seconds, first_byte=st.none() | st.floats(BEGAN, BEGAN + 9), cost=_seconds,
    trace_id=_texts, reason=_texts, arm=_texts, error_source=_texts, shown=st.none() | st.just({"query_q": "x"}), sample_rate=_seconds,
    would_differ=st.none() | st.booleans(), bytes_out=st.integers(0, 9), sent_before=st.integers(0, 1),
    call=st.none() | st.just(Call(sent=1, began=BEGAN, ended=BEGAN + 1)),
)  # fmt: skip


@given(_any_hit)
def test_the_quick_way_for_hits_says_what_the_usual_one_does(one):
    known = zip(module._OWN, module._values(one), strict=True)
    usual = {
        name: module._micro(value) if type(value) is float else value for name, value in known if value is not None
    }
    assert list(request_fields(one).items()) == list((usual | (one.shown or {})).items())


def test_a_plain_hit_goes_the_quick_way(monkeypatch):
    """Else the property above would say nothing."""
    monkeypatch.setattr(module, "_values", None)
    one = closed(
        status=200, rule="r", key_hash="k", outcome=Outcome.HIT, age_s=1, ttl_s=2, normalize_s=0.1, lookup_s=0.2,
        send_s=0.3, first_byte=BEGAN, cost=4.0,
    )  # fmt: skip
    assert request_fields(one)["outcome"] == "hit"


def test_any_field_of_a_line_is_absent_of_a_plain_hit_or_written_of_it():
    """Who adds a field here has to say which."""
    written = {"request_id", "client_ip", "method", "path", "outcome", "upstream_calls", "bytes_in", "bytes_out"}
    written |= {"duration_s", "ttfb_s", "overhead_s", "saved_s"} | set(module._KNOWN_OF_A_HIT)
    of_a_call = {"queue_s", "upstream_connect_s", "upstream_ttfb_s", "upstream_s", "store_s"}
    assert written | of_a_call | set(module._ABSENT_OF_A_HIT) >= set(module._OWN)
