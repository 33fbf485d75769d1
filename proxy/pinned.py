"""What a rule pins: always there, read or not. Each answer is fetched again on time, as background work."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from proxy.asked import Asked
from proxy.bypass import Bypass
from proxy.clock import Clock
from proxy.core.arms import matched
from proxy.core.freshness import left
from proxy.core.key import normal_host
from proxy.core.log_line import LogLine
from proxy.core.plan import reason_to_pass
from proxy.core.refresh_ahead import window_s
from proxy.core.rules import Rule
from proxy.core.types import Client
from proxy.errors import Fallback
from proxy.mode import Mode
from proxy.places import Places
from proxy.purge import request_for
from proxy.refresh import Refresh

AGAIN_S = 1.0
"""How soon it is looked for again; what could not be stored, twice as late each time, to once an hour."""
_MOST_AGAIN_S = 3600.0
_LEAST_WINDOW_S = 2.0
_CLIENT = Client("127.0.0.1", "127.0.0.1")


class Pinned:
    """Keeps what `urls` name by rule; `roll` is from 0 to 1, so that processes do not all look at once."""

    def __init__(
        self,
        urls: Mapping[str, Sequence[str]],
        rules: Sequence[Rule],
        places: Places,
        refresh: Refresh,
        bypass: Bypass,
        mode: Mode,
        clock: Clock,
        *,
        new_id: Callable[[], str],
        roll: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._places = places
        self._refresh = refresh
        self._bypass = bypass
        self._mode = mode
        self._again_s: dict[bytes, float] = {}
        self._clock = clock
        self._new_id = new_id
        self._roll = roll
        self._asked = [self._asked_for(name, url) for name, of_rule in urls.items() for url in of_rule]

    def _asked_for(self, name: str, url: str) -> Asked:
        """Return what is asked for a URL; raises ValueError where that is not for its rule, or is never stored."""
        request = replace(request_for("GET", url, {}), client=_CLIENT)
        host = normal_host(request)
        request, rule, _ = matched(self._rules, request, host)
        if rule is None or rule.name != name:
            raise ValueError(f"rule {name} pins {url}, which is for {rule.name if rule else 'no rule'}")
        if reason := reason_to_pass(request, rule, {}):
            raise ValueError(f"rule {name} pins {url}, which passes through ({reason})")
        return Asked(request, rule, host, {}, LogLine("", "GET", request.path.decode(), 0.0, rule=name))

    async def keep(self) -> None:
        """Fetch all, and again on time, until it is cancelled."""
        await asyncio.gather(*[self._keep(asked) for asked in self._asked])

    async def _keep(self, asked: Asked) -> None:
        while True:
            wait_s = await self.look(asked)
            await asyncio.sleep(wait_s * (0.9 + self._roll() / 10))

    async def look(self, asked: Asked) -> float:
        """Have it fetched if it is due; return how soon to look again, in seconds."""
        if self._bypass.on or self._mode.observing:
            return AGAIN_S
        asked = replace(asked, line=replace(asked.line, request_id=self._new_id()))
        try:
            found = await self._places.find(asked)
        except Fallback:
            return _MOST_AGAIN_S  # it has no certain key: it passes
        entry = found.entry
        remains = left(entry, self._clock.wall()) if entry is not None else 0.0
        if entry is not None and remains > 0:
            self._again_s.pop(found.place, None)
            due_s = remains - max(window_s(entry), min(_LEAST_WINDOW_S, entry.ttl / 3))
            if due_s > 0:
                return due_s
        began = self._refresh.behind(found, asked)
        if remains > 0:
            return max(remains / 2, AGAIN_S / 10)
        again_s = self._again_s.get(found.place, AGAIN_S)
        if began:
            self._again_s[found.place] = min(again_s * 2, _MOST_AGAIN_S)
        return again_s
