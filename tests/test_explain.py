"""Explanations: what they say would happen is what happens; they are complete, change nothing, and tell no secret."""

import json
from dataclasses import replace
from typing import Any

import pytest
from fakes import Body, FailingStore, FakeEngine, answer
from world import World, asked, rule

from proxy.core.explain import HIDDEN
from proxy.core.normalize.headers import Headers
from proxy.core.normalize.json import Json
from proxy.core.normalize.lower import Lower
from proxy.core.normalize.sort_params import SortParams
from proxy.core.rules import default_rule
from proxy.core.types import Query, Request, Response
from proxy.explain import Forms
from proxy.purge import Wanted

SECRET = b"hunter2"
TAG = (b"etag", b'"1"')
FRESH = (b"cache-control", b"max-age=600")
JSON = (b"content-type", b"application/json")


def origin(request: Request) -> Response:
    """Answer each path of the tests in its own way."""
    if request.fields.get(b"if-none-match") == b'"1"':
        return Response(304, (TAG,))
    if request.path == b"/kept/part" and b"range" in request.fields:
        of = (
            (b"content-range", b"bytes 0-3/8")
            if request.fields[b"range"] == b"bytes=0-3"
            else (b"content-range", b"bytes 4-7/8")
        )
        return Response(206, (TAG, of, (b"content-length", b"4")), b"0123")
    fields: dict[bytes, list[tuple[bytes, bytes]]] = {
        b"/kept/tag": [TAG],
        b"/posted/a": [TAG],
        b"/kept/vary": [(b"vary", b"x-a")],
        b"/equal": [FRESH, (b"no-vary-search", b'params=("utm")')],
        b"/kept/groups": [(b"cache-groups", b'"g", "h"')],
    }
    return answer(b"12345678", *fields.get(request.path, []))


def world(**more: Any) -> World:
    grace = rule("grace", "/grace/**", ttl=10.0, refresh=20.0, error=60.0)
    posted = rule("posted", "/posted/**", safe=True, offers_query=True, normalizers=(Json(),), max_key_body=100)
    rules = (rule(ttl=10.0), grace, posted, default_rule())
    return World(FakeEngine(origin), **{"rules": rules, **more})


def post(body: bytes, *fields: tuple[bytes, bytes], method: str = "POST") -> Request:
    return asked("/posted/a", *(fields or (JSON,)), method=method, body=body)


def vary(value: bytes) -> Request:
    return asked("/kept/vary", (b"x-a", value))


def part(value: bytes = b"bytes=0-3", *fields: tuple[bytes, bytes]) -> Request:
    return asked("/kept/part", (b"range", value), *fields)


