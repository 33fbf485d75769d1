"""Tasks of the app: none is lost, none fails in silence, none outlives it."""

import asyncio
import threading

import pytest
from fakes import until

from proxy.tasks import Tasks, done_aside


async def test_a_task_is_held_until_it_is_done() -> None:
    """Nobody else needs to keep it."""
    tasks, done = Tasks(print), asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set()

    tasks.start(work())
    async with asyncio.timeout(5):
        await done.wait()
    await until(lambda: not tasks._tasks)


async def test_a_failure_is_told_once() -> None:
    """A cancellation is not one."""
    failures: list[BaseException] = []
    tasks = Tasks(failures.append)
    fault = ValueError("a fault")

    async def fail() -> None:
        raise fault

    tasks.start(fail())
    tasks.start(asyncio.sleep(60)).cancel()  # type: ignore[arg-type]  # it returns None all the same
    await until(lambda: not tasks._tasks)
    assert failures == [fault]


async def test_closing_ends_all_and_waits_for_their_end() -> None:
    """Also those that begin while others end."""
    tasks, ended = Tasks(print), []

    async def last() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("last")

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            tasks.start(last())
            await asyncio.sleep(0)
            ended.append("work")

    for _ in range(3):
        tasks.start(work())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await tasks.close()
        await tasks.close()
    assert ended.count("work") == 3
    assert not tasks._tasks


@pytest.mark.parametrize(("size", "is_aside"), [(0, False), (2**18, False), (2**18 + 1, True)])
async def test_work_on_much_is_done_where_it_holds_nobody_up(size: int, is_aside: bool) -> None:
    here = threading.get_ident()
    assert (await done_aside(size, threading.get_ident) != here) is is_aside
