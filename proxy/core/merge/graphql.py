"""`graphql`: the answers to the root fields of a GraphQL query, by their response names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from proxy.core.composite import LIMITS, MISSING, Frame, Limits, Part, Share, Sliced, alike
from proxy.core.envelope import Envelope, Total
from proxy.core.part_order import check_order, labels_of
from proxy.core.reasons import Reason
from proxy.core.types import Response
from proxy.errors import Fallback


@dataclass(frozen=True, slots=True)
class Graphql:
    """Match the members of `data` with root fields.

    An answer with `errors` is not cut: a null below one may have come up from anywhere. One with `extensions` is not
    cut either, unless they are left out (`drop`).
    """

    version: ClassVar[int] = 1
    one_each: ClassVar[bool] = False

    extensions: Literal["fallback", "drop"] = "fallback"
    _envelope: Envelope = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        totals: dict[str, Total] = {"$.extensions": "drop"} if self.extensions == "drop" else {}
        refused = {"$.errors": str(Reason.PART_ERROR)}
        if not totals:
            refused["$.extensions"] = str(Reason.FRAME)
        object.__setattr__(self, "_envelope", Envelope.of("$.data", totals, "{", refused))

    def check(self, parts: Sequence[Part]) -> None:
        """Raise Fallback where parts have no response names, or share one."""
        labels = labels_of(parts)
        if len(set(labels)) < len(labels):
            raise Fallback(Reason.DUPLICATE_PART)

    def slice(self, response: Response, parts: Sequence[Part], limits: Limits = LIMITS) -> Sliced:
        """Cut the members of `data`.

        Raises Fallback: PART_ERROR where there are errors, PART_MISSING where a field is absent without a directive
        that may leave it out, and as for any object.
        """
        self.check(parts)
        opened = self._envelope.open(response, limits)
        names = [span.name for span in opened.spans]
        check_order(names, labels_of(parts))
        items = dict(zip(names, opened.items(), strict=True))
        shares = [Share((items[part.label or ""],)) if part.label in items else MISSING for part in parts]
        self._check_missing(parts, shares)
        return Sliced(opened.frame, alike(parts, shares), len(names) > 1)

    def merge(self, frame: Frame, parts: Sequence[Part], shares: Sequence[Share], limits: Limits = LIMITS) -> bytes:
        """Return the body with the members of these fields, in the order of the query."""
        self.check(parts)
        self._check_missing(parts, shares)
        return self._envelope.close(frame, [item for share in shares for item in share.items], limits)

    def _check_missing(self, parts: Sequence[Part], shares: Sequence[Share]) -> None:
        absent = [part for part, share in zip(parts, shares, strict=False) if not share.items]
        if len(shares) != len(parts) or not all(part.optional for part in absent):
            raise Fallback(Reason.PART_MISSING)

    def equal(self, one: bytes, other: bytes) -> bool:
        """Compare two bodies but for `extensions`, where these are left out."""
        return one == other or self._envelope.compared(one) == self._envelope.compared(other)
