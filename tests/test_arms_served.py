"""Arms on the whole road: who may force one, what is served then, what is logged, and what the upstream gets to see."""

import pytest
from fakes import FakeClock, FakeDelivery, FakeEngine, answer
from shop import Shop, in_front, splitting_rule
from world import ADMIN_TOKEN, HOST, World, asked, rule

from proxy.core.rollout import Stage
from proxy.core.rules import default_rule
from proxy.purge import Wanted
from proxy.rollouts import ALL

BEARER = (b"authorization", b"Bearer " + ADMIN_TOKEN)
ALIASES = {b"/shop-split": "candidate", b"/shop-whole": "control"}
STAGES = [Stage.OFF, Stage.SHADOW, Stage.ON]


def forced(value: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return (BEARER, (b"frontrunner-arm", value))


async def split(world: World, target: str, *fields: tuple[bytes, bytes]) -> tuple[FakeDelivery, bool]:
    """Ask; tell whether the answer was put together from parts."""
    said = await world.ask(asked(target, *fields))
    await world.settled()
    return said, b"parts=" in (said.header(b"cache-status") or b"")


@pytest.mark.parametrize("stage", STAGES)
async def test_the_bearer_of_the_token_forces_an_arm(stage: Stage) -> None:
    here = in_front(splitting_rule(stage=stage))
    _, by_parts = await split(here, "/shop?ids=1,2", *forced(b"candidate"))
    assert (by_parts, here.last.arm) == (True, "candidate")
    _, by_parts = await split(here, "/shop?ids=2,3", *forced(b"control"))
    assert (by_parts, here.last.arm) == (False, "control")


@pytest.mark.parametrize("stage", STAGES)
async def test_nobody_else_does(stage: Stage) -> None:
    for fields in [(forced(b"candidate")[1],), (forced(b"control")[1],), forced(b"both")]:
        here = in_front(splitting_rule(stage=stage))
        _, by_parts = await split(here, "/shop?ids=1,2", *fields)
        assert (by_parts, here.last.arm) == (stage is Stage.ON, "candidate" if stage is Stage.ON else None)


async def test_the_token_goes_no_further() -> None:
    """Neither upstream nor into a key; what somebody without it sends goes up as it came."""
    here = in_front()
    for fields in [forced(b"candidate"), forced(b"control"), forced(b"?"), (BEARER,)]:
        await split(here, "/shop?ids=1,2", *fields, (b"x-a", b"1"))
    await split(here, "/else?ids=1", *forced(b"control"))
    assert all(
        name not in sent.fields for sent in here.engine.requests for name in (b"authorization", b"frontrunner-arm")
    )
    assert here.outcomes == ["miss", "miss", "hit", "hit", "passthrough:no_rule"]
    await here.ask(asked("/else?ids=1", forced(b"control")[1], (b"authorization", b"Bearer x")))
    assert here.engine.requests[-1].headers[:3] == (HOST, forced(b"control")[1], (b"authorization", b"Bearer x"))


STOPS = {
    "the kill switch": lambda world: world.rollouts.set(ALL, Stage.OFF),
    "the rule's own": lambda world: world.rollouts.set("shop", Stage.OFF),
    "a mismatch": lambda world: world.rollouts.demote("shop"),
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
@pytest.mark.parametrize(
    ("target", "fields"), [("/shop", forced(b"candidate")), ("/shop-split", ())], ids=["field", "alias"]
)
async def test_what_stops_a_split_beats_what_forces_it(stop, target, fields) -> None:
    here = in_front(splitting_rule(aliases=ALIASES))
    stop(here)
    said, by_parts = await split(here, f"{target}?ids=1,2", *fields)
    assert (said.status, by_parts, here.last.arm) == (200, False, "control")


@pytest.mark.parametrize("stage", STAGES)
async def test_an_alias_is_keyed_and_forwarded_as_the_rules_own_path(stage: Stage) -> None:
    here = in_front(splitting_rule(aliases=ALIASES, stage=stage))
    _, by_parts = await split(here, "/shop-split?ids=1,2")
    assert (by_parts, here.last.rule, here.last.arm, here.last.path) == (True, "shop", "candidate", "/shop-split")
    _, by_parts = await split(here, "/shop-whole?ids=1,2")
    assert (by_parts, here.last.arm, here.outcomes) == (False, "control", ["miss", "miss"])
    await split(here, "/shop?ids=1,2")
    assert here.outcomes[-1] == "hit", "what an alias fetched is the path's own"
    assert {sent.path for sent in here.engine.requests} == {b"/shop"}


async def test_the_field_beats_the_alias() -> None:
    here = in_front(splitting_rule(aliases=ALIASES))
    _, by_parts = await split(here, "/shop-split?ids=1,2", *forced(b"control"))
    assert (by_parts, here.last.arm) == (False, "control")


async def test_what_passes_by_an_alias_reaches_the_path_whole() -> None:
    here = in_front(splitting_rule(aliases=ALIASES))
    await here.ask(asked("/shop-split?ids=1,2", (b"cookie", b"a=1")))
    here.bypass.turn(on=True)
    await here.ask(asked("/shop-split?ids=1,2"))
    assert [sent.target for sent in here.engine.requests] == [b"/shop?ids=1,2"] * 2
    assert (here.outcomes, here.last.arm) == (["passthrough:cookie", "passthrough:bypass"], "control")


async def test_a_rule_that_does_not_split_has_no_arms() -> None:
    here = World(
        FakeEngine(answer()),
        rules=(rule("kept", "/kept", own_path=b"/kept", aliases={b"/b": "candidate"}), default_rule()),
    )
    await here.ask(asked("/b"))
    await here.ask(asked("/kept", *forced(b"candidate")))
    assert (here.outcomes, [line.arm for line in here.log.requests]) == (["miss", "hit"], [None, None])


async def test_an_alias_is_purged_and_explained_as_the_path() -> None:
    clock = FakeClock()
    here = World(FakeEngine(*[Shop()] * 9, clock=clock), rules=(splitting_rule(aliases=ALIASES),), clock=clock)
    await split(here, "/shop-whole?ids=1,2")
    told = [await here.explain(asked(f"{path}?ids=1,2")) for path in ("/shop", "/shop-whole")]
    assert told[1]["split"].pop("whole") == "its arm is control"
    assert told[0] == told[1]
    assert told[0]["entry"]["state"] == "fresh"
    assert await here.purge(Wanted("url", request=asked("/shop-split?ids=1,2"))) is True
    assert (await here.explain(asked("/shop?ids=1,2")))["entry"] is None
