"""`json`: equal as JSON, to the last digit."""

from dataclasses import dataclass

from proxy.core import json_text
from proxy.core.compare.bytes import OfBodies, compared, of_bytes
from proxy.core.difference import Difference
from proxy.core.json_difference import Lens, first
from proxy.core.types import Response
from proxy.errors import Fallback


@dataclass(frozen=True, slots=True)
class Json:
    """White space, the order of members and escapes in strings do not count, nor how a number is written: 1.0 is 1.

    What is missing is not null, and the order of arrays counts. A body that is no JSON, names a member twice, or is too
    deep, is compared by its bytes.
    """

    def difference(self, control: Response, candidate: Response, now: float = 0.0) -> Difference | None:  # noqa: ARG002
        """Return the first difference."""
        return compared(control, candidate, seen_through(control, Lens()))


def seen_through(control: Response, lens: Lens) -> OfBodies:
    """Return what compares two bodies of the control's media type as JSON, and by their bytes where one is none."""
    media_type = control.header(b"content-type") or b""

    def of_bodies(one: bytes, other: bytes) -> Difference | None:
        try:
            ours, theirs = json_text.read(media_type, one), json_text.read(media_type, other)
        except Fallback:
            return of_bytes(one, other)
        return first(ours, theirs, lens)

    return of_bodies
