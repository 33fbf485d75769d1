"""`keep_params`: the only parameters that matter."""

import pytest

from proxy.core.normalize.keep_params import KeepParams
from proxy.core.types import Query

KEPT = {
    "a named parameter is kept": (["a"], ((b"a", b"1"),)),
    "each of its pairs is, in their order": (["b"], ((b"b", b"2"), (b"b", b"3"))),
    "* stands for anything": (["utm_*"], ((b"utm_x", None),)),
    "several names": (["utm_*", "a"], ((b"a", b"1"), (b"utm_x", None))),
    "an unknown name keeps nothing": (["c"], ()),
    "no names keep nothing": ([], ()),
}


@pytest.mark.parametrize(("names", "pairs"), KEPT.values(), ids=KEPT)
def test_keep_params(names, pairs):
    query = Query("GET", b"h", b"/", b"a=1&b=2&utm_x&b=3")
    assert KeepParams(tuple(names)).normalize(query).params == pairs


def test_the_form_is_not_touched():
    form = ((b"b", b"1"),)
    assert KeepParams(("a",)).normalize(Query("POST", b"h", b"/", form=form)).form == form
