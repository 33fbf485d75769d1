"""Fetching again what is stored, behind its readers: nobody waits for it, and it takes only what clients leave."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from math import inf

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.fair_queue import Priority
from proxy.core.log_line import Purpose
from proxy.core.refresh_ahead import is_due
from proxy.core.types import Entry
from proxy.core.validation import VALIDATED, for_nobody, has_validator
from proxy.fetch import Fetch
from proxy.places import Found
from proxy.upstream.flights import Flights
from proxy.upstream.protection import Protection

AGAIN_S = 1.0
"""How soon a fetch for the same is begun again at the earliest: another process may be at it."""
_MOST = 10_000


class Refresh:
    """Refreshes stale entries while they are served, and fresh ones before they are stale; `roll` is from 0 to 1."""

    def __init__(
        self, fetch: Fetch, flights: Flights, protection: Protection, clock: Clock, roll: Callable[[], float]
    ) -> None:
        self._fetch = fetch
        self._flights = flights
        self._protection = protection
        self._clock = clock
        self._roll = roll
        self._begun: OrderedDict[bytes, float] = OrderedDict()
        self._tried: OrderedDict[bytes, float] = OrderedDict()

    def behind(self, found: Found, asked: Asked) -> bool:
        """Fetch behind an answer, if that is not under way and clients leave room for it; tell whether it was begun."""
        now, place = self._clock.timer(), found.place
        is_soon = now < self._begun.get(place, -inf) + AGAIN_S
        if asked.request.method == "HEAD" or is_soon or self._flights.under_way(place) or not self._has_room():
            return False
        _remember(self._begun, place, now)
        whole = replace(asked, request=for_nobody(asked.request), line=replace(asked.line), directives={})
        flight = self._fetch.flight(found, whole, kept=True)
        flight.unwatched, flight.patience_s, flight.priority = True, 0.0, Priority.REFRESH
        flight.call.purpose = Purpose.REFRESH
        entry = found.entry
        can_be_asked = asked.request.method in VALIDATED and entry is not None and has_validator(entry.headers)
        stale = entry if can_be_asked else None
        self._flights.start(found.place, flight, lambda flight: self._fetch(found, flight, whole, stale))
        return True

    def _has_room(self) -> bool:
        """Tell whether it would go upstream now: who waits for that must not have others wait for what it fetches."""
        now = self._protection.status()
        spare = now.limit is None or now.in_flight < max(1, int(now.limit) - 1)
        return spare and not now.waiting

    def ahead(self, found: Found, entry: Entry, asked: Asked) -> None:
        """Fetch again what will be stale soon: once for each that was stored, under a rule of the owner's."""
        is_tried = self._tried.get(found.place) == entry.stored_at
        if asked.rule.ours or is_tried or not is_due(entry, self._clock.wall(), 1 - self._roll()):
            return
        if self.behind(found, asked):
            _remember(self._tried, found.place, entry.stored_at)


def _remember(known: OrderedDict[bytes, float], place: bytes, at: float) -> None:
    known[place] = at
    known.move_to_end(place)
    if len(known) > _MOST:
        known.popitem(last=False)
