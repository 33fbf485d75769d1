"""dict_union: an object whose members are the answers to the parts."""

import pytest

from proxy.core.composite import Kind, Part, Share, united
from proxy.core.merge.dict_union import DictUnion
from proxy.core.reasons import Reason
from proxy.core.split_laws import check_answer
from proxy.core.types import Response
from proxy.errors import Fallback


def parts_of(*labels):
    return [Part(label.encode(), label.encode(), label) for label in labels]


def answer(text):
    return Response(200, (), text.encode())


P, M, A = Kind.PRESENT, Kind.MISSING, Kind.ABSENT

RULES = {
    "each": ({}, '{"b": {"x":1.10,"x":2}, "a": null}', "ba", [P, P]),
    "an escaped name": ({}, '{"\\u0062":1,"a":2}', "ba", [P, P]),
    "deep": ({"items": "$.entities", "totals": {"$.n": "count"}}, '{"entities": {"b":1}, "n": 1}', "b", [P]),
    "omitted": ({"missing": "omit"}, '{"b":1}', "abc", [M, P, A]),
    "all omitted": ({"missing": "omit"}, "{}", "ab", [A, A]),
    "twice": ({}, '{"b":1,"a":2}', "bab", [P, P, P]),
    "sorted": ({"order": "text_up"}, '{"a":1,"b":2}', "ba", [P, P]),
    "sorted, twice": ({"order": "text_down"}, '{"b":1,"a":2}', "aba", [P, P, P]),
    "any members": ({"keys": "any"}, '{"x":1,"y":2}', "a", [P]),
    "any members, twice": ({"keys": "any"}, '{"x":1,"y":2}', "aa", [P, P]),
    "no members": ({"keys": "any"}, "{}", "a", [P]),
}


@pytest.mark.parametrize(("options", "text", "labels", "expected"), RULES.values(), ids=RULES)
def test_answers_that_keep_their_rule(options, text, labels, expected):
    sliced = check_answer(DictUnion(**options), answer(text), parts_of(*labels))
    assert [share.kind for share in sliced.shares] == expected


BROKEN = {
    "one is missing": ({}, '{"a":1}', "ab", Reason.PART_MISSING),
    "one that was not asked for": ({}, '{"a":1,"x":2}', "ab", Reason.FRAME),
    "another order": ({}, '{"b":1,"a":2}', "ab", Reason.PART_ORDER),
    "a member twice": ({}, '{"a":1,"a":1}', "a", Reason.DUPLICATE_PART),
    "a member twice in one's answer": ({"keys": "any"}, '{"x":1,"x":1}', "a", Reason.DUPLICATE_PART),
    "any members of two parts": ({"keys": "any"}, '{"x":1}', "ab", Reason.FRAME),
    "no object": ({}, "[1]", "a", Reason.FRAME),
}


@pytest.mark.parametrize(("options", "text", "labels", "reason"), BROKEN.values(), ids=BROKEN)
def test_answers_that_do_not(options, text, labels, reason):
    with pytest.raises(Fallback) as refused:
        DictUnion(**options).slice(answer(text), parts_of(*labels))
    assert refused.value.reason == reason


def test_members_keep_their_bytes():
    text = '{"b" :  {"x":1.10,"x":2},"\\u0061":null}'
    sliced = check_answer(DictUnion(), answer(text), parts_of("b", "a"))
    assert sliced.shares == (Share((b'"b" :  {"x":1.10,"x":2}',)), Share((b'"\\u0061":null',)))


def test_answers_to_some_make_the_answer_to_all():
    merge = DictUnion(missing="omit")
    one = merge.slice(answer('{"c": 1, "a": 2}'), parts_of("c", "x", "a"))
    two = merge.slice(answer('{"b": 3}'), parts_of("b"))
    parts = parts_of("c", "b", "x", "a", "c")
    shares = [one.shares[0], two.shares[0], one.shares[1], one.shares[2], one.shares[0]]
    assert merge.merge(united([one.frame, two.frame]), parts, shares) == b'{"c": 1, "b": 3, "a": 2}'


def test_the_same_name_in_answers_to_two_parts_is_a_clash():
    merge = DictUnion(keys="any")
    one, two, three = (
        merge.slice(answer(text), parts_of(label))
        for text, label in (('{"x":1,"y":2}', "a"), ('{"\\u0078":1}', "b"), ('{"z":3}', "c"))
    )
    frame = united([one.frame, two.frame, three.frame])
    assert merge.merge(frame, parts_of("c", "a"), [three.shares[0], one.shares[0]]) == b'{"z":3,"x":1,"y":2}'
    with pytest.raises(Fallback) as refused:
        merge.merge(frame, parts_of("a", "b"), [one.shares[0], two.shares[0]])
    assert refused.value.reason == Reason.DUPLICATE_PART


UNCLEAR = {
    "two ways to ask for one": ({}, [Part(b"1", b"1", "1"), Part(b'"1"', b'"1"', "1")], Reason.DUPLICATE_PART),
    "no name": ({}, [Part(b"{}", b"{}")], Reason.FRAME),
    "no name to be sorted by": ({"keys": "any", "order": "text_up"}, [Part(b"{}", b"{}")], Reason.FRAME),
    "names that may be one, where one may be missing": ({"missing": "omit"}, parts_of("a", "A"), Reason.DUPLICATE_PART),
}


@pytest.mark.parametrize(("options", "parts", "reason"), UNCLEAR.values(), ids=UNCLEAR)
def test_parts_that_no_answer_could_be_matched_with(options, parts, reason):
    with pytest.raises(Fallback) as refused:
        DictUnion(**options).check(parts)
    assert refused.value.reason == reason


def test_shares_must_be_there():
    merge = DictUnion()
    sliced = merge.slice(answer('{"a":1,"b":2}'), parts_of("a", "b"))
    for shares in (sliced.shares[:1], (sliced.shares[0], Share((), Kind.MISSING))):
        with pytest.raises(Fallback) as refused:
            merge.merge(sliced.frame, parts_of("a", "b"), shares)
        assert refused.value.reason == Reason.PART_MISSING


@pytest.mark.parametrize(
    ("order", "labels", "shown"), [("request", "bac", True), ("request", "ab", False), ("text_up", "bac", False)]
)
def test_only_an_order_that_nothing_else_explains_shows_that_the_service_keeps_it(order, labels, shown):
    names = sorted(labels) if order == "text_up" else labels
    text = "{" + ",".join([f'"{name}":1' for name in names]) + "}"
    assert DictUnion(order=order).slice(answer(text), parts_of(*labels)).shows_order is shown


def test_bodies_are_compared_but_for_totals_that_may_differ():
    one, two = b'{"a":{},"took":1}', b'{"a":{},"took":2}'
    assert DictUnion("$.a", totals={"$.took": "any"}).equal(one, two)
    assert not DictUnion("$.a").equal(one, two)
    assert DictUnion("$.a").equal(one, one)
