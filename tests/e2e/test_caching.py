"""What is answered from the store, and what never is: keys, directives, Vary, default freshness, views of an entry."""

import itertools

import pytest
from running import Line, Proxy, status_of
from wire import Answer, Client, RawUpstream, asked, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
JSON_KEY = [{"json": {"ignore": ["$.request_id"], "text": ["$.question"], "unordered": ["$.filters"]}}]


def rule(name: str, method: str = "GET", **more: object) -> Line:
    """Return a rule for the paths below /name."""
    return {"name": name, "match": {"method": method, "path": f"/{name}/**"}, "ttl": "1h", **more}


CONFIG = {
    "rules": [
        rule("search", key=["sort_params", {"drop_params": ["utm_*"]}]),
        rule("text", key=[{"lower": ["q"]}, {"collapse_space": ["q"]}]),
        rule("asked", "POST", safe=True, key=JSON_KEY),
        rule("unsafe", "POST", key=JSON_KEY),
        rule("by_language", key=[{"headers": ["Accept-Language"]}]),
        rule("plain"),
        rule("override", override=["private", "no-store", "max-age"]),
        rule("by_status", ttl={200: "1h", 404: "30m"}),
        rule("as_origin_says", ttl="from_origin"),
    ]
}
numbers = itertools.count()


@pytest.fixture(autouse=True)
def counting(upstream: RawUpstream) -> None:
    """Let the upstream answer each request differently, so that a shared answer is seen."""
    upstream.answer = lambda exchange: reply(200, b"answer %d" % next(numbers))


async def pair(proxy: Proxy, first: tuple, second: tuple) -> tuple[Answer, Answer]:
    """Ask twice: each is (method, target, fields, body)."""
    return tuple([await proxy.ask(*one[:2], *one[2], body=one[3]) for one in (first, second)])  # type: ignore[return-value]


def get(target: str, *fields: bytes) -> tuple:
    return ("GET", target, fields, None)


def post(target: str, body: bytes, *fields: bytes) -> tuple:
    return ("POST", target, (b"Content-Type: application/json", *fields), body)


SAME = {
    "re-ordered": (get("/search/1?b=2&a=1"), get("/search/1?a=1&b=2")),
    "with a dropped parameter": (get("/search/2?a=1"), get("/search/2?utm_source=x&a=1&utm_x=")),
    "escaped otherwise": (get("/search/3?a=%7e%41"), get("/search/3?a=~A")),
    "case and blanks": (get("/text/1?q=Big%20Cat"), get("/text/1?q=++big++cat+")),
    "json members re-ordered": (post("/asked/1", b'{"a": 1, "b": [2]}'), post("/asked/1", b'{ "b":[2],"a":1 }')),
    "json member ignored": (post("/asked/2", b'{"q": 1, "request_id": "x"}'), post("/asked/2", b'{"q": 1}')),
    "json text": (post("/asked/3", b'{"question": "  What   now? "}'), post("/asked/3", b'{"question": "What now?"}')),
    "json unordered": (post("/asked/4", b'{"filters": ["a", "b"]}'), post("/asked/4", b'{"filters": ["b", "a"]}')),
    "json escapes": (post("/asked/5", b'{"a": "\\u0041\\/"}'), post("/asked/5", b'{"a": "A/"}')),
    "same language": (get("/by_language/1", b"Accept-Language: de"), get("/by_language/1", b"Accept-Language: de")),
    "host in capitals": (get("/plain/host"), get("/plain/host")),
    "fields that make no difference": (
        get("/plain/1", b"User-Agent: a", b"Accept: b"),
        get("/plain/1", b"User-Agent: c"),
    ),
    "404 with a ttl of its own": (get("/by_status/404"), get("/by_status/404")),
}
OTHER = {
    "values re-ordered": (get("/search/5?a=1&a=2"), get("/search/5?a=2&a=1")),
    "case of other parameters": (get("/text/2?p=A"), get("/text/2?p=a")),
    "case of json text": (post("/asked/6", b'{"question": "US"}'), post("/asked/6", b'{"question": "us"}')),
    "order of json lists": (post("/asked/7", b'{"list": [1, 2]}'), post("/asked/7", b'{"list": [2, 1]}')),
    "json type": (post("/asked/8", b'{"a": "1"}'), post("/asked/8", b'{"a": 1}')),
    "other language": (get("/by_language/2", b"Accept-Language: de"), get("/by_language/2", b"Accept-Language: fr")),
    "other path": (get("/plain/2"), get("/plain/3")),
    "X-Forwarded-Host": (get("/plain/4"), get("/plain/4", b"X-Forwarded-Host: evil.test")),
    "X-Forwarded-Proto": (get("/plain/5", b"X-Forwarded-Proto: https"), get("/plain/5", b"X-Forwarded-Proto: http")),
    "X-Forwarded-Prefix": (get("/plain/6"), get("/plain/6", b"X-Forwarded-Prefix: /evil")),
    "Forwarded": (get("/plain/7"), get("/plain/7", b"Forwarded: host=evil.test")),
    "X-Original-URL": (get("/plain/8"), get("/plain/8", b"X-Original-URL: /admin")),
    "X-Rewrite-URL": (get("/plain/9"), get("/plain/9", b"X-Rewrite-URL: /admin")),
    "X-HTTP-Method-Override": (get("/plain/10"), get("/plain/10", b"X-HTTP-Method-Override: DELETE")),
    "X-Forwarded-Host under the default": (get("/free/1"), get("/free/1", b"X-Forwarded-Host: evil.test")),
    "query order under the default": (get("/free/2?b=1&a=1"), get("/free/2?a=1&b=1")),
}


