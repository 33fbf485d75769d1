"""A slow failure is told again for a moment, instead of being had again."""

import pytest
from fakes import FakeEngine, answer
from world import World, asked, rule

from proxy.core.rules import default_rule
from proxy.errors import UpstreamReset, UpstreamTimeout
from proxy.upstream.failures import Failures

ERROR = UpstreamTimeout("too slow")
LASTS = {"a quick one not at all": (5.0, 0.0), "6 s": (6.0, 1.0), "60 s": (60.0, 3.0), "180 s": (180.0, 5.0)}


def is_told(error):
    """Tell whether it is the same failure: the same words, and nothing that hangs on the first one."""
    return type(error) is UpstreamTimeout and error.args == ERROR.args and error.__traceback__ is None


@pytest.mark.parametrize(("took", "lasts"), LASTS.values(), ids=LASTS)
def test_how_long_it_is_told(took, lasts):
    failures = Failures()
    failures.note(b"k", ERROR, took, 100.0)
    told = [is_told(failures.lately(b"k", 100.0 + later)) for later in (0.0, lasts - 0.01, lasts)]
    assert told == ([True, True, False] if lasts else [False] * 3)
    assert failures.lately(b"other", 100.0) is None


def test_only_so_many_are_remembered():
    failures = Failures()
    for number in range(10_001):
        failures.note(b"%d" % number, ERROR, 60.0, 0.0)
    assert failures.lately(b"0", 0.0) is None
    assert is_told(failures.lately(b"10000", 0.0))


async def test_a_slow_failure_is_had_once_by_all_who_ask_within_the_moment():
    """No storm of new leaders against an upstream that fails after a minute."""
    here = World(FakeEngine(UpstreamReset("gone")), rules=(rule(safe=True),))
    here.engine._clock, here.engine._takes = here.clock, 60.0
    assert [(await here.ask()).status for _ in range(5)] == [502] * 5
    assert len(here.engine.requests) == 1
    here.clock.advance(3)
    here.engine.then(answer(b"well again"))
    assert (await here.ask()).body == b"well again"


def test_what_nobody_asked_for_again_was_remembered_for_ever():
    failures = Failures()
    for number in range(3):
        failures.note(b"%d" % number, ERROR, 60.0, 0.0)
    failures.note(b"later", ERROR, 60.0, 100.0)
    assert list(failures._failed) == [b"later"]


async def test_one_clients_failure_was_told_to_others():
    """What is for one client only may fail for that one only."""
    here = World(FakeEngine(UpstreamReset("gone")), rules=(default_rule(),))
    here.engine._clock, here.engine._takes = here.clock, 60.0
    assert (await here.ask()).status == 502
    here.engine.then(answer(b"well"))
    assert (await here.ask()).body == b"well"


async def test_who_wanted_something_newer_was_told_an_older_failure():
    here = World(FakeEngine(UpstreamReset("gone")))
    here.engine._clock, here.engine._takes = here.clock, 60.0
    assert (await here.ask()).status == 502
    here.engine.then(answer(b"well"))
    assert (await here.ask(asked("/kept/a", (b"cache-control", b"no-cache")))).body == b"well"
