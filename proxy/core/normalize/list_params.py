"""`list_params`: these values are lists whose order, or whose repeated members, mean nothing."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from proxy.core.params import Matches, matcher, with_values
from proxy.core.types import Query


@dataclass(frozen=True, slots=True)
class ListParams:
    """Sort the members of each named value unless they are `ordered`, and `keep` or `drop` their `duplicates`.

    Nothing is trimmed, and empty members all stay: a service may count them. A value that is not UTF-8 stays as it is.
    Raises ValueError for a separator that is not one character, and for options that change nothing.
    """

    version: ClassVar[int] = 1

    names: tuple[str, ...]
    separator: str = ","
    ordered: bool = False
    duplicates: Literal["keep", "drop"] = "keep"
    _matches: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.separator) != 1:  # sorted, `aaa` between two members could be cut elsewhere
            raise ValueError(f"the separator {self.separator!r} is not one character")
        if self.ordered and self.duplicates == "keep":
            raise ValueError("ordered lists whose duplicates are kept stay as they are")
        object.__setattr__(self, "_matches", matcher(self.names))

    def normalize(self, query: Query) -> Query:
        """Return `query` with these lists in their one form."""
        return with_values(query, self._matches, self._listed)

    def _listed(self, text: str) -> str:
        members = text.split(self.separator)
        if self.duplicates == "drop":
            first = {member: place for place, member in reversed([*enumerate(members)])}
            members = [member for place, member in enumerate(members) if not member or first[member] == place]
        return self.separator.join(members if self.ordered else sorted(members))
