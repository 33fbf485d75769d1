"""Bytes of a file → its lines, unpacked on the way and bounded: neither a long line nor a gzip bomb is held in memory."""

import zlib
from collections.abc import Iterable, Iterator

MOST_LINE_BYTES = 2**20
_PIECE_BYTES = 2**18
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class Torn(Exception):
    """The file is packed, and damaged from some point on; what stands before it was read."""


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of a file, whether it is gzip (also several joined, RFC 1952 §2.2) or not.

    Raises:
        Torn: the packed file is cut or damaged.
    """
    rest = iter(chunks)
    first = b""
    for chunk in rest:
        first += chunk
        if len(first) >= len(_BOM):
            break
    if first.startswith(_GZIP):
        yield from _gunzipped(first, rest)
        return
    yield first.removeprefix(_BOM)
    yield from rest


def _gunzipped(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    packed = first
    try:
        while True:
            if piece := member.decompress(packed, _PIECE_BYTES):
                yield piece
            if member.eof:
                packed = member.unused_data.lstrip(b"\0") or next(rest, b"").lstrip(b"\0")
                if not packed:
                    return
                member = zlib.decompressobj(wbits=31)
                continue
            packed = member.unconsumed_tail or next(rest, b"")
            if not packed and not piece:
                raise Torn("the gzip file is cut")
    except zlib.error as error:
        raise Torn(f"the gzip file is damaged: {error}") from error


def lines(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield lines without their ends; None for one that is longer than 1 MiB, of which nothing is held."""
    held, too_long = b"", False
    for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for line in whole:
            too_long = too_long or len(held) + len(line) > MOST_LINE_BYTES
            yield None if too_long else held + line
            held, too_long = b"", False
        too_long = too_long or len(held) + len(last) > MOST_LINE_BYTES
        held = b"" if too_long else held + last
    if held or too_long:
        yield None if too_long else held
