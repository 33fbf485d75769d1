"""A job's answer while it arrives: whole or not at all, in bounded room, and never for ever."""

import asyncio

import pytest
from fakes import Body, FakeClock, LineKeeper, answer

from proxy import shelf as of_shelf
from proxy.arrival import Arrival
from proxy.errors import Refusal, UpstreamCut, UpstreamTimeout
from proxy.shelf import Shelf
from proxy.store.memory import Memory


def shelf():
    clock = FakeClock()
    return Shelf(Memory(2**20), None, clock, LineKeeper().failed)


@pytest.mark.parametrize("chunks", [(), (b"a",), (b"ab", b"", b"cd"), (b"abcdefghij",)])
async def test_an_answer_is_read_to_its_end_and_let_go_of(chunks):
    body = Body(*chunks)
    assert await Arrival(shelf(), 10, None).read(answer(body)) == b"".join(chunks)
    assert body.closed == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (answer(b"x" * 11), "too_large"),
        (answer(Body(b"x" * 6, b"x" * 5)), "too_large"),
        (answer(Body(ends=False), (b"content-length", b"11")), "too_large"),
        (answer(Body(ends=False), (b"content-type", b"Text/Event-Stream; charset=utf-8")), "event_stream"),
    ],
)
async def test_what_is_too_large_or_has_no_end_is_told_so(said, reason):
    async with asyncio.timeout(5):
        with pytest.raises(Refusal) as raised:
            await Arrival(shelf(), 10, None).read(said)
    assert (raised.value.status, raised.value.reason) == (507, reason)
    assert isinstance(said.body, bytes) or said.body.closed == 1


async def test_an_upstream_that_falls_silent():
    body = Body(b"a", ends=False)
    with pytest.raises(UpstreamTimeout):
        await Arrival(shelf(), 10, 0.01).read(answer(body))
    assert body.closed == 1


async def test_what_the_body_fails_with_is_what_is_raised():
    with pytest.raises(UpstreamCut):
        await Arrival(shelf(), 10, None).read(answer(Body(b"a", ends=False).fail(UpstreamCut("1 byte of 2"))))


async def test_those_that_arrive_share_their_room(monkeypatch):
    """Who comes last finds none, until another gives it back."""
    monkeypatch.setattr(of_shelf, "MOST_BYTES", 10)
    here = shelf()
    first = Arrival(here, 100, None)
    await first.read(answer(b"x" * 8))
    with pytest.raises(Refusal):
        await (late := Arrival(here, 100, None)).read(answer(Body(b"x", b"xx")))
    late.give_back()
    first.give_back()
    first.give_back()
    assert await Arrival(here, 100, None).read(answer(b"x" * 10)) == b"x" * 10
