"""A JSON-RPC 2.0 service made with pjrpc, served by aiohttp; the first line on stdout is its port."""

import asyncio
import socket
from typing import Any

from aiohttp import web
from pjrpc.server import MethodRegistry
from pjrpc.server.exceptions import JsonRpcError, TypedError
from pjrpc.server.integration.aiohttp import Application

methods = MethodRegistry()


class NoSuchCityError(TypedError):
    """Nobody knows it."""

    CODE = 2001
    MESSAGE = "no such city"


@methods.add(name="city.get")
async def city(number: int) -> dict[str, Any]:
    """Return a city; later ones come sooner."""
    await asyncio.sleep(0.002 * (number % 3))
    if number % 10 == 9:
        raise NoSuchCityError(data={"number": number})
    return {"number": number, "name": f"Stadt {number} \u00e4\u2028", "people": 2**64 + number, "share": number / 7}


@methods.add(name="city.near")
def near(number: int, most: int = 3) -> list[int]:
    """Return its neighbours."""
    return [number + step for step in range(1, most + 1)]


if __name__ == "__main__":
    assert issubclass(NoSuchCityError, JsonRpcError)
    app = Application("/rpc").add_methods(methods).http_app
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    web.run_app(app, sock=listener, print=None)
