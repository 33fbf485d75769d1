"""A line in a terminal: columns, colours, and nothing that the terminal obeys."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.log_view import foreign, view
from proxy.core.types import Outcome

MISS = {
    "timestamp": "2026-03-01T10:00:07.102771Z", "level": "info", "event": "request", "version": "0.1.0", "pid": 7,
    "request_id": "1" * 32, "client_ip": "192.0.2.7", "method": "GET", "path": "/a", "status": 200, "rule": "query",
    "outcome": "miss", "key_hash": "abc", "flight": "lead", "bytes_out": 10, "duration_s": 3.649967, "upstream_s": 3.649,
}  # fmt: skip
REST = "rule=query flight=lead upstream_s=3.649 bytes_out=10 request_id=" + "1" * 32
SHOWN = {
    "a miss": (MISS, f"10:00:07.102 miss        200    3.65 s GET /a {REST}"),
    "a hit": (
        MISS | {"outcome": "hit", "duration_s": 0.00049, "saved_s": 3.6, "upstream_s": 0.0},
        f"10:00:07.102 hit         200   0.49 ms GET /a {REST.replace('3.649', '0.0 saved_s=3.6')}",
    ),
    "without an answer": (
        {"timestamp": MISS["timestamp"], "event": "request", "outcome": "error", "duration_s": 1.0, "error": "client_gone"},
        "10:00:07.102 error       -      1.00 s - - error=client_gone",
    ),
    "a call": (
        MISS | {"event": "upstream_call"},
        f"10:00:07.102   call      200    3.65 s GET /a {REST}",
    ),
    "a job": (MISS | {"event": "job"}, f"10:00:07.102 miss        200    3.65 s GET /a {REST}"),
    "another event": (
        {"timestamp": MISS["timestamp"], "level": "info", "event": "ready", "pid": 7, "url": "http://p", "rules": 2},
        "10:00:07.102 ready url=http://p rules=2",
    ),
    "nothing at all": ({}, "- -"),
    "another time": ({"timestamp": "noon", "event": "ready"}, "noon ready"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "shown"), SHOWN.values(), ids=SHOWN)
def test_a_line_is_short_and_in_columns(line, shown):
    assert view(line, colour=False) == shown


@pytest.mark.parametrize(("line", "shown"), SHOWN.values(), ids=SHOWN)
def test_colours_change_nothing_else(line, shown):
    assert re.sub(r"\x1b\[[0-9]+m", "", view(line, colour=True)) == shown


def test_each_outcome_has_a_colour_and_what_is_good_has_not_that_of_errors():
    def colour(outcome):
        return re.search(rf"\x1b\[([0-9]+)m{outcome} *\x1b\[0m", view(MISS | {"outcome": outcome}, colour=True))[1]

    colours = {outcome: colour(outcome) for outcome in Outcome}
    assert colours["hit"] == "32"
    assert [outcome for outcome, of in colours.items() if of == "31"] == ["error"]


@pytest.mark.parametrize(("level", "colour"), [("error", "31"), ("warning", "33"), ("info", None)])
def test_other_events_have_the_colour_of_their_level(level, colour):
    shown = view({"event": "config", "level": level}, colour=True)
    assert (f"\x1b[{colour}mconfig\x1b[0m" in shown) == (colour is not None)


def test_what_took_long_is_bold():
    assert "\x1b[1m  10.00 s\x1b[0m" in view(MISS | {"duration_s": 10.0}, colour=True)
    assert "\x1b[1m" not in view(MISS | {"duration_s": 9.9}, colour=True)


NASTY = st.text(alphabet="\x1b\n\r\x9b[2Jm\u202e\u2028x\ud800 \"'=", max_size=12)


@given(
    st.dictionaries(
        st.sampled_from([*MISS, "reason", "\x1b[2J"]), NASTY | st.lists(NASTY) | st.dictionaries(NASTY, NASTY)
    )
)
def test_a_terminal_obeys_no_line(more):
    for line in (MISS | more, more, more | {"event": "ready"}):
        assert view(line, colour=False).isprintable()
        assert re.sub(r"\x1b\[[0-9]+m", "", view(line, colour=True)).isprintable()


FOREIGN = {
    "another log's": (b'10.0.0.1 - - "GET / HTTP/1.1" 200', '? 10.0.0.1 - - "GET / HTTP/1.1" 200'),
    "a command": (b"\x1b[2J\r\x00\xff", r"? \x1b[2J\r\x00\xff"),
    "Unicode": ("grüße ★".encode(), "? grüße ★"),
    "long": (b"x" * 1001, f"? {'x' * 1000}…"),
    "very long": (b"\xf0\x9f\x98\x80" * 1001, f"? {'😀' * 1000}…"),
    "too long to be held": (None, "? (a line of more than 1 MiB)"),
}


@pytest.mark.parametrize(("raw", "shown"), FOREIGN.values(), ids=FOREIGN)
def test_a_line_that_is_none_of_ours_is_shown_as_it_is_escaped(raw, shown):
    assert foreign(raw) == shown


@given(st.binary(max_size=50))
def test_a_terminal_obeys_no_foreign_line(raw):
    assert foreign(raw).isprintable()
