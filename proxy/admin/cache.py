"""What is stored and what that saved: of all rules together, or of one."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from proxy.admin import shown
from proxy.admin.performance import Counts, unknown
from proxy.core.detail import Detail
from proxy.core.operation import Operation
from proxy.upstream.slot import LimitStatus

ByRule = Callable[[], Mapping[str, tuple[int, int]] | None]
"""Tells how many entries and bytes each rule holds; None where nobody knows."""


class CacheDesk:
    """Tells of the stores; `rules` are the names of those that are configured, `allowed` the fields of a key's query.

    Counts outlive a config: what is not allowed any more is in them still.
    """

    def __init__(
        self, counts: Counts, by_rule: ByRule, slots: Callable[[], LimitStatus], rules: tuple[str, ...],
        allowed: frozenset[str],
    ) -> None:  # fmt: skip
        self._counts = counts
        self._by_rule = by_rule
        self._slots = slots
        self._rules = rules
        self._allowed = allowed

    async def status(self, _: Request) -> Response:
        """Tell what is held, what that saved, and how each store is."""
        seen = await self._counts.everybodys()
        together, held = seen.operations.all(), shown.whole(seen.held)
        return JSONResponse(
            {
                "entries": held.entries, "bytes": held.bytes, "limit_bytes": held.limit_bytes,
                "evictions": seen.evictions.get(held.name, 0), "hit_ratio": shown.rounded(together.hit_ratio()),
                "hit_ratio_by_seconds": shown.rounded(together.hit_ratio_by_seconds()),
                **shown.seconds(together), **shown.slots(self._slots(), seen), "workers": seen.processes,
                "stores": [
                    {
                        "name": one.name, "state": "ok" if one.is_well else "failing", "entries": one.entries,
                        "bytes": one.bytes, "limit_bytes": one.limit_bytes, "evictions": seen.evictions.get(one.name, 0),
                    }
                    for one in seen.held
                ],
            }
        )  # fmt: skip

    async def info(self, request: Request) -> Response:
        """Tell what is held for one rule, how old that is when it is served, and which keys save the most."""
        name = request.path_params["type"]
        if name not in self._rules:
            return unknown(request, "rule", name, list(self._rules))
        seen = await self._counts.everybodys()
        one = seen.operations.get(name, Operation())
        return JSONResponse(
            {
                "type": name, **shown.share(self._by_rule(), name),
                "requests": {outcome: timings.n for outcome, timings in one.by_outcome.items()},
                "hit_ratio": shown.rounded(one.hit_ratio()),
                "hit_ratio_by_seconds": shown.rounded(one.hit_ratio_by_seconds()),
                "seconds_saved": shown.rounded(one.seconds_saved), "upstream_s": shown.rounded(one.upstream_s),
                **shown.details(seen.details.get(name, Detail()), self._allowed),
            }
        )  # fmt: skip
