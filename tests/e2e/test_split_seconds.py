"""The seconds that splits save, by the wall clock, a hundredth of real ones: 54.5 s for eight parts one after another.

The upstream takes as long for a part as the owner's own does, and serves calls beside each other.
"""

import asyncio
import json
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from running import Proxy
from wire import Answer, Client, Exchange, RawUpstream, asked, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCALE = 100
ALL_S = 54.5 / SCALE
PART_S = ALL_S / 8
OWN_S = 0.03
"""What the client, the proxy and this upstream may take for themselves: they share two cores with other tests."""
EIGHT = list(range(1, 9))


def rule(name: str, **split: Any) -> dict[str, Any]:
    """Return a rule for the path of this name."""
    by = {"query_list": {"name": "ids"}}
    merge = {"keyed": {"items": "$.items", "totals": {"$.total": "count"}}}
    return {
        "name": name, "match": {"path": f"/{name}"}, "ttl": "1h", "rollout": {"split": {"mode": "on", "audit": 0}},
        "split": {"by": by, "merge": merge, **split},
    }  # fmt: skip


def posted(name: str, **split: Any) -> dict[str, Any]:
    """Return a rule for what is posted to the path of this name."""
    return {**rule(name), "match": {"method": "POST", "path": f"/{name}"}, "safe": True, "split": split}


CONFIG = {
    "rules": [
        rule("two", residual="each", max_parallel=2),
        rule("four", residual="each", max_parallel=4),
        rule("one", residual="single"),
        posted(
            "body", by={"json_array": {"path": "$.ids"}}, merge={"keyed": {"items": "$.items"}},
            residual="each", max_parallel=8,
        ),
        posted("graphql", by="graphql_roots", merge="graphql", residual="each", max_parallel=8),
    ]
}  # fmt: skip


class Slow:
    """Answers one part after another, calls beside each other; `fault` may say something else of a list's n-th call."""

    def __init__(self) -> None:
        self.fault: Any = lambda ids, number: None
        self.lists: list[list[int]] = []

    async def __call__(self, exchange: Exchange) -> None:
        body = await exchange.read()
        target = urlsplit(exchange.target.decode())
        ids = json.loads(body)["ids"] if body else [int(one) for one in parse_qs(target.query)["ids"][0].split(",")]
        self.lists.append(ids)
        said = self.fault(ids, self.lists.count(ids))
        if said is None:
            await asyncio.sleep(PART_S * len(ids))
            said = answered(right(ids))
        await exchange.send(said)


def right(ids: list[int]) -> bytes:
    items = [{"id": one, "text": f"answer {one} \u00e4"} for one in ids]
    return json.dumps({"items": items, "total": len(ids)}).encode()


def answered(body: bytes) -> bytes:
    return reply(200, body, b"Content-Type: application/json")


@pytest.fixture
def slow(upstream: RawUpstream) -> Slow:
    """Return what answers every path of the upstream."""
    service = Slow()

    async def answer(exchange: Exchange) -> None:
        await service(exchange)

    upstream.answer = answer
    return service


def listed(path: str, ids: list[int], frame: str) -> bytes:
    """Return a request; under another frame nothing is known of any part."""
    return asked(b"GET", f"/{path}?ids={','.join(map(str, ids))}&frame={frame}".encode())


async def timed(port: int, request: bytes) -> tuple[Answer, float]:
    """Ask over a connection that is there already, and take the time."""
    async with await Client.to(port) as client:
        began = perf_counter()
        answer = await client.ask(request)
        return answer, perf_counter() - began


@pytest.mark.parametrize(("path", "bound_s"), [("two", 28.0), ("four", 14.5)])
async def test_eight_parts_take_as_long_as_the_calls_beside_each_other(
    path: str, bound_s: float, proxy: Proxy, upstream: RawUpstream, slow: Slow
) -> None:
    straight, direct_s = await timed(upstream.port, listed(path, EIGHT, "none"))
    assert direct_s >= ALL_S
    runs = []
    for run in range(3):
        answer, seconds = await timed(proxy.port, listed(path, EIGHT, f"run-{run}"))
        assert answer.body == straight.body
        runs.append(seconds)
    assert min(runs) <= bound_s / SCALE + OWN_S, runs
    assert sorted(one for ids in slow.lists[1:] for one in ids) == sorted(EIGHT * 3)


