"""The story of one client request: find its rule, answer it, log it – once, whatever happened.

Read this first; then accelerate.py, the road of a request that may be answered from the store.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Protocol

from proxy.accelerate import Accelerate
from proxy.asked import Asked
from proxy.bypass import Bypass
from proxy.clock import Clock
from proxy.consequences import Consequences
from proxy.core import cache_status, server_timing
from proxy.core.arms import CONTROL, matched, without_token
from proxy.core.headers import answered, max_forwards, passed_here_before, request_id, trace_id
from proxy.core.http_date import render as http_date
from proxy.core.key import normal_host
from proxy.core.log_line import Call, LogLine
from proxy.core.plan import directives_of, reason_to_pass, translated
from proxy.core.prefer import wish_of
from proxy.core.priority import priority_of
from proxy.core.problem import problem
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.types import SAFE_METHODS, Outcome, Request, Response
from proxy.errors import ClientGone, Fallback, Refusal, UpstreamError, WaitOver
from proxy.jobs import Jobs, Road
from proxy.mode import Mode
from proxy.observation import Observation
from proxy.observe import Observe
from proxy.upstream.call import Upstream
from proxy.upstream.protection import Demand
from proxy.whole_body import TooLong, with_whole_body

ACCEPT_QUERY = b"accept-query"


class Delivery(Protocol):
    """The way back to one client."""

    started: bool
    """Whether the response head has left: after that nothing can be mended."""
    client_gone: bool

    @property
    def bytes_in(self) -> int:
        """Return how much of the request's body has arrived."""
        ...

    def watch(self) -> None:
        """From now on, cancel this request's task when the client leaves."""
        ...

    async def deliver(self, response: Response, line: LogLine) -> None:
        """Send a response, noting in `line` what left and when; raises what its body raises."""
        ...

    def cut(self) -> None:
        """End the connection instead of the answer, so that the client sees that it is incomplete."""
        ...


@dataclass(frozen=True, slots=True)
class Show:
    """Which fields of ours answers carry, beside X-Request-Id; and what `of` a request is shown in its log line."""

    cache_status: bool = True
    server_timing: bool = False
    of: Callable[[Request], dict[str, str] | None] | None = None


