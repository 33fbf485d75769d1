"""The proxy as middleware: what it does not answer itself, it asks of the app that it is around."""

import asyncio
import json

import pytest
from asgi_client import ask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

import proxy

QUIET = {"log": {"to": "off"}, "admin": {"token": "t"}, "store": {"disk": "off"}}
RULE = {"name": "page", "match": {"path": "/page"}, "ttl": "1h", "key": ["sort_params"]}


class Inner:
    """A small app with a life and a WebSocket of its own."""

    def __init__(self):
        self.asked = 0
        self.events = []

        async def page(request):
            self.asked += 1
            return PlainTextResponse(f"{request.url.query} {request.state.answer}")

        async def echo(socket):
            await socket.accept()
            await socket.send_text(await socket.receive_text())
            await socket.close()

        self.app = Starlette(routes=[Route("/page", page), WebSocketRoute("/ws", echo)], lifespan=self._lifespan)

    def _lifespan(self, _):
        inner = self

        class Life:
            async def __aenter__(self):
                inner.events.append("begins")
                return {"answer": 42}

            async def __aexit__(self, *_):
                inner.events.append("ends")

        return Life()


def test_as_middleware_it_asks_the_app_once_and_leaves_its_life_and_websockets_alone():
    inner = Inner()
    with TestClient(proxy.Frontrunner(inner.app, {**QUIET, "rules": [RULE]})) as client:
        first, second = client.get("/page?b=2&a=1"), client.get("/page?a=1&b=2")
        assert (first.text, second.text) == ("b=2&a=1 42", "b=2&a=1 42")
        assert second.headers["cache-status"].startswith("Frontrunner; hit")
        with client.websocket_connect("/ws") as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "hello"
    assert (inner.asked, inner.events) == (1, ["begins", "ends"])


async def test_as_middleware_it_reads_a_file_that_names_no_upstream(tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({**QUIET, "rules": [RULE]}))
    told = await ask(proxy.Frontrunner(PlainTextResponse("hello"), file), "GET", "/page")
    assert (told.status, told.body) == (200, b"hello")


async def test_without_a_config_the_middleware_does_what_the_origin_allows(monkeypatch):
    monkeypatch.setenv("FRONTRUNNER_TOKEN", "t")
    app = proxy.Frontrunner(PlainTextResponse("hello"))
    told = await ask(app, "GET", "/page")
    assert told.header("cache-status") == "Frontrunner; fwd=uri-miss; detail=no_ttl"
    await app._proxy.close()


START, STOP = "lifespan.startup", "lifespan.shutdown"


class Server:
    """Goes through a lifespan with an app, as a server does that goes on where an app has none; asks once meanwhile."""

    def __init__(self, app, log):
        self.app, self.log = app, log
        self.events, self.told = asyncio.Queue(), []
        self.heard = asyncio.Event()
        self.error = self.answer = None

    async def _send(self, message):
        assert message["type"].startswith("lifespan.")
        self.told.append(message["type"])
        self.heard.set()

    async def _live(self):
        try:
            await self.app({"type": "lifespan", "asgi": {"version": "3.0"}}, self.events.get, self._send)
        except Exception as error:
            self.error = error
        self.heard.set()

    async def run(self):
        life = asyncio.create_task(self._live())
        self.events.put_nowait({"type": START})
        await self.heard.wait()
        if f"{START}.failed" not in self.told:
            self.answer = await ask(self.app, "GET", "/page")
        self.events.put_nowait({"type": STOP})
        await asyncio.wait_for(life, 5)
        return self

    def logged(self):
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines()]


class LifeOf:
    """An inner app that does these things for the lifespan scope, one after the other; it answers all requests."""

    def __init__(self, *acts):
        self.acts = acts

    async def __call__(self, scope, receive, send):
        if scope["type"] != "lifespan":
            await PlainTextResponse("hello")(scope, receive, send)
            return
        for act in self.acts:
            if isinstance(act, Exception):
                raise act
            if act == "hears":
                await receive()
            else:
                await send({"type": act})


async def lived(tmp_path, *acts):
    log = tmp_path / "log"
    app = proxy.Frontrunner(LifeOf(*acts), {**QUIET, "log": {"to": str(log)}, "rules": [RULE]})
    return await Server(app, log).run()


NONE = {
    "raises at once": [ValueError("no lifespan")],
    "returns at once": [],
    "hears of the start and returns": ["hears"],
    "begins and returns": ["hears", f"{START}.complete"],
    "hears of the end and returns": ["hears", f"{START}.complete", "hears"],
    "has its own to the end": ["hears", f"{START}.complete", "hears", f"{STOP}.complete"],
    "takes it for a request": ["http.response.start"],
}


@pytest.mark.parametrize("acts", NONE.values(), ids=NONE)
async def test_an_app_without_a_lifespan_costs_no_last_lines(tmp_path, acts):
    server = await lived(tmp_path, *acts)
    assert (server.error, server.told) == (None, [f"{START}.complete", f"{STOP}.complete"])
    assert server.answer.body == b"hello"
    assert server.logged() == ["upstream_call", "request"]


FAILS = {
    "while it starts": (["hears"], f"{STOP}.complete", False),
    "while it runs": (["hears", f"{START}.complete"], f"{STOP}.failed", True),
    "while it stops": (["hears", f"{START}.complete", "hears"], f"{STOP}.failed", True),
}


@pytest.mark.parametrize(("acts", "ends", "raised"), FAILS.values(), ids=FAILS)
async def test_an_app_whose_lifespan_fails_costs_no_last_lines_and_is_told(tmp_path, acts, ends, raised):
    fault = ValueError("odd")
    server = await lived(tmp_path, *acts, fault)
    assert (server.error, server.told) == (fault if raised else None, [f"{START}.complete", ends])
    assert sorted(server.logged()) == ["error", "request", "upstream_call"]


@pytest.mark.parametrize("more", [[], [ValueError("as Starlette does")]], ids=["returns", "raises"])
async def test_an_app_that_says_that_it_cannot_start_is_heard(tmp_path, more):
    server = await lived(tmp_path, "hears", f"{START}.failed", *more)
    assert (server.error, server.told) == (more[0] if more else None, [f"{START}.failed"])


async def test_an_app_that_says_that_it_cannot_stop_is_heard(tmp_path):
    fault = ValueError("as Starlette does")
    server = await lived(tmp_path, "hears", f"{START}.complete", "hears", f"{STOP}.failed", fault)
    assert (server.error, server.told) == (fault, [f"{START}.complete", f"{STOP}.failed"])
    assert server.logged() == ["upstream_call", "request"]


async def test_a_proxy_that_cannot_open_begins_nothing(tmp_path, monkeypatch):
    """The fault is the server's to see: that the app is well does not make up for it."""
    app = proxy.Frontrunner(LifeOf("hears", f"{START}.complete"), QUIET)

    async def cannot():
        raise OSError("no room")

    monkeypatch.setattr(app._proxy, "opened", cannot)
    server = Server(app, tmp_path / "log")
    server.events.put_nowait({"type": START})
    await asyncio.wait_for(server._live(), 5)
    assert (str(server.error), server.told) == ("no room", [])
