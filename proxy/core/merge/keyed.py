"""`keyed`: each item names the part that it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from proxy.core.composite import ABSENT, LIMITS, MISSING, Frame, Limits, Part, Share, Sliced, alike, sorted_somehow
from proxy.core.envelope import Envelope, Total, label_at
from proxy.core.json_path import Path, singular
from proxy.core.part_order import Order, arranged, check_apart, check_order, cut_off, labels_of
from proxy.core.reasons import Reason
from proxy.core.types import Response
from proxy.errors import Fallback


@dataclass(frozen=True, slots=True)
class Keyed:
    """Match the elements of the array at `items` with the parts by the string or number at `id` in each.

    `missing` says what the service writes for a part that it does not know: nothing (`omit`), `null` in its place, or
    something that is no item, so that such an answer is not split (`error`). `duplicates`: what it does where a part
    is asked for twice: answers it `once`, at its first place, or `each` time; by default such a request is not split.
    `order` is that of its items. All three are checked in every answer that shows them. `totals` says how numbers about
    the items are made.
    """

    version: ClassVar[int] = 1
    one_each: ClassVar[bool] = False

    items: str = "$"
    id: str = "$.id"
    missing: Literal["error", "omit", "null"] = "error"
    duplicates: Literal["fallback", "once", "each"] = "fallback"
    order: Order = "request"
    totals: Mapping[str, Total] = field(default_factory=dict)
    _envelope: Envelope = field(init=False, repr=False, compare=False)
    _id: Path = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_envelope", Envelope.of(self.items, self.totals))
        object.__setattr__(self, "_id", singular(self.id))

    def check(self, parts: Sequence[Part]) -> None:
        """Raise Fallback where nothing names a part, or one comes twice and nobody said what the service does then."""
        self._places(parts)

    def _places(self, parts: Sequence[Part]) -> list[int]:
        """Return the places of the parts in the order of their items, each as often as it is answered."""
        labels = labels_of(parts)
        places = arranged(labels, self.order)
        identities = {part.identity: part.label for part in parts}
        if len(set(labels)) < len(identities):  # 1 and "1", say: no item tells which it answers
            raise Fallback(Reason.DUPLICATE_PART)
        if self.missing == "omit":
            check_apart(labels)
        if len(identities) == len(parts) or self.duplicates == "each":
            return places
        if self.duplicates == "fallback":
            raise Fallback(Reason.DUPLICATE_PART)
        first = {labels[place]: place for place in reversed(places)}
        return [place for place in places if first[labels[place]] == place]

    def slice(self, response: Response, parts: Sequence[Part], limits: Limits = LIMITS) -> Sliced:
        """Cut the items by what names them.

        Raises Fallback: FRAME where an item is not one that was asked for, PART_ORDER where they stand in another
        order, PART_MISSING where there is none for a part and `missing` does not allow for it.
        """
        places = self._places(parts)
        opened = self._envelope.open(response, limits)
        expected = [parts[place].label or "" for place in places]
        values = [span.value for span in opened.spans]
        if self.missing == "null":
            if len(values) != len(places):
                raise Fallback(Reason.PART_MISSING)
            expected = [label for label, value in zip(expected, values, strict=True) if value is not None]
        labels = [label_at(value, self._id) for value in values if value is not None or self.missing != "null"]
        check_order(labels, expected)
        items = [item for item, value in zip(opened.items(), values, strict=True) if value is not None]
        known = [(label, Share((item,))) for label, item in zip(labels, items, strict=True)]
        unsaid = cut_off(labels, expected) if self.missing == "omit" else frozenset()
        by_label = dict.fromkeys(unsaid, ABSENT) | dict(reversed(known))
        if any(by_label[label] != share for label, share in known):
            raise Fallback(Reason.DUPLICATE_PART)
        shares = alike(parts, [by_label.get(part.label or "", MISSING) for part in parts])
        if self.missing == "error" and MISSING in shares:
            raise Fallback(Reason.PART_MISSING)
        return Sliced(opened.frame, shares, self.order == "request" and not sorted_somehow(labels))

    def merge(self, frame: Frame, parts: Sequence[Part], shares: Sequence[Share], limits: Limits = LIMITS) -> bytes:
        """Return the body with the items of these parts."""
        if len(shares) != len(parts) or (self.missing == "error" and not all(share.items for share in shares)):
            raise Fallback(Reason.PART_MISSING)
        nothing = (b"null",) if self.missing == "null" else ()
        items = [item for place in self._places(parts) for item in (shares[place].items or nothing)]
        return self._envelope.close(frame, items, limits)

    def equal(self, one: bytes, other: bytes) -> bool:
        """Compare two bodies but for the totals that may differ."""
        return one == other or self._envelope.compared(one) == self._envelope.compared(other)
