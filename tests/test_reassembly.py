"""What plain answers tell of a split before it serves any: each is cut, put together again, and compared."""

import json

import pytest
from fakes import FakeEngine, answer
from shop import FRESH, Shop, listed, shop_rule, whole, world
from world import World, asked

from proxy.core.merge.keyed import Keyed
from proxy.core.splitting import Stage


def anew(ids):
    """Return the request of a client who wants nothing stored: it goes upstream whole."""
    return asked(f"/kept/shop?ids={ids}&lang=de", (b"cache-control", b"no-cache"))


async def test_in_shadow_it_counts_what_is_equal_and_keeps_nothing():
    here, shop = world(stage=Stage.SHADOW)
    for ids in ("1,2", "2,3"):
        await here.ask(listed(ids))
        await here.landed()
    assert here.reassembly.status("kept") == {"equal": 2, "different": 0, "not_cut": {}}
    assert len(shop.asked) == 2


async def test_where_splits_are_served_a_whole_answers_parts_are_kept_for_free():
    here, shop = world()
    await here.ask(anew("1,2"))
    await here.landed()
    got = await here.ask(listed("2,1"))
    assert (got.body, shop.bodies) == (await whole(shop, "2,1"), ["1,2"])
    assert (here.last.parts_hit, here.reassembly.status("kept")["equal"]) == (2, 1)


NOT_CUT = {
    "no JSON": (answer(b"<html>", FRESH), "frame"),
    "an item too many": (answer(b'{"items": [{"id": "9"}], "total": 1}', FRESH), "frame"),
}


@pytest.mark.parametrize(("said", "reason"), NOT_CUT.values(), ids=NOT_CUT)
async def test_what_cannot_be_cut_is_counted_by_its_reason(said, reason):
    here = World(FakeEngine(said), rules=(shop_rule(Stage.SHADOW),))
    got = await here.ask(listed("1,2"))
    await here.landed()
    assert got.status == 200
    assert here.reassembly.status("kept")["not_cut"] == {reason: 1}


class Lossy(Keyed):
    """A merge that loses an item."""

    def merge(self, frame, parts, shares, limits=None):
        return json.dumps({"items": []}).encode()


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.ON])
async def test_a_difference_demotes_the_rule_and_is_told(stage, monkeypatch):
    shop = Shop()
    split = shop_rule(stage)
    lossy = Lossy("$.items", missing="omit", totals={"$.total": "count"})
    object.__setattr__(split.splitting, "merge", lossy)
    here = World(FakeEngine(shop), rules=(split,))
    here.rollouts.set("kept", Stage.SHADOW)
    await here.ask(listed("1,2"))
    await here.landed()
    assert here.reassembly.status("kept")["different"] == 1
    (event,) = here.events
    assert (event["event"], event["rule"], event["different"]) == ("decision", "kept", 1)


class Broken:
    """A splitter of somebody else's."""

    version = 1

    def plan(self, request, limits=None):
        raise RuntimeError("a stranger's bug")


async def test_a_splitter_that_raises_costs_no_answer():
    here, _ = world(stage=Stage.SHADOW)
    object.__setattr__(here.rules[0].splitting, "by", Broken())
    got = await here.ask(listed("1,2"))
    await here.landed()
    assert got.status == 200
    assert here.reassembly.status("kept")["not_cut"] == {"internal": 1}


async def test_a_share_of_the_answers_is_enough():
    here, _ = world(stage=Stage.SHADOW)
    object.__setattr__(here.rules[0].splitting, "shadow_percent", 0.0)
    await here.ask(listed("1,2"))
    await here.landed()
    assert here.reassembly.status("kept")["equal"] == 0
