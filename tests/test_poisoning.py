"""An attacker asks first: whoever comes next still gets what it would get directly (input that is not in the key).

The origin builds its answer from all that it is sent. A rule's normalizers are its owner's word for what means the same
there; `meant` says in another way than they do what they leave of a question. Of fields that are neither in the key nor
in Vary no cache can know: the owner names them (`headers`), or means what the tests with `OWNERS_WORD` say.
"""

from ast import literal_eval
from collections.abc import Callable
from unicodedata import normalize
from urllib.parse import unquote_to_bytes

import pytest
from fakes import VIA, FakeDelivery, FakeEngine, answer
from world import Stand, World, rule

from proxy.asgi import EXTENSION
from proxy.core.key import ALWAYS_KEYED
from proxy.core.normalize.collapse_space import CollapseSpace
from proxy.core.normalize.drop_params import DropParams
from proxy.core.normalize.form import Form
from proxy.core.normalize.headers import Headers
from proxy.core.normalize.keep_params import KeepParams
from proxy.core.normalize.lower import Lower
from proxy.core.normalize.nfc import Nfc
from proxy.core.normalize.sort_params import SortParams
from proxy.core.normalize.strip import Strip
from proxy.core.types import Client, Request, Response

WRITTEN_BY_US = {b"via", b"x-forwarded-for", b"x-request-id"}
HOST = b"site.test"
FORM = (b"content-type", b"application/x-www-form-urlencoded")
ALICE = (b"cookie", b"sid=alice")


def one(
    target: str = "/kept/a", *fields: tuple[bytes, bytes], host: bytes = HOST, method: str = "GET", body: bytes = b"",
    scheme: str = "http",
) -> Request:  # fmt: skip
    client = Client("192.0.2.7", "192.0.2.7", scheme)
    return Request(method, target.encode("latin-1"), ((b"host", host), *fields), body, client)


def echo(request: Request) -> Response:
    """Answer with all of a request but what any proxy writes; of one host in all its spellings (RFC 9110 §4.2.3)."""
    fields = [field for field in request.headers if field[0] not in {*WRITTEN_BY_US, b"host"}]
    host = (request.header(b"host") or b"").lower().removesuffix(b":80")
    told = (request.method, host, request.target, fields, request.body)
    return answer(repr(told).encode(), (b"cache-control", b"max-age=60"))


def pairs(query: bytes) -> list[list[bytes | None]]:
    """Read a query as the standard library decodes it."""
    pieces = [piece.replace(b"+", b" ").partition(b"=") for piece in query.split(b"&") if piece]
    return [[unquote_to_bytes(name), unquote_to_bytes(value) if found else None] for name, found, value in pieces]


Reading = Callable[[list], list]


def of_q(change: Callable[[str], str]) -> Reading:
    def changed(name: bytes, value: bytes | None) -> bytes | None:
        try:
            return change(value.decode()).encode() if value and name == b"q" else value
        except UnicodeDecodeError:
            return value

    return lambda found: [[name, changed(name, value)] for name, value in found]


WORDS = {
    "sort_params": (SortParams(), lambda found: sorted(found, key=lambda pair: pair[0])),
    "lower": (Lower(("q",)), of_q(str.lower)),
    "collapse_space": (CollapseSpace(("q",)), of_q(lambda text: " ".join(text.split()))),
    "strip": (Strip(("q",)), of_q(str.strip)),
    "nfc": (Nfc(("q",)), of_q(lambda text: normalize("NFC", text))),
    "drop_params": (DropParams(("utm_*",)), lambda found: [pair for pair in found if pair[0][:4] != b"utm_"]),
    "keep_params": (KeepParams(("q", "r")), lambda found: [pair for pair in found if pair[0] in {b"q", b"r"}]),
}
RULES = {"as it came": (), "by the origin's word": (), **{word: (word,) for word in WORDS}, "all words": tuple(WORDS)}


