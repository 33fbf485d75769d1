"""`lower`: upper and lower case mean the same in these values."""

from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core.params import Matches, matcher, with_values
from proxy.core.types import Query


@dataclass(frozen=True, slots=True)
class Lower:
    """Lower the case of the named values (of all, without names); a value that is not UTF-8 stays as it is."""

    version: ClassVar[int] = 1

    names: tuple[str, ...] = ()
    _matches: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_matches", matcher(self.names or ("*",)))

    def normalize(self, query: Query) -> Query:
        """Return `query` with these values in lower case."""
        return with_values(query, self._matches, str.lower)
