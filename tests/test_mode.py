"""The mode is asked for each request: whoever turns it needs no restart."""

from fakes import FakeEngine, answer
from world import World

from proxy.mode import Mode


async def test_it_is_turned_while_requests_are_served():
    """What was stored while observing is served from then on; back in observe, it is not."""
    here = World(FakeEngine(answer(b"one"), answer(b"two"), answer(b"three")), mode=Mode(observing=True))
    bodies = []
    for observing in (True, False, True):
        here.mode.observing = observing
        bodies.append((await here.ask()).body)
        await here.settled()
    assert bodies == [b"one", b"one", b"two"]
    assert here.outcomes == ["passthrough:observe", "hit", "passthrough:observe"]


def test_nothing_is_observed_unless_told():
    assert not Mode().observing
