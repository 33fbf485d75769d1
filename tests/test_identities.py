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

COOKIES = ("pass", "ignore", ("sid",), ("theme",))
PRIVATE_BY = ((), (b"authorization",), (b"x-api-key",), (b"authorization", b"x-api-key"))
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
METHODS = ("GET", "HEAD", "POST", "QUERY", "QUERY as POST")
WAYS: dict[str, tuple[bytes, bytes]] = {
    "cookie": (b"cookie", b"theme=dark; sid=%b"),
    "authorization": (b"authorization", b"Bearer %b"),
    "language": (b"accept-language", b"%b"),
    "api key": (b"x-api-key", b"%b"),
}
IDS = {b"alice": b"a" * 32, b"bob": b"b" * 32}
LONG_AGO = b"Sun, 02 Sep 2001 01:46:40 GMT"


@dataclass(frozen=True)
class Case:
    """One combination."""

    way: str
    cookies: str | tuple[str, ...]
    private_by: tuple[bytes, ...]
    ttl: str
    says: str

    @property
    def passes(self) -> bool:
        """Tell whether each of these requests goes upstream on its own, or its answer is not kept."""
        owners = self.ttl == "owner"
        by_cookie = self.way == "cookie" and (self.cookies == "pass" if owners else self.ttl == "guess")
        by_credentials = self.way == "authorization" and b"authorization" not in self.private_by
        return self.says in NEVER_KEPT or by_cookie or by_credentials

    @property
    def told_apart(self) -> bool:
        """Tell whether the two have answers of their own, by their key or by Vary."""
        name = WAYS[self.way][0]
        varies = self.says == "Vary: all" or self.says.lower() == f"vary: {name.decode()}"
        return varies or name in self.private_by or (self.way == "cookie" and "sid" in self.cookies)

    @property
    def for_all(self) -> bool:
        """Tell whether somebody said that the two get the same, and nothing protects them."""
        return not self.passes and not self.told_apart

    @property
    def says_for_all(self) -> bool:
        """Tell whether its origin, which keeps every word that was given, makes one answer for both."""
        return self.for_all


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
        value = request.header(WAYS[self.case.way][0]) or b""
        whose = b"all" if self.case.for_all else value.rpartition(b"=")[2].rpartition(b" ")[2]
        says = [(name, said.replace(b"%b", whose)) for name, said in SAYS[self.case.says]]
        lifetime = {"max-age": ((b"cache-control", b"max-age=60"),), "guess": ((b"last-modified", LONG_AGO),)}
        body = b"" if request.method == "HEAD" else b"page of " + whose
        return answer(
            body, (b"x-user", whose), *says, *lifetime.get(self.case.ttl, ()), length=request.method != "HEAD"
        )


def asked(case: Case, method: str, who: bytes) -> Request:
    name, value = WAYS[case.way]
    content = ((b"content-type", b"text/plain"),) if method in {"POST", "QUERY"} else ()
    own = ((name, value % who), (b"x-request-id", IDS[who]))
    return Request(method, b"/kept/a", (HOST, *own, *content), b"q" * len(content), Client("192.0.2.7", "192.0.2.7"))


def cases(way: str) -> Iterator[Case]:
    for cookies, private_by, ttl, says in product(COOKIES, PRIVATE_BY, TTLS, SAYS):
        yield Case(way, cookies, private_by, ttl, says)


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
    """No byte of the other's, and all that is its own."""
    (other,) = IDS.keys() - {who}
    whole = b"\n".join([got.body, *[b": ".join(field) for field in got.headers]])
    assert other not in whole, f"{case}: {who} got {whole}"
    assert IDS[other] not in whole, f"{case}: {who} got {whole}"
    own = b"all" if case.for_all else who
    assert (got.status, got.header(b"x-user"), got.header(b"x-request-id")) == (200, own, IDS[who]), case
    assert got.body in {b"", b"page of " + own}, case


def asks_of(method: str) -> list[tuple[str, bytes]]:
    """Return who asks by which method, in turn: a HEAD is answered by what a GET brought."""
    first, *_, last = method.split(" ")
    methods = ("GET", "HEAD", "HEAD", "GET", "GET", "HEAD") if method == "HEAD" else (first, last, last, first)
    names = (b"alice", b"bob", b"alice", b"bob", b"bob", b"alice")
    return list(zip(methods, names, strict=False))


async def one_by_one(case: Case, method: str) -> World:
    here = world(case, method)
    here.engine.go.set()
    for each, who in asks_of(method):
        check(case, who, await here.ask(asked(case, each, who)))
    return here


def calls(case: Case, asks: list[tuple[str, bytes]]) -> int:
    """Return how often the upstream is asked; a HEAD brings nothing that is kept."""
    kept, count = set(), 0
    for method, who in asks:
        place = None if case.passes else b"all" if case.for_all else who
        count += place not in kept
        kept |= {place} - {None} if method != "HEAD" else set()
    return count


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", WAYS)
async def test_one_after_the_other(way: str, method: str) -> None:
    """Each gets its own, and what may be shared is."""
    for case in cases(way):
        here = await one_by_one(case, method)
        assert len(here.engine.requests) == calls(case, asks_of(method)), f"{case}: {here.outcomes}"
        assert here.log.failures == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", WAYS)
async def test_at_once(way: str, method: str) -> None:
    """All wait before the first is answered; then they ask again."""
    for case in cases(way):
        here, asks = world(case, method), asks_of(method)
        waiting = [here.start(asked(case, each, who)) for each, who in asks]
        await turns(20)
        here.engine.go.set()
        for (_, who), got in zip(asks, await asyncio.gather(*waiting), strict=True):
            check(case, who, got)
        first = len(here.engine.requests)
        assert first >= calls(case, asks), case
        if case.for_all and method != "HEAD":
            assert first == 1, f"{case}: {here.outcomes}"
        for each, who in asks:
            check(case, who, await here.ask(asked(case, each, who)))
        again = len(here.engine.requests) - first
        assert again == (len(asks) if case.passes else 0), f"{case}: {here.outcomes}"
