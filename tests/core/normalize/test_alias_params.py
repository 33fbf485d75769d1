"""`alias_params`: other names of a parameter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.normalize.alias_params import AliasParams
from proxy.core.types import Query

ONE = AliasParams({"q": ("query", "search"), "größe": ("size",), "page": ()})

ALIASES = {
    "another name becomes the first": (b"query=a", ((b"q", b"a"),)),
    "so does each": (b"search=a", ((b"q", b"a"),)),
    "the first stays": (b"q=a", ((b"q", b"a"),)),
    "in its place": (b"x=1&size=2&search=a&y", ((b"x", b"1"), ("größe".encode(), b"2"), (b"q", b"a"), (b"y", None))),
    "one that comes twice, twice": (b"query=a&query=b", ((b"q", b"a"), (b"q", b"b"))),
    "with or without a value": (b"query", ((b"q", None),)),
    "two of its names: both stay": (b"query=a&search=a", ((b"query", b"a"), (b"search", b"a"))),
    "even if one is the first": (b"query=a&q=b", ((b"query", b"a"), (b"q", b"b"))),
    "another parameter does not mind": (b"query=a&q=b&size=1", ((b"query", b"a"), (b"q", b"b"), ("größe".encode(), b"1"))),
    "names have case": (b"Query=a", ((b"Query", b"a"),)),
    "none of them": (b"x=query", ((b"x", b"query"),)),
    "no query": (None, ()),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "pairs"), ALIASES.values(), ids=ALIASES)
def test_alias_params(raw, pairs):
    assert ONE.normalize(Query("GET", b"h", b"/", raw)).params == pairs


FORMS = {
    "a name in the form": ((), ((b"query", b"a"),), ((), ((b"q", b"a"),))),
    "one name in both": (((b"query", b"a"),), ((b"query", b"b"),), (((b"q", b"a"),), ((b"q", b"b"),))),
    "one name here, another there": (((b"q", b"a"),), ((b"query", b"b"),), (((b"q", b"a"),), ((b"query", b"b"),))),
}


@pytest.mark.parametrize(("params", "form", "expected"), FORMS.values(), ids=FORMS)
def test_the_form_counts(params, form, expected):
    done = ONE.normalize(Query("POST", b"h", b"/", params=params, form=form))
    assert (done.params, done.form) == expected


def test_a_form_that_nobody_has_read_may_hold_another_name():
    query = Query("POST", b"h", b"/", b"query=a", media_type=b"multipart/form-data; boundary=b", body=b"--b")
    assert ONE.normalize(query).params == ((b"query", b"a"),)


REFUSED = {
    "a wildcard": ({"q": ("q*",)}, "'q\\*': a name without `\\*`"),
    "a wildcard for the first": ({"*": ("q",)}, "'\\*': a name without `\\*`"),
    "one name of two": ({"q": ("search",), "s": ("search",)}, "'search' is a name of two parameters"),
    "a first name that is another's": ({"q": ("s",), "s": ("search",)}, "'s' is a name of two parameters"),
}


@pytest.mark.parametrize(("names", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_names(names, message):
    with pytest.raises(ValueError, match=message):
        AliasParams(names)


FIRST = {"query": "q", "search": "q", "size": "größe"}
REQUESTS = st.lists(st.tuples(st.sampled_from(["q", "query", "search", "size", "größe", "x"]), st.sampled_from("ab")), max_size=4)  # fmt: skip


def meaning(asked):
    """Say what a request means in another way than the normalizer does: alone, a name is its first."""
    names = {name for name, _ in asked}
    alone = {
        name for name in names if not any(name != one and FIRST.get(one, one) == FIRST.get(name, name) for one in names)
    }
    return [(FIRST.get(name, name) if name in alone else name, value) for name, value in asked]


@given(REQUESTS, REQUESTS)
def test_two_requests_are_one_if_they_differ_in_names_only(one, other):
    def pairs(asked):
        params = tuple((name.encode(), value.encode()) for name, value in asked)
        return ONE.normalize(Query("GET", b"h", b"/", params=params)).params

    assert (pairs(one) == pairs(other)) is (meaning(one) == meaning(other))
