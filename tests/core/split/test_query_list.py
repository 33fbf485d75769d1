"""query_list: which queries hold a list, what its members are, and the requests for some of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.composite import Limits
from proxy.core.part_request import MAX_OTHER_PAIRS
from proxy.core.reasons import Reason
from proxy.core.split.query_list import QueryList
from proxy.core.split_laws import check_cut
from proxy.core.types import Request
from proxy.errors import Fallback


def get(query, path=b"/items"):
    return Request("GET", path + b"?" + query, ((b"host", b"h"),))


def cut_of(query, *groups, **options):
    return check_cut(QueryList(**{"name": "ids", **options}), get(query), *groups)


FOUND = {
    "a list": (b"ids=1,2,3", {}, ["1", "2", "3"]),
    "with duplicates, in its order": (b"ids=3,1,3", {}, ["3", "1", "3"]),
    "one member": (b"ids=1", {}, ["1"]),
    "between others": (b"a=1&ids=1,2&b=3,4", {}, ["1", "2"]),
    "an escaped name": (b"%69ds=1,2", {}, ["1", "2"]),
    "escaped members": (b"ids=a%2Bb,c+d,%C3%A9", {}, ["a+b", "c d", "é"]),
    "an escaped separator": (b"ids=1%2C2%2C3", {}, ["1", "2", "3"]),
    "escaped in lower case": (b"ids=1%2c2", {}, ["1", "2"]),
    "another separator": (b"ids=1|2", {"separator": "|"}, ["1", "2"]),
    "several letters": (b"ids=1--2-3", {"separator": "--"}, ["1", "2-3"]),
    "a comma is no separator then": (b"ids=1,2|3", {"separator": "|"}, ["1,2", "3"]),
    "a space, as +": (b"ids=1+2", {"separator": " "}, ["1", "2"]),
    "a space, escaped": (b"ids=1%202", {"separator": " "}, ["1", "2"]),
    "a separator that means something in patterns": (b"ids=1.2x3", {"separator": "."}, ["1", "2x3"]),
    "a semicolon where it was said": (b"ids=1;2", {"separator": ";"}, ["1", "2"]),
    "a letter, in its own case only": (b"ids=1xaX2x3", {"separator": "x"}, ["1", "aX2", "3"]),
    "digits that stand in escapes": (b"ids=a2%2Cb2%20", {"separator": "2"}, ["a", ",b", " "]),
    "letters that stand in escapes": (b"ids=%C3%A9C3C1", {"separator": "C"}, ["é", "3", "1"]),
    "a percent sign, which must be escaped": (b"ids=1%252%25%2C", {"separator": "%"}, ["1", "2", ","]),
    "beyond ASCII": ("ids=1·2".encode(), {"separator": "·"}, ["1", "2"]),
    "bytes that are no UTF-8": (b"ids=%ff,1", {}, ["\udcff", "1"]),
    "beside empty pieces": (b"&ids=1,2&&", {}, ["1", "2"]),
    "a value with =": (b"ids=a=1,b", {}, ["a=1", "b"]),
}


@pytest.mark.parametrize(("query", "options", "labels"), FOUND.values(), ids=FOUND)
def test_the_members_of_a_list_are_parts(query, options, labels):
    found = cut_of(query, [0], [len(labels) - 1], range(len(labels)), **options)
    assert [part.label for part in found.parts] == labels


@pytest.mark.parametrize("query", [b"", b"id=1,2", b"ids", b"ids=", b"a=1&ids=&b=2", b"IDS=1,2"])
def test_no_list(query):
    assert QueryList("ids").plan(get(query)) is None


DOUBTFUL = {
    "the parameter twice": (b"ids=1,2&ids=3", {}, Reason.SPLIT_SYNTAX),
    "the parameter twice, apart": (b"ids=1,2&a=1&ids=3", {}, Reason.SPLIT_SYNTAX),
    "an empty member": (b"ids=1,,2", {}, Reason.SPLIT_SYNTAX),
    "an empty member at the end": (b"ids=1,2,", {}, Reason.SPLIT_SYNTAX),
    "nothing but a separator": (b"ids=,", {}, Reason.SPLIT_SYNTAX),
    "separators in two spellings": (b"ids=1,2%2C3", {}, Reason.SPLIT_SYNTAX),
    "escapes in two cases": (b"ids=1%2c2%2C3", {}, Reason.SPLIT_SYNTAX),
    "a semicolon, which some split at": (b"ids=1,2;a=1", {}, Reason.SPLIT_SYNTAX),
    "a semicolon elsewhere": (b"ids=1;2&a=1;ids=3", {"separator": ";"}, Reason.SPLIT_SYNTAX),
    "a fragment": (b"ids=1,2#a", {}, Reason.SPLIT_SYNTAX),
    "what is not to be split": (b"ids=1,2&sort=up", {"deny_params": ("so*",)}, Reason.SPLIT_DENIED),
    "what is not to be split, before": (b"%70age&ids=1,2", {"deny_params": ("sort", "page")}, Reason.SPLIT_DENIED),
    "too many members": (b"ids=" + b",".join([b"1"] * 65), {}, Reason.SPLIT_LIMIT),
    "too many other parameters": (b"a&" * (64 + MAX_OTHER_PAIRS) + b"ids=1,2", {}, Reason.SPLIT_LIMIT),
}


@pytest.mark.parametrize(("query", "options", "reason"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_services_could_read_in_two_ways_is_not_split(query, options, reason):
    with pytest.raises(Fallback) as refused:
        QueryList(**{"name": "ids", **options}).plan(get(query))
    assert refused.value.reason == reason


def test_a_body_that_is_still_arriving_is_not_split():
    with pytest.raises(Fallback) as refused:
        QueryList("ids").plan(Request("POST", b"/items?ids=1,2", body=object()))
    assert refused.value.reason == Reason.BODY


def test_a_built_request_is_the_clients_but_for_the_list():
    request = Request("QUERY", b"//items/%7e?a=%61&ids=1,02,3&b", ((b"host", b"h"), (b"x", b"1")), b"body")
    splitter = QueryList("ids")
    built = splitter.build(request, splitter.plan(request), [1, 2])
    assert built == Request("QUERY", b"//items/%7e?a=%61&ids=02,3&b", request.headers, b"body")


def test_the_same_member_in_another_request_with_the_same_rest_is_the_same_part():
    one, other = cut_of(b"a=1&ids=1,2"), cut_of(b"a=1&ids=2,7,9")
    assert one.frame == other.frame
    assert one.parts[1].identity == other.parts[0].identity
    assert cut_of(b"a=1&ids=%32").parts[0].identity != one.parts[1].identity


@pytest.mark.parametrize("query", [b"a=2&ids=1,2", b"ids=1,2&a=1", b"a=1&%69ds=1,2", b"a=1&ids=1,2&c"])
def test_the_rest_of_the_request_is_the_frame(query):
    assert cut_of(query).frame != cut_of(b"a=1&ids=1,2").frame


def test_members_of_a_list_that_a_service_may_not_see_as_one_are_other_parts():
    plain, escaped = cut_of(b"ids=1,2"), cut_of(b"ids=1%2C2")
    assert {part.identity for part in plain.parts}.isdisjoint({part.identity for part in escaped.parts})
    space = {"separator": " "}
    assert cut_of(b"ids=1+2", **space).parts[0].identity != cut_of(b"ids=1%202", **space).parts[0].identity


@pytest.mark.parametrize("separator", ["", "&", "a&b", "#"])
def test_what_cannot_separate_is_refused(separator):
    with pytest.raises(ValueError, match="separate"):
        QueryList("ids", separator)


def test_ten_thousand_members_are_refused_before_they_are_looked_at():
    query = b"ids=" + b",".join([b"%d" % number for number in range(10_000)])
    with pytest.raises(Fallback) as refused:
        QueryList("ids").plan(get(query), Limits(parts=64))
    assert refused.value.reason == Reason.SPLIT_LIMIT


MEMBERS = st.lists(st.text("ab1%2Ce+=é-", min_size=1, max_size=4), min_size=1, max_size=6)
PAIRS = st.lists(st.sampled_from(["a=1", "b", "c=1,2", ""]), max_size=2)


@given(PAIRS, MEMBERS, PAIRS, st.sampled_from([",", "|", "%2C", "%2c"]), st.data())
def test_requests_for_any_of_the_members_ask_for_these(before, members, after, between, drawn):
    query = "&".join([*before, "ids=" + between.join(members), *after]).encode()
    splitter = QueryList("ids", "|" if between == "|" else ",")
    try:
        found = splitter.plan(get(query))
    except Fallback:
        return
    places = drawn.draw(st.sets(st.sampled_from(range(len(found.parts))), min_size=1).map(sorted))
    check_cut(splitter, get(query), places)
    assert splitter.build(get(query), found, places).query.count(b"&") == query.count(b"&")
