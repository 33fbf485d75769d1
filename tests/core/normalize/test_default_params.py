"""`default_params`: parameters that say what is taken for granted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.normalize.default_params import DefaultParams
from proxy.core.types import Query

ONE = DefaultParams({"page": "1", "lang": ("en", ""), "größe": "ß"})

DEFAULTS = {
    "a default is dropped": (b"q=a&page=1", ((b"q", b"a"),)),
    "so is each of several": (b"lang=en&page=1", ()),
    "so is another value that means it": (b"lang=", ()),
    "as decoded": (b"p%61ge=%31&gr%C3%B6%C3%9Fe=%C3%9F", ()),
    "another value stays": (b"page=2", ((b"page", b"2"),)),
    "one that is not byte for byte the default stays": (b"page=01&lang=EN", ((b"page", b"01"), (b"lang", b"EN"))),
    "no value is not an empty one": (b"lang", ((b"lang", None),)),
    "another name stays": (b"Page=1", ((b"Page", b"1"),)),
    "a name that comes twice stays": (b"page=1&page=2", ((b"page", b"1"), (b"page", b"2"))),
    "even with one value": (b"page=1&page=1", ((b"page", b"1"), (b"page", b"1"))),
    "others are dropped beside it": (b"page=1&lang=en&page=1", ((b"page", b"1"), (b"page", b"1"))),
    "no query": (None, ()),
}


@pytest.mark.parametrize(("raw", "pairs"), DEFAULTS.values(), ids=DEFAULTS)
def test_default_params(raw, pairs):
    assert ONE.normalize(Query("GET", b"h", b"/", raw)).params == pairs


FORMS = {
    "a default in the form is dropped": ((), ((b"page", b"1"), (b"q", b"a")), ((), ((b"q", b"a"),))),
    "one in both stays": (((b"page", b"1"),), ((b"page", b"2"),), (((b"page", b"1"),), ((b"page", b"2"),))),
    "an empty form stays": (((b"page", b"1"),), (), ((), ())),
}


@pytest.mark.parametrize(("params", "form", "expected"), FORMS.values(), ids=FORMS)
def test_the_form_counts(params, form, expected):
    done = ONE.normalize(Query("POST", b"h", b"/", params=params, form=form))
    assert (done.params, done.form) == expected


def test_a_form_that_nobody_has_read_may_hold_it_too():
    query = Query("POST", b"h", b"/", b"page=1", media_type=b"application/x-www-form-urlencoded", body=b"page=2")
    assert ONE.normalize(query).params == ((b"page", b"1"),)


def test_names_are_exact():
    with pytest.raises(ValueError, match="'utm_\\*': a name without `\\*`"):
        DefaultParams({"page": "1", "utm_*": ""})


REQUESTS = st.dictionaries(st.sampled_from(["page", "lang", "q"]), st.sampled_from(["1", "en", "", "2"]))
TAKEN = {("page", "1"), ("lang", "en"), ("lang", "")}


@given(REQUESTS, REQUESTS)
def test_two_requests_are_one_if_they_differ_in_defaults_only(one, other):
    def pairs(asked):
        params = tuple((name.encode(), value.encode()) for name, value in sorted(asked.items()))
        return ONE.normalize(Query("GET", b"h", b"/", params=params)).params

    assert (pairs(one) == pairs(other)) is (one.items() - TAKEN == other.items() - TAKEN)
