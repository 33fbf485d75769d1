"""`cookies`: the answer depends on these cookies."""

import re
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import ClassVar

from proxy.core.cookies import cookie_fields
from proxy.core.types import Query

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Cookies:
    """Let the named cookies take part in the key; an absent one differs from an empty one.

    All that was sent as a Cookie does where it is not certain which cookies it holds. They stand in the key as they
    are: for one that tells who somebody is, the rule's own `cookies` hides it. Raises ValueError for what cannot be a
    name.
    """

    version: ClassVar[int] = 1

    names: tuple[str, ...]
    _names: frozenset[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in self.names:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of a cookie")
        object.__setattr__(self, "_names", frozenset(map(str.encode, self.names)))

    def normalize(self, query: Query) -> Query:
        """Return `query` with these cookies among its fields, sorted by name."""
        found = cookie_fields(query.headers, self._names)
        new = [pair for pair in found if pair not in query.fields]  # none when it is done again
        return replace(query, fields=tuple(sorted([*query.fields, *new], key=itemgetter(0)))) if new else query
