"""Calls that no client waits for: within their budgets, behind all others, one comparison at a time, and marked."""

import asyncio
from dataclasses import replace

import pytest
from fakes import Body, FakeClock, answer, until
from hypothesis import given
from hypothesis import strategies as st
from trusted import Trusted, two_rule
from world import rule

from proxy.core.coding import plain_body
from proxy.core.log_line import Call, Draw
from proxy.core.rollout import NORMALIZE, SPLIT, Trust
from proxy.core.types import Response
from proxy.errors import Fallback, UpstreamError
from proxy.unseen import DAY, EXTRA, LOADED, OBSERVING, RUNNING, marked
from proxy.upstream.protection import Demand

A_DAY_S = 86_400.0


async def tried(here, calls=1, feature=SPLIT):
    """Take a turn; return whether it was given, and why not."""
    before = dict(here.trial(feature).dropped)
    async with here.unseen.turn(here.asks(), feature, calls) as may:
        after = here.trial(feature).dropped
        why = [name for name, count in after.items() if count != before.get(name, 0)]
        return may, *why


async def busy(here, calls):
    """Let clients have so many calls under way."""
    for number in range(calls):
        await here.protection.admit(Demand(str(number)), Call(), "id")


# how many calls there may be at once, how many there are, and whether that leaves room
ROOM = [
    (None, 9, True),
    (1, 0, True),
    (1, 1, False),
    (2, 0, True),
    (2, 1, False),
    (4, 1, True),
    (4, 2, False),
    (8, 3, True),
    (8, 4, False),
    (8, 8, False),
]


@pytest.mark.parametrize(("ceiling", "calls", "is_idle"), ROOM)
async def test_it_takes_less_than_half_of_what_the_upstream_can_do(ceiling, calls, is_idle):
    here = Trusted(ceiling=ceiling)
    await busy(here, calls)
    assert here.unseen.is_idle is is_idle
    assert await tried(here) == ((True,) if is_idle else (False, LOADED))


async def test_one_comparison_at_a_time_others_are_dropped_and_counted():
    here = Trusted()
    async with here.unseen.turn(here.asks(), SPLIT, 1) as may:
        assert may
        assert await tried(here) == (False, RUNNING)
        assert await tried(here, feature=NORMALIZE) == (False, RUNNING)
    assert await tried(here) == (True,)
    assert (here.trial().dropped, here.trial(NORMALIZE).dropped) == ({RUNNING: 1}, {RUNNING: 1})


async def test_one_that_raises_gives_its_turn_back():
    here = Trusted()
    with pytest.raises(UpstreamError):
        async with here.unseen.turn(here.asks(), SPLIT, 1):
            raise UpstreamError("down")
    assert await tried(here) == (True,)


async def test_who_was_turned_away_gives_nobody_elses_turn_back():
    here = Trusted()
    async with here.unseen.turn(here.asks(), SPLIT, 1):
        for _ in range(2):
            assert await tried(here) == (False, RUNNING)


async def test_while_nothing_is_served_nothing_is_compared():
    here = Trusted()
    here.mode.observing = True
    assert await tried(here) == (False, OBSERVING)
    here.mode.observing = False
    assert await tried(here) == (True,)


async def test_extra_calls_are_a_tenth_of_clients_and_leave_two_for_their_answers():
    here = Trusted()
    assert await tried(here, 10) == (True,)
    assert await tried(here) == (False, EXTRA)
    for _ in range(30):
        here.protection.budget.add()
    assert await tried(here) == (True,)


async def test_of_what_was_dropped_nothing_is_spent():
    here = Trusted(two_rule(trusted={"budget": 5}))
    assert [await tried(here, calls) for calls in (6, 5, 1)] == [(False, DAY), (True,), (False, DAY)]
    assert (sum(here.trial().spent.values()), here.protection.budget.left) == (5, 5.0)


async def test_each_day_has_its_budget():
    here = Trusted(two_rule(trusted={"budget": 2}), clock=FakeClock(wall=A_DAY_S * 10 + 60))
    took = []
    for _ in range(3):
        took.append([(await tried(here))[0] for _ in range(3)])
        here.clock.advance(A_DAY_S)
        for _ in range(100):
            here.protection.budget.add()
    assert took == [[True, True, False]] * 3
    assert here.trial().spent == {"1970-01-11": 2, "1970-01-12": 2, "1970-01-13": 2}


async def test_the_features_of_a_rule_share_it_also_after_a_demotion():
    here = Trusted(two_rule(trusted={"budget": 1}))
    assert [await tried(here, feature=one) for one in (SPLIT, NORMALIZE)] == [(True,), (False, DAY)]
    here.rollouts.demote("kept")
    here.rollouts.set("kept", None)
    assert await tried(here, feature=SPLIT) == (False, DAY)


# Calls that are owed: for an answer that has left, and for a difference.


def test_who_serves_an_answer_that_is_yet_to_be_compared_takes_its_call_first():
    here = Trusted(two_rule(trusted={"budget": 3}))
    assert [here.unseen.may_pair(here.asks(), SPLIT) for _ in range(4)] == [True, True, True, False]
    assert sum(here.trial().spent.values()) == 3
    here = Trusted()
    assert [here.unseen.may_pair(here.asks(), SPLIT) for _ in range(11)] == [True] * 8 + [False] * 3


