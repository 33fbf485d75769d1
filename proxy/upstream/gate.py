"""The gate before an upstream that takes no connections: shut, nobody waits for another failure; one at a time tries it.

A request that is reset or not answered in time may be the only one that fares so: it shuts nothing. Times are seconds of one timer.
"""

from enum import Enum

from proxy.core.aimd import Sign
from proxy.errors import UpstreamError

_ENOUGH = 5
"""So many failures in a row shut the gate."""
_APART_S = 0.1
"""Calls that began together and failed together are one failure: a single blip."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 10.0
_OUTLIVED = 2.0
_LEAST_TRIAL_S = 1.0

_UP = frozenset({Sign.FINE, Sign.BUSY, Sign.LIMITED})


class Way(Enum):
    """Where the gate lets a call go."""

    THROUGH = "through"
    PROBE = "probe"
    """Through, and its end decides for all: whoever gets this has to tell it, whatever happens."""
    SHUT = "shut"


class Turned(Enum):
    """What became of the gate."""

    SHUT = "shut"
    OPENED = "opened"


class Gate:
    """Decides whether an upstream is asked at all."""

    def __init__(self) -> None:
        self.is_shut = False
        self._failures = 0
        self._last_began = self._last_ended = self._opened_at = self._shut_at = float("-inf")
        self._longest_s = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._until = 0.0
        self._probing = False
        self._probe_began: float | None = None
        self._error = UpstreamError("the upstream is down")

    def way(self, now: float) -> Way:
        """Return the way of a call that would begin now."""
        if not self.is_shut:
            return Way.THROUGH
        if self._probing or now < self._until:
            return Way.SHUT
        self._probing = True
        return Way.PROBE

    def probe_begins(self, now: float) -> None:
        """Note that the probe has waited for its slot, and goes upstream."""
        if self.is_shut:
            self._probe_began = now

    def outlived(self, now: float) -> bool:
        """Open the gate where a probe lasts much longer than failures took; tell whether it did.

        An upstream that needs a minute for an answer is not down all that time.
        """
        began, patience = self._probe_began, max(self._longest_s * _OUTLIVED, _LEAST_TRIAL_S)
        if began is None or now - began <= patience:
            return False
        self.open(now)
        return True

    def ended(
        self, sign: Sign, began: float, now: float, error: UpstreamError | None = None, *, probe: bool = False
    ) -> Turned | None:
        """Learn from a call that ended, or was answered; return what that made of the gate."""
        if self.is_shut:
            is_of_now = probe and began > self._shut_at
            if sign in _UP:
                self.open(now)
                return Turned.OPENED
            return self._tried(sign, began, now, error) if is_of_now else None
        if sign in _UP:
            self._failures, self._longest_s = 0, 0.0
        elif sign is Sign.REFUSED and began > self._opened_at:
            self._failed(began, now, error)
            if self._failures >= _ENOUGH:
                self.is_shut, self._shut_at, self._until = True, now, now + self._pause_s
                return Turned.SHUT
        return None

    def _failed(self, began: float, now: float, error: UpstreamError | None) -> None:
        self._error = error or self._error
        self._longest_s = max(self._longest_s, now - began)
        if began > self._last_ended or began - self._last_began >= _APART_S:
            self._failures += 1
            self._last_began, self._last_ended = began, now

    def _tried(self, sign: Sign, began: float, now: float, error: UpstreamError | None) -> Turned | None:
        self._probing, self._probe_began = False, None
        if sign in {Sign.RESET, Sign.SLOW}:  # it took the connection
            self.open(now)
            return Turned.OPENED
        if sign is Sign.REFUSED:
            self._error = error or self._error
            self._longest_s = max(self._longest_s, now - began)
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
            self._until = now + self._pause_s
        return None

    def open(self, now: float) -> None:
        """Let all through again; calls that began before say nothing any more."""
        self.is_shut, self._failures, self._longest_s = False, 0, 0.0
        self._probing, self._probe_began = False, None
        self._pause_s, self._opened_at = _FIRST_PAUSE_S, now

    def refusal(self, now: float) -> UpstreamError:
        """Return the last failure for one who is not let through, with the seconds until the next trial."""
        told = type(self._error)(*self._error.args)
        told.retry_after_s = max(1.0, self._until - now)
        return told
