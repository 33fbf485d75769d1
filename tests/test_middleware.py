"""The proxy as middleware: what it does not answer itself, it asks of the app that it is around."""

import json

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
