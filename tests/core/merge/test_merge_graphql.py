"""graphql: the members of `data`, by their response names."""

import pytest

from proxy.core.composite import Kind, Part, united
from proxy.core.merge.graphql import Graphql
from proxy.core.reasons import Reason
from proxy.core.split_laws import check_answer
from proxy.core.types import Response
from proxy.errors import Fallback


def fields(*labels, optional=False):
    return [Part(label.encode(), label.encode(), label, optional=optional) for label in labels]


def answer(text):
    return Response(200, (), text.encode())


def test_a_member_of_the_answer_is_the_share_of_its_field():
    sliced = check_answer(Graphql(), answer('{"data": {"b": {"x":1.10,"x":2}, "a": null}}'), fields("b", "a"))
    assert [share.items for share in sliced.shares] == [(b'"b": {"x":1.10,"x":2}',), (b'"a": null',)]
    assert [share.kind for share in sliced.shares] == [Kind.PRESENT, Kind.PRESENT]
    assert sliced.shows_order
    assert not Graphql().slice(answer('{"data":{"a":1}}'), fields("a")).shows_order


def test_answers_to_some_fields_make_the_answer_to_all():
    merge = Graphql()
    one = merge.slice(answer('{"data":{"a":1,"c":3}}'), fields("a", "c"))
    two = merge.slice(answer('{"data":{"b":2}}'), fields("b"))
    shares = [two.shares[0], one.shares[1], one.shares[0]]
    assert merge.merge(united([one.frame, two.frame]), fields("b", "c", "a"), shares) == b'{"data":{"b":2,"c":3,"a":1}}'


def test_a_field_that_a_directive_left_out_is_missing_and_stays_so():
    parts = [*fields("a"), *fields("b", optional=True)]
    sliced = check_answer(Graphql(), answer('{"data":{"a":1}}'), parts)
    assert sliced.shares[1].kind == Kind.MISSING
    assert Graphql().merge(sliced.frame, parts, sliced.shares) == b'{"data":{"a":1}}'
    assert check_answer(Graphql(), answer('{"data":{}}'), parts[1:]).shares[0].kind == Kind.MISSING


BROKEN = {
    "errors": ('{"data":{"a":null,"b":1},"errors":[{"path":["a"]}]}', Reason.PART_ERROR),
    "no errors in a list of them": ('{"errors":[],"data":{"a":1,"b":1}}', Reason.PART_ERROR),
    "no data": ('{"data":null}', Reason.FRAME),
    "nothing": ("{}", Reason.FRAME),
    "extensions": ('{"data":{"a":1,"b":1},"extensions":{}}', Reason.FRAME),
    "one is missing": ('{"data":{"a":1}}', Reason.PART_MISSING),
    "one that was not asked for": ('{"data":{"a":1,"b":1,"c":1}}', Reason.FRAME),
    "another order": ('{"data":{"b":1,"a":1}}', Reason.PART_ORDER),
    "a member twice": ('{"data":{"a":1,"a":1,"b":1}}', Reason.DUPLICATE_PART),
}


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN)
def test_answers_that_cannot_be_cut(text, reason):
    with pytest.raises(Fallback) as refused:
        Graphql().slice(answer(text), fields("a", "b"))
    assert refused.value.reason == reason


def test_extensions_may_be_left_out():
    merge = Graphql("drop")
    text = '{"extensions":{"took":1},"data":{"a":1}}'
    sliced = check_answer(merge, answer(text), fields("a"))
    assert merge.merge(sliced.frame, fields("a"), sliced.shares) == b'{"data":{"a":1}}'
    assert merge.equal(text.encode(), text.replace("1}", "2}", 1).encode())
    assert not merge.equal(text.encode(), text.replace('"a":1', '"a":2').encode())
    with pytest.raises(Fallback) as refused:
        merge.slice(answer('{"data":{"a":1},"errors":[]}'), fields("a"))
    assert refused.value.reason == Reason.PART_ERROR


def test_other_members_are_the_frame():
    text = '{"data": {"a":1} , "meta" : 1.10}'
    assert check_answer(Graphql(), answer(text), fields("a"))


def test_each_field_needs_its_share():
    sliced = Graphql().slice(answer('{"data":{"a":1}}'), fields("a"))
    for shares in ((), (sliced.shares[0]._replace(items=(), kind=Kind.MISSING),)):
        with pytest.raises(Fallback) as refused:
            Graphql().merge(sliced.frame, fields("a"), shares)
        assert refused.value.reason == Reason.PART_MISSING


@pytest.mark.parametrize(
    ("parts", "reason"), [(fields("a", "a"), Reason.DUPLICATE_PART), ([Part(b"a", b"a")], Reason.FRAME)]
)
def test_parts_that_are_no_fields(parts, reason):
    with pytest.raises(Fallback) as refused:
        Graphql().check(parts)
    assert refused.value.reason == reason
