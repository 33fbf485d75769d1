"""The last requests of this process, for who looks over its shoulder."""

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from proxy.clock import Clock
from proxy.core.log_fields import request_fields
from proxy.core.log_line import LogLine

MOST: Final = 200


class Recent:
    """Keeps the last MOST lines; their fields are made when somebody asks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: deque[tuple[float, LogLine]] = deque(maxlen=MOST)

    def add(self, line: LogLine) -> None:
        """Keep one finished request."""
        if line.candidate is not None or line.observed is not None:
            line = replace(line, candidate=None, observed=None, after=None)  # no bodies are kept alive
        self._lines.append((self._clock.wall(), line))

    def told(self) -> list[dict[str, Any]]:
        """Return their fields, the oldest first."""
        return [{"timestamp": timestamp(wall), **request_fields(line)} for wall, line in list(self._lines)]


def timestamp(wall: float) -> str:
    """Return a moment as lines tell it; later ones sort behind."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
