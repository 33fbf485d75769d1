"""Where the parts of composite answers stand in the store, each with its own lifetime, and the frame around them."""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.composite import Cut, Frame, Share, pack, united
from proxy.core.freshness import judge, softened
from proxy.core.part_key import around_key, part_keys
from proxy.core.reasons import Reason
from proxy.core.splitting import Splitting
from proxy.core.types import Entry, Outcome, Request
from proxy.errors import Fallback
from proxy.origins import Origins
from proxy.places import Places
from proxy.rollouts import Rollouts
from proxy.store import Store
from proxy.store.epochs import Epochs

_MARK_BYTES, _MOMENT = 8, struct.Struct(">d")
_ANYBODYS = frozenset({b"accept-encoding"})
"""What an answer may vary by that is asked for as we ask."""
_SOMEBODYS = frozenset({b"cookie", b"authorization"})


def is_for(vary: Iterable[bytes], request: Request) -> bool:
    """Tell whether parts that vary by these fields are for a request: for all that have none of them."""
    return all(name in _ANYBODYS or (name != b"*" and name not in request.fields) for name in vary)


def told_apart(key: bytes, request: Request) -> bytes:
    """Return the key of what is known of a fetch, apart for those who say who they are: most answers vary by that."""
    return key if _SOMEBODYS.isdisjoint(request.fields) else key + b"\1"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a request's parts, in their order, and of the frame of its answers.

    `targets` are what these are purged by, whoever asks, where that is another key.
    """

    around: bytes
    parts: Sequence[bytes]
    targets: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def all(self) -> tuple[bytes, ...]:
        """Return all, each once."""
        return (self.around, *dict.fromkeys(self.parts))

    def kind(self, key: bytes) -> type[Share] | type[Frame]:
        """Return what stands at one of these keys."""
        return Frame if key == self.around else Share

    def target(self, key: bytes) -> bytes:
        """Return what the entry with one of these keys is purged by."""
        return self.targets.get(key, key)


@dataclass(frozen=True, slots=True)
class Held:
    """One part's share of an answer, or the frame of one: what was stored, or came just now.

    `mark` tells which frame it came in, `asked_at` when it was asked for (wall clock).
    """

    entry: Entry
    share: Share | Frame
    mark: bytes = b""
    asked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored: fresh shares by key, stale ones, and the frame if it is known."""

    fresh: Mapping[bytes, Held]
    stale: Mapping[bytes, Held]
    frame: Held | None


