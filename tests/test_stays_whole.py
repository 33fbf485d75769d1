"""What many requests, odd ones and broken answers must not wear out: memory, limits, refreshing, sharing, bytes."""

import asyncio
import gc
import weakref
from collections.abc import Sequence

import pytest
from fakes import Body, Held, held_by
from race import FRESH, OWN, SHORT, Race, said
from world import rule

from proxy import accelerate
from proxy.core.rules import default_rule
from proxy.core.types import Entry, Request
from proxy.store.epochs import Epochs
from proxy.store.memory import Memory
from proxy.upstream.collapse import Flight

ALL = said("for all", cache_control=FRESH)


@pytest.fixture
def flights(monkeypatch: pytest.MonkeyPatch) -> weakref.WeakSet[Flight]:
    """Return the flights that something still holds."""
    alive: weakref.WeakSet[Flight] = weakref.WeakSet()

    def kept(*args, **more) -> Flight:
        flight = Flight(*args, **more)
        alive.add(flight)
        return flight

    monkeypatch.setattr(accelerate, "Flight", kept)
    return alive


async def test_flights_that_overlapped_held_each_other_without_end(flights) -> None:
    """Of a page that is never kept each request began before the one before it had ended."""
    race = Race()
    before = await race.begins(said("mine", cache_control="private"))
    for _ in range(20):
        flying = await race.begins(said("mine", cache_control="private"), cache_control="no-cache")
        await before.ends()
        before = flying
    gc.collect()
    assert len(flights) <= 2
    last = await race.begins(ALL, cache_control="no-cache")
    await before.ends()
    assert (await last.ends()).complete
    assert (race.here.log.failures, len(race.here.flights)) == ([], 0)


async def test_an_unsafe_request_in_the_turn_of_a_stale_answer_ended_refreshing_for_good() -> None:
    """A refresh that was overtaken before its first step never said that it was over."""
    race = Race()
    graceful = {"cache_control": "max-age=10, stale-while-revalidate=1000"}
    for target in ("/a", "/b"):
        await race.gets(said("old", **graceful), to=target)
    race.clock.advance(20)
    changes = await race.begins(said("", 204), method="PUT", body=b"new")
    reads = race.here.start(Request("GET", b"/a", ((b"host", b"site.test"),)))
    await changes.ends()
    await reads
    await race.here.landed()
    assert (await race.gets(said("new", **graceful), to="/b")).body == b"old"
    await race.here.landed()
    assert (await race.gets(to="/b")).body == b"new"


AMPERSANDS = "/a?" + "&" * 10_000
EQUAL = {"cache_control": FRESH, "no_vary_search": 'params=("x")', "content_length": 5}


@pytest.mark.parametrize("asks", [{}, {"method": "POST", "body": b"q"}], ids=["GET", "POST"])
async def test_ten_thousand_parameters_and_a_no_vary_search_cut_the_answer(asks) -> None:
    """What has no certain key among equal queries is not kept, and whole all the same."""
    race = Race(rules=(OWN, default_rule()))
    told = said(Body(b"he", b"llo"), **EQUAL, **({"content_location": AMPERSANDS} if asks else {}))
    got = await race.gets(told, to=AMPERSANDS, **asks)
    assert (got.body, got.complete, got.was_cut) == (b"hello", True, False)
    assert race.here.log.failures == []


def variant(number: int) -> Request:
    return Request("GET", b"/a", ((b"host", b"site.test"), (b"x-a", b"%d" % number)))


class Slow(Memory):
    """A store that lets others go on before it answers."""

    async def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        found = await super().get_many(keys)
        await asyncio.sleep(0)
        return found


@pytest.mark.parametrize("store", [Memory, Slow])
async def test_variants_that_came_at_once_were_more_than_ten(store: type[Memory]) -> None:
    race = Race(store=store(2**20))
    varies = said("one", cache_control=FRESH, vary="x-a")
    await race.gets(varies, x_a="0")
    held = [Held(varies) for _ in range(30)]
    race.here.engine.then(*held)
    asking = [race.here.start(variant(number)) for number in range(1, 31)]
    for one in held:
        await one.asked.wait()
    for one in held:
        one.go.set()
    for one in asking:
        assert (await one).body == b"one"
    assert race.here.store.status().entries == 11, "ten variants and their marker"


@pytest.mark.parametrize("order", ["12", "21"])
async def test_of_two_variants_that_nothing_was_known_of_one_was_lost(order: str) -> None:
    race = Race(rules=(default_rule(),))
    varies = {"cache_control": FRESH, "vary": "x-a"}
    flying = {name: await race.begins(said(f"for {name}", **varies), x_a=name) for name in "12"}
    for name in order:
        await flying[name].ends()
        race.clock.advance(0.5)
    assert [(await race.gets(x_a=name)).body for name in "12"] == [b"for 1", b"for 2"]


async def test_parts_together_were_larger_than_may_be_kept() -> None:
    race = Race(rules=(rule(path="/**", ttl=None, max_object=10),))
    for start in range(0, 90, 10):
        told = {"content_range": f"bytes {start}-{start + 9}/100", "etag": '"1"', "cache_control": FRESH}
        await race.gets(said("0123456789", 206, **told), range=f"bytes={start}-{start + 9}")
    held = await held_by(race.here.store)
    assert max(len(entry.body) for entry in held.values()) == 10


