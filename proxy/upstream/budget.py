"""The extra calls that we add to those of clients: retry, fallback, shadow and verify, together a tenth at most."""

_SHARE = 0.1
_MOST = 10.0
_RESERVED = 2.0
_ROUNDING = 1e-9


class Budget:
    """A bucket of extra calls: each primary call adds a tenth of one, up to ten; it begins full.

    Beside it a small one is `reserved` for those that a client waits for: they must not fail because others compared.
    """

    __slots__ = ("left", "reserved")

    def __init__(self) -> None:
        self.left = _MOST
        self.reserved = _RESERVED

    def add(self) -> None:
        """Count one primary call."""
        if self.reserved < _RESERVED:
            self.reserved = min(self.reserved + _SHARE, _RESERVED)
        else:
            self.left = min(self.left + _SHARE, _MOST)

    def give_back(self) -> None:
        """Take back an extra call that stood in for one that never arrived."""
        self.left = min(self.left + 1, _MOST)

    def take(self, calls: int = 1, *, keep: int = 0) -> bool:
        """Take so many extra calls, if there are any left for them; more than there ever are where it is full.

        So many others are to be left then, where there ever are.
        """
        if self.left + _ROUNDING < min(calls + keep, _MOST):
            return False
        self.left -= calls
        return True

    def take_for_client(self) -> bool:
        """Take one extra call for an answer that a client waits for; a reserved one, where calls are owed."""
        if self.take():
            return True
        if self.left >= 0 or self.reserved + _ROUNDING < 1:
            return False
        self.reserved -= 1
        return True

    def owe(self, calls: int) -> None:
        """Take so many extra calls in any case: later ones have to wait."""
        self.left -= calls
