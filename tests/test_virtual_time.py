"""The virtual loop that other tests stand on."""

import asyncio
import time

import pytest
from virtual_time import VirtualClock, run_virtually


def test_hours_pass_at_once_and_in_order():
    clock, seen = VirtualClock(), []

    async def sleeper(hours):
        await asyncio.sleep(hours * 3600)
        seen.append((hours, clock.timer()))

    async def main():
        began = clock.timer()
        async with asyncio.TaskGroup() as group:
            for hours in (3, 1, 2):
                group.create_task(sleeper(hours))
        return began

    before = time.perf_counter()
    began = run_virtually(main())
    assert time.perf_counter() - before < 5
    assert seen == [(hours, pytest.approx(began + hours * 3600)) for hours in (1, 2, 3)]


def test_a_deadlock_is_an_error():
    async def main():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="ever happen"):
        run_virtually(main())
