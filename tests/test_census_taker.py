"""What all processes have counted: the same whichever is asked."""

import asyncio

import pytest
from counters import Stage
from fakes import until

from proxy import census_taker as module
from proxy.archive import GONE_AFTER_S
from proxy.core.census import STILL_THERE_S
from proxy.core.history import window
from proxy.core.log_line import Call, Purpose
from proxy.core.tally import Held
from proxy.recent import MOST


@pytest.fixture
async def stage():
    stage = Stage()
    yield stage
    await stage.close()


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
    await until(lambda: stage.told("a") is not None and stage.told("a").operations.all().n == 2)
    written = stage.board.written
    await asyncio.sleep(0.02)
    assert stage.board.written == written, "no news"
    one.count(1)
    await until(lambda: stage.told("a").operations.all().n == 3)


async def test_a_process_that_counts_nothing_says_that_it_is_there(stage):
    one = stage.process("a")
    await one.keep_up()
    stage.clock.advance(STILL_THERE_S)
    await one.keep_up()
    assert stage.told("a").at == stage.clock.wall()


async def test_each_machine_has_counts_of_its_own(stage):
    here, there = stage.process("a"), stage.process("b", "there")
    here.count(1)
    there.count(10)
    await there.keep_up()
    seen = await here.counts.everybodys()
    assert (seen.operations.all().n, seen.here.all().n) == (11, 1)


async def test_spans_are_written_down_when_some_are_closed_and_windows_do_not_change(stage):
    one, looker = stage.process("a"), stage.process("b")
    for _ in range(20):
        one.count(1)
        stage.clock.advance(10)
        await one.keep_up()
        assert await looker.windows(60.0) == min(6, one.stats.operations.all().n), "the last is open and empty"
    assert len([name for name in stage.board.pinned if name.startswith("ring a ")]) >= 1
    assert len(stage.told("a").spans.get("10s", {})) <= 7


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


async def test_who_keeps_as_many_lines_as_it_can_may_have_had_more_before(stage):
    one, other = stage.process("a"), stage.process("b")
    for process in (one, other):
        await process.keep_up()
    one.count(1)
    stage.clock.advance(1)
    other.count(MOST - 1)
    assert (await one.counts.everybodys(lines=True)).lines_since == ""
    other.count(1)
    seen = await one.counts.everybodys(lines=True)
    assert seen.lines_since == seen.lines[1]["timestamp"] > seen.lines[0]["timestamp"]


async def test_a_board_that_is_gone_leaves_each_to_itself(stage):
    one = stage.process("a")
    one.count(2)
    stage.board.fails = True
    assert await one.n() == 2
    assert [type(error) for error, _ in one.log.failures] == [ConnectionError]
    await one.counts.close()
    assert len(one.log.failures) == 2


async def test_counters_fell_while_the_board_could_not_be_read(stage):
    """Prometheus would take the old sums for new requests once they are back."""
    one, other = stage.process("a"), stage.process("b")
    one.count(2)
    other.count(40)
    for process in (one, other):
        await process.keep_up()
    assert await one.n() == 42
    stage.board.fails = True
    one.count(1)
    assert await one.n() == 43


async def test_a_note_of_lines_that_cannot_be_read_broke_the_answer(stage):
    one = stage.process("a")
    one.count(1)
    for number, note in enumerate((b"{", b"7", b"[1, {}]", b"\xff")):
        stage.board.pinned[f"lines {number}"] = note
    assert len((await one.counts.everybodys(lines=True)).lines) == 1


async def test_alone_it_packs_what_is_over(stage):
    one = stage.process("a", alone=True)
    for _ in range(3):
        one.count(1)
        stage.clock.advance(10)
    await one.keep_up()
    assert one.stats.history.unpacked() == {}
    await one.tend()
    assert await one.windows() == 3


async def test_calls_that_ended_without_a_request_were_not_told_until_one_came(stage):
    one, other = stage.process("a"), stage.process("b")
    await one.keep_up()
    for _ in range(3):
        stage.clock.advance(1)
        now = stage.clock.timer()
        one.stats.count_call(Call(rule="r", purpose=Purpose.REFRESH, began=now - 60, ended=now))
        await one.keep_up()
    stage.kill(one)
    assert (await other.counts.everybodys()).operations.all().calls == {"refresh": 3}


async def test_alone_it_asks_nobody(stage):
    one = stage.process("a", alone=True)
    await one.counts.open()
    one.count(2)
    seen = await one.counts.everybodys(window(600.0, stage.clock.wall(), twice=True), lines=True)
    assert (seen.operations.all().n, seen.window.all().n, seen.processes, len(seen.lines)) == (2, 2, 1, 2)
    assert (seen.held, seen.evictions) == ((Held("memory", 1, 2, 3),), {"memory": 4})
    await one.counts.close()
    assert stage.board.written == 0


async def test_a_note_that_cannot_be_read_is_left_alone(stage):
    stage.board.pinned["tally x"] = b"of another release"
    one = stage.process("a")
    one.count(1)
    await one.keep_up()
    assert await one.n() == 1
    assert stage.board.pinned["tally x"] == b"of another release"


LATE = {"it counts again": True, "another asks first": False}


@pytest.mark.parametrize("counts_first", LATE.values(), ids=LATE)
@pytest.mark.parametrize("silent_s", [GONE_AFTER_S + 60, 20 * GONE_AFTER_S])
async def test_one_that_was_held_up_for_long_was_counted_twice_or_never_again(stage, counts_first, silent_s):
    """Its counts were archived meanwhile, and their notes wiped."""
    late, other, third = stage.process("a"), stage.process("b"), stage.process("c")
    late.count(5)
    for process in (late, other, third):
        await process.keep_up()
    await stage.live(silent_s, other, third)
    assert (stage.archived(), stage.told("a")) == (5, None)
    if counts_first:
        await late.keep_up()
    assert await other.n() == 5
    late.count(2)
    await late.keep_up()
    assert (await other.n(), await late.n()) == (7, 7)
    await stage.outlive(late, other, third)
    assert (await other.n(), await late.n()) == (7, 7)


async def test_one_that_was_held_up_and_not_taken_goes_on(stage):
    late = stage.process("a")
    late.count(5)
    await late.keep_up()
    stage.clock.advance(GONE_AFTER_S + 1)
    await late.keep_up()
    assert await late.n() == 5


async def test_while_the_board_was_away_everybody_was_taken_for_gone(stage):
    """What each counted meanwhile was lost."""
    workers = [stage.process(name) for name in "abcd"]
    for worker in workers:
        worker.count(100)
        await worker.keep_up()
    stage.board.fails = True
    for _ in range(5):
        stage.clock.advance(STILL_THERE_S)
        for worker in workers:
            worker.count(10)
            with pytest.raises(ConnectionError):
                await worker.keep_up()
    stage.board.fails = False
    await workers[0].keep_up()
    await workers[0].tend()
    for worker in workers[1:]:
        await worker.keep_up()
        await worker.tend()
    assert [await worker.n() for worker in workers] == [600] * 4
    assert stage.archived() == 0


async def test_a_machine_that_slept_took_its_own_processes_for_gone(stage):
    one, other = stage.process("a"), stage.process("b")
    for process in (one, other):
        process.count(5)
        await process.keep_up()
    stage.clock.advance(10 * GONE_AFTER_S)
    await one.keep_up()
    await one.tend()
    assert stage.archived() == 0
    await stage.live(STILL_THERE_S, other, one)
    assert (await one.n(), await other.n(), stage.archived()) == (10, 10, 0)
