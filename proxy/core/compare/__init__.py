"""Compare profiles, when are two answers one: to add one, write `word.py` here with a frozen slotted dataclass `Word` that is a Compare and whose fields are its options, and `tests/core/compare/test_word.py`."""

from typing import Protocol

from proxy.core.difference import Difference
from proxy.core.types import Response


class Compare(Protocol):
    """Tells whether a candidate answers what a control did: pure, bounded, and without raising, whatever the bodies."""

    def difference(self, control: Response, candidate: Response, now: float = 0.0) -> Difference | None:
        """Return the first place where two answers differ, None where they are equal.

        Their bodies are bytes, without a content coding. `now` is when they were made, in seconds since 1970. Two errors
        of one class (4xx, 5xx) are equal, whatever their bodies.
        """
        ...
