"""`drop_params`: the named parameters do not change the answer."""

from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core.params import Matches, is_one, matcher, params_of, with_params
from proxy.core.types import Query


@dataclass(frozen=True, slots=True)
class DropParams:
    """Drop the query's pairs with these names; `*` in a name stands for anything."""

    version: ClassVar[int] = 1

    names: tuple[str, ...]
    _matches: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_matches", matcher(self.names))

    def normalize(self, query: Query) -> Query:
        """Return `query` without the pairs that match."""
        matches = self._matches
        return with_params(
            query, tuple([pair for pair in params_of(query) if not (matches(pair[0]) and is_one(pair))]), query.form
        )
