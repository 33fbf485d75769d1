"""What plain answers tell of a split before it serves any: each is cut, put together again, and compared."""

import json

import pytest
from fakes import FakeEngine, answer
from faulty import Confusing, Losing, faulty_shop_rule
from shop import FRESH, Shop, listed, shop_rule, whole, world
from world import World, asked

from proxy.core.rollout import Stage, Staging
from proxy.errors import UpstreamError
from proxy.trials import Mismatch


def anew(ids, lang="de"):
    """Return the request of a client who wants nothing stored: it goes upstream whole."""
    return asked(f"/kept/shop?ids={ids}&lang={lang}", (b"cache-control", b"no-cache"))


def found_of(here):
    """Return what was found by comparing answers of the only rule."""
    return here.trials.told("kept", "split")


async def told(here, *requests):
    """Ask, and wait until all is compared that can be."""
    for request in requests:
        await here.ask(request)
        await here.settled()
    return found_of(here)


async def test_in_shadow_it_counts_what_is_equal():
    here, _ = world(stage=Stage.SHADOW)
    assert await told(here, listed("1,2"), listed("3,4")) == {
        "equal": 2, "different": 0, "not_cut": {}, "exposed": 0,
        "checks": {"reassembly": {"clean": 2}, "pair": {"clean": 2}},
    }  # fmt: skip


async def test_the_client_has_its_answer_before_anything_is_compared():
    here, shop = world(stage=Stage.SHADOW)
    got = await here.ask(listed("1,2"))
    assert (got.body, shop.bodies, found_of(here)["checks"]) == (await whole(shop, "1,2"), ["1,2"], {})


@pytest.mark.parametrize("stage", [Stage.OFF, Stage.SHADOW, Stage.ON])
async def test_parts_are_kept_unless_it_is_off(stage):
    """Those of a rule in shadow are evidence: nobody is served from them."""
    here, _ = world(stage=stage)
    await told(here, anew("1,2"))
    kept = (await here.explain(listed("1,2")))["split"]["fresh"]
    assert kept == (0 if stage is Stage.OFF else 2)
    assert here.last.arm != "candidate"
    assert found_of(here)["equal"] == (0 if stage is Stage.OFF else 1)


async def test_where_splits_are_served_a_whole_answers_parts_are_kept_for_free():
    here, shop = world()
    await told(here, anew("1,2"))
    got = await here.ask(listed("2,1"))
    assert (got.body, shop.bodies) == (await whole(shop, "2,1"), ["1,2"])
    assert (here.last.parts_hit, found_of(here)["equal"]) == (2, 1)


async def test_an_answer_to_fewer_than_are_worth_a_split_proves_nothing():
    """Its parts are kept all the same where it is known how answers to more are written."""
    here, shop = world()
    assert (await told(here, listed("3")))["equal"] == 0
    assert (await here.explain(listed("3,4")))["split"]["fresh"] == 0
    assert (await told(here, anew("1,2"), anew("3")))["equal"] == 1
    assert (await here.explain(listed("3,1")))["split"]["fresh"] == 2
    assert shop.bodies == ["3", "1,2", "3"]


NOT_CUT = {
    "no JSON": (answer(b"<html>", FRESH), "frame"),
    "an item too many": (answer(b'{"items": [{"id": "9"}], "total": 1}', FRESH), "frame"),
    "not for everybody who asks so": (answer(b'{"items": []}', FRESH, (b"vary", b"host")), "vary"),
    "another status": (answer(b'{"items": []}', FRESH, status=404), "part_error"),
}


@pytest.mark.parametrize(("said", "reason"), NOT_CUT.values(), ids=NOT_CUT)
async def test_what_cannot_be_cut_is_counted_by_its_reason(said, reason):
    here = World(FakeEngine(said), rules=(shop_rule(Stage.SHADOW, ttl={200: 60.0, 404: 60.0}),))
    got = await here.ask(listed("1,2"))
    await here.settled()
    assert got.status == said.status
    assert found_of(here)["not_cut"] == {reason: 1}


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY, Stage.ON])
async def test_a_difference_demotes_the_rule_at_once_and_is_told(stage):
    """No service had a part in it: nobody is asked again, and nothing is kept."""
    shop = Shop()
    here = World(FakeEngine(shop), rules=(faulty_shop_rule(stage, merge=Losing),))
    assert (await told(here, anew("1,2,3")))["checks"] == {"reassembly": {"mismatch": 1}}
    assert shop.bodies == ["1,2,3"]
    assert (here.rollouts.status("kept")["state"], here.rollouts.stage("kept")) == ("demoted", Stage.SHADOW)
    (event,) = here.events
    assert {name: event[name] for name in ("event", "rule", "feature", "state", "check", "verdict", "mismatches")} == {
        "event": "decision", "rule": "kept", "feature": "split", "state": "demoted", "check": "reassembly",
        "verdict": "mismatch", "mismatches": 1,
    }  # fmt: skip
    (noted,) = here.trials.last_mismatches("kept", "split")
    assert Mismatch(**noted).request_id == event["request_id"]
    assert (await here.explain(listed("1,2,3")))["split"]["fresh"] == 0


async def test_a_demoted_rule_is_compared_no_more():
    here, shop = world(stage=Stage.SHADOW)
    here.rollouts.demote("kept")
    assert (await told(here, listed("1,2")))["equal"] == 0
    assert shop.bodies == ["1,2"]


class Broken:
    """A splitter of somebody else's."""

    version = 1

    def plan(self, request, limits=None):
        raise RuntimeError("a stranger's bug")


