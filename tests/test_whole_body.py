"""A body that is part of the key is read whole; one that is too long goes on as it was."""

import pytest
from fakes import Body

from proxy.core.types import Request
from proxy.whole_body import TooLong, with_whole_body


@pytest.mark.parametrize("chunks", [(), (b"a",), (b"abc", b"de"), (b"abcde", b"")])
async def test_a_body_that_is_short_enough(chunks):
    got = await with_whole_body(Request("POST", b"/", body=Body(*chunks)), 5)
    assert got.body == b"".join(chunks)


async def test_a_body_that_is_read_already_stays():
    request = Request("POST", b"/", body=b"abcdef")
    assert await with_whole_body(request, 5) is request


async def test_a_body_that_is_too_long_is_put_together_again():
    """What was read, then the rest as it arrives; closing it closes what it came from."""
    body = Body(b"abc", b"def", b"ghi")
    with pytest.raises(TooLong) as raised:
        await with_whole_body(Request("POST", b"/", body=body), 5)
    assert body.taken == 2
    again = raised.value.request.body
    assert [chunk async for chunk in again] == [b"abcdef", b"ghi"]
    await again.aclose()
    assert body.closed == 1
