"""`collapse_space`: any run of white space means one space in these values, and nothing at their ends."""

from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core.params import Matches, matcher, with_values
from proxy.core.types import Query


def collapsed(text: str) -> str:
    """Return `text` with one space for each run of white space, and none at its ends."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class CollapseSpace:
    """Collapse white space in the named values (in all, without names); a value that is not UTF-8 stays as it is."""

    version: ClassVar[int] = 1

    names: tuple[str, ...] = ()
    _matches: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_matches", matcher(self.names or ("*",)))

    def normalize(self, query: Query) -> Query:
        """Return `query` with the white space of these values collapsed."""
        return with_values(query, self._matches, collapsed)
