"""`concat`: each part is answered by any number of items, one after another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core import json_slices
from proxy.core.composite import ABSENT, LIMITS, Frame, Limits, Part, Share, Sliced
from proxy.core.envelope import Envelope, Total, label_at
from proxy.core.json_path import Path, singular
from proxy.core.part_order import Order, arranged, check_apart, check_order, cut_off, labels_of
from proxy.core.reasons import Reason
from proxy.core.types import Response
from proxy.errors import Fallback


@dataclass(frozen=True, slots=True)
class Concat:
    """Join the elements of the array at `items`, part by part.

    `by` is the path in an item to what names its part; without it, only answers to one part can be cut. `dedupe` is the
    path to what an item is known by: of several parts' items with the same one, the first stays; it needs answers to
    one part, so `by` cannot stand with it. `order` is that of the parts' items, `totals` says how numbers about the
    items are made. A request that names a part twice is not split.
    """

    version: ClassVar[int] = 1

    items: str = "$"
    by: str | None = None
    dedupe: str | None = None
    order: Order = "request"
    totals: Mapping[str, Total] = field(default_factory=dict)
    _envelope: Envelope = field(init=False, repr=False, compare=False)
    _by: Path | None = field(init=False, repr=False, compare=False)
    _dedupe: Path | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.by is not None and self.dedupe is not None:
            raise ValueError(
                "dedupe: an item that several parts have names only one of them, so `by` cannot stand with it"
            )
        object.__setattr__(self, "_envelope", Envelope.of(self.items, self.totals))
        object.__setattr__(self, "_by", None if self.by is None else singular(self.by))
        object.__setattr__(self, "_dedupe", None if self.dedupe is None else singular(self.dedupe))

    @property
    def one_each(self) -> bool:
        """Tell whether nothing in an item names its part."""
        return self.by is None

    def check(self, parts: Sequence[Part]) -> None:
        """Raise Fallback where a part comes twice, or nothing names it and something must."""
        self._places(parts)

    def _places(self, parts: Sequence[Part]) -> list[int]:
        if len({part.identity for part in parts}) < len(parts):
            raise Fallback(Reason.DUPLICATE_PART)
        if self._by is None and self.order == "request":
            return list(range(len(parts)))
        labels = labels_of(parts)
        if len(set(labels)) < len(labels):
            raise Fallback(Reason.DUPLICATE_PART)
        if self._by is not None:
            check_apart(labels)
        return arranged(labels, self.order)

    def slice(self, response: Response, parts: Sequence[Part], limits: Limits = LIMITS) -> Sliced:
        """Cut the items of each part.

        Raises Fallback: FRAME where an item's part was not asked for, or nothing tells whose it is; PART_ORDER where
        the parts' items do not stand together, or in another order; DUPLICATE_PART where one answer has an item twice
        that is to be there once.
        """
        places = self._places(parts)
        opened = self._envelope.open(response, limits)
        items = opened.items()
        if self._by is None:
            if len(parts) != 1:
                raise Fallback(Reason.FRAME)
            if len(self._once(items)) < len(items):  # the service itself does not do what the rule says
                raise Fallback(Reason.DUPLICATE_PART)
            return Sliced(opened.frame, (Share(tuple(items)),))
        labels = [label_at(span.value, self._by) for span in opened.spans]
        runs = [label for number, label in enumerate(labels) if not number or labels[number - 1] != label]
        if len(set(runs)) < len(runs):
            raise Fallback(Reason.PART_ORDER)
        expected = [parts[place].label or "" for place in places]
        check_order(runs, expected)
        unsaid = cut_off(runs, expected)
        held: dict[str, list[bytes]] = {}
        for label, item in zip(labels, items, strict=True):
            held.setdefault(label, []).append(item)
        shares = [ABSENT if part.label in unsaid else Share(tuple(held.get(part.label or "", ()))) for part in parts]
        return Sliced(opened.frame, tuple(shares))

    def merge(self, frame: Frame, parts: Sequence[Part], shares: Sequence[Share], limits: Limits = LIMITS) -> bytes:
        """Return the body with the items of these parts."""
        if len(shares) != len(parts):
            raise Fallback(Reason.PART_MISSING)
        items = [item for place in self._places(parts) for item in shares[place].items]
        return self._envelope.close(frame, self._once(items), limits)

    def _once(self, items: list[bytes]) -> list[bytes]:
        path = self._dedupe
        if path is None:
            return items
        values = [json_slices.document(item.decode()).value for item in items]
        named = [(label_at(value, path), type(json_slices.value_at(value, path))) for value in values]  # 1 is not "1"
        first = dict(reversed([*zip(named, items, strict=True)]))
        return [first[name] for name in dict.fromkeys(named)]  # each at its first place, with its first bytes

    def equal(self, one: bytes, other: bytes) -> bool:
        """Compare two bodies but for the totals that may differ."""
        return one == other or self._envelope.compared(one) == self._envelope.compared(other)
