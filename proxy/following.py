"""A file that grows → its bytes as they come, through rotation by renaming and by truncation."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

_PIECE_BYTES: Final = 2**16
_KNOWN_BY_BYTES: Final = 256


def followed(path: Path, last: int, wait: Callable[[], bool]) -> Iterator[bytes]:
    r"""Yield a file's last lines, so many, and then what is written to it, as it comes.

    `wait` is called where nothing is new, and says whether to go on. Where a file was torn off within a line, `\n` is
    yielded after it. A file that was cut is known by the last 256 bytes that were read of it, which are others then.
    Raises OSError where the file cannot be opened at first.
    """
    file = _opened(path)
    try:
        _seek_last(file, last)
        read = _before(file)
        while True:
            if _before(file) != read:  # it was cut, and may have grown again since
                yield from [b"\n"] * _is_torn(read)
                file.seek(0)
                read = b""
            if piece := file.read(_PIECE_BYTES):
                read = (read + piece)[-_KNOWN_BY_BYTES:]
                yield piece
                continue
            if not wait():
                return
            if (newer := _newer(path, file)) is not None:
                wait()  # who writes may not have heard of the new file yet
                yield from _rest(file, is_torn=_is_torn(read))
                file.close()
                file, read = newer, b""
    finally:
        file.close()


def _opened(path: Path) -> BinaryIO:
    return path.open("rb", buffering=0)  # a buffer would keep what a cut file no longer holds


def _before(file: BinaryIO) -> bytes:
    """Return the last bytes before the place that was read to, as they are now."""
    place = file.tell()
    length = min(place, _KNOWN_BY_BYTES)
    return os.pread(file.fileno(), length, place - length)


def _is_torn(read: bytes) -> bool:
    return bool(read) and not read.endswith(b"\n")


def _newer(path: Path, file: BinaryIO) -> BinaryIO | None:
    """Return the file that took the place of this one, if one did."""
    try:
        found = _opened(path)
    except OSError:
        return None  # between two, there is none
    if os.path.samestat(os.fstat(found.fileno()), os.fstat(file.fileno())):
        found.close()
        return None
    return found


def _rest(file: BinaryIO, *, is_torn: bool) -> Iterator[bytes]:
    while piece := file.read(_PIECE_BYTES):
        is_torn = not piece.endswith(b"\n")
        yield piece
    if is_torn:
        yield b"\n"


def _seek_last(file: BinaryIO, count: int) -> None:
    """Go to where the last so many lines begin; a line that has no end yet is one."""
    place = file.seek(0, os.SEEK_END)
    if not place:
        return
    file.seek(place - 1)
    ends = count + (file.read(1) == b"\n")
    if not count:
        file.seek(place)
        return
    while place:
        start = max(0, place - _PIECE_BYTES)
        file.seek(start)
        piece = file.read(place - start)
        if (found := piece.count(b"\n")) >= ends:
            at = len(piece)
            for _ in range(ends):
                at = piece.rindex(b"\n", 0, at)
            file.seek(start + at + 1)
            return
        ends -= found
        place = start
    file.seek(0)
