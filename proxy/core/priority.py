"""What a request says of who waits for it → whose turn upstream it is (RFC 9218)."""

from typing import Final

from proxy.core.fair_queue import Priority
from proxy.core.structured import dictionary
from proxy.core.types import Request

_BACKGROUND = 7
"""The urgency of what nobody waits for (RFC 9218 §4.1)."""
SHADOW: Final = (b"frontrunner-shadow", b"1")
"""The field by which the upstream may tell calls that are made to compare answers."""


def priority_of(request: Request) -> Priority:
    """Return SHADOW or WARM for a request that says that nobody waits for its answer, CLIENT for all others."""
    if SHADOW[0] in request.fields:
        return Priority.SHADOW
    value = request.header(b"priority") if b"priority" in request.fields else None
    urgency = (dictionary(value) or {}).get("u") if value is not None else None
    is_background = urgency is not None and type(urgency.value) is int and urgency.value == _BACKGROUND
    return Priority.WARM if is_background else Priority.CLIENT
