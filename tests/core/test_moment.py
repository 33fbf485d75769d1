"""Moments: what tells a time, and what only looks a little like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import moment
from proxy.core.json_text import Verbatim

AT = 1767222003.0  # 2025-12-31T23:00:03Z

MOMENTS = {
    "seconds": (Verbatim("1767222003"), AT),
    "seconds with a part": (Verbatim("1767222003.5"), AT + 0.5),
    "milliseconds": (Verbatim("1767222003500"), AT + 0.5),
    "milliseconds as Java writes them": (Verbatim("1.7672220035E12"), AT + 0.5),
    "the first second of the century": (Verbatim("946684800"), 946684800.0),
    "digits": ("1767222003", AT),
    "digits of milliseconds": ("1767222003000", AT),
    "digits with a part": ("1767222003.25", AT + 0.25),
    "ISO 8601": ("2025-12-31T23:00:03Z", AT),
    "in small letters": ("2025-12-31t23:00:03z", AT),
    "with an offset": ("2026-01-01T00:30:03+01:30", AT),
    "with an offset of hours": ("2026-01-01T00:00:03+01", AT),
    "without an offset: UTC": ("2025-12-31T23:00:03", AT),
    "with a blank": ("2025-12-31 23:00:03", AT),
    "without seconds": ("2025-12-31T23:00Z", AT - 3),
    "with a part of a second": ("2025-12-31T23:00:03.500Z", AT + 0.5),
    "with nanoseconds": ("2025-12-31T23:00:03.500000000Z", AT + 0.5),
    "with a comma": ("2025-12-31T23:00:03,5Z", AT + 0.5),
    "basic": ("20251231T230003Z", AT),
    "of another century": ("1969-12-31T23:59:59Z", -1.0),
}
NONE = {
    "a number of the last century": Verbatim("946684799"),
    "a number of the next century": Verbatim("4102444800"),
    "microseconds": Verbatim("1767222003000000"),
    "a number less than nought": Verbatim("-1767222003"),
    "a number too large": Verbatim("1e999999999"),
    "a long number": Verbatim("1767222003." + "0" * 100),
    "few digits": "17672220",
    "digits of the last century": "946684799",
    "digits that are not ASCII": "１７６７２２２００３",
    "an exponent as text": "1.767222003E9",
    "a day": "2025-12-31",
    "a time": "23:00:03",
    "a day that is not there": "2026-02-30T00:00:00Z",
    "an hour that is not there": "2026-02-03T25:00:00Z",
    "a line's end": "2025-12-31T23:00:03Z\n",
    "words": "yesterday",
    "a long text": "2025-12-31T23:00:03Z" * 3,
    "nothing": "",
    "null": None,
    "true": True,
    "an array": [Verbatim("1767222003")],
    "an object": {"time": Verbatim("1767222003")},
}


@pytest.mark.parametrize(("value", "at"), MOMENTS.values(), ids=MOMENTS)
def test_moments(value, at):
    assert moment.of(value) == pytest.approx(at, abs=1e-6)


@pytest.mark.parametrize("value", NONE.values(), ids=NONE)
def test_what_is_no_moment(value):
    assert moment.of(value) is None
    assert not moment.looks_like_one(value)


@pytest.mark.parametrize("name", MOMENTS)
def test_digits_as_text_may_be_a_name(name):
    assert moment.looks_like_one(MOMENTS[name][0]) is not name.startswith("digits")


@given(st.text("0123456789-+:.,TZtz W", max_size=30))
def test_any_text_is_a_moment_or_none(text):
    assert isinstance(moment.of(text), float | None)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00Z"])
def test_the_ends_of_the_calendar_raise_nothing(text):
    assert isinstance(moment.of(text), float | None)