async def test_parts_of_two_codings_became_one_body() -> None:
    """Some origins give the same tag to what they compress and what they do not."""
    race = Race()
    told = {"cache_control": FRESH, "etag": '"1"'}
    await race.gets(said("GZIP", 206, content_range="bytes 0-3/8", content_encoding="gzip", **told), range="bytes=0-3")
    got = await race.gets(said("text", 206, content_range="bytes 4-7/8", **told), said("its text", **told))
    assert (got.status, got.body, got.header(b"content-encoding")) == (200, b"its text", None)


SAYS_NOTHING = {
    "an answer to credentials": (ALL, {"authorization": "Basic alice"}),
    "a 304 to a client's own tag": (said("", 304, etag='"x"'), {"if_none_match": '"x"'}),
    "a 304 to a client's own date": (said("", 304), {"if_modified_since": "Sun, 02 Sep 2001 01:46:40 GMT"}),
    "a 304 to a tag of our kind, by a cache behind us": (said("", 304), {"if_none_match": f'"fr-{"a" * 24}"'}),
    "a part that nobody asked for": (said("fo", 206, content_range="bytes 0-1/7"), {}),
    "a range that cannot be": (said("", 416), {}),
    "an answer of its own under a condition": (said("mine", cache_control="private"), {"if_none_match": '"x"'}),
    "a failure": (said("no", 503), {}),
}


@pytest.mark.parametrize(("told", "asks"), SAYS_NOTHING.values(), ids=SAYS_NOTHING)
async def test_one_request_made_everybody_ask_for_himself_for_two_minutes(told, asks) -> None:
    """It says nothing of whether the next answer is for all."""
    race = Race()
    await race.gets(told, **asks)
    assert await race.at_once(ALL) == 1


async def test_an_overtaken_answer_made_everybody_ask_for_himself_for_two_minutes() -> None:
    race = Race()
    flying = await race.begins(ALL)
    await race.gets(said("", 204), method="PUT", body=b"new")
    await flying.ends()
    race.clock.advance(1)
    assert await race.at_once(ALL) == 1


FOR_ONE = {
    "private": said("mine", cache_control="private"),
    "with a cookie": said("mine", cache_control=FRESH, set_cookie="sid=1"),
    "without a lifetime": said("mine"),
}


@pytest.mark.parametrize("told", FOR_ONE.values(), ids=FOR_ONE)
async def test_what_is_for_one_makes_nobody_wait(told) -> None:
    """The other side: this is what is remembered."""
    race = Race()
    await race.gets(told)
    assert await race.at_once(ALL) == 10


def test_ten_thousand_long_names_of_groups_filled_the_memory() -> None:
    """A client chooses its Host, which is a part of each name."""
    epochs, long = Epochs(), b"g" * 60_000
    epochs.begin([long + b"%d" % number for number in range(100)], 5.0)
    assert sum(map(len, epochs._at)) < 10_000
    assert [epochs.last([long + name]) for name in (b"7", b"x")] == [5.0, float("-inf")], "and are told apart"


async def test_a_403_left_what_it_took_the_place_of() -> None:
    """Of failures only those that say nothing of the answer leave it."""
    race = Race()
    await race.gets(said("old", cache_control="max-age=10, stale-if-error=600", etag='"1"'))
    race.clock.advance(11)
    assert (await race.gets(said("no", 403))).status == 403
    assert (await race.gets(said("", 503))).status == 503


PART = said("0123", 206, cache_control=FRESH, etag='"1"', content_range="bytes 0-3/10")


async def test_who_asked_for_a_part_under_a_condition_got_it_though_he_has_it() -> None:
    """Whether a 304 is due only the upstream knows: of the whole we hold a part."""
    race = Race()
    await race.gets(PART, range="bytes=0-3")
    got = await race.gets(said("", 304, etag='"1"'), range="bytes=0-1", if_none_match='"1"')
    assert (got.status, race.calls) == (304, 2)


async def test_a_head_under_a_condition_ended_what_is_stored() -> None:
    """What it is answered with depends on what its client has."""
    race = Race()
    await race.gets(said("old", cache_control=SHORT, etag='"1"'))
    race.clock.advance(11)
    await race.gets(said("", etag='"2"'), method="HEAD", if_none_match='"2"')
    assert (await race.gets(said("", 304, etag='"1"'))).body == b"old"


async def test_a_cookie_for_which_nothing_may_be_guessed_ended_the_sharing_for_all() -> None:
    """What is not stored for one with a Cookie may be stored for the others."""
    race = Race()
    guessable = said("one", last_modified="Sat, 01 Sep 2001 00:00:00 GMT")
    await race.gets(guessable, cookie="sid=1")
    assert await race.at_once(guessable) == 1


@pytest.mark.parametrize("jump", [30, -30])
async def test_a_clock_that_jumped_during_a_flight_kept_what_was_forgotten(jump: int) -> None:
    """RFC 9875 §2.2.1: when it was asked for is noted then, not reckoned back."""
    race, grouped = Race(), {"cache_control": FRESH, "cache_groups": '"g"'}
    asking = await race.begins(said("old", **grouped))
    race.clock.advance(1)
    await race.gets(said("", 204, cache_group_invalidation='"g"'), to="/x", method="POST")
    race.clock._wall += jump
    await asking.ends()
    race.clock.advance(61)
    assert (await race.gets(said("new", **grouped))).body == b"new"
