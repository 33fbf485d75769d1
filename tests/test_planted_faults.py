"""Faults that are planted on purpose are found before they do harm; an honest split of a noisy service is not blamed."""

import itertools
import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fakes import FakeClock, FakeEngine, answer
from faulty import (
    Confusing,
    Doubling,
    Hoarding,
    Losing,
    Noisy,
    Reordering,
    Rounding,
    Skipping,
    Tongues,
    Unseeing,
    faulty_shop_rule,
    in_front_of,
)
from shop import FRESH
from world import World, asked, rule

from proxy.core.normalize.lower import Lower
from proxy.core.normalize.sort_params import SortParams
from proxy.core.rollout import NORMALIZE, SPLIT, Stage, Staging, Trust
from proxy.core.split.query_list import QueryList
from proxy.core.types import Request, Response

MOST_EXPOSED = {Stage.SHADOW: 0, Stage.CANARY: 3}
ANSWERS = 60


FAULTS: dict[str, dict[str, Any]] = {
    "a merge loses an item": {"merge": Losing},
    "a merge reorders": {"merge": Reordering},
    "a merge rounds a number": {"merge": Rounding},
    "a merge doubles the item at a boundary": {"merge": Doubling},
    "a merge puts in a stale part": {"merge": Hoarding},
    "a merge loses an item, and says that all is equal": {"merge": Unseeing},
    "a splitter asks for something else": {"by": Skipping("ids")},
    "a splitter confuses the parts of two questions": {"by": Confusing("ids")},
}


@pytest.mark.parametrize("stage", MOST_EXPOSED)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_faulty_split_is_demoted_before_it_does_harm(fault: dict[str, Any], stage: Stage) -> None:
    Hoarding.seen.clear()
    dice, clock = random.Random(3), FakeClock()
    shop = Tongues(clock, lasts=60.0)
    here = in_front_of(shop, faulty_shop_rule(stage, **fault), clock)
    wrong = 0
    for _ in range(ANSWERS):
        target = f"/kept/shop?ids={','.join(map(str, dice.sample(range(12), 3)))}&lang={dice.choice(['de', 'en'])}"
        was_true = truth(Tongues(clock, 60.0), target)
        got = await here.ask(asked(target))
        if here.last.age_s is None or here.last.age_s < 60:  # what is older may have been true before
            wrong += got.body not in {was_true, truth(Tongues(clock, 60.0), target)}
        await here.settled()
        clock.advance(5)
    report = await here.trials.report("kept", SPLIT)
    assert here.rollouts.is_demoted("kept")
    assert wrong <= MOST_EXPOSED[stage]
    assert report["correctness"]["exposed"] <= MOST_EXPOSED[stage]
    assert report["verdict"] == "rollback"
    assert "mismatch" in {one["verdict"] for one in report["mismatches"]}
    assert here.log.failures == []


def truth(shop: Callable[[Request], Response], target: str) -> Any:
    return shop(asked(target)).body


class Words:
    """A service to which upper case matters, or does not."""

    def __init__(self, *, folds: bool) -> None:
        self._folds = folds

    def __call__(self, request: Request) -> Response:
        word = parse_qs(urlsplit(request.target.decode()).query)["q"][0]
        return answer(json.dumps({"q": word.lower() if self._folds else word}).encode(), FRESH)


SPELLED = [f"/kept/x?{'&'.join(two)}" for q in ("aa", "aA", "Aa") for two in itertools.permutations([f"q={q}", "b=1"])]
STAGES = {
    "in shadow": Staging(Stage.SHADOW),
    "as canary": Staging(Stage.CANARY, 100.0),
    "served, and audited": Staging(Stage.ON, None, 100.0),
}


def words(staging: Staging, *, folds: bool) -> World:
    one = rule(normalizers=(Lower(("q",)), SortParams()), trust=Trust(normalize=staging))
    clock = FakeClock()
    return World(FakeEngine(Words(folds=folds), clock=clock), rules=(one,), clock=clock)


@pytest.mark.parametrize("folds", [True, False], ids=["right", "wrong"])
@pytest.mark.parametrize("staging", STAGES.values(), ids=STAGES)
async def test_a_normalizer_that_merges_two_questions_is_demoted(staging: Staging, folds: bool) -> None:
    here, wrong = words(staging, folds=folds), 0
    for target in SPELLED * 3:
        got = await here.ask(asked(target))
        wrong += got.body != truth(Words(folds=folds), target)
        await here.settled()
        here.clock.advance(1)
    report = await here.trials.report("kept", NORMALIZE)
    assert here.rollouts.is_demoted("kept", NORMALIZE) is not folds
    assert wrong == report["correctness"]["exposed"]
    assert wrong <= (0 if folds or staging.stage is Stage.SHADOW else 1)


async def test_a_key_that_was_demoted_finds_nothing_of_before() -> None:
    here = words(Staging(Stage.ON, None, 100.0), folds=False)
    for target in SPELLED * 2:
        await here.ask(asked(target))
        await here.settled()
    here.rollouts.set("kept", Stage.ON, NORMALIZE)
    got = await here.ask(asked("/kept/x?q=AA&b=1"))
    assert (json.loads(got.body), here.last.outcome) == ({"q": "AA"}, "miss")


RUNS = 500
"""Of each stage."""
REQUESTS = 15


async def honest(seed: int, stage: Stage) -> bool:
    """Tell whether an honest split of a noisy service is demoted."""
    dice, clock = random.Random(seed), FakeClock()
    here = in_front_of(Noisy(clock, dice), faulty_shop_rule(stage, by=QueryList("ids")), clock, roll=dice.random)
    for _ in range(REQUESTS):
        ids = ",".join(str(one) for one in sorted(dice.sample(range(9), 3)))
        await here.ask(asked(f"/kept/shop?ids={ids}&lang=de"))
        await here.settled()
        clock.advance(dice.choice([1, 30, 400]))
        assert here.protection is not None
        here.protection.budget.left = 10.0  # as if many others had been asked for meanwhile
    return here.rollouts.is_demoted("kept")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stage", MOST_EXPOSED)
async def test_an_honest_split_of_a_noisy_service_is_hardly_ever_demoted(stage: Stage) -> None:
    assert sum([await honest(seed, stage) for seed in range(RUNS)]) <= RUNS // 100
