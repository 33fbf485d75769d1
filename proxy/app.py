"""The composition root: a Config becomes objects, and they one ASGI app; the only file that knows all concrete things."""

import asyncio
import importlib
import logging
import os
import random
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

from proxy import server
from proxy.accelerate import Accelerate
from proxy.admin.acts import Acts
from proxy.admin.api import Api
from proxy.admin.guard import Guard
from proxy.admin.token import load_or_make
from proxy.asgi import EXTENSION, App, Message, Receive, Scope, Send
from proxy.bypass import LOOK_EVERY_S, Bypass
from proxy.clock import Clock, SystemClock
from proxy.config import Config, from_mapping, load
from proxy.config import Rule as RuleConfig
from proxy.config_shape import IN_PROCESS
from proxy.consequences import Consequences
from proxy.core.format import Format
from proxy.core.format.console import Console
from proxy.core.format.json import Json
from proxy.core.key import Scope as KeyScope
from proxy.core.log_line import LogLine
from proxy.core.reasons import Reason
from proxy.core.rules import Rule, default_rule, host_pattern, path_pattern
from proxy.edge import Edge
from proxy.errors import ConfigError, Finding, StartError
from proxy.explain import Explain, Forms
from proxy.fetch import Fetch
from proxy.log import Log, StandardLogging, writer_to
from proxy.places import Places
from proxy.purge import Purge
from proxy.serve import Serve, Show
from proxy.state_folder import state_folder
from proxy.stats import Stats
from proxy.store.memory import Memory
from proxy.tasks import Tasks
from proxy.turns import Turns
from proxy.upstream import Engine
from proxy.upstream.address import Address
from proxy.upstream.aiohttp import Aiohttp
from proxy.upstream.asgi import Asgi
from proxy.upstream.call import Timeouts, Upstream
from proxy.upstream.collapse import Flights
from proxy.upstream.httpx import Httpx

FORMATS: Mapping[str, type[Format]] = {"json": Json, "console": Console}


def create_app(config: Config | Path | str | Mapping[str, Any] | None = None) -> "Proxy":
    """Make the proxy as an ASGI app from a Config, a file, a mapping, or the file that FRONTRUNNER_CONFIG names.

    Raises ConfigError, and StartError where the log or the engine that it names cannot be had.
    """
    return Proxy(_config(config))


class Frontrunner:
    """The proxy as middleware: what it does not answer itself, it asks of `inner`, in this process."""

    def __init__(self, inner: App, config: Config | Path | str | Mapping[str, Any] | None = None) -> None:
        self._inner = inner
        self._proxy = Proxy(_config(config, inside=True), inner)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve HTTP through the proxy; everything else is the inner app's own."""
        if scope["type"] == "http":
            await self._proxy(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._inner(scope, receive, self._around(send))
        else:
            await self._inner(scope, receive, send)

    def _around(self, send: Send) -> Send:
        async def told(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._proxy.open()
            elif message["type"].startswith("lifespan.shutdown"):
                await self._proxy.close()
            await send(message)

        return told


def _config(config: Config | Path | str | Mapping[str, Any] | None, *, inside: bool = False) -> Config:
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
        self.config = config
        self.log = Log(FORMATS[config.log.format](), _writer(config.log.to), clock)
        self._stats = Stats(clock.timer())
        self._store = Memory(config.store.memory)
        self._tasks = Tasks(lambda error: self._failed(error, ""))
        address = Address.parse(config.upstream.url)
        via = f"1.1 frontrunner-{secrets.token_hex(4)}".encode()
        host = address.authority if config.upstream.host == "upstream" else None
        engine = _engine(config, address, inner, clock)
        self._upstream = Upstream(engine, clock, self.log, via, host=host)
        rules, scopes = rules_of(config, secrets.token_bytes(16))
        timeouts = Timeouts(config.upstream.timeout.first_byte, config.upstream.timeout.idle)
        forms = Forms()
        places = Places(self._store, scopes, clock, self._failed, forms.note)
        self._bypass = Bypass(_bypass_file(config.store.namespace, address.identity))
        flights = Flights(self._tasks)
        turns = Turns(None, None, "", self._tasks, self._failed)
        accelerate = Accelerate(Fetch(self._upstream, places, flights, turns, timeouts, clock), places, flights, clock)
        consequences = Consequences(rules, places, flights, clock, self._failed)
        serve = Serve(
            rules, accelerate, consequences, self._upstream, self._bypass, clock, via=via, new_id=_new_ids(), tell=self._tell,
            failed=self._failed, show=Show(config.headers.cache_status, config.headers.server_timing),
        )  # fmt: skip
        self._edge = Edge(serve, clock, tuple(config.trusted_proxies))
        self.token = token or config.admin.token or _kept_token()
        guard = Guard(self.token, config.admin.prefix, root=config.admin.root_paths)
        names = tuple(rule.name for rule in rules)
        explain = Explain(rules, scopes, places, forms, clock)
        acts = Acts(Purge(rules, places, flights, clock), self._bypass, explain, self.log.events.info)
        self._api = Api(
            self._stats, self._store, acts, clock, guard, names, config.admin.prefix, root=config.admin.root_paths
        )
        self._opened = False
        self._looking: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            if not self._opened:
                await self.open()  # a server without lifespan
            refused = scope.get("extensions", {}).get(EXTENSION, {}).get("refused")
            route = None if refused else self._api.route_for(scope)
            await (self._edge(scope, receive, send) if route is None else route.handle(scope, receive, send))
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1011, "reason": str(Reason.UPGRADE)})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def open(self) -> None:
        """Begin: from now on log lines are written in batches."""
        self._opened = True
        self._later = asyncio.get_running_loop().call_later
        self.log.use_loop(self._later)
        self._look()

    async def close(self) -> None:
        """End what still runs, close connections, write the last log lines."""
        if self._looking is not None:
            self._looking.cancel()
        await self._tasks.close()
        await self._upstream.close()
        await self._store.close()
        self.log.close()

    def _look(self) -> None:
        """Follow the bypass switch, again and again."""
        if self._bypass.look():
            self.log.events.info("bypass", on=self._bypass.on)
        self._looking = self._later(LOOK_EVERY_S, self._look)

    def turn_bypass(self) -> None:
        """Turn the bypass on if it is off, and off if it is on."""
        self._bypass.turn(on=not self._bypass.on)
        self.log.events.info("bypass", on=self._bypass.on)

    def _tell(self, line: LogLine) -> None:
        self._stats.count(line)
        self.log.request(line)

    def _failed(self, error: BaseException, request_id: str) -> None:
        told = {"request_id": request_id} if request_id else {}
        self.log.events.error("error", error=repr(error), where=_innermost(error), **told)


