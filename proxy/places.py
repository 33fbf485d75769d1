"""Where the answer to a request stands in the store: the way to it, and how it is put there.

key → its entry, or by No-Vary-Search the entry of an equal query → by Vary the variant → of that, whole or a part.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from proxy.clock import Clock
from proxy.core.cache_control import Directives
from proxy.core.freshness import age_of
from proxy.core.key import Scope, key_of, query_of, variant_key
from proxy.core.log_line import LogLine
from proxy.core.no_vary_search import NAME as NO_VARY_SEARCH
from proxy.core.no_vary_search import Variance, variance
from proxy.core.params import params_of
from proxy.core.partial import united
from proxy.core.rules import Rule
from proxy.core.storing import Storing
from proxy.core.types import Entry, Query, Request, joined
from proxy.core.variants import in_language, marker_for, variants, with_variant
from proxy.errors import Fallback
from proxy.store import Store
from proxy.store.epochs import Purges

_HOLDS_UP_OTHERS_BYTES = 2**18
"""A dense JSON body takes up to 0.7 s a MiB to normalize: a larger one is normalized beside the loop."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request on this road: what is asked of the upstream, under which rule, with which of its client's directives.

    `as_sent` is what the client sent where that is another: a QUERY that goes up as a POST.
    """

    request: Request
    rule: Rule
    host: bytes
    directives: Directives
    line: LogLine
    as_sent: Request | None = None

    @property
    def client(self) -> Request:
        """Return what the client sent."""
        return self.as_sent or self.request


@dataclass(frozen=True, slots=True)
class Found:
    """What the look-up gave: the request's key, where its answers stand, the variant that it selects, the entry there.

    `home` is the key, or that of an equal query (No-Vary-Search); `marker` stands there where answers vary. `part` is
    what is stored of the answer where it is not stored whole.
    """

    key: bytes
    query: Query
    home: bytes
    place: bytes
    entry: Entry | None = None
    marker: Entry | None = None
    part: Entry | None = None


class Places:
    """Finds entries and keeps them; a store that fails costs hits, never an answer.

    `kept` is told the rule, key and normal form of what was stored.
    """

    def __init__(
        self,
        store: Store,
        scopes: Mapping[str, Scope],
        clock: Clock,
        failed: Callable[[BaseException, str], None],
        kept: Callable[[str, bytes, Query], None] = lambda *_: None,
    ) -> None:
        self._kept = kept
        self._store = store
        self._scopes = scopes
        self._clock = clock
        self._failed = failed
        self.purges = Purges()

    async def find(self, asked: Asked) -> Found:
        """Look up what is stored for a request. Raises Fallback where it has no certain key."""
        began = self._clock.timer()
        query = await self._query(asked)
        key = key_of(query, self._scopes[asked.rule.name])
        asked.line.key_hash = key.hex()
        made = self._clock.timer()
        asked.line.normalize_s = made - began
        try:
            found = await self._found(key, query, asked)
        except Fallback:
            raise
        except Exception as error:  # noqa: BLE001
            found = Found(key, query, key, key)  # what was found so far may be the marker of a varying answer
            self._failed(error, asked.line.request_id)
        asked.line.lookup_s = self._clock.timer() - made
        return found

    async def _query(self, asked: Asked) -> Query:
        secret = self._scopes[asked.rule.name].secret
        wanted = (asked.request, asked.rule, asked.host, secret, self._clock.wall())
        body = asked.request.body
        if isinstance(body, bytes) and len(body) > _HOLDS_UP_OTHERS_BYTES and asked.rule.normalizers:
            return await asyncio.to_thread(query_of, *wanted)
        return query_of(*wanted)

    async def _found(self, key: bytes, query: Query, asked: Asked) -> Found:
        home, marker = key, None
        entry = await self._entry_at(home, asked)
        if entry is None and (equal := await self._equal_query(query, asked)) is not None:
            home = equal
            entry = await self._entry_at(home, asked)
        place = home
        if entry is not None and entry.vary:
            marker = entry
            place = variant_key(home, marker.vary, asked.request.headers, marker.body)
            entry = await self._entry_at(place, asked)
            if entry is None and (spoken := in_language(marker, asked.request.headers)) is not None:
                entry = await self._entry_at(spoken, asked)
        part = await self._entry_at(_part_of(place), asked) if entry is None and query.method == "GET" else None
        return Found(key, query, home, place, entry, marker, part)

    async def _entry_at(self, place: bytes, asked: Asked) -> Entry | None:
        (entry,) = await self._store.get_many((place,))
        if entry is None or (entry.guessed and b"cookie" in asked.request.fields):
            return None  # a guess for everybody says nothing of somebody
        return self.purges.left_of(entry)

    async def _equal_query(self, query: Query, asked: Asked) -> bytes | None:
        """Return the home of the queries that the origin last said are equal to this one, if it said so."""
        if query.method != "GET":
            return None
        (told,) = await self._store.get_many((self._any_query(query, asked),))
        different = None if told is None else variance(joined(told.headers, NO_VARY_SEARCH))
        return None if different is None else self._home(query, different, asked)

    def _any_query(self, query: Query, asked: Asked) -> bytes:
        """Return the place where it is told which differences between the queries of a path count."""
        fields = (*query.fields, (NO_VARY_SEARCH, b""))
        return key_of(replace(query, query=None, params=None, fields=fields), self._scopes[asked.rule.name])

    def _home(self, query: Query, different: Variance, asked: Asked) -> bytes:
        fields = (*query.fields, (NO_VARY_SEARCH, different.written()))
        params = different.simplified(params_of(query))
        return key_of(replace(query, params=params, fields=fields), self._scopes[asked.rule.name])

    async def keep(self, found: Found, entry: Entry, storing: Storing, asked: Asked, asked_at: float) -> None:
        """Store an entry that was asked for at `asked_at` (wall clock), unless it was overtaken since."""
        if self.purges.took(entry, asked_at):
            return
        home, entries = found.key, {}
        told = joined(entry.headers, NO_VARY_SEARCH)
        if told is not None and found.query.method == "GET" and (different := variance(told)) is not None:
            home = self._home(found.query, different, asked)
            entries[self._any_query(found.query, asked)] = replace(entry, status=0, body=b"", groups=(), tag=b"")
        place, marker = home, found.marker if found.home == home else None
        gone = {found.home} if found.home != home else set()
        if storing.vary:
            before = marker if marker is not None and marker.vary == storing.vary else marker_for(storing.vary, entry)
            place = variant_key(home, storing.vary, asked.request.headers, before.body)
            now_known = with_variant(before, place, entry, self._clock.wall())
            if now_known is None:
                return
            gone |= {one.place for one in variants(before)} - {one.place for one in variants(now_known)}
            entries[home] = now_known
        if entry.status == 206:
            entry = entry if found.part is None else united(found.part, entry)
        entries[_part_of(place) if entry.status == 206 else place] = entry
        await self._guarded(self._store.set_many(entries), asked)
        self._kept(asked.rule.name, home, found.query)
        if gone:
            await self._guarded(self._store.delete(tuple(gone)), asked)

    async def drop(self, found: Found, asked: Asked) -> None:
        """Forget what one request was answered with: its variant, whole or in part."""
        await self._guarded(self._store.delete((found.place, _part_of(found.place))), asked)

    async def forget(self, home: bytes) -> None:
        """Forget all that is stored at a key, whole and in part; the next variant begins a new generation."""
        await self._guarded(self._delete_all(home))

    async def _delete_all(self, home: bytes) -> None:
        await self._store.delete(await self._all_at(home))

    async def soften(self, home: bytes) -> None:
        """End the time of all that is stored at a key: it is stale from now on."""
        now = self._clock.wall()
        places = await self._all_at(home)
        held = zip(places, await self._store.get_many(places), strict=True)
        stale = {place: replace(one, ttl=min(one.ttl, age_of(one, now))) for place, one in held if one is not None}
        await self._store.set_many(stale)

    async def _all_at(self, home: bytes) -> tuple[bytes, ...]:
        (entry,) = await self._store.get_many((home,))
        places = (home, *[one.place for one in variants(entry)]) if entry is not None and entry.vary else (home,)
        return (*places, *map(_part_of, places))

    async def holds(self, key: bytes) -> bool:
        """Tell whether anything is stored at a key."""
        (entry,) = await self._store.get_many((key,))
        return entry is not None and self.purges.left_of(entry) is not None

    async def _guarded(self, act: Awaitable[None], asked: Asked | None = None) -> None:
        try:
            await act
        except Exception as error:  # noqa: BLE001
            self._failed(error, "" if asked is None else asked.line.request_id)


def _part_of(place: bytes) -> bytes:
    return variant_key(place, (), (), b"part")
