"""Entry ⇄ bytes: what a store keeps of one; never pickle, for a store is an input.

    record:  format (1 byte) · checksum (16) · packed
    packed:  fixed part · lengths · head · body

The lengths are 16-bit numbers, or 32-bit ones where one of them needs that: rule, tag, each vary name, each group, then
name and value of each field. The head is these strings in that order; the body is the rest. All numbers are
little-endian. The checksum is BLAKE2b over all that follows it, keyed with the entry's key: a record that got to another
key is as broken as one with a flipped bit.
"""

import re
import struct
from hashlib import blake2b
from math import isfinite

from proxy.core.types import Entry

FORMAT = 2
"""Grows when the layout does; a record of another format reads as None."""

_CHECKSUM_BYTES = 16
_FIXED = struct.Struct("<hBHHIdddddd")  # status, flags, how many: vary, groups, fields; the times
_BEGIN = struct.Struct(f"<B{_CHECKSUM_BYTES}s")
_GUESSED, _STRICT, _WIDE = 1, 2, 4
_LENGTHS, _WIDTHS = {0: "H", _WIDE: "I"}, {0: 2, _WIDE: 4}
_ALL_FLAGS = _GUESSED | _STRICT | _WIDE
_MOST_NARROW = 2**16 - 1
_ENDS_A_FIELD = re.compile(rb"[\r\n]")


def packed(entry: Entry, body: bytes | None = None) -> bytes:
    """Return an entry as bytes, with `body` in place of its own where that is given."""
    texts = _texts(entry)
    wide = _WIDE * _needs_width(entry)
    fixed = _FIXED.pack(
        entry.status,
        _GUESSED * entry.guessed + _STRICT * entry.strict + wide,
        len(entry.vary),
        len(entry.groups),
        len(entry.headers),
        entry.stored_at,
        entry.ttl,
        entry.age,
        entry.cost,
        entry.refresh,
        entry.error,
    )
    kept = entry.body if body is None else body
    lengths = struct.pack(f"<{len(texts)}{_LENGTHS[wide]}", *map(len, texts))
    return b"".join([fixed, lengths, *texts, kept])


def unpacked(kept: bytes, body: bytes | None = None, begin: int = 0) -> Entry | None:
    """Return the entry packed from `begin` on, with `body` where that was kept apart; None where bytes are missing."""
    status, flags, varies, groups, fields, *times = _FIXED.unpack_from(kept, begin)
    number = 2 + varies + groups + 2 * fields
    begin += _FIXED.size
    at = begin + _WIDTHS[flags & _WIDE] * number
    if at > len(kept):
        return None
    head = []
    for length in struct.unpack_from(f"<{number}{_LENGTHS[flags & _WIDE]}", kept, begin):
        head.append(kept[at : at + length])
        at += length
    if at > len(kept):
        return None
    first = 2 + varies + groups
    stored_at, ttl, age, cost, refresh, error = times
    return Entry(
        status, tuple(zip(head[first::2], head[first + 1 :: 2], strict=True)), kept[at:] if body is None else body,
        stored_at, ttl, age, cost, head[0].decode(), tuple(head[2 : 2 + varies]), refresh, error,
        bool(flags & _GUESSED), bool(flags & _STRICT), tuple(head[2 + varies : first]), head[1],
    )  # fmt: skip


def rule_of(kept: bytes) -> str:
    """Return the name of the rule in bytes that we have packed."""
    _, flags, varies, groups, fields, *_ = _FIXED.unpack_from(kept)
    width = _WIDTHS[flags & _WIDE]
    at = _FIXED.size + width * (2 + varies + groups + 2 * fields)
    return kept[at : at + int.from_bytes(kept[_FIXED.size : _FIXED.size + width], "little")].decode()


def to_record(key: bytes, entry: Entry) -> bytes:
    """Return the record of an entry for this key (at most 64 bytes)."""
    kept = packed(entry)
    return _BEGIN.pack(FORMAT, blake2b(kept, digest_size=_CHECKSUM_BYTES, key=key).digest()) + kept


def from_record(key: bytes, record: bytes) -> Entry | None:
    """Return the entry of a record; None where these bytes are not a whole record of ours for this key.

    Nor is one with a time that is no finite number, which nobody could reckon with.
    """
    if len(record) < _BEGIN.size + _FIXED.size or record[0] != FORMAT or not _is_whole(key, memoryview(record)):
        return None
    _, flags, *_, stored_at, ttl, age, cost, refresh, error = _FIXED.unpack_from(record, _BEGIN.size)
    if flags > _ALL_FLAGS or not all(map(isfinite, (stored_at, ttl, age, cost, refresh, error))):
        return None
    try:
        entry = unpacked(record, begin=_BEGIN.size)
    except UnicodeDecodeError:
        return None
    if entry is None or bool(flags & _WIDE) != _needs_width(entry):
        return None
    # A marker (status 0) is never served, and holds hashes in its fields; elsewhere a line's end would begin another
    # answer of whoever wrote this.
    if entry.status and any(map(_ENDS_A_FIELD.search, _texts(entry))):
        return None
    return entry


def _texts(entry: Entry) -> list[bytes]:
    texts = [entry.rule.encode(), entry.tag, *entry.vary, *entry.groups]
    for field in entry.headers:
        texts += field
    return texts


def _needs_width(entry: Entry) -> bool:
    return max(map(len, _texts(entry))) > _MOST_NARROW


def _is_whole(key: bytes, record: memoryview) -> bool:
    rest = record[_BEGIN.size :]
    return record[1 : _BEGIN.size] == blake2b(rest, digest_size=_CHECKSUM_BYTES, key=key).digest()
