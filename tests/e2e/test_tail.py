"""`frontrunner tail` of a proxy with several workers: each request once, in the order in which they ended."""

import asyncio
import os
import sys

import pytest
from running import TOKEN
from wire import reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {"workers": 3, "rules": [{"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h"}]}


async def tail(proxy, *arguments):
    command = [sys.executable, "-m", "proxy", "tail", "--url", proxy.url, *arguments]
    return await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=os.environ | {"FRONTRUNNER_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"}
    )


async def test_what_all_workers_answered_is_shown(proxy, upstream):
    upstream.routes[b"/kept/a"] = reply(200, b"a")
    for number in range(30):
        await proxy.ask("GET", f"/any/{number}")
    process = await tail(proxy, "--no-follow", "-n", "30")
    told, _ = await process.communicate()
    assert process.returncode == 0
    shown = [word for line in told.decode().splitlines() for word in line.split() if word.startswith("/any/")]
    assert shown == [f"/any/{number}" for number in range(30)]
    assert len(told.splitlines()) == 30


async def test_new_ones_are_shown_as_they_end(proxy):
    process = await tail(proxy, "-n", "0", "--rule", "kept")
    try:
        await asyncio.sleep(1.5)
        for _ in range(5):
            await proxy.ask("GET", "/kept/a")
        await proxy.ask("GET", "/any/more")
        async with asyncio.timeout(15):
            lines = [(await process.stdout.readline()).decode() for _ in range(5)]
        assert all("/kept/a" in line for line in lines)
    finally:
        process.terminate()
        await process.communicate()
