"""The proxy as ASGI middleware, in front of an app in the same process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy.app import Proxy, config_of
from proxy.asgi import App, Message, Receive, Scope, Send
from proxy.config import Config


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
            await self._inner(scope, receive, self._around(send))
        else:
            await self._inner(scope, receive, send)

    def _around(self, send: Send) -> Send:
        async def told(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._proxy.opened()
            elif message["type"].startswith("lifespan.shutdown"):
                await self._proxy.close()
            await send(message)

        return told
