"""Whether answers may come from the store, or requests are only observed: can be turned while they are served."""

from dataclasses import dataclass


@dataclass(slots=True)
class Mode:
    """What `mode` says now; who asks it asks for each request."""

    observing: bool = False
    """Every answer comes from the upstream; the log says what would have been."""
