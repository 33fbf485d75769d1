"""The file that remembers what is done: whatever ends a run, the next one goes on behind its last line."""

import stat
from pathlib import Path

import pytest

from proxy.warm.done import Done

ONE, TWO = "a" * 32, "b" * 32


def test_what_is_added_is_known_in_the_next_run(tmp_path):
    file = tmp_path / "done"
    with Done(file) as done:
        assert ONE not in done
        done.add(ONE)
        assert ONE in done
        assert file.read_text() == ONE + "\n", "it is there before the next request"
    with Done(file) as done:
        assert (ONE in done, TWO in done) == (True, False)
        done.add(TWO)
    assert file.read_text() == f"{ONE}\n{TWO}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("kept", range(33))
def test_a_kill_in_the_middle_of_a_line_loses_that_line_alone(tmp_path, kept):
    file = tmp_path / "done"
    file.write_text(f"{ONE}\n{TWO[:kept]}")
    with Done(file) as done:
        assert (ONE in done, TWO in done) == (True, False)
        done.add(TWO)
    assert file.read_text() == f"{ONE}\n{TWO}\n"


def test_without_a_file_nothing_is_remembered():
    with Done(None) as done:
        done.add(ONE)
        assert ONE not in done


@pytest.mark.parametrize("content", ["http://a/\n", ONE + "0\n", "g", f"{ONE}\nprecious", "\0" * 32 + "\n"])
def test_anothers_file_is_left_alone(tmp_path, content):
    file = tmp_path / "precious"
    file.write_text(content)
    before = len([*Path("/proc/self/fd").iterdir()])
    with pytest.raises(ValueError, match="frontrunner warm"):
        Done(file)
    assert file.read_text() == content
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_a_file_that_cannot_be_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError):
        Done(tmp_path)


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("proxy.warm.done._MOST_BYTES", 40)
    file = tmp_path / "done"
    file.write_text(f"{ONE}\n{TWO}\n")
    with pytest.raises(ValueError, match="larger"):
        Done(file)