class Parts:
    """Finds parts and keeps them; a store that fails costs hits, never an answer."""

    def __init__(
        self,
        store: Store,
        places: Places,
        rollouts: Rollouts,
        origins: Origins,
        clock: Clock,
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._store = store
        self._places = places
        self._rollouts = rollouts
        self._origins = origins
        self._clock = clock
        self._failed = failed
        self._softened = Epochs()
        """When parts were last made stale one by one: what is under way is older than that."""

    async def keys(self, asked: Asked, cut: Cut, splitting: Splitting) -> Keys:
        """Return the keys of a request's parts. Raises Fallback where its frame has no certain key."""
        frame, bare = await self._places.keys(replace(asked, request=cut.frame))
        signature = splitting.signed(self._rollouts.generation(asked.rule.name))
        keys = Keys(around_key(frame, signature), part_keys(frame, signature, cut.parts))
        if bare == frame:
            return keys
        targets = (around_key(bare, signature), *part_keys(bare, signature, cut.parts))
        return replace(keys, targets=dict(zip((keys.around, *keys.parts), targets, strict=True)))

    async def known(self, keys: Keys, asked: Asked) -> Known:
        """Look up all parts at once. Raises Fallback where they are not for this request."""
        wanted = keys.all
        try:
            found = await self._store.get_many(wanted)
        except Exception as error:  # noqa: BLE001
            self._failed(error, asked.line.request_id)
            found = [None] * len(wanted)
        now = self._clock.wall()
        fresh, stale, frame = {}, {}, None
        for key, stored in zip(wanted, found, strict=True):
            entry = None if stored is None else self._places.purges.left_of(stored, keys.target(key))
            held = None if entry is None else _read(entry, keys.kind(key))
            if held is None:
                continue
            if not is_for(held.entry.vary, asked.request):
                raise Fallback(Reason.VARY)
            if key == keys.around:
                frame = held
            elif frame is not None and held.mark != frame.mark:
                continue  # what else its answer said is not said any more: it is of another generation
            elif judge(held.entry, now, asked.directives).outcome is Outcome.HIT:
                fresh[key] = held
            else:
                stale[key] = held
        return Known(fresh, stale, frame)

    def lasts(self, key: bytes, held: Held, keys: Keys, asked: Asked) -> bool:
        """Tell whether what was known is still fresh, and was not purged meanwhile."""
        entry = self._places.purges.left_of(held.entry, keys.target(key))
        return entry is not None and judge(entry, self._clock.wall(), asked.directives).outcome is Outcome.HIT

    async def keep(self, entries: Mapping[bytes, Entry], keys: Keys, asked: Asked, asked_at: float) -> bool:
        """Store what may be stored, unless it was overtaken since it was asked for; tell whether all of it is."""
        self._places.purges.note(asked_at)
        kept = {
            key: one
            for key, one in entries.items()
            if not self.overtook(keys.target(key), one.rule, one.groups, asked_at)
        }
        try:
            stored = dict(zip(kept, await self._store.get_many(tuple(kept)), strict=True))
            newer = {key: _newer(one, stored[key], keys.kind(key)) for key, one in kept.items()}
            kept = {key: one for key, one in newer.items() if one is not None}
            await self._store.set_many(kept)
            for key in kept:
                self._origins.note(key, asked)
        except Exception as error:  # noqa: BLE001
            self._failed(error, asked.line.request_id)
            return False
        return len(kept) == len(entries)

    def overtook(self, target: bytes, rule: str, groups: Iterable[bytes], asked_at: float) -> bool:
        """Tell whether a part that was asked for at `asked_at` (wall clock) was purged since, hard or soft."""
        overtook = self._places.purges.overtook(rule, groups, (target,), asked_at)
        return overtook or asked_at <= self._softened.last((target,))

    async def forget(self, asked: Asked, *, soft: bool = False) -> bool:
        """Forget the parts of a request, whoever asks for them, or make its own stale; tell whether any was stored.

        Where it has none with certainty, none was ever stored. Raises what a broken store raises.
        """
        splitting = asked.rule.splitting
        try:
            cut = None if splitting is None else splitting.named(asked.request)
            keys = None if splitting is None or cut is None else await self.keys(asked, cut, splitting)
        except Fallback:
            return False
        if keys is None:
            return False
        now, targets = self._clock.wall(), [keys.target(key) for key in keys.all]
        found = dict(zip(keys.all, await self._store.get_many(keys.all), strict=True))
        left = {
            key: self._places.purges.left_of(one, keys.target(key)) for key, one in found.items() if one is not None
        }
        held = {key: one for key, one in left.items() if one is not None}
        if soft:
            self._softened.begin(targets, now)
            await self._store.set_many({key: softened(one, now) for key, one in held.items()})
        else:
            self._places.purges.targets(targets, now)
            await self._store.delete(keys.all)
        return bool(held)


def mark_of(frame: Frame) -> bytes:
    """Return what tells frames apart that cannot stand around the same items."""
    return blake2b(pack([*frame.pieces, *[hole.encode() for hole in frame.holes]]), digest_size=_MARK_BYTES).digest()


def sealed(what: Share | Frame, mark: bytes, asked_at: float) -> bytes:
    """Return a part or a frame as bytes to store, with the mark of its frame and when it was asked for."""
    return mark + _MOMENT.pack(asked_at) + what.packed()


def _read(entry: Entry, kind: type[Share] | type[Frame]) -> Held | None:
    try:
        mark, (asked_at,) = entry.body[:_MARK_BYTES], _MOMENT.unpack_from(entry.body, _MARK_BYTES)
        return Held(entry, kind.unpacked(entry.body[_MARK_BYTES + _MOMENT.size :]), mark, asked_at)
    except (ValueError, struct.error):
        return None  # not written by this release


def _newer(entry: Entry, stored: Entry | None, kind: type[Share] | type[Frame]) -> Entry | None:
    """Return what is to be stored of an entry, None where what is stored was asked for later.

    Of frames with one mark, what both show: an answer to one part shows no separator.
    """
    came, held = _read(entry, kind), None if stored is None else _read(stored, kind)
    if came is None or held is None:
        return entry
    if isinstance(came.share, Frame) and isinstance(held.share, Frame) and came.mark == held.mark:
        try:
            both = united([came.share, held.share])
        except Fallback:
            return entry  # the service writes its answers in another way now
        return replace(entry, body=sealed(both, came.mark, max(came.asked_at, held.asked_at)))
    return entry if came.asked_at >= held.asked_at else None
