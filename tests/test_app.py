"""The proxy as others embed it: by file, mapping or variable, as an app or around one."""

import json
import os
import signal
import subprocess
import sys

import httpx2
import pytest
from asgi_client import ask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

import proxy
from proxy.app import Proxy
from proxy.config import from_mapping
from proxy.errors import ConfigError, StartError
from proxy.upstream.asgi import Asgi
from proxy.upstream.httpx import Httpx

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


@pytest.mark.parametrize("value", ["", None])
def test_without_anything_it_says_what_it_needs(value, monkeypatch):
    monkeypatch.delenv("FRONTRUNNER_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("FRONTRUNNER_CONFIG", value)
    with pytest.raises(ConfigError, match="FRONTRUNNER_CONFIG: found nothing; allowed: the path of a config file"):
        proxy.create_app()


def test_a_log_that_cannot_be_written_is_told_at_the_start(tmp_path):
    with pytest.raises(StartError, match="cannot write the log to"):
        proxy.create_app({"upstream": "http://a", **QUIET, "log": {"to": str(tmp_path / "no" / "log")}})


async def test_a_websocket_to_the_app_itself_is_closed():
    sent = []
    app = proxy.create_app({"upstream": "http://a", **QUIET})

    async def send(message):
        sent.append(message)

    await app({"type": "websocket"}, None, send)
    assert sent == [{"type": "websocket.close", "code": 1011, "reason": "upgrade"}]


ENGINES = [
    ({"httpx": {"transport": "httpx2:AsyncHTTPTransport"}}, Httpx),
    ("httpx", Httpx),
    ({"asgi": {"app": "starlette.applications:Starlette"}}, Asgi),
]


@pytest.mark.parametrize(("engine", "kind"), ENGINES)
async def test_an_engine_is_a_word_in_the_config(engine, kind):
    made = Proxy(from_mapping({"upstream": {"url": "http://a", "engine": engine}, **QUIET}, {}))
    assert isinstance(made._upstream._engine, kind)
    await made.close()


def test_an_engine_that_cannot_be_loaded_is_told_at_the_start():
    with pytest.raises(StartError, match="cannot load nowhere:App: No module named 'nowhere'"):
        proxy.create_app({"upstream": {"engine": {"asgi": {"app": "nowhere:App"}}}, **QUIET})


def test_uvicorn_runs_it_as_a_factory_from_the_environment(tmp_path):
    """`uvicorn --factory proxy:create_app`, with FRONTRUNNER_CONFIG naming the file."""
    (tmp_path / "inner.py").write_text(
        "from starlette.responses import PlainTextResponse\napp = PlainTextResponse('hello')\n"
    )
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"upstream": {"engine": {"asgi": {"app": "inner:app"}}}, **QUIET}))
    env = {**os.environ, "FRONTRUNNER_CONFIG": str(file), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "uvicorn", "--factory", "proxy:create_app", "--port", "0", "--no-access-log"]
    server = subprocess.Popen(command, env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        line = next(line for line in server.stderr if "running on" in line)
        url = line.split("running on ")[1].split()[0]
        assert httpx2.get(f"{url}/page").text == "hello"
        assert httpx2.get(f"{url}/_frontrunner/livez").text == "ok\n"
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=10)


async def test_a_server_without_lifespan_is_enough():
    told = await ask(Proxy(from_mapping({"upstream": "http://a", **QUIET}, {}), PlainTextResponse("hello")), "GET", "/")
    assert told.body == b"hello"


def test_an_error_of_ours_is_an_event_that_says_where(tmp_path):
    log = tmp_path / "log"
    made = Proxy(from_mapping({"upstream": "http://a", **QUIET, "log": {"to": str(log)}}, {}))
    try:
        raise ValueError("odd")
    except ValueError as error:
        made._failed(error, "id")
    made._failed(ValueError("never raised"), "")
    made.log.close()
    first, second = [json.loads(line) for line in log.read_text().splitlines()]
    assert (first["event"], first["error"], first["request_id"]) == ("error", "ValueError('odd')", "id")
    assert first["where"].startswith(__file__)
    assert second["where"] == ""


def test_hanging_up_reloads_the_config_of_a_running_proxy(tmp_path):
    """SIGHUP: the default would kill the process and what is under way."""
    file = tmp_path / "config.yaml"
    file.write_text("upstream: http://127.0.0.1:9\n")
    command = [sys.executable, "-m", "proxy", "run", "--config", str(file), "--port", "0"]
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    running = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    try:
        ready = json.loads(running.stdout.readline())
        for written, told in (("mode: observe", "observe"), ("mode: [", None)):
            file.write_text(f"upstream: http://127.0.0.1:9\n{written}\n")
            running.send_signal(signal.SIGHUP)
            said = json.loads(running.stdout.readline())
            assert (said["event"], said.get("mode")) == ("config", told)
        assert httpx2.get(f"{ready['url']}/_frontrunner/livez").text == "ok\n"
    finally:
        running.terminate()
        assert running.wait(timeout=10) == 0
        running.stdout.close()
