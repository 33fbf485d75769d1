"""Processes of one proxy are of one mind about purges, the bypass, and rollouts."""

import asyncio
from dataclasses import replace

import pytest
from fakes import FakeClock, LineKeeper, until
from shop import splitting_rule
from wires import Switchboard

from proxy import spread as module
from proxy.bypass import Bypass
from proxy.core.rollout import Stage
from proxy.core.types import Entry, Request
from proxy.rollouts import ALL, Rollouts
from proxy.spread import Spread
from proxy.store.epochs import Purges
from proxy.tasks import Tasks
from proxy.upstream.collapse import Flight
from proxy.upstream.flights import Flights

SPLIT = splitting_rule("search")
KEPT = Entry(200, (), b"", stored_at=10.0, ttl=60.0, rule="search", groups=(b"site.test g",))


class Board:
    """A board that keeps every note."""

    def __init__(self) -> None:
        self.pinned: dict[str, bytes] = {}
        self.fails = False

    async def pin(self, name: str, note: bytes, lasts_s: float) -> None:
        if self.fails:
            raise ConnectionError("gone")
        self.pinned[name] = note
        if lasts_s < 1:
            del self.pinned[name]

    async def notes(self, prefix: str) -> dict[str, bytes]:
        if self.fails:
            raise ConnectionError("gone")
        return {name: note for name, note in self.pinned.items() if name.startswith(prefix)}

    async def lease(self, key: bytes, owner: str, lasts_s: float) -> int | None:
        raise NotImplementedError

    async def release(self, key: bytes, owner: str) -> None:
        raise NotImplementedError


class Process:
    """What one process has to tell."""

    def __init__(
        self, board: Board | None, wires: Switchboard, name: str, bypass: Bypass | None = None, *, far: bool = True
    ) -> None:
        self.log, self.purges, self.bypass = LineKeeper(), Purges(), bypass or Bypass()
        self.tasks, self.heard = Tasks(self.log.failed), []
        self.flights, self.rollouts = Flights(self.tasks), Rollouts((SPLIT,), FakeClock())
        self.spread = Spread(
            board, wires.wire(), self.tasks, purges=self.purges, flights=self.flights,
            bypass=self.bypass, rollouts=self.rollouts, clock=FakeClock(), name=name, failed=self.log.failed, hear=(self.heard.append,), far=far,
        )  # fmt: skip


@pytest.fixture
async def two():
    board, wires = Board(), Switchboard()
    both = [Process(board, wires, name) for name in ("a", "b")]
    for one in both:
        await one.spread.open()
    yield board, wires, *both
    for one in both:
        await one.tasks.close()


PURGES = {
    "a rule": lambda purges: purges.rules([b"search"], 20.0),
    "all": lambda purges: purges.rules([b""], 20.0),
    "a group": lambda purges: purges.groups([b"site.test g"], 20.0),
}


@pytest.mark.parametrize("purge", PURGES.values(), ids=PURGES)
async def test_what_one_purges_is_gone_for_the_others(two, purge):
    _, _, one, other = two
    purge(one.purges)
    await until(lambda: other.purges.left_of(KEPT) is None)


async def test_a_soft_purge_is_soft_everywhere(two):
    _, _, one, other = two
    one.purges.rules([b"search"], 20.0, soft=True)
    await until(lambda: other.purges.left_of(KEPT).ttl == 10.0)


async def fly(process: Process, sent: int = 1) -> Flight:
    """Let a fetch be under way that went upstream at second 10."""
    flight = Flight(Request("GET", b"/"), kept=True)
    flight.rule, flight.groups, flight.bare = "search", (b"site.test g",), b"t" * 20
    flight.call.asked_at, flight.call.sent = 10.0, sent
    flight.reader(lead=True)
    process.flights.begin(b"place", flight)
    return flight


OVERTAKES = PURGES | {
    "parts": lambda purges: purges.targets([b"s" * 20, b"t" * 20, b"u" * 20], 20.0),
    "an unsafe request": lambda purges: purges.targets([b"t" * 20], 20.0),
    "softly": lambda purges: purges.rules([b"search"], 20.0, soft=True),
}


@pytest.mark.parametrize("purge", OVERTAKES.values(), ids=OVERTAKES)
async def test_who_asked_after_a_purge_elsewhere_joined_a_fetch_from_before_it(two, purge):
    _, _, one, other = two
    flight = await fly(other)
    purge(one.purges)
    await until(lambda: flight.disowned)


async def test_what_was_asked_after_a_purge_or_is_yet_to_be_asked_goes_on(two):
    _, _, one, other = two
    after, waits = await fly(other), await fly(other, sent=0)
    waits.call.asked_at = 0.0
    one.purges.rules([b"search"], 9.0)
    await until(lambda: other.purges.left_of(replace(KEPT, stored_at=8.0)) is None)
    assert (after.disowned, waits.disowned) == (False, False)
    one.purges.rules([b"another rule"], 20.0)
    one.purges.rules([b"search"], 20.0)
    await until(lambda: after.disowned)
    assert not waits.disowned