NO_CACHE, ONLY = (b"cache-control", b"no-cache"), (b"cache-control", b"only-if-cached")
HAPPENS: dict[str, tuple[list[Request], float, Request]] = {
    "nothing is stored": ([], 0, asked()),
    "it is fresh": ([asked()], 9, asked()),
    "it is over": ([asked()], 10, asked()),
    "it can be asked about": ([asked("/kept/tag")], 10, asked("/kept/tag")),
    "its client wants a newer one": ([asked()], 1, asked("/kept/a", NO_CACHE)),
    "its client wants a newer one of what can be asked about": ([asked("/kept/tag")], 1, asked("/kept/tag", NO_CACHE)),
    "its client takes a stale one": ([asked()], 12, asked("/kept/a", (b"cache-control", b"max-stale=5"))),
    "it is within grace": ([asked("/grace/a")], 15, asked("/grace/a")),
    "it is past grace": ([asked("/grace/a")], 40, asked("/grace/a")),
    "a HEAD of what is stored": ([asked()], 1, asked(method="HEAD")),
    "a HEAD of what is not": ([], 0, asked(method="HEAD")),
    "a HEAD of what is over": ([asked("/kept/tag")], 10, asked("/kept/tag", method="HEAD")),
    "only what is cached: there is none": ([], 0, asked("/kept/a", ONLY)),
    "only what is cached: there is": ([asked()], 1, asked("/kept/a", ONLY)),
    "only what is cached: it is over": ([asked()], 10, asked("/kept/a", ONLY)),
    "a variant that is stored": ([vary(b"1"), vary(b"2")], 1, vary(b"1")),
    "another one": ([vary(b"1"), vary(b"2")], 1, vary(b"3")),
    "one too many": ([vary(b"%d" % number) for number in range(10)], 1, vary(b"x")),
    "an equal query": ([asked("/equal?q=1&utm=1")], 1, asked("/equal?q=1&utm=2")),
    "a query that is not": ([asked("/equal?q=1&utm=1")], 1, asked("/equal?q=2")),
    "too many parameters to tell": ([asked("/equal?q=1")], 1, asked("/equal?" + "a&" * 10_001)),
    "a stored part": ([part()], 1, part()),
    "some of it": ([part()], 1, part(b"bytes=1-2")),
    "more than it": ([part()], 1, part(b"bytes=2-9")),
    "a stored part that is over": ([part()], 10, part()),
    "a part under a condition": ([part()], 1, part(b"bytes=0-3", (b"if-none-match", b'"2"'))),
    "the whole of which a part is stored": ([part()], 1, asked("/kept/part")),
    "a part of what is stored whole": ([asked()], 1, asked("/kept/a", (b"range", b"bytes=0-1"))),
    "a POST that only reads": ([post(b'{"a": 1}')], 1, post(b'{ "a":1 }')),
    "one that is over: a POST asks for no 304": ([post(b'{"a": 1}')], 3600, post(b'{"a": 1}')),
    "a QUERY of it": ([post(b'{"a": 1}')], 3600, post(b'{"a": 1}', method="QUERY")),
    "one with another body": ([post(b'{"a": 1}')], 1, post(b'{"a": 2}')),
    "a QUERY for it": ([post(b'{"a": 1}')], 1, post(b'{"a":1}', method="QUERY")),
    "a POST that cannot be read": ([], 0, post(b"{")),
    "a POST that is too long": ([], 0, post(b'"%b"' % (b"a" * 100))),
    "a POST in a coding": ([], 0, post(b"{}", JSON, (b"content-encoding", b"gzip"))),
    "a cookie": ([], 0, asked("/kept/a", (b"cookie", b"sid=hunter2"))),
    "credentials": ([], 0, asked("/kept/a", (b"authorization", b"Basic hunter2"))),
    "no-store": ([], 0, asked("/kept/a", (b"cache-control", b"no-store"))),
    "a precondition": ([], 0, asked("/kept/a", (b"if-match", b'"1"'))),
    "a method that no rule is for": ([], 0, asked(method="DELETE")),
}  # fmt: skip


@pytest.mark.parametrize(("before", "wait", "request_"), HAPPENS.values(), ids=HAPPENS)
async def test_what_it_says_is_what_happens(before: list[Request], wait: float, request_: Request) -> None:
    here = world()
    for request in before:
        await here.ask(request)
    here.clock.advance(wait)
    told = await here.explain(request_)
    fetched = len(here.engine.requests)
    await here.ask(replace(request_, body=Body(request_.body)) if request_.body else request_)
    await here.landed()
    line, fetched = here.last, len(here.engine.requests) - fetched
    assert told["rule"] == line.rule
    assert told.get("key", {}).get("hash") in {line.key_hash, None}
    would = told.get("would") or {
        "outcome": "passthrough",
        "reason": told["passthrough"],
        "do": "send it straight upstream",
    }
    if line.outcome == "revalidated":  # nobody knows before what the upstream will say
        assert would["do"] == "ask the upstream whether what is stored is still good"
    else:
        assert (would["outcome"], would.get("reason")) == (line.outcome, line.reason)
    assert (would["do"] in {"answer from the store", "refuse it"}) is (not fetched)


async def test_a_query_that_would_be_refused() -> None:
    here = world()
    request = replace(post(b"{}", method="QUERY"), headers=asked().headers)
    assert await here.explain(request) == {"rule": "posted", "refused": "bad_request"}
    assert (await here.ask(request)).status == 400


DOES = {
    "fresh": (5, "answer from the store", None),
    "stale": (15, "answer from the store, and fetch a new one behind it", None),
    "over, but there if the upstream fails": (40, "fetch from the upstream", "answer from the store"),
    "over": (71, "fetch from the upstream", None),
}


