"""A body is copied while it goes by, and never held up."""

import pytest
from fakes import Body

from proxy.copied import Copied, Unread

BODIES = {
    "nothing": ((), 5, None, b""),
    "as long as may be": ((b"abc", b"de"), 5, None, b"abcde"),
    "one byte more": ((b"abc", b"def"), 5, None, None),
    "nothing is wanted": ((b"a",), 0, None, None),
}


@pytest.mark.parametrize(("chunks", "most", "length", "copy"), BODIES.values(), ids=BODIES)
async def test_all_goes_by_and_the_copy_is_of_what_is_short_enough(chunks, most, length, copy):
    body = Copied(Body(*chunks), most, length)
    assert [chunk async for chunk in body] == list(chunks)
    assert (body.copy, body.bytes, body.complete) == (copy, sum(map(len, chunks)), True)
    assert body.known.is_set()


async def test_there_is_no_copy_of_what_did_not_end():
    body = Copied(Body(b"abc", ends=False), 5, None)
    await anext(body)
    assert (body.copy, body.complete, body.known.is_set()) == (None, False, False)


async def test_it_is_known_at_once_that_it_is_too_long():
    body = Copied(Body(b"abcdef", ends=False), 5, None)
    await anext(body)
    assert (body.copy, body.complete, body.known.is_set()) == (None, False, True)


async def test_who_has_as_much_as_was_promised_has_all():
    """Its reader need not come back for the end."""
    body = Copied(Body(b"abc", b"de", ends=False), 5, 5)
    await anext(body)
    assert not body.complete
    await anext(body)
    assert (body.copy, body.complete) == (b"abcde", True)


async def test_closing_it_closes_what_it_came_from():
    inner = Body(b"abc")
    await Copied(inner, 5, None).aclose()
    assert inner.closed == 1


async def test_what_is_not_read_is_empty():
    assert [chunk async for chunk in Unread()] == []
    await Unread().aclose()
