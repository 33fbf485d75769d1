"""The admin JSON API: what was measured and what is stored, as plain numbers."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Match, Route

from proxy import __version__
from proxy.admin.acts import Acts
from proxy.admin.guard import Guard
from proxy.admin.metrics import exposition
from proxy.admin.problems import answer as problem
from proxy.admin.rollout import RolloutDesk
from proxy.clock import Clock
from proxy.core.histogram import Histogram
from proxy.core.reasons import Reason
from proxy.stats import Operation, Stats
from proxy.store import Store
from proxy.upstream.slot import LimitStatus

Answer = Callable[[Request], Awaitable[Response]]

_QUANTILES = {"p50_s": 0.5, "p90_s": 0.9, "p99_s": 0.99}
READ = frozenset({"GET", "HEAD"})
SENT = frozenset({"POST"})
READ_OR_FORGOTTEN = READ | {"DELETE"}
PATHS = (
    "livez", "readyz", "performance", "performance/{operation}", "cache/status", "cache/{type}/info", "metrics",
    "cache/purge", "bypass", "explain", "rollout", "rollout/{rule}", "jobs/{id}",
)  # fmt: skip
"""All that is served below the prefix."""
AT_THE_ROOT = ("performance", "cache")
"""The first path segments that `root_paths` serves at the root as well, where the original system had them."""


class Api:
    """The routes below the prefix; paths that it does not know go upstream."""

    def __init__(
        self,
        stats: Callable[[], Awaitable[Stats]],
        store: Store,
        slots: Callable[[], LimitStatus],
        acts: Acts,
        rollout: RolloutDesk,
        jobs: Answer,
        clock: Clock,
        guard: Guard,
        rules: tuple[str, ...],
        prefix: str,
        *,
        root: bool,
    ) -> None:
        self._stats = stats
        self._store = store
        self._slots = slots
        self._clock = clock
        self._guard = guard
        self._rules = rules
        self._acts = acts
        read = (self._performance, self._one_operation, self._cache_status, self._cache_info, self._metrics)
        guarded = [self._checked(answer, READ) for answer in read]
        guarded += [self._checked(acts.purge, SENT), self._checked(acts.bypass, READ | SENT)]
        guarded += [self._checked(acts.explain, SENT)]
        guarded += [self._checked(rollout.all, READ | SENT), self._checked(rollout.one, READ | SENT)]
        answers = dict(zip(PATHS, (self._livez, self._readyz, *guarded, _for_its_maker(jobs)), strict=True))
        self._routes = [Route(f"{prefix}/{path}", answer) for path, answer in answers.items()]
        if root:
            self._routes += [Route(f"/{path}", answers[path]) for path in PATHS if path.startswith(AT_THE_ROOT)]
        for route in self._routes:
            route.methods = set()  # of any method: who has no token is told that first
        self._firsts = (prefix + "/", *([f"/{name}" for name in AT_THE_ROOT] if root else ()))

    def route_for(self, scope: Any) -> Route | None:
        """Return what serves this request, or None: then it is the upstream's."""
        if not scope["path"].startswith(self._firsts):
            return None
        for route in self._routes:
            match, more = route.matches(scope)
            if match is not Match.NONE:
                scope.update(more)
                return route
        return None

    def _checked(self, answer: Answer, methods: frozenset[str]) -> Answer:
        async def checked(request: Request) -> Response:
            told = self._guard.refusal(request) or await _allowed(request, answer, methods)
            told.headers["cache-control"] = "no-store"
            return told

        return checked

    async def _livez(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _: Request) -> Response:
        # what is not ready does not listen
        return PlainTextResponse("ok, bypass is on\n" if self._acts.bypassed else "ok\n")

    async def _performance(self, _: Request) -> Response:
        stats = await self._stats()
        operations = {name: _operation(one) for name, one in stats.operations.items()}
        return JSONResponse(
            {
                "version": __version__, "since_s": round(self._clock.timer() - stats.started, 3),
                "n": sum(one.n for one in stats.operations.values()),
                "errors": stats.errors(), **_seconds(stats), **_slots(self._slots()), "operations": operations,
            }
        )  # fmt: skip

    async def _one_operation(self, request: Request) -> Response:
        name, stats = request.path_params["operation"], await self._stats()
        one = stats.operations.get(name)
        if one is None and name not in self._rules:
            return _unknown(request, "operation", name, [*self._rules, *stats.operations])
        return JSONResponse({"operation": name, **_operation(one or Operation())})

    async def _cache_status(self, _: Request) -> Response:
        held, stats = self._store.status(), await self._stats()
        return JSONResponse(
            {
                "entries": held.entries, "bytes": held.bytes, "limit_bytes": held.limit_bytes,
                "evictions": held.evictions, "hit_ratio": _rounded(stats.hit_ratio()),
                **_seconds(stats), **_slots(self._slots()),
            }
        )  # fmt: skip

    async def _cache_info(self, request: Request) -> Response:
        name = request.path_params["type"]
        if name not in self._rules:
            return _unknown(request, "rule", name, list(self._rules))
        entries, size = self._store.rules().get(name, (0, 0))
        one = (await self._stats()).operations.get(name, Operation())
        return JSONResponse(
            {
                "type": name, "entries": entries, "bytes": size,
                "requests": {outcome: timings.n for outcome, timings in one.by_outcome.items()},
                "seconds_saved": _rounded(one.seconds_saved), "upstream_s": _rounded(one.upstream_s),
            }
        )  # fmt: skip

    async def _metrics(self, request: Request) -> Response:
        body, media_type = exposition(
            await self._stats(), self._store, self._slots(), request.headers.get("accept", "")
        )
        return Response(body, media_type=media_type)


