"""positional: one item for each part, by place."""

import pytest

from proxy.core.composite import MISSING, Part, Share, united
from proxy.core.merge.positional import Positional
from proxy.core.reasons import Reason
from proxy.core.split_laws import check_answer
from proxy.core.types import Response
from proxy.errors import Fallback


def parts_of(*labels):
    return [Part(label.encode(), label.encode()) for label in labels]


def answer(text):
    return Response(200, (), text.encode())


def test_the_first_item_is_the_first_parts_and_so_on():
    text = '{"answers": [{"a":1.10,"a":2}, null, "x"], "count": 3}'
    merge = Positional("$.answers", {"$.count": "count"})
    sliced = check_answer(merge, answer(text), parts_of("a", "b", "c"))
    assert sliced.shares == (Share((b'{"a":1.10,"a":2}',)), Share((b"null",)), Share((b'"x"',)))
    assert not sliced.shows_order
    assert merge.merge(sliced.frame, parts_of("b", "c"), sliced.shares[1:]) == b'{"answers": [null, "x"], "count": 2}'


def test_answers_to_some_make_the_answer_to_all():
    merge = Positional()
    one = merge.slice(answer("[1, 3]"), parts_of("a", "c"))
    two = merge.slice(answer("[2]"), parts_of("b"))
    shares = [one.shares[0], two.shares[0], one.shares[1]]
    assert merge.merge(united([one.frame, two.frame]), parts_of("a", "b", "c"), shares) == b"[1, 2, 3]"


def test_a_part_that_comes_twice_has_two_items():
    merge = Positional()
    merge.check(parts_of("a", "a"))
    assert check_answer(merge, answer("[1,2,1]"), parts_of("a", "b", "a")).shares[2] == Share((b"1",))
    with pytest.raises(Fallback) as refused:
        merge.slice(answer("[1,2,3]"), parts_of("a", "b", "a"))
    assert refused.value.reason == Reason.DUPLICATE_PART


@pytest.mark.parametrize("text", ["[]", "[1]", "[1,2,3]"])
def test_another_number_of_items_is_no_answer(text):
    with pytest.raises(Fallback) as refused:
        Positional().slice(answer(text), parts_of("a", "b"))
    assert refused.value.reason == Reason.PART_MISSING


@pytest.mark.parametrize("shares", [[], [Share((b"1",))], [Share((b"1",)), MISSING], [Share((b"1", b"2"))] * 2])
def test_shares_must_be_one_item_each(shares):
    frame = Positional().slice(answer("[1,2]"), parts_of("a", "b")).frame
    with pytest.raises(Fallback) as refused:
        Positional().merge(frame, parts_of("a", "b"), shares)
    assert refused.value.reason == Reason.PART_MISSING


def test_bodies_are_compared_but_for_totals_that_may_differ():
    one, two = b'{"items":[1],"took":1}', b'{"items":[1],"took":2}'
    assert Positional("$.items", {"$.took": "any"}).equal(one, two)
    assert not Positional("$.items").equal(one, two)
    assert Positional("$.items").equal(one, one)
