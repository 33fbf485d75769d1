"""`query_list`: one parameter of the query is a list, `ids=1,2,3`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core.composite import LIMITS, Around, Cut, Limits, Part
from proxy.core.params import Matches, exact, matcher
from proxy.core.part_request import label_of, pieces_of, run_of, with_query
from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.errors import Fallback

_NOT_WITHIN_AN_ESCAPE = rb"(?<!%)(?<!%[0-9A-Fa-f])"


@dataclass(frozen=True, slots=True)
class QueryList:
    """Split the value of parameter `name` at `separator`, written plain or escaped, but in one way in one request.

    A request with a parameter that `deny_params` names (`*` stands for anything) is not split: what sorts, limits or
    pages answers for the whole list. Parts are named in answers by their decoded text. Raises ValueError for an empty
    separator or one with `&` or `#`.
    """

    version: ClassVar[int] = 1

    name: str
    separator: str = ","
    deny_params: tuple[str, ...] = ()
    _name: bytes = field(init=False, repr=False, compare=False)
    _denied: Matches = field(init=False, repr=False, compare=False)
    _separator: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.separator or not {"&", "#"}.isdisjoint(self.separator):
            raise ValueError(f"{self.separator!r} cannot separate the members of a list in a query")
        object.__setattr__(self, "_name", exact(self.name))
        object.__setattr__(self, "_denied", matcher(self.deny_params))
        spelled = b"".join([_spelled(byte) for byte in self.separator.encode()])
        object.__setattr__(self, "_separator", re.compile(_NOT_WITHIN_AN_ESCAPE + spelled))

    def plan(self, request: Request, limits: Limits = LIMITS) -> Cut | None:
        """Return the list's members; None without the parameter or its value, Fallback where services could differ."""
        pieces = pieces_of(request, limits, self.separator.encode())
        begin, end = run_of(pieces, self._name)
        if begin == end or not pieces[begin].value:
            return None
        if any(self._denied(piece.name) for piece in pieces):
            raise Fallback(Reason.SPLIT_DENIED)
        if end - begin > 1 or any(b";" in piece.raw for piece in (*pieces[:begin], *pieces[end:])):
            raise Fallback(Reason.SPLIT_SYNTAX)
        value = pieces[begin].value or b""
        members, between = self._members(value, limits)
        raw = pieces[begin].raw
        around = Around(
            _joined([piece.raw for piece in pieces[:begin]], raw.removesuffix(value)),
            between,
            b"".join([b"&" + piece.raw for piece in pieces[end:]]),
        )
        # A service that does not decode before it splits reads an escaped list as one odd member: never the same part.
        prefix = b"" if between.upper() in self._plain() else between.upper() + b"\0"
        parts = tuple([Part(prefix + member, member, label_of(member)) for member in members])
        return Cut(parts, with_query(request, around.of(())), around)

    def _members(self, value: bytes, limits: Limits) -> tuple[list[bytes], bytes]:
        spellings: set[bytes] = set()
        members, at = [], 0
        for count, one in enumerate(self._separator.finditer(value), 2):
            if count > limits.parts:
                raise Fallback(Reason.SPLIT_LIMIT)
            spellings.add(one[0])
            members.append(value[at : one.start()])
            at = one.end()
        members.append(value[at:])
        between = spellings.pop() if spellings else self.separator.encode()
        if spellings or not all(members):
            raise Fallback(Reason.SPLIT_SYNTAX)
        return members, between

    def _plain(self) -> tuple[bytes, ...]:
        plain = self.separator.upper().encode()
        return plain, plain.replace(b" ", b"+")

    def build(self, request: Request, cut: Cut, places: Sequence[int]) -> Request:
        """Return the request for some of the members."""
        if len(places) == len(cut.parts) or not isinstance(cut.rest, Around):
            return request
        return with_query(request, cut.rest.of([part.raw for part in cut.picked(places)]))


def _spelled(byte: int) -> bytes:
    plain = {ord(" "): rb"\+|\x20|", ord("%"): b""}.get(byte, re.escape(bytes([byte])) + b"|")  # a bare % is none
    return b"(?:%b%%(?i:%02X))" % (plain, byte)


def _joined(before: Sequence[bytes], name: bytes) -> bytes:
    return b"&".join([*before, name])
