"""Structured fields that speak to caches like this one: targeted cache control and cache groups (RFC 9213, RFC 9875)."""

from collections.abc import Mapping
from decimal import Decimal

from proxy.core.cache_control import OF_FIELDS, Directives
from proxy.core.structured import Item, dictionary, items
from proxy.core.types import Headers, joined

NAMES = (b"frontrunner-cache-control", b"cdn-cache-control")
"""The fields that this cache listens to, the first one first (RFC 9213 §2.2)."""

MOST_GROUPS = 64
MOST_GROUP_CHARS = 128

_IN_SECONDS = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})
# A value of the wrong type may forbid something, but it never permits anything.
_PERMITTING = frozenset({"public", "immutable", "must-understand"})


def targeted(headers: Headers, names: tuple[bytes, ...] = NAMES) -> Directives | None:
    """Read the first field of `names` that is neither empty nor malformed (RFC 9213 §2.2).

    Its directives replace Cache-Control and Expires. One with a value of the wrong type is there without an argument:
    max-age then means 0 seconds, no-cache and private mean the whole response.
    """
    for name in names:
        value = joined(headers, name)
        if value is not None and (members := dictionary(value)):
            return _directives(members)
    return None


def _directives(members: Mapping[str, Item]) -> Directives:
    return {name: _argument(name, member) for name, member in members.items() if _counts(name, member)}


def _counts(name: str, member: Item) -> bool:
    if name in _PERMITTING:
        return member.value is True
    return name in _IN_SECONDS or member.value is not False


def _argument(name: str, member: Item) -> str | None:
    value = member.value
    if name in _IN_SECONDS:
        return str(value) if type(value) is int and value >= 0 else None
    if name in OF_FIELDS:
        return value if type(value) is str and value else None
    if type(value) in {int, Decimal} or isinstance(value, str):
        return str(value) or None
    return None


def groups(value: bytes | None) -> tuple[str, ...]:
    """Read the names in Cache-Groups or Cache-Group-Invalidation, each once; none where one is no String (RFC 9875 §2).

    Kept are the first 64 names of at most 128 characters.
    """
    members = (items(value) if value else None) or []
    names = [member.value for member in members if type(member.value) is str]
    if len(names) < len(members):
        return ()
    return tuple(dict.fromkeys([name for name in names if len(name) <= MOST_GROUP_CHARS]))[:MOST_GROUPS]
