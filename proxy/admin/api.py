"""The admin JSON API: its paths, who may ask for them, and by which methods."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Match, Route

from proxy.admin.acts import Acts
from proxy.admin.cache import CacheDesk
from proxy.admin.guard import Guard
from proxy.admin.metrics import exposition
from proxy.admin.openapi import document
from proxy.admin.performance import Counts, PerformanceDesk
from proxy.admin.problems import answer as problem
from proxy.admin.rollout import RolloutDesk
from proxy.core.reasons import Reason
from proxy.upstream.slot import LimitStatus

Answer = Callable[[Request], Awaitable[Response]]

READ = frozenset({"GET", "HEAD"})
SENT = frozenset({"POST"})
READ_OR_FORGOTTEN = READ | {"DELETE"}
OPEN: Final = ("livez", "readyz")
OF_ITS_MAKER: Final = ("jobs/{id}",)
"""It needs the credentials of the request that made it."""
METHODS: Final = {
    "livez": READ, "readyz": READ, "performance": READ, "performance/{operation}": READ, "cache/status": READ,
    "cache/{type}/info": READ, "complexity": READ, "requests": READ, "rules": READ, "metrics": READ,
    "openapi.json": READ, "cache/purge": SENT, "bypass": READ | SENT, "explain": SENT, "rollout": READ | SENT,
    "rollout/{rule}": READ | SENT, "jobs/{id}": READ_OR_FORGOTTEN,
}  # fmt: skip
PATHS: Final = tuple(METHODS)
"""All that is served below the prefix."""
AT_THE_ROOT = ("performance", "cache")
"""The first path segments that `root_paths` serves at the root as well, where the original system had them."""


@dataclass(frozen=True, slots=True)
class Desks:
    """Who answers what."""

    performance: PerformanceDesk
    cache: CacheDesk
    rules: Answer
    acts: Acts
    rollout: RolloutDesk
    jobs: Answer


class Api:
    """The routes below the prefix; paths that it does not know go upstream."""

    def __init__(
        self,
        desks: Desks,
        counts: Counts,
        slots: Callable[[], LimitStatus],
        guard: Guard,
        prefix: str,
        *,
        root: bool,
    ) -> None:
        self._desks = desks
        self._counts = counts
        self._slots = slots
        self._guard = guard
        self._document = document(prefix, {path: sorted(methods - {"HEAD"}) for path, methods in METHODS.items()})
        answers = self._answers()
        self._routes = [Route(f"{prefix}/{path}", self._guarded(path, answers[path])) for path in METHODS]
        if root:
            self._routes += [
                Route(f"/{path}", self._guarded(path, answers[path]))
                for path in METHODS
                if path.startswith(AT_THE_ROOT)
            ]
        for route in self._routes:
            route.methods = set()  # of any method: who has no token is told that first
        self._firsts = (prefix + "/", *([f"/{name}" for name in AT_THE_ROOT] if root else ()))

    def _answers(self) -> dict[str, Answer]:
        desks = self._desks
        return {
            "livez": self._livez, "readyz": self._readyz, "performance": desks.performance.all,
            "performance/{operation}": desks.performance.one, "cache/status": desks.cache.status,
            "cache/{type}/info": desks.cache.info, "complexity": desks.performance.complexity,
            "requests": desks.performance.requests, "rules": desks.rules, "metrics": self._metrics,
            "openapi.json": self._openapi, "cache/purge": desks.acts.purge, "bypass": desks.acts.bypass,
            "explain": desks.acts.explain, "rollout": desks.rollout.all, "rollout/{rule}": desks.rollout.one,
            "jobs/{id}": desks.jobs,
        }  # fmt: skip

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

    def _guarded(self, path: str, answer: Answer) -> Answer:
        if path in OPEN:
            return answer
        methods = METHODS[path]

        async def allowed(request: Request) -> Response:
            return await _allowed(request, answer, methods)

        async def checked(request: Request) -> Response:
            told = self._guard.refusal(request) or await allowed(request)
            told.headers["cache-control"] = "no-store"
            return told

        return allowed if path in OF_ITS_MAKER else checked

    async def _livez(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _: Request) -> Response:
        # what is not ready does not listen
        return PlainTextResponse("ok, bypass is on\n" if self._desks.acts.bypassed else "ok\n")

    async def _metrics(self, request: Request) -> Response:
        seen, accept = await self._counts.everybodys(), request.headers.get("accept", "")
        body, media_type = exposition(seen, self._slots(), accept)
        return Response(body, media_type=media_type)

    async def _openapi(self, _: Request) -> Response:
        return JSONResponse(self._document)


async def _allowed(request: Request, answer: Answer, methods: frozenset[str]) -> Response:
    if request.method in methods:
        return await answer(request)
    allowed = ", ".join(sorted(methods))
    refused = problem(request, 405, Reason.METHOD, f"allowed here: {allowed}")
    refused.headers["allow"] = allowed
    return refused
