"""The demo's output, with a terminal and without one."""

import io
import re

import pytest
from rich.console import Console

from proxy.demo.screen import Screen, ratio, seconds
from proxy.demo.story import Ask, Step

STEPS = [
    Step("first ask", Ask(5.5, 1, 200, b"a"), Ask(5.502, 1, 200, b"a")),
    Step("same ask, other spelling", Ask(5.5, 1, 200, b"a"), Ask(0.00055, 0, 200, b"a")),
]


def screen(**console):
    out = io.StringIO()
    return Screen(4.0, 6.9, Console(file=out, width=80, **console)), out


def test_without_a_terminal_there_are_plain_lines_without_control_codes():
    shown, out = screen()
    with shown.watch("first ask, directly") as took:
        assert out.getvalue() == "first ask, directly: ", "one sees what is waited for"
        took(5.5)
    shown.table(STEPS)
    assert out.getvalue().startswith("first ask, directly: 5.50 s\n")
    assert "\x1b" not in out.getvalue()
    assert "\r" not in out.getvalue()


def test_the_table_holds_seconds_ratio_and_calls_of_every_step_and_of_all():
    shown, out = screen()
    shown.table(STEPS)
    lines = [" ".join(line.replace("│", " ").split()) for line in out.getvalue().splitlines()]
    assert "first ask 5.50 s 5.50 s 1.00 x 1 / 1" in lines
    assert "same ask, other spelling 5.50 s 0.55 ms 10,000 x 1 / 0" in lines
    assert "all 11.0 s 5.50 s 2.00 x 2 / 1" in lines


def test_the_table_can_be_written_in_ascii():
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, "ascii")
    Screen(4.0, 6.9, Console(file=out, width=80)).table(STEPS)
    out.flush()
    assert b"same ask, other spelling" in raw.getvalue()


def test_a_terminal_sees_the_elapsed_time_against_the_expected():
    shown, out = screen(force_terminal=True)
    assert shown.live
    name = "same ask, other spelling, through the proxy"
    with shown.watch(name) as took:
        took(5.5)
    text = out.getvalue()
    assert "0.0 of 4 to 6.9 s" in text
    assert max(len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)) for line in re.split("[\r\n]", text)) < 80, "one line"
    assert f"{name}: 5.50 s\n" in text


def test_a_line_to_copy_is_never_wrapped_or_read_as_markup():
    shown, out = screen()
    line = "curl [bold] " + "x" * 200
    shown.say(line)
    assert out.getvalue() == line + "\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 ms"),
        (0.0004321, "0.432 ms"),
        (0.0016, "1.6 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (68.94, "68.9 s"),
    ],
)
def test_seconds(value, text):
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("direct", "proxied", "text"),
    [(5.0, 5.0, "1.00 x"), (5.0, 0.5, "10 x"), (69.0, 0.001, "69,000 x"), (0.0, 0.0, "0.00 x")],
)
def test_ratio(direct, proxied, text):
    assert ratio(direct, proxied) == text
