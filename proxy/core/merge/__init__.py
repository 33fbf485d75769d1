"""Merge strategies, answers → one body: to add one, write `word.py` here with a frozen slotted dataclass `Word` that is a Merge and whose fields are its options, and `tests/core/merge/test_word.py`."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from proxy.core.composite import Frame, Limits, Part, Share, Sliced
from proxy.core.types import Response


class Merge(Protocol):
    """Cuts answers into what each part said, and puts such shares together to the byte: pure, and bounded.

    `proxy.core.split_laws` holds one to its promise: what `slice` cut, `merge` puts together again. `version` is part of
    every part's key: raise it when shares are cut in another way than before.
    """

    version: ClassVar[int]

    @property
    def one_each(self) -> bool:
        """Tell whether only answers to one part can be sliced: nothing in them tells whose an item is."""
        ...

    def check(self, parts: Sequence[Part]) -> None:
        """Raise Fallback where no answers to these parts could be put together: ask before you send."""
        ...

    def slice(self, response: Response, parts: Sequence[Part], limits: Limits = ...) -> Sliced:
        """Cut the whole answer (its body in bytes, not compressed) to a request for these parts; raises Fallback."""
        ...

    def merge(self, frame: Frame, parts: Sequence[Part], shares: Sequence[Share], limits: Limits = ...) -> bytes:
        """Return the body that holds these parts' shares, in the order of the parts; raises Fallback."""
        ...

    def equal(self, one: bytes, other: bytes) -> bool:
        """Tell whether two bodies are equal but for totals that are declared to differ, or to be left out."""
        ...
