"""Which arm a request takes, and which answers are served before they are compared: one at a time until it is trusted."""

import asyncio

import pytest
from boards import Board
from fakes import NOON, FakeClock, until
from hypothesis import given
from hypothesis import strategies as st
from trusted import Trusted, two_rule

from proxy.core.log_line import Draw
from proxy.core.rollout import NORMALIZE, SPLIT, Stage
from proxy.core.trial import CANDIDATE, CONTROL
from proxy.core.types import Response
from proxy.draws import FORCED, HELD, SOMEBODYS, UNVERIFIED
from proxy.rollouts import ALL
from proxy.unseen import EXTRA

OFF, SHADOW, CANARY, ON = Stage
ANSWER = Response(200, (), b"an answer")


class Pairs:
    """Compares when it is let; `seen` are the answers that it was given."""

    def __init__(self, here):
        self.seen = []
        self.go = asyncio.Event()
        self.raises = None
        here.draws.pair = self

    async def __call__(self, asked, candidate):
        self.seen.append(candidate)
        await self.go.wait()
        if self.raises is not None:
            raise self.raises


async def served(here, candidate=ANSWER, **line):
    """Draw for a request, and let its answer leave if it is split; return whether it was."""
    asked = here.asks(**line)
    is_split = await here.draws.split(asked)
    if is_split:
        asked.line.candidate = candidate
    asked.line.leave()
    return is_split


def demoted(here):
    here.rollouts.demote("kept")


def held(here):
    here.rollouts.hold("kept", SPLIT, NOON + 60)


def stopped(here):
    here.rollouts.set(ALL, OFF)


def spent(here):
    here.unseen.owes(here.asks(), SPLIT, 10)


def trusted(here):
    here.prove(60)


# name → configured, what happened, the arm that was chosen; whether it is split, its draw, its arm
ARMS = {
    "on": (ON, None, None, None, True, Draw(CANDIDATE, 100.0), None),
    "a canary for all": (CANARY, 100.0, None, None, True, Draw(CANDIDATE, 100.0), None),
    "a canary for few": (CANARY, 0.01, None, None, False, Draw(CONTROL, 0.01), CONTROL),
    "a canary for nobody": (CANARY, 0.0, None, None, False, Draw(CONTROL, None, HELD), None),
    "in shadow": (SHADOW, None, None, None, False, Draw(CONTROL, None, HELD), None),
    "demoted": (ON, None, demoted, None, False, Draw(CONTROL, None, HELD), None),
    "held": (ON, None, held, None, False, Draw(CONTROL, None, HELD), None),
    "stopped": (ON, None, stopped, None, False, Draw(CONTROL, None, HELD), None),
    "no call left to compare it": (CANARY, 100.0, spent, None, False, Draw(CANDIDATE, 100.0, EXTRA), CONTROL),
    "no call left, but it is on": (ON, None, spent, None, True, Draw(CANDIDATE, 100.0), None),
    "so too where it is trusted": (CANARY, 100.0, lambda here: (trusted(here), spent(here)), None, True, Draw(CANDIDATE, 100.0), None),
    "its client wants the whole": (ON, None, None, CONTROL, False, Draw(CONTROL, None, FORCED), CONTROL),
    "its client wants it split": (SHADOW, None, None, CANDIDATE, True, Draw(CANDIDATE, None, FORCED), CANDIDATE),
    "that is not on where it is demoted": (ON, None, demoted, CANDIDATE, False, Draw(CANDIDATE, None, FORCED), CANDIDATE),
    "nor where it is held": (ON, None, held, CANDIDATE, False, Draw(CANDIDATE, None, FORCED), CANDIDATE),
    "nor where it is stopped": (ON, None, stopped, CANDIDATE, False, Draw(CANDIDATE, None, FORCED), CANDIDATE),
}  # fmt: skip


@pytest.mark.parametrize(("stage", "percent", "happened", "chosen", "is_split", "draw", "arm"), ARMS.values(), ids=ARMS)
async def test_arms_and_why(stage, percent, happened, chosen, is_split, draw, arm):
    here = Trusted(two_rule(stage, percent))
    if happened is not None:
        happened(here)
    asked = here.asks(arm=chosen)
    assert await here.draws.split(asked) is is_split
    assert (asked.line.draws, asked.line.arm) == ({SPLIT: draw}, arm)


STILL = {
    "on": (ON, None, None, True),
    "a canary": (CANARY, None, None, True),
    "demoted meanwhile": (ON, demoted, None, False),
    "held meanwhile": (CANARY, held, None, False),
    "stopped meanwhile": (CANARY, stopped, None, False),
    "forced in shadow": (SHADOW, None, CANDIDATE, True),
    "forced, and stopped meanwhile": (SHADOW, stopped, CANDIDATE, False),
}


@pytest.mark.parametrize(("stage", "happened", "chosen", "still"), STILL.values(), ids=STILL)
async def test_what_was_drawn_may_be_stopped_on_the_way(stage, happened, chosen, still):
    here = Trusted(two_rule(stage, None))
    if happened is not None:
        happened(here)
    assert here.draws.still(here.asks(arm=chosen)) is still


