"""Slots: one contract for those of a process and those of a machine; the kernel frees those of a killed process."""

import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.upstream import slots as module
from proxy.upstream.slots import UNLIMITED, OwnSlots, SharedSlots

HOLDER = """
import sys
from pathlib import Path
from proxy.upstream.slots import SharedSlots
slots = SharedSlots(Path(sys.argv[1]), "upstream", 8)
for line in sys.stdin:
    word, number = line.split()
    if word == "take":
        print(slots.take(int(number)), flush=True)
    else:
        print(slots.give_back(int(number)), flush=True)
"""
"""A process that takes and gives back slots as it is told on its standard input."""


class Holder:
    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[2])},
        )

    def says(self, words):
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()


@contextmanager
def holders(folder, count):
    made = [Holder(folder) for _ in range(count)]
    try:
        yield made
    finally:
        for holder in made:
            if holder.process.poll() is None:
                holder.end()


@pytest.fixture
def shared(tmp_path):
    slots = SharedSlots(tmp_path / "slots", "upstream", 8)
    yield slots
    slots.close()


@pytest.fixture(params=["own", "shared"])
def slots(request, shared):
    return OwnSlots() if request.param == "own" else shared


def test_as_many_are_taken_as_the_limit_says(slots):
    assert [slots.take(3) is not None for _ in range(4)] == [True, True, True, False]
    assert slots.in_use() == 3
    assert slots.take(4) is not None
    assert slots.take(0) is None


def test_one_that_is_given_back_can_be_taken_again(slots):
    tokens = [slots.take(2) for _ in range(2)]
    slots.give_back(tokens[0])
    assert slots.in_use() == 1
    assert slots.take(2) is not None
    assert slots.take(2) is None


def test_giving_back_twice_frees_one(slots):
    tokens = [slots.take(3) for _ in range(3)]
    for _ in range(2):
        slots.give_back(tokens[1])
    assert slots.in_use() == 2


def test_a_limit_that_was_lowered_counts_all_that_are_taken(slots):
    tokens = [slots.take(8) for _ in range(8)]
    for token in tokens[:3]:
        slots.give_back(token)
    assert slots.take(4) is None
    slots.give_back(tokens[3])
    slots.give_back(tokens[4])
    assert slots.take(4) is not None
    assert slots.in_use() == 4


def test_closing_frees_all_and_a_second_time_does_nothing(slots):
    slots.take(3)
    slots.close()
    slots.close()
    assert slots.in_use() == 0


def test_a_process_has_as_many_as_it_likes():
    slots = OwnSlots()
    assert len({slots.take(UNLIMITED) for _ in range(1000)}) == 1000


def test_once_closed_those_of_a_machine_are_not_given_any_more(shared):
    token = shared.take(3)
    shared.close()
    assert shared.take(3) is None
    shared.give_back(token)


def test_those_of_a_machine_have_a_most_whatever_the_limit(shared):
    assert len([1 for _ in range(20) if shared.take(UNLIMITED) is not None]) == 8


def test_two_objects_in_one_process_exclude_each_other(shared, tmp_path):
    other = SharedSlots(tmp_path / "slots", "upstream", 8)
    first, second = shared.take(2), other.take(2)
    assert {first, second} == {0, 1}
    assert shared.take(2) is other.take(2) is None
    assert shared.in_use() == other.in_use() == 2
    shared.close()
    assert other.in_use() == 1
    other.give_back(second)
    assert other.in_use() == 0
    other.close()


def test_holes_between_those_of_many_are_counted(shared, tmp_path):
    others = [SharedSlots(tmp_path / "slots", "upstream", 8) for _ in range(3)]
    tokens = [(others[number % 3], others[number % 3].take(8)) for number in range(8)]
    for free in (0, 3, 4, 7):
        tokens[free][0].give_back(tokens[free][1])
    assert shared.in_use() == 4
    assert [shared.take(8) for _ in range(5)] == [0, 3, 4, 7, None]
    for other in others:
        other.close()
    assert shared.in_use() == 4


