"""Canaries climb by themselves, as far as their gates let them; one process decides, and tells why."""

import asyncio
from typing import Any

import pytest
from fakes import PATIENCE, FakeClock, FakeEngine, limited, unlimited, until
from shop import Shop, splitting_rule
from trusted import two_rule
from world import World, rule

from proxy.core.gates import ENOUGH_LOOKS
from proxy.core.log_line import Call
from proxy.core.rollout import NORMALIZE, SPLIT, Gate, Gates, Stage, Staging
from proxy.core.rules import Rule
from proxy.core.trial import CANDIDATE, CLEAN, CONTROL, PAIR, Trial
from proxy.promotion import Promotion
from proxy.trials import Trials
from proxy.upstream.protection import Demand

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

    def __init__(
        self,
        staging: Staging = CANARY,
        shared: Any = None,
        name: str = "here",
        *,
        rule: Rule | None = None,
        ceiling: int | None = None,
        **gates: Any,
    ) -> None:
        self.clock = FakeClock()
        asks = Gates(**{"samples": 10, "time": 60.0, **gates})
        one = rule or splitting_rule(trusted={"split": staging, "gates": asks})
        self.here = World(FakeEngine(Shop()), rules=(one,), clock=self.clock)
        self.told: list[dict[str, Any]] = []
        self.waits: list[asyncio.Task[Any]] = []
        self.trials = Trials((one,), self.here.rollouts, self.clock, name)
        self.protection = unlimited(self.clock, self.here.log) if ceiling is None else limited(ceiling, self.clock)
        self.promotion = Promotion(
            (one,), self.here.rollouts, self.trials, self.protection, shared, name, self.clock,
            tell=lambda event, **fields: self.told.append({"event": event, **fields}), failed=self.here.log.failed,
        )  # fmt: skip

    async def look(self) -> float:
        """Look once; tell what share is served then."""
        await self.promotion.look()
        return self.here.rollouts.share("shop")

    @property
    def trial(self) -> Trial:
        """Return what this process has counted of its split."""
        return self.trials.own("shop", SPLIT)

    def leave(self) -> None:
        """End what waits."""
        for one in self.waits:
            one.cancel()

    def show(self, clean: int = 1000, served: int = 100, fallbacks: int = 0) -> None:
        """Have so much been counted at the step where it is."""
        trial = self.trial
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


# How full the upstream is, is looked at by each process, of canaries only.


async def taken(stand: Stand, calls: int) -> None:
    """Have so many calls under way; those that find no slot wait for one."""
    for _ in range(calls):
        began = asyncio.get_running_loop().create_task(stand.protection.admit(Demand("client"), Call(), "id"))
        stand.waits.append(began)
        await asyncio.sleep(0)


FULLNESS = {"nothing to do": (0, 0.0), "one call of four": (1, 0.25), "all": (4, 1.0), "more than that": (7, 1.0)}


@pytest.mark.parametrize(("calls", "full"), FULLNESS.values(), ids=FULLNESS)
async def test_how_full_the_upstream_is(calls: int, full: float) -> None:
    stand = Stand(ceiling=4)
    await taken(stand, calls)
    for _ in range(3):
        await stand.look()
    assert (stand.trial.full, stand.trial.looks) == (pytest.approx(3 * full), 3)
    stand.leave()


@pytest.mark.parametrize(("staging", "ceiling"), [(CANARY, None), (Staging(Stage.ON), 4), (Staging(Stage.SHADOW), 4)])
async def test_where_nobody_climbs_or_nothing_can_be_full_nobody_looks(staging: Staging, ceiling: int | None) -> None:
    stand = Stand(staging, ceiling=ceiling)
    await stand.look()
    assert stand.trial.looks == 0


async def test_an_upstream_that_is_full_takes_a_canary_back() -> None:
    stand = Stand(ceiling=4)
    await taken(stand, 4)
    await stand.look()
    stand.show()
    for _ in range(ENOUGH_LOOKS):
        await stand.look()
    stand.clock.advance(60)
    assert await stand.look() == 0.0
    assert stand.told[-1]["act"] == "back"
    assert (stand.told[-1]["in_flight_gate"], stand.told[-1]["in_flight_value"]) == ("fail", 1.0)
    stand.leave()


# One process decides.


