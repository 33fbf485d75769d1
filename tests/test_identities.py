"""Two clients, one URL, interleaved, under every combination of what a rule and an answer can say: never a foreign byte.

An answer holds whose it is, in its body and in a field, unless somebody gave the word that it is for all. Who can:

- the owner, for a ttl of theirs: `cookies: ignore`, or names among which the client's is not; and every field that a
  cache takes for no credentials (a language, an API key) and that is neither in `private_by` nor in the key;
- the origin, by a lifetime of its own (`max-age`) without a Vary: for a Cookie (RFC 9111 §3, §4.1), not for
  Authorization (§3.5).

An origin that breaks its word, or makes an owner break theirs, cannot be guarded against: `cookies: ignore` before
answers that differ by Cookie is the owner's fault. But what such an answer itself says still protects it: private,
no-store, Set-Cookie, Vary. Where the word was given and nothing protects, the answer must be shared.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import pytest
from fakes import FakeDelivery, FakeEngine, answer
from race import turns
from world import HOST, World, rule

from proxy.core.types import Client, Headers, Request, Response

TTLS = ("owner", "max-age", "guess")
SAYS: dict[str, Headers] = {
    "nothing": (),
    "Vary: Cookie": ((b"vary", b"Cookie"),),
    "Vary: Authorization": ((b"vary", b"Authorization"),),
    "Vary: Accept-Language": ((b"vary", b"Accept-Language"),),
    "Vary: *": ((b"vary", b"*"),),
    "Vary: all": ((b"vary", b"Accept, authorization"), (b"vary", b"COOKIE,Accept-Language, x-api-key")),
    "private": ((b"cache-control", b"private"),),
    "no-store": ((b"cache-control", b"no-store"),),
    "Set-Cookie": ((b"set-cookie", b"sid=%b; path=/"),),
}
NEVER_KEPT = {"Vary: *", "private", "no-store", "Set-Cookie"}
COOKIE, AUTHORIZATION, KEY = b"cookie", b"authorization", b"x-api-key"
SENT = {
    COOKIE: b"theme=dark; sid=%b", AUTHORIZATION: b"Bearer %b", KEY: b"%b", b"accept-language": b"%b",
}  # fmt: skip
COOKIES = ("pass", "ignore", ("sid",), ("theme",))
# By what the two differ; then `cookies` and `private_by`: all of them where the field is there that they are about.
WAYS = {
    "cookie": ((COOKIE,), COOKIES, ((), (AUTHORIZATION,))),
    "authorization": ((AUTHORIZATION,), ("pass",), ((), (AUTHORIZATION,), (AUTHORIZATION, KEY))),
    "cookie and authorization": ((COOKIE, AUTHORIZATION), COOKIES[1:3], ((), (AUTHORIZATION,))),
    "api key": ((KEY,), ("ignore",), ((), (KEY,))),
    "language": ((b"accept-language",), ("ignore",), ((),)),
}
ALICE, BOB, NOBODY = b"alice", b"bob", b"nobody"
IDS = {ALICE: b"a" * 32, BOB: b"b" * 32, NOBODY: b"c" * 32}
LONG_AGO = b"Sun, 02 Sep 2001 01:46:40 GMT"


@dataclass(frozen=True)
class Case:
    """One combination."""

    differ: tuple[bytes, ...]
    cookies: str | tuple[str, ...]
    private_by: tuple[bytes, ...]
    ttl: str
    says: str

    @property
    def passes(self) -> bool:
        """Tell whether each of these requests goes upstream on its own, or its answer is not kept."""
        by_cookie = self.cookies == "pass" if self.ttl == "owner" else self.ttl == "guess"
        by_credentials = AUTHORIZATION not in self.private_by
        return (
            self.says in NEVER_KEPT
            or (COOKIE in self.differ and by_cookie)
            or (AUTHORIZATION in self.differ and by_credentials)
        )

    @property
    def told_apart(self) -> bool:
        """Tell whether the two have answers of their own, by their key or by Vary."""
        named = {*self.private_by, COOKIE if "sid" in self.cookies else b""}
        varies = {f"vary: {name.decode()}" for name in self.differ} | {"vary: all"}
        return self.says.lower() in varies or not named.isdisjoint(self.differ)

    @property
    def for_all(self) -> bool:
        """Tell whether somebody gave the word that the two get the same, and nothing protects them."""
        return not self.passes and not self.told_apart


@dataclass
class Origin(FakeEngine):
    """Answers each with its own name where it is not said that all get the same; holds back until told."""

    case: Case
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        super().__init__(self._answer)

    async def send(self, request: Request, *, fresh: bool = False) -> Response:
        response = await super().send(request, fresh=fresh)
        await self.go.wait()
        return response

    def _answer(self, request: Request) -> Response:
        value = request.header(self.case.differ[0]) or NOBODY
        whose = b"all" if self.case.for_all else value.rpartition(b"=")[2].rpartition(b" ")[2]
        says = [(name, said.replace(b"%b", whose)) for name, said in SAYS[self.case.says]]
        lifetime = {"max-age": ((b"cache-control", b"max-age=60"),), "guess": ((b"last-modified", LONG_AGO),)}
        body = b"" if request.method == "HEAD" else b"page of " + whose
        return answer(
            body, (b"x-user", whose), *says, *lifetime.get(self.case.ttl, ()), length=request.method != "HEAD"
        )


def asked(case: Case, method: str, who: bytes) -> Request:
    content = ((b"content-type", b"text/plain"),) if method in {"POST", "QUERY"} else ()
    differ = () if who == NOBODY else case.differ
    own = (*[(name, SENT[name] % who) for name in differ], (b"x-request-id", IDS[who]))
    return Request(method, b"/kept/a", (HOST, *own, *content), b"q" * len(content), Client("192.0.2.7", "192.0.2.7"))


def cases(way: str) -> Iterator[Case]:
    differ, *rule_says = WAYS[way]
    for combination in product(*rule_says, TTLS, SAYS):
        yield Case(differ, *combination)


def world(case: Case, method: str) -> World:
    seconds = 3600.0 if case.ttl == "owner" else None
    sent = {"HEAD": "GET", "QUERY as POST": "POST"}.get(method, method)
    rules = (
        rule(
            ttl=seconds, cookies=case.cookies, private_by=case.private_by, safe=True, methods=frozenset({sent}),
            offers_query=method == "QUERY as POST",
        ),
    )  # fmt: skip
    return World(Origin(case), rules=rules)


def check(case: Case, who: bytes, got: FakeDelivery) -> None:
    """No byte of another's, and all that is its own."""
    whole = b"\n".join([got.body, *[b": ".join(field) for field in got.headers]])
    foreign = [value for other, number in IDS.items() if other != who for value in (other, number) if value in whole]
    assert not foreign, f"{case}: {who} got {whole}"
    own = b"all" if case.for_all else who
    assert (got.status, got.header(b"x-user"), got.header(b"x-request-id")) == (200, own, IDS[who]), case
    assert got.body in {b"", b"page of " + own}, case


