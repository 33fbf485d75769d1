"""Entry ⇄ record: the bytes that every store outside this process keeps; never pickle, for a store is an input.

    format (1 byte) · checksum (16) · fixed part · lengths · head · body

The lengths are 32-bit numbers: rule, tag, each vary name, each group, then name and value of each field. The head is
these strings in that order; the body is the rest. All numbers are little-endian. The checksum is BLAKE2b over all that
follows it, keyed with the entry's key: a record that got to another key is as broken as one with a flipped bit.
"""

import re
import struct
from hashlib import blake2b
from math import isfinite

from proxy.core.types import Entry

FORMAT = 1
"""Grows when the layout does; a record of another format reads as None."""

_CHECKSUM_BYTES = 16
_FIXED = struct.Struct("<hBHHIdddddd")  # status, flags, how many: vary, groups, fields; the times
_BEGIN = struct.Struct(f"<B{_CHECKSUM_BYTES}s")
_GUESSED, _STRICT = 1, 2
_LENGTHS_AT = _BEGIN.size + _FIXED.size
_ENDS_A_FIELD = re.compile(rb"[\r\n]")


def to_record(key: bytes, entry: Entry) -> bytes:
    """Return the record of an entry for this key (at most 64 bytes)."""
    names = [entry.rule.encode(), entry.tag, *entry.vary, *entry.groups]
    for field in entry.headers:
        names += field
    fixed = _FIXED.pack(
        entry.status,
        _GUESSED * entry.guessed + _STRICT * entry.strict,
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
    head = b"".join([fixed, struct.pack(f"<{len(names)}I", *map(len, names)), *names])
    checksum = blake2b(head, digest_size=_CHECKSUM_BYTES, key=key)
    checksum.update(entry.body)
    return b"".join([_BEGIN.pack(FORMAT, checksum.digest()), head, entry.body])


def from_record(key: bytes, record: bytes) -> Entry | None:
    """Return the entry of a record; None where these bytes are not a whole record of ours for this key.

    Nor is one with a time that is no finite number, which nobody could reckon with.
    """
    if len(record) < _LENGTHS_AT or record[0] != FORMAT or not _is_whole(key, memoryview(record)):
        return None
    status, flags, varies, groups, fields, *times = _FIXED.unpack_from(record, _BEGIN.size)
    number = 2 + varies + groups + 2 * fields
    at = _LENGTHS_AT + 4 * number
    if at > len(record) or flags > _GUESSED | _STRICT or not all(map(isfinite, times)):
        return None
    head = []
    for length in struct.unpack_from(f"<{number}I", record, _LENGTHS_AT):
        head.append(record[at : at + length])
        at += length
    if at > len(record):
        return None
    # A marker (status 0) is never served, and holds hashes in its fields; elsewhere a line's end would begin another
    # answer of whoever wrote this.
    if status and _ENDS_A_FIELD.search(record, _LENGTHS_AT + 4 * number, at):
        return None
    try:
        rule = head[0].decode()
    except UnicodeDecodeError:
        return None
    first = 2 + varies + groups
    stored_at, ttl, age, cost, refresh, error = times
    return Entry(
        status, tuple(zip(head[first::2], head[first + 1 :: 2], strict=True)), record[at:], stored_at, ttl, age, cost,
        rule, tuple(head[2 : 2 + varies]), refresh, error, bool(flags & _GUESSED), bool(flags & _STRICT),
        tuple(head[2 + varies : first]), head[1],
    )  # fmt: skip


def _is_whole(key: bytes, record: memoryview) -> bool:
    rest = record[_BEGIN.size :]
    return record[1 : _BEGIN.size] == blake2b(rest, digest_size=_CHECKSUM_BYTES, key=key).digest()
