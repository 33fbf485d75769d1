"""Records: what goes in comes out exactly, and bytes of any other kind are nobody's entry."""

import struct
import time
from dataclasses import fields, replace
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.types import Entry
from proxy.store.record import from_record, to_record

KEY = b"k" * 20
WHOLE = Entry(
    404,
    ((b"a", b"\xff\0"), (b"b", b""), (b"a", b"2")),
    b"body",
    1e9 + 0.123456,
    3600.5,
    12.5,
    41.25,
    "a rule – ∞",
    (b"accept",),
    7.0,
    8.0,
    True,
    True,
    (b"g1", b"g2"),
    b'"tag"',
)
BEGIN = 17
"""Where what the checksum is for begins: after the format and the checksum."""

times = st.floats(allow_nan=False, allow_infinity=False)
texts = st.binary(max_size=40)
lines = texts.filter(lambda text: b"\r" not in text and b"\n" not in text)
entries = st.builds(
    Entry,
    status=st.integers(100, 999),
    headers=st.lists(st.tuples(lines, lines), max_size=6).map(tuple),
    body=st.binary(max_size=300),
    stored_at=times,
    ttl=times,
    age=times,
    cost=times,
    rule=st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\r\n")),
    vary=st.lists(lines, max_size=4).map(tuple),
    refresh=times,
    error=times,
    guessed=st.booleans(),
    strict=st.booleans(),
    groups=st.lists(lines, max_size=4).map(tuple),
    tag=lines,
)


def sealed(rest: bytes, key: bytes = KEY, form: int = 2) -> bytes:
    """Return a record with a true checksum, as somebody makes who means harm."""
    return bytes([form]) + blake2b(rest, digest_size=16, key=key).digest() + rest


@given(entries, st.binary(min_size=1, max_size=64))
def test_an_entry_comes_out_exactly(entry, key):
    found = from_record(key, to_record(key, entry))
    assert found == entry
    assert repr(found) == repr(entry)  # -0.0 too


def test_all_that_an_entry_has_is_in_its_record():
    assert from_record(KEY, to_record(KEY, WHOLE)) == WHOLE
    plain = Entry(0, (), b"", 0.0, 0.0)
    for field in fields(Entry):
        other = replace(plain, **{field.name: getattr(WHOLE, field.name)})
        assert from_record(KEY, to_record(KEY, other)) == other != plain


def test_a_marker_may_have_any_bytes_in_its_fields():
    marker = Entry(0, ((bytes(range(20)), b"1.5"),), b"", 1.0, 60.0, vary=(b"accept",))
    assert from_record(KEY, to_record(KEY, marker)) == marker


def test_the_layout_changes_only_with_its_number():
    assert blake2b(to_record(KEY, WHOLE), digest_size=8).hexdigest() == "67c7e0cc70ef8f33"


def test_a_cut_record_is_none_at_every_length():
    record = to_record(KEY, WHOLE)
    assert [from_record(KEY, record[:length]) for length in range(len(record))] == [None] * len(record)
    assert from_record(KEY, record + b"\0") is None


def test_one_flipped_bit_is_enough():
    record = to_record(KEY, WHOLE)
    for at in range(len(record)):
        for bit in range(8):
            broken = bytearray(record)
            broken[at] ^= 1 << bit
            assert from_record(KEY, bytes(broken)) is None


def test_a_record_at_another_key_is_none():
    assert from_record(b"j" * 20, to_record(KEY, WHOLE)) is None


@given(st.binary(max_size=400))
def test_noise_is_none_even_with_a_true_checksum(noise):
    assert from_record(KEY, noise) is None
    found = from_record(KEY, sealed(noise))
    assert found is None or to_record(KEY, found) == sealed(noise)


@given(st.data())
def test_a_forged_change_gives_an_entry_or_none(data):
    rest = bytearray(to_record(KEY, WHOLE)[BEGIN:])
    for _ in range(data.draw(st.integers(1, 4))):
        rest[data.draw(st.integers(0, len(rest) - 1))] = data.draw(st.integers(0, 255))
    found = from_record(KEY, sealed(bytes(rest)))
    assert found is None or to_record(KEY, found) == sealed(bytes(rest))


def fixed(status=200, flags=0, varies=0, groups=0, number=0, times=(1.0,) * 6) -> bytes:
    return struct.pack("<hBHHIdddddd", status, flags, varies, groups, number, *times)


def lengths(*numbers: int, width: str = "H") -> bytes:
    return struct.pack(f"<{len(numbers)}{width}", *numbers)


HOSTILE = {
    "another format": sealed(fixed() + lengths(0, 0), form=1),
    "unknown flags": sealed(fixed(flags=8) + lengths(0, 0)),
    "more fields than there are bytes": sealed(fixed(number=2**32 - 1) + lengths(0, 0)),
    "more names than there are bytes": sealed(fixed(varies=2**16 - 1, groups=2**16 - 1) + lengths(0, 0)),
    "a length past the end": sealed(fixed() + lengths(0, 2**16 - 1)),
    "a wide length past the end": sealed(fixed(flags=4) + lengths(0, 2**32 - 1, width="I")),
    "wide lengths that need no width": sealed(fixed(flags=4) + lengths(1, 1, width="I") + b"ab"),
    "lengths whose sum is past the end": sealed(fixed() + lengths(3, 3) + b"12345"),
    "a rule that is no text": sealed(fixed() + lengths(1, 0) + b"\xff"),
    "no number": sealed(fixed(times=(float("nan"), 1, 1, 1, 1, 1)) + lengths(0, 0)),
    "for ever": sealed(fixed(times=(1, float("inf"), 1, 1, 1, 1)) + lengths(0, 0)),
    "another line in a field": sealed(fixed(number=1) + lengths(0, 0, 1, 3) + b"aa\r\n"),
    "nothing": b"",
    "only a checksum": sealed(b""),
}


@pytest.mark.parametrize("record", HOSTILE.values(), ids=HOSTILE)
def test_hostile_records_are_none(record):
    assert from_record(KEY, record) is None


def test_the_forger_can_make_records():
    assert from_record(KEY, sealed(fixed() + lengths(0, 0) + b"body")) == Entry(
        200, (), b"body", 1.0, 1.0, 1.0, 1.0, refresh=1.0, error=1.0
    )


def test_a_hostile_record_is_no_work():
    number = 2**18
    record = sealed(fixed(number=number) + lengths(*[2**16 - 1] * (2 + 2 * number)))
    began = time.perf_counter()
    assert from_record(KEY, record) is None
    assert time.perf_counter() - began < 1.0
