"""Where processes find what each has counted."""

import asyncio

import pytest
from boards import Board
from fakes import FakeClock

from proxy.core.tally import Tally
from proxy.tally_notes import Moved, TallyNotes


@pytest.fixture
def board():
    return Board(FakeClock())


def tally(edition=0):
    return Tally("here", 2.0, 1.0, edition=edition)


async def test_tallies_by_name_but_those_that_cannot_be_read(board):
    notes = TallyNotes(board)
    await notes.pin("a b", tally())
    board.pinned["tally x"] = b"of another release"
    assert await notes.tallies() == {"a b": tally()}
    await notes.wipe("a b")
    assert await notes.tallies() == {}
    assert board.pinned == {"tally x": b"of another release"}, "it is left alone"


async def test_rings_belong_to_an_edition(board):
    notes = TallyNotes(board)
    for edition in (1, 2):
        for word in ("10s", "5m", "1h"):
            await notes.pin_ring("a", edition, word, {edition: b"span"})
    assert await notes.rings({"a": tally(2)}, ["5m"]) == {"a": {"5m": {2: b"span"}}}
    await notes.wipe_rings("a", 1)
    with pytest.raises(Moved):
        await notes.rings({"a": tally(1)})
    assert set((await notes.rings({"a": tally(2)}))["a"]) == {"10s", "5m", "1h"}


async def test_who_has_written_no_rings_yet_has_none(board):
    assert await TallyNotes(board).rings({"a": tally()}) == {"a": {}}


async def test_a_name_is_not_taken_for_another_that_begins_with_it(board):
    notes = TallyNotes(board)
    await notes.pin_ring("a", 10, "1h", {1: b"span"})
    assert await notes.rings({"a": tally(0)}, ["1h"]) == {"a": {}}
    with pytest.raises(Moved):
        await notes.rings({"a": tally(1)}, ["1h"])


async def test_one_at_a_time_is_alone(board):
    order = []

    async def work(name):
        async with TallyNotes(board).alone(name):
            order.append(name)
            await asyncio.sleep(0.03)
            order.append(name)

    await asyncio.gather(*[work(name) for name in "abc"])
    assert order[::2] == order[1::2]
    assert sorted(order[::2]) == ["a", "b", "c"]


async def test_who_cannot_be_alone_is_told(board, monkeypatch):
    monkeypatch.setattr("proxy.tally_notes.ALONE_S", 0.05)
    await board.lease(b"changes tallies".ljust(20, b"."), "another", 1000)
    with pytest.raises(TimeoutError):
        async with TallyNotes(board).alone("one"):
            pass
