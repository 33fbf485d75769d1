"""A slow failure is told again for a moment, instead of being had again."""

import pytest
from fakes import FakeEngine, answer
from world import World, rule

from proxy.errors import UpstreamReset, UpstreamTimeout
from proxy.upstream.failures import Failures

ERROR = UpstreamTimeout("too slow")
LASTS = {"a quick one not at all": (5.0, 0.0), "6 s": (6.0, 1.0), "60 s": (60.0, 3.0), "180 s": (180.0, 5.0)}


@pytest.mark.parametrize(("took", "lasts"), LASTS.values(), ids=LASTS)
def test_how_long_it_is_told(took, lasts):
    failures = Failures()
    failures.note(b"k", ERROR, took, 100.0)
    told = [failures.lately(b"k", 100.0 + later) is ERROR for later in (0.0, lasts - 0.01, lasts)]
    assert told == ([True, True, False] if lasts else [False] * 3)
    assert failures.lately(b"other", 100.0) is None


def test_only_so_many_are_remembered():
    failures = Failures()
    for number in range(10_001):
        failures.note(b"%d" % number, ERROR, 60.0, 0.0)
    assert failures.lately(b"0", 0.0) is None
    assert failures.lately(b"10000", 0.0) is ERROR


async def test_a_slow_failure_is_had_once_by_all_who_ask_within_the_moment():
    """No storm of new leaders against an upstream that fails after a minute."""
    here = World(FakeEngine(UpstreamReset("gone")), rules=(rule(safe=True),))
    here.engine._clock, here.engine._takes = here.clock, 60.0
    assert [(await here.ask()).status for _ in range(5)] == [502] * 5
    assert len(here.engine.requests) == 1
    here.clock.advance(3)
    here.engine.then(answer(b"well again"))
    assert (await here.ask()).body == b"well again"
