"""`strip`: white space at the ends of these values means nothing."""

from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core.params import Matches, matcher, with_values
from proxy.core.types import Query


@dataclass(frozen=True, slots=True)
class Strip:
    """Trim white space at the ends of the named values (of all, without names); one that is not UTF-8 stays as it is."""

    version: ClassVar[int] = 1

    names: tuple[str, ...] = ()
    _matches: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_matches", matcher(self.names or ("*",)))

    def normalize(self, query: Query) -> Query:
        """Return `query` with the ends of these values trimmed."""
        return with_values(query, self._matches, str.strip)
