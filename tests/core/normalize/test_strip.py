"""`strip`: white space at the ends of values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.normalize.strip import Strip
from proxy.core.types import Query

STRIPPED = {
    "the ends are trimmed": (b"  a ", b"a"),
    "inside all stays": (b" a  b\n\nc ", b"a  b\n\nc"),
    "nothing but white space is nothing": (b"  ", b""),
    "tabs and line ends are white space": (b"\ta\r\n", b"a"),
    "so is what Unicode calls so": ("\u00a0a\u3000".encode(), b"a"),
    "a zero-width space is not": ("\u200ba".encode(), "\u200ba".encode()),
    "a value that is not UTF-8 stays": (b" a\xff ", b" a\xff "),
    "no value stays none": (None, None),
    "an empty one stays": (b"", b""),
}


@pytest.mark.parametrize(("value", "stripped"), STRIPPED.values(), ids=STRIPPED)
def test_strip(value, stripped):
    query = Query("GET", b"h", b"/", params=((b" q ", value),), form=((b"q", value),))
    done = Strip().normalize(query)
    assert (done.params, done.form) == (((b" q ", stripped),), ((b"q", stripped),))


def test_only_the_named_values():
    assert Strip(("q*",)).normalize(Query("GET", b"h", b"/", b"q1=+a&r=+a")).params == ((b"q1", b"a"), (b"r", b" a"))


BLANKS = st.text(" \t\n\u00a0", max_size=3)


def stripped(text):
    return Strip().normalize(Query("GET", b"h", b"/", params=((b"q", text.encode()),))).params


@given(BLANKS, BLANKS, st.text("ab \n"), st.text("ab \n"))
def test_two_values_are_one_if_they_differ_at_their_ends_only(before, behind, one, other):
    assert stripped(before + one + behind) == stripped(one)
    assert (stripped(one) == stripped(other)) is (one.strip() == other.strip())