@pytest.mark.parametrize("name", SAME)
async def test_the_same_ask_spelled_differently_is_a_hit(name: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """One call upstream, the same answer, Age and Cache-Status on the second; both lines tell it."""
    upstream.routes[b"/by_status/404"] = reply(404, b"not there")
    before = len(upstream.exchanges)
    first, second = await pair(proxy, *SAME[name])
    assert (second.status, second.body, len(upstream.exchanges) - before) == (first.status, first.body, 1)
    assert [first.values(b"cache-status"), first.values(b"age")] == [[b"Frontrunner; fwd=uri-miss; stored"], []]
    kind, parameters = status_of(second)
    assert kind == "hit"
    assert 1600 < int(parameters["ttl"]) <= 3600
    assert int(second.value(b"age")) in {0, 1, 2}
    miss, hit = await proxy.line(first), await proxy.line(second)
    assert (miss["outcome"], hit["outcome"], miss["key_hash"] == hit["key_hash"]) == ("miss", "hit", True)
    assert {"upstream_s", "upstream_ttfb_s", "upstream_calls"} <= miss.keys()
    assert hit["age_s"] < 3
    assert "upstream_s" not in hit or hit["upstream_s"] == 0


@pytest.mark.parametrize("name", OTHER)
async def test_another_ask_is_another_answer(name: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """What is not declared to be equal shares no answer, not even the other way round later."""
    upstream.answer = lambda exchange: reply(200, b"answer %d" % next(numbers), b"Cache-Control: max-age=600")
    first, second = await pair(proxy, *OTHER[name])
    assert first.body != second.body
    third, fourth = await pair(proxy, *OTHER[name])
    assert (third.body, fourth.body) == (first.body, second.body)


async def test_the_host_is_part_of_the_key_without_case_and_default_port(upstream: RawUpstream, proxy: Proxy) -> None:
    """Names of one site share answers, other sites do not."""
    bodies = {}
    for host in (b"site.test", b"SITE.test", b"site.test:80", b"other.test", b"site.test:8080"):
        async with await Client.to(proxy.port) as client:
            bodies[host] = (await client.ask(asked(b"GET", b"/plain/hosts", host=host))).body
    assert bodies[b"site.test"] == bodies[b"SITE.test"] == bodies[b"site.test:80"]
    assert len(set(bodies.values())) == 3


WINS = [
    (b"Cache-Control: private", "private"),
    (b"Cache-Control: no-store", "no_store"),
    (b"Cache-Control: no-cache", "no_cache"),
    (b"Cache-Control: max-age=0", None),
    (b"Set-Cookie: a=1", "set_cookie"),
    (b"Vary: *", "vary"),
]


@pytest.mark.parametrize(("field", "reason"), WINS)
async def test_the_origin_wins_over_an_owners_ttl(
    field: bytes, reason: str | None, upstream: RawUpstream, proxy: Proxy
) -> None:
    """What the origin forbids to keep is asked for each time, with the reason in the log."""
    target = f"/plain/wins/{reason}"
    upstream.routes[target.encode()] = lambda exchange: reply(200, b"answer %d" % next(numbers), field)
    first, second = await pair(proxy, get(target), get(target))
    assert first.body != second.body
    if reason:
        assert "stored" not in status_of(second)[1]
        assert (await proxy.line(first))["reason"] == reason


@pytest.mark.parametrize("directive", [b"private", b"no-store", b"max-age=0"])
async def test_an_owner_can_override_the_origin(directive: bytes, upstream: RawUpstream, proxy: Proxy) -> None:
    """What the rule lists in `override` no longer wins; the field itself still reaches the client."""
    target = f"/override/{directive.decode()}"
    upstream.routes[target.encode()] = lambda exchange: reply(
        200, b"%d" % next(numbers), b"Cache-Control: " + directive
    )
    first, second = await pair(proxy, get(target), get(target))
    assert (first.body, status_of(second)[0], second.value(b"cache-control")) == (second.body, "hit", directive)


async def test_the_origins_shorter_max_age_wins(upstream: RawUpstream, proxy: Proxy) -> None:
    """Under a ttl of an hour an answer with max-age=60 is fresh for at most sixty seconds."""
    upstream.routes[b"/plain/shorter"] = reply(200, b"x", b"Cache-Control: max-age=60")
    _, second = await pair(proxy, get("/plain/shorter"), get("/plain/shorter"))
    assert 0 < int(status_of(second)[1]["ttl"]) <= 60


EXPLICIT = [
    (b"Cache-Control: max-age=600", True),
    (b"Cache-Control: public, s-maxage=600, max-age=0", True),
    (b"Expires: Tue, 31 Dec 2999 23:59:59 GMT", True),
    (b"Cache-Control: public", False),
    (b"Last-Modified: Sat, 29 Oct 1994 19:43:31 GMT", True),  # RFC 9111 §4.2.2: a tenth of its age
    (b"Cache-Control: max-age=600, private", False),
    (b"Cache-Control: no-store, max-age=600", False),
    (b"Expires: 0", False),
    (b"Cache-Control: max-age=nonsense", False),
    (b"X-Nothing: said", False),
]


@pytest.mark.parametrize("root", ["/free/explicit", "/as_origin_says"])
@pytest.mark.parametrize(("field", "kept"), EXPLICIT)
async def test_from_origin_keeps_what_the_origin_lets_be_kept(
    field: bytes, kept: bool, root: str, upstream: RawUpstream, proxy: Proxy
) -> None:
    """Without an owner's word only what the origin says counts (RFC 9111 §4.2)."""
    target = f"{root}/{EXPLICIT.index((field, kept))}"
    upstream.routes[target.encode()] = lambda exchange: reply(200, b"answer %d" % next(numbers), field)
    first, second = await pair(proxy, get(target), get(target))
    assert (first.body == second.body, status_of(second)[0] == "hit") == (kept, kept)


async def test_vary_is_respected(upstream: RawUpstream, proxy: Proxy) -> None:
    """An answer that varies by a field is for equal values of it only; both variants are kept."""
    upstream.routes[b"/plain/vary"] = lambda exchange: reply(
        200, b"in %s, %d" % (b"".join(exchange.values(b"accept-language")), next(numbers)), b"Vary: Accept-Language"
    )
    asks = [get("/plain/vary", *fields) for fields in ([b"Accept-Language: de"], [b"Accept-Language: fr"], [])]
    first = [(await pair(proxy, ask, ask)) for ask in asks]
    assert all(one.body == two.body for one, two in first)
    assert [one.body.split(b",")[0] for one, _ in first] == [b"in de", b"in fr", b"in "]
    again = [(await pair(proxy, ask, ask))[0].body for ask in asks]
    assert again == [one.body for one, _ in first]


async def test_a_post_without_safe_passes_every_time(upstream: RawUpstream, proxy: Proxy) -> None:
    """A rule alone does not make a POST cacheable."""
    first, second = await pair(proxy, post("/unsafe/1", b'{"a": 1}'), post("/unsafe/1", b'{"a": 1}'))
    assert first.body != second.body
    line = await proxy.line(second)
    assert (line["outcome"], line["reason"], line["rule"]) == ("passthrough", "method", "unsafe")
    assert status_of(second)[0] in {"bypass", "method"}


@pytest.mark.parametrize("target", ["/plain/head", "/free/head"])
async def test_head_after_get_is_a_hit_without_body(target: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """HEAD is cut from the stored GET: same status, fields and length, no body, no call upstream."""
    upstream.routes[target.encode()] = reply(200, b"twelve bytes", b"Cache-Control: max-age=60", b'ETag: "1"')
    async with await Client.to(proxy.port) as client:
        await client.ask(asked(b"GET", target.encode()))
        head = await client.ask(asked(b"HEAD", target.encode()))
        after = await client.ask(asked(b"GET", target.encode()))
    assert (head.status, head.body, head.value(b"content-length"), head.value(b"etag")) == (200, b"", b"12", b'"1"')
    assert (status_of(head)[0], status_of(after)[0], len(upstream.seen(target.encode()))) == ("hit", "hit", 1)


PARTIAL = [
    (b"Range: bytes=2-5", {206: b"elve", 200: b"twelve bytes"}),
    (b"Range: bytes=99-", {416: b"", 200: b"twelve bytes"}),
    (b'If-None-Match: "1"', {304: b"", 200: b"twelve bytes"}),
    (b'If-Match: "other"', {412: b"", 200: b"twelve bytes"}),
]


@pytest.mark.parametrize("stored_first", [True, False])
@pytest.mark.parametrize(("field", "allowed"), PARTIAL)
async def test_a_partial_or_conditional_ask_is_answered_rightly(
    field: bytes, allowed: dict[int, bytes], stored_first: bool, upstream: RawUpstream, proxy: Proxy
) -> None:
    """Cut from the entry or from upstream, it is what the upstream would say; it is never kept as the whole answer."""
    target = f"/plain/partial/{field.decode()[:9].strip()}{len(field)}{stored_first}".replace(" ", "")
    status = min(allowed, key=lambda code: code == 200)
    whole = reply(200, b"twelve bytes", b'ETag: "1"')
    part = reply(status, allowed[status], b'ETag: "1"', b"Content-Range: bytes 2-5/12", length=status != 304)
    upstream.routes[target.encode()] = lambda exchange: part if exchange.values(field.partition(b":")[0]) else whole
    if stored_first:
        await proxy.ask("GET", target)
    answer = await proxy.ask("GET", target, field)
    assert answer.body == allowed[answer.status]
    after = await proxy.ask("GET", target)
    assert (after.status, after.body) == (200, b"twelve bytes")


async def test_a_hit_has_the_fields_of_the_stored_answer(upstream: RawUpstream, proxy: Proxy) -> None:
    """A hit differs from the first answer in Age, Cache-Status, X-Request-Id and framing only."""
    fields = [b"X-A: 1", b"Content-Type: a/b", b"X-A: 2", b"Content-Encoding: x-own", b"Server: old", b"X-J: \xfc"]
    upstream.routes[b"/plain/fields"] = reply(203, b"\x00\xff", *fields, chunked=True)
    first, second = await pair(proxy, get("/plain/fields"), get("/plain/fields"))
    own = {
        b"age",
        b"cache-status",
        b"x-request-id",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"keep-alive",
    }
    left = [[(n.lower(), v) for n, v in answer.fields if n.lower() not in own] for answer in (first, second)]
    assert left[0] == left[1]
    assert (status_of(second)[0], second.status, second.body) == ("hit", 203, b"\x00\xff")


async def test_only_if_cached_never_asks_the_upstream(upstream: RawUpstream, proxy: Proxy) -> None:
    """Without an entry it is a 504 of ours; with one it is a hit."""
    field = b"Cache-Control: only-if-cached"
    absent = await proxy.ask("GET", "/plain/only", field)
    assert (absent.status, absent.json()["reason"], upstream.seen(b"/plain/only")) == (504, "only_if_cached", [])
    await proxy.ask("GET", "/plain/only")
    assert status_of(await proxy.ask("GET", "/plain/only", field))[0] == "hit"


async def test_an_unmatched_method_or_path_has_no_rule(upstream: RawUpstream, proxy: Proxy) -> None:
    """A POST that no rule matches is passed with the reason, whatever its status."""
    upstream.routes[b"/nowhere"] = reply(503, b"busy")
    line = await proxy.line(await proxy.ask("POST", "/nowhere", body=b""))
    assert (line["outcome"], line["status"], line["reason"]) == ("passthrough", 503, "no_rule")
