"""How our server begins, keeps connections and stops."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from fakes import until
from server_stage import Stage, Turn, staged
from wire import Client, asked

from proxy import protocol
from proxy.errors import StartError
from proxy.protocol import Protocol
from proxy.server import Server, listen


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as stage:
        yield stage


async def test_keep_alive(stage: Stage) -> None:
    """One connection serves many; `close` is kept to; an idle one is ended."""
    async with await Client.to(stage.port) as client:
        assert [(await client.ask(asked(b"GET", b"/%d" % number))).body for number in range(3)] == [b"/0", b"/1", b"/2"]
        one = await client.ask(asked(b"GET", b"/last", b"Connection: close"))
        assert (one.body, one.value(b"connection")) == (b"/last", b"close")
        assert await client.rest(5) == (b"", False)
    stage.config.timeout_keep_alive = 0
    async with await Client.to(stage.port) as client:
        await client.ask(asked(b"GET", b"/"))
        assert await client.rest(5) == (b"", False)


@contextlib.asynccontextmanager
async def served(stage: Stage, bound: socket.socket) -> AsyncIterator[Server]:
    """Run the whole server in this loop until it is told to stop."""
    config = uvicorn.Config(
        stage.app, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False, interface="asgi3",
        proxy_headers=False, server_header=False, date_header=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
    ready = asyncio.Event()
    server = Server(config, ready.set)
    running = asyncio.get_running_loop().create_task(server.serve(sockets=[bound]))
    async with asyncio.timeout(10):
        await ready.wait()
        yield server
        server.should_exit = True
        await running


@pytest.mark.parametrize("sent", [b"", b"GET /first HT"], ids=["nothing yet", "half a head"])
async def test_a_connection_accepted_just_before_the_stop_was_closed_unheard(sent: bytes) -> None:
    """Its client cannot know that nobody read its first request: that is answered, and is the connection's last."""
    stage, (bound, url) = Stage(), listen("127.0.0.1", 0, None)
    async with served(stage, bound) as server, await Client.to(int(url.rpartition(":")[2])) as client:
        await client.send(sent)
        await until(lambda: bool(server.server_state.connections))
        server.should_exit = True
        await until(lambda: not server.servers[0].is_serving())
        answer = await client.ask(asked(b"GET", b"/first")[len(sent) :])
        assert (answer.body, answer.value(b"connection")) == (b"/first", b"close")


async def test_one_that_says_nothing_does_not_hold_up_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser connects before it knows what it wants."""
    monkeypatch.setattr(protocol, "LAST_HEAD_WITHIN_S", 0.05)
    stage, (bound, url) = Stage(), listen("127.0.0.1", 0, None)
    async with served(stage, bound) as server, await Client.to(int(url.rpartition(":")[2])) as client:
        await until(lambda: bool(server.server_state.connections))
        server.should_exit = True
        assert await client.rest(5) == (b"", False)


async def test_stopping_finishes_what_is_under_way() -> None:
    """New connections are refused, the running answer is completed, idle connections end."""
    stage, go = Stage(), asyncio.Event()

    async def say(turn: Turn) -> None:
        await turn.head(200)
        await turn.send(b"begun ")
        await go.wait()
        await turn.send(b"and finished", more=False)

    stage.story = say
    bound, url = listen("127.0.0.1", 0, None)
    port = int(url.rpartition(":")[2])
    async with served(stage, bound) as server, await Client.to(port) as client, await Client.to(port) as idle:
        await client.send(asked(b"GET", b"/"))
        await stage.turn()
        server.should_exit = True
        await idle.gone()
        with pytest.raises(ConnectionRefusedError):
            await Client.to(port)
        go.set()
        one = await client.answer()
        assert (one.body, one.cut) == (b"begun and finished", False)
        await client.gone()


async def test_listening_on_a_unix_socket(tmp_path: Path) -> None:
    """A socket file left behind by a killed process is no obstacle."""
    path = tmp_path / "in"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    stage = Stage()
    bound, url = listen("ignored", 1, str(path))
    assert url == f"unix:{path}"
    async with served(stage, bound):
        client = Client(*await asyncio.open_unix_connection(path))
        assert (await client.ask(asked(b"GET", b"/u"))).body == b"/u"
        client.close()


def test_where_it_cannot_listen_it_says_so(tmp_path: Path) -> None:
    """A port or a socket that somebody listens on, a host that is not ours, a folder that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_UNIX) as lively:
        lively.bind(str(tmp_path / "lively"))
        lively.listen()
        for host, port, unix in [
            ("127.0.0.1", taken.getsockname()[1], None),
            ("192.0.2.1", 0, None),
            ("no such host.invalid", 0, None),
            ("", 0, str(tmp_path / "missing" / "in")),
            ("", 0, str(tmp_path / "lively")),
        ]:
            with pytest.raises(StartError, match="cannot listen on"):
                listen(host, port, unix)[0].close()
            gc.collect()  # an unclosed socket would warn here


def test_addresses_in_the_url() -> None:
    """Port 0 takes a free port; an IPv6 address is bracketed."""
    for host, shown in [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")]:
        bound, url = listen(host, 0, None)
        with bound:
            assert url == f"{shown}{bound.getsockname()[1]}"