ASKS = {method: ((method, ALICE), (method, BOB), (method, ALICE), (method, BOB)) for method in ("GET", "POST", "QUERY")}
ASKS["HEAD"] = (("GET", ALICE), ("HEAD", BOB), ("HEAD", ALICE), ("GET", BOB), ("HEAD", BOB))
ASKS["QUERY as POST"] = (("QUERY", ALICE), ("POST", BOB), ("POST", ALICE), ("QUERY", BOB))


def calls(case: Case, method: str) -> int:
    """Return how often the upstream is asked, one after the other; a HEAD brings nothing that is kept."""
    kept, count = set(), 0
    for each, who in ASKS[method]:
        place = None if case.passes else b"all" if case.for_all else who
        count += place not in kept
        kept |= {place} - {None} if each != "HEAD" else set()
    return count


@pytest.mark.parametrize("method", ASKS)
@pytest.mark.parametrize("way", WAYS)
async def test_one_after_the_other(way: str, method: str) -> None:
    """Each gets its own, and what may be shared is; then somebody comes who says nothing of who that is."""
    for case in cases(way):
        here = world(case, method)
        here.engine.go.set()
        for each, who in ASKS[method]:
            check(case, who, await here.ask(asked(case, each, who)))
        assert len(here.engine.requests) == calls(case, method), f"{case}: {here.outcomes}"
        check(case, NOBODY, await here.ask(asked(case, ASKS[method][0][0], NOBODY)))
        assert here.log.failures == []


@pytest.mark.parametrize("method", ASKS)
@pytest.mark.parametrize("way", WAYS)
async def test_at_once(way: str, method: str) -> None:
    """All wait before the first is answered; then they ask again."""
    for case in cases(way):
        here, asks = world(case, method), ASKS[method]
        waiting = [here.start(asked(case, each, who)) for each, who in asks]
        await turns(8)
        here.engine.go.set()
        for (_, who), got in zip(asks, await asyncio.gather(*waiting), strict=True):
            check(case, who, got)
        first = len(here.engine.requests)
        for each, who in asks[:2]:
            check(case, who, await here.ask(asked(case, each, who)))
        again = len(here.engine.requests) - first
        if case.passes:
            assert (first, again) == (len(asks), 2), f"{case}: {here.outcomes}"
        elif case.for_all:
            heads = sum(each == "HEAD" for each, _ in asks)
            assert (first, again) == (1 + heads, 0), f"{case}: {here.outcomes}"
        else:  # of two variants the one that waited for the other's is not kept
            assert again <= 1, f"{case}: {here.outcomes}"


# Who is somebody: by what, then `cookies`, `private_by`, ttl, and what the answer says.
BEFORE_SOMEBODY = (
    ("cookie", "pass", (), "owner", "nothing"),
    ("cookie", ("sid",), (), "owner", "nothing"),
    ("cookie", "ignore", (), "owner", "Vary: Cookie"),
    ("cookie", "pass", (), "guess", "nothing"),
    ("cookie", "pass", (), "max-age", "Vary: Cookie"),
    ("authorization", "pass", (), "owner", "nothing"),
    ("authorization", "pass", (AUTHORIZATION,), "owner", "nothing"),
    ("authorization", "pass", (AUTHORIZATION,), "guess", "nothing"),
    ("authorization", "pass", (), "guess", "nothing"),
    ("authorization", "pass", (), "max-age", "Vary: Authorization"),
    ("api key", "pass", (KEY,), "owner", "nothing"),
)


@pytest.mark.parametrize("method", ["GET", "POST", "QUERY"])
@pytest.mark.parametrize("combination", BEFORE_SOMEBODY)
async def test_what_nobody_got_is_not_for_somebody(combination: tuple, method: str) -> None:
    """The first to come says nothing of who that is."""
    way, *more = combination
    case = Case(WAYS[way][0], *more)
    here = world(case, method)
    here.engine.go.set()
    for who in (NOBODY, ALICE, NOBODY, BOB):
        check(case, who, await here.ask(asked(case, method, who)))
