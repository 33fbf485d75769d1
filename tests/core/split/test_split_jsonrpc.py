"""jsonrpc: which batches are split, what a call is known by, and the batches of some of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.composite import Limits
from proxy.core.reasons import Reason
from proxy.core.split.jsonrpc import Jsonrpc
from proxy.core.split_laws import check_cut
from proxy.core.types import Request
from proxy.errors import Fallback


def post(body):
    return Request("POST", b"/rpc", ((b"content-length", b"%d" % len(body)),), body.encode())


def call(mark="1", method="get", more=""):
    return f'{{"jsonrpc":"2.0","id":{mark},"method":"{method}"{more}}}'


def batch(*calls):
    return post(f"[{','.join(calls)}]")


def test_the_calls_of_a_batch_are_parts():
    calls = [call("7", more=',"params":[1.10]'), call('"a"', "list"), call("-3")]
    found = check_cut(Jsonrpc(), batch(*calls), [0], [1, 2], [0, 2])
    assert [part.raw.decode() for part in found.parts] == calls
    assert [part.mark for part in found.parts] == [b"7", b'"a"', b"-3"]
    assert {part.label for part in found.parts} == {None}


def test_what_a_call_asks_is_all_of_it_but_its_id():
    one, two = Jsonrpc().plan(batch(call("1"), call("2", more=',"params":{"a":1}'))), Jsonrpc().plan(batch(call('"x"')))
    assert one.parts[0].identity == two.parts[0].identity
    assert one.frame.body == two.frame.body == b"[]"
    assert one.parts[0].identity != one.parts[1].identity


SAME = ['{"id":1,"method":"get","jsonrpc":"2.0"}', ' { "jsonrpc" : "2.0" , "method":"get", "id":9 } ']
OTHER = [
    call(method="got"),
    call(more=',"params":[]'),
    call(more=',"x":1'),
    call(method="g\\u0065t"),
    '{"jsonrpc":"2.0","\\u0069d":1,"method":"get","params":{"id":1}}',
]


@pytest.mark.parametrize("text", SAME)
def test_the_order_of_members_does_not_matter(text):
    assert Jsonrpc().plan(batch(text)).parts[0].identity == Jsonrpc().plan(batch(call())).parts[0].identity


@pytest.mark.parametrize("text", OTHER)
def test_everything_else_does(text):
    assert Jsonrpc().plan(batch(text)).parts[0].identity != Jsonrpc().plan(batch(call())).parts[0].identity


@pytest.mark.parametrize("body", ["", "[]", " [ ] ", call(), "7", "x=1", '"[1]"'])
def test_no_batch(body):
    assert Jsonrpc().plan(post(body)) is None


def test_a_body_that_is_still_arriving_is_not_looked_at():
    assert Jsonrpc().plan(Request("POST", b"/rpc", (), object())) is None


DOUBTFUL = {
    "a notification": ('{"jsonrpc":"2.0","method":"get"}', Reason.SPLIT_SYNTAX),
    "an id that is null": (call("null"), Reason.SPLIT_SYNTAX),
    "an id that could be written otherwise": (call("1.0"), Reason.SPLIT_SYNTAX),
    "an exponent": (call("1e3"), Reason.SPLIT_SYNTAX),
    "a big id": (call("18446744073709551616"), Reason.SPLIT_SYNTAX),
    "minus zero": (call("-0"), Reason.SPLIT_SYNTAX),
    "an id with an escape": (call('"\\u0061"'), Reason.SPLIT_SYNTAX),
    "an id with a slash, which some escape": (call('"a/b"'), Reason.SPLIT_SYNTAX),
    "an id beyond ASCII, which some escape": (call('"é"'), Reason.SPLIT_SYNTAX),
    "an id that is an object": (call("{}"), Reason.SPLIT_SYNTAX),
    "an id that is true": (call("true"), Reason.SPLIT_SYNTAX),
    "no version": ('{"id":1,"method":"get"}', Reason.SPLIT_SYNTAX),
    "another version": ('{"jsonrpc":"1.0","id":1,"method":"get"}', Reason.SPLIT_SYNTAX),
    "a version that is a number": ('{"jsonrpc":2.0,"id":1,"method":"get"}', Reason.SPLIT_SYNTAX),
    "no method": ('{"jsonrpc":"2.0","id":1}', Reason.SPLIT_SYNTAX),
    "a method that is a number": ('{"jsonrpc":"2.0","id":1,"method":7}', Reason.SPLIT_SYNTAX),
    "a member twice": (call(more=',"id":1'), Reason.KEY_DUPLICATE_MEMBER),
    "a member twice by an escape": (call(more=',"\\u0069d":1'), Reason.KEY_DUPLICATE_MEMBER),
    "no call": ("7", Reason.SPLIT_SYNTAX),
    "a batch in a batch": (f"[{call()}]", Reason.SPLIT_SYNTAX),
    "no JSON": ("{", Reason.KEY_BODY_SYNTAX),
    "the same id twice": (call("2"), Reason.DUPLICATE_PART),
}


@pytest.mark.parametrize(("text", "reason"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_a_batch_with_one_that_is_in_doubt_is_not_split(text, reason):
    with pytest.raises(Fallback) as refused:
        Jsonrpc().plan(batch(call("2"), text))
    assert refused.value.reason == reason


def test_two_batches_are_none():
    with pytest.raises(Fallback) as refused:
        Jsonrpc().plan(post(f"[{call()}][]"))
    assert refused.value.reason == Reason.KEY_BODY_SYNTAX


def test_a_number_and_its_text_are_two_ids():
    assert len(Jsonrpc().plan(batch(call("1"), call('"1"'))).parts) == 2


@pytest.mark.parametrize(("methods", "split"), [(("get",), True), (("g*", "x"), True), (("GET",), False), ((), False)])
def test_only_batches_of_methods_that_are_named_are_split(methods, split):
    if split:
        assert Jsonrpc(methods).plan(batch(call()))
        return
    with pytest.raises(Fallback) as refused:
        Jsonrpc(methods).plan(batch(call()))
    assert refused.value.reason == Reason.SPLIT_DENIED


def test_one_method_that_is_not_named_keeps_the_batch_together():
    with pytest.raises(Fallback) as refused:
        Jsonrpc(("get*",)).plan(batch(call("1"), call("2", "set"), call("3")))
    assert refused.value.reason == Reason.SPLIT_DENIED


def test_ten_thousand_calls_are_refused_before_they_are_read():
    with pytest.raises(Fallback) as refused:
        Jsonrpc().plan(post("[" + (call() + ",") * 9 + "nonsense"), Limits(parts=8))
    assert refused.value.reason == Reason.SPLIT_LIMIT


def test_a_body_over_the_limit_is_refused():
    with pytest.raises(Fallback) as refused:
        Jsonrpc().plan(batch(call()), Limits(request_bytes=20))
    assert refused.value.reason == Reason.SPLIT_LIMIT


CALLS = st.tuples(
    st.sampled_from(["get", "a.b", "\\u0061"]),
    st.sampled_from(["", ',"params":[1.10]', ',"params":{"a":1,"a":2}', ',"x" : null']),
)


@given(st.lists(CALLS, min_size=1, max_size=6), st.sampled_from([",", " ,\n "]), st.data())
def test_batches_of_any_of_the_calls_ask_for_these(calls, between, drawn):
    texts = [call(str(number), *one) for number, one in enumerate(calls)]
    places = drawn.draw(st.sets(st.sampled_from(range(len(texts))), min_size=1).map(sorted))
    request = post(f" [{between.join(texts)}]\n")
    built = Jsonrpc().build(request, check_cut(Jsonrpc(), request, places), places)
    assert len(places) == len(texts) or built.body.decode() == f"[{','.join([texts[place] for place in places])}]"
