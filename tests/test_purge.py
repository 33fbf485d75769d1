"""Taking entries out of the store: what is purged is gone (or stale), all of it, nothing else, and nothing brings it back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes import Body, FailingStore, FakeEngine, Held, answer, until
from world import World, asked, rule

from proxy.core.normalize.json import Json
from proxy.core.rules import default_rule
from proxy.core.types import Entry, Request, Response
from proxy.purge import Wanted
from proxy.store.memory import Memory

FRESH = (b"cache-control", b"max-age=600")
GROUPS = (b"cache-groups", b'"g"')
TAG = (b"etag", b'"1"')
KINDS = ("url", "key", "rule", "group", "all")


def world(*answers: Any, **more: Any) -> World:
    rules = (rule(), rule("other", "/other/**"), default_rule())
    return World(FakeEngine(*answers), **{"rules": rules, **more})


def numbered(*fields: tuple[bytes, bytes]) -> Any:
    """Return what answers each request with its own number."""
    count = iter(range(1, 1000))
    return lambda _: answer(b"%d" % next(count), GROUPS, *fields)


async def named(kind: str, here: World, *, soft: bool = False) -> Wanted:
    """Return the purge of that kind for /kept/a."""
    key = (await here.explain(asked()))["key"]["hash"] if kind == "key" else ""
    value = {"key": key, "rule": "kept", "group": "site.test g"}.get(kind, "")
    return Wanted(kind, value, soft, asked() if kind == "url" else None)


async def bodies(here: World, *requests: Request) -> list[bytes]:
    return [(await here.ask(request)).body for request in requests]


# What is purged, and what is not.


@pytest.mark.parametrize("kind", KINDS)
async def test_hard_it_is_gone_at_once_and_stays_gone(kind: str) -> None:
    here = world(numbered())
    assert await bodies(here, asked(), asked()) == [b"1", b"1"]
    here.clock.advance(1)
    await here.purge(await named(kind, here))
    here.clock.advance(1)
    assert (await bodies(here, asked(), asked()), here.outcomes[-2:]) == ([b"2", b"2"], ["miss", "hit"])


@pytest.mark.parametrize("kind", KINDS)
async def test_what_else_is_stored_stays(kind: str) -> None:
    here = world(lambda request: answer(request.target, *([GROUPS] if request.target == b"/kept/a" else [])))
    others = [asked("/kept/a/b"), asked("/kept/a?b"), asked("/other/a"), asked("/other/b")]
    await bodies(here, *others, asked())
    here.clock.advance(1)
    await here.purge(await named(kind, here))
    here.clock.advance(1)
    await bodies(here, *others)
    gone = {"all": ["miss"] * 4, "rule": ["miss", "miss", "hit", "hit"]}.get(kind, ["hit"] * 4)
    assert here.outcomes[-4:] == gone


SOFT = {
    "within grace it is served while a new one is fetched": ({"refresh": 60.0}, (), ["stale", "hit"], [b"1", b"2"]),
    "without grace it is fetched anew": ({}, (), ["expired", "hit"], [b"2", b"2"]),
    "what can be asked about is asked about": ({}, (TAG,), ["revalidated", "hit"], [b"1", b"1"]),
}


@pytest.mark.parametrize(("grace", "fields", "outcomes", "told"), SOFT.values(), ids=SOFT)
@pytest.mark.parametrize("kind", KINDS)
async def test_soft_it_is_stale(kind: str, grace: Any, fields: Any, outcomes: list[str], told: list[bytes]) -> None:
    new = Response(304, (TAG,)) if fields else answer(b"2")
    here = world(answer(b"1", GROUPS, *fields), new, rules=(rule(**grace), default_rule()))
    await here.ask()
    here.clock.advance(10)
    await here.purge(await named(kind, here, soft=True))
    here.clock.advance(10)
    first = await here.ask()
    await here.landed()
    assert [first.body, (await here.ask()).body] == told
    assert here.outcomes[-2:] == outcomes


async def test_soft_for_an_upstream_that_fails_it_is_still_there() -> None:
    here = world(answer(b"old"), ConnectionError("down"), rules=(rule(error=60.0),))
    await here.ask()
    here.clock.advance(1)
    await here.purge(Wanted("all", soft=True))
    here.engine.then(answer(b"broken", status=503))
    assert (await here.ask()).body == b"old"
    assert here.outcomes[-1] == "stale:status"


async def test_soft_what_was_stale_already_is_not_made_younger() -> None:
    here = world(numbered(), rules=(rule(ttl=10.0, refresh=60.0),))
    await here.ask()
    here.clock.advance(69)
    await here.purge(Wanted("url", "", True, asked()))
    here.clock.advance(2)
    assert ((await here.ask()).body, here.outcomes[-1]) == (b"2", "expired")


# What is under way.

UNDER_WAY = {
    "nothing has come of it": ([], lambda _: answer(b"old", GROUPS), False),
    "it is coming": ([], lambda body: answer(body, GROUPS, length=False), False),
    "it is coming, softly": ([], lambda body: answer(body, GROUPS, length=False), True),
    "it is being asked about": ([answer(b"old", GROUPS, TAG)], lambda _: Response(304, (TAG,)), False),
}


@pytest.mark.parametrize(("before", "coming", "soft"), UNDER_WAY.values(), ids=UNDER_WAY)
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_under_way_is_not_stored(kind: str, before: list[Any], coming: Any, soft: bool) -> None:
    """It may be the answer from before; who asked for it gets it."""
    body = Body(b"ol", ends=False)
    held = Held(coming(body))
    here = world(*before, held, answer(b"new"), rules=(rule(ttl=10.0), default_rule()))
    for _ in before:
        await here.ask()
        here.clock.advance(11)
    first = here.start()
    await held.asked.wait()
    if held.answer.body is body:
        held.go.set()
        await until(lambda: body.taken)
    here.clock.advance(1)
    await here.purge(await named(kind, here, soft=soft))
    here.clock.advance(1)
    held.go.set()
    body.feed(b"d")
    body.end()
    assert (await first).body == b"old"
    await here.landed()
    assert await bodies(here, asked(), asked()) == [b"new", b"new"]


async def test_nor_a_second_fetch_beside_the_first() -> None:
    first, second = Held(answer(b"old")), Held(answer(b"old too"))
    here = world(first, second, answer(b"new"))
    tasks = [here.start()]
    await first.asked.wait()
    tasks.append(here.start(asked("/kept/a", (b"cache-control", b"no-cache"))))
    await second.asked.wait()
    here.clock.advance(1)
    await here.purge(Wanted("url", request=asked()))
    here.clock.advance(1)
    first.go.set()
    second.go.set()
    assert sorted([(await task).body for task in tasks]) == [b"old", b"old too"]
    assert (await here.ask()).body == b"new"


async def test_who_asks_after_the_purge_does_not_wait_for_what_was_asked_before() -> None:
    held = Held(answer(b"old"))
    here = world(held, answer(b"new"))
    first = here.start()
    await held.asked.wait()
    await here.purge(Wanted("url", request=asked()))
    here.clock.advance(1)
    assert (await here.ask()).body == b"new"
    held.go.set()
    assert [(await first).body, (await here.ask()).body] == [b"old", b"new"]


# All that stands at one URL.


def by_a(request: Request) -> Response:
    return answer(request.fields.get(b"x-a", b"none"), FRESH, (b"vary", b"x-a"))


def part(request: Request) -> Response:
    return Response(206, (FRESH, TAG, (b"content-range", b"bytes 0-3/8"), (b"content-length", b"4")), b"0123")


VARIED = [asked("/a", (b"x-a", value)) for value in (b"1", b"2", b"3")]
EQUAL = [asked("/a?q=1&utm=1"), asked("/a?utm=2&q=1"), asked("/a?q=1")]
EQUAL_FIELD = (b"no-vary-search", b'key-order, params=("utm")')
RANGE = [asked("/a", (b"range", b"bytes=0-3"))]
PEOPLE = [asked("/kept/a", (b"authorization", value)) for value in (b"Basic a", b"Basic b")]
SPEAKERS = [asked("/kept/a", (b"forwarded", value)) for value in (b"for=a", b"for=b")]
AT_ONE_URL = {
    "variants": (by_a, VARIED, ("url", "key", "soft url", "soft key")),
    "equal queries": (lambda _: answer(b"", FRESH, EQUAL_FIELD), EQUAL, ("url", "soft url")),
    "a part": (part, RANGE, ("url", "key", "soft url", "soft key")),
    "everybody's own": (numbered(), PEOPLE, ("url",)),
    "what differs by a field in the key": (numbered(), SPEAKERS, ("url",)),
}


@pytest.mark.parametrize(
    ("origin", "requests", "how"),
    [(origin, requests, how) for origin, requests, ways in AT_ONE_URL.values() for how in ways],
    ids=[f"{name}, by {how}" for name, (_, _, ways) in AT_ONE_URL.items() for how in ways],
)
@pytest.mark.parametrize("by", [0, -1], ids=["of the first", "of the last"])
async def test_all_that_stands_at_a_url_goes_together(origin: Any, requests: list[Request], how: str, by: int) -> None:
    """Whichever of them the operator names, by its URL or by the key_hash of its log line."""
    soft, kind = how.startswith("soft "), how.removeprefix("soft ")
    here = world(origin, rules=(rule(private_by=(b"authorization",)), default_rule()))
    await bodies(here, *requests, *requests)
    assert here.outcomes[len(requests) :] == ["hit"] * len(requests)
    key = here.log.requests[by].key_hash or ""
    plain = replace(requests[by], headers=requests[by].headers[:1])  # as an operator would write it
    here.clock.advance(1)
    await here.purge(Wanted(kind, key, soft, plain if kind == "url" else None))
    here.clock.advance(1)
    before = len(here.engine.requests)
    await bodies(here, *requests)
    assert len(here.engine.requests) - before == (1 if requests is EQUAL else len(requests))


async def test_the_key_of_an_equal_query() -> None:
    """Its answer stands elsewhere: whoever has that key does not get it any more."""
    here = world(lambda _: answer(b"", FRESH, EQUAL_FIELD))
    await bodies(here, *EQUAL)
    here.clock.advance(1)
    await here.purge(Wanted("key", here.last.key_hash or ""))
    here.clock.advance(1)
    await here.ask(EQUAL[-1])
    assert here.outcomes == ["miss", "hit", "hit", "miss"]


async def test_below_an_answer_of_its_own_may_be_that_of_an_equal_query() -> None:
    here = world(answer(b"own", FRESH), answer(b"equal", FRESH, EQUAL_FIELD), answer(b"new", FRESH))
    await bodies(here, asked("/a?q=1"), asked("/a?q=1&utm=1"))
    here.clock.advance(1)
    await here.purge(Wanted("url", request=asked("/a?q=1")))
    here.clock.advance(1)
    assert await bodies(here, asked("/a?q=1"), asked("/a?q=1&utm=2")) == [b"new", b"new"]


async def test_a_url_asked_by_content() -> None:
    """POST by its body in its one form; QUERY where it goes up as a POST, by the same key."""
    fields = (asked().headers[0], (b"content-type", b"application/json"))
    post = Request("POST", b"/kept/q", fields, b'{"a": 1}')
    query = Request("QUERY", b"/kept/q", fields, b'{ "a":1}')
    one = rule(safe=True, offers_query=True, normalizers=(Json(),))
    here = world(numbered(), rules=(one,))
    for purged in (post, query):
        await here.ask(post)
        here.clock.advance(1)
        assert await here.purge(Wanted("url", request=purged))
        here.clock.advance(1)
        await here.ask(query)
        assert here.outcomes[-1] == "miss"


# What cannot be purged.


@pytest.mark.parametrize("soft", [False, True])
async def test_what_has_no_certain_key_cannot_be_purged(soft: bool) -> None:
    here = world(rules=(rule(safe=True, methods=frozenset({"POST"}), normalizers=(Json(),)),))
    twice = asked(method="POST", body=b'{"pin":1,"pin":"hunter2"}')
    with pytest.raises(ValueError, match=r"^it has no certain key \(key_duplicate_member\): it is never stored$"):
        await here.purge(Wanted("url", "", soft, twice))


async def test_it_tells_whether_anything_was_there() -> None:
    here = world(answer(b""), answer(b""), part)
    for soft in (True, False):
        assert await here.purge(Wanted("url", soft=soft, request=asked())) is False
        here.clock.advance(1)
        await here.ask()
        for kind in ("url", "key"):
            assert await here.purge(await named(kind, here, soft=True)) is True
        assert await here.purge(Wanted("url", request=asked())) is True
        here.clock.advance(1)
    for kind in ("rule", "group", "all"):
        assert await here.purge(await named(kind, here)) is None
    here.clock.advance(1)
    await here.ask(RANGE[0])
    assert await here.purge(Wanted("url", request=asked("/a"))) is True


class ReadOnly(Memory):
    """A store that from some moment on keeps what it has."""

    closed = False

    async def set_many(self, entries: Mapping[bytes, Entry]) -> None:
        if self.closed:
            raise ConnectionError("read only")
        await super().set_many(entries)

    async def delete(self, keys: Sequence[bytes]) -> None:
        raise ConnectionError("read only")


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", ["url", "key"])
async def test_a_broken_store_is_the_operators_business(kind: str, soft: bool) -> None:
    for store in (FailingStore(), ReadOnly(2**20)):
        here = world(store=store)
        await here.ask()
        store.closed = True  # type: ignore[union-attr]
        with pytest.raises(OSError):
            await here.purge(Wanted(kind, here.last.key_hash or "", soft, asked() if kind == "url" else None))


@pytest.mark.parametrize("kind", ["rule", "group", "all"])
async def test_what_needs_no_store_works_without(kind: str) -> None:
    here = world(numbered(), store=ReadOnly(2**20))
    await here.ask()
    here.clock.advance(1)
    await here.purge(await named(kind, here))
    here.clock.advance(1)
    assert (await here.ask()).body == b"2"
