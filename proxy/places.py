"""Where the answer to a request stands in the store: the way to it, and how it is put there.

key → its entry, or by No-Vary-Search the entry of an equal query → by Vary the variant → of that, whole or a part.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.freshness import softened
from proxy.core.key import Scope, key_of, variant_key
from proxy.core.no_vary_search import NAME as NO_VARY_SEARCH
from proxy.core.no_vary_search import Variance, variance
from proxy.core.params import params_of
from proxy.core.partial import united
from proxy.core.storing import Storing
from proxy.core.types import Entry, Headers, Query, joined
from proxy.core.variants import marker_for, variants, with_variant
from proxy.errors import Fallback
from proxy.normal_forms import Form, NormalForms
from proxy.rollouts import Rollouts
from proxy.store import Store
from proxy.store.epochs import Purges


@dataclass(frozen=True, slots=True)
class Found:
    """What the look-up gave: the request's key, where its answers stand, the variant that it selects, the entry there.

    `home` is the key, or that of an equal query (No-Vary-Search); `marker` stands there where answers vary. `part` is
    what is stored of the answer where it is not stored whole. `bare` is the key that it has whoever asks, however it is
    spelled: entries are purged by that.
    """

    key: bytes
    query: Query
    home: bytes
    place: bytes
    bare: bytes
    entry: Entry | None = None
    marker: Entry | None = None
    part: Entry | None = None


class Places:
    """Finds entries and keeps them; a store that fails costs hits, never an answer.

    Keys are normalized as far as that is rolled out. `kept` is told the rule, key and normal form of what was stored.
    """

    def __init__(
        self,
        store: Store,
        scopes: Mapping[str, Scope],
        rollouts: Rollouts,
        clock: Clock,
        failed: Callable[[BaseException, str], None],
        kept: Callable[[str, bytes, Query], None] = lambda *_: None,
    ) -> None:
        self._kept = kept
        self._store = store
        self._scopes = scopes
        self._forms = NormalForms(scopes, rollouts, clock)
        self._clock = clock
        self._failed = failed
        self.purges = Purges()
        self._any_equal = False
        self._writing: dict[bytes, tuple[asyncio.Lock, int]] = {}

    async def find(self, asked: Asked) -> Found:
        """Look up what is stored for a request. Raises Fallback where it has no certain key."""
        began = self._clock.timer()
        form = await self._forms(asked)
        asked.line.key_hash, asked.line.unit = form.key.hex(), form.bare
        made = self._clock.timer()
        asked.line.normalize_s = made - began
        try:
            found = await self._found(form, asked)
        except Fallback:
            raise
        except Exception as error:  # noqa: BLE001
            # what was found so far may be the marker of a varying answer
            found = Found(form.key, form.query, form.key, form.key, form.bare)
            self._failed(error, asked.line.request_id)
        asked.line.lookup_s = self._clock.timer() - made
        return found

    async def keys(self, asked: Asked) -> tuple[bytes, bytes]:
        """Return the key of a request, and the one that it has whoever asks (see `bare`).

        Raises Fallback where it has no certain one.
        """
        form = await self._forms.of_frame(asked)
        return form.key, form.bare

    async def _found(self, form: Form, asked: Asked) -> Found:
        key, query, target = form.key, form.query, form.bare
        home, marker = key, None
        entry = await self._entry_at(home, asked, target)
        if entry is None or self._any_equal:
            equal = await self._equal_query(query, asked)
            other = None if equal is None else await self._entry_at(equal, asked, target)
            if equal is not None and _is_newer(other, entry):
                home, entry = equal, other
        place = home
        if entry is not None and entry.vary:
            marker = entry
            place = variant_key(home, marker.vary, asked.request.headers, marker.body)
            entry = await self._entry_at(place, asked, target)
        part = await self._entry_at(_part_of(place), asked, target) if entry is None and query.method == "GET" else None
        return Found(key, query, home, place, target, entry, marker, part)

    async def _entry_at(self, place: bytes, asked: Asked, target: bytes) -> Entry | None:
        (entry,) = await self._store.get_many((place,))
        if entry is None or (entry.guessed and asked.is_somebody):
            return None  # a guess for everybody says nothing of somebody
        return self.purges.left_of(entry, target)

    async def _equal_query(self, query: Query, asked: Asked) -> bytes | None:
        """Return the home of the queries that the origin last said are equal to this one, if it said so."""
        if query.method != "GET":
            return None
        (told,) = await self._store.get_many((self._any_query(query, asked),))
        different = None if told is None else variance(joined(told.headers, NO_VARY_SEARCH))
        return None if different is None else self._home(query, different, asked)

    def home_of(self, key: bytes, query: Query, headers: Headers, asked: Asked) -> bytes:
        """Return where an answer with these fields stands: at its key, or where equal queries do."""
        told = joined(headers, NO_VARY_SEARCH)
        different = None if told is None or query.method != "GET" else variance(told)
        return key if different is None else self._home(query, different, asked)

    def _any_query(self, query: Query, asked: Asked) -> bytes:
        """Return the place where it is told which differences between the queries of a path count."""
        fields = (*query.fields, (NO_VARY_SEARCH, b""))
        return key_of(replace(query, query=None, params=None, fields=fields), self._scopes[asked.rule.name])

    def _home(self, query: Query, different: Variance, asked: Asked) -> bytes:
        fields = (*query.fields, (NO_VARY_SEARCH, different.written()))
        params = different.simplified(params_of(query))
        return key_of(replace(query, params=params, fields=fields), self._scopes[asked.rule.name])

    async def keep(self, found: Found, entry: Entry, storing: Storing, asked: Asked, asked_at: float) -> bool:
        """Store an entry that was asked for at `asked_at` (wall clock), unless it was overtaken; tell whether it is."""
        if self.purges.took(entry.rule, entry.groups, found.bare, asked_at):
            return False
        try:
            home = self.home_of(found.key, found.query, entry.headers, asked)
            async with self._one_at_a_time(home):
                return await self._put(home, found, entry, storing, asked)
        except Fallback:
            return False  # too many parameters for a query that others may equal
        except Exception as error:  # noqa: BLE001
            self._failed(error, asked.line.request_id)
            return False

    async def _put(self, home: bytes, found: Found, entry: Entry, storing: Storing, asked: Asked) -> bool:
        entries, gone, place = {}, set(), home
        if home != found.key:
            self._any_equal = True
            entries[self._any_query(found.query, asked)] = replace(entry, status=0, body=b"", groups=(), tag=b"")
        varied = storing.vary or found.marker is not None
        here = await self._marker_at(home, found) if varied else None
        # an answer that says nothing of Vary is one of the variants that others told of (RFC 9111 §4.1)
        if vary := storing.vary or (() if here is None else here.vary):
            marker = here if here is not None and here.vary == vary else marker_for(vary, entry)
            place = variant_key(home, vary, asked.request.headers, marker.body)
            known = with_variant(marker, place, entry, self._clock.wall())
            if known is None:
                return False
            gone |= {one.place for one in variants(marker)} - {one.place for one in variants(known)}
            entries[home] = known
        if entry.status == 206:
            entry = entry if found.part is None else united(found.part, entry, asked.rule.max_object)
        if entry.status == 206:
            entries[_part_of(place)] = entry
        else:
            entries[place] = entry
            gone |= set() if found.part is None else {_part_of(place)}
        await self._store.set_many(entries)
        if gone:
            await self._store.delete(tuple(gone))
        self._kept(asked.rule.name, home, found.query)
        return True

    async def _marker_at(self, home: bytes, found: Found) -> Entry | None:
        """Return the marker that stands there now: another variant may have come since the look-up, or a purge."""
        (here,) = await self._store.get_many((home,))
        return None if here is None else self.purges.left_of(here, found.bare)

    @asynccontextmanager
    async def _one_at_a_time(self, home: bytes) -> AsyncIterator[None]:
        """Let nobody else write what stands at `home` meanwhile."""
        lock, waiting = self._writing.get(home, (asyncio.Lock(), 0))
        self._writing[home] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._writing.pop(home)
            if waiting > 1:
                self._writing[home] = (lock, waiting - 1)

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
        stale = {place: softened(one, now) for place, one in held if one is not None}
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


def _is_newer(other: Entry | None, entry: Entry | None) -> bool:
    return entry is None or (other is not None and other.stored_at > entry.stored_at)


def _part_of(place: bytes) -> bytes:
    return variant_key(place, (), (), b"part")
