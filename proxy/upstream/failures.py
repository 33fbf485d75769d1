"""What failed a moment ago: who asks again at once is told so, instead of beginning another slow failure each."""

from collections import OrderedDict

from proxy.errors import UpstreamError

_LEAST_COST_S = 5.0
"""What fails sooner costs the upstream little: it is asked again at once."""
_SHORTEST_S, _LONGEST_S = 1.0, 5.0
_MOST = 10_000


class Failures:
    """The keys whose fetch failed slowly, for a twentieth of what it took, one second to five."""

    def __init__(self) -> None:
        self._failed: OrderedDict[bytes, tuple[float, type[UpstreamError], tuple[object, ...]]] = OrderedDict()

    def note(self, key: bytes, error: UpstreamError, took_s: float, now: float) -> None:
        """Remember that a fetch failed after `took_s`."""
        if took_s <= _LEAST_COST_S:
            return
        self._failed.pop(key, None)
        # the error itself holds on to all that was at hand when it was raised
        self._failed[key] = (now + min(max(took_s / 20, _SHORTEST_S), _LONGEST_S), type(error), error.args)
        while len(self._failed) > _MOST or next(iter(self._failed.values()))[0] <= now:
            self._failed.popitem(last=False)

    def lately(self, key: bytes, now: float) -> UpstreamError | None:
        """Return anew what the last fetch for `key` failed with, if that was a moment ago."""
        known = self._failed.get(key)
        if known is None:
            return None
        until, kind, told = known
        if now < until:
            return kind(*told)
        del self._failed[key]
        return None
