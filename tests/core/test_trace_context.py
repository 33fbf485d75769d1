"""W3C Trace Context: what is read from a traceparent, what is written, and what is recorded."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.trace_context import Begun, SpanContext, is_taken, parent_of, with_parent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HERE = SpanContext(TRACE, SPAN, 1)


def fields(*values: str):
    return tuple([(b"traceparent", value.encode()) for value in values])


PARENTS = {
    "§3.2: a valid one": ((f"00-{TRACE}-{SPAN}-01",), HERE),
    "§3.2.2.5: not sampled": ((f"00-{TRACE}-{SPAN}-00",), SpanContext(TRACE, SPAN, 0)),
    "Level 2 §2.2.2.3: the id is random": ((f"00-{TRACE}-{SPAN}-03",), SpanContext(TRACE, SPAN, 3)),
    "§3.2.2.5: unknown flags are not passed on": ((f"00-{TRACE}-{SPAN}-fd",), HERE),
    "§4: a later version, by what is known of it": ((f"cc-{TRACE}-{SPAN}-01-more",), HERE),
    "§4: version 00 has no more fields": ((f"00-{TRACE}-{SPAN}-01-more",), None),
    "§3.2.2.1: version ff is invalid": ((f"ff-{TRACE}-{SPAN}-01",), None),
    "§3.2.2.3: all zeros is no trace": ((f"00-{'0' * 32}-{SPAN}-01",), None),
    "§3.2.2.4: all zeros is no parent": ((f"00-{TRACE}-{'0' * 16}-01",), None),
    "§3.2.2: lower case only": ((f"00-{TRACE.upper()}-{SPAN}-01",), None),
    "§3.2: one field only": ((f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"), None),
    "nonsense": (("hello",), None),
    "nothing": ((), None),
}


@pytest.mark.parametrize(("values", "parent"), PARENTS.values(), ids=PARENTS)
def test_the_parent_that_fields_name(values, parent):
    assert parent_of(fields(*values)) == parent


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 3))
def test_what_is_written_is_read_again(trace, span, flags):
    one = SpanContext(f"{trace:032x}", f"{span:016x}", flags)
    assert parent_of(((b"traceparent", one.traceparent),)) == one


@given(st.binary(max_size=80))
def test_whatever_a_client_sends_is_a_parent_or_none(value):
    found = parent_of(((b"traceparent", value),))
    assert found is None or (len(found.trace_id), len(found.span_id)) == (32, 16)


SENT = ((b"traceparent", b"x"), (b"a", b"1"), (b"tracestate", b"k=v"), (b"tracestate", b"l=w"))


@pytest.mark.parametrize(("keeps_state", "kept"), [(True, SENT[1:]), (False, SENT[1:2])])
def test_the_state_goes_on_with_its_own_trace_only(keeps_state, kept):
    parent = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
    assert with_parent(SENT, HERE, keeps_state=keeps_state) == (*kept, parent)


LOW, HIGH = "0" * 31 + "1", "0" * 18 + "f" * 14
TAKEN = {
    "a sampled parent: a hit is recorded": (HERE, LOW, False, 0.0, True),
    "a parent that is not: what went up is not either": (replace(HERE, flags=0), LOW, True, 1.0, False),
    "no parent: what went up always is": (None, HIGH, True, 0.0, True),
    "no parent: a hit by its id": (None, LOW, False, 0.01, True),
    "no parent: another hit is not": (None, HIGH, False, 0.99, False),
    "all hits": (None, HIGH, False, 1.0, True),
    "no hits": (None, LOW, False, 0.0, False),
}


@pytest.mark.parametrize(("parent", "trace_id", "went_up", "share", "taken"), TAKEN.values(), ids=TAKEN)
def test_what_is_recorded(parent, trace_id, went_up, share, taken):
    begun = Begun(SpanContext(trace_id, SPAN), parent)
    assert is_taken(begun, went_up=went_up, share=share) is taken


def test_a_share_of_many_ids_is_that_share():
    ids = [f"{number * 2**128 // 1000 + number * 2**56 // 1000:032x}" for number in range(1, 1000)]
    taken = [one for one in ids if is_taken(Begun(SpanContext(one, SPAN)), went_up=False, share=0.25)]
    assert len(taken) == pytest.approx(250, abs=2)
