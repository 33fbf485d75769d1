"""What processes counted that are gone: kept once, whoever ends when."""

import asyncio

import pytest
from counters import Stage

from proxy import archive as module
from proxy.archive import GONE_ELSEWHERE_AFTER_S
from proxy.core.census import STILL_THERE_S


@pytest.fixture
async def stage():
    stage = Stage()
    yield stage
    await stage.close()


async def ended(stage, name, machine="here", n=5, rule="r"):
    """Return a process that has counted and ended as it should."""
    process = stage.process(name, machine)
    process.count(n, rule=rule)
    await process.keep_up()
    await process.counts.close()
    stage.kill(process)
    return process


async def heir(stage, name="heir", machine="here"):
    process = stage.process(name, machine)
    await process.keep_up()
    return process


def notes_of(stage, name):
    return [note for note in stage.board.pinned if name in note.split(" ")]


async def test_what_a_process_counted_that_has_ended_is_archived_at_once(stage):
    await ended(stage, "gone", rule="old")
    one = await heir(stage)
    one.count(1)
    assert await one.n() == 6
    await one.tend()
    assert (stage.archived(), notes_of(stage, "gone")) == (5, [])
    assert (await one.n(), await one.windows()) == (6, 6)
    assert one.stats.operations.all().n == 1, "it stays the archive's"


async def test_one_that_was_killed_is_taken_for_gone_after_a_while(stage):
    killed, one = stage.process("killed"), await heir(stage)
    killed.count(5)
    await killed.keep_up()
    stage.kill(killed)
    await stage.live(STILL_THERE_S, one)
    assert (await one.n(), stage.archived()) == (5, 0)
    await stage.outlive(one)
    assert (await one.n(), stage.archived(), notes_of(stage, "killed")) == (5, 5, [])


async def test_what_several_counted_in_the_same_spans_is_put_together(stage):
    for name in "abc":
        await ended(stage, name)
    one = await heir(stage)
    await one.tend()
    told = stage.told("archive here")
    assert (stage.archived(), told.took, told.edition) == (15, ("a", "b", "c"), 3)
    assert (await one.windows(), await one.windows(20 * 3600.0), await one.windows(20 * 86400.0)) == (15, 15, 15)
    assert {note for note in stage.board.pinned if note.startswith("ring archive")} == {
        f"ring archive here 3 {word}" for word in ("10s", "5m", "1h")
    }
    assert stage.told("archive here").details == {}


async def test_between_archiving_and_wiping_nothing_is_counted_twice(stage):
    """Whoever looks while notes of both are there sees each request once."""
    await ended(stage, "gone")
    one, looker = await heir(stage), await heir(stage, "looker")
    notes = {name: note for name, note in stage.board.pinned.items() if name in notes_of(stage, "gone")}
    await one.tend()
    stage.board.pinned |= notes  # it was killed before it could wipe them
    assert (await looker.n(), await looker.windows()) == (5, 5)
    await looker.tend()
    assert (await looker.n(), stage.archived(), notes_of(stage, "gone")) == (5, 5, [])


async def test_two_do_not_take_the_same_counts(stage):
    for name in "abc":
        await ended(stage, name)
    one, other = await heir(stage), await heir(stage, "other")
    await asyncio.gather(one.tend(), other.tend())
    assert (await one.n(), await other.n(), stage.archived()) == (15, 15, 15)


async def test_one_that_works_slowly_takes_nothing_that_another_took_meanwhile(stage, monkeypatch):
    """Its lease was over, and both had seen the same notes."""
    for name in "ab":
        await ended(stage, name)
    slow, quick = await heir(stage, "slow"), await heir(stage, "quick")
    together, done = module._together, []

    def as_another_does(*told):
        if not done:
            done.append(True)
            stage.clock.advance(2 * module._LEASE_S)
            asyncio.run_coroutine_threadsafe(quick.tend(), loop).result(10)
        return together(*told)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(module, "_together", as_another_does)
    await slow.tend()
    assert (stage.archived(), await slow.n(), await quick.n()) == (10, 10, 10)
    await slow.tend()
    assert stage.archived() == 10


