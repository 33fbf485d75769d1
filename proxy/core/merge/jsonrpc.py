"""`jsonrpc`: the answers to a JSON-RPC 2.0 batch, matched by their ids."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core import json_slices
from proxy.core.composite import LIMITS, Frame, Kind, Limits, Part, Share, Sliced, alike
from proxy.core.envelope import Envelope
from proxy.core.reasons import Reason
from proxy.core.types import Response
from proxy.errors import Fallback


@dataclass(frozen=True, slots=True)
class Jsonrpc:
    """Match the elements of a batch's answer with its calls; each gets its own id, as its client wrote it.

    An element that is an error goes to the client as it came, and is not kept. The specification lets a service answer
    in any order: one that does not keep that of the calls has no answer to be put together to the byte.
    """

    version: ClassVar[int] = 1
    one_each: ClassVar[bool] = False

    _envelope: Envelope = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_envelope", Envelope.of("$", {}))

    def check(self, parts: Sequence[Part]) -> None:
        """Take any calls: their ids differ."""

    def slice(self, response: Response, parts: Sequence[Part], limits: Limits = LIMITS) -> Sliced:
        """Cut each element around its id.

        Raises Fallback: PART_MISSING where there is not one for each call, PART_ORDER where they stand in another order.
        """
        opened = self._envelope.open(response, limits, json_slices.opened)
        cut = [_around_id(opened.text, span) for span in opened.spans]
        found, asked = [mark for mark, _ in cut], [part.mark for part in parts]
        if found != asked:
            raise Fallback(Reason.PART_ORDER if sorted(found) == sorted(asked) else Reason.PART_MISSING)
        return Sliced(opened.frame, alike(parts, [share for _, share in cut]), len(parts) > 1)

    def merge(self, frame: Frame, parts: Sequence[Part], shares: Sequence[Share], limits: Limits = LIMITS) -> bytes:
        """Return the batch's answer, in the order of the calls."""
        if len(shares) != len(parts) or any(len(share.items) != 2 for share in shares):
            raise Fallback(Reason.PART_MISSING)
        items = [share.items[0] + part.mark + share.items[1] for part, share in zip(parts, shares, strict=True)]
        return self._envelope.close(frame, items, limits)

    def equal(self, one: bytes, other: bytes) -> bool:
        """Compare two bodies."""
        return one == other


def _around_id(text: str, span: json_slices.Span) -> tuple[bytes, Share]:
    if text[span.start] != "{":
        raise Fallback(Reason.FRAME)
    members = span.value.spans
    names = [member.name for member in members]
    if len(set(names)) < len(names) or "id" not in names or ("result" in names) == ("error" in names):
        raise Fallback(Reason.FRAME)
    mark = members[names.index("id")]
    around = text[span.start : mark.at].encode(), text[mark.end : span.end].encode()
    return text[mark.at : mark.end].encode(), Share(around, Kind.ERROR if "error" in names else Kind.PRESENT)