def meant(told: bytes, words: tuple[str, ...]) -> tuple:
    """Return what an answer was made of, less what the owner says means the same."""
    method, host, target, fields, body = literal_eval(told.decode())
    path, _, query = target.partition(b"?")
    if not words:
        return method, host, target, fields, body
    found = pairs(query)
    for word in words:
        found = WORDS[word][1](found)
    return method, host, path, found, fields, body


FIELDS = {
    f"{name.decode()} and none": [
        one(), *[one("/kept/a", (name, value)) for value in (b"evil.test", b"other.test", b"")],
        one("/kept/a", (name, b"evil.test"), (name, b"other.test")),
        one("/kept/a", (name, b"other.test"), (name, b"evil.test")),
    ]
    for name in sorted(ALWAYS_KEYED)
}  # fmt: skip
TARGETS = {
    "the same parameter twice": "a?q=1&q=2 a?q=2&q=1 a?q=1 a?q=2 a?q=1,2 a?q[]=1&q[]=2 a?q=1&Q=2 a?q=2&Q=1",
    "; as a separator": "a?q=1&r=2 a?q=1;r=2 a?q=1%3Br=2 a?q=1%26r=2 a?r=2;q=1 a;q=1?r=2",
    "%2e": "a.b a%2eb a%2Eb a%252eb",
    "%2f": "a/b a%2fb a%2Fb a%5cb a\\b a%252fb",
    "%00": "a a%00 a%00b ab a?q=1 a?q=1%00 a?q=1%002",
    "%25": "A %41 %2541 %252541 a?q=%41 a?q=%2541 a?q=%252541",
    "//, /./, /../ and /..;/": "a /a ./a %2e/a ../a b/../a ..;/a b/..;/a %2e%2e/a ..%2fa /../a",
    "matrix parameters": "a a;x=1 a;x=2 a;x a; ;a a;x=1/b a/b;x=1 a;jsessionid=alice",
    "a trailing .css": "a a.css a/.css a;.css a%3b.css a%00.css a%0a.css a%23.css a%3f.css a?.css a/..%2f.css a/x.css",
    "a fragment": "a?q=1 a a#b a#c a%23b a#?q=1 a?q=1#r=2 a?q=1%23r=2 a?q=1#",
    "the case of percent encodings": "%c3%a9 %C3%A9 %c3%A9 a?q=%c3%a9 a?q=%C3%A9 a?%71=%c3%a9 %e9 \xe9",
    "invalid UTF-8": "a?q=%ff a?q=%fe a?q=\xff a?q=%ef%bf%bd a?q=%c3 a?q=%c3%28 a?q=%ed%a0%80 a?q=? a?q=%c0%80 a?q=%FF",
    "NFC and NFD": "a?q=%c3%a9 a?q=e%cc%81 a?q=e a?q=%cc%81e a?r=%c3%a9 a?r=e%cc%81 e%cc%81 %c3%a9 a?%c3%a9 a?e%cc%81",
    "+ and %20": "a?q=b+c a?q=b%20c a?q=b%2bc a?q=bc a?q=b%2520c a?q=b++c a?r=b+c a?r=b%20c a?r=b++c b+c b%20c",
    "letters of either case": "a?q=b a?q=B a?Q=b a?r=b a?r=B A B b a?q=%e2%84%aa a?q=k a?r=%e2%84%aa a?r=k",
    "nothing, in all its ways": "a a? a?q a?q= a?q=%20 a?=q a?& a?&q a?q&q a?q=&q a?q=&q=",
    "a delimiter inside a value": "a?q=1&r=2 a?q=1%26r%3D2 a?q=1%26r=2 a?q%3D1=r%3D2 a?q=1?r=2 a?q=1%3Fr=2 a?q=1&r=2? a,query,q=1&r=2 a?q=1,r=2",
    "who built the link": "a?q=1 a?q=1&utm_q=2 a?utm_q=1 a?q=1&utm_source=x a?q=1%26utm_x=2 a?q=1&utm=2",
}
HOSTS = (
    b"other.test", b"site.test.", b"site.test:8080", b"site.test:443", b"site.test:", b"site.test:080", b"", b"site",
    b"site.test@other.test", b"site.test/kept", b"site.test,other.test", b"site.test other.test", b"www.site.test",
)  # fmt: skip
QUESTIONS = {
    **FIELDS,
    **{name: [one(f"/kept/{tail}") for tail in tails.split(" ")] for name, tails in TARGETS.items()},
    "hosts": [one(), *[one(host=host) for host in HOSTS]],
    "a GET with a body": [one(), one(body=b"q=evil"), one("/kept/a", FORM, body=b"q=evil"), one("/kept/a?q=evil")],
    "a method in a field or parameter": [
        one(), one("/kept/a", (b"x-http-method-override", b"DELETE")), one("/kept/a?_method=DELETE"),
    ],
}  # fmt: skip