async def test_one_that_comes_back_while_it_is_taken_is_left_alone(stage, monkeypatch):
    late, one = await heir(stage, "late"), await heir(stage)
    late.count(5)
    await late.keep_up()
    together = module._together

    def meanwhile(*told):
        asyncio.run_coroutine_threadsafe(late.keep_up(), loop).result(10)
        return together(*told)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(module, "_together", meanwhile)
    late.count(1)
    await stage.outlive(one)
    assert (stage.archived(), await one.n(), await late.n()) == (0, 6, 6)


async def test_who_was_held_up_itself_takes_only_those_that_say_they_have_ended(stage):
    silent, one = await heir(stage, "silent"), await heir(stage)
    silent.count(3)
    await silent.keep_up()
    await ended(stage, "gone")
    stage.clock.advance(86_400)
    await one.keep_up()
    await one.tend()
    assert (stage.archived(), stage.told("silent") is None) == (5, False)


async def test_what_another_machine_counted_that_is_gone_does_not_count_as_this_ones(stage):
    here, there = await heir(stage), await heir(stage, "b", "there")
    here.count(1)
    there.count(10)
    await there.keep_up()
    await ended(stage, "c", "there")
    await there.tend()
    stage.kill(there)
    await stage.outlive(here)
    assert (stage.archived(), stage.archived("there")) == (0, 5), "its own processes come first"
    stage.clock.advance(GONE_ELSEWHERE_AFTER_S)
    await here.keep_up()
    await stage.outlive(here)
    seen = await here.counts.everybodys()
    assert (seen.operations.all().n, seen.here.all().n, stage.told("archive here").far.all().n) == (16, 1, 15)
    assert stage.told("archive there") is None


async def test_an_archive_is_not_taken_while_somebody_runs_there(stage):
    await ended(stage, "c", "there")
    there, here = await heir(stage, "b", "there"), await heir(stage)
    await there.tend()
    for _ in range(2):
        stage.clock.advance(GONE_ELSEWHERE_AFTER_S)
        await stage.outlive(there, here)
    assert (stage.archived("there"), stage.archived()) == (5, 0)


async def test_where_there_is_no_room_the_oldest_spans_go_and_it_is_told(stage, monkeypatch):
    from proxy.core import history

    for number in range(30):
        await ended(stage, f"p{number}")
        stage.clock.advance(100)
    one = await heir(stage)
    monkeypatch.setattr(history, "MOST_BYTES", 2000)
    await one.tend()
    assert stage.archived() == 150
    assert stage.told("archive here").kept_from["10s"] > 0
    assert 0 < await one.windows() < 150


async def test_an_archive_that_nobody_added_to_was_gone_after_90_days(stage):
    await ended(stage, "gone")
    one = await heir(stage)
    await one.tend()
    for _ in range(20):
        stage.clock.advance(8 * 86_400.0)
        await one.keep_up()
        await one.tend()
        stage.board.forget_what_is_over()
    assert (await one.n(), stage.archived()) == (5, 5)


async def test_what_another_added_while_it_was_written_again_stays(stage, monkeypatch):
    await ended(stage, "gone")
    one, other = await heir(stage), await heir(stage, "other")
    await one.tend()
    stage.clock.advance(8 * 86_400.0)
    await ended(stage, "also gone")
    packed, done = module.pack_all, []

    def as_another_adds(spans):
        if not done:
            done.append(True)
            stage.board.leases.clear()
            asyncio.run_coroutine_threadsafe(other.tend(), loop).result(10)
        return packed(spans)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(module, "pack_all", as_another_adds)
    await one.tend()
    assert (await one.n(), stage.archived()) == (10, 10)


async def test_a_lease_that_is_lost_on_the_way_ends_the_work(stage, monkeypatch):
    await ended(stage, "a")
    await ended(stage, "b")
    one = await heir(stage)
    monkeypatch.setattr(module, "_RENEW_S", -1.0)
    merged = module._merged

    def as_another_takes_the_lease(*told):
        stage.board.leases[module._LEASE] = ("another", stage.clock.wall() + 1000)
        return merged(*told)

    monkeypatch.setattr(module, "_merged", as_another_takes_the_lease)
    await one.tend()
    assert (stage.archived(), await one.n()) == (5, 10)