@given(st.binary(min_size=20, max_size=20), st.sampled_from([1.0, 25.0, 50.0]))
async def test_the_same_request_takes_the_same_arm(key, percent):
    here, other = (Trusted(two_rule(CANARY, percent)) for _ in range(2))
    drawn = {one.draws.takes(one.asks(unit=key)) for one in (here, other, here)}
    assert drawn == {here.rollouts.takes("kept", SPLIT, key)}


def test_a_field_may_decide_instead_of_the_key():
    here = Trusted(two_rule(CANARY, 50.0, sticky=b"x-user"))
    drawn = {
        user: {here.draws.takes(here.asks((b"x-user", user), unit=key)) for key in (b"one", b"other")}
        for user in (b"%d" % number for number in range(20))
    }
    assert all(len(one) == 1 for one in drawn.values())
    assert set.union(*drawn.values()) == {True, False}


# What says who asks is not asked again for nobody.

COOKIE = (b"cookie", b"a=1")
WHOSE = {
    "on": (ON, 0, True, Draw(CANDIDATE, 100.0), None),
    "trusted": (CANARY, 60, True, Draw(CANDIDATE, 100.0), None),
    "not trusted yet": (CANARY, 59, False, Draw(CANDIDATE, 100.0, SOMEBODYS), CONTROL),
}


@pytest.mark.parametrize(("stage", "pairs", "is_split", "draw", "arm"), WHOSE.values(), ids=WHOSE)
async def test_what_cannot_be_compared_is_served_where_it_need_not_be(stage, pairs, is_split, draw, arm):
    here = Trusted(two_rule(stage, audit=100.0), roll=0.0)
    seen = Pairs(here)
    here.prove(pairs)
    asked = here.asks(COOKIE)
    assert await here.draws.split(asked) is is_split
    assert (asked.line.draws, asked.line.arm) == ({SPLIT: draw}, arm)
    asked.line.candidate = ANSWER
    asked.line.leave()
    await until(lambda: not len(here.tasks))
    assert (seen.seen, here.trial().spent) == ([], {})


async def test_it_takes_nobodys_place():
    here = Trusted()
    Pairs(here)
    assert not await here.draws.split(here.asks(COOKIE))
    assert await served(here)


# Until it is trusted, one answer at a time is served before it is compared.


async def test_nothing_more_is_served_until_the_last_one_is_compared():
    here = Trusted()
    pairs = Pairs(here)
    assert [await served(here) for _ in range(3)] == [True, False, False]
    await until(lambda: pairs.seen)
    assert not await served(here)
    pairs.go.set()
    await until(lambda: not len(here.tasks))
    assert (await served(here), pairs.seen[:1]) == (True, [ANSWER])


async def test_it_is_compared_once_it_has_left_and_not_before():
    here = Trusted()
    pairs = Pairs(here)
    pairs.go.set()
    asked = here.asks()
    assert await here.draws.split(asked)
    asked.line.candidate = ANSWER
    assert (len(here.tasks), pairs.seen) == (0, [])
    asked.line.leave()
    await until(lambda: pairs.seen)


async def test_why_is_told():
    here = Trusted()
    Pairs(here)
    await served(here)
    asked = here.asks()
    await here.draws.split(asked)
    assert asked.line.draws == {SPLIT: Draw(CANDIDATE, 100.0, UNVERIFIED)}


ENDS = {
    "it was compared": (ANSWER, None, 1),
    "it was answered otherwise after all": (None, None, 0),
    "the comparison failed": (ANSWER, RuntimeError("a bug"), 1),
}


@pytest.mark.parametrize(("candidate", "raises", "seen"), ENDS.values(), ids=ENDS)
async def test_however_it_ends_the_next_one_may_be_served(candidate, raises, seen):
    here = Trusted()
    pairs = Pairs(here)
    pairs.raises = raises
    pairs.go.set()
    assert await served(here, candidate)
    await until(lambda: not len(here.tasks))
    assert len(pairs.seen) == seen
    assert [error for error, _ in here.log.failures] == ([] if raises is None else [raises])
    assert await served(here)


async def test_where_there_is_no_call_left_the_next_one_does_not_wait():
    """The place is given back: once calls are earned, one is served."""
    here = Trusted()
    Pairs(here)
    spent(here)
    assert not await served(here)
    for _ in range(30):
        here.protection.budget.add()
    assert await served(here)


async def test_once_it_is_trusted_answers_do_not_wait_for_one_another():
    here = Trusted()
    Pairs(here)
    here.prove(59)
    assert [await served(here) for _ in range(2)] == [True, False]
    here.prove(1)
    assert [await served(here) for _ in range(3)] == [True] * 3


async def test_features_and_rules_do_not_wait_for_one_another():
    here = Trusted()
    pairs = Pairs(here)
    assert await served(here)
    assert await here.draws.exposes(here.asks(), NORMALIZE, pairs)
    assert not await here.draws.exposes(here.asks(), NORMALIZE, pairs)


# In all processes together.


def two(fails=False):
    clock = FakeClock()
    board = Board(clock)
    board.fails = fails
    return board, *(Trusted(shared=board, name=name, clock=clock) for name in "ab")


