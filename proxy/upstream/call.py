"""One call upstream: its fields, its deadlines, one retry where that is safe, its own log line."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from proxy.clock import Clock
from proxy.core.headers import forwarded
from proxy.core.log_line import ABANDONED, Call, Purpose
from proxy.core.priority import SHADOW
from proxy.core.types import SAFE_METHODS, Request, Response, Stream
from proxy.errors import UpstreamError, UpstreamReset, UpstreamTimeout
from proxy.upstream import Engine
from proxy.upstream.protection import Admission, Demand, Protection

_RETRY_WITHIN_S = 1.0
"""A kept-alive connection that the upstream was just closing fails at once. A call that failed later may have cost the
upstream real work, and repeating it would hit it harder than without us."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for the response head and between two pieces of the body, in seconds; None is for ever."""

    first_byte: float | None = None
    idle: float | None = None


UNLIMITED = Timeouts()


class Upstream:
    """Calls the one upstream, and tells of each call at its end, with the id of the request that led to it.

    `via` is our name in the Via field, `trace` gives what goes up its place in a trace.
    """

    def __init__(
        self,
        engine: Engine,
        protection: Protection,
        clock: Clock,
        tell: Callable[[Call, str], None],
        via: bytes,
        *,
        host: bytes | None,
        trace: Callable[[Request, Call], Request] | None = None,
    ) -> None:
        self._trace = trace
        self._engine = engine
        self._protection = protection
        self._clock = clock
        self._tell = tell
        self._via = via
        self._host = host

    async def send(
        self,
        request: Request,
        request_id: str,
        call: Call,
        timeouts: Timeouts = UNLIMITED,
        demand: Demand | None = None,
    ) -> Response:
        """Send a request and return its response, whose body times and tells of the call as it is read or closed.

        Who demands a slot waits for it first. Raises UpstreamError and what the engine's contract names.
        """
        admission = await self._protection.admit(demand, call, request_id) if demand is not None else None
        underway = _Underway(self, call, request_id, admission)
        try:
            return await self._send(request, underway, timeouts)
        except BaseException as error:
            underway.end(_word(error), error)
            raise

    async def _send(self, request: Request, underway: "_Underway", timeouts: Timeouts) -> Response:
        call, request_id = underway.call, underway.request_id
        outgoing = self._outgoing(request, request_id)
        if not isinstance(outgoing.body, bytes):
            outgoing = replace(outgoing, body=_Counted(outgoing.body, call))
        call.method, call.path = request.method, request.shown_path
        call.began, call.asked_at, call.ended = self._clock.timer(), self._clock.wall(), None
        if SHADOW[0] in request.fields:
            call.purpose = Purpose.SHADOW
        else:
            self._protection.budget.add()
        response = await self._answer(outgoing, request_id, call, timeouts)
        call.first_byte = self._clock.timer()
        if isinstance(request.body, bytes):
            call.bytes_out = len(request.body)
        call.status, call.connect_s = response.status, response.connect_s
        body = response.body
        if isinstance(body, bytes):
            underway.end(None)
            return response
        if underway.admission is not None:
            underway.admission.answered(response)
        return replace(response, body=_Timed(body, underway, timeouts.idle))

    def _outgoing(self, request: Request, request_id: str) -> Request:
        headers = forwarded(request.headers, request.client, self._via, request_id)
        if self._host is not None:
            headers = ((b"host", self._host), *[field for field in headers if field[0] != b"host"])
        return replace(request, headers=headers)

    async def _answer(self, request: Request, request_id: str, call: Call, timeouts: Timeouts) -> Response:
        try:
            async with asyncio.timeout(timeouts.first_byte):
                call.sent += 1
                try:
                    return await self._engine.send(self._traced(request, call))
                except UpstreamReset as lost:
                    if not self._may_repeat(request, call):
                        raise
                    now = self._clock.timer()  # its time is told once: as part of the call that is sent again
                    self._tell(replace(call, began=now, ended=now, error=lost.reason), request_id)
                call.sent += 1
                response = await self._engine.send(self._traced(request, call), fresh=True)
                self._protection.budget.give_back()  # the first one was lost on an idle connection: it cost no work
                return response
        except TimeoutError as error:
            raise UpstreamTimeout(f"no answer within {timeouts.first_byte} s") from error

    def _traced(self, request: Request, call: Call) -> Request:
        return request if self._trace is None else self._trace(request, call)

    def _may_repeat(self, request: Request, call: Call) -> bool:
        replayable = request.method in SAFE_METHODS and isinstance(request.body, bytes)
        is_soon = self._clock.timer() - call.began < _RETRY_WITHIN_S
        return replayable and is_soon and self._protection.budget.take_for_client()

    def ended(self, call: Call, request_id: str, error: str | None) -> None:
        """Tell of a call at its end."""
        call.ended = self._clock.timer()
        call.error = error
        self._tell(call, request_id)

    async def close(self) -> None:
        """Turn away who waits for a slot, and close all connections."""
        self._protection.close()
        await self._engine.close()


def _word(error: BaseException) -> str:
    """Return how a call failed that has no answer."""
    if isinstance(error, asyncio.CancelledError):
        return ABANDONED
    return error.reason if isinstance(error, UpstreamError) else type(error).__name__


class _Underway:
    """One call that was admitted; it ends once."""

    def __init__(self, upstream: Upstream, call: Call, request_id: str, admission: Admission | None) -> None:
        self._upstream = upstream
        self.call = call
        self.request_id = request_id
        self.admission = admission
        self._ended = False

    def end(self, word: str | None, error: BaseException | None = None) -> None:
        """Tell of the call and give its slot back; `word` is how it failed."""
        if self._ended:
            return
        self._ended = True
        try:
            self._upstream.ended(self.call, self.request_id, word)
        finally:
            if self.admission is not None:
                self.admission.end(self.call, word, error if isinstance(error, UpstreamError) else None)


class _Counted:
    """A request body that tells how much of it went up."""

    def __init__(self, body: Stream, call: Call) -> None:
        self._chunks = aiter(body)
        self._call = call
        self.aclose = body.aclose

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._chunks)
        self._call.bytes_out += len(chunk)
        return chunk


class _Timed:
    """A response body that tells when it ended, and gives up on an upstream that falls silent."""

    def __init__(self, body: Stream, underway: _Underway, idle: float | None) -> None:
        self._body = body
        self._chunks = aiter(body)
        self._underway = underway
        self._idle = idle
        self._unread: asyncio.TimerHandle | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._is_read()
        try:
            chunk = await self._next()
        except StopAsyncIteration:
            self._underway.end(None)
            raise
        except UpstreamError as error:
            self._underway.end(error.reason, error)
            raise
        except Exception as error:
            self._underway.end(_word(error))
            raise
        self._underway.call.bytes_in += len(chunk)
        admission = self._underway.admission
        if admission is not None and (patience_s := admission.patience_s) is not None:
            self._unread = asyncio.get_running_loop().call_later(patience_s, admission.unread)
        return chunk

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    async def _next(self) -> bytes:
        if self._idle is None:
            return await anext(self._chunks)
        try:
            async with asyncio.timeout(self._idle):
                return await anext(self._chunks)
        except TimeoutError as error:
            await self._body.aclose()
            raise UpstreamTimeout(f"nothing more within {self._idle} s") from error

    async def aclose(self) -> None:
        self._is_read()
        self._underway.end(ABANDONED)
        await self._body.aclose()
