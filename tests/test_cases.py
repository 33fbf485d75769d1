"""Stories: each file in tests/cases is a config and what happens under it, step by step.

A step is one ask at a moment (`at`, seconds; where it is absent, at once). `upstream` is what the upstream would answer (and in `asked` the fields that
it must have been asked with); a step without it must not reach the upstream at all. `seen` is what the upstream must have been asked, `answer` what the client gets (only the
fields that are named are compared; null means absent), `log` what the request's line says.
"""

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from asgi_client import ask
from fakes import FakeClock

from proxy.app import Proxy
from proxy.config import from_mapping

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
STEP = {"at", "ask", "headers", "body", "upstream", "seen", "answer", "log"}
ANSWER = {"status", "headers", "body"}


class Upstream:
    """The app behind the proxy: answers as the step says, and remembers what it was asked."""

    def __init__(self, clock) -> None:
        self._clock = clock
        self.reply = None
        self.seen = []

    async def __call__(self, scope, receive, send) -> None:
        body = (await receive()).get("body", b"")
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        self.seen.append((f"{scope['method']} {scope['raw_path'].decode()}{query}", dict(scope["headers"]), body))
        assert self.reply is not None, f"nothing should have reached the upstream: {self.seen[-1]}"
        if self.reply.get("fails"):
            raise ConnectionError("the upstream fails")
        self._clock.advance(self.reply.get("takes", 0))
        text = str(self.reply.get("body", "")).encode()
        fields = {"content-length": len(text), **self.reply.get("headers", {})}
        headers = [(name.encode(), str(value).encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": self.reply.get("status", 200), "headers": headers})
        await send({"type": "http.response.body", "body": text})


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_story(path, tmp_path):
    story = yaml.safe_load(path.read_text())
    assert set(story) == {"story", "config", "steps"}
    clock = FakeClock()
    began = clock.wall()
    upstream = Upstream(clock)
    log = tmp_path / "log"
    tree = {"upstream": "http://site.test", "store": {"disk": "off"}, "admin": {"token": "t"}, "log": {"to": str(log)}}
    tree |= story["config"]
    proxy = Proxy(from_mapping(tree, {}), upstream, clock=clock)
    await proxy.opened()
    async with asyncio.timeout(10):
        for number, step in enumerate(story["steps"], 1):
            clock.advance(max(0, began + step.get("at", 0) - clock.wall()))
            told = await play(proxy, upstream, step, f"step {number}: {step['ask']}")
            step["id"] = told.header("x-request-id")
    await proxy.close()
    lines = {
        line["request_id"]: line for line in map(json.loads, log.read_text().splitlines()) if line["event"] == "request"
    }
    assert len(lines) == len(story["steps"])
    for number, step in enumerate(story["steps"], 1):
        for name, expected in step.get("log", {}).items():
            assert lines[step["id"]].get(name) == expected, f"step {number}: log field {name}: {lines[step['id']]}"


async def play(proxy, upstream, step, where):
    assert set(step) <= STEP, where
    upstream.reply, before = step.get("upstream"), len(upstream.seen)
    method, target = step["ask"].split(" ", 1)
    headers = [(name, value) for name, value in step.get("headers", {}).items()]
    told = await ask(proxy, method, target, headers, step.get("body", "").encode())
    for _ in range(20):  # what is fetched behind an answer
        await asyncio.sleep(0)
    seen = upstream.seen[before:]
    assert len(seen) == ("upstream" in step), where
    for name, value in (step.get("upstream") or {}).get("asked", {}).items():
        asked = seen[0][1].get(name.encode())
        assert (asked and asked.decode()) == value, f"{where}: the upstream was asked with {name}: {asked}"
    if seen:
        assert seen[0][0] == step.get("seen", step["ask"]), f"{where}: the upstream gets the client's own target"
        assert seen[0][2] == step.get("body", "").encode(), f"{where}: the upstream gets the client's own bytes"
    expected = step.get("answer", {})
    assert set(expected) <= ANSWER, where
    assert told.status == expected.get("status", 200), where
    if "body" in expected:
        assert told.body.decode() == expected["body"], where
    for name, value in expected.get("headers", {}).items():
        assert told.header(name) == (None if value is None else str(value)), f"{where}: {name} of {told.fields}"
    return told
