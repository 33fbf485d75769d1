"""concat: any number of items for each part, in the order of the parts."""

import pytest

from proxy.core.composite import Part, Share, united
from proxy.core.merge.concat import Concat
from proxy.core.reasons import Reason
from proxy.core.split_laws import check_answer
from proxy.core.types import Response
from proxy.errors import Fallback


def parts_of(*labels):
    return [Part(label.encode(), label.encode(), label) for label in labels]


def answer(text):
    return Response(200, (), text.encode())


def rows(*of):
    return "[" + ", ".join([f'{{"of":"{one}","x":1.10,"x":2}}' for one in of]) + "]"


def test_items_are_the_parts_that_they_name():
    sliced = check_answer(Concat(by="$.of"), answer(rows(*"bba")), parts_of("b", "c", "a"))
    assert [len(share.items) for share in sliced.shares] == [2, 0, 1]


def test_the_parts_items_may_be_sorted():
    merge = Concat(by="$.of", order="text_up")
    sliced = check_answer(merge, answer(rows(*"abb")), parts_of("b", "c", "a"))
    assert [len(share.items) for share in sliced.shares] == [2, 0, 1]


BROKEN = {
    "items of one part apart": (rows(*"aba"), Reason.PART_ORDER),
    "another order": (rows(*"bba"), Reason.PART_ORDER),
    "a part that was not asked for": (rows(*"ax"), Reason.FRAME),
    "no name": ("[{}]", Reason.FRAME),
}


def test_parts_after_the_last_item_may_have_been_cut_off():
    sliced = check_answer(Concat(by="$.of"), answer(rows(*"aa")), parts_of("b", "a", "c"))
    assert [share.lasting for share in sliced.shares] == [True, True, False]


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN)
def test_answers_that_cannot_be_told_apart(text, reason):
    with pytest.raises(Fallback) as refused:
        Concat(by="$.of").slice(answer(text), parts_of("a", "b"))
    assert refused.value.reason == reason


def test_items_that_name_nothing_are_cut_for_one_part_only():
    merge = Concat()
    assert merge.one_each
    assert not Concat(by="$.of").one_each
    assert check_answer(merge, answer("[1, [2]]"), parts_of("a")).shares == (Share((b"1", b"[2]")),)
    with pytest.raises(Fallback) as refused:
        merge.slice(answer("[1]"), parts_of("a", "b"))
    assert refused.value.reason == Reason.FRAME


def test_answers_to_one_part_each_are_joined():
    merge = Concat("$.rows", totals={"$.n": "count"})
    one, two, three = (
        merge.slice(answer(text), parts_of(label))
        for text, label in (('{"rows":[1,2],"n":2}', "a"), ('{"rows":[],"n":0}', "b"), ('{"rows":[3],"n":1}', "c"))
    )
    shares = [two.shares[0], three.shares[0], one.shares[0]]
    frame = united([one.frame, two.frame, three.frame])
    assert merge.merge(frame, parts_of("b", "c", "a"), shares) == b'{"rows":[3,1,2],"n":3}'
    assert merge.merge(frame, parts_of("b"), [two.shares[0]]) == b'{"rows":[],"n":0}'


def test_of_items_that_several_parts_have_the_first_stays():
    merge = Concat(dedupe="$.id")
    one = merge.slice(answer('[{"id":1,"x":1.0},{"id":2}]'), parts_of("a"))
    two = merge.slice(answer('[{"id":3},{"id":1,"x":9}]'), parts_of("b"))
    shares = [one.shares[0], two.shares[0]]
    body = merge.merge(united([one.frame, two.frame]), parts_of("a", "b"), shares)
    assert body == b'[{"id":1,"x":1.0},{"id":2},{"id":3}]'


def test_a_number_is_not_the_text_of_the_same_digits_when_items_are_compared():
    merge = Concat(dedupe="$.id")
    one = merge.slice(answer('[{"id":1}]'), parts_of("a"))
    two = merge.slice(answer('[{"id":"1"}]'), parts_of("b"))
    assert (
        merge.merge(one.frame._replace(between=b","), parts_of("a", "b"), [one.shares[0], two.shares[0]])
        == b'[{"id":1},{"id":"1"}]'
    )


def test_an_item_without_what_it_is_known_by_is_not_put_together():
    merge = Concat(dedupe="$.id")
    with pytest.raises(Fallback) as refused:
        merge.slice(answer("[{}]"), parts_of("a"))
    assert refused.value.reason == Reason.FRAME


def test_what_one_answer_had_twice_was_put_together_once():
    """The service does not do what the rule says: then nobody can say what it would have sent."""
    with pytest.raises(Fallback) as refused:
        Concat(dedupe="$.id").slice(answer('[{"id":1},{"id":1}]'), parts_of("a"))
    assert refused.value.reason == Reason.DUPLICATE_PART


UNCLEAR = {
    "twice": ({}, parts_of("a", "a"), Reason.DUPLICATE_PART),
    "two ways to ask for one": (
        {"by": "$.of"},
        [Part(b"1", b"1", "1"), Part(b"01", b"01", "1")],
        Reason.DUPLICATE_PART,
    ),
    "names that may be one": ({"by": "$.of"}, parts_of("a", "A"), Reason.DUPLICATE_PART),
    "no name to be sorted by": ({"order": "text_up"}, [Part(b"1", b"1")], Reason.FRAME),
    "no name": ({"by": "$.of"}, [Part(b"1", b"1")], Reason.FRAME),
}


@pytest.mark.parametrize(("options", "parts", "reason"), UNCLEAR.values(), ids=UNCLEAR)
def test_parts_that_no_answer_could_be_matched_with(options, parts, reason):
    with pytest.raises(Fallback) as refused:
        Concat(**options).check(parts)
    assert refused.value.reason == reason


def test_parts_without_names_and_names_that_look_alike_are_fine_where_each_is_asked_alone():
    Concat().check([Part(b"1", b"1"), Part(b"2", b"2")])
    Concat(order="text_up").check(parts_of("a", "A"))


def test_each_part_needs_its_share():
    frame = Concat().slice(answer("[1,2]"), parts_of("a")).frame
    with pytest.raises(Fallback) as refused:
        Concat().merge(frame, parts_of("a", "b"), [Share((b"1",))])
    assert refused.value.reason == Reason.PART_MISSING


def test_what_names_parts_and_what_several_share_exclude_each_other():
    with pytest.raises(ValueError, match="cannot stand with it"):
        Concat(by="$.of", dedupe="$.id")


def test_bodies_are_compared_but_for_totals_that_may_differ():
    one, two = b'{"a":[1],"took":1}', b'{"a":[1],"took":2}'
    assert Concat("$.a", totals={"$.took": "any"}).equal(one, two)
    assert not Concat("$.a").equal(one, two)
    assert Concat("$.a").equal(one, one)
