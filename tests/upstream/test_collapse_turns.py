"""However a fetch and its readers take turns: a property of every interleaving."""

import asyncio

import pytest
from fakes import until
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.reasons import Reason
from proxy.core.types import Request, Response
from proxy.errors import Fallback, UpstreamCut
from proxy.tasks import Tasks
from proxy.upstream import collapse
from proxy.upstream.collapse import Flight, Reader
from proxy.upstream.flights import Flights

KEY = b"k" * 20
STORIES = st.fixed_dictionaries(
    {
        "pauses": st.lists(st.integers(0, 3), min_size=1, max_size=12),
        "spill": st.none() | st.integers(0, 12),
        "readers": st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3), st.none() | st.integers(0, 6)), max_size=5),
        "fails": st.booleans(),
    }
)


@settings(deadline=None, max_examples=150)
@given(story=STORIES)
def test_any_interleaving(story: dict) -> None:
    """However fetch and readers take turns, a reader gets a prefix of the body in order; one that stays gets it all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collapse, "WINDOW_BYTES", 3)
        asyncio.run(_play(story))


async def _play(story: dict) -> None:
    failures: list[BaseException] = []
    flights = Flights(Tasks(failures.append))
    body = b"".join(b"%02d" % number for number in range(len(story["pauses"])))

    async def fetch(flight: Flight) -> None:
        flight.open(Response(200), None)
        for number, pause in enumerate(story["pauses"]):
            if number == story["spill"]:
                flight.spill(Reason.TOO_LARGE)
            flight.add(b"%02d" % number)
            await flight.room()
            assert flight.kept or flight._bytes - flight._most_taken() <= 3
            for _ in range(pause):
                await asyncio.sleep(0)
        if story["fails"]:
            raise UpstreamCut("early")
        flight.end()

    async def read(reader: Reader, pause: int, most: int | None) -> None:
        got, ending = b"", "left"
        try:
            await reader.head()
            while most is None or len(got) < 2 * most:
                got += await anext(reader)
                for _ in range(pause):
                    await asyncio.sleep(0)
        except StopAsyncIteration:
            ending = "all"
        except UpstreamCut:
            ending = "cut"
        except Fallback:
            ending = "released"
        await reader.aclose()
        assert body.startswith(got)
        assert got == body if ending in {"all", "cut"} else True
        assert ending in {"left", "released", "cut" if story["fails"] else "all"}

    async def join(after: int, pause: int, most: int | None) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        if (flight := flights.join(KEY)) is not None:
            await read(flight.reader(lead=False), pause, most)

    flight = Flight(Request("GET", b"/"), kept=True)
    lead = flight.reader(lead=True)
    flights.start(KEY, flight, fetch)
    async with asyncio.timeout(10):
        await asyncio.gather(read(lead, 1, None), *[join(*reader) for reader in story["readers"]])
        await until(lambda: not len(flights))
    assert not flight._readers
    assert failures == []
