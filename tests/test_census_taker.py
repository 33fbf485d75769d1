"""What all processes have counted: the same whichever is asked, after any of them has gone, and never twice."""

import asyncio

import pytest
from boards import Board
from fakes import FakeClock, LineKeeper, until
from wires import Switchboard

from proxy import census_taker as module
from proxy.census_taker import GONE_AFTER_S, GONE_ELSEWHERE_AFTER_S, CensusTaker, Now
from proxy.core.census import STILL_THERE_S
from proxy.core.history import window
from proxy.core.log_line import LogLine
from proxy.core.tally import Held, tally_of
from proxy.core.types import Outcome
from proxy.recent import Recent
from proxy.stats import Stats
from proxy.tasks import Tasks


class Process:
    """One process of several: counts, and tells when it is let."""

    def __init__(self, stage: "Stage", name: str, machine: str = "here", *, alone: bool = False) -> None:
        self.stage, self.log = stage, LineKeeper()
        self.tasks = Tasks(self.log.failed)
        self.stats, self.recent = Stats(stage.clock), Recent(stage.clock)
        self.shared = None if alone else stage.board
        self.wire = wire = None if alone else stage.wires.wire()
        self.counts = CensusTaker(
            self.stats, self.recent, lambda: Now((Held("memory", 1, 2, 3),), 4), self.shared, wire, self.tasks,
            stage.clock, machine=machine, name=name, failed=self.log.failed,
        )  # fmt: skip
        if wire is not None:
            wire.listen(self.counts.hear)

    def count(self, times: int = 1, seconds: float = 1.0, rule: str = "r") -> None:
        for number in range(times):
            line = LogLine(f"id-{number}", "GET", "/a", 0.0, rule=rule, outcome=Outcome.MISS, duration_s=seconds)
            self.stats.count(line)
            self.recent.add(line)

    async def keep_up(self) -> None:
        await self.counts.keep_up(self.stage.board)

    async def n(self) -> int:
        return (await self.counts.everybodys()).operations.all().n

    async def windows(self, seconds: float = 600.0) -> tuple[int, int]:
        seen = await self.counts.everybodys(window(seconds, self.stage.clock.wall(), twice=True))
        return seen.window.all().n, seen.before.all().n


