"""json_array: which bodies hold the array, what names its elements, and the requests for some of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.composite import Limits
from proxy.core.reasons import Reason
from proxy.core.split.json_array import JsonArray
from proxy.core.split_laws import check_cut
from proxy.core.types import Request
from proxy.errors import Fallback


def post(body, *fields):
    body = body.encode() if isinstance(body, str) else body
    return Request("POST", b"/query", (*fields, (b"content-length", b"%d" % len(body))), body)


def cut_of(body, *groups, **options):
    return check_cut(JsonArray(**{"path": "$.q", **options}), post(body), *groups)


FOUND = {
    "an array": ('{"q":["a","b"]}', {}, ["a", "b"]),
    "with duplicates, in its order": ('{"q":[2,1,2]}', {}, ["2", "1", "2"]),
    "one element": ('{"q":[1]}', {}, ["1"]),
    "numbers as they are written": ('{"q":[1.10,1e5,18446744073709551616]}', {}, ["1.10", "1e5", "18446744073709551616"]),
    "text as it is meant": ('{"q":["\\u00e9","é"]}', {}, ["é", "é"]),
    "spaced": ('{ "q" : [ 1 , 2 ] , "x": 1.10 }\n', {}, ["1", "2"]),
    "unevenly spaced": ('{"q":[1,2, 3 ,4]}', {}, ["1", "2", "3", "4"]),
    "the body itself": ("[1,2]", {"path": "$"}, ["1", "2"]),
    "deep": ('{"a":[{"q":[1,2]}],"q":[3]}', {"path": "$.a[0].q"}, ["1", "2"]),
    "objects, by a name in them": ('{"q":[{"id":"x","n":1,"n":2},{"id":7}]}', {"id": "$.id"}, ["x", "7"]),
    "objects that have none": ('{"q":[{"i":1},{"id":{}},{"id":1,"id":2},[]]}', {"id": "$.id"}, [None] * 4),
    "beside members that come twice": ('{"x":1,"q":[1,2],"x":2}', {}, ["1", "2"]),
    "what is not to be split is absent": ('{"q":[1,2],"w":1}', {"deny_paths": ("$.sort",)}, ["1", "2"]),
}  # fmt: skip


@pytest.mark.parametrize(("body", "options", "labels"), FOUND.values(), ids=FOUND)
def test_the_elements_of_the_array_are_parts(body, options, labels):
    found = cut_of(body, [0], [len(labels) - 1], range(len(labels)), **options)
    assert [part.label for part in found.parts] == labels


NO_ARRAY = ["", '{"p":[1,2]}', '{"q":[]}', '{"q":"1,2"}', '{"q":{"0":1}}', '{"q":null}', "[1,2]", "7"]


@pytest.mark.parametrize("body", NO_ARRAY)
def test_no_array(body):
    assert JsonArray("$.q").plan(post(body)) is None


DOUBTFUL = {
    "no JSON": ('{"q":[1,2}', {}, Reason.KEY_BODY_SYNTAX),
    "a form": ("q=1&q=2", {}, Reason.KEY_BODY_SYNTAX),
    "the array twice": ('{"q":[1],"q":[2]}', {}, Reason.KEY_DUPLICATE_MEMBER),
    "too deep": ("[" * 101, {}, Reason.KEY_BODY_DEPTH),
    "too many elements": ('{"q":[' + "1," * 64 + "1]}", {}, Reason.SPLIT_LIMIT),
    "too many before the syntax is seen": ('{"q":[' + "1," * 65, {}, Reason.SPLIT_LIMIT),
    "what is not to be split": ('{"q":[1,2],"sort":"up"}', {"deny_paths": ("$.sort",)}, Reason.SPLIT_DENIED),
    "what is not to be split, deep": ('{"q":[1,2],"o":[{"page":null}]}', {"deny_paths": ("$.o[0].page",)}, Reason.SPLIT_DENIED),
}  # fmt: skip


@pytest.mark.parametrize(("body", "options", "reason"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_services_could_read_in_two_ways_is_not_split(body, options, reason):
    with pytest.raises(Fallback) as refused:
        JsonArray(**{"path": "$.q", **options}).plan(post(body))
    assert refused.value.reason == reason


ODD_REQUESTS = {
    "still arriving": (Request("POST", b"/", (), object()), Reason.BODY),
    "too large": (post('{"q":[1]}' + " " * 20), Reason.SPLIT_LIMIT),
    "compressed": (post('{"q":[1]}', (b"content-encoding", b"gzip")), Reason.KEY_BODY_ENCODING),
    "another charset": (post('{"q":[1]}', (b"content-type", b"application/json; charset=x")), Reason.KEY_BODY_ENCODING),
    "signed": (post('{"q":[1]}', (b"signature", b"x")), Reason.SPLIT_SYNTAX),
    "with its digest": (post('{"q":[1]}', (b"content-digest", b"x")), Reason.SPLIT_SYNTAX),
}


@pytest.mark.parametrize(("request_", "reason"), ODD_REQUESTS.values(), ids=ODD_REQUESTS)
def test_only_whole_plain_bodies_are_cut(request_, reason):
    with pytest.raises(Fallback) as refused:
        JsonArray("$.q").plan(request_, Limits(request_bytes=20))
    assert refused.value.reason == reason


def test_a_built_request_is_the_clients_but_for_the_other_elements_and_its_length():
    fields = ((b"x", b"1"), (b"content-length", b"99"), (b"y", b"2"))
    request = Request("POST", b"/a?b", fields, b'{"q": [1.10, {"a":1,"a":2}, 3], "z" :1e5}')
    splitter = JsonArray("$.q")
    built = splitter.build(request, splitter.plan(request), [0, 1])
    assert built.body == b'{"q": [1.10, {"a":1,"a":2}], "z" :1e5}'
    assert (built.method, built.target) == ("POST", b"/a?b")
    assert built.headers == ((b"x", b"1"), (b"content-length", b"38"), (b"y", b"2"))


def test_a_request_without_a_length_gets_none():
    request = Request("POST", b"/", (), b'{"q":[1,2]}')
    splitter = JsonArray("$.q")
    assert splitter.build(request, splitter.plan(request), [0]).headers == ()


def test_the_same_element_in_another_request_with_the_same_rest_is_the_same_part():
    one, other = cut_of('{"q":[1,2],"x":1}'), cut_of('{"q":[2 , 3,4],"x":1}')
    assert one.frame.body == other.frame.body == b'{"q":[],"x":1}'
    assert one.parts[1].identity == other.parts[0].identity
    assert cut_of('{"q":["2"]}').parts[0].identity != one.parts[1].identity


@pytest.mark.parametrize(
    "body", ['{"q":[1,2],"x":2}', '{"x":1,"q":[1,2]}', '{"q": [1,2],"x":1}', '{"q":[1,2],"x":1.0}']
)
def test_the_rest_of_the_body_is_the_frame(body):
    assert cut_of(body).frame.body != cut_of('{"q":[1,2],"x":1}').frame.body


WRONG_OPTIONS = [
    {"path": "q"},
    {"path": "$.q[*]"},
    {"path": "$.q", "id": "$[*]"},
    {"path": "$.q", "deny_paths": ("$.q",)},
    {"path": "$.q", "deny_paths": ("$.q[0]",)},
    {"path": "$.q.a", "deny_paths": ("$.x", "$.q")},
]


@pytest.mark.parametrize("options", WRONG_OPTIONS, ids=str)
def test_options_that_mean_nothing(options):
    with pytest.raises(ValueError, match=r"path|places"):
        JsonArray(**options)


LEAVES = st.sampled_from(["1", "1.10", '"a"', '"],["', "null", '{"a":1,"a":[2]}', "[[]]", '"\\""'])


@given(st.lists(LEAVES, min_size=1, max_size=6), st.sampled_from([",", ", ", " ,\n"]), st.data())
def test_requests_for_any_of_the_elements_ask_for_these(written, between, drawn):
    request = post('{"a":[0],"q":[' + between.join(written) + "]}")
    places = drawn.draw(st.sets(st.sampled_from(range(len(written))), min_size=1).map(sorted))
    found = check_cut(JsonArray("$.q"), request, places)
    assert [part.raw.decode() for part in found.parts] == written
    built = JsonArray("$.q").build(request, found, places)
    assert json.loads(built.body)["q"] == [json.loads(written[place]) for place in places]
