"""The httpx engine: any httpx transport a user has, driven below its client.

Its client would keep one user's cookies for the next, follow redirects and decode bodies; the transport alone does
none of that. Its own transport hands bytes beyond a Content-Length to the next request on the connection, so here no
connection serves twice: beside an answer that takes seconds, a new connection costs nothing.

Known limits of httpx itself: a request is sent whole before its answer is read, and a target with bytes beyond ASCII is
refused.
"""

from collections.abc import AsyncIterator

import httpx2

from proxy.core.types import Request, Response, Stream
from proxy.errors import (
    Refusal,
    UpstreamCut,
    UpstreamError,
    UpstreamInvalid,
    UpstreamRefused,
    UpstreamReset,
    UpstreamTimeout,
)
from proxy.upstream.address import Address

# Most specific first: httpx's tree → ours, for all that happens before a response head.
_MEANINGS: tuple[tuple[type[Exception], type[UpstreamError]], ...] = (
    (httpx2.ConnectTimeout, UpstreamTimeout),
    (httpx2.PoolTimeout, UpstreamTimeout),
    (httpx2.TimeoutException, UpstreamTimeout),
    (httpx2.ConnectError, UpstreamRefused),
    (httpx2.UnsupportedProtocol, UpstreamRefused),
    (httpx2.ProxyError, UpstreamRefused),
    (httpx2.NetworkError, UpstreamReset),
    (httpx2.RemoteProtocolError, UpstreamReset),
)


class Httpx:
    """Sends requests through an httpx transport; by default a plain one of its own."""

    def __init__(
        self, address: Address, connect_timeout: float, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._address = address
        self._timeout = {"connect": connect_timeout, "read": None, "write": None, "pool": None}
        self._transport = transport or httpx2.AsyncHTTPTransport(
            uds=address.unix or None,
            trust_env=False,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def send(self, request: Request, *, fresh: bool = False) -> Response:  # noqa: ARG002  each call is fresh
        """Send a request and return its response head with the body still arriving."""
        outgoing = self._outgoing(request)
        try:
            response = await self._transport.handle_async_request(outgoing)
        except httpx2.LocalProtocolError as error:
            raise Refusal(400, "bad_request", f"the httpx engine cannot send this request: {error}") from error
        except httpx2.TransportError as error:
            raise _meaning(error) from error
        if response.status_code < 200:
            await response.aclose()
            raise UpstreamInvalid(f"{response.status_code} is no final answer")
        headers = tuple([(name.lower(), value) for name, value in response.headers.raw])
        bodiless = request.method == "HEAD" or response.status_code in {204, 304}
        framed = bodiless or any(name in {b"content-length", b"transfer-encoding"} for name, _ in headers)
        return Response(response.status_code, headers, _Download(response), framed=framed)

    def _outgoing(self, request: Request) -> httpx2.Request:
        headers = list(request.headers)
        names = {name for name, _ in headers}
        if b"host" not in names:
            headers.insert(0, (b"host", self._address.authority))
        if not isinstance(request.body, bytes):
            if b"content-length" not in names:
                headers.append((b"transfer-encoding", b"chunked"))
        elif request.body and b"content-length" not in names:
            headers.append((b"content-length", b"%d" % len(request.body)))
        return httpx2.Request(
            request.method,
            httpx2.URL(scheme=self._address.scheme, host=self._address.host, port=self._address.port, path="/"),
            headers=headers,
            stream=_Upload(request.body),
            extensions={"target": self._address.target(request.target), "timeout": self._timeout},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


def _meaning(error: Exception) -> UpstreamError:
    if isinstance(error, httpx2.RemoteProtocolError) and "disconnected" not in str(error):
        return UpstreamInvalid(str(error))  # one class of theirs stands for both
    for theirs, ours in _MEANINGS:
        if isinstance(error, theirs):
            return ours(str(error))
    return UpstreamInvalid(str(error))


class _Upload(httpx2.AsyncByteStream):
    def __init__(self, body: bytes | Stream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._body, bytes):
            if self._body:
                yield self._body
            return
        async for chunk in self._body:
            yield chunk


class _Download:
    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        stream = response.stream
        if not isinstance(stream, httpx2.AsyncByteStream):
            raise UpstreamInvalid("the transport's response body is not asynchronous")
        self._chunks = aiter(stream)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            await self.aclose()
            raise
        except httpx2.TransportError as error:
            await self.aclose()
            raise UpstreamCut(str(error)) from error

    async def aclose(self) -> None:
        await self._response.aclose()
