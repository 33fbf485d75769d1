"""What would become of a request is what does become of it: the road itself is asked."""

import pytest
from fakes import FakeClock, FakeEngine, answer
from world import World, asked, rule

from proxy.asked import Asked
from proxy.core.freshness import Act
from proxy.core.plan import directives_of
from proxy.core.rules import default_rule
from proxy.core.types import Outcome
from proxy.foreseen import foreseen

TAG, LANGUAGES = (b"etag", b'"1"'), (b"vary", b"accept-language")
RANGE, REST = (b"range", b"bytes=0-1"), (b"content-range", b"bytes 0-1/4")
WHOLE = answer(b"abcd", TAG)
PART = answer(b"ab", TAG, REST, status=206)
PART_AFTER = answer(b"cd", TAG, (b"content-range", b"bytes 2-3/4"), status=206)
AFTER = {"fresh": 10, "stale": 3610, "expired": 3700}
# what the upstream said to what, how long ago; what is asked now
SCENES = {
    "nothing": ([], 0, ()),
    **{name: ([((), WHOLE)], seconds, ()) for name, seconds in AFTER.items()},
    **{f"{name}, for a HEAD": ([((), WHOLE)], seconds, "HEAD") for name, seconds in AFTER.items()},
    **{f"{name}, only from the store": ([((), WHOLE)], seconds, (b"cache-control", b"only-if-cached")) for name, seconds in AFTER.items()},
    **{f"{name}, a new one is wanted": ([((), WHOLE)], seconds, (b"cache-control", b"no-cache")) for name, seconds in AFTER.items()},
    "a part, and it is wanted": ([(RANGE, PART)], 10, RANGE),
    "a part, and more is wanted": ([(RANGE, PART)], 10, ()),
    "a part, and another is wanted": ([(RANGE, PART)], 10, (b"range", b"bytes=2-3")),
    "as many variants as may be": ([((b"accept-language", b"%d" % number), answer(b"ok", LANGUAGES)) for number in range(10)], 10, (b"accept-language", b"de")),
}  # fmt: skip


@pytest.mark.parametrize(("before", "seconds", "now"), SCENES.values(), ids=SCENES)
async def test_the_road_takes_the_way_that_was_foreseen(before, seconds, now):
    clock = FakeClock()
    here = World(FakeEngine(clock=clock), rules=(rule(refresh=60.0), default_rule()), clock=clock)
    for field, said in before:
        here.engine.then(said)
        await here.ask(asked("/kept/a", *([field] if field else [])))
        await here.landed()
    clock.advance(seconds)
    request = asked("/kept/a", method="HEAD") if now == "HEAD" else asked("/kept/a", *([now] if now else []))
    line = here.serve._new_line(request)
    asks = Asked(request, here.rules[0], b"site.test", directives_of(request), line)
    verdict = foreseen(await here.places.find(asks), asks, clock.wall())
    here.engine.then(PART_AFTER if before and before[0][1] is PART else WHOLE)
    calls = len(here.engine.requests)
    await here.ask(request)
    assert (verdict.outcome, verdict.reason) == (here.last.outcome, here.last.reason)
    if verdict.act is not Act.REFRESH and verdict.outcome is not Outcome.ERROR:
        assert (verdict.act is Act.DELIVER) is (len(here.engine.requests) == calls)
