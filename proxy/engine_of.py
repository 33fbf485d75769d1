"""What a config's `upstream.engine` means: the engine that speaks to the slow service."""

from typing import Any

from proxy.asgi import App
from proxy.clock import Clock
from proxy.config import Config
from proxy.errors import StartError
from proxy.plugins import attribute
from proxy.upstream import Engine
from proxy.upstream.address import Address
from proxy.upstream.aiohttp import Aiohttp
from proxy.upstream.asgi import Asgi
from proxy.upstream.httpx import Httpx


def engine_of(config: Config, address: Address, inner: App | None, clock: Clock) -> Engine:
    """Make the engine; `inner` is an app to call in place of what the config names. Raises StartError."""
    word, options = config.upstream.engine.word, config.upstream.engine.options
    connect = config.upstream.timeout.connect
    if inner is not None:
        return Asgi(inner)
    if word == "asgi":
        return Asgi(_named(options["app"]))
    if word == "httpx":
        made = _named(options["transport"])() if options.get("transport") else None
        return Httpx(address, connect, made)
    return Aiohttp(address, connect, clock.timer)


def _named(name: str) -> Any:
    """Return what `package.module:attribute` names. Raises StartError where there is no such thing."""
    try:
        return attribute(name)
    except (ImportError, AttributeError) as error:
        raise StartError(f"cannot load {name}: {error}") from error
