"""When groups of entries were last invalidated: what was asked for before that is not used again (RFC 9875 §2.2.1)."""

from collections import OrderedDict
from collections.abc import Iterable

MOST = 10_000


class Epochs:
    """The moment of each group's last invalidation, in wall-clock seconds.

    Of more than `most` groups the longest untouched are told together: all that belongs to any group and is older than
    their moment is gone, so that nothing comes back.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._at: OrderedDict[bytes, float] = OrderedDict()
        self._floor = float("-inf")

    def begin(self, groups: Iterable[bytes], now: float) -> None:
        """Invalidate all that belongs to one of these groups and was asked for before `now`."""
        for group in groups:
            self._at[group] = max(now, self._at.pop(group, now))
        while len(self._at) > self._most:
            _, at = self._at.popitem(last=False)
            self._floor = max(self._floor, at)

    def overtook(self, groups: Iterable[bytes], asked_at: float) -> bool:
        """Tell whether one of these groups was invalidated since `asked_at`."""
        return any(asked_at <= self._at.get(group, self._floor) for group in groups)