async def test_a_splitter_that_raises_costs_no_answer():
    here, _ = world(stage=Stage.SHADOW)
    object.__setattr__(here.rules[0].splitting, "by", Broken())
    got = await here.ask(listed("1,2"))
    await here.settled()
    assert got.status == 200
    assert found_of(here)["not_cut"] == {"internal": 1}
    assert [type(error) for error, _ in here.log.failures] == [RuntimeError]


SAMPLES = {"of none": (0.0, 0.0, 0), "of those below": (5.0, 0.049, 1), "not of those above": (5.0, 0.05, 0)}


@pytest.mark.parametrize(("percent", "rolled", "equal"), SAMPLES.values(), ids=SAMPLES)
async def test_in_shadow_a_share_of_the_answers_is_enough(percent, rolled, equal):
    one = shop_rule(Stage.SHADOW, trusted={"split": Staging(Stage.SHADOW, percent)})
    here = World(FakeEngine(Shop()), rules=(one,), roll=lambda: rolled)
    assert (await told(here, listed("1,2")))["equal"] == equal


async def test_the_share_that_a_canary_would_serve_is_no_share_of_what_is_compared():
    one = shop_rule(trusted={"split": Staging(Stage.CANARY, 5.0)})
    here = World(FakeEngine(Shop(), Shop()), rules=(one,), roll=lambda: 0.5)
    here.rollouts.set("kept", Stage.SHADOW)
    assert (await told(here, listed("1,2")))["equal"] == 1


# Parts that were known are compared with what a later answer says of them.


class Priced(Shop):
    """A shop whose prices are those of the day."""

    price = 1

    def __call__(self, request):
        made = json.loads(super().__call__(request).body)
        items = [{**item, "price": self.price} for item in made["items"]]
        return answer(json.dumps({**made, "items": items}).encode(), FRESH)


async def test_a_part_that_was_known_and_says_the_same_is_evidence():
    here, _ = world(Priced(), stage=Stage.ON)
    assert (await told(here, anew("1,2"), anew("2,3")))["checks"] == {
        "reassembly": {"clean": 2}, "overlap": {"clean": 1},
    }  # fmt: skip


CHANGES = {"asked for again": ("1,2", ["1,2", "1,2"]), "in another list": ("2,3", ["1,2", "2,3", "1,2"])}


@pytest.mark.parametrize(("ids", "asked_for"), CHANGES.values(), ids=CHANGES)
async def test_what_has_changed_meanwhile_is_nobodys_fault(ids, asked_for):
    """Where it was asked for in other words, that is asked again: it has changed as well."""
    shop = Priced()
    here, _ = world(shop, stage=Stage.ON)
    await told(here, anew("1,2"))
    shop.price = 2
    assert (await told(here, anew(ids)))["checks"]["overlap"] == {"changed": 1}
    assert (shop.bodies, here.rollouts.status("kept")["state"]) == (asked_for, "running")


async def test_what_is_not_fresh_any_more_is_not_compared():
    shop = Priced()
    here, _ = world(shop, stage=Stage.ON)
    await told(here, anew("1,2"))
    shop.price = 2
    here.clock.advance(7200)
    assert "overlap" not in (await told(here, anew("2,3")))["checks"]


class Spoken(Shop):
    """A shop that says in which language it was asked."""

    def __call__(self, request):
        made = json.loads(super().__call__(request).body)
        items = [{**item, "in": request.target[-2:].decode()} for item in made["items"]]
        return answer(json.dumps({**made, "items": items}).encode(), FRESH)


async def test_two_questions_with_one_key_are_a_mismatch():
    """The splitter leaves out what changes a part: each answer is right, and its part is wrong for the other."""
    here = World(FakeEngine(Spoken()), rules=(faulty_shop_rule(Stage.ON, by=Confusing("ids")),))
    found = await told(here, anew("1,2", "de"), anew("2,3", "en"))
    assert found["checks"] == {"reassembly": {"clean": 2}, "overlap": {"mismatch": 1}}
    assert here.rollouts.status("kept")["state"] == "demoted"


FAILURES = {
    "it is down": UpstreamError("down"),
    "an error": answer(b'{"items": [], "total": 0}', FRESH, status=500),
    "an answer that cannot be cut": answer(b"<html>", FRESH),
}


@pytest.mark.parametrize("said", FAILURES.values(), ids=FAILURES)
async def test_a_doubt_that_nobody_can_settle_is_told_as_such(said):
    shop = Spoken()
    here = World(FakeEngine(shop), rules=(faulty_shop_rule(Stage.ON, by=Confusing("ids")),))
    await told(here, anew("1,2", "de"))
    here.engine.then(shop, said)
    found = await told(here, anew("2,3", "en"))
    assert found["checks"] == {"reassembly": {"clean": 2}, "overlap": {"unclear": 1}}
    assert (found["not_cut"], here.log.failures, here.rollouts.status("kept")["state"]) == ({}, [], "running")


async def test_what_was_just_demoted_is_not_split_unseen_as_well():
    here = World(FakeEngine(Spoken()), rules=(faulty_shop_rule(Stage.ON, by=Confusing("ids")),))
    seen = []
    here.reassembly.shadow = seen.append
    await told(here, anew("1,2", "de"), anew("2,3", "en"))
    assert (here.rollouts.stage("kept"), seen) == (Stage.SHADOW, [])


async def test_where_no_call_may_be_made_nothing_is_said():
    here = World(FakeEngine(Spoken()), rules=(faulty_shop_rule(Stage.ON, by=Confusing("ids"), budget=0),))
    found = await told(here, anew("1,2", "de"), anew("2,3", "en"))
    assert found["checks"] == {"reassembly": {"clean": 2}}
    assert here.trials.own("kept", "split").dropped == {"daily_budget": 1}
