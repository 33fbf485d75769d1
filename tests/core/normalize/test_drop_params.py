"""`drop_params`: parameters that do not matter."""

import pytest

from proxy.core.normalize.drop_params import DropParams
from proxy.core.types import Query

DROPPED = {
    "a named parameter is dropped": (["a"], ((b"b", b"2"), (b"utm_x", None), (b"b", b"3"))),
    "each of its pairs is": (["b"], ((b"a", b"1"), (b"utm_x", None))),
    "* stands for anything": (["utm_*"], ((b"a", b"1"), (b"b", b"2"), (b"b", b"3"))),
    "several names": (["utm_*", "b"], ((b"a", b"1"),)),
    "an unknown name drops nothing": (["c"], ((b"a", b"1"), (b"b", b"2"), (b"utm_x", None), (b"b", b"3"))),
    "no names drop nothing": ([], ((b"a", b"1"), (b"b", b"2"), (b"utm_x", None), (b"b", b"3"))),
    "* alone drops all": (["*"], ()),
}


@pytest.mark.parametrize(("names", "pairs"), DROPPED.values(), ids=DROPPED)
def test_drop_params(names, pairs):
    query = Query("GET", b"h", b"/", b"a=1&b=2&utm_x&b=3")
    assert DropParams(tuple(names)).normalize(query).params == pairs


def test_the_form_is_not_touched():
    form = ((b"a", b"1"),)
    assert DropParams(("a",)).normalize(Query("POST", b"h", b"/", form=form)).form == form
