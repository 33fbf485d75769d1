"""`dict_union`: an object holds the answers, its members' names are the parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from proxy.core import json_slices
from proxy.core.composite import ABSENT, LIMITS, MISSING, Frame, Limits, Part, Share, Sliced, alike, sorted_somehow
from proxy.core.envelope import Envelope, Total
from proxy.core.part_order import Order, arranged, check_apart, check_order, cut_off, labels_of
from proxy.core.reasons import Reason
from proxy.core.types import Response
from proxy.errors import Fallback


@dataclass(frozen=True, slots=True)
class DictUnion:
    """Match the members of the object at `items` with the parts by their names.

    With `keys: any`, names say nothing: a part is answered by any members, and only answers to one part can be cut; the
    same name in two of them is a clash, and they are not put together. `missing` says whether the service leaves out
    (`omit`) a part that it does not know; `order` is that of the members, `totals` says how numbers about them are made.
    A part that is asked for twice is answered once.
    """

    version: ClassVar[int] = 1

    items: str = "$"
    keys: Literal["parts", "any"] = "parts"
    missing: Literal["error", "omit"] = "error"
    order: Order = "request"
    totals: Mapping[str, Total] = field(default_factory=dict)
    _envelope: Envelope = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_envelope", Envelope.of(self.items, self.totals, "{"))

    @property
    def one_each(self) -> bool:
        """Tell whether the members' names say nothing of the parts."""
        return self.keys == "any"

    def check(self, parts: Sequence[Part]) -> None:
        """Raise Fallback where nothing names a part, or two have one name."""
        self._places(parts)

    def _places(self, parts: Sequence[Part]) -> list[int]:
        first = {part.identity: place for place, part in reversed([*enumerate(parts)])}
        places = sorted(first.values())
        if self.one_each and self.order == "request":
            return places
        labels = labels_of([parts[place] for place in places])
        if len(set(labels)) < len(labels):
            raise Fallback(Reason.DUPLICATE_PART)
        if self.missing == "omit":
            check_apart(labels)
        return [places[number] for number in arranged(labels, self.order)]

    def slice(self, response: Response, parts: Sequence[Part], limits: Limits = LIMITS) -> Sliced:
        """Cut the members by their names.

        Raises Fallback: FRAME where one was not asked for, DUPLICATE_PART where one comes twice, PART_ORDER where they
        stand in another order, PART_MISSING where there is none for a part and `missing` does not allow for it.
        """
        places = self._places(parts)
        opened = self._envelope.open(response, limits)
        names, items = [span.name for span in opened.spans], opened.items()
        if len(set(names)) < len(names):
            raise Fallback(Reason.DUPLICATE_PART)
        if self.one_each:
            if len(places) != 1:
                raise Fallback(Reason.FRAME)
            return Sliced(opened.frame, (Share(tuple(items)),) * len(parts))
        expected = [parts[place].label or "" for place in places]
        check_order(names, expected)
        unsaid = cut_off(names, expected) if self.missing == "omit" else frozenset()
        by_name = dict.fromkeys(unsaid, ABSENT) | {
            name: Share((item,)) for name, item in zip(names, items, strict=True)
        }
        shares = alike(parts, [by_name.get(part.label or "", MISSING) for part in parts])
        if self.missing == "error" and MISSING in shares:
            raise Fallback(Reason.PART_MISSING)
        return Sliced(opened.frame, shares, self.order == "request" and not sorted_somehow(names))

    def merge(self, frame: Frame, parts: Sequence[Part], shares: Sequence[Share], limits: Limits = LIMITS) -> bytes:
        """Return the body with the members of these parts; raises Fallback (DUPLICATE_PART) where two have one name."""
        whole = self.missing == "omit" or self.one_each or all(share.items for share in shares)
        if len(shares) != len(parts) or not whole:
            raise Fallback(Reason.PART_MISSING)
        items = [item for place in self._places(parts) for item in shares[place].items]
        if self.one_each and len({_name(item) for item in items}) < len(items):
            raise Fallback(Reason.DUPLICATE_PART)
        return self._envelope.close(frame, items, limits)

    def equal(self, one: bytes, other: bytes) -> bool:
        """Compare two bodies but for the totals that may differ."""
        return one == other or self._envelope.compared(one) == self._envelope.compared(other)


def _name(item: bytes) -> str:
    return json_slices.members(f"{{{item.decode()}}}", 0).spans[0].name
