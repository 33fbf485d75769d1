"""Cookies and credentials: what is personal is never another client's answer, whatever the owner's ttl says."""

import itertools

import pytest
from running import Proxy, status_of
from wire import Answer, RawUpstream, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")


def rule(name: str, **more: object) -> dict[str, object]:
    """Return a rule for the paths below /name."""
    return {"name": name, "match": {"path": f"/{name}/**"}, "ttl": "1h", **more}


CONFIG = {
    "rules": [
        rule("plain"),
        rule("careless", cookies="ignore"),
        rule("by_cookie", cookies=["sid"]),
        rule("by_user", private_by=["Authorization"]),
    ]
}
numbers = itertools.count()
ANN, BOB = b"Authorization: Bearer ann-secret", b"Authorization: Bearer bob-secret"


@pytest.fixture(autouse=True)
def personal(upstream: RawUpstream) -> None:
    """Let the upstream answer with what it was told of the client."""
    upstream.answer = lambda exchange: reply(
        200,
        b"%s %s %d"
        % (b"".join(exchange.values(b"authorization")), b"; ".join(exchange.values(b"cookie")), next(numbers)),
    )


async def ask(proxy: Proxy, target: str, *asks: list[bytes]) -> list[Answer]:
    """Ask for one target several times, each with its own fields."""
    return [await proxy.ask("GET", target, *fields) for fields in asks]


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (b"Cookie: sid=1", "cookie"),
        (b"Authorization: Basic dTpw", "credentials"),
        (b"Cookie:", "cookie"),
    ],
)
async def test_personal_requests_pass_under_an_owners_ttl(
    field: bytes, reason: str, upstream: RawUpstream, proxy: Proxy
) -> None:
    """They are not answered from the store and not stored, with the reason, and reach the upstream as they came."""
    target = f"/plain/{reason}{len(field)}"
    first, second, anonymous, third = await ask(proxy, target, [field], [field], [], [field])
    assert len({answer.body for answer in (first, second, anonymous, third)}) == 4
    for answer in (first, second, third):
        line = await proxy.line(answer)
        assert (line["outcome"], line["reason"]) == ("passthrough", reason)
        assert "hit" not in status_of(answer)[1]
    assert (await proxy.line(anonymous))["outcome"] == "miss"
    name, _, value = field.partition(b":")
    assert upstream.seen(target.encode())[0].values(name) == [value.strip()]


async def test_ignored_cookies_still_go_up(upstream: RawUpstream, proxy: Proxy) -> None:
    """With `cookies: ignore` clients share an answer; the one that is fetched is fetched as its client asked."""
    first, second, third = await ask(proxy, "/careless/1", [b"Cookie: theme=dark"], [b"Cookie: theme=light"], [])
    assert first.body == second.body == third.body
    assert [exchange.values(b"cookie") for exchange in upstream.seen(b"/careless/1")] == [[b"theme=dark"]]


async def test_ignored_cookies_do_not_share_what_sets_one(upstream: RawUpstream, proxy: Proxy) -> None:
    """Not even then is an answer with Set-Cookie kept."""
    upstream.routes[b"/careless/login"] = lambda exchange: reply(200, b"x", b"Set-Cookie: sid=%d" % next(numbers))
    first, second = await ask(proxy, "/careless/login", [b"Cookie: a=1"], [b"Cookie: a=1"])
    assert first.values(b"set-cookie") != second.values(b"set-cookie")


async def test_named_cookies_are_part_of_the_key(upstream: RawUpstream, proxy: Proxy) -> None:
    """Equal values of the named cookie share an answer, whatever the other cookies are; others do not."""
    fields = [b"Cookie: sid=1", b"Cookie: x=y; sid=1", b"Cookie: sid=2", b"Cookie: xsid=1", b"Cookie: x=sid=1"]
    one, same, two, *others = await ask(proxy, "/by_cookie/1", *[[field] for field in fields], [])
    assert one.body == same.body
    assert len({answer.body for answer in (one, two, others[0])}) == 3
    assert not {answer.body for answer in others} & {one.body, two.body}


async def test_private_answers_are_keyed_apart(upstream: RawUpstream, proxy: Proxy) -> None:
    """With `private_by: [Authorization]` each user has hits of their own, and never a byte of another's."""
    for _ in range(2):
        for number in range(3):
            target = f"/by_user/{number}"
            ann, bob, anonymous, ann_again = await ask(proxy, target, [ANN], [BOB], [], [ANN])
            assert (b"ann-secret" in ann.body, b"bob-secret" in bob.body) == (True, True)
            assert b"secret" not in anonymous.body
            assert b"bob" not in ann.body
            assert (ann_again.body, status_of(ann_again)[0]) == (ann.body, "hit")
    assert "secret" not in str(proxy.log)


async def test_the_key_in_the_log_is_not_made_of_the_secret_alone(upstream: RawUpstream, proxy: Proxy) -> None:
    """Two users have two keys; the credential itself is in neither log nor answer fields."""
    ann, bob = await ask(proxy, "/by_user/keys", [ANN], [BOB])
    first, second = await proxy.line(ann), await proxy.line(bob)
    assert first["key_hash"] != second["key_hash"]
    assert not any(b"secret" in value for answer in (ann, bob) for _, value in answer.fields)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"max-age=600", False),
        (b"public, max-age=600", True),
        (b"s-maxage=600", True),
        (b"private, max-age=600", False),
    ],
)
async def test_default_rule_credentials_follow_rfc_9111(
    said: bytes, kept: bool, upstream: RawUpstream, proxy: Proxy
) -> None:
    """Without a rule, an answer to Authorization is shared only if the origin says so (RFC 9111 §3.5)."""
    target = f"/free/{len(said)}"
    upstream.routes[target.encode()] = lambda exchange: reply(200, b"%d" % next(numbers), b"Cache-Control: " + said)
    first, second = await ask(proxy, target, [ANN], [BOB])
    assert (first.body == second.body) is kept
    if not kept:
        third, fourth = await ask(proxy, target, [ANN], [ANN])
        assert third.body != fourth.body
