"""`query_repeat`: one parameter of the query comes several times, `id=1&id=2` or `id[]=1&id[]=2`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core.composite import LIMITS, Around, Cut, Limits, Part
from proxy.core.params import Matches, exact, matcher
from proxy.core.part_request import label_of, pieces_of, run_of, with_query
from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.errors import Fallback


@dataclass(frozen=True, slots=True)
class QueryRepeat:
    """Split where parameter `name` comes again; all must stand together, and each have a value.

    A request with a parameter that `deny_params` names (`*` stands for anything) is not split: what sorts, limits or
    pages answers for all of them. Parts are named in answers by their decoded value.
    """

    version: ClassVar[int] = 1

    name: str
    deny_params: tuple[str, ...] = ()
    _name: bytes = field(init=False, repr=False, compare=False)
    _denied: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_name", exact(self.name))
        object.__setattr__(self, "_denied", matcher(self.deny_params))

    def plan(self, request: Request, limits: Limits = LIMITS) -> Cut | None:
        """Return the values; None without the parameter, Fallback where services could differ."""
        pieces = pieces_of(request, limits)
        begin, end = run_of(pieces, self._name)
        if begin == end:
            return None
        if end - begin > limits.parts:
            raise Fallback(Reason.SPLIT_LIMIT)
        if any(self._denied(piece.name) for piece in pieces):
            raise Fallback(Reason.SPLIT_DENIED)
        parts = []
        for piece in pieces[begin:end]:
            if not piece.value:
                raise Fallback(Reason.SPLIT_SYNTAX)
            parts.append(Part(piece.value, piece.raw, label_of(piece.value)))
        around = Around(
            b"".join([piece.raw + b"&" for piece in pieces[:begin]]),
            b"&",
            b"".join([b"&" + piece.raw for piece in pieces[end:]]),
        )
        return Cut(tuple(parts), with_query(request, around.of([self._name + b"="])), around)

    def build(self, request: Request, cut: Cut, places: Sequence[int]) -> Request:
        """Return the request for some of the values."""
        if len(places) == len(cut.parts) or not isinstance(cut.rest, Around):
            return request
        return with_query(request, cut.rest.of([part.raw for part in cut.picked(places)]))
