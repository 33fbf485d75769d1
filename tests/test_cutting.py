"""What may be kept of an answer apart, and for how long."""

import pytest
from fakes import answer
from shop import FRESH, Shop, listed, shop_rule

from proxy.core.reasons import Reason
from proxy.core.storing import decide
from proxy.cutting import cut_answer, not_for_parts

NOT = {
    "no-store": ((b"cache-control", b"no-store"), Reason.NO_STORE),
    "private": ((b"cache-control", b"private"), Reason.PRIVATE),
    "a cookie": ((b"set-cookie", b"a=b"), Reason.SET_COOKIE),
    "a field kept from others": ((b"cache-control", b'private="x-a"'), Reason.NO_TTL),
    "as compressed as asked": ((b"vary", b"Accept-Encoding"), None),
    "by what nobody sent": ((b"vary", b"X-A"), None),
}


@pytest.mark.parametrize(("field", "reason"), NOT.values(), ids=NOT)
def test_what_is_one_clients_own_is_nobodys_part(field, reason):
    rule, request = shop_rule(), listed("1,2")
    response = answer(b"{}", FRESH, field)
    storing = decide(request, response, rule, 1e9, 0.0)
    assert not_for_parts(response, storing, request) == reason


def test_an_answer_is_cut_as_it_came():
    splitting, request = shop_rule().splitting, listed("1,2")
    said = Shop()(request)
    cut = splitting.cut(request)
    sliced, plain = cut_answer(splitting, cut, [0, 1], said, said.body)
    assert plain == said.body
    assert splitting.merge.merge(sliced.frame, cut.parts, sliced.shares, splitting.limits) == said.body