def test_other_upstreams_have_slots_of_their_own(shared, tmp_path):
    other = SharedSlots(tmp_path / "slots", "another", 8)
    assert shared.take(1) is not None
    assert other.take(1) is not None
    other.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_holds_nothing(shared, tmp_path, number):
    with holders(tmp_path / "slots", 2) as (killed, lives):
        assert [killed.says("take 4") for _ in range(3)] == ["0", "1", "2"]
        assert lives.says("take 4") == "3"
        assert shared.take(4) is None
        assert shared.in_use() == 4
        killed.end(number)
        assert shared.in_use() == 1
        assert [shared.take(4) for _ in range(4)] == [0, 1, 2, None]
        assert lives.says("take 4") == "None"


def test_a_slot_goes_from_one_process_to_another(shared, tmp_path):
    with holders(tmp_path / "slots", 1) as (other,):
        token = shared.take(1)
        assert other.says("take 1") == "None"
        shared.give_back(token)
        assert other.says("take 1") == "0"
        assert shared.take(1) is None
        other.says("give 0")
        assert shared.take(1) == 0


def test_the_file_is_for_its_user_alone(tmp_path):
    folder = tmp_path / "new" / "slots"
    old = os.umask(0)
    try:
        SharedSlots(folder, "upstream", 1).close()
        assert folder.stat().st_mode & 0o777 == 0o700
        file = folder / "upstream"
        assert file.stat().st_mode & 0o777 == 0o600
        file.chmod(0o666)
        SharedSlots(folder, "upstream", 1).close()
        assert file.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(old)


def test_a_folder_that_others_may_enter_is_refused(tmp_path):
    tmp_path.chmod(0o755)
    with pytest.raises(PermissionError, match="0700"):
        SharedSlots(tmp_path, "upstream", 1)


def test_a_link_is_not_followed(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "upstream").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        SharedSlots(tmp_path, "upstream", 1)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_system_without_such_locks_is_told_at_once(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    before = len(list(Path("/proc/self/fd").iterdir()))

    def refuse(*_):
        raise OSError(22, "no such lock")

    monkeypatch.setattr(module.fcntl, "fcntl", refuse)
    with pytest.raises(OSError, match="no such lock"):
        SharedSlots(tmp_path, "upstream", 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_one_that_another_took_in_the_same_moment_is_not_given(shared, tmp_path, monkeypatch):
    other = SharedSlots(tmp_path / "slots", "upstream", 8)
    assert [other.take(2), other.take(2)] == [0, 1]
    monkeypatch.setattr(shared, "_others", lambda *_: 0)  # it looked before the other took them
    assert shared.take(2) is None
    assert shared.take(3) == 2
    other.close()


def test_a_lock_that_fails_for_another_reason_is_an_error(shared, monkeypatch):
    def fails(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(shared, "_others", lambda *_: 0)
    monkeypatch.setattr(module.fcntl, "fcntl", fails)
    with pytest.raises(OSError, match="no locks"):
        shared.take(1)
    monkeypatch.undo()
    assert shared.in_use() == 0


def test_one_whose_lock_could_not_be_freed_can_be_given_back_again(shared, tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    token = shared.take(1)
    monkeypatch.setattr(module.fcntl, "fcntl", fails)
    with pytest.raises(OSError, match="no locks"):
        shared.give_back(token)
    monkeypatch.undo()
    shared.give_back(token)
    other = SharedSlots(tmp_path / "slots", "upstream", 8)
    assert other.take(1) is not None
    other.close()


def test_taking_is_cheap(shared, tmp_path):
    """Below 50 µs, with as many others in the way as there are; the best of many, for the machine is shared."""
    others = [SharedSlots(tmp_path / "slots", "upstream", 8) for _ in range(3)]
    for other in others:
        other.take(8)
        other.take(8)
    best = 1.0
    for _ in range(300):
        began = time.perf_counter()
        token = shared.take(8)
        best = min(best, time.perf_counter() - began)
        shared.give_back(token)
    assert best < 50e-6
    for other in others:
        other.close()
