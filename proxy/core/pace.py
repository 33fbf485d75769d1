"""How long calls lasted → how long somebody has to wait for a slot."""

_LEAST_WEIGHT = 0.1


def expected_end(began: float, now: float, expected_s: float | None) -> float:
    """Return when an upstream is done with a call that was given up: as expected, or in half as long again."""
    return max(began + (expected_s or 0.0), now + (now - began) / 2)


class Pace:
    """The mean duration of the latest calls, in seconds."""

    __slots__ = ("_n", "mean_s")

    def __init__(self) -> None:
        self._n = 0
        self.mean_s: float | None = None

    def add(self, took_s: float) -> None:
        """Count one call; the first ten weigh the same, later ones a tenth each."""
        self._n += 1
        before = took_s if self.mean_s is None else self.mean_s
        self.mean_s = before + (took_s - before) * max(1 / self._n, _LEAST_WEIGHT)

    def wait_s(self, ahead: int, room: int) -> float | None:
        """Return the expected wait behind `ahead` others where `room` are served at once; None before any call ended.

        Whose turn is next waits half a call on average where one is served at a time.
        """
        return None if self.mean_s is None else self.mean_s * (ahead + 0.5) / room
