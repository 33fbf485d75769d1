"""Taking entries out of the store on an operator's word: by URL, key, rule or group, or all; hard, or soft (stale)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy.clock import Clock
from proxy.core.key import normal_host
from proxy.core.log_line import LogLine
from proxy.core.plan import reason_to_pass
from proxy.core.rules import Rule, first_match
from proxy.core.types import Request
from proxy.errors import Fallback
from proxy.places import Asked, Places
from proxy.store.epochs import ALL
from proxy.upstream.collapse import Flight, Flights

KINDS = ("url", "key", "rule", "group", "all")


def request_for(
    method: str, url: str, headers: Mapping[str, str], body: bytes = b"", host: bytes = b"localhost"
) -> Request:
    """Make the request that an operator describes: a URL, or a target with the Host among its headers.

    Raises ValueError for what is neither.
    """
    split = urlsplit(url)
    if split.scheme not in {"", "http", "https"} or not (
        split.path.startswith("/") or (split.netloc and not split.path)
    ):
        raise ValueError(f"{url!r} is neither a URL such as http://host/path?query nor a target such as /path?query")
    named = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    if not any(name == b"host" for name, _ in named):
        named.insert(0, (b"host", split.netloc.rpartition("@")[2].encode() or host))
    target = (split.path or "/") + (f"?{split.query}" if "?" in url.partition("#")[0] else "")
    return Request(method.upper(), target.encode(), tuple(named), body)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One purge: which entries (one of KINDS and its value), and whether they stay as stale ones.

    For a URL, `request` is what its clients send; the others need none.
    """

    kind: str
    value: str = ""
    soft: bool = False
    request: Request | None = None


class Purge:
    """Purges; what is being fetched meanwhile for a purged key is not stored."""

    def __init__(self, rules: Sequence[Rule], places: Places, flights: Flights, clock: Clock) -> None:
        self._rules = rules
        self._places = places
        self._flights = flights
        self._clock = clock

    async def __call__(self, wanted: Wanted) -> None:
        """Purge. Raises ValueError where the URL has no entry that could be purged, or no rule has that name."""
        now = self._clock.wall()
        if wanted.kind == "all":
            self._places.purges.rules([ALL], now, soft=wanted.soft)
            self._disown(lambda _: True, soft=wanted.soft)
        elif wanted.kind == "rule":
            names = [rule.name for rule in self._rules]
            if wanted.value not in names:
                raise ValueError(f"no rule is called {wanted.value!r}; there are: {', '.join(names)}")
            self._places.purges.rules([wanted.value.encode()], now, soft=wanted.soft)
            self._disown(lambda flight: flight.rule == wanted.value, soft=wanted.soft)
        elif wanted.kind == "group":
            self._places.purges.groups([wanted.value.encode()], now, soft=wanted.soft)
            self._disown(lambda flight: wanted.value.encode() in flight.groups, soft=wanted.soft)
        elif wanted.request is not None:
            await self._by_request(wanted.request, soft=wanted.soft)
        else:
            await self._by_key(bytes.fromhex(wanted.value), soft=wanted.soft)

    def _disown(self, purged: Callable[[Flight], bool], *, soft: bool) -> None:
        if not soft:
            self._flights.disown(purged)

    async def _by_request(self, request: Request, *, soft: bool) -> None:
        host = normal_host(request)
        rule = first_match(self._rules, request, host)
        reason = "no_rule" if rule is None else reason_to_pass(request, rule, {})
        if rule is None or reason:
            raise ValueError(
                f"{request.method} {request.target.decode('latin-1')} passes through ({reason}): it is never stored"
            )
        try:
            found = await self._places.find(Asked(request, rule, host, {}, LogLine("", request.method, "", 0.0)))
        except Fallback as fallback:
            raise ValueError(f"it has no certain key ({fallback.reason}): it is never stored") from fallback
        for home in {found.key, found.home}:
            await self._by_key(home, soft=soft)

    async def _by_key(self, key: bytes, *, soft: bool) -> None:
        if soft:
            await self._places.soften(key)
        else:
            self._flights.disown(lambda flight: key in {flight.key, flight.home})
            await self._places.forget(key)