def world(words: tuple[str, ...], methods: str, ttl: float | None = 3600.0) -> World:
    normalizers = tuple(WORDS[word][0] for word in words)
    return World(
        FakeEngine(echo), rules=(rule(ttl=ttl, safe=True, methods=frozenset({methods}), normalizers=normalizers),)
    )


def as_method(request: Request, method: str) -> Request:
    if method == "GET":
        return request
    body = request.body or b"asked"
    return Request(method, request.target, (FORM, *request.headers), body, request.client)


@pytest.mark.parametrize("method", ["GET", "POST", "QUERY"])
@pytest.mark.parametrize("name", RULES)
async def test_each_gets_what_it_would_get_directly(name: str, method: str) -> None:
    """All questions of a row, then all again in the other order: each is the attacker of those that follow."""
    words = RULES[name]
    for row, questions in QUESTIONS.items():
        here = world(words, method, None if name == "by the origin's word" else 3600.0)
        asks = [as_method(question, method) for question in questions]
        for request in [*asks, *reversed(asks)]:
            got = await here.ask(request)
            assert meant(got.body, words) == meant(echo(request).body, words), f"{row}: {request}"
        assert here.outcomes[-1] == "hit", row
        assert here.log.failures == []


async def answers(here: World, *requests: Request) -> list[FakeDelivery]:
    return [await here.ask(request) for request in requests]


@pytest.mark.parametrize("host", [b"SITE.test", b"site.test:80"], ids=["capitals", "the port of its scheme"])
async def test_one_origin_in_two_spellings_shares(host: bytes) -> None:
    """RFC 9110 §4.2.3; all other hosts are apart (above)."""
    here = world((), "GET")
    first, second = await answers(here, one(host=host), one())
    assert (first.body, here.outcomes) == (second.body, ["miss", "hit"])


ANOTHER_HOST = {
    "another origin": (b"http://evil.test/kept/a", b"evil.test"),
    "another origin behind credentials": (b"http://site.test@evil.test/kept/a", b"evil.test"),
    "the same, with credentials": (b"http://evil.test@site.test/kept/a", HOST),
    "another scheme": (b"https://evil.test/kept/a", b"evil.test"),
}


@pytest.mark.parametrize(("target", "host"), ANOTHER_HOST.values(), ids=ANOTHER_HOST)
async def test_the_host_of_an_absolute_target_is_the_one_that_counts(target: bytes, host: bytes) -> None:
    stand = Stand(echo, rules=(rule(),))
    await stand.serve(path="/kept/a", extensions={EXTENSION: {"target": target}})
    stand.sent.clear()
    await stand.serve(path="/kept/a", raw_path=b"/kept/a")
    assert literal_eval(b"".join(one.get("body", b"") for one in stand.sent).decode())[1:3] == (HOST, b"/kept/a")
    assert (stand.request.header(b"host"), len(stand.world.engine.requests)) == (host, 1 if host == HOST else 2)