class Serve:
    """Serves client requests; `tell` gets each finished LogLine, `new_id` makes request ids."""

    def __init__(
        self,
        rules: Sequence[Rule],
        accelerate: Accelerate,
        consequences: Consequences,
        upstream: Upstream,
        bypass: Bypass,
        mode: Mode,
        observe: Observe,
        jobs: Jobs,
        clock: Clock,
        *,
        via: bytes,
        token: bytes,
        new_id: Callable[[], str],
        tell: Callable[[LogLine], None],
        failed: Callable[[BaseException, str], None],
        show: Show,
    ) -> None:
        self._rules = rules
        self._accelerate = accelerate
        self._consequences = consequences
        self._upstream = upstream
        self._bypass = bypass
        self._mode = mode
        self._observe = observe
        self._jobs = jobs
        self._road = Road(self._accelerated, self._signed, self._told)
        self._clock = clock
        self._via = via
        self._token = token
        self._new_id = new_id
        self._tell = tell
        self._failed = failed
        self._show = show

    async def __call__(self, request: Request, delivery: Delivery, refused: Refusal | None = None) -> None:
        """Serve one request; `refused` is what the server already found wrong with its head."""
        line = self._new_line(request)
        try:
            if refused is not None:
                raise refused
            response = await self._answer(request, line, delivery)
            await self._deliver(self._signed(response, line), line, delivery)
        except (Refusal, UpstreamError) as error:
            await self._explain(error, line, delivery)
        except ClientGone:
            _note(line, Reason.CLIENT_GONE, "client")
        except asyncio.CancelledError:
            if not delivery.client_gone:
                _note(line, Reason.SHUTDOWN, "proxy")
                raise
            _note(line, Reason.CLIENT_GONE, "client")
        except Exception as error:  # noqa: BLE001  an error of ours must not become the client's silence
            self._failed(error, line.request_id)
            await self._explain(error, line, delivery)
        finally:
            line.bytes_in = delivery.bytes_in
            line.close(self._clock.timer())
            tell = partial(self._tell, line)
            tell() if line.observed is None else line.observed.end(tell)

    def _new_line(self, request: Request) -> LogLine:
        return LogLine(
            request_id=(b"x-request-id" in request.fields and request_id(request.headers)) or self._new_id(),
            method=request.method,
            path=request.shown_path,
            began=self._clock.timer(),
            client_ip=request.client.ip,
            trace_id=trace_id(request.headers) if b"traceparent" in request.fields else None,
            shown=None if self._show.of is None else self._show.of(request),
        )

    async def _answer(self, request: Request, line: LogLine, delivery: Delivery) -> Response:
        """Find the request's rule, and the way that it takes."""
        request, forced = without_token(request, self._token)
        if b"via" in request.fields and passed_here_before(request.headers, self._via):
            raise Refusal(508, Reason.LOOP, "this request already went through this proxy: its upstream is the proxy")
        left = max_forwards(request.method, request.headers)
        if left == 0:
            return _final(request.method)
        if left is not None:
            fields = [
                (name, b"%d" % (left - 1) if name == b"max-forwards" else value) for name, value in request.headers
            ]
            request = replace(request, headers=tuple(fields))
        host = normal_host(request)
        keyed, rule, arm = matched(self._rules, request, host)
        if rule is not None:
            line.rule, line.arm = rule.name, (forced or arm) if rule.splitting is not None else None
            if self._mode.observing and not self._bypass.on:
                seen = self._observe(request, keyed, rule, host, line)
                return await self._pass(seen.sent, line, delivery.watch, Reason.OBSERVE, rule, seen)
        request = keyed
        if rule is None or not rule.offers_query:
            return await self._routed(request, request, rule, host, line, delivery)
        sent = request
        if request.method == "QUERY":
            if b"content-type" not in request.fields:
                raise Refusal(400, Reason.BAD_REQUEST, "a QUERY needs a Content-Type (RFC 10008 §2)")
            sent, line.translated = translated(request), True
        response = await self._routed(sent, request, rule, host, line, delivery)
        if response.header(ACCEPT_QUERY) is not None:
            return response
        return replace(response, headers=(*response.headers, (ACCEPT_QUERY, rule.accept_query)))

    async def _routed(
        self, request: Request, client: Request, rule: Rule | None, host: bytes, line: LogLine, delivery: Delivery
    ) -> Response:
        """Take the accelerated road if a rule allows it; else the request passes."""
        try:
            if self._bypass.on:
                raise Fallback(Reason.BYPASS)
            if rule is None:
                raise Fallback(Reason.NO_RULE)
            directives = directives_of(request, rule.ignore_client)
            if reason := reason_to_pass(request, rule, directives):
                raise Fallback(reason)
            request = await with_whole_body(request, rule.max_key_body)
        except TooLong as error:
            return await self._pass(error.request, line, delivery.watch, Reason.KEY_BODY_SIZE, rule)
        except Exception as error:  # noqa: BLE001
            return await self._off_the_road(error, request, line, delivery.watch, rule)
        as_sent = None if client.method == request.method else client
        asked = Asked(request, rule, host, directives, line, as_sent)
        # a HEAD is answered from the store or passes: nothing to come back for; without the owner's rule, Prefer is the
        # upstream's affair
        is_ours_to_heed = request.method != "HEAD" and not rule.ours
        wish = wish_of(request.header(b"prefer")) if is_ours_to_heed else None
        if wish is None:
            return await self._accelerated(asked, delivery.watch)
        return await self._jobs(wish, asked, self._road, delivery.watch)

    async def _accelerated(self, asked: Asked, wait: Callable[[], None]) -> Response:
        """Go down the accelerated road; from any point of it, passthrough is one step away."""
        try:
            response = await self._accelerate(asked, wait)
            if asked.request.method == "POST" and asked.line.flight == "lead":
                return await self._consequences(asked.request, response, asked.line, asked.rule)
            return response
        except Exception as error:  # noqa: BLE001
            return await self._off_the_road(error, asked.request, asked.line, wait, asked.rule)

    async def _off_the_road(
        self, error: Exception, request: Request, line: LogLine, wait: Callable[[], None], rule: Rule | None
    ) -> Response:
        """Let a request pass for what it met on the road; raises that again where it is the answer."""
        if isinstance(error, Refusal | UpstreamError | ClientGone):
            raise error
        if isinstance(error, Fallback):
            return await self._pass(request, line, wait, error.reason, rule)
        self._failed(error, line.request_id)  # no fault of ours may cost a client its answer
        line.error, line.error_source = Reason.INTERNAL, "proxy"
        return await self._pass(request, line, wait, Reason.INTERNAL, rule)

    async def _pass(
        self,
        request: Request,
        line: LogLine,
        wait: Callable[[], None],
        reason: str,
        rule: Rule | None,
        seen: Observation | None = None,
    ) -> Response:
        """Send the original request upstream whole and let its answer through; `seen`: it is observed meanwhile."""
        line.outcome, line.reason = Outcome.PASSTHROUGH, reason
        line.flight = line.joined = None
        line.arm = line.arm and CONTROL
        line.call = Call(rule=line.rule)
        wait()
        held_up = rule is not None and not rule.ours and reason not in {Reason.BYPASS, Reason.OBSERVE}
        demand = Demand(request.client.ip, priority_of(request)) if held_up else None
        response = await self._upstream.send(request, line.request_id, line.call, demand=demand)
        if seen is not None:
            response = await self._observe.answered(seen, response)
        else:
            response = await self._consequences(request, response, line, rule)
        unnamed = rule is None and request.method not in SAFE_METHODS
        line.cache_status = cache_status.forwarded(line.outcome, reason, by_method=unnamed)
        return replace(response, headers=answered(response.headers, http_date(self._clock.wall())))

    def _signed(self, response: Response, line: LogLine) -> Response:
        """Return the response with the fields that are ours."""
        ours = [(b"x-request-id", line.request_id.encode("ascii"))]
        if self._show.cache_status and line.cache_status is not None:
            ours.append((cache_status.NAME, line.cache_status))
        if self._show.server_timing:
            ours.append((server_timing.NAME, server_timing.server_timing(line, self._clock.timer())))
        return replace(response, headers=(*response.headers, *ours))

    @staticmethod
    async def _deliver(response: Response, line: LogLine, delivery: Delivery) -> None:
        if isinstance(response.body, bytes):
            await delivery.deliver(response, line)
            return
        async with aclosing(response.body):
            await delivery.deliver(response, line)

    async def _explain(self, error: Exception, line: LogLine, delivery: Delivery) -> None:
        """Tell the client what went wrong, or cut the answer that had begun."""
        told = self._told(error, line)
        if delivery.started:
            delivery.cut()
            return
        try:
            await delivery.deliver(told, line)
        except ClientGone:
            pass  # nobody is left to tell

    def _told(self, error: Exception, line: LogLine) -> Response:
        """Return what tells a client of an error, which is noted in `line`."""
        if isinstance(error, Refusal | UpstreamError):
            source = "client" if isinstance(error, Refusal) else "upstream"
            status, reason, detail = error.status, Reason(error.reason), str(error)
        else:
            source, status, reason, detail = "proxy", 500, Reason.INTERNAL, "the proxy failed; its log has the error"
        _note(line, reason, source)
        job = error.job if isinstance(error, WaitOver) else ""
        told = problem(status, reason, detail, line.request_id, self._retry_after_s(error, line), job)
        return replace(told, headers=(*told.headers, (b"date", http_date(self._clock.wall()))))

    def _retry_after_s(self, error: Exception, line: LogLine) -> int | None:
        """Return what is known of when it can go on, or as long as the failed call took: it may be back as soon."""
        if isinstance(error, WaitOver):
            return error.retry_after_s
        if not isinstance(error, UpstreamError) or line.call is None:
            return None
        return max(1, ceil(error.retry_after_s or line.call.duration_s(self._clock.timer())))


def _final(method: str) -> Response:
    """Answer what must not be forwarded any further (RFC 9110 §7.6.2); TRACE would show what is not the client's."""
    return Response(200 if method == "OPTIONS" else 405, ((b"content-length", b"0"),))


def _note(line: LogLine, reason: str, source: str) -> None:
    line.outcome, line.error, line.error_source, line.reason = Outcome.ERROR, reason, source, reason
