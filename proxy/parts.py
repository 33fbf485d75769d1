"""Where the parts of composite answers stand in the store, each with its own lifetime, and the frame around them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from proxy.clock import Clock
from proxy.core.composite import Cut, Frame, Share, united
from proxy.core.freshness import Act, judge
from proxy.core.part_key import around_key, part_keys
from proxy.core.reasons import Reason
from proxy.core.splitting import Splitting
from proxy.core.types import Entry, Request
from proxy.errors import Fallback
from proxy.places import Asked, Places
from proxy.store import Store

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
    """The keys of a request's parts, in their order, and of the frame of its answers."""

    around: bytes
    parts: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Held:
    """One part's share of an answer, or the frame of one: what was stored, or came just now."""

    entry: Entry
    share: Share | Frame


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored: fresh shares by key, stale ones, and the frame if it is known."""

    fresh: Mapping[bytes, Held]
    stale: Mapping[bytes, Held]
    frame: Held | None


class Parts:
    """Finds parts and keeps them; a store that fails costs hits, never an answer."""

    def __init__(
        self, store: Store, places: Places, clock: Clock, failed: Callable[[BaseException, str], None]
    ) -> None:
        self._store = store
        self._places = places
        self._clock = clock
        self._failed = failed

    async def keys(self, asked: Asked, cut: Cut, splitting: Splitting) -> Keys:
        """Return the keys of a request's parts. Raises Fallback where its frame has no certain key."""
        frame = await self._places.key(replace(asked, request=cut.frame))
        return Keys(around_key(frame, splitting.signature), part_keys(frame, splitting.signature, cut.parts))

    async def known(self, keys: Keys, asked: Asked) -> Known:
        """Look up all parts at once. Raises Fallback where they are not for this request."""
        wanted = (keys.around, *dict.fromkeys(keys.parts))
        try:
            found = await self._store.get_many(wanted)
        except Exception as error:  # noqa: BLE001
            self._failed(error, asked.line.request_id)
            found = [None] * len(wanted)
        now = self._clock.wall()
        fresh, stale, frame = {}, {}, None
        for key, stored in zip(wanted, found, strict=True):
            entry = None if stored is None else self._places.purges.left_of(stored)
            held = None if entry is None else _read(entry, Frame if key == keys.around else Share)
            if held is None:
                continue
            if not is_for(held.entry.vary, asked.request):
                raise Fallback(Reason.VARY)
            if key == keys.around:
                frame = held
            elif judge(held.entry, now, asked.directives).act is Act.DELIVER:
                fresh[key] = held
            else:
                stale[key] = held
        return Known(fresh, stale, frame)

    def overtaken(self, rule: str, asked_at: float) -> bool:
        """Tell whether all of a rule was purged since something was asked for: who comes now must not get that."""
        return self._places.purges.took(rule, (), b"", asked_at)

    async def keep(self, entries: Mapping[bytes, Entry], around: bytes, asked: Asked, asked_at: float) -> None:
        """Store what may be stored, unless it was overtaken since it was asked for; the frame's key is `around`."""
        purges = self._places.purges
        kept = {key: one for key, one in entries.items() if not purges.took(one.rule, one.groups, b"", asked_at)}
        try:
            if around in kept:
                kept[around] = await self._with_known(around, kept[around])
            await self._store.set_many(kept)
        except Exception as error:  # noqa: BLE001
            self._failed(error, asked.line.request_id)

    async def _with_known(self, around: bytes, entry: Entry) -> Entry:
        """Return a frame that shows what the stored one shows as well: an answer to one part shows no separator."""
        frame = Frame.unpacked(entry.body)
        if frame.shows_between:
            return entry
        stored = (await self._store.get_many([around]))[0]
        held = None if stored is None else _read(stored, Frame)
        if held is None or not isinstance(held.share, Frame):
            return entry
        try:
            return replace(entry, body=united([frame, held.share]).packed())
        except Fallback:
            return entry  # the service writes its answers in another way now

    async def drop(self, keys: Keys) -> None:
        """Forget the parts of a request; raises what a broken store raises."""
        await self._store.delete((keys.around, *keys.parts))


def _read(entry: Entry, kind: type[Share] | type[Frame]) -> Held | None:
    try:
        return Held(entry, kind.unpacked(entry.body))
    except ValueError:
        return None  # not written by this release