OURS = (
    (b"frontrunner-arm", b"evil"), (b"frontrunner-shadow", b"evil"), (b"frontrunner-cache-control", b"no-store"),
    (b"cdn-cache-control", b"no-store"), (b"cache-status", b"evil; hit"), (b"age", b"99999"),
    (b"x-request-id", b"e" * 32), (b"x-request-id", b"evil"), (b"via", b"1.1 evil"), (b"x-forwarded-for", b"evil"),
)  # fmt: skip


@pytest.mark.parametrize("field", OURS, ids=lambda field: b": ".join(field).decode())
async def test_our_own_fields_sent_by_a_client_are_not_heeded(field: tuple[bytes, bytes]) -> None:
    """They neither change what is stored nor are part of what another client gets."""
    here = World(FakeEngine(answer(b"page")))
    attacker, victim, again = await answers(here, one("/kept/a", field), one(), one("/kept/a", field))
    assert {got.body for got in (attacker, victim, again)} == {b"page"}
    assert here.outcomes == ["miss", "hit", "hit"]
    assert not [value for _, value in victim.headers if field[1] in value]
    assert victim.header(b"age") == b"0"


async def test_a_request_in_our_own_name_leaves_nothing() -> None:
    here = world((), "GET")
    refused, victim = await answers(here, one("/kept/a", (b"via", VIA)), one())
    assert (refused.status, victim.body) == (508, echo(one()).body)


GERMAN = (b"accept-language", b"de")
OWNERS_WORD = {
    "the owner names it": ((Headers(("accept-language",)),), ["miss", "miss", "hit"]),
    "the owner says that it does not matter": ((), ["miss", "hit", "hit"]),
}


@pytest.mark.parametrize(("normalizers", "outcomes"), OWNERS_WORD.values(), ids=OWNERS_WORD)
async def test_a_language_that_the_origin_heeds_without_vary(normalizers: tuple, outcomes: list[str]) -> None:
    """No cache can know (RFC 9111 §4.1): under an owner's ttl without the field in its key it is the owner's word."""
    here = World(FakeEngine(echo), rules=(rule(normalizers=normalizers),))
    await answers(here, one("/kept/a", GERMAN), one(), one("/kept/a", GERMAN))
    assert here.outcomes == outcomes


DECEIVED = (
    "/account/x.css", "/account/.css", "/account;.css", "/account%00.css", "/account%0a.css", "/account%23.css",
    "/account%3f.css", "/account/..%2fx.css", "/static/..%2faccount", "/static/%2e%2e/account", "/static/..;/account",
)  # fmt: skip
STATIC = {"path": "/**.css"}, {"path": "/static/**"}
PROTECTED = {
    "cookies pass": ({}, ()),
    "cookies named": ({"cookies": ("sid",)}, ()),
    "cookies ignored, the answer private": ({"cookies": "ignore"}, ((b"cache-control", b"private"),)),
    "cookies ignored, the answer not to be stored": ({"cookies": "ignore"}, ((b"cache-control", b"no-store"),)),
    "cookies ignored, the answer sets one": ({"cookies": "ignore"}, ((b"set-cookie", b"sid=alice"),)),
    "cookies ignored, the answer varies": ({"cookies": "ignore"}, ((b"vary", b"Cookie"),)),
}


@pytest.mark.parametrize(("says", "fields"), PROTECTED.values(), ids=PROTECTED)
async def test_a_page_that_was_made_to_look_static_stays_its_owners(says: dict, fields: tuple) -> None:
    """Cache deception: the attacker has the victim ask, and then asks the same."""
    rules = tuple(rule(f"{n}", **where, **says) for n, where in enumerate(STATIC))
    here = World(FakeEngine(lambda request: answer(b"for %b" % (request.header(b"cookie") or b"all"), *fields)), rules)
    for target in DECEIVED:
        victim, attacker = await answers(here, one(target, ALICE), one(target))
        assert (victim.body, attacker.body) == (b"for sid=alice", b"for all"), target
        assert not [value for name, value in attacker.headers if b"alice" in value and name != b"set-cookie"]


