"""How many may wait for one flight, and for all."""

from fakes import answer
from race import Race, said

from proxy.core.types import Request
from proxy.tasks import Tasks
from proxy.upstream import flights as module
from proxy.upstream.collapse import Flight
from proxy.upstream.flights import Flights


async def test_a_flight_is_crowded_by_its_own_or_by_all(monkeypatch):
    monkeypatch.setattr(module, "MOST_FOLLOWERS", 2)
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    flights, stop = Flights(Tasks(print)), []

    async def fetch(flight: Flight) -> None:
        stop.append(flight)
        await flight.room()

    first, second = (Flight(Request("GET", b"/"), kept=True) for _ in range(2))
    for place, flight in ((b"a", first), (b"b", second)):
        flights.start(place, flight, fetch)
    readers = [first.reader(lead=True)]
    assert not flights.is_crowded(first)
    readers.append(first.reader(lead=False))
    assert flights.is_crowded(first)
    assert not flights.is_crowded(second)
    readers.append(second.reader(lead=True))
    assert flights.is_crowded(second)
    for reader in readers:
        await reader.aclose()


async def test_who_comes_when_it_is_crowded_is_told_to_come_again(monkeypatch):
    monkeypatch.setattr(module, "MOST_FOLLOWERS", 1)
    race = Race()
    leading = await race.begins(said("one", cache_control="max-age=60"))
    got = await race.gets(answer(b"nobody asks"))
    assert (got.status, race.here.last.reason) == (503, "too_many")
    assert (await leading.ends()).body == b"one"
    assert race.calls == 1