class Stage:
    """A board, a wire, and a clock that processes share."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.board, self.wires = Board(self.clock), Switchboard()
        self.processes: list[Process] = []

    def process(self, name: str, machine: str = "here", *, alone: bool = False) -> Process:
        self.processes.append(Process(self, name, machine, alone=alone))
        return self.processes[-1]

    def kill(self, process: Process) -> None:
        """Let it hear nothing any more."""
        process.wire.hears.clear()


@pytest.fixture
async def stage():
    stage = Stage()
    yield stage
    for process in stage.processes:
        await process.tasks.close()


async def test_whoever_is_asked_tells_what_all_have_counted_until_now(stage):
    one, other = stage.process("a"), stage.process("b")
    for process in (one, other):
        await process.keep_up()
    one.count(2)
    other.count(3)
    assert (await one.n(), await other.n()) == (5, 5)
    other.count(1)
    assert (await one.n(), await other.n()) == (6, 6)
    assert (await one.counts.everybodys()).processes == 2


async def test_a_process_that_has_told_nothing_yet_is_not_waited_for(stage):
    one, other = stage.process("a"), stage.process("b")
    other.count(3)
    assert await one.n() == 0
    await other.keep_up()
    assert await one.n() == 3


async def test_one_that_was_killed_is_known_by_what_it_told_before(stage):
    one, killed = stage.process("a"), stage.process("b")
    one.count(1)
    killed.count(10)
    await killed.keep_up()
    killed.count(100)
    stage.kill(killed)
    assert await one.n() == 11


async def test_what_was_counted_is_told_once_a_second_if_there_is_news(stage, monkeypatch):
    monkeypatch.setattr(module, "KEEP_UP_EVERY_S", 0.001)
    one = stage.process("a")
    await one.counts.open()
    one.count(2)
    await until(
        lambda: "tally a" in stage.board.pinned and tally_of(stage.board.pinned["tally a"]).operations.all().n == 2
    )
    written = stage.board.written
    await asyncio.sleep(0.02)
    assert stage.board.written == written, "no news"
    one.count(1)
    await until(lambda: tally_of(stage.board.pinned["tally a"]).operations.all().n == 3)


async def test_a_process_that_counts_nothing_says_that_it_is_there(stage):
    one = stage.process("a")
    await one.keep_up()
    stage.clock.advance(STILL_THERE_S)
    await one.keep_up()
    assert tally_of(stage.board.pinned["tally a"]).at == stage.clock.wall()


async def test_what_a_process_counted_that_has_ended_is_another_ones(stage):
    gone, heir = stage.process("a"), stage.process("b")
    gone.count(5, rule="old")
    await gone.keep_up()
    await gone.counts.close()
    stage.kill(gone)
    heir.count(1)
    await heir.keep_up()
    assert await heir.n() == 6
    assert heir.stats.operations["old"].n == 5
    stage.clock.advance(STILL_THERE_S)
    await heir.keep_up()
    assert [name for name in stage.board.pinned if name.endswith(" a")] == []
    assert await heir.n() == 6
    assert await heir.windows() == (6, 0)


async def test_one_that_was_killed_is_taken_for_gone_after_a_while(stage):
    killed, heir = stage.process("a"), stage.process("b")
    killed.count(5)
    await killed.keep_up()
    stage.kill(killed)
    for _ in range(5):
        stage.clock.advance(GONE_AFTER_S / 4)
        await heir.keep_up()
        assert await heir.n() == 5
    assert heir.stats.operations.all().n == 5
    assert "tally a" not in stage.board.pinned


async def test_between_taking_and_wiping_nothing_is_counted_twice(stage):
    """Whoever looks while notes of both are there sees each request once."""
    gone, heir, looker = stage.process("a"), stage.process("b"), stage.process("c")
    gone.count(5)
    await gone.counts.close()
    stage.kill(gone)
    notes = dict(stage.board.pinned)
    await heir.keep_up()
    stage.board.pinned |= notes  # it was killed before it could wipe them
    assert await looker.n() == 5
    assert await looker.windows() == (5, 0)
    stage.kill(heir)
    stage.clock.advance(2 * GONE_AFTER_S)
    await looker.keep_up()
    assert looker.stats.operations.all().n == 5
    assert await looker.n() == 5
    stage.clock.advance(STILL_THERE_S)
    await looker.keep_up()
    assert {name.rpartition(" ")[2] for name in stage.board.pinned if name.startswith("tally")} == {"c"}


async def test_two_do_not_take_the_same_counts(stage):
    gone, one, other = stage.process("a"), stage.process("b"), stage.process("c")
    gone.count(5)
    await gone.counts.close()
    stage.kill(gone)
    await asyncio.gather(one.keep_up(), other.keep_up())
    assert sorted([one.stats.operations.all().n, other.stats.operations.all().n]) == [0, 5]
    assert (await one.n(), await other.n()) == (5, 5)


async def test_one_that_was_held_up_so_long_that_its_counts_were_taken_begins_anew(stage):
    late, heir = stage.process("a"), stage.process("b")
    late.count(5)
    await late.keep_up()
    stage.clock.advance(GONE_AFTER_S + 1)
    await heir.keep_up()
    assert heir.stats.operations.all().n == 5
    late.count(1)
    await late.keep_up()
    assert late.stats.operations.all().n == 0, "the sixth was counted before it knew"
    late.count(2)
    assert (await heir.n(), await late.n()) == (7, 7)


async def test_one_that_was_held_up_and_not_taken_goes_on(stage):
    late = stage.process("a")
    late.count(5)
    await late.keep_up()
    stage.clock.advance(GONE_AFTER_S + 1)
    await late.keep_up()
    assert await late.n() == 5


async def test_each_machine_has_counts_of_its_own(stage):
    here, there = stage.process("a"), stage.process("b", "there")
    here.count(1)
    there.count(10)
    await there.keep_up()
    seen = await here.counts.everybodys()
    assert (seen.operations.all().n, seen.here.all().n) == (11, 1)


async def test_what_another_machine_counted_that_is_gone_does_not_count_as_this_ones(stage):
    here, there = stage.process("a"), stage.process("b", "there")
    here.count(1)
    there.count(10)
    await there.keep_up()
    stage.kill(there)
    stage.clock.advance(GONE_AFTER_S + 1)
    await here.keep_up()
    assert here.stats.far == {}, "its own processes come first"
    stage.clock.advance(GONE_ELSEWHERE_AFTER_S)
    await here.keep_up()
    seen = await here.counts.everybodys()
    assert (seen.operations.all().n, seen.here.all().n, here.stats.far.all().n) == (11, 1, 10)


async def test_spans_are_written_down_when_some_are_closed_and_windows_do_not_change(stage):
    one, looker = stage.process("a"), stage.process("b")
    for _ in range(20):
        one.count(1)
        stage.clock.advance(10)
        await one.keep_up()
        assert (await looker.windows(60.0))[0] == min(5, one.stats.operations.all().n), "the last is open and empty"
    assert len([name for name in stage.board.pinned if name.startswith("ring a ")]) >= 1
    assert len(tally_of(stage.board.pinned["tally a"]).spans.get("10s", {})) <= 7


async def test_recent_lines_are_of_all_processes_the_newest_last(stage):
    one, other = stage.process("a"), stage.process("b")
    for process in (one, other):
        await process.keep_up()
    for process in (one, other, one):
        process.count(1)
        stage.clock.advance(1)
    lines = (await one.counts.everybodys(lines=True)).lines
    assert [line["timestamp"][-9:] for line in lines] == ["0.000000Z", "1.000000Z", "2.000000Z"]
    assert len({tuple(line.items()) for line in lines}) == 3
    assert (await one.counts.everybodys()).lines == []


async def test_a_board_that_is_gone_leaves_each_to_itself(stage):
    one = stage.process("a")
    one.count(2)
    stage.board.fails = True
    assert await one.n() == 2
    assert [type(error) for error, _ in one.log.failures] == [ConnectionError]
    await one.counts.close()
    assert len(one.log.failures) == 2


async def test_alone_it_asks_nobody(stage):
    one = stage.process("a", alone=True)
    await one.counts.open()
    one.count(2)
    seen = await one.counts.everybodys(window(600.0, stage.clock.wall(), twice=True), lines=True)
    assert (seen.operations.all().n, seen.window.all().n, seen.processes, len(seen.lines)) == (2, 2, 1, 2)
    assert (seen.held, seen.evictions) == ((Held("memory", 1, 2, 3),), 4)
    await one.counts.close()
    assert stage.board.written == 0


async def test_a_note_that_cannot_be_read_is_left_alone(stage):
    stage.board.pinned["tally x"] = b"of another release"
    one = stage.process("a")
    one.count(1)
    await one.keep_up()
    assert await one.n() == 1
    assert stage.board.pinned["tally x"] == b"of another release"