def either(request: Request) -> Response:
    """Answer by the last `q`, as services do that end a target at `#` and a pair at `;` as well as at `&`."""
    raw = request.target.partition(b"#")[0].partition(b"?")[2].replace(b";", b"&")
    return answer(dict(map(tuple, pairs(raw))).get(b"q", b"none"))


def form_either(request: Request) -> Response:
    return answer(dict(map(tuple, pairs(request.body.replace(b";", b"&")))).get(b"q", b"none"))


def by_folded_names(request: Request) -> Response:
    """Answer as CGI and WSGI do, which take `_` in the name of a field for `-`."""
    folded = {name.replace(b"_", b"-"): value for name, value in request.headers}
    return answer(repr([folded.get(name) for name in (b"x-forwarded-host", b"x-api-key")]).encode())


DROPS, KEEPS = {"normalizers": (DropParams(("utm_*",)),)}, {"normalizers": (KeepParams(("q",)),)}
FORMED = {"normalizers": (Form(ignore=("utm_*",)),), "safe": True, "methods": frozenset({"POST"})}
Q = "/kept/a?q=good"
CLOAKED = "a pair that is left out takes another with it, which services read that split at `;`, or end at `#`"
ODD = {
    "; in what drop_params leaves out": (CLOAKED, either, DROPS, one(Q + "&utm_x=1;q=evil"), one(Q)),
    "# in what drop_params leaves out": (CLOAKED, either, DROPS, one("/kept/a?utm_x=1#&q=good"), one(Q)),
    "; in what keep_params leaves out": (CLOAKED, either, KEEPS, one(Q + "&x=1;q=evil"), one(Q)),
    "; in what form ignores": (
        CLOAKED, form_either, FORMED, one("/kept/a", FORM, method="POST", body=b"q=good&utm_x=1;q=evil"),
        one("/kept/a", FORM, method="POST", body=b"q=good"),
    ),
    "_ in the name of a field": (
        "CGI and WSGI read X_Forwarded_Host as X-Forwarded-Host", by_folded_names, {},
        one("/kept/a", (b"x_forwarded_host", b"evil.test")), one(),
    ),
    "_ in the name of credentials": (
        "CGI and WSGI read X_Api_Key as X-Api-Key; the answer was kept as that for nobody", by_folded_names,
        {"private_by": (b"x-api-key",)}, one("/kept/a", (b"x_api_key", b"alice")), one(),
    ),
    **{f"{name.decode()}, a kin of X-Forwarded-Proto": (
        "read by gunicorn (its default) and by Tornado", echo, {},
        one("/kept/a", (name, b"ssl")), one(),
    ) for name in (b"x-forwarded-protocol", b"x-scheme")},
    "another scheme, told to an app in this process": (
        "the asgi engine tells the app its client's scheme",
        lambda request: answer(request.client.scheme.encode()), {"by_scheme": True}, one(scheme="http"), one(scheme="https"),
    ),
    **{f"{target} leaves what the rule names": (
        "a service that decodes and resolves it answers with /account, to whose cookie the owner never said `ignore`",
        lambda request: answer(request.header(b"cookie") or b"all"), {"cookies": "ignore"}, one(target, ALICE), one(target),
    ) for target in ("/kept/../account", "/kept/..%2faccount", "/kept/%2e%2e/account", "/kept/..;/account")},
}  # fmt: skip


@pytest.mark.parametrize(("why", "origin", "says", "attacker", "victim"), ODD.values(), ids=ODD)
async def test_what_poisoned_once(why: str, origin: Callable, says: dict, attacker: Request, victim: Request) -> None:
    """Each says why it could."""
    here = World(FakeEngine(origin), rules=(rule(**says),))
    _, got = await answers(here, attacker, victim)
    assert got.body == origin(victim).body, why
