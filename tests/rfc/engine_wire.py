"""The whole road with a real engine and a socket, for what fakes cannot show: framing, trailers, interim answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wire import RawUpstream, Script
from world import World

from proxy.clock import SystemClock
from proxy.core.rules import default_rule
from proxy.upstream.address import Address
from proxy.upstream.aiohttp import Aiohttp


@asynccontextmanager
async def on_the_wire(script: Script) -> AsyncIterator[tuple[World, RawUpstream]]:
    """Yield a proxy and the upstream by hand behind it."""
    async with RawUpstream(script) as upstream:
        engine = Aiohttp(Address.parse(upstream.url), 5.0, SystemClock.timer)
        yield World(engine, rules=(default_rule(),)), upstream  # type: ignore[arg-type]  # an engine is an engine
        await engine.close()