@pytest.mark.parametrize(("wait", "does", "on_failure"), DOES.values(), ids=DOES)
async def test_what_would_be_done(wait: float, does: str, on_failure: str | None) -> None:
    here = world()
    await here.ask(asked("/grace/a"))
    here.clock.advance(wait)
    would = (await here.explain(asked("/grace/a")))["would"]
    assert (would["do"], would.get("if_it_fails")) == (does, on_failure)


# The state of what is stored.

ALWAYS = {
    "state": "fresh",
    "status": 200,
    "bytes": 8,
    "age_s": 2.0,
    "ttl_s": 8.0,
    "refresh_s": 0.0,
    "error_s": 0.0,
    "cost_s": 0.0,
}
ENTRIES: dict[str, tuple[list[Request], float, Request, dict[str, Any] | None]] = {
    "none": ([], 0, asked(), None),
    "one": ([asked()], 2, asked(), ALWAYS),
    "a stale one, with its grace": (
        [asked("/grace/a")], 12, asked("/grace/a"),
        {**ALWAYS, "state": "stale", "age_s": 12.0, "ttl_s": -2.0, "refresh_s": 20.0, "error_s": 60.0},
    ),
    "a variant": ([vary(b"1"), vary(b"2")], 2, vary(b"1"), {**ALWAYS, "vary": ["x-a"], "variants": 2}),
    "other variants only": ([vary(b"1"), vary(b"2")], 2, vary(b"3"), {"vary": ["x-a"], "variants": 2}),
    "a part": ([part()], 2, part(), {**ALWAYS, "status": 206, "bytes": 4, "part": "bytes 0-3/8"}),
    "that of an equal query": (
        [asked("/equal?utm=1")], 2, asked("/equal"), {**ALWAYS, "ttl_s": 598.0, "equal_queries": True},
    ),
    "one with groups": ([asked("/kept/groups")], 2, asked("/kept/groups"), {**ALWAYS, "groups": ["site.test g", "site.test h"]}),
}  # fmt: skip


@pytest.mark.parametrize(("before", "wait", "request_", "entry"), ENTRIES.values(), ids=ENTRIES)
async def test_the_state_of_what_is_stored(before: list[Request], wait: float, request_: Request, entry: Any) -> None:
    here = world()
    for request in before:
        await here.ask(request)
    here.clock.advance(wait)
    assert (await here.explain(request_))["entry"] == entry


# The nearest stored key, and what differs.


async def nearest(here: World, stored: list[Request], request: Request) -> Any:
    for one in stored:
        await here.ask(one)
    told = (await here.explain(request)).get("nearest")
    assert not told or told["key"] in {line.key_hash for line in here.log.requests}
    return told and [(one["part"], one["here"], one["there"]) for one in told["differs"]]


NEAREST: dict[str, tuple[list[Request], Request, Any]] = {
    "nothing is stored": ([], asked(), None),
    "what is stored under another rule is not near": ([asked("/grace/a")], asked(), None),
    "one parameter": ([asked("/kept/a?q=1&p=1")], asked("/kept/a?q=1&p=2"), [("param p", "2", "1")]),
    "one that is missing": ([asked("/kept/a?q=1&p=1")], asked("/kept/a?q=1"), [("param p", None, "1")]),
    "a member": ([post(b'{"q": "a", "n": 1}')], post(b'{"q": "a", "n": 2}'), [("$.n", "2", "1")]),
    "the media type": ([post(b"{}")], post(b"{}", (b"content-type", b"a/b")), [("media type", "a/b", "application/json")]),
    "the host": ([asked()], replace(asked(), headers=((b"host", b"other"),)), [("host", "other", "site.test")]),
    "a secret": ([asked("/kept/a?token=hunter2")], asked("/kept/a?token=3"), [("param token", HIDDEN, HIDDEN)]),
    "the most alike of several": (
        [asked("/kept/b?q=1&p=1"), asked("/kept/a?q=2&p=1"), asked("/kept/c?q=3")], asked("/kept/a?q=1&p=1"),
        [("path", "/kept/a", "/kept/b")],
    ),
    "a variant of its own key is no other key": ([vary(b"1")], vary(b"2"), None),
    "what is stored is not looked beside": ([asked(), asked("/kept/b")], asked(), None),
}  # fmt: skip


@pytest.mark.parametrize(("stored", "request_", "told"), NEAREST.values(), ids=NEAREST)
async def test_on_a_miss_the_nearest_key_and_what_differs(stored: list[Request], request_: Request, told: Any) -> None:
    assert await nearest(world(), stored, request_) == told


