"""What a rule's splitting makes of a request, and how it asks for some of its parts."""

import pytest
from shop import listed, shop_rule

from proxy.core.fan_out import Bounds
from proxy.core.merge.positional import Positional
from proxy.core.split.query_list import QueryList
from proxy.core.splitting import Splitting
from proxy.core.types import Request
from proxy.errors import Fallback


def splitting(**more):
    return shop_rule(**more).splitting


@pytest.mark.parametrize(("ids", "least", "parts"), [("1,2,3", 2, 3), ("1", 2, None), ("1,2", 3, None)])
def test_few_parts_are_not_worth_it(ids, least, parts):
    cut = splitting(min_parts=least).cut(listed(ids))
    assert (cut and len(cut.parts)) == parts


def test_what_no_answer_could_be_put_together_for_is_a_fallback():
    with pytest.raises(Fallback):
        splitting().cut(listed("1,1"))


def test_a_part_is_asked_for_plain_whole_and_without_conditions():
    request = Request(
        "GET", b"/kept/shop?ids=1,2,3",
        ((b"host", b"a"), (b"accept-encoding", b"br"), (b"range", b"bytes=0-1"), (b"if-none-match", b'"a"')),
    )  # fmt: skip
    here = splitting()
    sent = here.asked(request, here.cut(request), [0, 2])
    assert (sent.target, sent.headers) == (
        b"/kept/shop?ids=1,3", ((b"host", b"a"), (b"accept-encoding", b"identity")),
    )  # fmt: skip


def test_where_no_answer_tells_whose_an_item_is_parts_are_asked_for_one_by_one():
    here = Splitting(QueryList("ids"), Positional("$.items"), bounds=Bounds("single", 3))
    assert here.residual.residual == ("each" if here.merge.one_each else "single")
    assert splitting(residual="single").residual.residual == "single"


def test_another_option_is_another_meaning():
    one, other = (Splitting(QueryList(name), Positional("$.items")) for name in ("ids", "id"))
    assert one.signature != other.signature


def test_what_is_said_of_a_request_is_said_of_its_only_part_too():
    here = splitting(min_parts=3)
    assert here.cut(listed("1")) is None
    assert [len(here.named(listed(ids)).parts) for ids in ("1", "1,2")] == [1, 2]
    assert len(here.cut(listed("1"), least=1).parts) == 1


def test_what_was_kept_in_one_generation_is_not_found_in_another():
    here = splitting()
    signed = [here.signed(generation) for generation in (0, 1, 2, 1)]
    assert signed[0] == here.signature
    assert len(set(signed)) == 3
    assert signed[1] == signed[3]
    other = Splitting(QueryList("ids"), Positional("$.items"))
    assert other.signed(1) not in signed
