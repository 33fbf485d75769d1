"""An answer is read to its end, or given up where it is too large; either way nothing of it is left open."""

import pytest
from fakes import Body

from proxy.core.types import Response
from proxy.whole_answer import let_go, whole_answer

SIZES = [(9, b"one two"), (7, b"one two"), (6, None), (0, None)]


@pytest.mark.parametrize(("most", "read"), SIZES)
async def test_a_body_that_arrives(most, read):
    body = Body(b"one ", b"two")
    assert await whole_answer(Response(200, (), body), most) == read
    assert body.closed


@pytest.mark.parametrize(("most", "read"), SIZES)
async def test_a_body_that_is_there(most, read):
    assert await whole_answer(Response(200, (), b"one two"), most) == read


async def test_to_let_go_closes_what_can_be_closed():
    body = Body(b"one")
    await let_go(Response(200, (), body))
    await let_go(Response(200, (), b"one"))
    assert body.closed
