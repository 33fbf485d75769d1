"""The way to the proxy, over httpx: each request exactly as it is wanted, its answer read to the end and let go."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson

from proxy import __version__
from proxy.core.types import Outcome, Request, Response
from proxy.warm.sending import Answer, Failed, Unreachable

_TIMEOUT = {"connect": 10.0, "read": 600.0, "write": 60.0, "pool": None}
_MOST_PROBLEM_BYTES = 2**16
_PROBLEM = b"application/problem+json"
_NO_TOKEN = "whether a rule says safe is not told without the token"  # noqa: S105  it is none


class Asking:
    """Asks the proxy at `url`, an http or https URL; its admin endpoints stand below `prefix`.

    It follows no redirect and keeps no cookie: those are answers like others.
    Raises ValueError where the URL is none.
    """

    def __init__(self, url: str, prefix: str, token: str, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("no http or https URL")
        self._url = httpx2.URL(scheme=parts.scheme, host=parts.hostname, port=parts.port, path="/")
        self.host = self._url.netloc
        self._prefix = (parts.path.rstrip("/") or prefix).encode()
        self._token = token.encode()
        self._transport = transport or httpx2.AsyncHTTPTransport(
            trust_env=False, limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        )

    async def __call__(self, request: Request) -> Answer:
        """Ask, and read the whole answer.

        Raises:
            Unreachable: nobody listens.
            Failed: the answer is not complete.
        """
        response, body = await self._sent(request)
        ours = response.header(b"content-type") == _PROBLEM
        return response, _members(body) if ours else {}

    async def check(self) -> None:
        """Make sure that it is a proxy of ours.

        Raises:
            Unreachable: it is not.
        """
        try:
            response, body = await self._sent(self._admin("GET", b"livez"))
        except Failed as error:
            raise Unreachable(str(error)) from error
        if response.status != 200 or not body.startswith(b"ok"):
            raise Unreachable(f"what answers there is no Frontrunner: {response.status}")

    async def refusing(self, request: Request) -> str | None:
        """Return why a POST or QUERY would not be answered from the store: only its rule says that it is safe to ask.

        Raises:
            Unreachable: nobody listens.
        """
        body = request.body if isinstance(request.body, bytes) else b""
        asked = {
            "method": request.method, "url": request.target.decode("ascii"), "body": body.decode(),
            "headers": {name.decode("ascii"): value.decode("latin-1") for name, value in request.fields.items()},
        }  # fmt: skip
        try:
            response, body = await self._sent(self._admin("POST", b"explain", orjson.dumps(asked), self._token))
        except Failed as error:
            return str(error)
        told = _members(body)
        if response.status == 401:
            return _NO_TOKEN
        if response.status != 200 or "rule" not in told:
            return str(told.get("detail", f"what would become of it is not told: {response.status}"))
        would = told.get("would")
        if isinstance(would, dict) and would.get("outcome") != Outcome.PASSTHROUGH:
            return None
        return str(told.get("passthrough") or told.get("refused") or (would or {}).get("reason"))

    def _admin(self, method: str, name: bytes, body: bytes = b"", token: bytes = b"") -> Request:
        known = ((b"authorization", b"Bearer " + token),) if token else ()
        typed = ((b"content-type", b"application/json"),) if body else ()
        return Request(method, self._prefix + b"/" + name, ((b"host", self.host), *known, *typed), body)

    async def _sent(self, request: Request) -> tuple[Response, bytes]:
        """Return a response's head, and as much of its body as a problem may have."""
        body = request.body if isinstance(request.body, bytes) else b""
        named = ((b"user-agent", b"frontrunner-warm/" + __version__.encode()), (b"accept", b"*/*"))
        headers = [*request.headers, *[field for field in named if field[0] not in request.fields]]
        if body or request.method != "GET":
            headers.append((b"content-length", b"%d" % len(body)))
        outgoing = httpx2.Request(
            request.method, self._url, headers=headers, content=body or None,
            extensions={"target": request.target, "timeout": _TIMEOUT},
        )  # fmt: skip
        try:
            response = await self._transport.handle_async_request(outgoing)
            try:
                return Response(response.status_code, _lowered(response)), await _beginning(response)
            finally:
                await response.aclose()
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol) as error:
            raise Unreachable(str(error)) from error
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise Failed(type(error).__name__) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


def _lowered(response: httpx2.Response) -> tuple[tuple[bytes, bytes], ...]:
    return tuple([(name.lower(), value) for name, value in response.headers.raw])


async def _beginning(response: httpx2.Response) -> bytes:
    begun = b""
    async for piece in response.aiter_raw():
        begun += piece[: _MOST_PROBLEM_BYTES - len(begun)]
    return begun


def _members(body: bytes) -> Mapping[str, Any]:
    try:
        told = orjson.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