async def test_what_must_be_asked_is_asked_and_paid_for_later():
    here = Trusted(two_rule(trusted={"budget": 12}))
    here.unseen.owes(here.asks(), SPLIT, 11)
    assert await tried(here) == (False, EXTRA)
    for _ in range(40):
        here.protection.budget.add()
    assert await tried(here) == (True,)
    assert await tried(here) == (False, DAY)


@given(st.lists(st.tuples(st.sampled_from(["turn", "pair", "client", "day"]), st.integers(1, 4)), max_size=60))
async def test_no_day_has_more_than_its_budget_and_no_client_pays_more_than_a_tenth(steps):
    here = Trusted(two_rule(trusted={"budget": 12}))
    clients = 0
    for act, calls in steps:
        if act == "turn":
            await tried(here, calls)
        elif act == "pair":
            here.unseen.may_pair(here.asks(), SPLIT)
        elif act == "day":
            here.clock.advance(A_DAY_S)
        else:
            here.protection.budget.add()
            clients += 1
    spent = here.trial().spent
    assert all(calls <= 12 for calls in spent.values())
    assert sum(spent.values()) <= clients * 0.1 + 10 + 1e-6


# What is asked.

CLIENTS_OWN = (
    (b"cache-control", b"no-cache"),
    (b"prefer", b"wait=1"),
    (b"if-none-match", b'"a"'),
    (b"range", b"bytes=0-1"),
)
KEPT = (b"accept-encoding", b"gzip")


def test_it_is_asked_for_the_whole_for_nobody_and_marked():
    here = Trusted()
    asked = replace(here.asks(*CLIENTS_OWN, KEPT, arm="candidate"), directives={"no-cache": None})
    asked.line.afterwards(lambda: pytest.fail("its answer has not left"))
    asked.line.draws, asked.line.sent_before, asked.line.call = {SPLIT: Draw("candidate", 5.0)}, 3, Call()
    unseen = marked(asked)
    assert unseen.request.headers == ((b"host", b"site.test"), KEPT, (b"frontrunner-shadow", b"1"))
    assert (unseen.directives, unseen.line.upstream_calls, unseen.line.draws) == ({}, 0, None)
    unseen.line.leave()
    assert (asked.line.upstream_calls, asked.request.header(b"prefer")) == (3, b"wait=1")


async def test_what_is_done_of_it_is_not_in_the_line_of_its_client():
    here = Trusted()
    asked = here.asks()
    await here.unseen.whole(asked)
    assert (asked.line.call, asked.line.upstream_calls) == (None, 0)


async def test_a_whole_answer_is_told_plain_and_as_it_came():
    here = Trusted(takes=2.5)
    whole = await here.unseen.whole(here.asks())
    (sent,) = here.engine.requests
    assert (sent.header(b"frontrunner-shadow"), sent.target) == (b"1", b"/kept/shop?ids=1,2&lang=de")
    assert (whole.took, whole.answer.storing.reason, whole.response.body) == (2.5, None, whole.answer.body)
    assert b'"id": "1"' in whole.answer.body


async def test_its_coding_is_undone():
    import gzip

    squeezed = gzip.compress(b'{"items": []}')
    here = Trusted(None, answer(squeezed, (b"content-encoding", b"gzip"), (b"content-type", b"application/json")))
    whole = await here.unseen.whole(here.asks())
    assert (whole.response.body, whole.response.header(b"content-encoding")) == (b'{"items": []}', None)
    assert (whole.answer.body, whole.answer.response.header(b"content-encoding")) == (squeezed, b"gzip")
    assert plain_body(whole.answer.response, whole.answer.body, 100) == whole.response.body


NOT_TOLD = {
    "without an end": (answer(b"data: 1", (b"content-type", b"text/event-stream")), "event_stream"),
    "too large": (answer(b"x" * 101), "too_large"),
    "of a coding that cannot be undone": (answer(b"x", (b"content-encoding", b"br, gzip")), None),
}


@pytest.mark.parametrize(("said", "reason"), NOT_TOLD.values(), ids=NOT_TOLD)
async def test_what_cannot_be_compared_says_so(said, reason):
    here = Trusted(rule("kept", trust=Trust(), max_object=100), said)
    with pytest.raises(Fallback) as fallback:
        await here.unseen.whole(here.asks())
    assert reason is None or fallback.value.reason == reason


async def test_of_what_has_no_end_nothing_is_read():
    body = Body(b"data: 1", ends=False)
    here = Trusted(None, answer(body, (b"content-type", b"text/event-stream")))
    with pytest.raises(Fallback):
        await here.unseen.whole(here.asks())
    assert (body.taken, body.closed) == (0, 1)


async def test_it_waits_behind_all_others():
    here = Trusted(ceiling=1)
    await busy(here, 1)
    waits = asyncio.get_running_loop().create_task(here.unseen.whole(here.asks()))
    await until(lambda: here.protection.status().waiting)
    assert {name for name, count in here.protection.status().by_priority.items() if count} == {"shadow"}
    assert not here.unseen.is_idle
    waits.cancel()


async def test_an_upstream_that_is_down_says_so():
    here = Trusted(None, UpstreamError("down"))
    with pytest.raises(UpstreamError):
        await here.unseen.whole(here.asks())


async def test_an_error_is_an_answer_like_any_other():
    here = Trusted(None, Response(500, (), b"no"))
    assert (await here.unseen.whole(here.asks())).response.status == 500
