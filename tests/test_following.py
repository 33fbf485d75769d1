"""A file is followed as it grows, is renamed and made anew, or is cut to nothing; no line is lost or told twice."""

import pytest

from proxy.following import followed
from proxy.warm.reading import lines


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"1\n2\n3\n")
    return path


def follow(path, *acts, last=10):
    """Return the lines of a file to which this happens, an act at each wait; it ends after the last."""
    rest = iter(acts)

    def wait():
        act = next(rest, None)
        if act is not None:
            act()
        return act is not None

    return [line.decode() for line in lines(followed(path, last, wait))]


def append(path, content):
    def act():
        with path.open("ab") as file:
            file.write(content)

    return act


def nothing():
    pass


LAST = {
    "none": (b"1\n2\n3\n", 0, []),
    "one": (b"1\n2\n3\n", 1, ["3"]),
    "some": (b"1\n2\n3\n", 2, ["2", "3"]),
    "all": (b"1\n2\n3\n", 3, ["1", "2", "3"]),
    "more than there are": (b"1\n2\n3\n", 99, ["1", "2", "3"]),
    "one that has no end": (b"1\n2\n3", 2, ["2", "3"]),
    "an empty file": (b"", 5, []),
    "blank lines": (b"\n\n\n", 2, ["", ""]),
    "lines longer than a piece": (b"a" * 70_000 + b"\n" + b"b" * 200_000 + b"\n", 1, ["b" * 200_000]),
    "many": (b"".join(b"%d\n" % one for one in range(50_000)), 40_000, [str(one) for one in range(10_000, 50_000)]),
}


@pytest.mark.parametrize(("content", "last", "found"), LAST.values(), ids=LAST)
def test_it_begins_with_the_last_lines(tmp_path, content, last, found):
    path = tmp_path / "log"
    path.write_bytes(content)
    assert follow(path, last=last) == found


def test_what_is_written_is_told_as_it_comes(log):
    assert follow(log, append(log, b"4\n5"), nothing, append(log, b"6\n"), last=1) == ["3", "4", "56"]


def test_a_file_that_is_renamed_and_made_anew_is_read_to_its_end_and_then_the_new_one(log):
    old = log.with_suffix(".1")
    acts = [
        lambda: log.rename(old),
        append(old, b"4\n"),
        lambda: log.write_bytes(b"5\n"),
        append(old, b"late\n"),
        append(log, b"6\n"),
    ]
    assert follow(log, *acts, last=1) == ["3", "4", "late", "5", "6"]


def test_a_line_that_the_old_file_does_not_end_is_not_joined_with_the_new_ones(log):
    old = log.with_suffix(".1")
    acts = [append(log, b"torn"), lambda: log.rename(old), lambda: log.write_bytes(b"5\n"), nothing, nothing]
    assert follow(log, *acts, last=0) == ["torn", "5"]


def test_a_file_that_was_cut_and_has_grown_as_long_again_was_read_on_from_its_middle(log):
    """Its new lines were lost up to where the old ones had ended."""

    def copied_away():
        with log.open("r+b") as file:
            file.truncate(0)
        log.write_bytes(b"4\n5\n6\n7\n")

    assert follow(log, copied_away, append(log, b"8\n"), last=3) == ["1", "2", "3", "4", "5", "6", "7", "8"]


def test_a_file_that_was_cut_while_the_reader_was_held_up_was_read_on_from_its_middle(tmp_path):
    """Who reads slowly, such as a pager, is behind by more than one piece when it happens."""
    log = tmp_path / "log"
    log.write_bytes(b"old\n" * 100_000)
    told = followed(log, 10**9, lambda: False)
    assert set(next(told).splitlines()) == {b"old"}
    log.write_bytes(b"new\n" * 200_000)
    assert b"".join(told) == b"new\n" * 200_000


def test_a_file_that_is_cut_is_read_from_its_start(log):
    def cut():
        with log.open("r+b") as file:
            file.truncate(0)

    assert follow(log, append(log, b"torn"), cut, append(log, b"4\n"), last=0) == ["torn", "4"]


def test_a_file_that_is_gone_is_waited_for(log):
    assert follow(log, log.unlink, nothing, append(log, b"4\n"), nothing, last=0) == ["4"]


def test_one_that_never_was_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        follow(tmp_path / "none")