@pytest.mark.parametrize("gone", ["url", "rule", "all"])
async def test_what_is_not_stored_any_more_is_not_near(gone: str) -> None:
    here = world()
    await here.ask(asked("/kept/b"))
    here.clock.advance(1)
    await here.purge(Wanted(gone, "kept", request=asked("/kept/b")))
    assert await nearest(here, [], asked()) is None


def test_of_forms_the_last_are_remembered_within_bounds() -> None:
    query = Query("GET", b"h", b"/a")
    few = Forms(most=2)
    for number in (1, 2, 1, 3):
        few.note("r", b"%d" % number, replace(query, path=b"/%d" % number))
    assert [key for key, _ in few.nearest("r", query)] == [b"1", b"3"]
    small = Forms(most_chars=3 * 310)
    for number in range(9):
        small.note("r", b"%d" % number, replace(query, path=b"/%d" % number))
    assert [key for key, _ in small.nearest("r", query)] == [b"7", b"8"]
    small.note("r", b"long", replace(query, params=tuple((b"%d" % one, b"a" * 200) for one in range(99))))
    assert small.nearest("r", query) == [], "what is larger than all there is room for"


# Secrets.

TELLING = [
    asked("/mine/a?token=hunter2&q=1", (b"authorization", b"Basic hunter2"), (b"cookie", b"sid=hunter2; a=hunter2"), (b"x-tenant", b"hunter2")),
    asked("/mine/a?%74oken=hunter2", (b"x-tenant", b"hunter2"), (b"cookie", b'sid="hunter2"')),
    asked("/mine/a", JSON, (b"x-tenant", b"hunter2"), method="POST", body=b'{"password": "hunter2", "a": [{"api_key": ["hunter2"]}]}'),
    asked("/mine/a", (b"content-type", b"application/x-www-form-urlencoded"), method="POST", body=b"a=1&password=hunter2"),
    asked("/mine/a", JSON, method="POST", body=b'{"password": "hunter2", "password": "hunter2"}'),
    asked("/mine/a?next=https%3A%2F%2Fme%3Ahunter2%40site.test%2F%3Ftoken%3Dhunter2"),
]  # fmt: skip


@pytest.mark.parametrize("request_", TELLING, ids=range(len(TELLING)))
@pytest.mark.parametrize(
    "normalizers", [(), (SortParams(), Lower(), Headers(("X-Tenant", "Cookie", "Authorization")))], ids=["raw", "read"]
)
async def test_no_secret_is_ever_told(request_: Request, normalizers: Any) -> None:
    """Not of the request, and not of the nearest that is stored."""
    mine = rule(
        "mine",
        "/mine/**",
        safe=True,
        methods=frozenset({"GET", "POST"}),
        private_by=(b"authorization", b"x-tenant"),
        cookies=("sid",),
    )
    here = world(rules=(replace(mine, normalizers=normalizers),))
    for other in (request_, asked("/mine/other"), asked("/mine/other", JSON, method="POST", body=b'{"a": 1}')):
        told = await here.explain(other)
        assert SECRET.decode() not in json.dumps(told)
        assert told["rule"] == "mine"
        await here.ask(request_)
    assert told["nearest"]


# Nothing comes of it.


async def test_it_changes_and_counts_nothing() -> None:
    here = world()
    await here.ask()
    held, asked_before = here.store.status(), len(here.engine.requests)
    for before, _, request in HAPPENS.values():
        for one in (*before, request):
            await here.explain(one)
    assert (here.store.status(), len(here.engine.requests), len(here.log.requests)) == (held, asked_before, 1)


async def test_a_broken_store_is_no_miss() -> None:
    with pytest.raises(ConnectionError, match="the store is down"):
        await world(store=FailingStore()).explain(asked())


async def test_a_long_body_holds_up_nobody() -> None:
    """It is read beside the loop, as when it is asked."""
    here = world(rules=(rule("posted", "/posted/**", safe=True, normalizers=(Json(),)),))
    body = json.dumps({"a": "a" * 2**19}).encode()
    told = await here.explain(post(body))
    assert told["key"]["form"]["body"] == f"{len(body) - 1} bytes"
    await here.ask(post(body))
    assert here.last.key_hash == told["key"]["hash"]
