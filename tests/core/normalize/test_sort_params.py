"""`sort_params`: the order of parameters."""

import pytest

from proxy.core.normalize.sort_params import SortParams
from proxy.core.types import Query

SORTED = {
    "no query has no pairs": (b"", ()),
    "pairs are sorted by name": (b"b=1&a=2", ((b"a", b"2"), (b"b", b"1"))),
    "values of one name keep their order": (b"a=2&b=0&a=1", ((b"a", b"2"), (b"a", b"1"), (b"b", b"0"))),
    "names are sorted as decoded": (b"b=1&%61=2", ((b"a", b"2"), (b"b", b"1"))),
    "no value is sorted by its name too": (b"b&a=1", ((b"a", b"1"), (b"b", None))),
}


@pytest.mark.parametrize(("raw", "pairs"), SORTED.values(), ids=SORTED)
def test_sort_params(raw, pairs):
    query = SortParams().normalize(Query("GET", b"h", b"/", raw))
    assert (query.params, query.query) == (pairs, raw)


def test_the_form_is_not_touched():
    form = ((b"b", b"1"), (b"a", b"2"))
    assert SortParams().normalize(Query("POST", b"h", b"/", form=form)).form == form
