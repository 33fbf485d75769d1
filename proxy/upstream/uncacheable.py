"""Which keys lately had answers that were for nobody else: who asks for those waits for nobody (RFC 9111 §4)."""

from collections import OrderedDict


class Uncacheable:
    """The keys whose answers were lately for nobody else: who asks for those waits for nobody (RFC 9111 §4)."""

    def __init__(self, most: int = 10_000, lasts_s: float = 120.0) -> None:
        self._most = most
        self._lasts = lasts_s
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def note(self, key: bytes, now: float, *, shared: bool) -> None:
        """Remember how an answer turned out."""
        self._until.pop(key, None)
        if not shared:
            self._until[key] = now + self._lasts
            if len(self._until) > self._most:
                self._until.popitem(last=False)

    def holds(self, key: bytes, now: float) -> bool:
        """Tell whether the answer for `key` was lately for nobody else."""
        return self._until.get(key, now) > now
