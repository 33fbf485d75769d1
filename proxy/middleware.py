"""The proxy as ASGI middleware, in front of an app in the same process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy.app import Proxy, config_of
from proxy.asgi import App, Message, Receive, Scope, Send
from proxy.config import Config

_STARTUP, _SHUTDOWN = "lifespan.startup", "lifespan.shutdown"
_COMPLETE, _FAILED = ".complete", ".failed"


class Frontrunner:
    """The proxy as middleware: what it does not answer itself, it asks of `inner`, in this process."""

    def __init__(self, inner: App, config: Config | Path | str | Mapping[str, Any] | None = None) -> None:
        self._inner = inner
        self._proxy = Proxy(config_of(config, inside=True), inner)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve HTTP through the proxy; everything else is the inner app's own."""
        if scope["type"] == "http":
            await self._proxy(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(scope, _Life(self._proxy, receive, send))
        else:
            await self._inner(scope, receive, send)

    async def _live(self, scope: Scope, life: "_Life") -> None:
        """Let the inner app have its lifespan, and go through the proxy's own where that has none."""
        try:
            await self._inner(scope, life.receive, life.send)
        except Exception as error:
            if life.is_over:
                raise
            if life.heard:  # else it has no lifespan, and raises to say so
                self._proxy.log.failed(error, "")
            had_begun = life.has_begun
            await life.end(_FAILED if had_begun else _COMPLETE)
            if had_begun:
                raise
        else:
            await life.end(_COMPLETE)


class _Life:
    """A lifespan as inner app and server tell of it; the proxy opens and closes as they go."""

    def __init__(self, proxy: Proxy, receive: Receive, send: Send) -> None:
        self._proxy = proxy
        self._receive = receive
        self._send = send
        self.heard: set[str] = set()
        self.is_over = False
        self.has_begun = False

    async def receive(self) -> Message:
        """Hear from the server."""
        message = await self._receive()
        self.heard.add(message["type"])
        return message

    async def send(self, message: Message) -> None:
        """Tell the server, once the proxy is as far."""
        event = message["type"]
        if not event.startswith((_STARTUP, _SHUTDOWN)):
            await self._send(message)  # of an app that takes every scope for a request: the server will not have it
            return
        self.is_over = True  # also where what follows fails
        if event == _STARTUP + _COMPLETE:
            await self._proxy.opened()
        elif event.startswith(_SHUTDOWN):
            await self._proxy.close()
        await self._send(message)
        self.has_begun = event == _STARTUP + _COMPLETE
        self.is_over = not self.has_begun

    async def end(self, how: str) -> None:
        """Go through what is left of it."""
        if self.is_over:
            return
        if not self.has_begun:
            await self._await(_STARTUP)
            await self.send({"type": _STARTUP + _COMPLETE})
        await self._await(_SHUTDOWN)
        await self.send({"type": _SHUTDOWN + how})

    async def _await(self, event: str) -> None:
        while event not in self.heard:
            await self.receive()
