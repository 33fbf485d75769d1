"""Where jobs are found: notes that run out with who wrote them, answers that stay for a while, in bounded room."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from fakes import FailingStore, FakeClock, LineKeeper

from proxy import shelf as module
from proxy.core.job import KEEPS_S, Progress, result_of
from proxy.core.types import Entry, Response
from proxy.shelf import LEASE_S, MOST_RESULTS, Shelf
from proxy.store.memory import Memory
from proxy.store.sqlite import Sqlite

PLACE, OTHER = b"p" * 20, b"q" * 20
RUNS = Progress(1.0, ("authorization",), "who")


def result(clock: FakeClock, body: bytes = b"done") -> Entry:
    return result_of(Response(200), body, RUNS, "kept", clock.wall())


class Two:
    """The shelves of two processes that share what there is to share."""

    def __init__(self, store, shared) -> None:
        self.clock, self.log = FakeClock(), LineKeeper()
        self.store = store(self.clock)
        self.one, self.two = (
            Shelf(self.store, self.store if shared else None, self.clock, self.log.failed) for _ in range(2)
        )


@asynccontextmanager
async def two(kind, tmp_path):
    store = {"memory": lambda _: Memory(2**24), "sqlite": lambda clock: Sqlite(tmp_path / "s.sqlite", 2**24, clock)}
    here = Two(store[kind], shared=kind == "sqlite")
    yield here
    await here.store.close()
    assert here.log.failures == []


both = pytest.mark.parametrize("kind", ["memory", "sqlite"])


@both
async def test_a_job_runs_as_long_as_somebody_says_so(kind, tmp_path):
    """Of a process that was killed, nobody does."""
    async with two(kind, tmp_path) as here:
        assert await here.two.progress(PLACE) is None
        await here.one.note(PLACE, RUNS)
        assert (await here.two.progress(PLACE), await here.two.progress(OTHER)) == (RUNS, None)
        here.clock.advance(LEASE_S - 1)
        assert await here.two.progress(PLACE) == RUNS
        await here.one.note(PLACE, RUNS)
        here.clock.advance(LEASE_S - 1)
        assert await here.two.progress(PLACE) == RUNS
        here.clock.advance(1)
        assert await here.two.progress(PLACE) is None


@both
async def test_an_answer_stays_for_ten_minutes(kind, tmp_path):
    async with two(kind, tmp_path) as here:
        await here.one.put(PLACE, kept := result(here.clock))
        assert [await one.result(PLACE) for one in (here.one, here.two)] == [kept, kept]
        here.clock.advance(KEEPS_S - 1)
        assert await here.two.result(PLACE) == kept
        here.clock.advance(1)
        assert await here.two.result(PLACE) is None
        await here.one.sweep()
        assert (len(here.one), await here.store.get_many([PLACE])) == (0, [None])


@both
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_was_forgotten_by_one_is_so_for_all(kind, tmp_path, when):
    async with two(kind, tmp_path) as here:
        await here.one.note(PLACE, RUNS)
        if when == "after":
            await here.one.put(PLACE, result(here.clock))
        await here.two.forget(PLACE)
        if when == "before":
            await here.one.put(PLACE, result(here.clock))
        await here.one.note(PLACE, RUNS)
        assert [await one.is_forgotten(PLACE) for one in (here.one, here.two)] == [True, True]
        assert [await one.result(PLACE) for one in (here.one, here.two)] == [None, None]
        assert [await one.progress(PLACE) for one in (here.one, here.two)] == [None, None]
        assert not await here.two.is_forgotten(OTHER)


async def test_what_is_no_answer_is_not_handed_out(tmp_path):
    """A marker of the store is none."""
    async with two("memory", tmp_path) as here:
        await here.store.set_many({PLACE: Entry(0, (), b"", here.clock.wall(), 60.0)})
        assert await here.one.result(PLACE) is None


async def test_the_oldest_go_first_for_number_and_for_bytes(tmp_path, monkeypatch):
    async with two("memory", tmp_path) as here:
        places = [b"%020d" % number for number in range(MOST_RESULTS + 3)]
        for place in places:
            await here.one.put(place, result(here.clock, b"x"))
        assert len(here.one) == MOST_RESULTS
        assert [await here.one.result(place) is None for place in places[:4]] == [True, True, True, False]
        monkeypatch.setattr(module, "MOST_BYTES", 10)
        await here.one.put(PLACE, result(here.clock, b"123456"))
        assert len(here.one) == 5
        await here.one.put(OTHER, result(here.clock, b"123456"))
        assert [await here.one.result(place) is None for place in (places[-1], PLACE, OTHER)] == [True, True, False]


async def test_what_arrives_takes_the_place_of_what_is_old_but_not_of_what_arrives(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    async with two("memory", tmp_path) as here:
        await here.one.put(PLACE, result(here.clock, b"1234"))
        assert await here.one.reserve(6)
        assert await here.one.result(PLACE) is not None
        assert await here.one.reserve(1)
        assert await here.one.result(PLACE) is None
        assert not await here.one.reserve(4)
        here.one.give_back(6)
        assert await here.one.reserve(9)


async def test_a_store_that_fails_costs_the_answer_and_raises_nothing():
    clock, log = FakeClock(), LineKeeper()
    here = Shelf(FailingStore(), None, clock, log.failed)
    await here.note(PLACE, RUNS)
    await here.put(PLACE, result(clock))
    await here.forget(PLACE)
    assert (await here.progress(PLACE), await here.result(PLACE)) == (None, None)
    assert {type(error) for error, _ in log.failures} == {ConnectionError}


async def test_a_board_that_stands_still_holds_nobody_up(monkeypatch):
    class Stuck(Memory):
        async def pin(self, name, note, lasts_s):
            await asyncio.Event().wait()

        notes = pin

    monkeypatch.setattr(module, "BUDGET_S", 0.01)
    clock, log, store = FakeClock(), LineKeeper(), Stuck(2**20)
    store.notes = lambda prefix: store.pin(prefix, b"", 0.0)  # type: ignore[method-assign]
    here = Shelf(store, store, clock, log.failed)  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        await here.note(PLACE, RUNS)
        assert await here.progress(PLACE) is None
    assert [type(error) for error, _ in log.failures] == [TimeoutError] * 2
