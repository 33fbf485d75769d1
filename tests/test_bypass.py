"""The Friday switch: on means straight upstream for every request, for all who follow its file; the store stays as it is."""

import stat
from pathlib import Path

import pytest
from fakes import FakeEngine, Held, answer
from world import World, asked, rule

from proxy.bypass import Bypass
from proxy.core.rules import default_rule

EVERYTHING = [
    asked(), asked("/kept/b"), asked("/default"), asked(method="HEAD"), asked("/kept/a", (b"range", b"bytes=0-1")),
    asked("/kept/a", (b"if-none-match", b'"1"')), asked("/kept/a", (b"cache-control", b"only-if-cached")),
    asked("/kept/a", (b"cookie", b"a=1")), asked("/kept/q", method="POST", body=b"{}"), asked(method="OPTIONS"),
]  # fmt: skip


def world(*answers) -> World:
    return World(FakeEngine(*answers), rules=(rule(safe=True, refresh=60.0), default_rule()))


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "state" / "frontrunner" / "bypass-1"


async def test_while_it_is_on_every_request_goes_straight_upstream():
    here = world(answer(b"from upstream"))
    await here.ask()
    here.bypass.turn(on=True)
    before = len(here.engine.requests)
    for request in EVERYTHING:
        got = await here.ask(request)
        assert got.header(b"cache-status") == b"Frontrunner; fwd=bypass; detail=bypass"
    assert here.outcomes[1:] == ["passthrough:bypass"] * len(EVERYTHING)
    assert [one.method for one in here.engine.requests[before:]] == [one.method for one in EVERYTHING]
    assert {line["rule"] for line in here.lines[1:] if "rule" in line} == {"kept", "default"}, (
        "the log still says which"
    )


async def test_what_is_stored_stays_and_nothing_is_added():
    here = world(answer(b"stored"), answer(b"meanwhile"))
    await here.ask()
    here.bypass.turn(on=True)
    assert [(await here.ask()).body for _ in range(2)] == [b"meanwhile", b"meanwhile"]
    await here.ask(asked("/kept/new"))
    assert here.store.status().entries == 1
    here.bypass.turn(on=False)
    assert (await here.ask()).body == b"stored"
    assert here.outcomes[-1] == "hit"


async def test_what_changes_something_is_still_heard():
    """An answer that was overtaken while the bypass was on does not come back after it."""
    here = world(answer(b"old"), answer(b"changed"), answer(b"new"))
    await here.ask()
    here.bypass.turn(on=True)
    here.clock.advance(1)
    await here.ask(asked(method="DELETE"))
    here.bypass.turn(on=False)
    here.clock.advance(1)
    assert (await here.ask()).body == b"new"


async def test_who_waits_for_an_answer_gets_it_and_nobody_else_waits_for_it():
    held = Held(answer(b"first"))
    here = world(held, answer(b"second"))
    first = here.start()
    await held.asked.wait()
    here.bypass.turn(on=True)
    assert (await here.ask()).body == b"second"
    held.go.set()
    assert (await first).body == b"first"


async def test_nothing_is_fetched_behind_a_stale_answer():
    here = world(answer(b"old"), answer(b"new"))
    await here.ask()
    here.clock.advance(3601)
    here.bypass.turn(on=True)
    assert (await here.ask()).body == b"new"
    assert len(here.engine.requests) == 2


# The switch.


def test_it_is_off_without_a_file_and_on_with_one(file):
    assert Bypass().on is False
    assert Bypass(file).on is False
    file.parent.mkdir(parents=True)
    file.touch()
    assert Bypass(file).on is True, "over restarts too"


def test_whoever_makes_or_removes_the_file_turns_it(file):
    here = Bypass(file)
    file.parent.mkdir(parents=True)
    told = [here.look()]
    file.write_text("it is Friday")
    told += [here.look(), here.on, here.look()]
    file.unlink()
    told += [here.look(), here.on, here.look()]
    assert told == [False, True, True, False, True, False, False]


def test_one_process_turns_it_for_all(file):
    here, other = Bypass(file), Bypass(file)
    assert here.turn(on=True)
    assert (here.on, other.on) == (True, False)
    assert not here.look(), "it is told once"
    assert other.look()
    assert other.turn(on=False)
    assert here.look()
    assert (here.on, file.exists()) == (False, False)


@pytest.mark.parametrize("on", [True, False])
def test_to_turn_it_as_it_is_changes_nothing(file, on):
    here = Bypass(file)
    here.turn(on=on)
    assert not here.turn(on=on)
    assert (here.on, file.exists()) == (on, on)


def test_its_file_is_its_owners(file):
    Bypass(file).turn(on=True)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (file, file.parent)] == [0o600, 0o700]


@pytest.mark.parametrize("on", [True, False])
def test_without_a_file_it_is_one_processs_own(on):
    here = Bypass()
    assert here.file is None
    assert here.turn(on=True)
    assert here.turn(on=on) is not on
    assert not here.look()
    assert here.on is on


def no_folder(path: Path) -> Path:
    """Return a file that cannot be made: what should be its folder is a file."""
    (path / "state").touch()
    return path / "state" / "bypass-1"


def too_long(path: Path) -> Path:
    """Return a file that cannot even be looked at."""
    return path / ("x" * 300)


def folder(path: Path) -> Path:
    """Return what cannot be removed as a file can."""
    (path / "bypass-1").mkdir()
    return path / "bypass-1"


@pytest.mark.parametrize("made", [no_folder, too_long, folder])
def test_a_file_that_cannot_be_kept_leaves_it_one_processs_own(tmp_path, made):
    """It still turns, stays as it was turned, and says so by having no file."""
    here = Bypass(made(tmp_path))
    assert here.on is (made is folder)
    for on in (not here.on, here.on, True, False):
        here.turn(on=on)
        assert not here.look()
        assert here.on is on
    assert here.file is None
