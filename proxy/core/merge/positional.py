"""`positional`: the first item answers the first part, and so on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core.composite import LIMITS, Frame, Limits, Part, Share, Sliced, alike
from proxy.core.envelope import Envelope, Total
from proxy.core.reasons import Reason
from proxy.core.types import Response
from proxy.errors import Fallback


@dataclass(frozen=True, slots=True)
class Positional:
    """Match the elements of the array at `items` with the parts by their place; there must be one for each.

    `totals` says how numbers about the items are made. Nothing in such an answer shows whose an item is: only for
    services that answer every part with exactly one item, unknown ones too.
    """

    version: ClassVar[int] = 1
    one_each: ClassVar[bool] = False

    items: str = "$"
    totals: Mapping[str, Total] = field(default_factory=dict)
    _envelope: Envelope = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_envelope", Envelope.of(self.items, self.totals))

    def check(self, parts: Sequence[Part]) -> None:
        """Take any parts: each has its own item, and those that come twice have two."""

    def slice(self, response: Response, parts: Sequence[Part], limits: Limits = LIMITS) -> Sliced:
        """Cut one item for each part; raises Fallback (PART_MISSING) where there are fewer or more."""
        opened = self._envelope.open(response, limits)
        if len(opened.spans) != len(parts):
            raise Fallback(Reason.PART_MISSING)
        return Sliced(opened.frame, alike(parts, [Share((item,)) for item in opened.items()]))

    def merge(self, frame: Frame, parts: Sequence[Part], shares: Sequence[Share], limits: Limits = LIMITS) -> bytes:
        """Return the body with one item for each part."""
        if len(shares) != len(parts) or any(len(share.items) != 1 for share in shares):
            raise Fallback(Reason.PART_MISSING)
        return self._envelope.close(frame, [share.items[0] for share in shares], limits)

    def equal(self, one: bytes, other: bytes) -> bool:
        """Compare two bodies but for the totals that may differ."""
        return one == other or self._envelope.compared(one) == self._envelope.compared(other)
