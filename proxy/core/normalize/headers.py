"""`headers`: the answer depends on these request header fields."""

import re
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import ClassVar

from proxy.core.types import Query, joined

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Headers:
    """Let the named request header fields take part in the key; an absent one differs from an empty one.

    Raises ValueError for what cannot be the name of a field: it would keep apart nothing, without a word.
    """

    version: ClassVar[int] = 1

    names: tuple[str, ...]
    _names: tuple[bytes, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in self.names:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of a header field")
        object.__setattr__(self, "_names", tuple(dict.fromkeys(name.lower().encode() for name in self.names)))

    def normalize(self, query: Query) -> Query:
        """Return `query` with these fields, sorted by name."""
        values = [(name, joined(query.headers, name)) for name in self._names]
        found = [(name, value.strip(b" \t")) for name, value in values if value is not None]
        new = [pair for pair in found if pair not in query.fields]  # none when it is done again
        return replace(query, fields=tuple(sorted([*query.fields, *new], key=itemgetter(0))))