async def test_only_missing_parts_are_waited_for(proxy: Proxy, slow: Slow) -> None:
    for ids in ([1, 2, 3, 4, 5, 6, 7], [3, 8, 1, 2, 5, 4, 7, 6]):
        answer, seconds = await timed(proxy.port, listed("one", ids, "known"))
        assert answer.body == right(ids)
    assert slow.lists == [[1, 2, 3, 4, 5, 6, 7], [8]]
    assert PART_S <= seconds < 4 * PART_S
    line = await proxy.line(answer)
    assert (line["outcome"], line["parts"], line["parts_hit"], line["upstream_calls"]) == ("partial", 8, 7, 1)


@pytest.mark.parametrize("fault", [reply(503, b"busy"), reply(500, b"{}")], ids=["503", "500"])
async def test_a_part_that_failed_once_is_asked_for_again(fault: bytes, proxy: Proxy, slow: Slow) -> None:
    slow.fault = lambda ids, number: fault if 5 in ids and number == 1 else None
    answer, _ = await timed(proxy.port, listed("four", EIGHT, fault[9:12].decode()))
    assert answer.body == right(EIGHT)
    assert len(slow.lists) == 8
    line = await proxy.line(answer)
    assert (line["outcome"], line["arm"], line["upstream_calls"]) == ("miss", "candidate", 8)


async def test_what_is_too_long_for_the_service_is_asked_for_in_halves(proxy: Proxy, slow: Slow) -> None:
    slow.fault = lambda ids, number: reply(413, b"too long") if len(ids) > 3 else None
    answer, _ = await timed(proxy.port, listed("one", EIGHT, "halves"))
    assert answer.body == right(EIGHT)
    assert slow.lists == [EIGHT, EIGHT[:4], [1, 2], [3, 4], EIGHT[4:], [5, 6], [7, 8]]


async def test_who_leaves_and_comes_back_pays_once(proxy: Proxy, slow: Slow) -> None:
    request = listed("two", EIGHT, "leaves")
    async with await Client.to(proxy.port) as client:
        await client.send(request)
        await asyncio.sleep(2.5 * PART_S)
    answer, seconds = await timed(proxy.port, request)
    assert answer.body == right(EIGHT)
    assert seconds < 3 * PART_S + OWN_S
    assert sorted(one for ids in slow.lists for one in ids) == EIGHT


@pytest.mark.parametrize("number", [1_000, 10_000])
@pytest.mark.parametrize("path", ["four", "body"])
async def test_a_thousand_things_are_one_call(path: str, number: int, proxy: Proxy, slow: Slow) -> None:
    ids = list(range(number))
    said = right(ids)
    slow.fault = lambda ids, number: answered(said)
    body = json.dumps({"ids": ids, "path": path}).encode()
    request = asked(b"POST", f"/{path}".encode(), b"Content-Type: application/json", body=body)
    answer, _ = await timed(proxy.port, listed(path, ids, "many") if path == "four" else request)
    assert (answer.body, slow.lists) == (said, [ids])
    assert (await proxy.line(answer))["reason"] == "split_limit"


async def test_a_thousand_aliases_are_one_call(proxy: Proxy, upstream: RawUpstream) -> None:
    said = b'{"data": {}}'
    upstream.routes[b"/graphql"] = reply(200, said, b"Content-Type: application/json")
    query = "{" + " ".join(f"a{number}: city(id: {number}) {{ id }}" for number in range(1_000)) + "}"
    body = json.dumps({"query": query}).encode()
    answer = await proxy.ask("POST", "/graphql", b"Content-Type: application/json", body=body)
    assert (answer.body, len(upstream.seen(b"/graphql"))) == (said, 1)
    assert (await proxy.line(answer))["reason"] == "split_limit"
