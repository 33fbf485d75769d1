"""Requests and calls → spans: their ids are given at the begin, the spans are made at the end from what was measured.

A call that no client asked for (refreshing, shadow) is a trace of its own, with a link to the request that led to it.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Protocol, TypeVar

from proxy.clock import Clock
from proxy.core.log_line import Call, LogLine, Purpose
from proxy.core.span import Attribute, Span, call_span, request_span
from proxy.core.trace_context import Begun, SpanContext, is_taken, parent_of, with_parent
from proxy.core.types import Request
from proxy.errors import Refusal

Way = TypeVar("Way")
Serving = Callable[[Request, Way, Refusal | None], Awaitable[None]]

_current: ContextVar[Begun | None] = ContextVar("frontrunner_span", default=None)
"""The client's request that is served; tasks that it starts take it with them."""


class Exporter(Protocol):
    """Takes spans that have ended."""

    def open(self) -> None:
        """Begin to send."""
        ...

    def export(self, span: Span, epoch: float) -> None:
        """Take one span; `epoch` is when its timer was 0, by the wall clock. Never blocks, never raises."""
        ...

    async def close(self) -> None:
        """Send what is left, if that is soon done."""
        ...


class Tracing:
    """Traces requests and calls; of hits without a parent the `share` is recorded, `bits` makes random numbers.

    `upstream` are the attributes of all calls.
    """

    def __init__(
        self,
        exporter: Exporter,
        clock: Clock,
        bits: Callable[[int], int],
        *,
        share: float,
        upstream: Mapping[str, Attribute],
    ) -> None:
        self._exporter = exporter
        self._clock = clock
        self._bits = bits
        self._share = share
        self._upstream = upstream
        self.open, self.close = exporter.open, exporter.close

    def around(self, serve: Serving[Way]) -> Serving[Way]:
        """Return what serves a request as the span that it is."""

        async def served(request: Request, way: Way, refused: Refusal | None = None) -> None:
            parent = parent_of(request.headers) if b"traceparent" in request.fields else None
            began = _current.set(Begun(self._below(parent), parent, scheme=request.client.scheme))
            try:
                await serve(request, way, refused)
            finally:
                _current.reset(began)

        return served

    def outgoing(self, request: Request, call: Call) -> Request:
        """Return what goes upstream with its call as the parent, and let the call know where it stands."""
        cause = _current.get()
        now = self._clock.timer()
        if call.purpose is not Purpose.CLIENT or cause is None:
            call.span = Begun(self._below(None), None, now, () if cause is None else (cause.context,))
            keeps_state = False
        else:
            call.span = Begun(self._below(cause.context), cause.context, now)
            keeps_state = cause.parent is not None
        return replace(request, headers=with_parent(request.headers, call.span.context, keeps_state=keeps_state))

    def request(self, line: LogLine, event: str = "request") -> None:
        """Note in the line of a request that has ended where it is found, and make its span if it is recorded."""
        begun = _current.get()
        if begun is None:
            return
        line.trace_id = begun.context.trace_id
        went_up = line.call is not None or line.upstream_calls > 0 or line.level == "error"
        if not is_taken(begun, went_up=went_up, share=self._share):
            return
        context = begun.context if event == "request" else self._below(begun.context)
        line.span_id = context.span_id
        self._export(request_span(line, begun, context, event))

    def upstream_call(self, call: Call, request_id: str) -> None:
        """Make the span of a call that has ended if it is recorded."""
        if call.span is not None and call.span.context.is_sampled:
            self._export(call_span(call, call.span, request_id, self._upstream, self._clock.timer()))

    def _below(self, parent: SpanContext | None) -> SpanContext:
        span_id = f"{self._bits(64) or 1:016x}"
        if parent is None:
            return SpanContext(f"{self._bits(128) or 1:032x}", span_id)
        return replace(parent, span_id=span_id)

    def _export(self, span: Span) -> None:
        self._exporter.export(span, self._clock.wall() - self._clock.timer())
