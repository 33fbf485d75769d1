"""A switch that leaves a failing thing alone for a while, longer each time, then lets one try."""

from proxy.clock import Clock

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


class Breaker:
    """Open while a thing is left alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pause_s = 0.0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Tell whether it is left alone now."""
        return self._clock.timer() < self._until

    @property
    def has_failed(self) -> bool:
        """Tell whether it failed when it was last tried."""
        return self._pause_s > 0

    def failed(self) -> None:
        """Leave it alone from now on, twice as long as the last time."""
        if not self.is_open:  # those that were under way when it opened say nothing new
            self._pause_s = min(self._pause_s * 2 or _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
            self._until = self._clock.timer() + self._pause_s

    def succeeded(self) -> None:
        """Trust it again."""
        self._pause_s = self._until = 0.0
