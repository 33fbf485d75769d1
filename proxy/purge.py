"""Taking entries out of the store on an operator's word: by URL, key, rule or group, or all; hard, or soft (stale)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.arms import matched
from proxy.core.explain import target_shown
from proxy.core.key import normal_host
from proxy.core.log_line import LogLine
from proxy.core.plan import reason_to_pass, translated
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.types import Client, Request
from proxy.errors import Fallback
from proxy.parts import Parts
from proxy.places import Places
from proxy.store.epochs import ALL
from proxy.upstream.flights import Flights

KINDS = ("url", "key", "rule", "group", "all")


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLAIN = re.compile(r"[\x21-\x7e]*")
_URL = re.compile(r"(?i:(?P<scheme>https?)://(?P<authority>[^/?]+))?(?P<target>.*)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def request_for(
    method: str, url: str, headers: Mapping[str, str], body: bytes = b"", host: bytes = b"localhost"
) -> Request:
    """Make the request that an operator describes: a URL, or a target with the Host among its headers.

    Raises ValueError for what no client sends like that, without the values: they may be secrets.
    """
    found = _URL.fullmatch(url)
    if not _TOKEN.fullmatch(method):
        raise ValueError("the method is not one word, such as GET")
    if not _PLAIN.fullmatch(url) or found is None:
        raise ValueError("the URL holds a space or other characters that clients send escaped, such as %20")
    scheme, authority, target = found.groups()
    if not target.startswith("/") and (not authority or target[:1] not in {"", "?", "#"}):
        raise ValueError("the URL is neither one such as http://host/path?query nor a target such as /path?query")
    if "#" in url:
        raise ValueError("the URL has a fragment, which clients do not send")
    if "@" in (authority or ""):
        raise ValueError("the URL names a user, which clients send as a field Authorization")
    fields = _fields(headers)
    if not any(name == b"host" for name, _ in fields):
        fields.insert(0, (b"host", authority.encode() if authority else host))
    target = target if target.startswith("/") else f"/{target}"
    return Request(method.upper(), target.encode(), tuple(fields), body, Client(scheme=(scheme or "http").lower()))


def _fields(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    fields: dict[bytes, bytes] = {}
    for given, value in headers.items():
        name = given.lower()
        if not _TOKEN.fullmatch(name):
            raise ValueError("a header field has a name that cannot be one")
        if name.encode() in fields:
            raise ValueError(f"the header field {name} is named twice")
        if _CONTROL.search(value) or max(value, default="") > "\xff":
            raise ValueError(
                f"the header field {name} has a value that no client can send: a line break, or not Latin-1"
            )
        fields[name.encode()] = value.strip(" \t").encode("latin-1")
    return list(fields.items())


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

    def __init__(self, rules: Sequence[Rule], places: Places, parts: Parts, flights: Flights, clock: Clock) -> None:
        self._rules = rules
        self._places = places
        self._parts = parts
        self._flights = flights
        self._clock = clock

    async def __call__(self, wanted: Wanted) -> bool | None:
        """Purge; tell whether anything was stored there, None where nobody looks (a rule, a group, all).

        Raises ValueError where the URL has no entry that could be purged, or no rule has that name, and what a broken
        store raises.
        """
        now, name = self._clock.wall(), wanted.value.encode()
        if wanted.kind == "all":
            self._places.purges.rules([ALL], now, soft=wanted.soft)
            self._flights.disown(lambda _: True)
        elif wanted.kind == "rule":
            names = [rule.name for rule in self._rules]
            if wanted.value not in names:
                raise ValueError(f"no rule is called {wanted.value!r}; there are: {', '.join(names)}")
            self._places.purges.rules([name], now, soft=wanted.soft)
            self._flights.disown(lambda flight: flight.rule == wanted.value)
        elif wanted.kind == "group":
            self._places.purges.groups([name], now, soft=wanted.soft)
            self._flights.disown(lambda flight: name in flight.groups)
        elif wanted.request is not None:
            return await self._by_request(wanted.request, soft=wanted.soft)
        else:
            return await self._by_key(bytes.fromhex(wanted.value), soft=wanted.soft)
        return None

    async def _by_request(self, request: Request, *, soft: bool) -> bool:
        """Purge what a request finds, and its parts; hard, also what others find with other cookies or credentials."""
        host = normal_host(request)
        request, rule, _ = matched(self._rules, request, host)
        if rule is not None and rule.offers_query and request.method == "QUERY":
            request = translated(request)
        reason = Reason.NO_RULE if rule is None else reason_to_pass(request, rule, {})
        if rule is None or reason:
            raise ValueError(
                f"{request.method} {target_shown(request.path)} passes through ({reason}): it is never stored"
            )
        asked = Asked(request, rule, host, {}, LogLine("", request.method, "", 0.0))
        held = False
        purged: set[bytes] = set()
        for _ in range(2):  # below an answer of its own may be that of an equal query (No-Vary-Search)
            try:
                found = await self._places.find(asked)
            except Fallback as fallback:
                raise ValueError(f"it has no certain key ({fallback.reason}): it is never stored") from fallback
            held = held or found.part is not None
            bare = found.bare
            for home in {found.key, found.home, bare} - purged:
                held = await self._by_key(home, soft=soft) or held
                purged.add(home)
        return await self._parts.forget(asked, soft=soft) or held

    async def _by_key(self, key: bytes, *, soft: bool) -> bool:
        self._flights.disown(lambda flight: key in {flight.key, flight.home, flight.bare})
        held = await self._places.holds(key)
        if soft:
            await self._places.soften(key)
            return held
        self._places.purges.targets([key], self._clock.wall())
        await self._places.forget(key)
        if held and await self._places.holds(key):
            raise OSError("the store has not let go of it")
        return held
