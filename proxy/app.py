"""The composition root: a Config becomes objects, and they one ASGI app; the only file that knows all concrete things."""

import asyncio
import os
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from proxy.accelerate import Accelerate
from proxy.admin.acts import Acts
from proxy.admin.api import Api
from proxy.api_of import api_of
from proxy.asgi import EXTENSION, App, Receive, Scope, Send
from proxy.boarding import Boarding
from proxy.bypass import LOOK_EVERY_S, Bypass
from proxy.census_taker import CensusTaker, Now
from proxy.clock import Clock, SystemClock
from proxy.config import Config, from_mapping, load
from proxy.config_shape import IN_PROCESS
from proxy.consequences import Consequences
from proxy.core.log_line import Call, LogLine
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.edge import Edge
from proxy.engine_of import engine_of
from proxy.errors import ConfigError, Finding, StartError
from proxy.explain import Explain, Forms
from proxy.explain_parts import ExplainParts
from proxy.fan import Fan
from proxy.fetch import Fetch
from proxy.identity import kept_key, kept_token, machine, names, new_ids
from proxy.jobs import Jobs
from proxy.log_of import log_of, shown_of
from proxy.mode import Mode
from proxy.observe import Observe
from proxy.origins import Origins
from proxy.parts import Parts
from proxy.pinned import Pinned
from proxy.places import Places
from proxy.promotion import Promotion
from proxy.protection_of import protection_of
from proxy.purge import Purge
from proxy.recent import Recent
from proxy.refresh import Refresh
from proxy.reload import LastReload, Reload
from proxy.rollouts import Rollouts
from proxy.rules_of import rules_of
from proxy.serve import Serve, Show
from proxy.shelf import Shelf
from proxy.spread import Spread
from proxy.state_folder import state_folder
from proxy.stats import Stats
from proxy.stores import Stores, scope_of, stores_of
from proxy.tasks import Tasks
from proxy.tracing_of import tracing_of
from proxy.trials import Trials
from proxy.trusting import Trusting
from proxy.turns import Turns
from proxy.upstream.address import Address
from proxy.upstream.call import Timeouts, Upstream
from proxy.upstream.flights import Flights


def create_app(config: Config | Path | str | Mapping[str, Any] | None = None) -> "Proxy":
    """Make the proxy as an ASGI app from a Config, a file, a mapping, or the file that FRONTRUNNER_CONFIG names.

    Raises ConfigError, and StartError where the log or the engine that it names cannot be had.
    """
    return Proxy(config_of(config))


def config_of(config: Config | Path | str | Mapping[str, Any] | None, *, inside: bool = False) -> Config:
    """Return a Config, or read it from a file, a mapping, or the file that FRONTRUNNER_CONFIG names.

    `inside`: it is for an app in this process, which needs no address. Raises ConfigError.
    """
    if isinstance(config, Config):
        return config
    # with an inner app that is the upstream: its URL only names it, in keys and fields
    own = {"upstream": IN_PROCESS} if inside else {}
    if isinstance(config, Mapping) or (inside and config is None):
        return from_mapping({**own, **(config or {})}, os.environ)
    named = config or os.environ.get("FRONTRUNNER_CONFIG")
    if not named:
        nothing = Finding("FRONTRUNNER_CONFIG", "", "nothing", "the path of a config file, or create_app(config)")
        raise ConfigError([nothing])
    return load(Path(named), own)


