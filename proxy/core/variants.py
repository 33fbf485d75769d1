"""The answers to one key that differ by request fields: the marker at the key tells which, and knows them all.

A marker is an entry with `vary`, without a status. Its body is its generation: variants of an earlier one are never
found again. Its fields are the variants: place, and when it is of no use any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from proxy.core.types import Entry

MOST = 10
"""Variants of one key; the others pass through."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Where one variant stands, and until when it may be of use (wall clock)."""

    place: bytes
    until: float


def marker_for(vary: tuple[bytes, ...], like: Entry) -> Entry:
    """Make the marker that stands at a key whose answers differ by the request fields in `vary`."""
    return Entry(0, (), b"%r" % like.stored_at, like.stored_at, like.ttl, like.age, rule=like.rule, vary=vary)


def variants(marker: Entry) -> Iterator[Variant]:
    """Yield the variants that a marker knows."""
    for place, until in marker.headers:
        yield Variant(place, float(until))


def with_variant(marker: Entry, place: bytes, entry: Entry, now: float) -> Entry | None:
    """Return the marker that knows one variant more; None where there are enough already."""
    others = [one for one in variants(marker) if one.place != place]
    if len(others) >= MOST:
        others = [one for one in others if one.until > now]
    if len(others) >= MOST:
        return None
    until = entry.stored_at + entry.ttl - entry.age + max(entry.refresh, entry.error)
    known = [*others, Variant(place, until)]
    return replace(marker, headers=tuple([(one.place, b"%r" % one.until) for one in known]))


def has_room(marker: Entry, place: bytes, now: float) -> bool:
    """Tell whether one more variant may be kept, or this one already is."""
    known = list(variants(marker))
    return place in [one.place for one in known] or len([one for one in known if one.until > now]) < MOST
