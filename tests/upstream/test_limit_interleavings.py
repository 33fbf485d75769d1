"""In whatever order things happen: never more in flight than may be, and no slot is ever lost.

FRONTRUNNER_INTERLEAVINGS says in how many orders (5,000; 100,000 before a release).
"""

import asyncio
import os
import random

import pytest
from virtual_time import VirtualClock, run_virtually

from proxy.core.aimd import Sign
from proxy.core.fair_queue import Priority
from proxy.errors import UpstreamError, UpstreamRefused, UpstreamReset, UpstreamTimeout
from proxy.upstream.limit import Limit
from proxy.upstream.slots import UNLIMITED, OwnSlots

ORDERS = int(os.environ.get("FRONTRUNNER_INTERLEAVINGS", "5000"))
SHARES = 20
ERRORS = {Sign.REFUSED: UpstreamRefused("no"), Sign.RESET: UpstreamReset("no"), Sign.SLOW: UpstreamTimeout("no")}
STEPS = 25


class CountedSlots(OwnSlots):
    """Knows the most that were taken at once, and what was given back twice or never given."""

    def __init__(self):
        super().__init__()
        self.most = 0

    def take(self, limit):
        token = super().take(limit)
        self.most = max(self.most, self.in_use())
        return token

    def give_back(self, token):
        assert token in self._taken
        super().give_back(token)


class Story:
    """One random order of events around one limit."""

    def __init__(self, dice):
        self.dice = dice
        self.ceiling = dice.choice([None, 1, 1, 2, 3, 5])
        self.slots = CountedSlots()
        self.limit = Limit(self.slots, self.ceiling, VirtualClock(), most_waiting=dice.choice([0, 1, 3, 50]))
        self.signs = dice.choice([[Sign.FINE, Sign.FINE, *Sign], [*[Sign.REFUSED] * 20, Sign.FINE, Sign.NOTHING]])
        self.tasks, self.held = [], []
        self.kinds, self.told = set(), [1.0]

    async def asks(self, client, priority, most_wait_s, charge, *, held_here):
        try:
            slot = await self.limit.acquire(client, priority, most_wait_s, charge)
            self.kinds.add("granted")
            if held_here:
                try:
                    await asyncio.sleep(self.dice.choice([0, 0, 1, 30]))
                    self.end(slot)
                finally:
                    slot.release()
            else:
                self.held.append(slot)
        except UpstreamError as error:
            self.kinds.add(error.reason)
            self.told.append(error.retry_after_s)
        except asyncio.CancelledError:
            self.kinds.add("cancelled")
            raise

    def ask(self):
        most_wait_s = self.dice.choice([None, 0.0, 1.0, 20.0])
        asks = self.asks(
            self.dice.choice("abc"),
            self.dice.choice([Priority.CLIENT, Priority.CLIENT, *Priority]),
            most_wait_s,
            self.dice.choice([1, 1, 8]),
            held_here=self.dice.random() < 0.5,
        )
        self.tasks.append(asyncio.get_running_loop().create_task(asks))

    def end(self, slot):
        sign = self.dice.choice(self.signs)
        if self.dice.random() < 0.1:
            self.kinds.add("held on")
            slot.hold_until(asyncio.get_running_loop().time() + self.dice.choice([-1, 0.5, 40]))
        slot.release(sign, ERRORS.get(sign))

    def answer(self):
        """Let some head come of which the body still does."""
        if self.held:
            self.dice.choice(self.held).answered(self.dice.choice([Sign.FINE, Sign.BUSY, Sign.LIMITED]))

    def finish(self):
        if self.held:
            slot = self.held.pop(self.dice.randrange(len(self.held)))
            self.end(slot)
            if self.dice.random() < 0.2:
                slot.release(Sign.FINE)

    def cancel(self):
        if self.tasks:
            self.dice.choice(self.tasks).cancel()

    async def run(self):
        acts = [self.ask, self.ask, self.ask, self.finish, self.finish, self.cancel, self.answer]
        for _ in range(STEPS):
            for _ in range(self.dice.choice([1, 1, 2, 4])):
                self.dice.choice(acts)()
            if self.dice.random() < 0.8:
                await asyncio.sleep(self.dice.choice([0, 0, 0.5, 2, 15]))
            self.true_now()
        while self.held or not all(task.done() for task in self.tasks):
            self.finish()
            await asyncio.sleep(1)
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.sleep(50)  # what was held on is over
        self.none_lost()

    def true_now(self):
        status = self.limit.status()
        if self.ceiling is not None:
            assert self.slots.most <= self.ceiling
            assert 1.0 <= status.limit <= self.ceiling
        waiting = sum(status.by_priority.values())
        assert status.waiting == waiting <= len([task for task in self.tasks if not task.done()])

    def none_lost(self):
        status = self.limit.status()
        assert (status.in_flight, status.waiting) == (0, 0)
        assert self.limit._background == 0
        assert min(self.told) >= 1.0
        assert self.slots.take(UNLIMITED) is not None
        failed = [task.exception() for task in self.tasks if not task.cancelled()]
        assert not [error for error in failed if error is not None]
        assert not [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]


@pytest.mark.parametrize("share", range(SHARES))
def test_in_no_order_is_a_slot_lost_or_one_given_too_many(share):
    kinds = set()

    async def main():
        for number in range(ORDERS // SHARES):
            story = Story(random.Random(f"{share} {number}"))
            try:
                await story.run()
            except (AssertionError, UpstreamError) as error:
                raise AssertionError(f"share {share}, number {number}: {error}") from error
            kinds.update(story.kinds)

    run_virtually(main())
    if ORDERS >= 100 * SHARES:
        assert kinds >= {"granted", "queue_full", "queue_timeout", "upstream_refused", "cancelled", "held on"}
