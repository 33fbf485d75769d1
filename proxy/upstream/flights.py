"""The flights under way: who may join which, which were overtaken, and how many may wait."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from proxy.core.key import variant_key
from proxy.errors import UpstreamError
from proxy.tasks import Tasks
from proxy.upstream.collapse import Flight

MOST_FOLLOWERS, MOST_WAITING = 10_000, 50_000
"""Of one flight, and of all."""


class Flights:
    """The flights under way, by the place that they fetch for."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._joined: dict[bytes, Flight] = {}
        self._living: dict[bytes, list[Flight]] = {}
        """All of them, of one place in the order in which they began."""

    def __len__(self) -> int:
        return sum([len(living) for living in self._living.values()])

    def join(self, place: bytes) -> Flight | None:
        """Return the flight for `place` that still takes followers."""
        flight = self._joined.get(place)
        return flight if flight is not None and flight.takes_followers else None

    def disown(self, overtaken: Callable[[Flight], bool]) -> None:
        """Disown all flights that were overtaken: nobody joins them any more, and their answers are not kept."""
        for place, living in list(self._living.items()):
            for flight in [one for one in living if overtaken(one)]:
                if self._joined.get(place) is flight:
                    del self._joined[place]
                flight.disown()

    def overtake(self, newer: Flight, vary: tuple[bytes, ...]) -> None:
        """Disown those that began earlier for the same variant: there is a newer answer."""
        selected = variant_key(b"", vary, newer.request.headers)
        for older in list(self._living.get(newer.place, ())):
            if older is newer:
                return
            if variant_key(b"", vary, older.request.headers) == selected:
                older.disown()

    def is_crowded(self, flight: Flight) -> bool:
        """Tell whether nobody else may wait for this flight."""
        return (
            flight.followers >= MOST_FOLLOWERS or sum([one.followers for one in self._joined.values()]) >= MOST_WAITING
        )

    def under_way(self, place: bytes) -> bool:
        """Tell whether anything is being fetched for `place`."""
        return place in self._living

    def begin(self, place: bytes, flight: Flight) -> None:
        """Take a flight in; it can be disowned until it has landed."""
        flight.place = place
        self._living.setdefault(place, []).append(flight)

    def landed(self, place: bytes, flight: Flight) -> None:
        """Let go of a flight."""
        if self._joined.get(place) is flight:
            del self._joined[place]
        living = self._living.get(place, [])
        if flight in living:
            living.remove(flight)
        if not living:
            self._living.pop(place, None)

    def start(self, place: bytes, flight: Flight, fetch: Callable[[Flight], Coroutine[Any, Any, None]]) -> None:
        """Run `fetch` for a new flight; others may join it while it is kept."""
        if self.join(place) is None:
            self._joined[place] = flight
        self.begin(place, flight)
        task = self._tasks.start(self._run(place, flight, fetch))
        task.add_done_callback(lambda _: self._landed(place, flight))
        flight.begin(task)

    def _landed(self, place: bytes, flight: Flight) -> None:
        self.landed(place, flight)
        if not flight.ended:  # its task was cancelled before its first step
            flight.fail(UpstreamError("the fetch was ended"))

    async def _run(self, place: bytes, flight: Flight, fetch: Callable[[Flight], Coroutine[Any, Any, None]]) -> None:
        try:
            await fetch(flight)
        except UpstreamError as error:
            flight.fail(error)
        except asyncio.CancelledError:
            flight.fail(UpstreamError("the fetch was ended"))
            raise
        except Exception as error:
            flight.fail(error)
            raise
        finally:
            self._landed(place, flight)
            if flight.turn is not None:
                await flight.turn.end()
