"""Those who earn trust know one another: what one finds out, the others act on."""

import pytest
from fakes import FakeEngine
from shop import Shop, listed
from trusted import two_rule
from world import World, asked

from proxy.core.rollout import NORMALIZE, SPLIT, Stage

# name → the stage, and what is found out of a split answer, a whole one and one to another spelling
FOUND = {
    "shadow: each whole answer is split as well": (Stage.SHADOW, {"reassembly": {"clean": 1}, "pair": {"clean": 1}}),
    "canary: each split answer is paired": (
        Stage.CANARY,
        {"reassembly": {"clean": 1}, "overlap": {"clean": 1}, "pair": {"clean": 1}},
    ),
}


@pytest.mark.parametrize(("stage", "checks"), FOUND.values(), ids=FOUND)
async def test_a_request_for_many_things_is_evidence_of_its_split(stage, checks):
    shop = Shop()
    here = World(FakeEngine(shop), rules=(two_rule(stage, None if stage is Stage.SHADOW else 100.0),))
    got = await here.ask(listed("1,2"))
    await here.settled()
    await here.settled()
    assert here.trials.told("kept", SPLIT)["checks"] == checks
    assert (got.status, shop.bodies) == (200, ["1,2", "1,2"])


async def test_two_spellings_of_one_question_are_evidence_of_its_key():
    here = World(FakeEngine(Shop()), rules=(two_rule(Stage.SHADOW, None),))
    for target in ("/kept/shop?ids=1&lang=de", "/kept/shop?lang=de&ids=1"):
        await here.ask(asked(target))
        await here.settled()
        await here.settled()
    assert here.trials.told("kept", NORMALIZE)["checks"] == {"normalization": {"clean": 1}}
    assert len(here.engine.requests) == 2, "that cost no call"