class Proxy:
    """One proxy: its objects, opened before the first request and closed after the last."""

    def __init__(
        self, config: Config, inner: App | None = None, *, clock: Clock | None = None, token: str | None = None
    ) -> None:
        clock = clock or SystemClock()
        self.config, self.mode = config, Mode(observing=config.mode == "observe")
        self.log = log_of(config, clock)
        self._clock = clock
        self._stats, self._recent = Stats(clock), Recent(clock)
        self._reloaded = LastReload(clock.wall())
        self._tasks = Tasks(lambda error: self._failed(error, ""))
        address = Address.parse(config.upstream.url)
        stores = _stores(config, address, clock, self._failed)
        self._store, self._stores = stores.store, stores
        rules, scopes = rules_of(config, kept_key())
        forms, flights = Forms(), Flights(self._tasks)
        self._rollouts = Rollouts(rules, clock)
        places = Places(self._store, scopes, self._rollouts, clock, self._failed, forms.note)
        self._bypass = Bypass(state_folder(os.environ) / f"bypass-{scope_of(config, address.identity)}")
        run, name = names()
        self._name = name
        self._trials = Trials(rules, self._rollouts, clock, name, _hash(config))
        turns = Turns(stores.shared, stores.wire, name, self._tasks, clock, self._failed)
        self._roll = random.Random(secrets.randbits(256)).random  # noqa: S311
        self._protection = protection_of(
            config, state_folder(os.environ), scope_of(config, address.identity), name, stores.wire, self._tasks, clock,
            self._roll, self._failed,
        )  # fmt: skip
        self._counts = self._census(stores)
        self._spread = self._spreads(stores, places, flights, turns)
        via = f"1.1 frontrunner-{run}".encode()
        self._upstream = self._calls(address, inner, via)
        self.token = token or config.admin.token or kept_token()
        self._edge = self._road(rules, places, flights, turns, via)
        purge = Purge(rules, places, self._parts, flights, clock)
        explain = Explain(rules, scopes, places, self._explain_parts, forms, clock)
        self._api = self._admin(rules, Acts(purge, self._bypass, explain, self.log.events.info))
        self._pinned = self._pins(rules, places)
        self._promotion = self._canaries(rules)
        self._opening: asyncio.Task[None] | None = None
        self._looking: asyncio.TimerHandle | None = None

    def _calls(self, address: Address, inner: App | None, via: bytes) -> Upstream:
        config, clock = self.config, self._clock
        host = address.authority if config.upstream.host == "upstream" else None
        engine = engine_of(config, address, inner, clock)
        self._tracing = tracing_of(config, address, self._name, clock, self.log)
        trace = self._tracing.outgoing if self._tracing else None
        return Upstream(engine, self._protection, clock, self._tell_call, via, host=host, trace=trace)

    def _census(self, stores: Stores) -> CensusTaker:
        return CensusTaker(
            self._stats, self._recent, self._held_now, stores.shared, stores.wire, self._tasks, self._clock,
            machine=machine(), name=self._name, failed=self._failed,
        )  # fmt: skip

    def _spreads(self, stores: Stores, places: Places, flights: Flights, turns: Turns) -> Spread:
        return Spread(
            stores.shared, stores.wire, self._tasks, purges=places.purges, flights=flights, bypass=self._bypass,
            rollouts=self._rollouts, clock=self._clock, name=self._name, failed=self._failed,
            hear=(turns.hear, self._protection.hear, self._counts.hear, *stores.hear), far=stores.far,
        )  # fmt: skip

    def _admin(self, rules: Sequence[Rule], acts: Acts) -> Api:
        return api_of(
            self.config, rules, self._counts, self._stores.by_rule, self._protection.status, self._rollouts,
            self._trials, acts, self._jobs, self._clock, self.token, self.log.events.info,
        )  # fmt: skip

    def _canaries(self, rules: Sequence[Rule]) -> Promotion:
        return Promotion(
            rules, self._rollouts, self._trials, self._protection, self._stores.shared, self._name, self._clock,
            tell=self.log.events.info, failed=self._failed,
        )  # fmt: skip

    def _road(self, rules: Sequence[Rule], places: Places, flights: Flights, turns: Turns, via: bytes) -> Edge:
        config, clock = self.config, self._clock
        timeouts = Timeouts(config.upstream.timeout.first_byte, config.upstream.timeout.idle)
        origins = Origins()
        self._parts = parts = Parts(self._store, places, self._rollouts, origins, clock, self._failed)
        fan = Fan(parts, self._upstream, self._protection, self._tasks, timeouts, clock)
        trust = Trusting(
            parts, fan, origins, self._rollouts, self._trials, self._upstream, self._protection, self._tasks, timeouts, clock,
            self.mode, self._stores.shared, self._name, tell=self.log.events.info, failed=self._failed, roll=self._roll,
        )  # fmt: skip
        composites = trust.composites
        fetch = Fetch(self._upstream, places, flights, turns, trust.evidence, timeouts, clock)
        self._refresh = Refresh(fetch, flights, self._protection, clock, self._roll)
        boarding = Boarding(fetch, places, flights, clock)
        accelerate = Accelerate(self._refresh, composites, places, boarding, trust.spellings, clock)
        self._explain_parts = ExplainParts(composites, self._rollouts, boarding.usual_s, clock)
        consequences = Consequences(rules, places, parts, flights, clock, self._failed)
        observe = Observe(fetch, trust.evidence, places, flights, consequences, self._tasks, clock, self._failed)
        shelf = Shelf(self._store, self._stores.shared, clock, self._failed)
        self._jobs = Jobs(
            shelf, self._tasks, clock, config.admin.prefix, timeouts=timeouts, tell=self._tell, failed=self._failed
        )  # fmt: skip
        serve = Serve(
            rules, accelerate, consequences, self._upstream, self._bypass, self.mode, observe, self._jobs, clock,
            via=via, token=self.token.encode(), new_id=new_ids(), tell=self._tell, failed=self._failed, show=Show(config.headers.cache_status, config.headers.server_timing, shown_of(config)),
        )  # fmt: skip
        return Edge(self._tracing.around(serve) if self._tracing else serve, clock, tuple(config.trusted_proxies))

    def _pins(self, rules: Sequence[Rule], places: Places) -> Pinned:
        urls = {rule.name: rule.pin for rule in self.config.rules}
        try:
            return Pinned(
                urls, rules, places, self._refresh, self._bypass, self.mode, self._clock, new_id=new_ids(), roll=self._roll
            )  # fmt: skip
        except ValueError as error:
            raise StartError(str(error)) from error

    def _held_now(self) -> Now:
        stores, slots, last = self._stores, self._protection.status(), self._reloaded
        waiting = slots.by_priority
        return Now(stores.held(), stores.evictions(), waiting, slots.in_flight, not last.successful, last.succeeded_at)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            await self.opened()  # there are servers without lifespan
            refused = scope.get("extensions", {}).get(EXTENSION, {}).get("refused")
            route = None if refused else self._api.route_for(scope)
            await (self._edge(scope, receive, send) if route is None else route.handle(scope, receive, send))
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1011, "reason": str(Reason.UPGRADE)})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.opened()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def opened(self) -> None:
        """Begin, if nobody has begun; what was purged before must be known before the first answer."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        if not self._opening.done():
            await asyncio.shield(self._opening)

    async def _open(self) -> None:
        self._later = asyncio.get_running_loop().call_later
        self.log.use_loop(self._later)
        if self._tracing:
            self._tracing.open()
        self._look()
        if warning := await self._stores.opened():
            self.log.events.warning("config", message=warning)
        await self._spread.open()
        await self._counts.open()
        self._tasks.start(self._pinned.keep())
        self._tasks.start(self._promotion.keep())

    async def close(self) -> None:
        """End what still runs, close connections, write the last log lines."""
        if self._looking is not None:
            self._looking.cancel()
        await self._spread.close()
        await self._tasks.close()
        await self._upstream.close()
        await self._counts.close()
        await self._store.close()
        if self._tracing:
            await self._tracing.close()
        self.log.close()

    def _look(self) -> None:
        """Follow the bypass switch, again and again."""
        if self._bypass.look():
            self.log.events.info("bypass", on=self._bypass.on)
            self._spread.note_bypass()
        self._looking = self._later(LOOK_EVERY_S, self._look)

    def reload(self, load: Callable[[], Config]) -> None:
        """Read the config again: modes count at once, what else has changed after a restart."""
        secret = b""  # no key is made with these rules
        again = Reload(
            self.config, self._rollouts, self.mode, lambda config: rules_of(config, secret)[0], self._say_config,
            self._reloaded, self._clock,
        )  # fmt: skip
        again(load)

    def _say_config(self, *, warning: bool, **told: Any) -> None:
        (self.log.events.warning if warning else self.log.events.info)("config", **told)

    def turn_bypass(self) -> None:
        """Turn the bypass on if it is off, and off if it is on."""
        self._bypass.turn(on=not self._bypass.on)
        self.log.events.info("bypass", on=self._bypass.on)

    def _tell(self, line: LogLine, event: str = "request") -> None:
        self._stats.count(line)
        self._recent.add(line)
        self._trials.count(line)
        if self._tracing:
            self._tracing.request(line, event)
        self.log.request(line, event)
        line.leave()

    def _tell_call(self, call: Call, request_id: str) -> None:
        self._stats.count_call(call)
        self.log.upstream_call(call, request_id)
        if self._tracing:
            self._tracing.upstream_call(call, request_id)

    def _failed(self, error: BaseException, request_id: str) -> None:
        self.log.failed(error, request_id)


def _hash(config: Config) -> str:
    """Return what tells one config from another in reports."""
    return blake2b(repr(config.rules).encode(), digest_size=4).hexdigest()


def _stores(config: Config, address: Address, clock: Clock, failed: Callable[[BaseException, str], None]) -> Stores:
    try:
        return stores_of(config, address.identity, clock, failed)
    except (ImportError, AttributeError, ValueError, OSError) as error:
        raise StartError(f"cannot have the store: {error}") from error
