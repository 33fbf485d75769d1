"""query_repeat: which queries repeat a parameter, and the requests for some of its values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.reasons import Reason
from proxy.core.split.query_repeat import QueryRepeat
from proxy.core.split_laws import check_cut
from proxy.core.types import Request
from proxy.errors import Fallback


def get(query):
    return Request("GET", b"/items?" + query, ((b"host", b"h"),))


FOUND = {
    "twice": (b"id=1&id=2", "id", ["1", "2"]),
    "with duplicates, in its order": (b"id=2&id=1&id=2", "id", ["2", "1", "2"]),
    "once": (b"id=1", "id", ["1"]),
    "between others": (b"a=1&id=1&id=2&b", "id", ["1", "2"]),
    "with brackets": (b"id[]=1&id[]=2", "id[]", ["1", "2"]),
    "with escaped brackets": (b"id%5B%5D=1&id[]=2", "id[]", ["1", "2"]),
    "escaped values": (b"id=%C3%A9&id=a+b,c&id=a%3D=", "id", ["é", "a b,c", "a=="]),
    "a name that means something in patterns": (b"i.d=1&i.d=2&ixd=3", "i.d", ["1", "2"]),
}


@pytest.mark.parametrize(("query", "name", "labels"), FOUND.values(), ids=FOUND)
def test_the_values_of_a_repeated_parameter_are_parts(query, name, labels):
    found = check_cut(QueryRepeat(name), get(query), [0], [len(labels) - 1], range(len(labels)))
    assert [part.label for part in found.parts] == labels


@pytest.mark.parametrize("query", [b"", b"a=1", b"ID=1", b"id[]=1"])
def test_no_such_parameter(query):
    assert QueryRepeat("id").plan(get(query)) is None


DOUBTFUL = {
    "in two places": (b"id=1&a=1&id=2", (), Reason.SPLIT_SYNTAX),
    "an empty value": (b"id=1&id=", (), Reason.SPLIT_SYNTAX),
    "no value": (b"id&id=1", (), Reason.SPLIT_SYNTAX),
    "a semicolon, which some split at": (b"id=1&id=2;id=3", (), Reason.SPLIT_SYNTAX),
    "a fragment": (b"id=1&id=2#", (), Reason.SPLIT_SYNTAX),
    "what is not to be split": (b"id=1&id=2&limit=1", ("limit",), Reason.SPLIT_DENIED),
    "too many": (b"id=1&" * 65 + b"a", (), Reason.SPLIT_LIMIT),
    "ten thousand": (b"id=1&" * 10_000, (), Reason.SPLIT_LIMIT),
}


@pytest.mark.parametrize(("query", "denied", "reason"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_services_could_read_in_two_ways_is_not_split(query, denied, reason):
    with pytest.raises(Fallback) as refused:
        QueryRepeat("id", denied).plan(get(query))
    assert refused.value.reason == reason


def test_a_built_request_is_the_clients_but_for_the_other_values():
    request = Request("GET", b"/%7e?a=%61&id=1&id=02&%69d=3&b&", ((b"host", b"h"),))
    splitter = QueryRepeat("id")
    built = splitter.build(request, splitter.plan(request), [1, 2])
    assert built == Request("GET", b"/%7e?a=%61&id=02&%69d=3&b&", request.headers)


def test_the_same_value_in_another_request_with_the_same_rest_is_the_same_part():
    one, other = (QueryRepeat("id").plan(get(query)) for query in (b"a=1&id=1&id=2", b"a=1&id=2&id=7"))
    assert one.frame == other.frame
    assert one.parts[1].identity == other.parts[0].identity


@pytest.mark.parametrize("query", [b"a=2&id=1", b"id=1&a=1", b"a=1&id=1&b", b"a=1&id=1&"])
def test_the_rest_of_the_request_is_the_frame(query):
    assert QueryRepeat("id").plan(get(query)).frame != QueryRepeat("id").plan(get(b"a=1&id=1")).frame


VALUES = st.lists(st.text("ab1%2e+=é,", min_size=1, max_size=4), min_size=1, max_size=6)
PAIRS = st.lists(st.sampled_from(["a=1", "b", "c=1,2", ""]), max_size=2)


@given(PAIRS, VALUES, PAIRS, st.data())
def test_requests_for_any_of_the_values_ask_for_these(before, values, after, drawn):
    request = get("&".join([*before, *[f"id={value}" for value in values], *after]).encode())
    places = drawn.draw(st.sets(st.sampled_from(range(len(values))), min_size=1).map(sorted))
    found = check_cut(QueryRepeat("id"), request, places)
    assert len(found.parts) == len(values)