def _for_its_maker(jobs: Answer) -> Answer:
    async def answered(request: Request) -> Response:
        return await _allowed(request, jobs, READ_OR_FORGOTTEN)

    return answered


async def _allowed(request: Request, answer: Answer, methods: frozenset[str]) -> Response:
    if request.method in methods:
        return await answer(request)
    allowed = ", ".join(sorted(methods))
    refused = problem(request, 405, Reason.METHOD, f"allowed here: {allowed}")
    refused.headers["allow"] = allowed
    return refused


def _seconds(stats: Stats) -> dict[str, float]:
    return {
        "seconds_saved": _rounded(stats.seconds_saved()), "seconds_spent": _rounded(stats.seconds_spent()),
        "queue_s": _rounded(stats.queue_s()),
    }  # fmt: skip


def _slots(now: LimitStatus) -> dict[str, float]:
    """Return what is in flight, and where there is a cap, how it stands."""
    told: dict[str, float] = {"in_flight": now.in_flight, "waiting": now.waiting}
    if now.ceiling is not None and now.limit is not None:
        told |= {"max_in_flight": now.ceiling, "limit": _rounded(now.limit)}
    return told


def _operation(one: Operation) -> dict[str, Any]:
    only_some: dict[str, Any] = {"split": {"parts": one.parts, "parts_hit": one.parts_hit}} if one.parts else {}
    if one.would:
        seconds, differ = _rounded(one.would_save_s), one.would_differ
        only_some |= {"would": one.would, "would_save_s": seconds, "would_differ": differ}
    return {
        "n": one.n, **_timings(one.all()),
        "by_outcome": {outcome: {"n": timings.n, **_timings(timings)} for outcome, timings in one.by_outcome.items()},
        "upstream_calls": one.upstream_calls, "upstream_s": _rounded(one.upstream_s),
        "overhead_s": _rounded(one.overhead.total), "overhead": _timings(one.overhead),
        "queue_s": _rounded(one.queue.total), "queue": {"n": one.queue.n, **_timings(one.queue)}, "errors": one.errors,
        "seconds_saved": _rounded(one.seconds_saved), "bytes_in": one.bytes_in, "bytes_out": one.bytes_out, **only_some,
    }  # fmt: skip


def _timings(timings: Histogram) -> dict[str, float]:
    quantiles = {name: _rounded(timings.quantile(share)) for name, share in _QUANTILES.items()}
    return {**quantiles, "max_s": _rounded(timings.most)}


def _rounded(number: float) -> float:
    return round(number, 6)


def _unknown(request: Request, kind: str, name: str, known: list[str]) -> Response:
    there = ", ".join(sorted(set(known))) or "none yet"
    return problem(request, 404, Reason.UNKNOWN_NAME, f"no {kind} is called {name!r}; there are: {there}")
