"""Where lines go: stdout, or a file that may be opened again while it is written to."""

import os
import resource
import signal
import sys
import threading
from pathlib import Path

import pytest

from proxy.log_writer import File, Locked, Nowhere, Stdout, Writer, _write_lines, place_of


def test_a_file_is_appended_to_and_is_not_for_everybodys_eyes(tmp_path: Path) -> None:
    file = tmp_path / "log"
    for text in (b"one\n", b"two\n"):
        place = place_of(str(file))
        place.write(text)
        place.close()
    assert file.read_bytes() == b"one\ntwo\n"
    assert file.stat().st_mode & 0o007 == 0


def test_the_words_of_the_config(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert isinstance(place_of("off"), Nowhere)
    assert isinstance(place_of("-"), Stdout)
    assert isinstance(place_of(str(tmp_path / "log"), lock=1), Locked)
    place_of("-").write(b"line\n")
    place_of("off").write(b"nothing\n")
    assert capfdbinary.readouterr().out == b"line\n"


@pytest.mark.parametrize("word", ["-", "off"])
def test_what_has_no_name_stays_as_it_is(word: str) -> None:
    place = place_of(word)
    place.reopen()
    place.close()
    place.write(b"")


def test_a_file_that_cannot_be_opened_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        place_of(str(tmp_path / "missing" / "log"))


def test_after_a_rotation_lines_go_to_the_new_file(tmp_path: Path) -> None:
    """What was moved away is whole, and has nothing of what came after."""
    file, old = tmp_path / "log", tmp_path / "log.1"
    place = File(str(file))
    place.write(b"one\n")
    file.rename(old)
    place.write(b"two\n")
    place.reopen()
    place.write(b"three\n")
    assert (old.read_bytes(), file.read_bytes()) == (b"one\ntwo\n", b"three\n")
    place.close()
    place.close()


def test_a_full_disk_tore_a_line_and_the_one_after_it(tmp_path: Path) -> None:
    """Of what was written, whole lines stay."""
    file = tmp_path / "log"
    place = File(str(file))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
        assert place.write(b"0123456\n0123456\n0123456\n") == 16
        assert place.write(b"0123456\n") == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert place.write(b"after\n") == 6
    assert file.read_bytes() == b"0123456\n0123456\nafter\n"
    place.close()


def test_a_pipe_that_does_not_block_lost_most_lines() -> None:
    """Whoever shares it may have made it so."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    batch = b"".join([b"%09d\n" % number for number in range(100_000)])
    found: list[bytes] = []

    def read() -> None:
        while piece := os.read(reading, 2**16):
            found.append(piece)

    thread = threading.Thread(target=read)
    thread.start()
    assert _write_lines(writing, batch) == len(batch)
    os.close(writing)
    thread.join(20)
    os.close(reading)
    assert b"".join(found) == batch


def test_a_reader_that_leaves_takes_no_half_line() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    assert _write_lines(writing, b"one\n") == 0
    os.close(writing)


def test_a_closed_stdout_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OSError, match="it is closed"):
        place_of("-")


def test_opened_again_twice_in_a_row_it_leaks_nothing(tmp_path: Path) -> None:
    file = tmp_path / "log"
    place = File(str(file))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        place.reopen()
    place.write(b"one\n")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    place.reopen()
    place.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1


def test_where_it_cannot_be_opened_again_the_old_one_is_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    place = File(str(folder / "log"))
    (folder / "log").rename(tmp_path / "moved")
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        place.reopen()
    place.write(b"one\n")
    assert (tmp_path / "moved").read_bytes() == b"one\n"
    place.close()


def test_lines_of_several_writers_to_one_file_are_whole(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with (tmp_path / "lock").open("wb") as lock:
        places = [place_of(str(file), lock.fileno()) for _ in range(4)]
        batch = b"".join([b"x" * 999 + b"\n"] * 50)
        threads = [threading.Thread(target=place.write, args=(batch,)) for place in places]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert {len(one) for one in file.read_bytes().splitlines()} == {999}
    for place in places:
        place.close()


class Slow(Nowhere):
    """A place that takes batches when it is let."""

    def __init__(self) -> None:
        self.free, self.batches = threading.Event(), []

    def write(self, batch: bytes) -> int:
        assert self.free.wait(20)
        self.batches.append(batch)
        return len(batch)

    def reopen(self) -> None:
        self.batches.append(b"reopened\n")


def test_opened_again_while_it_was_written_to_it_lost_its_file() -> None:
    """One thread has the descriptor: what was put before goes to the old file, what comes after to the new one."""
    place, failed = Slow(), []
    writer = Writer(place)
    writer.put(b"one\n", 1)
    writer.reopen(failed.append)
    writer.reopen(failed.append)
    writer.put(b"two\n", 1)
    place.free.set()
    assert writer.close()
    assert (place.batches, failed) == ([b"one\n", b"reopened\n", b"reopened\n", b"two\n"], [])


def test_what_waits_is_counted_in_lines_and_bytes() -> None:
    place = Slow()
    writer = Writer(place)
    writer.put(b"one\ntwo\n", 2)
    writer.put(b"three\n", 1)
    assert (writer.lines, writer.size) == (3, 14)
    place.free.set()
    writer.close()
    assert (writer.lines, writer.size, writer.lost, place.batches) == (0, 0, 0, [b"one\ntwo\n", b"three\n"])


def test_a_batch_that_could_not_be_written_waits_no_longer() -> None:
    class Full(Nowhere):
        def write(self, batch: bytes) -> int:
            raise OSError(28, "No space left on device")

    writer = Writer(Full())
    writer.put(b"one\n", 1)
    writer.put(b"two\n5 dropped\n", 2, told=5)
    writer.close()
    assert (writer.lines, writer.size, writer.lost) == (0, 0, 7)
