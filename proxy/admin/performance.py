"""How long requests took, what that cost and saved, and how it changes: of all operations, or one."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from proxy import __version__
from proxy.admin import shown
from proxy.admin.problems import answer as problem
from proxy.clock import Clock
from proxy.core.census import Census
from proxy.core.history import Window, window
from proxy.core.operation import Operation, Operations
from proxy.core.reasons import Reason
from proxy.core.rules import UNMATCHED
from proxy.core.units import parse_duration
from proxy.recent import timestamp
from proxy.upstream.slot import LimitStatus

_ALL: Final = "all"
_USUAL_S: Final = 3600.0
MOST_REQUESTS: Final = 1000
_COUNT: Final = re.compile("[1-9][0-9]{0,8}")
"""What `int` reads beside it (-1, 1_0, digits of other scripts) is a slip of who asks."""


class Counts(Protocol):
    """Asks all processes what they have counted."""

    def everybodys(self, window: Window | None = None, *, lines: bool = False) -> Awaitable[Census]:
        """Return it, also in a window and the one before."""
        ...


class PerformanceDesk:
    """Tells what was measured; `rules` are the names of those that are configured."""

    def __init__(self, counts: Counts, slots: Callable[[], LimitStatus], clock: Clock, rules: tuple[str, ...]) -> None:
        self._counts = counts
        self._slots = slots
        self._clock = clock
        self._rules = rules

    async def all(self, request: Request) -> Response:
        """Tell it of all operations together, and of each."""
        try:
            wanted, seen, of = await self._seen(request)
        except ValueError as error:
            return problem(request, 400, Reason.BAD_REQUEST, str(error))
        together = of.all()
        told = {
            **_of_whom(seen), **self._about(request, seen), "n": together.n, "errors": shown.errors(together),
            **shown.seconds(together),
            **shown.slots(self._slots(), seen), "hit_ratio": shown.rounded(together.hit_ratio()),
            "hit_ratio_by_seconds": shown.rounded(together.hit_ratio_by_seconds()),
            **_trend(seen, Operations.all, wanted),
        }  # fmt: skip
        operations = {name: self._operation(one, name, seen) for name, one in of.items()}
        return JSONResponse({**told, "operations": operations})

    async def one(self, request: Request) -> Response:
        """Tell it of one operation."""
        name = request.path_params["operation"]
        try:
            wanted, seen, of = await self._seen(request)
        except ValueError as error:
            return problem(request, 400, Reason.BAD_REQUEST, str(error))
        if name not in seen.operations and name not in self._rules:
            return unknown(request, "operation", name, [*self._rules, *seen.operations])
        one = of.get(name, Operation())
        return JSONResponse(
            {
                "operation": name,
                **self._about(request, seen),
                **self._operation(one, name, seen),
                **_trend(seen, lambda operations: operations.get(name, Operation()), wanted),
            }
        )

    async def _seen(self, request: Request) -> tuple[Window, Census, Operations]:
        """Return the window, what was seen, and what is asked for of that. Raises ValueError for what is no window."""
        asked = request.query_params.get("window", _ALL)
        seconds = _USUAL_S if asked == _ALL else parse_duration(asked)
        wanted = _window(seconds, self._clock.wall())
        seen = await self._counts.everybodys(wanted)
        return wanted, seen, seen.operations if asked == _ALL else seen.window

    def _about(self, request: Request, seen: Census) -> dict[str, Any]:
        asked = request.query_params.get("window", _ALL)
        since = seen.since if asked == _ALL else seen.kept_since
        return {"window": asked, "since_s": round(self._clock.wall() - since, 3)}

    @staticmethod
    def _operation(one: Operation, name: str, seen: Census) -> dict[str, Any]:
        recent = seen.arms.get(name)
        return shown.operation(one, recent.by_arm if recent is not None else None)

    async def complexity(self, _: Request) -> Response:
        """Tell parts per query against time, by operation."""
        seen = await self._counts.everybodys()
        told = {name: shown.complexity(one) for name, one in seen.details.items() if one.by_parts}
        return JSONResponse({**_of_whom(seen), "operations": told})

    async def requests(self, request: Request) -> Response:
        """Tell the last requests, the newest last; `after` is the cursor that an earlier answer gave."""
        asked = request.query_params
        number = asked.get("n", "100")
        if not _COUNT.fullmatch(number):
            return problem(request, 400, Reason.BAD_REQUEST, "n is a whole number from 1 to 999999999")
        most = min(MOST_REQUESTS, int(number))
        until = timestamp(self._clock.wall())  # what ends while others are asked would overtake the cursor
        seen = await self._counts.everybodys(lines=True)
        lines = [line for line in seen.lines if line["timestamp"] <= until]
        wanted: dict[str, str | None] = {name: asked[name] for name in ("rule", "outcome") if name in asked}
        if wanted.get("rule") == UNMATCHED:  # an operation's name that is no rule's
            wanted["rule"] = None
        after = asked.get("after")
        fits = [line for line in lines if all(line.get(name) == one for name, one in wanted.items())]
        if after is None:
            told, cursor = fits[-most:], ""
        else:
            told, cursor = [line for line in fits if _cursor(line) > after][:most], after
        more = after is not None and len(told) == most  # then the cursor must not go beyond these
        last = told if more else lines
        missed = after is not None and after < seen.lines_since  # more may have ended since than are kept
        cursor = max(cursor, _cursor(last[-1])) if last else cursor
        return JSONResponse({"requests": told, "cursor": cursor, "missed": missed})


def _window(seconds: float, now: float) -> Window:
    try:
        return window(seconds, now, twice=True)
    except ValueError:
        return window(seconds, now)


def _of_whom(seen: Census) -> dict[str, Any]:
    return {"version": __version__, "workers": seen.processes}


def _trend(seen: Census, of: Callable[[Operations], Operation], wanted: Window) -> dict[str, Any]:
    """Return the trend of what is over; nothing where not all is known of the time before."""
    if seen.trend is None:
        return {}
    return {"trend": {"window_s": wanted.seconds, **shown.trend(*map(of, seen.trend))}}


def _cursor(line: Mapping[str, Any]) -> str:
    return f"{line['timestamp']} {line['request_id']}"


def unknown(request: Request, kind: str, name: str, known: list[str]) -> Response:
    """Answer that there is nothing of that name."""
    there = ", ".join(sorted(set(known))) or "none yet"
    return problem(request, 404, Reason.UNKNOWN_NAME, f"no {kind} is called {name!r}; there are: {there}")
