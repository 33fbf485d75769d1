"""`Prefer: respond-async` and `wait` through the real proxy: two workers on one file, a slow upstream, real clients."""

import asyncio
import time

import pytest
from running import check_problem, status_of
from wire import Client, asked, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {
    "workers": 2,
    "store": {"disk": "auto"},
    "rules": [
        {"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h", "private_by": ["X-Key", "Authorization"]},
        {"name": "posted", "match": {"method": "POST", "path": "/posted"}, "safe": True, "ttl": "1h"},
        {"name": "own", "match": {"path": "/own/**"}},
    ],
}
ASYNC = b"Prefer: respond-async"
MINE = b"Authorization: Basic bWU6bWU="
PATIENCE_S = 15.0


def slow(seconds, said=None):
    async def answer(exchange):
        await asyncio.sleep(seconds)
        await exchange.send(said or reply(200, b"x" * 1000, b"X-Sent: on"))

    return answer


def sent(upstream, path):
    return [one for one in upstream.exchanges if one.path == path]


async def result_of(proxy, url, *fields, method="GET"):
    """Ask for a job until it has ended."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await proxy.ask(method, url, *fields)
            if answer.value(b"content-type") != b"application/json" or b'"running"' not in answer.body:
                return answer
            await asyncio.sleep(0.05)


def url_of(answer):
    assert (answer.status, answer.value(b"preference-applied")) == (202, b"respond-async"), answer
    assert answer.json()["url"].encode() == answer.value(b"location")
    return answer.value(b"location").decode()


async def test_a_202_then_progress_then_the_answer(proxy, upstream):
    upstream.routes[b"/kept/a"] = slow(1)
    began = time.perf_counter()
    told = await proxy.ask("GET", "/kept/a", ASYNC, MINE)
    assert time.perf_counter() - began < 0.8
    url = url_of(told)
    assert told.value(b"cache-control") == b"no-store"
    assert int(told.value(b"retry-after")) >= 1
    running = [await proxy.ask("GET", url, MINE) for _ in range(10)]
    assert {one.status for one in running} == {200}
    assert {one.json()["state"] for one in running} == {"running"}
    assert all(one.json()["elapsed_s"] < 1 and one.value(b"retry-after") for one in running)
    answer = await result_of(proxy, url, MINE)
    assert (answer.status, answer.body, answer.value(b"x-sent")) == (200, b"x" * 1000, b"on")
    assert status_of(answer) == ("uri-miss", {"fwd": "uri-miss", "stored": ""})
    assert answer.request_id == told.request_id
    both = [await proxy.ask("GET", url, MINE) for _ in range(20)]
    assert {(one.status, one.body) for one in both} == {(200, b"x" * 1000)}, "whichever worker is asked"
    assert len(sent(upstream, b"/kept/a")) == 1
    assert sent(upstream, b"/kept/a")[0].values(b"prefer") == [b"respond-async"], "the field goes upstream as it came"


async def test_who_asks_again_with_the_same_wish_gets_the_stored_answer(proxy, upstream):
    upstream.routes[b"/kept/stored"] = reply(200, b"stored")
    await proxy.ask("GET", "/kept/stored")
    again = await proxy.ask("GET", "/kept/stored", ASYNC)
    assert (again.status, again.body, status_of(again)[0]) == (200, b"stored", "hit")


async def test_the_log_tells_of_the_202_and_of_the_job(proxy, upstream):
    upstream.routes[b"/kept/told"] = slow(0.5)
    told = await proxy.ask("GET", "/kept/told", ASYNC)
    await result_of(proxy, url_of(told))
    line = await proxy.line(told)
    assert (line["status"], line["outcome"], line["reason"], line["rule"]) == (202, "miss", "respond_async", "kept")
    assert line["upstream_calls"] == 0
    (ended,) = await proxy.lines(event="job", request_id=told.request_id)
    assert (ended["status"], ended["outcome"], ended["upstream_calls"], ended["bytes_out"]) == (200, "miss", 1, 1000)
    assert ended["upstream_s"] >= 0.5
    (call,) = await proxy.lines(event="upstream_call", request_id=told.request_id)
    assert call["status"] == 200


@pytest.mark.parametrize("state", ["running", "done"])
async def test_only_with_the_credentials_of_who_asked(proxy, upstream, state):
    path = f"/kept/whose-{state}"
    upstream.routes[path.encode()] = slow(1)
    mine = (MINE, b"X-Key: 1")
    url = url_of(await proxy.ask("GET", path, ASYNC, *mine))
    if state == "done":
        await result_of(proxy, url, *mine)
    others = [(), (MINE,), (MINE, b"X-Key: 2"), (*mine, b"Cookie: a=1"), (b"Authorization: Basic eW91", b"X-Key: 1")]
    for fields in others:
        for method in ("GET", "HEAD", "DELETE"):
            refused = await proxy.ask(method, url, *fields)
            assert refused.status == 401, (method, fields)
            assert refused.value(b"www-authenticate")
    check_problem(await proxy.ask("GET", url), 401, "credentials")
    assert (await proxy.admin(url.removeprefix("/_frontrunner/"))).status == 401, "an admin token opens no job"
    assert (await result_of(proxy, url, *mine)).body == b"x" * 1000


async def test_wait_is_over_and_the_answer_comes_all_the_same(proxy, upstream):
    upstream.routes[b"/kept/late"] = slow(2.5)
    began = time.perf_counter()
    told = await proxy.ask("GET", "/kept/late", b"Prefer: wait=1")
    assert 0.9 < time.perf_counter() - began < 2
    check_problem(told, 504, "wait_over")
    url = told.json()["job"]
    assert told.value(b"link") == f'<{url}>; rel="status"'.encode()
    assert (await result_of(proxy, url)).body == b"x" * 1000
    assert status_of(await proxy.ask("GET", "/kept/late"))[0] == "hit"
    assert len(sent(upstream, b"/kept/late")) == 1
    line = await proxy.line(told)
    assert (line["outcome"], line["reason"], line["error_source"], line["level"]) == (
        "error", "wait_over", "client", "info",
    )  # fmt: skip


@pytest.mark.parametrize("prefer", [b"Prefer: wait=10", b"Prefer: respond-async, wait=10"])
async def test_what_is_there_in_time_is_answered_as_ever(proxy, upstream, prefer):
    path = b"/kept/in-time-" + prefer[-20:-9].strip(b": ,")
    upstream.routes[path] = slow(0.5)
    answer = await proxy.ask("GET", path.decode(), prefer)
    assert (answer.status, answer.body, status_of(answer)[0]) == (200, b"x" * 1000, "uri-miss")


async def test_a_client_that_left_after_its_202_took_nothing_along(proxy, upstream):
    upstream.routes[b"/own/left"] = slow(1, reply(200, b"own", b"Cache-Control: no-store"))
    async with await Client.to(proxy.port) as client:
        url = url_of(await client.ask(asked(b"GET", b"/own/left", ASYNC)))
    answer = await result_of(proxy, url)
    assert (answer.status, answer.body) == (200, b"own"), "what nobody may store is a job's answer too"
    assert status_of(answer)[1]["detail"] == "no_store"


async def test_a_post_that_only_reads(proxy, upstream):
    upstream.routes[b"/posted"] = slow(0.5, reply(200, b"found"))
    url = url_of(await proxy.ask("POST", "/posted", ASYNC, b"Content-Type: text/plain", body=b"what"))
    assert (await result_of(proxy, url)).body == b"found"


async def test_a_range_and_a_condition_of_the_request_are_those_of_the_answer(proxy, upstream):
    part = reply(206, b"cde", b"Content-Range: bytes 2-4/10", b'ETag: "a"')
    upstream.routes[b"/own/part"] = slow(0.3, part)
    url = url_of(await proxy.ask("GET", "/own/part", ASYNC, b"Range: bytes=2-4"))
    answer = await result_of(proxy, url)
    assert (answer.status, answer.body, answer.value(b"content-range")) == (206, b"cde", b"bytes 2-4/10")
    upstream.routes[b"/own/same"] = slow(0.3, reply(304, b"", b'ETag: "a"'))
    url = url_of(await proxy.ask("GET", "/own/same", ASYNC, b'If-None-Match: "a"'))
    answer = await result_of(proxy, url)
    assert (answer.status, answer.body, answer.value(b"etag")) == (304, b"", b'"a"')


async def test_an_answer_is_read_in_parts_and_by_its_head(proxy, upstream):
    upstream.routes[b"/own/long"] = slow(0.3, reply(200, b"0123456789", b'ETag: "a"'))
    url = url_of(await proxy.ask("GET", "/own/long", ASYNC))
    assert (await result_of(proxy, url)).body == b"0123456789"
    head = await proxy.ask("HEAD", url)
    assert (head.status, head.body, head.value(b"content-length")) == (200, b"", b"10")
    part = await proxy.ask("GET", url, b"Range: bytes=2-4")
    assert (part.status, part.body) == (206, b"234")
    same = await proxy.ask("GET", url, b'If-None-Match: "a"')
    assert (same.status, same.body) == (304, b"")


async def test_a_head_of_what_is_not_stored_passes(proxy, upstream):
    upstream.routes[b"/kept/head"] = slow(0.3, reply(200, b"", b"X-Sent: on"))
    answer = await proxy.ask("HEAD", "/kept/head", ASYNC)
    assert (answer.status, answer.value(b"x-sent")) == (200, b"on")


async def test_what_no_rule_is_for_passes(proxy, upstream):
    upstream.routes[b"/written"] = slow(0.3, reply(201, b"made"))
    answer = await proxy.ask("POST", "/written", b"Prefer: respond-async, wait=0", body=b"x")
    assert (answer.status, answer.body) == (201, b"made")
    assert sent(upstream, b"/written")[0].values(b"prefer") == [b"respond-async, wait=0"]


async def test_a_job_whose_upstream_fails_ends_with_the_problem(proxy, upstream):
    async def cut(exchange):
        await asyncio.sleep(0.3)
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
        exchange.close()

    upstream.routes[b"/kept/cut"] = cut
    told = await proxy.ask("GET", "/kept/cut", ASYNC)
    answer = await result_of(proxy, url_of(told))
    assert (answer.status, answer.json()["reason"], answer.request_id) == (502, "upstream_cut", told.request_id)


async def test_forgotten_while_it_runs_and_when_it_is_done(proxy, upstream):
    upstream.routes[b"/kept/gone"] = slow(1)
    url = url_of(await proxy.ask("GET", "/kept/gone", ASYNC))
    assert (await proxy.ask("DELETE", url)).status == 204
    assert {(await proxy.ask("GET", url)).status for _ in range(10)} == {404}
    await proxy.lines(event="job", path="/kept/gone")
    assert {(await proxy.ask("GET", url)).status for _ in range(10)} == {404}
    assert status_of(await proxy.ask("GET", "/kept/gone"))[0] == "hit", "the fetch went on"
    upstream.routes[b"/kept/gone-too"] = slow(0.3)
    url = url_of(await proxy.ask("GET", "/kept/gone-too", ASYNC))
    await result_of(proxy, url)
    assert (await proxy.ask("DELETE", url)).status == 204
    assert {(await proxy.ask("GET", url)).status for _ in range(10)} == {404}


async def test_many_who_do_not_wait_cost_one_call(proxy, upstream):
    upstream.routes[b"/kept/many"] = slow(2)
    told = await asyncio.gather(*[proxy.ask("GET", "/kept/many", ASYNC) for _ in range(50)])
    urls = {url_of(one) for one in told}
    assert len(urls) == 50
    answers = await asyncio.gather(*[result_of(proxy, url) for url in urls])
    assert {(one.status, one.body) for one in answers} == {(200, b"x" * 1000)}
    assert len(sent(upstream, b"/kept/many")) == 1


@pytest.mark.parametrize("name", ["0" * 32, "a", "..", "%00", "0" * 33])
async def test_a_job_that_is_not_there(proxy, name):
    check_problem(await proxy.ask("GET", f"/_frontrunner/jobs/{name}"), 404, "unknown_name")


async def test_what_may_not_be_done_with_a_job(proxy):
    refused = await proxy.ask("POST", "/_frontrunner/jobs/" + "0" * 32, body=b"")
    assert (refused.status, refused.value(b"allow")) == (405, b"DELETE, GET, HEAD")
