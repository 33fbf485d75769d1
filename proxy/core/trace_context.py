"""Where a request stands in its trace, and how that travels in fields (W3C Trace Context)."""

import re
from dataclasses import dataclass

from proxy.core.types import Headers, joined

SAMPLED = 1
_KNOWN_FLAGS = 0b11
"""What the flags say that we can pass on: that the parent is recorded (§3.2.2.5), that the trace id is random (Level 2)."""
_TRACEPARENT = re.compile(
    rb"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    rb"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_LOT_BITS = 56
"""The last bits of a trace id, which are random (Level 2 §2.2.2.3): whoever draws by them draws alike."""


@dataclass(frozen=True, slots=True)
class SpanContext:
    """One span, as others name it: its ids in lower-case hex, its flags."""

    trace_id: str
    span_id: str
    flags: int = SAMPLED

    @property
    def is_sampled(self) -> bool:
        """Tell whether the span is recorded."""
        return bool(self.flags & SAMPLED)

    @property
    def traceparent(self) -> bytes:
        """Return the field that makes this span the parent of what it goes with (§3.2)."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}".encode("ascii")


@dataclass(frozen=True, slots=True)
class Begun:
    """A span under way since `began`, in seconds of the timer; `scheme` is that of a client's request.

    What it was caused by, but is no part of, is among its `links`.
    """

    context: SpanContext
    parent: SpanContext | None = None
    began: float = 0.0
    links: tuple[SpanContext, ...] = ()
    scheme: str = ""


def parent_of(headers: Headers) -> SpanContext | None:
    """Return the span that a valid traceparent names (§3.2), of any version by what is known of it (§4)."""
    value = joined(headers, b"traceparent")
    found = _TRACEPARENT.fullmatch(value) if value is not None else None
    if found is None or (found["more"] and found["version"] == b"00"):
        return None
    flags = int(found["flags"], 16) & _KNOWN_FLAGS
    return SpanContext(found["trace"].decode("ascii"), found["span"].decode("ascii"), flags)


def with_parent(headers: Headers, parent: SpanContext, *, keeps_state: bool) -> Headers:
    """Return the fields with `parent` as what it is.

    Unless this goes on with the trace that the fields told of, what they told of its state is dropped (§3.3.1.1).
    """
    dropped = {b"traceparent"} if keeps_state else {b"traceparent", b"tracestate"}
    return (*[field for field in headers if field[0] not in dropped], (b"traceparent", parent.traceparent))


def is_taken(begun: Begun, *, went_up: bool, share: float) -> bool:
    """Tell whether a request is recorded: as its parent says; else what `went_up` or failed, and a share of the rest."""
    if begun.parent is not None:
        return begun.parent.is_sampled
    return went_up or int(begun.context.trace_id, 16) % 2**_LOT_BITS < share * 2**_LOT_BITS
