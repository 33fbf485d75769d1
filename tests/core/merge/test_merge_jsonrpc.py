"""jsonrpc: the elements of a batch's answer, by their ids."""

import pytest

from proxy.core.composite import MISSING, Kind, Part, united
from proxy.core.merge.jsonrpc import Jsonrpc
from proxy.core.reasons import Reason
from proxy.core.split_laws import check_answer
from proxy.core.types import Response
from proxy.errors import Fallback


def calls(*marks):
    return [Part(b"call %d" % number, b"", None, mark.encode()) for number, mark in enumerate(marks)]


def answer(*texts):
    return Response(200, (), f"[{', '.join(texts)}]".encode())


def result(mark, value="1.10"):
    return f'{{"jsonrpc": "2.0", "result": {value}, "id": {mark}}}'


def test_an_element_is_the_share_of_the_call_with_its_id():
    sliced = check_answer(Jsonrpc(), answer(result("7"), result('"a"', "{}")), calls("7", '"a"'))
    assert sliced.shares[0].items == (b'{"jsonrpc": "2.0", "result": 1.10, "id": ', b"}")
    assert sliced.shares[0].kind == Kind.PRESENT
    assert sliced.shows_order


def test_one_answer_shows_no_order():
    assert not Jsonrpc().slice(answer(result("7")), calls("7")).shows_order


def test_a_share_gets_the_id_of_whoever_asks_next():
    merge = Jsonrpc()
    one = merge.slice(answer(result("1"), '{"id":2,"result":null}'), calls("1", "2"))
    two = merge.slice(answer('{"id":3,"error":{"code":-1}}'), calls("3"))
    parts = calls("9", '"x"', "3")
    body = merge.merge(united([one.frame, two.frame]), parts, [one.shares[1], one.shares[0], two.shares[0]])
    assert (
        body == b'[{"id":9,"result":null}, {"jsonrpc": "2.0", "result": 1.10, "id": "x"}, {"id":3,"error":{"code":-1}}]'
    )


def test_an_error_is_one_and_goes_on_as_it_came():
    sliced = check_answer(Jsonrpc(), answer(result("1"), '{"error":{"code":-1.0},"id":2}'), calls("1", "2"))
    assert [share.kind for share in sliced.shares] == [Kind.PRESENT, Kind.ERROR]


BROKEN = {
    "another order": ([result("2"), result("1")], Reason.PART_ORDER),
    "one is missing": ([result("1")], Reason.PART_MISSING),
    "one more": ([result("1"), result("2"), result("3")], Reason.PART_MISSING),
    "another id": ([result("1"), result("3")], Reason.PART_MISSING),
    "an error without an id": ([result("1"), '{"id":null,"error":{}}'], Reason.PART_MISSING),
    "a number where text was": ([result("1"), result('"2"')], Reason.PART_MISSING),
    "another spelling": ([result("1"), result("2.0")], Reason.PART_MISSING),
    "no id": ([result("1"), '{"result":1}'], Reason.FRAME),
    "two ids": ([result("1"), '{"id":2,"id":2,"result":1}'], Reason.FRAME),
    "a result and an error": ([result("1"), '{"id":2,"result":1,"error":null}'], Reason.FRAME),
    "neither": ([result("1"), '{"id":2}'], Reason.FRAME),
    "no element": ([result("1"), "2"], Reason.FRAME),
}


@pytest.mark.parametrize(("texts", "reason"), BROKEN.values(), ids=BROKEN)
def test_answers_that_cannot_be_matched(texts, reason):
    with pytest.raises(Fallback) as refused:
        Jsonrpc().slice(answer(*texts), calls("1", "2"))
    assert refused.value.reason == reason


@pytest.mark.parametrize("body", [b'{"id":1,"result":1}', b"", b'[{"id":1,"result":1} {}]'])
def test_an_answer_that_is_no_batch_is_not_cut(body):
    with pytest.raises(Fallback) as refused:
        Jsonrpc().slice(Response(200, (), body), calls("1"))
    assert refused.value.reason == Reason.FRAME


def test_one_call_under_two_ids_has_one_answer():
    parts = [Part(b"a", b"", None, b"1"), Part(b"a", b"", None, b"2")]
    Jsonrpc().check(parts)
    assert check_answer(Jsonrpc(), answer(result("1"), result("2")), parts)
    with pytest.raises(Fallback) as refused:
        Jsonrpc().slice(answer(result("1"), result("2", "1.1")), parts)
    assert refused.value.reason == Reason.DUPLICATE_PART


def test_each_call_needs_its_share():
    merge = Jsonrpc()
    sliced = merge.slice(answer(result("1")), calls("1"))
    for shares in ((), (MISSING,)):
        with pytest.raises(Fallback) as refused:
            merge.merge(sliced.frame, calls("1"), shares)
        assert refused.value.reason == Reason.PART_MISSING


def test_bodies_are_compared():
    assert Jsonrpc().equal(b"[1]", b"[1]")
    assert not Jsonrpc().equal(b"[1]", b"[1 ]")
