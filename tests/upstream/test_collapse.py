"""One fetch per key: what those who share it see, whoever comes and leaves in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from fakes import answer, until

from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.errors import Fallback, UpstreamCut, UpstreamError, UpstreamReset
from proxy.tasks import Tasks
from proxy.upstream import collapse
from proxy.upstream.collapse import Flight, Reader
from proxy.upstream.flights import Flights

KEY = b"k" * 20
REQUEST = Request("GET", b"/")
HEAD = answer(b"")
Fetch = Callable[[Flight], Awaitable[None]]


class Sky:
    """Flights with the tasks they run in, and what went wrong there."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.tasks = Tasks(self.failures.append)
        self.flights = Flights(self.tasks)

    def start(self, fetch: Fetch, *, kept: bool) -> tuple[Flight, Reader]:
        """Start a flight; return it and its leader."""
        flight = Flight(REQUEST, kept=kept)
        reader = flight.reader(lead=True)
        self.flights.start(KEY, flight, fetch)  # type: ignore[arg-type]  # tests hand in plain coroutines
        return flight, reader


@pytest.fixture
async def sky() -> AsyncIterator[Sky]:
    """Return a sky whose flights all end with the test."""
    sky = Sky()
    yield sky
    await sky.tasks.close()


class Steps:
    """A fetch that does one step of its story each time the test lets it."""

    def __init__(self, *steps: Callable[[Flight], object]) -> None:
        self._steps = steps
        self._go = asyncio.Semaphore(0)
        self.done = 0
        self.cancelled = False

    async def __call__(self, flight: Flight) -> None:
        try:
            for step in self._steps:
                await self._go.acquire()
                step(flight)
                self.done += 1
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    async def go(self, count: int = 1) -> None:
        """Do so many steps."""
        wanted = self.done + count
        for _ in range(count):
            self._go.release()
        await until(lambda: self.done >= wanted or self.cancelled)


def opened(reason: Reason | None = None) -> Callable[[Flight], None]:
    return lambda flight: flight.open(HEAD, reason)


def added(chunk: bytes) -> Callable[[Flight], None]:
    return lambda flight: flight.add(chunk)


def ended(flight: Flight) -> None:
    flight.end()


def failed(error: Exception) -> Callable[[Flight], None]:
    def fail(_: Flight) -> None:
        raise error

    return fail


async def whole(reader: Reader) -> bytes:
    """Read a reader's head and body to its end."""
    head = await reader.head()
    assert not isinstance(head.body, bytes)
    return b"".join([chunk async for chunk in head.body])


async def test_followers_read_from_the_first_byte(sky: Sky) -> None:
    """Whenever they come, they get it all; the head is everybody's."""
    fetch = Steps(opened(), added(b"one "), added(b"two "), ended)
    flight, lead = sky.start(fetch, kept=True)
    readers = [lead, flight.reader(lead=False)]
    for _ in range(3):
        await fetch.go()
        readers.append(flight.reader(lead=False))
    reading = [asyncio.create_task(whole(reader)) for reader in readers]
    await fetch.go()
    assert await asyncio.gather(*reading) == [b"one two "] * 5
    assert flight.body == b"one two "


async def test_bytes_reach_readers_before_the_end(sky: Sky) -> None:
    """A reader gets each chunk while the rest is still on its way."""
    fetch = Steps(opened(), added(b"early"), ended)
    _, lead = sky.start(fetch, kept=True)
    await fetch.go(2)
    head = await lead.head()
    assert (head.status, await anext(lead)) == (200, b"early")
    assert fetch.done == 2


async def test_a_kept_flight_goes_on_without_its_leader(sky: Sky) -> None:
    """A fetch that was paid for is completed, also when all have left."""
    fetch = Steps(opened(), added(b"all"), ended)
    flight, lead = sky.start(fetch, kept=True)
    await lead.aclose()
    await fetch.go(3)
    assert (fetch.cancelled, flight.body) == (False, b"all")


async def test_a_flight_that_is_not_kept_ends_with_its_last_reader(sky: Sky) -> None:
    """An answer that is nobody else's is not fetched for nobody."""
    fetch = Steps(opened(Reason.PRIVATE), added(b"mine"), ended)
    flight, lead = sky.start(fetch, kept=False)
    second = flight.reader(lead=True)
    await fetch.go(2)
    await lead.aclose()
    assert await anext(second) == b"mine"
    await second.aclose()
    await until(lambda: fetch.cancelled and not len(sky.flights))


async def test_a_refused_answer_that_nobody_waits_for_any_more_ends(sky: Sky) -> None:
    """A flight that everybody left was kept for the store only; once the store refuses it, it ends."""
    fetch = Steps(opened(Reason.NO_STORE), added(b"late"), ended)
    _, lead = sky.start(fetch, kept=True)
    await lead.aclose()
    await fetch.go()
    await until(lambda: fetch.cancelled)


async def test_a_flight_left_before_its_first_step_leaves_nothing_behind(sky: Sky) -> None:
    """Also a task that is cancelled before it began frees its key."""
    _, lead = sky.start(Steps(opened()), kept=False)
    await lead.aclose()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(sky.flights) == 0


