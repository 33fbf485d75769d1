"""Numbers of JSON: one form for one decimal number, and what is near to what."""

from decimal import Decimal
from fractions import Fraction
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.json_number import MOST_DIGITS, MOST_EXPONENT, bounded, exact, near

FORMS = {
    "a digit": ("7", "7e0"),
    "nothing behind the point": ("7.0", "7e0"),
    "zeros at the end": ("700", "7e2"),
    "an exponent": ("7e2", "7e2"),
    "an exponent with a plus, in capitals": ("7E+02", "7e2"),
    "an exponent below nought": ("700e-2", "7e0"),
    "a part": ("0.070", "7e-2"),
    "less than nought": ("-1.50e3", "-15e2"),
    "nought": ("0", "0e0"),
    "nought, less than nought": ("-0.00e9", "0e0"),
    "nought with an exponent that nobody can hold": ("0e99999999999999999999", "0e0"),
    "2^53 + 1": ("9007199254740993", "9007199254740993e0"),
    "an exponent of ten digits": ("1e999999999", "1e999999999"),
    "its neighbour": ("10e999999998", "1e999999999"),
    "an exponent of nineteen digits": ("1e1000000000000000000", "1e1000000000000000000"),
    "an exponent with zeros in front": ("1e-00000000000000000000000000000000001", "1e-1"),
    "what is no number": ("NaN", "NaN"),
}


@pytest.mark.parametrize(("literal", "form"), FORMS.values(), ids=FORMS)
def test_forms(literal, form):
    assert exact(literal) == form


LITERALS = st.from_regex(r"\A-?(0|[1-9][0-9]{0,6})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?\Z")


@given(LITERALS, LITERALS)
def test_two_literals_have_one_form_exactly_if_they_are_one_number(one, other):
    assert (exact(one) == exact(other)) is (Fraction(one) == Fraction(other))
    assert Fraction(exact(one)) == Fraction(one)
    assert Fraction(bounded(exact(one))) == Fraction(one)


@pytest.mark.parametrize(
    "literal",
    [
        "1e401",
        "1e-401",
        "1e999999999",
        "1e1000000000000000000",
        "1E1000000000000000000",
        f"1{'2' * MOST_DIGITS}",
        f"1e{'9' * 5000}",
    ],
    ids=lambda literal: literal[:30],
)
def test_what_is_too_long_or_too_large_to_calculate_with(literal):
    assert bounded(exact(literal)) is None


def test_the_largest_to_calculate_with():
    assert bounded(exact(f"1e{MOST_EXPONENT}")) == Decimal(10) ** MOST_EXPONENT
    assert bounded(exact("2" * MOST_DIGITS)) == int("2" * MOST_DIGITS)


NEAR = {
    "equal": ("1", "1", "0", "0", True),
    "within the absolute": ("1", "1.01", "0", "0.01", True),
    "just beyond it": ("1", "1.0100000000000000000000000000000000000000000001", "0", "0.01", False),
    "within the relative": ("100", "101", "0.01", "0", True),
    "of the larger one, below nought": ("-101", "-100", "0.01", "0", True),
    "beyond the relative": ("100", "102", "0.01", "0", False),
    "within either": ("0", "0.001", "1e-9", "0.001", True),
    "neither": ("0", "0.002", "1e-9", "0.001", False),
    "other signs": ("-1e-9", "1e-9", "0.5", "0", False),
    "more digits than a double": ("9007199254740992", "9007199254740993", "0", "0.5", False),
    "far apart": ("1e400", "1e-400", "0.999", "1e300", False),
    "more digits than the default context": (f"{'1' * 60}.5", "1" * 60, "0", "0.4", False),
}


@pytest.mark.parametrize(("one", "other", "relative", "absolute", "expected"), NEAR.values(), ids=NEAR)
def test_near(one, other, relative, absolute, expected):
    ours, theirs = Decimal(one), Decimal(other)
    assert near(ours, theirs, Decimal(relative), Decimal(absolute)) is expected
    assert near(theirs, ours, Decimal(relative), Decimal(absolute)) is expected


@pytest.mark.parametrize("literal", ["9" * 1_000_000, f"0.{'0' * 1_000_000}1", f"1e{'9' * 1_000_000}"], ids=len)
def test_long_numbers_cost_little(literal):
    began = process_time()
    bounded(exact(literal))
    assert process_time() - began < 1
