"""Fetching again what is stored, behind its readers: nobody waits for it, and it takes only what clients leave."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from proxy.clock import Clock
from proxy.core.fair_queue import Priority
from proxy.core.refresh_ahead import is_due
from proxy.core.types import Entry
from proxy.core.validation import VALIDATED, has_validator, unconditional
from proxy.fetch import Fetch
from proxy.places import Asked, Found
from proxy.upstream.flights import Flights

_MOST_TRIED = 10_000


class Refresh:
    """Refreshes stale entries while they are served, and fresh ones before they are stale; `roll` is from 0 to 1."""

    def __init__(self, fetch: Fetch, flights: Flights, clock: Clock, roll: Callable[[], float]) -> None:
        self._fetch = fetch
        self._flights = flights
        self._clock = clock
        self._roll = roll
        self._tried: OrderedDict[bytes, float] = OrderedDict()

    def behind(self, found: Found, asked: Asked) -> None:
        """Fetch behind an answer, unless that is under way."""
        if asked.request.method == "HEAD" or self._flights.under_way(found.place):
            return
        whole = replace(asked, request=unconditional(asked.request), line=replace(asked.line))
        flight = self._fetch.flight(found, whole, kept=True)
        flight.unwatched, flight.patience_s, flight.priority = True, 0.0, Priority.REFRESH
        entry = found.entry
        can_be_asked = asked.request.method in VALIDATED and entry is not None and has_validator(entry.headers)
        stale = entry if can_be_asked else None
        self._flights.start(found.place, flight, lambda flight: self._fetch(found, flight, whole, stale))

    def ahead(self, found: Found, entry: Entry, asked: Asked) -> None:
        """Fetch again what will be stale soon: once for each that was stored, under a rule of the owner's."""
        if (
            asked.rule.ours
            or not is_due(entry, self._clock.wall(), 1 - self._roll())
            or self._tried.get(found.place) == entry.stored_at
        ):
            return
        self._tried[found.place] = entry.stored_at
        self._tried.move_to_end(found.place)
        if len(self._tried) > _MOST_TRIED:
            self._tried.popitem(last=False)
        self.behind(found, asked)
