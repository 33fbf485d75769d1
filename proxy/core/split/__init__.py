"""Splitters, Request → parts: to add one, write `word.py` here with a frozen slotted dataclass `Word` that is a Splitter and whose fields are its options, and `tests/core/split/test_word.py`."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from proxy.core.composite import Cut, Limits
from proxy.core.types import Request


class Splitter(Protocol):
    """Cuts a request into parts, and builds requests for any of them: pure, and bounded before it works.

    `proxy.core.split_laws` holds one to its promises: `build` of all places is the request itself, and `build` of some
    is cut into those parts again, with the same frame and (but for one alone) the same identities. `version` is part of
    every part's key: raise it when the same part gets another identity, or asks something else, than before.
    """

    version: ClassVar[int]

    def plan(self, request: Request, limits: Limits = ...) -> Cut | None:
        """Return the request's parts, None where it has no such thing; raises Fallback where that is in doubt."""
        ...

    def build(self, request: Request, cut: Cut, places: Sequence[int]) -> Request:
        """Return the request for the parts at these places (at least one, ascending)."""
        ...