def _bypass_file(namespace: str, upstream: str) -> Path:
    """Return the switch of all processes in front of one upstream."""
    name = blake2b(f"{namespace} {upstream}".encode(), digest_size=6).hexdigest()
    return state_folder(os.environ) / f"bypass-{name}"


def _new_ids() -> Callable[[], str]:
    """Return what makes request ids: unique, quick to make, no secret."""
    bits = random.Random(secrets.randbits(256)).getrandbits  # noqa: S311
    return lambda: f"{bits(128):032x}"


def _innermost(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _writer(place: str) -> Callable[[bytes], None]:
    try:
        return writer_to(place)
    except OSError as error:
        raise StartError(f"cannot write the log to {place}: {error.strerror or error}") from error


def _kept_token() -> str:
    """Return the token of this machine; where there is no place to keep one, one that lives as long as the process."""
    try:
        return load_or_make()
    except OSError:
        return secrets.token_urlsafe(24)


def _engine(config: Config, address: Address, inner: App | None, clock: Clock) -> Engine:
    word, options = config.upstream.engine.word, config.upstream.engine.options
    connect = config.upstream.timeout.connect
    if inner is not None:
        return Asgi(inner)
    if word == "asgi":
        return Asgi(_named(options["app"]))
    if word == "httpx":
        made = _named(options["transport"])() if options.get("transport") else None
        return Httpx(address, connect, made)
    return Aiohttp(address, connect, clock.timer)


def _named(name: str) -> Any:
    """Return what `package.module:attribute` names. Raises StartError where there is no such thing."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise StartError(f"cannot load {name}: {error}") from error


def rules_of(config: Config, secret: bytes) -> tuple[tuple[Rule, ...], dict[str, KeyScope]]:
    """Return the rules of a config, and what their keys begin with; `secret` hides credentials in keys."""
    rules = tuple(_rule(one, config.store.memory) for one in config.rules)
    rules = (*rules, default_rule()) if config.default == "from_origin" else rules
    upstream = Address.parse(config.upstream.url).identity
    return rules, {rule.name: KeyScope.of(config.store.namespace, upstream, rule, secret) for rule in rules}


def _rule(config: RuleConfig, largest: int) -> Rule:
    return Rule(
        name=config.name,
        path=path_pattern(config.match.path),
        methods=frozenset(config.match.method),
        host=host_pattern(config.match.host) if config.match.host else None,
        safe=config.safe,
        normalizers=tuple(cast("Any", plugin.made) for plugin in config.key),
        ttl=config.ttl,
        refresh=config.grace.refresh if config.grace else 0.0,
        error=config.grace.error if config.grace else 0.0,
        override=frozenset(config.override),
        ignore_client=frozenset(config.ignore_client),
        cookies=cast("Any", config.cookies),
        private_by=tuple(name.lower().encode() for name in config.private_by),
        max_object=min(config.max_object, largest),
        max_key_body=config.max_key_body,
        offers_query=config.query == "offer",
    )


def run(config: Config) -> int:
    """Serve as configured until a signal ends it; return the exit code. Raises StartError."""
    bound, url = server.listen(config.listen.host, config.listen.port, config.listen.unix)
    with bound:
        return _serve(config, bound, url)


def _serve(config: Config, bound: socket.socket, url: str) -> int:
    proxy = create_app(config)
    logging.basicConfig(handlers=[StandardLogging(proxy.log)], level=logging.WARNING, force=True)
    finish = config.upstream.timeout.first_byte + 5

    def ready() -> None:
        proxy.log.events.info("ready", url=url, upstream=config.upstream.url, rules=len(config.rules))
        made_here = not (config.admin.token or os.environ.get("FRONTRUNNER_TOKEN"))
        if made_here and not config.listen.unix and sys.stderr.isatty():
            print(f"admin: {url}{config.admin.prefix}/performance?token={proxy.token}", file=sys.stderr)  # noqa: T201

    def hung_up() -> None:
        proxy.log.events.warning("config", message="SIGHUP: reloading is not built in this release")

    signals: dict[int, Callable[[], None]] = {signal.SIGHUP: hung_up, signal.SIGUSR2: proxy.turn_bypass}
    return server.run(proxy, bound, ready, signals, finish_within_s=finish)
