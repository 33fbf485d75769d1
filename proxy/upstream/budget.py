"""The extra calls that we add to those of clients: retry, fallback, shadow and verify, together a tenth at most."""

_SHARE = 0.1
_MOST = 10.0
_ROUNDING = 1e-9


class Budget:
    """A bucket of extra calls: each primary call adds a tenth of one, up to ten; it begins full."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = _MOST

    def add(self) -> None:
        """Count one primary call."""
        self.left = min(self.left + _SHARE, _MOST)

    def give_back(self) -> None:
        """Take back an extra call that stood in for one that never arrived."""
        self.left = min(self.left + 1, _MOST)

    def take(self, calls: int = 1) -> bool:
        """Take so many extra calls, if there are any left for them; more than there ever are where it is full."""
        if self.left + _ROUNDING < min(calls, _MOST):
            return False
        self.left -= calls
        return True

    def owe(self, calls: int) -> None:
        """Take so many extra calls in any case: later ones have to wait."""
        self.left -= calls
