"""Warming a proxy that runs: what a list, its own log or a recording names is a hit from then on, for those who ask so."""

import asyncio
import gzip
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from running import BEARER, TOKEN, Proxy, status_of
from wire import Exchange, RawUpstream, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {
    "rules": [
        {"name": "page", "match": {"path": "/page/**"}, "key": ["sort_params"], "ttl": "1h"},
        {"name": "ask", "match": {"method": "POST", "path": "/ask"}, "safe": True, "key": ["json"], "ttl": "1h"},
    ]
}


@pytest.fixture(autouse=True)
def afresh(upstream: RawUpstream) -> None:
    """Let the upstream answer everything."""
    upstream.answer, upstream.routes = reply(200, b"found"), {}


async def warm(proxy: Proxy, content: bytes, *arguments: str, code: int = 0, token: str = TOKEN) -> tuple[str, str]:
    """Run `frontrunner warm -` as an operator does; return what it prints, and what it says beside that."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy", "warm", "-", *arguments, cwd=Path(__file__).parents[2],
        env=os.environ | {"FRONTRUNNER_URL": proxy.url, "FRONTRUNNER_TOKEN": token},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await running.communicate(content)
    assert running.returncode == code, (out, err)
    return out.decode(), err.decode()


def entry(url: str, method: str = "GET", body: str = "", **more: Any) -> dict[str, Any]:
    """Record one exchange as a browser does."""
    fields = [{"name": "Content-Type", "value": "application/json"}, {"name": "Cookie", "value": "hunter2"}]
    sent = {"postData": {"mimeType": "application/json", "text": body}, "bodySize": len(body.encode())} if body else {}
    return {"request": {"method": method, "url": url, "headers": fields, **sent}, "response": {"status": 200}, **more}


async def test_a_list_is_in_the_store_then(proxy: Proxy, upstream: RawUpstream) -> None:
    content = b"http://site.test/page/list?b=1&a=2\n/page/other\nno url\n/page/list/%7e%2F\n"
    out, err = await warm(proxy, gzip.compress(content))
    assert out == "asked 3: 3 stored, 0 already there, 0 not stored, 0 failed\n"
    assert err == "cannot be read: line 3: no http or https URL\n"
    for exchange in upstream.exchanges[-3:]:
        assert exchange.values(b"priority") == [b"u=7"]
    assert status_of(await proxy.ask("GET", "/page/list?a=2&b=1"))[0] == "hit"
    assert status_of(await proxy.ask("GET", f"{proxy.url}/page/other"))[0] == "hit"
    again, _ = await warm(proxy, content)
    assert again == "asked 3: 0 stored, 3 already there, 0 not stored, 0 failed\n"


async def test_its_own_log_costliest_first(proxy: Proxy, upstream: RawUpstream) -> None:
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.2)
        await exchange.send(reply(200, b"slow"))

    upstream.routes[b"/page/slow"] = slow
    answers = [
        await proxy.ask("GET", target)
        for target in ("/page/quick", "/page/slow", "/page/many?a=1", "/page/many?a=2", "/page/slow")
    ]
    answers.append(await proxy.ask("POST", "/page/quick", body=b"x"))
    log = "\n".join([json.dumps(await proxy.line(answer)) for answer in answers]).encode()
    everything = b'{"all": true}'
    purged = await proxy.ask(
        "POST", "/_frontrunner/cache/purge", BEARER, b"Content-Type: application/json", body=everything
    )
    assert purged.status == 200
    before = len(upstream.exchanges)
    out, err = await warm(proxy, log, "--header", "Host: site.test")
    assert [exchange.target for exchange in upstream.exchanges[before:]] == [b"/page/slow", b"/page/quick"]
    assert out == "asked 2: 2 stored, 0 already there, 0 not stored, 0 failed\n"
    assert "left out: 1 (paths of several keys" in err
    assert status_of(await proxy.ask("GET", "/page/slow"))[0] == "hit"


async def test_a_recording_with_the_posts_that_a_rule_calls_safe(proxy: Proxy, upstream: RawUpstream) -> None:
    har = {
        "log": {
            "entries": [
                entry("http://site.test/page/har", time=5),
                entry("http://site.test/ask", "POST", '{"a": 1, "b": "ä"}', time=900),
                entry("http://site.test/order", "POST", '{"buy": 1}', time=900),
                entry("http://cdn.test/page/har"),
            ]
        }
    }
    before = len(upstream.exchanges)
    out, err = await warm(proxy, json.dumps(har).encode())
    assert out == "asked 2: 2 stored, 0 already there, 0 not stored, 0 failed, 1 not asked (no_rule)\n"
    assert "cdn.test" in err
    assert [exchange.target for exchange in upstream.exchanges[before:]] == [b"/ask", b"/page/har"]
    assert b"hunter2" not in b"".join(exchange.head_bytes for exchange in upstream.exchanges[before:])
    body = '{"b":"ä","a":1}'.encode()
    asked = await proxy.ask("POST", "/ask", b"Content-Type: application/json", body=body)
    assert status_of(asked)[0] == "hit"
    assert not upstream.seen(b"/order")


async def test_without_the_token_no_post_is_asked(proxy: Proxy, upstream: RawUpstream) -> None:
    har = {"log": {"entries": [entry("http://site.test/ask", "POST", '{"a": 2}')]}}
    before = len(upstream.exchanges)
    out, _ = await warm(proxy, json.dumps(har).encode(), token="wrong")
    assert out.endswith("1 not asked (whether a rule says safe is not told without the token)\n")
    assert len(upstream.exchanges) == before


async def test_what_is_not_stored_and_what_fails(proxy: Proxy, upstream: RawUpstream, tmp_path: Path) -> None:
    upstream.routes = {
        b"/page/no": reply(200, b"x", b"Cache-Control: no-store"),
        b"/page/bad": reply(500),
        b"/page/cut": reply(200, b"whole")[:-2],
        b"/page/busy": [reply(503, b"", b"Retry-After: 0"), reply(200, b"well")],
        b"/page/gone": reply(404),
    }
    content = b"/page/no\n/page/bad\n/page/cut\n/page/busy\n/page/gone\n/page/fine\n"
    file = str(tmp_path / "done")
    out, _ = await warm(proxy, content, "--resume", file, "--parallel", "3", code=1)
    assert out.startswith("asked 6: 2 stored, 0 already there, 2 not stored (")
    assert "1 no_store" in out
    assert "1 status 404" in out
    assert " 2 failed (" in out
    upstream.routes = {}
    out, _ = await warm(proxy, content, "--resume", file)
    assert out == "asked 2: 2 stored, 0 already there, 0 not stored, 0 failed, 4 done before\n"
