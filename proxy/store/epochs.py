"""When entries were last invalidated together: those of a group, of a rule, or all; no entry has to be looked for."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from proxy.core.types import Entry

MOST = 10_000
ALL = b""
"""Stands for every rule."""

_NEVER = float("-inf")


class Epochs:
    """The moment of each name's last invalidation, in wall-clock seconds.

    Of more than `most` names the longest untouched are told together: all that is older than their moment is gone,
    whatever its name, so that nothing comes back.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._at: OrderedDict[bytes, float] = OrderedDict()
        self._floor = _NEVER

    def begin(self, names: Iterable[bytes], now: float) -> None:
        """Invalidate all that has one of these names and was asked for before `now`."""
        for name in names:
            self._at[name] = max(now, self._at.pop(name, now))
        while len(self._at) > self._most:
            _, at = self._at.popitem(last=False)
            self._floor = max(self._floor, at)

    def last(self, names: Iterable[bytes]) -> float:
        """Return when the last of these names was invalidated; minus infinity for never."""
        return max([self._at.get(name, self._floor) for name in names], default=_NEVER)


class Purges:
    """What was taken out of the store at once: by group (RFC 9875), by rule, or all of it; hard, or soft (stale)."""

    def __init__(self) -> None:
        self._rules = {soft: Epochs() for soft in (False, True)}
        self._groups = {soft: Epochs() for soft in (False, True)}
        self._any = False

    def rules(self, names: Iterable[bytes], now: float, *, soft: bool = False) -> None:
        """Purge what is stored under these rules; ALL stands for every one."""
        self._any = True
        self._rules[soft].begin(names, now)

    def groups(self, names: Iterable[bytes], now: float, *, soft: bool = False) -> None:
        """Purge what belongs to one of these groups."""
        self._any = True
        self._groups[soft].begin(names, now)

    def took(self, entry: Entry, asked_at: float) -> bool:
        """Tell whether an entry like this that was asked for at `asked_at` is gone."""
        return self._any and asked_at <= self._last(entry, soft=False)

    def left_of(self, entry: Entry) -> Entry | None:
        """Return what the purges leave of a stored entry: itself, itself no longer fresh, or nothing."""
        if not self._any:
            return entry
        if self.took(entry, entry.stored_at):
            return None
        at = self._last(entry, soft=True)
        if entry.stored_at > at:
            return entry
        return replace(entry, ttl=min(entry.ttl, entry.age + at - entry.stored_at))

    def _last(self, entry: Entry, *, soft: bool) -> float:
        by_rule = self._rules[soft].last((ALL, entry.rule.encode()))
        return max(by_rule, self._groups[soft].last(entry.groups))
