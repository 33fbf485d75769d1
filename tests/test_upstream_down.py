"""An upstream that is down for long and comes back: stale answers throughout, and no herd when it is there again."""

import asyncio
import random

from fakes import FakeDelivery, LineKeeper
from virtual_time import VirtualClock, virtually
from world import World, asked, rule

from proxy.core.types import Request, Response
from proxy.errors import UpstreamRefused
from proxy.upstream.limit import Limit
from proxy.upstream.protection import Protection
from proxy.upstream.slots import OwnSlots

CEILING, KEYS, TAKES_S = 4, 12, 2.0
DOWN_S, ASKS_A_SECOND = 360.0, 10


class Service:
    """An upstream that takes no connections while it is down; `begun` is when it was asked."""

    def __init__(self) -> None:
        self.is_down = False
        self.begun: list[float] = []

    async def send(self, request: Request, *, fresh: bool = False) -> Response:
        self.begun.append(now())
        if self.is_down:
            raise UpstreamRefused("nobody listens")
        await asyncio.sleep(TAKES_S)
        return Response(200, ((b"content-length", b"2"),), b"ok")

    async def close(self) -> None:
        """Do nothing."""


def now() -> float:
    return asyncio.get_running_loop().time()


async def ask_for(here: World, seconds: float, dice: random.Random) -> list[FakeDelivery]:
    """Let clients ask for any of the keys, each as if alone; return what they got."""
    asking, until = [], now() + seconds
    while now() < until:
        asking.append(here.start(asked(f"/kept/{dice.randrange(KEYS)}")))
        await asyncio.sleep(1 / ASKS_A_SECOND)
    return await asyncio.gather(*asking)


@virtually
async def test_down_for_an_hour_and_back() -> None:
    clock, service, dice = VirtualClock(), Service(), random.Random(7)
    here = World(
        service, rules=(rule(ttl=30.0, error=7200.0),), clock=clock,
        protection=Protection(Limit(OwnSlots(), CEILING, clock), clock, LineKeeper().failed, most_wait_s=8.0),
    )  # fmt: skip
    await asyncio.gather(*[here.start(asked(f"/kept/{number}")) for number in range(KEYS)], return_exceptions=True)
    await ask_for(here, 60.0, dice)
    service.is_down = True
    down_since = now()
    got = await ask_for(here, DOWN_S, dice)
    assert {one.status for one in got} == {200}
    assert len([at for at in service.begun if at >= down_since]) <= DOWN_S, (
        "it is left alone but for a probe now and then"
    )
    service.is_down = False
    back, so_far = now(), len(service.begun)
    got = await ask_for(here, 30.0, dice)
    assert {one.status for one in got} == {200}
    first = next(at for at in service.begun[so_far:] if at >= back)
    assert first - back <= 10.0
    assert len([at for at in service.begun if first <= at < first + 1]) <= CEILING
    assert here.outcomes[-1] in {"hit", "expired", "collapsed"}
    assert here.protection.status().in_flight <= CEILING
    await here.tasks.close()
