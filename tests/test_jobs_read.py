"""A job that others may ask for: who may, where, and until when; the road is the real one."""

import asyncio
from typing import Any

import pytest
from fakes import FailingStore, FakeEngine, Held, answer, held_by, until
from job_asking import ASYNC, ended, read, told, url_of
from world import World, asked, rule

from proxy import jobs
from proxy.core.job import KEEPS_S, Progress
from proxy.errors import Refusal
from proxy.shelf import LEASE_S
from proxy.store.memory import Memory

NO_STORE = (b"cache-control", b"no-store")


async def status_of(here: World, url: str) -> int:
    try:
        return (await read(here, url)).status
    except Refusal as error:
        return error.status


def other(here: World) -> World:
    """Return another process of the same proxy."""
    return World(here.engine, here.rules, here.store, clock=here.clock, shared=here.shared)


async def test_every_process_tells_of_every_job() -> None:
    one = World(FakeEngine(held := Held(answer(b"done"))))
    two = other(one)
    url = url_of(await one.ask(asked("/kept/a", ASYNC)))
    assert (await told(two, url))["state"] == "running"
    held.go.set()
    await ended(one)
    assert (await read(two, url)).body == b"done"


async def test_a_job_whose_process_died_is_not_there_any_more() -> None:
    one = World(FakeEngine(Held(answer())))
    two = other(one)
    url = url_of(await one.ask(asked("/kept/a", ASYNC)))
    await one.tasks.close()
    one.clock.advance(LEASE_S + 1)
    assert await status_of(two, url) == 404


async def test_a_job_that_runs_on_is_told_of_on_and_on(monkeypatch: Any) -> None:
    """Its process renews the note before that runs out, and takes away what nobody fetched."""
    monkeypatch.setattr(jobs, "BEAT_S", 0.0)
    one = World(FakeEngine(held := Held(answer(b"done"))), store=(store := Memory(2**20)))
    two = other(one)
    url = url_of(await one.ask(asked("/kept/a", ASYNC)))
    for _ in range(3):
        one.clock.advance(LEASE_S - 1)
        async with asyncio.timeout(5):
            while max(note.stored_at for note in (await held_by(store)).values()) < one.clock.wall():
                await asyncio.sleep(0)
        assert (await told(two, url))["state"] == "running"
    held.go.set()
    await ended(one)
    one.clock.advance(KEEPS_S)
    await until(lambda: not len(one.shelf))
    assert await status_of(one, url) == 404


async def test_others_have_their_turn_between_the_jobs_that_are_told_of(monkeypatch: Any) -> None:
    monkeypatch.setattr(jobs, "BEAT_S", 0.01)
    here = World(FakeEngine(*[held := Held(answer(b"done"))] * 100))
    for number in range(100):
        await here.ask(asked(f"/kept/{number}", ASYNC))
    noted, at_once = 0, []

    async def note(place: bytes, progress: Progress) -> None:
        nonlocal noted
        noted += 1

    monkeypatch.setattr(here.shelf, "note", note)
    async with asyncio.timeout(5):
        while noted < 100:
            before = noted
            await asyncio.sleep(0)
            at_once.append(noted - before)
    assert max(at_once) <= jobs.NOTED_AT_ONCE
    held.go.set()
    await ended(here, 100)


MINE = ((b"authorization", b"Basic bWU="), (b"cookie", b"a=1"), (b"x-key", b"k"))
NOT_MINE = {
    "nobody": (),
    "another's": ((b"authorization", b"Basic eW91"), *MINE[1:]),
    "without a cookie": (MINE[0], MINE[2]),
    "one cookie more": (*MINE, (b"cookie", b"b=2")),
    "without what the rule keys by": MINE[:2],
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("who", NOT_MINE)
async def test_only_whoever_made_it(who: str, method: str) -> None:
    private = rule(private_by=(b"authorization", b"x-key"), cookies=(b"a",))
    here = World(FakeEngine(held := Held(answer(b"mine"))), (private,))
    url = url_of(await here.ask(asked("/kept/a", ASYNC, *MINE)))
    for state in ("running", "done"):
        with pytest.raises(Refusal) as refused:
            await read(here, url, *NOT_MINE[who], method=method)
        assert (refused.value.status, refused.value.reason) == (401, "credentials"), state
        assert (await read(here, url, *MINE)).status == 200, state
        held.go.set()
        await ended(here)


async def test_forgotten_while_it_runs_its_fetch_goes_on() -> None:
    here = World(FakeEngine(held := Held(answer(b"done"))))
    url = url_of(await here.ask(asked("/kept/a", ASYNC)))
    assert (await read(here, url, method="DELETE")).status == 204
    assert await status_of(here, url) == 404
    held.go.set()
    await ended(here)
    assert await status_of(here, url) == 404
    assert ((await here.ask()).body, here.outcomes[-1]) == (b"done", "hit")


async def test_an_answer_is_there_for_ten_minutes() -> None:
    here = World(FakeEngine(held := Held(answer(b"done", NO_STORE))))
    url = url_of(await here.ask(asked("/kept/a", ASYNC)))
    held.go.set()
    await ended(here)
    here.clock.advance(KEEPS_S - 1)
    assert (await read(here, url)).body == b"done"
    here.clock.advance(1)
    assert await status_of(here, url) == 404


@pytest.mark.parametrize("name", ["", "1", "g" * 32, "A" * 32, "0" * 32, "0" * 33, "../" * 10])
async def test_an_unknown_name_is_a_404(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        await World().jobs.answer(asked("/x"), name)
    assert (refused.value.status, refused.value.reason) == (404, "unknown_name")


async def test_beyond_so_many_jobs_clients_wait_as_ever(monkeypatch: Any) -> None:
    monkeypatch.setattr(jobs, "MOST_JOBS", 1)
    here = World(FakeEngine(first := Held(answer(b"1")), second := Held(answer(b"2"))))
    assert (await here.ask(asked("/kept/a", ASYNC))).status == 202
    task = here.start(asked("/kept/b", ASYNC))
    await until(second.asked.is_set)
    second.go.set()
    got = await task
    assert (got.status, got.body) == (200, b"2")
    first.go.set()
    await ended(here)


async def test_a_store_that_is_down_costs_the_jobs_answer_and_nothing_else() -> None:
    here = World(FakeEngine(held := Held(answer(b"done"))), store=FailingStore())
    got = await here.ask(asked("/kept/a", ASYNC))
    assert (got.status, (await told(here, url_of(got)))["state"]) == (202, "running")
    held.go.set()
    await ended(here)
    assert (await status_of(here, url_of(got)), here.ended[0].status) == (404, 200)
