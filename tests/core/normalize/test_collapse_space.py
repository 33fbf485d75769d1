"""`collapse_space`: white space in values."""

import pytest

from proxy.core.normalize.collapse_space import CollapseSpace
from proxy.core.types import Query

COLLAPSED = {
    "a run is one space": (b"a  b   c", b"a b c"),
    "the ends are trimmed": (b" a ", b"a"),
    "nothing but white space is nothing": (b"  ", b""),
    "tabs and line ends are white space": (b"a\t\r\nb", b"a b"),
    "so is what Unicode calls so": ("a\u00a0\u3000b".encode(), b"a b"),
    "a zero-width space is not": ("a\u200b b".encode(), "a\u200b b".encode()),
    "case stays": (b"A  b", b"A b"),
    "a value that is not UTF-8 stays": (b"a  b\xff", b"a  b\xff"),
    "no value stays none": (None, None),
}


@pytest.mark.parametrize(("value", "collapsed"), COLLAPSED.values(), ids=COLLAPSED)
def test_collapse_space(value, collapsed):
    query = Query("GET", b"h", b"/", params=((b"q", value),), form=((b"q", value),))
    done = CollapseSpace().normalize(query)
    assert (done.params, done.form) == (((b"q", collapsed),), ((b"q", collapsed),))


def test_plus_and_percent_20_are_spaces():
    assert CollapseSpace(("q",)).normalize(Query("GET", b"h", b"/", b"q=a+%20b")).params == ((b"q", b"a b"),)


def test_only_the_named_values():
    query = Query("GET", b"h", b"/", b"q=a++b&r=a++b")
    assert CollapseSpace(("q",)).normalize(query).params == ((b"q", b"a b"), (b"r", b"a  b"))
