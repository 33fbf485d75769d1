"""The admin interface below /_frontrunner: what is open, what needs the token, what goes upstream, what it counts."""

import pytest
from running import BEARER, TOKEN, Proxy, check_problem
from wire import RawUpstream, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {"rules": [{"name": "query", "match": {"path": "/query/**"}, "ttl": "1h"}]}
OPEN = ["livez", "readyz"]
CLOSED = ["performance", "performance/query", "cache/status", "cache/query/info", "metrics"]
WRONG = [
    [],
    [b"Authorization: Bearer wrong"],
    [b"Authorization: Bearer "],
    [b"Authorization: Bearer " + TOKEN.encode()[:-1]],
    [b"Authorization: Bearer " + TOKEN.encode() + b"x"],
    [b"Authorization: Basic " + TOKEN.encode()],
    [b"Authorization: " + TOKEN.encode()],
    [b"Authorization: Bearer \xff\xfe"],
    [b"X-Forwarded-For: 127.0.0.1", b"X-Real-IP: 127.0.0.1"],
    [b"Cookie: token=" + TOKEN.encode()[:-1]],
]


async def story(proxy: Proxy, upstream: RawUpstream) -> None:
    """Make a miss, two hits, a passthrough and an upstream error."""
    for _ in range(3):
        await proxy.ask("GET", "/query/1")
    await proxy.ask("POST", "/elsewhere", body=b"x")
    upstream.refuse()
    assert (await proxy.ask("GET", "/query/2")).status == 502
    await upstream.listen()


def numbers_only(tree: object) -> bool:
    """Tell whether a JSON tree holds no NaN, no null and no number in a string."""
    if isinstance(tree, dict):
        return all(numbers_only(value) for name, value in tree.items() if name != "version")
    if isinstance(tree, list):
        return all(numbers_only(value) for value in tree)
    return tree is not None and tree == tree and not (isinstance(tree, str) and tree.replace(".", "").isdigit())


@pytest.mark.parametrize("path", OPEN)
async def test_health_needs_no_token_and_no_upstream(path: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """Alive and ready are told at once, and the slow upstream is not asked."""
    before = len(upstream.exchanges)
    assert (await proxy.ask("GET", f"/_frontrunner/{path}")).status == 200
    assert len(upstream.exchanges) == before


@pytest.mark.parametrize("path", CLOSED)
async def test_without_the_right_token_it_is_always_a_401(path: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """Nothing is told, nothing goes upstream, and a peer's address is no credential."""
    before = len(upstream.exchanges)
    for fields in WRONG:
        answer = await proxy.ask("GET", f"/_frontrunner/{path}", *fields)
        check_problem(answer, 401, answer.json().get("reason"))
    assert (await proxy.ask("GET", f"/_frontrunner/{path}?token=wrong")).status == 401
    assert len(upstream.exchanges) == before


@pytest.mark.parametrize("path", CLOSED)
async def test_with_the_token_it_answers(path: str, proxy: Proxy) -> None:
    """The bearer token opens every registered path; what is JSON has plain numbers."""
    answer = await proxy.ask("GET", f"/_frontrunner/{path}", BEARER)
    assert answer.status == 200
    if path != "metrics":
        assert answer.value(b"content-type").startswith(b"application/json")
        assert numbers_only(answer.json())


async def test_a_token_in_the_address_becomes_a_cookie(proxy: Proxy) -> None:
    """`?token=` sets a cookie for browsers, which then opens the rest; the cookie is out of reach for scripts."""
    answer = await proxy.ask("GET", f"/_frontrunner/performance?token={TOKEN}")
    cookies = answer.values(b"set-cookie")
    assert len(cookies) == 1
    pair, *attributes = [part.strip() for part in cookies[0].split(b";")]
    assert b"httponly" in [attribute.lower() for attribute in attributes]
    assert any(attribute.lower().startswith(b"samesite=") for attribute in attributes)
    opened = await proxy.ask("GET", "/_frontrunner/cache/status", b"Cookie: other=1; " + pair)
    assert opened.status == 200
    name = pair.partition(b"=")[0]
    assert (await proxy.ask("GET", "/_frontrunner/cache/status", b"Cookie: " + name + b"=wrong")).status == 401
    assert TOKEN not in str(proxy.log)


@pytest.mark.parametrize(
    "path", ["/_frontrunner/nothing/here", "/_frontrunnerx", "/_front", "/performance", "/cache/status"]
)
async def test_other_paths_go_upstream(path: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """Unregistered paths below the prefix, and everything outside it, belong to the upstream, token or not."""
    upstream.routes[path.encode()] = reply(200, b"from upstream")
    assert (await proxy.ask("GET", path)).body == b"from upstream"
    assert (await proxy.ask("GET", path, BEARER)).body == b"from upstream"


async def test_performance_counts_what_happened(upstream: RawUpstream, proxy: Proxy) -> None:
    """Per operation: n and quantiles by outcome, upstream seconds, our overhead, errors by source."""
    await story(proxy, upstream)
    found = (await proxy.admin("performance/query")).json()
    assert {"n", "upstream_s", "overhead_s", "errors"} <= found.keys()
    assert found["n"] >= 4
    text = str(found)
    assert all(name in text for name in ("p50_s", "p90_s", "p99_s", "max_s", "hit", "miss", "error"))
    assert found["errors"]["upstream"] >= 1
    assert "query" in (await proxy.admin("performance")).body.decode()


async def test_cache_status_counts_entries_and_what_they_saved(upstream: RawUpstream, proxy: Proxy) -> None:
    """Entries, bytes, limit, hit ratio and seconds saved are there, and follow what happens."""
    before = (await proxy.admin("cache/status")).json()
    assert {"entries", "bytes", "limit_bytes", "hit_ratio", "seconds_saved"} <= before.keys()
    for target in ("/query/new", "/query/new"):
        await proxy.ask("GET", target)
    after = (await proxy.admin("cache/status")).json()
    assert after["entries"] == before["entries"] + 1
    assert before["bytes"] < after["bytes"] <= after["limit_bytes"]
    assert 0 < after["hit_ratio"] < 1
    assert after["seconds_saved"] >= before["seconds_saved"]


async def test_cache_info_tells_of_one_rule(upstream: RawUpstream, proxy: Proxy) -> None:
    """A rule's name is its type; an unknown one is a 404 of ours."""
    await proxy.ask("GET", "/query/info")
    assert (await proxy.admin("cache/query/info")).json()
    for path in ("cache/nonsense/info", "performance/nonsense"):
        answer = await proxy.admin(path)
        check_problem(answer, 404, answer.json().get("reason"))


async def test_metrics_are_in_the_exposition_format(upstream: RawUpstream, proxy: Proxy) -> None:
    """Prometheus can read them; outcomes are the words of the log."""
    await proxy.ask("GET", "/query/metrics")
    answer = await proxy.admin("metrics")
    assert answer.value(b"content-type").startswith((b"text/plain", b"application/openmetrics-text"))
    rows = [row for row in answer.body.decode().splitlines() if row and not row.startswith("#")]
    assert rows
    assert all(float(row.rpartition(" ")[2]) is not None for row in rows)
    assert 'outcome="miss"' in answer.body.decode()


async def test_refusals_and_cookies_are_kept_by_nobody(proxy: Proxy) -> None:
    """A 401, and the answer that sets the cookie, say no-store."""
    for target in ("performance", f"performance?token={TOKEN}"):
        answer = await proxy.ask("GET", f"/_frontrunner/{target}")
        assert b"no-store" in answer.value(b"cache-control")
