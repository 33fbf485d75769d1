"""The answers to one key that differ by request fields: the marker at the key tells which, and knows them all.

A marker is an entry with `vary`, without a status. Its body is its generation: variants of an earlier one are never
found again. Its fields are the variants: place, and when it is of no use any more with the language it is in.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from proxy.core.types import Entry, Headers, joined

MOST = 10
"""Variants of one key; the others pass through."""

_LANGUAGE = b"accept-language"
# RFC 9110 §12.4.2, §12.5.4; an empty member counts for nothing
_MEMBER = re.compile(
    rb"[ \t]*+(?P<language>[a-z0-9*-]*+)[ \t]*+(?:(?<=.);[ \t]*+q=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*+)?"
)


@dataclass(frozen=True, slots=True)
class Variant:
    """Where one variant stands, until when (wall clock), and in which language it is, if it says so."""

    place: bytes
    until: float
    language: bytes = b""


def marker_for(vary: tuple[bytes, ...], like: Entry) -> Entry:
    """Make the marker that stands at a key whose answers differ by the request fields in `vary`."""
    return Entry(0, (), b"%r" % like.stored_at, like.stored_at, like.ttl, like.age, rule=like.rule, vary=vary)


def variants(marker: Entry) -> Iterator[Variant]:
    """Yield the variants that a marker knows."""
    for place, told in marker.headers:
        until, _, language = told.partition(b" ")
        yield Variant(place, float(until), language)


def with_variant(marker: Entry, place: bytes, entry: Entry, now: float) -> Entry | None:
    """Return the marker that knows one variant more; None where there are enough already."""
    others = [one for one in variants(marker) if one.place != place]
    if len(others) >= MOST:
        others = [one for one in others if one.until > now]
    if len(others) >= MOST:
        return None
    until = entry.stored_at + entry.ttl - entry.age + max(entry.refresh, entry.error)
    language = (joined(entry.headers, b"content-language") or b"").strip().lower()
    known = [*others, Variant(place, until, language)]
    return replace(marker, headers=tuple([(one.place, b"%r %b" % (one.until, one.language)) for one in known]))


def has_room(marker: Entry, place: bytes, now: float) -> bool:
    """Tell whether one more variant may be kept, or this one already is."""
    known = list(variants(marker))
    return place in [one.place for one in known] or len([one for one in known if one.until > now]) < MOST


def in_language(marker: Entry, headers: Headers) -> bytes | None:
    """Return the place of the variant in the language that these request fields like best, if there is one.

    Only where nothing but the language decides, and nothing is liked as much (RFC 9110 §12.5.4).
    """
    if marker.vary != (_LANGUAGE,):
        return None
    best = _liked_best(joined(headers, _LANGUAGE) or b"")
    return next((one.place for one in variants(marker) if best and one.language == best), None)


def _liked_best(accepted: bytes) -> bytes | None:
    weights: dict[bytes, float] = {}
    for member in accepted.lower().split(b","):
        found = _MEMBER.fullmatch(member)
        if found is None:
            return None
        if found["language"]:
            weights[found["language"]] = float(found["weight"] or 1)
    if not weights:
        return None
    ranked = sorted(weights.items(), key=lambda one: -one[1])
    alone = len(ranked) == 1 or ranked[0][1] > ranked[1][1]
    return ranked[0][0] if alone and ranked[0][1] > 0 and ranked[0][0] != b"*" else None
