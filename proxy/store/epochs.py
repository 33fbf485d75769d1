"""When entries were last invalidated together: those of a group, of a rule, or all; no entry has to be looked for."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import blake2b

from proxy.core.types import DIGEST_BYTES, Entry

MOST = 10_000
ALL = b""
"""Stands for every rule."""

PURGED = b"p"
"""What a message begins with that tells of a purge."""

_FLOOR = b"f"
_SEVERAL = b"s"
_NEVER = float("-inf")
_MOST_NAME_BYTES = 32


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
        for name in map(_short, names):
            self._at[name] = max(now, self._at.pop(name, now))
        while len(self._at) > self._most:
            _, at = self._at.popitem(last=False)
            self._floor = max(self._floor, at)

    def raise_floor(self, at: float) -> None:
        """Invalidate all that was asked for before `at`, whatever its name."""
        self._floor = max(self._floor, at)

    def last(self, names: Iterable[bytes]) -> float:
        """Return when the last of these names was invalidated; minus infinity for never."""
        if not self._at:
            return self._floor
        return max([self._at.get(_short(name), self._floor) for name in names], default=_NEVER)


def at_of(message: bytes) -> float:
    """Return the moment that a message of a purge tells."""
    return float(message[len(PURGED) + 1 :].partition(b" ")[0])


def floor(at: float) -> bytes:
    """Return the message that all targets before a moment are purged."""
    return PURGED + _FLOOR + b"%r " % at


def _short(name: bytes) -> bytes:
    return name if len(name) <= _MOST_NAME_BYTES else blake2b(name, digest_size=_MOST_NAME_BYTES).digest()


class Purges:
    """What was taken out of the store at once: by rule, group (RFC 9875), target, or all; hard, or soft (stale).

    A clock that goes back brings nothing back: no purge is earlier than the newest entry that was asked about. `tell`
    gets each purge as a message for other processes, and its name.
    """

    def __init__(self) -> None:
        self._rules = {soft: Epochs() for soft in (False, True)}
        self._groups = {soft: Epochs() for soft in (False, True)}
        self._targets = Epochs()
        self._epochs = {
            b"r": self._rules[False], b"R": self._rules[True], b"g": self._groups[False], b"G": self._groups[True],
            b"t": self._targets,
        }  # fmt: skip
        self.tell: Callable[[bytes, str], None] = lambda _message, _name: None
        self._newest = _NEVER
        self._any = False

    def rules(self, names: Iterable[bytes], now: float, *, soft: bool = False) -> None:
        """Purge what is stored under these rules; ALL stands for every one."""
        self._purge(b"R" if soft else b"r", names, now)

    def groups(self, names: Iterable[bytes], now: float, *, soft: bool = False) -> None:
        """Purge what belongs to one of these groups."""
        self._purge(b"G" if soft else b"g", names, now)

    def targets(self, names: Iterable[bytes], now: float) -> None:
        """Purge what was asked for at these targets, keys of DIGEST_BYTES, whoever asked (RFC 9111 §4.4).

        Several are told at once: the parts of one request are many.
        """
        several = [*names]
        if len(several) < 2:
            self._purge(b"t", several, now)
            return
        at, told = max(now, self._newest), b"".join(several)
        self._begin_all(several, at)
        self.tell(PURGED + _SEVERAL + b"%r " % at + told, f"t {_short(told).hex()}")

    def _begin_all(self, targets: Iterable[bytes], at: float) -> None:
        self._any = True
        self._targets.begin(targets, at)

    def _purge(self, kind: bytes, names: Iterable[bytes], now: float) -> None:
        at = max(now, self._newest)
        for name in map(_short, names):
            self._begin(kind, name, at)
            self.tell(PURGED + kind + b"%r " % at + name, f"{kind.decode()} {name.hex()}")

    def _begin(self, kind: bytes, name: bytes, at: float) -> None:
        self._any = True
        self._epochs[kind].begin([name], at)

    def hear(self, message: bytes) -> None:
        """Purge what another process tells."""
        kind, name = message[len(PURGED) : len(PURGED) + 1], message.partition(b" ")[2]
        if kind == _SEVERAL:
            self._begin_all([name[at : at + DIGEST_BYTES] for at in range(0, len(name), DIGEST_BYTES)], at_of(message))
        elif kind == _FLOOR:
            self._any = True
            self._targets.raise_floor(at_of(message))
        else:
            self._begin(kind, name, at_of(message))

    def took(self, rule: str, groups: Iterable[bytes], target: bytes, asked_at: float) -> bool:
        """Tell whether an answer that was asked for at `asked_at` is gone."""
        self.note(asked_at)
        return self._any and asked_at <= self._last(rule, groups, target, soft=False)

    def note(self, asked_at: float) -> None:
        """Take note of an answer that was asked for at `asked_at`: no later purge is earlier than that."""
        self._newest = max(self._newest, asked_at)

    def overtook(self, rule: str, groups: Iterable[bytes], targets: Iterable[bytes], asked_at: float) -> bool:
        """Tell whether an answer that was asked for at `asked_at` is gone, or is stale from the beginning."""
        return self._any and any(
            asked_at <= self._last(rule, groups, target, soft=soft) for target in targets for soft in (False, True)
        )

    def left_of(self, entry: Entry, target: bytes = b"") -> Entry | None:
        """Return what the purges leave of a stored entry: itself, itself no longer fresh, or nothing."""
        if not self._any:
            return entry
        if entry.stored_at <= self._last(entry.rule, entry.groups, target, soft=False):
            return None
        at = self._last(entry.rule, entry.groups, b"", soft=True)
        if entry.stored_at > at:
            return entry
        return replace(entry, ttl=min(entry.ttl, entry.age + at - entry.stored_at))

    def _last(self, rule: str, groups: Iterable[bytes], target: bytes, *, soft: bool) -> float:
        by_target = self._targets.last((target,)) if target else _NEVER
        return max(by_target, self._rules[soft].last((ALL, rule.encode())), self._groups[soft].last(groups))