@pytest.mark.parametrize("reason", [Reason.NO_STORE, Reason.SET_COOKIE, Reason.TOO_LARGE])
async def test_a_refused_answer_releases_its_followers_with_the_reason(reason: Reason, sky: Sky) -> None:
    """Who waited asks for itself; who asked first reads on."""
    fetch = Steps(opened(reason), added(b"mine"), ended)
    flight, lead = sky.start(fetch, kept=True)
    waiting = [asyncio.create_task(flight.reader(lead=False).head()) for _ in range(3)]
    await fetch.go()
    for one in waiting:
        with pytest.raises(Fallback) as told:
            await one
        assert told.value.reason == reason
    assert sky.flights.join(KEY) is None
    reading = asyncio.create_task(whole(lead))
    await fetch.go(2)
    assert await reading == b"mine"


@pytest.mark.parametrize("error", [UpstreamReset("no head"), ValueError("a fault of ours")])
async def test_an_error_before_the_head_reaches_all(error: Exception, sky: Sky) -> None:
    """Leader and followers are told the same; nobody waits for ever."""
    fetch = Steps(failed(error))
    flight, lead = sky.start(fetch, kept=True)
    readers = [lead, flight.reader(lead=False), flight.reader(lead=False)]
    waiting = [asyncio.create_task(reader.head()) for reader in readers]
    fetch._go.release()
    for one in waiting:
        with pytest.raises(type(error), match=str(error)):
            await one
    await until(lambda: not len(sky.flights))
    assert flight.takes_followers is False
    assert sky.failures == ([] if isinstance(error, UpstreamError) else [error])


async def test_an_error_in_the_body_comes_after_its_bytes(sky: Sky) -> None:
    """Each reader gets what arrived, then the error."""
    fetch = Steps(opened(), added(b"half"), failed(UpstreamCut("half")))
    flight, lead = sky.start(fetch, kept=True)
    await fetch.go(2)
    late = flight.reader(lead=False)
    fetch._go.release()
    await until(lambda: not len(sky.flights))
    for reader in (lead, late):
        assert await anext(reader) == b"half"
        with pytest.raises(UpstreamCut):
            await anext(reader)


async def test_closing_the_app_tells_all_who_wait(sky: Sky) -> None:
    """At shutdown readers get an error, not silence."""
    _, lead = sky.start(Steps(opened()), kept=True)
    waiting = asyncio.create_task(lead.head())
    await until(lambda: len(sky.flights))
    await asyncio.sleep(0)
    await sky.tasks.close()
    with pytest.raises(UpstreamError):
        await waiting


@pytest.mark.parametrize(
    ("kept", "steps", "may_join"),
    [
        (True, 0, True),
        (True, 1, True),
        (True, 2, True),
        (True, 3, False),
        (False, 0, False),
        (False, 1, True),
        (False, 2, True),
    ],
)
async def test_who_may_join(kept: bool, steps: int, may_join: bool, sky: Sky) -> None:
    """Others join from the moment that the answer is known to be for all, until the flight has landed."""
    fetch = Steps(opened(), added(b"x"), ended)
    sky.start(fetch, kept=kept)
    await fetch.go(steps)
    await asyncio.sleep(0)
    assert (sky.flights.join(KEY) is not None) is may_join


async def test_a_second_flight_does_not_push_out_one_that_takes_followers(sky: Sky) -> None:
    """Who wants something newer flies alone; others go on joining the first."""
    first, _ = sky.start(Steps(opened()), kept=True)
    second = Steps(opened(), ended)
    sky.start(second, kept=True)
    await second.go(2)
    await until(lambda: sky.flights.join(KEY) is first)


async def test_a_spilled_flight_waits_for_the_quickest_and_cuts_off_the_laggard(
    sky: Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upstream is read no further than WINDOW_BYTES ahead of one reader; who stops reading holds up nobody else."""
    monkeypatch.setattr(collapse, "WINDOW_BYTES", 10)
    most, made = 0, 0

    async def fetch(flight: Flight) -> None:
        nonlocal most, made
        flight.open(HEAD, None)
        flight.spill(Reason.TOO_LARGE)
        for made in range(1, 101):  # noqa: B007  the test looks at it
            flight.add(b"12345")
            await flight.room()
            most = max(most, sum(map(len, flight._chunks)))
        flight.end()

    flight = Flight(Request("GET", b"/"), kept=True, most_behind=50)
    lead, laggard = flight.reader(lead=True), flight.reader(lead=False)
    sky.flights.start(KEY, flight, fetch)
    await until(lambda: made == 3)
    for _ in range(50):
        await asyncio.sleep(0)
    assert made == 3, "the upstream waits for somebody"
    assert await whole(lead) == b"12345" * 100
    assert most <= 10 + 50 + 5
    with pytest.raises(UpstreamCut):
        await anext(laggard)


async def test_nobody_joins_a_spilled_flight(sky: Sky) -> None:
    """What was let go cannot be read from its first byte."""
    fetch = Steps(opened(), lambda flight: flight.spill(Reason.TOO_LARGE), added(b"x"))
    flight, lead = sky.start(fetch, kept=True)
    await fetch.go(2)
    assert sky.flights.join(KEY) is None
    assert flight.refused == Reason.TOO_LARGE
    await lead.aclose()
    await until(lambda: fetch.cancelled)