async def test_processes_take_turns():
    _, one, other = two()
    pairs = Pairs(one)
    Pairs(other).go.set()
    assert [await served(here) for here in (one, other, one)] == [True, False, False]
    pairs.go.set()
    await until(lambda: not len(one.tasks))
    assert await served(other)


async def test_a_process_that_dies_holds_the_others_up_for_a_while_only():
    """As long as the comparison may take: of answers that take long, longer."""
    for expected_s, lasts_s in ((None, 120.0), (10.0, 120.0), (60.0, 240.0)):
        board, one, other = two()
        Pairs(one)
        assert await served(one, expected_s=expected_s)
        ((holder, ends),) = board.leases.values()
        assert (holder, ends) == ("a", NOON + lasts_s)
        one.clock.advance(lasts_s - 1)
        assert not await served(other)
        one.clock.advance(1)
        assert await served(other)


async def test_who_cannot_be_sure_of_being_alone_serves_nothing_unverified():
    board, one, _ = two(fails=True)
    assert not await served(one)
    assert [type(error) for error, _ in one.log.failures] == [ConnectionError]
    board.fails = False
    assert await served(one)


async def test_a_board_that_goes_away_meanwhile_costs_nothing_for_good():
    board, one, other = two()
    Pairs(one).go.set()
    assert await served(one)
    board.fails = True
    await until(lambda: one.log.failures)
    board.fails = False
    assert not await served(other), "until the lease is over"
    assert await served(one), "whose lease it is"


class Slow(Board):
    """A board that answers once it is let."""

    def __init__(self, clock):
        super().__init__(clock)
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def lease(self, key, owner, lasts_s):
        self.asked.set()
        await self.go.wait()
        return await super().lease(key, owner, lasts_s)


async def test_who_leaves_while_it_asks_for_its_place_does_not_keep_it():
    board = Slow(FakeClock())
    here = Trusted(shared=board)
    Pairs(here)
    leaving = asyncio.get_running_loop().create_task(served(here))
    await board.asked.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    assert leaving.cancelled()
    board.go.set()
    assert await served(here)


async def test_where_there_is_no_call_left_the_other_processes_do_not_wait():
    board, one, other = two()
    spent(one)
    assert (await served(one), board.leases) == (False, {})
    assert await served(other)


# A share of what is trusted is compared all the same.

AUDITS = {
    "all": (100.0, 0.99, 1),
    "below the share": (1.0, 0.0099, 1),
    "not below": (1.0, 0.01, 0),
    "none": (0.0, 0.0, 0),
}


@pytest.mark.parametrize(("audit", "roll", "seen"), AUDITS.values(), ids=AUDITS)
@pytest.mark.parametrize("stage", [CANARY, ON])
async def test_a_share_of_the_served_answers_is_compared(stage, audit, roll, seen):
    here = Trusted(two_rule(stage, audit=audit), roll=roll)
    here.prove(60)
    pairs = Pairs(here)
    pairs.go.set()
    assert await served(here)
    await until(lambda: not len(here.tasks))
    assert len(pairs.seen) == seen
    assert sum(here.trial().spent.values()) == seen


async def test_an_audit_is_dropped_where_the_upstream_has_work_to_do():
    here = Trusted(two_rule(ON, audit=100.0), roll=0.0)
    pairs = Pairs(here)
    spent(here)
    assert await served(here)
    await until(lambda: not len(here.tasks))
    assert (pairs.seen, here.trial().dropped) == ([], {EXTRA: 1})


async def test_what_was_answered_otherwise_is_not_audited():
    here = Trusted(two_rule(ON, audit=100.0), roll=0.0)
    pairs = Pairs(here)
    assert await served(here, None)
    await until(lambda: not len(here.tasks))
    assert (pairs.seen, here.trial().spent) == ([], {})


# name → the stage, the share that its owner says, whether all is compared though none is audited
CLIMBS = {
    "a canary that climbs by what is compared": (CANARY, None, True),
    "one that is as large as its owner says": (CANARY, 100.0, False),
    "what is on": (ON, None, False),
}


@pytest.mark.parametrize(("stage", "percent", "is_compared"), CLIMBS.values(), ids=CLIMBS)
async def test_what_climbs_is_compared_as_much_as_budgets_allow(stage, percent, is_compared):
    here = Trusted(two_rule(stage, percent, audit=0.0), roll=0.999)
    here.prove(60)
    if percent is None:
        here.rollouts.climb("kept", SPLIT, 100.0)
    pairs = Pairs(here)
    pairs.go.set()
    assert await served(here)
    await until(lambda: not len(here.tasks))
    assert pairs.seen == ([ANSWER] if is_compared else [])


async def test_one_that_somebody_sets_climbs_no_more():
    here = Trusted(two_rule(CANARY, None, audit=0.0), roll=0.0)
    here.prove(60)
    here.rollouts.set("kept", CANARY, SPLIT, 100.0)
    pairs = Pairs(here)
    assert await served(here)
    await until(lambda: not len(here.tasks))
    assert pairs.seen == []
