"""The asgi engine: an app in this process, called directly, its body streamed as it sends it."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import unquote_to_bytes

from proxy.asgi import App, Message, Scope
from proxy.core.types import Body, Request, Response, joined
from proxy.errors import FrontrunnerError, UpstreamCut, UpstreamInvalid

# What the server in front of us said of the connection; all else in a scope we say ourselves.
_FACTS = ("state", "server", "client", "root_path", "extensions", "app", "user", "session", "auth")


class Asgi:
    """Calls an ASGI app; each chunk waits until the one before it was taken."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._running: set[_Call] = set()

    async def send(self, request: Request, *, fresh: bool = False) -> Response:  # noqa: ARG002  nothing connects
        """Send a request and return its response head with the body still arriving."""
        call = _Call(self._app, request)
        self._running.add(call)
        call.task.add_done_callback(lambda _: self._running.discard(call))
        try:
            status, headers = await call.head()
        except BaseException:
            await call.aclose()
            raise
        length = None if request.method == "HEAD" or status in {204, 304} else joined(headers, b"content-length")
        call.expect(int(length) if length is not None and length.isdigit() else None)
        return Response(status, headers, call)

    async def close(self) -> None:
        """End the calls that still run."""
        for call in tuple(self._running):
            await call.aclose()


class _Call:
    """One run of the app, and the body that it sends."""

    def __init__(self, app: App, request: Request) -> None:
        self._upload = _Upload(request.body)
        self._sent: asyncio.Queue[Message | BaseException | None] = asyncio.Queue(maxsize=1)
        self._more = True
        self._left: int | None = None
        self.task = asyncio.get_running_loop().create_task(self._run(app, _scope(request)))

    async def _run(self, app: App, scope: Scope) -> None:
        ending: BaseException | None = None
        try:
            await app(scope, self._upload.receive, self._sent.put)
        except Exception as error:  # noqa: BLE001  whatever the app raises, the client gets an answer and the log a line
            ending = error
        if ending is not None and not isinstance(ending, FrontrunnerError):
            said = {"message": "the app behind the proxy raised", "exception": ending}
            asyncio.get_running_loop().call_exception_handler(said)
        await self._sent.put(ending)

    async def head(self) -> tuple[int, tuple[tuple[bytes, bytes], ...]]:
        message = await self._sent.get()
        if isinstance(message, FrontrunnerError):  # the request's own body broke off
            raise message
        if message is None or isinstance(message, BaseException):
            raise UpstreamInvalid("the app ended without an answer") from message
        if message["type"] != "http.response.start":
            raise UpstreamInvalid(f"the app began its answer with {message['type']}")
        headers = tuple([(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())])
        return message["status"], headers

    def expect(self, length: int | None) -> None:
        self._left = length

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while self._more:
            message = await self._sent.get()
            if message is None or isinstance(message, BaseException):
                raise UpstreamCut("the app ended in the middle of its answer") from message
            if message["type"] != "http.response.body":
                continue  # extensions such as trailers are not part of the body
            self._more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                if self._left is not None:
                    self._left -= len(chunk)
                return bytes(chunk)
        await self._finish()
        if self._left:
            raise UpstreamCut("the app's answer is not as long as it said")
        raise StopAsyncIteration

    async def _finish(self) -> None:
        """Let the app run to its end (background work after the answer), without anyone waiting for it."""
        self._upload.gone.set()
        if self._sent.full():
            self._sent.get_nowait()

    async def aclose(self) -> None:
        self._upload.gone.set()
        if self._more and not self.task.done():
            self._more = False
            self.task.cancel()
            await asyncio.wait([self.task])


class _Upload:
    """What the app receives: the request's body, then that the client left once it has."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._chunks = None if isinstance(body, bytes) else aiter(body)
        self._told = False
        self.gone = asyncio.Event()

    async def receive(self) -> Message:
        if self._told:
            await self.gone.wait()
            return {"type": "http.disconnect"}
        if self._chunks is None:
            self._told = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        chunk = await anext(self._chunks, None)
        self._told = chunk is None
        return {"type": "http.request", "body": chunk or b"", "more_body": not self._told}


def _scope(request: Request) -> Scope:
    path = request.path
    known = request.client.scope
    scope = {name: known[name] for name in _FACTS if name in known}
    return {
        "server": None, "root_path": "", **scope,
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
        "method": request.method, "scheme": request.client.scheme,
        "path": unquote_to_bytes(path).decode("utf-8", "replace"), "raw_path": path, "query_string": request.query,
        "headers": list(request.headers),
    }  # fmt: skip
