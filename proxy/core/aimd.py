"""How a call ended → how many may be in flight: up by one a round while all slots are wanted, down on overload.

Calls last up to minutes, so every call counts: one slot less is the first answer to one refusal, a tenth follows only
while nothing succeeds. Times are seconds of one timer.
"""

from enum import Enum

from proxy.core.fair_queue import Client
from proxy.core.reasons import Reason


class Sign(Enum):
    """What the end of a call says of the upstream."""

    FINE = "fine"
    BUSY = "busy"
    """It answered 503."""
    LIMITED = "limited"
    """It answered 429: this client asks too often, or all do together."""
    SLOW = "slow"
    """It did not answer in time."""
    REFUSED = "refused"
    """It took no connection."""
    RESET = "reset"
    """It ended the connection before it answered."""
    NOTHING = "nothing"
    """The call was given up, or failed in a way that says nothing about load."""


_SIGNS: dict[str, Sign] = {
    Reason.UPSTREAM_TIMEOUT: Sign.SLOW,
    Reason.UPSTREAM_REFUSED: Sign.REFUSED,
    Reason.UPSTREAM_RESET: Sign.RESET,
}
_BUSY = {429: Sign.LIMITED, 503: Sign.BUSY}
_KEPT = {Sign.BUSY: 0.9, Sign.SLOW: 0.7, Sign.REFUSED: 0.7}
"""The share of the limit that an overload sign leaves."""
_MOST_PATIENCE = 16
"""Rounds at the level below one that was refused again and again, before that one is tried once more."""
_LEAST_ROUND_S = 1.0
_ROUNDING = 1e-9


def sign_of(status: int | None, failure: str | None = None) -> Sign:
    """Return what a call's end says: a busy upstream's status, else the word for its failure, else its status."""
    if status in _BUSY:
        return _BUSY[status]
    if failure is not None:
        return _SIGNS.get(failure, Sign.NOTHING)
    return Sign.NOTHING if status is None else Sign.FINE


class ForAll:
    """Tells a 429 that all get from that of one client over a limit of its own."""

    __slots__ = ("_at", "_client", "_other_at")

    def __init__(self) -> None:
        self._client: Client | None = None
        self._at = self._other_at = float("-inf")

    def sign(self, sign: Sign, client: Client, now: float, mean_s: float | None) -> Sign:
        """Return what the end of a client's call says of the upstream for all, where calls last `mean_s`.

        A 429 is for all where another client got one too, no longer ago than a call lasts.
        """
        if sign is not Sign.LIMITED:
            return sign
        if client != self._client:
            self._client, self._other_at = client, self._at
        self._at = now
        return Sign.BUSY if now - self._other_at <= max(mean_s or 0.0, _LEAST_ROUND_S) else Sign.NOTHING


class Aimd:
    """The limit of calls in flight, from 1 to `ceiling`; it begins at the ceiling."""

    __slots__ = ("_ceiling", "_crowded_at", "_doubling", "_fell_at", "_patience", "_streak", "_wall", "limit")

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self.limit = float(ceiling)
        """All that other processes need to know."""
        self._fell_at = self._crowded_at = float("-inf")
        self._streak = 0
        self._wall = 0
        """The room at which the upstream was last overloaded."""
        self._patience = 1
        self._doubling = False

    @property
    def room(self) -> int:
        """Return how many calls may be in flight."""
        return int(self.limit + _ROUNDING)

    def crowded(self, now: float) -> None:
        """Note that somebody wants a slot and there is none: only then more are tried."""
        self._crowded_at = now

    def ended(self, sign: Sign, began: float, now: float) -> bool:
        """Learn from a call that began at `began`; tell whether the limit changed.

        Calls that began before the limit last fell knew another limit: they say nothing.
        """
        before = self.limit
        if began > self._fell_at:
            if sign in _KEPT:
                self._fall(_KEPT[sign], now, gently=sign is Sign.BUSY and self._streak == 0)
            elif sign is Sign.FINE:
                self._streak = 0
                if began <= self._crowded_at:
                    self._rise()
        return self.limit != before

    def _fall(self, kept: float, now: float, *, gently: bool) -> None:
        room = self.room
        self._patience = min(self._patience * 2, _MOST_PATIENCE) if room == self._wall else 1
        self._wall = room
        one_less = room - 1.0
        self.limit = max(1.0, one_less if gently else min(one_less, self.limit * kept))
        self._streak += 1
        self._fell_at = now
        self._doubling = False

    def _rise(self) -> None:
        rounds = self._patience if self.room + 1 == self._wall else 1
        step = 1.0 if self._doubling else 1 / (self.room * rounds)
        self.limit = min(self.limit + step, float(self._ceiling))
        if self.limit >= self._ceiling:
            self._doubling = False
        if self.room > self._wall:
            self._wall, self._patience = 0, 1

    def restart(self, now: float, limit: float = 1.0) -> None:
        """Begin again from `limit`, doubling each round up to the ceiling: the upstream was down."""
        self.limit = min(limit, float(self._ceiling))
        self._wall, self._patience, self._streak = 0, 1, 0
        self._fell_at = now
        self._doubling = True

    def adopt(self, limit: float, now: float) -> None:
        """Take over what another process learnt; calls that began before it fell say nothing here either."""
        told = min(max(limit, 1.0), float(self._ceiling))
        if told < self.limit:
            self._fell_at = now
            self._doubling = False
        self.limit = told
