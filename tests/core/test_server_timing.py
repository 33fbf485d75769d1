"""Server-Timing (W3C): what the client is told of where the time went."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.log_line import Call, LogLine
from proxy.core.server_timing import NAME, server_timing
from proxy.core.structured import items

BEGAN = 1000.0
NOW = BEGAN + 0.25


def line(**known) -> LogLine:
    return LogLine("id", "GET", "/a", BEGAN, **known)


TOLD = {
    "little is known": (line(), b"total;dur=250.000"),
    "milliseconds, and their thousandths": (
        line(normalize_s=0.0012345), b"key;dur=1.234, total;dur=250.000",
    ),
    "no time is a time": (line(lookup_s=0.0), b"lookup;dur=0.000, total;dur=250.000"),
    "a hit": (line(normalize_s=0.001, lookup_s=0.002), b"key;dur=1.000, lookup;dur=2.000, total;dur=250.000"),
    "an upstream that is still answering: until now": (
        line(call=Call(began=BEGAN + 0.05)), b"upstream;dur=200.000, total;dur=250.000",
    ),
    "an upstream that has answered": (
        line(call=Call(began=BEGAN + 0.05, ended=BEGAN + 0.2)), b"upstream;dur=150.000, total;dur=250.000",
    ),
    "a follower waited since it joined": (
        line(call=Call(began=BEGAN - 9), joined=BEGAN + 0.15), b"upstream;dur=100.000, total;dur=250.000",
    ),
    "all, in the order of the road": (
        line(call=Call(began=BEGAN + 0.05), lookup_s=0.002, normalize_s=0.001),
        b"key;dur=1.000, lookup;dur=2.000, upstream;dur=200.000, total;dur=250.000",
    ),
    "nothing of the time after the head": (line(duration_s=99.0, send_s=99.0), b"total;dur=250.000"),
}  # fmt: skip


@pytest.mark.parametrize(("known", "value"), TOLD.values(), ids=TOLD)
def test_what_is_told(known, value):
    assert server_timing(known, NOW) == value


def test_its_name():
    assert NAME == b"server-timing"


laps = st.none() | st.floats(0, 1000)


@given(laps, laps, st.none() | st.floats(BEGAN - 100, BEGAN + 1000), st.floats(0, 1000))
def test_it_reads_as_tokens_with_a_number_each(normalize_s, lookup_s, call_began, takes):
    call = None if call_began is None else Call(began=call_began)
    value = server_timing(line(normalize_s=normalize_s, lookup_s=lookup_s, call=call), BEGAN + takes)
    read = {item.value: item.params["dur"] for item in items(value)}
    assert all(type(lap) is Decimal and lap >= 0 for lap in read.values())
    told = {"key": normalize_s, "lookup": lookup_s, "upstream": call, "total": takes}
    assert list(read) == [name for name, lap in told.items() if lap is not None]
    assert float(read["total"]) == pytest.approx(takes * 1000, abs=0.001)
    assert read.get("upstream", 0) <= read["total"] + Decimal("0.001")
