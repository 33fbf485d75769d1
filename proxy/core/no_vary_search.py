"""No-Vary-Search: which differences between queries mean nothing to the origin (draft-ietf-httpbis-no-vary-search).

What it does not say for certain counts as saying nothing: then the queries must be equal.
"""

from dataclasses import dataclass
from operator import itemgetter
from typing import TypeGuard

from proxy.core.params import decoded
from proxy.core.structured import Item, dictionary
from proxy.core.types import Params

NAME = b"no-vary-search"
_KEYS = frozenset({"key-order", "params", "except"})


@dataclass(frozen=True, slots=True)
class Variance:
    """What of a query counts: whether the order of names does, and the names that do not (`except_`: all others)."""

    in_order: bool = True
    names: frozenset[bytes] = frozenset()
    except_: bool = False

    def simplified(self, pairs: Params) -> Params:
        """Return the pairs of a query that count, in an order that is the same for all that mean the same."""
        kept = [pair for pair in pairs if (pair[0] in self.names) is self.except_]
        # a name without `=` is a name with nothing: so the URL standard reads them
        told = [(name, value or b"") for name, value in kept]
        return tuple(told if self.in_order else sorted(told, key=itemgetter(0)))

    def written(self) -> bytes:
        """Return the same bytes for the same meaning."""
        return b"%d %d " % (self.in_order, self.except_) + b" ".join([b"%r" % name for name in sorted(self.names)])


def variance(value: bytes | None) -> Variance | None:
    """Read the field; None where it is absent, malformed, or leaves every difference its meaning."""
    members = (dictionary(value) if value else None) or {}
    if not members or members.keys() - _KEYS:
        return None
    order, params, others = (members.get(key, _ABSENT).value for key in ("key-order", "params", "except"))
    if type(order) is not bool or ("except" in members and type(params) is not bool):
        return None
    if "except" in members:  # `params, except=(…)` is how it was written before `except` stood alone
        names = _strings(others) if params is True or "params" not in members else None
        return None if names is None else Variance(not order, names, except_=True)
    if params is True:
        return Variance(not order, frozenset(), except_=True)
    names = frozenset() if params is False else _strings(params)
    return Variance(not order, names) if names is not None and (names or order) else None


_ABSENT = Item(False)


def _strings(value: object) -> frozenset[bytes] | None:
    if not isinstance(value, tuple) or not all(_is_string(item) for item in value):
        return None
    return frozenset([decoded(item.value.encode("ascii").replace(b"+", b" ")) for item in value])


def _is_string(item: Item) -> TypeGuard[Item]:
    return type(item.value) is str
