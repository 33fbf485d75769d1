"""`round_numbers`: decimal places."""

from decimal import ROUND_HALF_EVEN, Decimal, getcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.normalize.round_numbers import MAX_DIGITS, MAX_LENGTH, RoundNumbers
from proxy.core.types import Query

LONGEST = "9" * (MAX_LENGTH - 2) + ".9"
ROUNDED = {
    "places beyond are rounded": (3, "48.85661", "48.857"),
    "fewer stay": (3, "48.8", "48.8"),
    "half a step goes to the even neighbour": (2, "0.125", "0.12"),
    "or up, if that is even": (2, "0.135", "0.14"),
    "more than half does not": (2, "0.1250000001", "0.13"),
    "as decimals, not as floats": (2, "2.675", "2.68"),
    "no places": (0, "2.5", "2"),
    "zeros behind mean nothing": (1, "1.500", "1.5"),
    "not even all of them": (3, "10.000", "10"),
    "zeros in front mean nothing": (1, "007.5", "7.5"),
    "those in the middle do": (1, "100", "100"),
    "a plus means nothing": (1, "+1.5", "1.5"),
    "a minus does": (1, "-1.25", "-1.2"),
    "zero has no sign": (1, "-0", "0"),
    "nor has what becomes zero": (1, "-0.04", "0"),
    "more digits than a decimal usually has": (3, "123456789012345678901234567890.12345", "123456789012345678901234567890.123"),
    "the longest": (0, LONGEST, "1" + "0" * (MAX_LENGTH - 2)),
    "with the most places": (MAX_DIGITS, "9" * MAX_LENGTH, "9" * MAX_LENGTH),
    "a longer one stays": (0, "9" + LONGEST, "9" + LONGEST),
    "an exponent stays": (1, "1.25e1", "1.25e1"),
    "no digits before the point": (1, ".25", ".25"),
    "no digits behind it": (1, "1.", "1."),
    "two points": (1, "1.2.3", "1.2.3"),
    "two signs": (1, "--1.25", "--1.25"),
    "blanks": (1, " 1.25", " 1.25"),
    "a line's end": (1, "1.25\n", "1.25\n"),
    "a comma": (1, "1,25", "1,25"),
    "an underscore": (1, "1_0.25", "1_0.25"),
    "digits of another script": (1, "١.٢٥", "١.٢٥"),
    "what is no number": (1, "nan", "nan"),
    "nothing": (1, "", ""),
}  # fmt: skip


def rounded(digits, text):
    query = Query("GET", b"h", b"/", params=((b"lat", text.encode()),))
    return RoundNumbers(("lat",), digits).normalize(query).params[0][1].decode()


@pytest.mark.parametrize(("digits", "text", "expected"), ROUNDED.values(), ids=ROUNDED)
def test_round_numbers(digits, text, expected):
    assert rounded(digits, text) == expected
    assert rounded(digits, expected) == expected


def test_only_the_named_values_of_query_and_form():
    query = Query("GET", b"h", b"/", b"lat=1.25&r=1.25&lat", form=((b"lat", b"1.25"), (b"lat", b"1.25\xff")))
    done = RoundNumbers(("l*",), 1).normalize(query)
    assert done.params == ((b"lat", b"1.2"), (b"r", b"1.25"), (b"lat", None))
    assert done.form == ((b"lat", b"1.2"), (b"lat", b"1.25\xff"))


@pytest.mark.parametrize("digits", [-1, MAX_DIGITS + 1])
def test_digits_have_bounds(digits):
    with pytest.raises(ValueError, match="digits: 0 to 30"):
        RoundNumbers(("lat",), digits)


def test_the_context_of_the_thread_does_not_matter():
    before = getcontext().prec
    getcontext().prec = 2
    try:
        assert rounded(3, "123.45678") == "123.457"
    finally:
        getcontext().prec = before


NUMBERS = st.from_regex(r"[+-]?[0-9]{1,4}(\.[0-9]{1,5})?", fullmatch=True)


@given(st.integers(0, 4), NUMBERS, NUMBERS)
def test_two_numbers_are_one_if_they_round_to_the_same(digits, one, other):
    step = Decimal(f"1e-{digits}")
    same = Decimal(one).quantize(step, ROUND_HALF_EVEN) == Decimal(other).quantize(step, ROUND_HALF_EVEN)
    assert (rounded(digits, one) == rounded(digits, other)) is same
