"""Our server on a loopback port, in front of a tiny ASGI app that plays what a test wants."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fakes import until
from uvicorn.server import ServerState
from wire import Client

from proxy.asgi import EXTENSION, AnswerCut
from proxy.protocol import Protocol

Story = Callable[["Turn"], Awaitable[None]]


class Turn:
    """One call of the app."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.receive, self._send = scope, receive, send
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        own = scope["extensions"][EXTENSION]
        self.target: bytes = own["target"]
        self.refused = own["refused"]
        self.body = b""
        self.ending: Any = None
        self.left = False

    async def read(self) -> bytes:
        """Read the body to its end; a disconnect is kept as the ending."""
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                self.ending = message
                break
            self.body += message.get("body", b"")
            more = message.get("more_body", False)
        return self.body

    async def gone(self) -> None:
        """Return when the client has left."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.left = True

    async def head(self, status: int, *fields: tuple[bytes, bytes]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": list(fields)})

    async def send(self, body: bytes = b"", *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def say(self, status: int = 200, body: bytes = b"ok", *fields: tuple[bytes, bytes]) -> None:
        """Answer with a Content-Length."""
        await self.head(status, *fields, (b"content-length", b"%d" % len(body)))
        await self.send(body, more=False)

    def cut(self) -> None:
        raise AnswerCut


async def answer(turn: Turn) -> None:
    """Read all, then answer with the target; what was refused gets its status, as from our own edge."""
    if turn.refused is None:
        await turn.read()
        turn.refused = (turn.ending or {}).get(EXTENSION)
    if turn.refused is not None:
        await turn.say(turn.refused.status, turn.refused.reason.encode())
    elif turn.ending is None:
        await turn.say(200, turn.target)


class Stage:
    """The server with its app: `turns` are the calls so far, `story` is what is played."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.story: Story = answer
        self.errors: list[BaseException] = []
        self.config = uvicorn.Config(
            self.app, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False,
            server_header=False, date_header=False, interface="asgi3",
        )  # fmt: skip
        self.config.load()
        self.state = ServerState()
        self.protocols: list[Protocol] = []
        self.port = 0

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        turn = Turn(scope, receive, send)
        self.turns.append(turn)
        try:
            await self.story(turn)
        except Exception as error:
            self.errors.append(error)
            raise

    def protocol(self) -> Protocol:
        self.protocols.append(Protocol(self.config, self.state, {}))
        return self.protocols[-1]

    async def turn(self, count: int = 1) -> Turn:
        """Wait until the app was called so often; return that call."""
        await until(lambda: len(self.turns) >= count)
        return self.turns[count - 1]

    async def ask(self, data: bytes) -> Any:
        """Send exact bytes over a new connection and read one answer."""
        async with await Client.to(self.port) as client:
            return await client.ask(data)


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Listen, and end all connections afterwards."""
    stage = Stage()
    server = await asyncio.get_running_loop().create_server(stage.protocol, "127.0.0.1", 0)
    stage.port = server.sockets[0].getsockname()[1]
    try:
        yield stage
    finally:
        server.close()
        for protocol in list(stage.state.connections):
            protocol.transport.abort()
        for task in list(stage.state.tasks):
            task.cancel()
        await asyncio.gather(*stage.state.tasks, return_exceptions=True)
        for protocol in stage.protocols:
            protocol._unset_keepalive_if_required()
