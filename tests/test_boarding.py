"""How long a rule's answers usually take, and how long one waits for what another asked."""

import pytest
from fakes import FakeClock, FakeEngine, answer
from world import World, asked


async def test_what_is_usual_is_learned_from_those_who_led():
    clock = FakeClock()
    here = World(FakeEngine(answer(b"a"), clock=clock, takes=4.0), clock=clock)
    assert here.boarding.usual_s("kept") is None
    for name in "abc":
        await here.ask(asked(f"/kept/{name}"))
    assert here.boarding.usual_s("kept") == pytest.approx(4.0, rel=0.02)
    assert here.boarding.usual_s("another") is None