async def test_who_starts_later_knows_what_was_purged_and_turned_before(two):
    board, wires, one, _ = two
    one.purges.targets([b"t" * 20], 20.0)
    one.bypass.turn(on=True)
    await until(lambda: len(board.pinned) >= 2)
    late = Process(board, wires, "c")
    await late.spread.open()
    assert late.purges.left_of(KEPT, b"t" * 20) is None
    assert late.purges.left_of(KEPT) is KEPT
    assert late.bypass.on
    await late.tasks.close()


async def test_the_parts_of_one_request_are_told_at_once(two):
    """A note for each would be thousands of writes for one purge."""
    board, wires, one, other = two
    parts = [b"%020d" % number for number in range(65)]
    one.purges.targets(parts, 20.0)
    assert all(one.purges.left_of(KEPT, part) is None for part in parts)
    await until(lambda: other.purges.left_of(KEPT, parts[-1]) is None and board.pinned)
    assert all(other.purges.left_of(KEPT, part) is None for part in parts)
    assert len([note for note in board.pinned if note.startswith("purge ")]) == 1
    assert len([note for note in other.heard if note.startswith(b"p")]) == 1
    late = Process(board, wires, "c")
    await late.spread.open()
    assert all(late.purges.left_of(KEPT, part) is None for part in parts)
    assert late.purges.left_of(KEPT, b"x" * 20) is KEPT
    await late.tasks.close()


async def test_the_bypass_is_turned_for_all_and_echoes_nowhere(two):
    _, _, one, other = two
    for on in (True, False):
        one.bypass.turn(on=on)
        await until(lambda on=on: other.bypass.on is on)
    assert len([message for message in one.heard if message.startswith(b"b")]) == 0


async def test_a_board_that_is_gone_leaves_each_to_itself(two):
    board, _, one, _ = two
    board.fails = True
    one.purges.rules([b"search"], 20.0)
    await until(lambda: one.log.failures)


async def test_alone_it_tells_nobody():
    alone = Process(None, Switchboard(), "a")
    await alone.spread.open()
    alone.purges.rules([b"search"], 20.0)
    await asyncio.sleep(0)
    assert alone.purges.left_of(KEPT) is None
    await alone.tasks.close()


async def test_a_purge_that_the_board_could_not_keep_came_back_after_a_restart(monkeypatch, two):
    monkeypatch.setattr(module, "KEEP_UP_EVERY_S", 0.001)
    board, wires, *_ = two
    third = Process(board, wires, "c")
    await third.spread.open()
    board.fails = True
    third.purges.rules([b"search"], 20.0)
    await until(lambda: third.log.failures)
    board.fails = False
    await until(lambda: any(name.startswith("purge r") for name in board.pinned))
    await third.tasks.close()


async def test_a_purge_just_before_the_end_came_back_after_a_restart(two):
    board, wires, *_ = two
    third = Process(board, wires, "c")
    await third.spread.open()
    third.purges.rules([b"search"], 20.0)
    await third.spread.close()
    await third.tasks.close()
    assert any(name.startswith("purge r") for name in board.pinned)


async def test_a_board_that_was_away_at_the_start_was_never_read(monkeypatch, two):
    monkeypatch.setattr(module, "KEEP_UP_EVERY_S", 0.001)
    board, wires, one, _ = two
    one.purges.rules([b"search"], 20.0)
    await until(lambda: board.pinned)
    board.fails = True
    late = Process(board, wires, "c")
    await late.spread.open()
    assert late.purges.left_of(KEPT) is KEPT
    board.fails = False
    await until(lambda: late.purges.left_of(KEPT) is None)
    await late.tasks.close()


async def test_each_unsafe_request_left_a_note_for_a_month(monkeypatch, two):
    """Of many targets the longest untouched are told together: what is older than they is gone."""
    monkeypatch.setattr(module, "MOST", 20)
    monkeypatch.setattr(module, "_LEFT_OUT_AT_ONCE", 10)
    board, wires, one, _ = two
    for number in range(100):
        one.purges.targets([b"%020d" % number], 100.0 + number)
    await one.spread.close()
    assert sum(name.startswith("purge t") for name in board.pinned) <= 30
    late = Process(board, wires, "c")
    await late.spread.open()
    assert late.purges.left_of(replace(KEPT, stored_at=120.0), b"%020d" % 40) is None, "it was touched later"
    assert late.purges.left_of(replace(KEPT, stored_at=120.0), b"another") is None, "nobody knows any more"
    assert late.purges.left_of(replace(KEPT, stored_at=190.0), b"another") is not None
    await late.tasks.close()


@pytest.fixture
def switch(tmp_path):
    return tmp_path / "bypass"


async def test_a_switch_that_was_made_by_hand_was_unmade_by_a_note_from_before(two, switch):
    board, wires, *_ = two
    board.pinned["bypass"] = b"0 10.0"
    switch.touch()
    late = Process(board, wires, "c", Bypass(switch))
    await late.spread.open()
    assert late.bypass.on
    await until(lambda: board.pinned["bypass"].startswith(b"1"))
    await late.tasks.close()


