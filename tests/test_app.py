"""The proxy as others embed it: by file, mapping or variable, as an app or around one."""

import json
import os
import signal
import subprocess
import sys

import httpx2
import pytest
from asgi_client import ask
from starlette.responses import PlainTextResponse

import proxy
from proxy.app import Proxy
from proxy.config import from_mapping
from proxy.errors import ConfigError, StartError
from proxy.upstream.asgi import Asgi
from proxy.upstream.httpx import Httpx

QUIET = {"log": {"to": "off"}, "admin": {"token": "t"}, "store": {"disk": "off"}}
RULE = {"name": "page", "match": {"path": "/page"}, "ttl": "1h", "key": ["sort_params"]}


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
    assert (first["event"], first["error"], first["request_id"]) == ("error", "ValueError", "id")
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