async def test_a_process_that_does_not_decide_counts_and_tells_all_the_same() -> None:
    board = Board()
    one, other = Stand(shared=board, name="one"), Stand(shared=board, name="other", ceiling=4)
    await one.look()
    other.show(clean=70)
    await other.look()
    assert (other.told, other.trial.looks) == ([], 1)
    await one.look()
    assert one.trials.clean_pairs("shop", SPLIT) == 70


async def test_when_the_one_that_decides_is_gone_another_does() -> None:
    board = Board()
    one, other = Stand(shared=board, name="one"), Stand(shared=board, name="other")
    one.here.rollouts.tell = lambda message, _: other.here.rollouts.follow(message)
    assert (await one.look(), await other.look()) == (1.0, 1.0)
    board.owner = ""
    other.show()
    other.clock.advance(60)
    assert await other.look() == 5.0
    assert [one["act"] for one in other.told] == ["climb"]


async def test_what_counts_is_what_all_have_seen_together() -> None:
    """Neither alone has seen enough."""
    board = Board()
    one, other = Stand(shared=board, name="one", samples=120), Stand(shared=board, name="other")
    await one.look()
    for stand in (one, other):
        stand.show(clean=500, served=60)
    one.clock.advance(60)
    assert await one.look() == 1.0
    await other.look()
    assert await one.look() == 5.0


# Operators, mismatches, and two features.


async def test_what_somebody_sets_meanwhile_counts_and_what_he_gives_back_begins_anew() -> None:
    stand = Stand()
    await stand.look()
    stand.show()
    stand.clock.advance(60)
    assert await stand.look() == 5.0
    stand.here.rollouts.set("shop", Stage.CANARY, SPLIT, 30.0)
    stand.show()
    stand.clock.advance(3600)
    assert await stand.look() == 30.0
    assert len(stand.told) == 2
    stand.here.rollouts.set("shop", None)
    assert await stand.look() == 1.0
    assert [(one["act"], one["percent_before"], one["percent"]) for one in stand.told[2:]] == [("climb", 0.0, 1.0)]


async def test_once_a_hold_is_over_it_goes_on_where_it_was() -> None:
    stand = Stand()
    await stand.look()
    stand.show()
    stand.clock.advance(60)
    stand.here.rollouts.hold("shop", SPLIT, stand.clock.wall() + 10)
    assert await stand.look() == 0.0
    stand.clock.advance(10)
    assert await stand.look() == 5.0


async def test_features_climb_each_by_its_own_evidence() -> None:
    one = two_rule(percent=None, name="shop", trusted={"gates": Gates(samples=10, time=60.0)})
    stand = Stand(rule=one)
    await stand.look()
    assert sorted(told["feature"] for told in stand.told) == [NORMALIZE, SPLIT]
    stand.show()
    stand.clock.advance(60)
    await stand.look()
    assert [stand.here.rollouts.step("shop", feature) for feature in (SPLIT, NORMALIZE)] == [5.0, 1.0]


# All of the time.


async def test_it_goes_on_looking_though_one_look_fails() -> None:
    class Broken(Board):
        async def notes(self, prefix: str) -> dict[str, bytes]:
            raise OSError(prefix)

    stand = Stand(shared=Broken())
    keeping = asyncio.get_running_loop().create_task(stand.promotion.keep())
    await until(lambda: stand.here.log.failures)
    assert not keeping.done()
    keeping.cancel()
    ((error, _),) = stand.here.log.failures
    assert isinstance(error, OSError)
    assert stand.told == []


async def test_a_board_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Board):
        async def notes(self, prefix: str) -> dict[str, bytes]:
            await asyncio.Event().wait()
            return {}

    monkeypatch.setattr("proxy.promotion.BUDGET_S", 0.0)
    stand = Stand(shared=Silent())
    keeping = asyncio.get_running_loop().create_task(stand.promotion.keep())
    await until(lambda: stand.here.log.failures)
    keeping.cancel()
    ((error, _),) = stand.here.log.failures
    assert isinstance(error, TimeoutError)


async def test_where_there_is_nothing_to_roll_out_nobody_looks() -> None:
    stand = Stand(rule=rule("plain", "/plain"))
    async with asyncio.timeout(PATIENCE):
        await stand.promotion.keep()
