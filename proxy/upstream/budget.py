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

    def take(self) -> bool:
        """Take one extra call, if there is one."""
        if self.left + _ROUNDING < 1:
            return False
        self.left = max(0.0, self.left - 1)
        return True
