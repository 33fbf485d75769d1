"""Canaries climb by themselves, as far as their gates let them; one process decides, and tells why."""

from typing import Any

import pytest
from fakes import FakeClock, FakeEngine, unlimited
from shop import Shop, splitting_rule
from world import World

from proxy.core.rollout import SPLIT, Gate, Gates, Stage, Staging
from proxy.core.trial import CANDIDATE, CLEAN, CONTROL, PAIR
from proxy.promotion import Promotion

CANARY = Staging(Stage.CANARY)


class Board:
    """What processes share: a lease, and notes."""

    def __init__(self) -> None:
        self.owner = ""
        self.pinned: dict[str, bytes] = {}

    async def lease(self, key: bytes, owner: str, lasts_s: float) -> int | None:
        assert (len(key), lasts_s > 0) == (20, True)
        self.owner = self.owner or owner
        return 1 if self.owner == owner else None

    async def release(self, key: bytes, owner: str) -> None:
        raise NotImplementedError

    async def pin(self, name: str, note: bytes, lasts_s: float) -> None:
        assert lasts_s > 0
        self.pinned[name] = note

    async def notes(self, prefix: str) -> dict[str, bytes]:
        return {name: note for name, note in self.pinned.items() if name.startswith(prefix)}


class Stand:
    """A proxy with one canary, and who decides on it."""

    def __init__(self, staging: Staging = CANARY, shared: Any = None, name: str = "here", **gates: Any) -> None:
        self.clock = FakeClock()
        one = splitting_rule(trusted={"split": staging, "gates": Gates(**{"samples": 10, "time": 60.0, **gates})})
        self.here = World(FakeEngine(Shop()), rules=(one,), clock=self.clock)
        self.told: list[dict[str, Any]] = []
        protection = self.here.protection or unlimited(self.clock, self.here.log)
        self.promotion = Promotion(
            (one,), self.here.rollouts, self.here.trials, protection, shared, name, self.clock,
            tell=lambda event, **fields: self.told.append({"event": event, **fields}), failed=self.here.log.failed,
        )  # fmt: skip

    async def look(self) -> float:
        """Look once; tell what share is served then."""
        await self.promotion.look()
        return self.here.rollouts.share("shop")

    def show(self, clean: int = 1000, served: int = 100, fallbacks: int = 0) -> None:
        """Have so much been counted at the step where it is."""
        trial = self.here.trials.own("shop", SPLIT)
        step = f"{self.here.rollouts.step('shop'):g}"
        trial.served[step] = trial.served.get(step, 0) + served
        trial.drawn += served
        checks = trial.checks.setdefault(PAIR, {})
        checks[CLEAN] = checks.get(CLEAN, 0) + clean
        trial.arms[CANDIDATE].fallbacks["frame"] = fallbacks
        for arm in (CONTROL, CANDIDATE):
            for _ in range(served):
                trial.arms[arm].timings.add(1.0)


async def test_it_begins_with_one_percent_and_climbs_to_all() -> None:
    stand = Stand()
    steps = [await stand.look()]
    for _ in range(4):
        stand.show()
        stand.clock.advance(60)
        steps.append(await stand.look())
    assert steps == [1.0, 5.0, 25.0, 50.0, 100.0]
    assert [(one["act"], one["percent_before"], one["percent"]) for one in stand.told][:2] == [
        ("climb", 0.0, 1.0), ("climb", 1.0, 5.0),
    ]  # fmt: skip
    assert stand.told[1]["mismatch_gate"] == "pass"
    assert stand.told[1]["mismatch_value"] < stand.told[1]["mismatch_limit"] == 0.01


HOLDS: dict[str, tuple[dict[str, Any], float]] = {
    "no data": ({"clean": 0, "served": 0}, 1e6),
    "too few answers": ({"served": 9}, 60),
    "too early": ({}, 59),
    "too few pairs": ({"clean": 10}, 60),
}


@pytest.mark.parametrize(("shown", "after"), HOLDS.values(), ids=HOLDS)
async def test_without_evidence_it_stays_where_it_is_and_says_so_once(shown: dict[str, Any], after: float) -> None:
    stand = Stand()
    await stand.look()
    stand.show(**shown)
    stand.clock.advance(after)
    assert [await stand.look() for _ in range(3)] == [1.0] * 3
    assert [one["act"] for one in stand.told] == ["climb", "hold"]


async def test_a_gate_that_fails_takes_it_a_step_back() -> None:
    stand = Stand()
    await stand.look()
    stand.show()
    stand.clock.advance(60)
    assert await stand.look() == 5.0
    stand.show(fallbacks=150)
    assert await stand.look() == 5.0  # it has only just come there
    stand.clock.advance(60)
    assert [await stand.look() for _ in range(3)] == [1.0] * 3
    back = next(one for one in stand.told if one["act"] == "back")
    assert (back["percent_before"], back["percent"], back["fallbacks_gate"]) == (5.0, 1.0, "fail")


async def test_a_gate_that_runs_dry_only_tells() -> None:
    stand = Stand(fallbacks=Gate(0.1, dry_run=True))
    await stand.look()
    stand.show(fallbacks=90)
    stand.clock.advance(60)
    assert await stand.look() == 5.0
    assert stand.told[-1]["fallbacks_gate"] == "fail (dry run)"


LEFT_ALONE: dict[str, Staging] = {
    "a share that its owner set": Staging(Stage.CANARY, 5.0),
    "what is in shadow": Staging(Stage.SHADOW),
    "what is on": Staging(Stage.ON),
    "what is off": Staging(Stage.OFF),
}


@pytest.mark.parametrize("staging", LEFT_ALONE.values(), ids=LEFT_ALONE)
async def test_left_alone(staging: Staging) -> None:
    stand = Stand(staging)
    before = stand.here.rollouts.share("shop")
    stand.show()
    stand.clock.advance(60)
    assert (await stand.look(), stand.told) == (before, [])


async def test_what_is_held_or_demoted_does_not_climb() -> None:
    stand = Stand()
    await stand.look()
    stand.show()
    stand.clock.advance(60)
    stand.here.rollouts.hold("shop", SPLIT, stand.clock.wall() + 10)
    assert await stand.look() == 0.0
    stand.here.rollouts.demote("shop")
    stand.clock.advance(60)
    assert await stand.look() == 0.0
    assert len(stand.told) == 1


async def test_only_one_process_decides_and_all_know_what_it_counted() -> None:
    board = Board()
    one, other = Stand(shared=board, name="one"), Stand(shared=board, name="other")
    one.here.rollouts.tell = lambda message, _: other.here.rollouts.follow(message)
    assert (await one.look(), await other.look()) == (1.0, 1.0)
    assert (len(one.told), len(other.told)) == (1, 0)
    assert set(board.pinned) <= {"trial here", "trial one", "trial other"}


async def test_a_board_that_is_out_of_reach_stops_the_climb_and_nothing_else() -> None:
    class Broken(Board):
        async def notes(self, prefix: str) -> dict[str, bytes]:
            raise OSError(prefix)

    stand = Stand(shared=Broken())
    with pytest.raises(OSError, match="trial"):
        await stand.look()
    assert stand.told == []
