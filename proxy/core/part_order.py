"""The order in which a service answers parts, and the check that an answer keeps it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal
from unicodedata import normalize

from proxy.core.composite import Part
from proxy.core.reasons import Reason
from proxy.errors import Fallback

Order = Literal["request", "number_up", "number_down", "text_up", "text_down"]
"""As asked; or sorted by what names the parts, as whole numbers or as text (by code point)."""


def _number(label: str) -> int:
    if not label.removeprefix("-").isdecimal() or not label.isascii() or len(label) > 30:
        raise Fallback(Reason.PART_ORDER)
    return int(label)


def _text(label: str) -> bytes:
    return label.encode("utf-8", "surrogatepass")


_KEYS: Mapping[str, tuple[Callable[[str], int | bytes], bool]] = {
    "number_up": (_number, False),
    "number_down": (_number, True),
    "text_up": (_text, False),
    "text_down": (_text, True),
}


def labels_of(parts: Sequence[Part]) -> list[str]:
    """Return what names each part in an answer; raises Fallback (FRAME) where nothing does."""
    labels = [part.label for part in parts if part.label is not None]
    if len(labels) < len(parts):
        raise Fallback(Reason.FRAME)
    return labels


def check_apart(labels: Iterable[str]) -> None:
    """Raise Fallback (DUPLICATE_PART) where two names may be one to a service: `7` and `07`, `ab` and `AB`.

    It would answer one of them only, and the other would be taken for missing.
    """
    named = set(labels)
    if len({_folded(label) for label in named}) < len(named):
        raise Fallback(Reason.DUPLICATE_PART)


def _folded(label: str) -> str:
    folded = label if label.isascii() else normalize("NFKC", label)
    return folded.casefold().strip().removeprefix("+").lstrip("0")


def arranged(labels: Sequence[str], order: Order) -> list[int]:
    """Return the places of parts in the order of an answer; raises Fallback (PART_ORDER) where numbers are none."""
    if order == "request":
        return list(range(len(labels)))
    key, down = _KEYS[order]
    keys = [key(label) for label in labels]
    return sorted(range(len(labels)), key=keys.__getitem__, reverse=down)


def cut_off(found: Sequence[str], expected: Sequence[str]) -> frozenset[str]:
    """Return the expected names after the last one found: missing, or not said where answers have a longest length.

    An answer to one part only is taken to be whole.
    """
    if len(set(expected)) < 2:
        return frozenset()
    present = set(found)
    last = max([place for place, label in enumerate(expected) if label in present], default=-1)
    return frozenset(expected[last + 1 :]).difference(expected[: last + 1])


def check_order(found: Sequence[str], expected: Sequence[str]) -> None:
    """Raise Fallback where the names of items are not the expected ones (some may be missing), in their order.

    FRAME where one was not asked for, DUPLICATE_PART where one comes too often, PART_ORDER where they stand otherwise.
    """
    present = set(found)
    if list(found) == [label for label in expected if label in present]:
        return
    if not present <= set(expected):
        raise Fallback(Reason.FRAME)
    raise Fallback(Reason.DUPLICATE_PART if len(present) < len(found) else Reason.PART_ORDER)
