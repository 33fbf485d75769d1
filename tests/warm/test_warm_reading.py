"""Files are read piece by piece, packed or not, and no piece of them is held that is too long to mean anything."""

import gzip
import tracemalloc
import zlib
from itertools import pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.warm.reading import MOST_LINE_BYTES, Torn, lines, unpacked

CONTENT = st.lists(st.text(max_size=20), max_size=20).map(lambda some: "\n".join(some).encode())


def cut(whole, at):
    """Cut a file where reads may cut it."""
    marks = [0, *sorted(one % (len(whole) + 1) for one in at), len(whole)]
    return [whole[a:b] for a, b in pairwise(marks) if b > a]


CUTS = st.lists(st.integers(0, 2**16), max_size=5)


@given(CONTENT, CUTS)
def test_plain_content_comes_as_it_is_wherever_it_is_cut(content, at):
    assert b"".join(unpacked(cut(content, at))) == content.removeprefix(b"\xef\xbb\xbf")


@given(st.lists(CONTENT, min_size=1, max_size=3), CUTS, st.sampled_from([b"", b"\0", b"\0" * 9]))
def test_gzip_comes_unpacked_also_several_members_and_padding(contents, at, padding):
    packed = b"".join(map(gzip.compress, contents)) + padding
    assert b"".join(unpacked(cut(packed, at))) == b"".join(contents)


def test_the_mark_of_byte_order_is_no_part_of_the_first_line():
    assert b"".join(unpacked([b"\xef", b"\xbb\xbf/a"])) == b"/a"


@pytest.mark.parametrize(
    "spoil", [lambda it: it[:-9], lambda it: it[:20] + b"\xff\xff" + it[22:], lambda it: it + b"rest"]
)
def test_what_stands_before_the_damage_is_read(spoil):
    packed, read = gzip.compress(bytes(range(256)) * 300), []
    with pytest.raises(Torn):
        read.extend(unpacked([spoil(packed)]))
    assert (bytes(range(256)) * 300).startswith(b"".join(read))


def test_a_bomb_passes_through_without_being_held():
    bomb = zlib.compressobj(9, wbits=31)
    packed = [bomb.compress(bytes(2**20)) for _ in range(64)]
    packed = [*filter(None, packed), bomb.flush()]
    tracemalloc.start()
    assert list(lines(unpacked(packed))) == [None]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MOST_LINE_BYTES


@given(CONTENT, CUTS)
def test_lines_are_those_of_the_whole_wherever_it_is_cut(content, at):
    whole = content.split(b"\n")
    assert list(lines(cut(content, at))) == (whole if whole[-1] else whole[:-1])


@pytest.mark.parametrize(
    ("size", "first"), [(MOST_LINE_BYTES, b"x" * MOST_LINE_BYTES), (MOST_LINE_BYTES + 1, None), (10 * 2**20, None)]
)
def test_a_line_that_is_too_long_costs_only_itself(size, first):
    whole = b"x" * size + b"\n/after"
    for pieces in ([whole], cut(whole, range(0, size, 65_536))):
        assert list(lines(pieces)) == [first, b"/after"]


def test_a_line_without_end_is_never_held():
    tracemalloc.start()
    assert list(lines(repeat(b"x" * 65_536, 500))) == [None]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MOST_LINE_BYTES