async def test_a_switch_that_is_older_than_what_others_say_follows_them(two, switch):
    board, wires, *_ = two
    board.pinned["bypass"] = b"0 99999999999.0"
    switch.touch()
    late = Process(board, wires, "c", Bypass(switch))
    await late.spread.open()
    assert not late.bypass.on
    assert not switch.exists()
    await late.tasks.close()


async def test_where_all_see_the_file_it_alone_is_the_switch(two, switch):
    """Made or removed by hand while nobody runs, it means what it says."""
    board, wires, *_ = two
    board.pinned["bypass"] = b"1 99999999999.0"
    late = Process(board, wires, "c", Bypass(switch), far=False)
    await late.spread.open()
    late.bypass.turn(on=True)
    late.bypass.turn(on=False)
    await late.spread.close()
    assert (late.bypass.on, board.pinned["bypass"]) == (False, b"1 99999999999.0")
    await late.tasks.close()


STOPS = {
    "the kill switch": (lambda rollouts: rollouts.set(ALL, Stage.OFF), Stage.OFF),
    "an operator": (lambda rollouts: rollouts.set("search", Stage.SHADOW), Stage.SHADOW),
    "a mismatch": (lambda rollouts: rollouts.demote("search"), Stage.SHADOW),
}


@pytest.mark.parametrize(("stop", "stage"), STOPS.values(), ids=STOPS)
async def test_what_stops_a_split_here_stops_it_everywhere_at_once(two, stop, stage):
    _, _, one, other = two
    assert other.rollouts.stage("search") is Stage.ON
    stop(one.rollouts)
    await until(lambda: other.rollouts.stage("search") is stage)
    assert other.rollouts.status("search") == one.rollouts.status("search")
    other.rollouts.set(ALL, None)
    other.rollouts.set("search", None)
    await until(lambda: one.rollouts.stage("search") is Stage.ON)


@pytest.mark.parametrize(("stop", "stage"), STOPS.values(), ids=STOPS)
async def test_a_stopped_split_came_back_after_a_restart(two, stop, stage):
    board, wires, one, _ = two
    stop(one.rollouts)
    await one.spread.close()
    late = Process(board, wires, "c")
    await late.spread.open()
    assert (late.rollouts.stage("search"), late.rollouts.forced("search")) == (stage, stop is STOPS["an operator"][0])
    await late.tasks.close()


@pytest.mark.parametrize(("stop", "stage"), STOPS.values(), ids=STOPS)
async def test_a_machine_that_missed_the_message_reads_it_on_the_board(monkeypatch, two, stop, stage):
    """Within a second: no wire makes a promise."""
    monkeypatch.setattr(module, "KEEP_UP_EVERY_S", 0.001)
    board, wires, *_ = two
    third, fourth = Process(board, wires, "c"), Process(board, wires, "d")
    wires.wires[-2].cut = True
    for process in (third, fourth):
        await process.spread.open()
    stop(third.rollouts)
    await until(lambda: fourth.rollouts.stage("search") is stage)
    for process in (third, fourth):
        await process.tasks.close()


KEPT_UP = {
    "a canary": (lambda rollouts: rollouts.set("search", Stage.CANARY, percent=0.01), 0.01),
    "a step of it": (lambda rollouts: (rollouts.set(ALL, Stage.CANARY), rollouts.climb("search", "split", 25.0)), 25.0),
    "a hold": (lambda rollouts: rollouts.hold("search", "split", 2e9), 0.0),
    "its end": (
        lambda rollouts: (rollouts.hold("search", "split", 2e9), rollouts.release("search", "split", 2e9)),
        100.0,
    ),
}


@pytest.mark.parametrize(("act", "share"), KEPT_UP.values(), ids=KEPT_UP)
async def test_what_share_is_served_here_is_served_everywhere_and_after_a_restart(two, act, share):
    board, wires, one, other = two
    act(one.rollouts)
    await until(lambda: other.rollouts.told() == one.rollouts.told())
    await one.spread.close()
    late = Process(board, wires, "c")
    await late.spread.open()
    assert [each.rollouts.share("search") for each in (one, other, late)] == [share] * 3
    await late.tasks.close()


async def test_a_stop_that_the_board_lost_is_pinned_again(monkeypatch, two):
    """A note lasts a month, and a store may be emptied; who stopped a split meant it for longer."""
    monkeypatch.setattr(module, "KEEP_UP_EVERY_S", 0.001)
    board, wires, *_ = two
    third = Process(board, wires, "c")
    await third.spread.open()
    third.rollouts.set(ALL, Stage.OFF)
    await until(lambda: "rollout set split " in board.pinned)
    stopped = board.pinned.pop("rollout set split ")
    await until(lambda: board.pinned.get("rollout set split ") == stopped)
    board.pinned["rollout set split "] = b"1.0 on split "
    await until(lambda: board.pinned["rollout set split "] == stopped)
    await third.tasks.close()
