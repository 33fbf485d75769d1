"""The shape of config.yaml: every key that the grammar knows, its value in our terms, and its default.

Seconds are floats, sizes are bytes, lists are tuples. The lines below the attributes are what editors show.
"""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from proxy import config_values as values
from proxy.config_rollout import Rollout
from proxy.core.evict.gdsf import Gdsf
from proxy.core.shown_fields import same_fields
from proxy.errors import Finding
from proxy.plugins import Plugin, catalogue
from proxy.shape import Shape

ABSENT: Any = None
MANY = Field(strict=False)  # YAML has lists where we have tuples

Duration = Annotated[float, values.DURATION]
Size = Annotated[int, values.SIZE]
Text = Annotated[str, values.ANY_TEXT]
Wait = Annotated[float, values.WAIT]


IN_PROCESS = "http://app.invalid"  # an app that is called directly has no address; its Host has a name all the same


class Timeouts(Shape):
    """How long to wait for the upstream, in seconds."""

    connect: Wait = 10.0
    """For a connection; 10s."""
    first_byte: Wait = 180.0
    """For a response head, of matched requests; 180s."""
    idle: Wait = 180.0
    """For the next bytes of a body, of matched requests; 180s."""


class Aiohttp(Shape):
    """The default engine."""


class Httpx(Shape):
    """Any httpx transport."""

    short = ("transport",)
    transport: Annotated[str, values.REFERENCE] = ABSENT
    """their_pkg.module:Class; httpx's own where absent."""


class Asgi(Shape):
    """An app in this process."""

    short = ("app",)
    app: Annotated[str, values.REFERENCE]
    """their_pkg.module:app."""


class Engine(Shape):
    """What speaks to the upstream: one word, or `{word: options}`; the app builds it."""

    aiohttp: Aiohttp = ABSENT
    httpx: Httpx = ABSENT
    asgi: Asgi = ABSENT

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {value: {}}
        if not isinstance(value, dict) or len(value) != 1:
            raise values.ENGINE.error(value)
        return value

    @classmethod
    def short_schema(cls, members: Mapping[str, Any]) -> Any:
        """Return the engines that need no options."""
        return {"enum": [word for word in members if word != "asgi"]}

    @property
    def word(self) -> str:
        """Return the engine's word: aiohttp, httpx or asgi."""
        return next(iter(self.model_fields_set))

    @property
    def options(self) -> dict[str, Any]:
        """Return its options as they were written."""
        chosen = getattr(self, self.word)
        return {name: getattr(chosen, name) for name in chosen.model_fields_set}


def _url_or_engine(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"required": [name]} for name in (*schema.pop("required"), "engine")]


class Upstream(Shape):
    """The slow service."""

    model_config = ConfigDict(json_schema_extra=_url_or_engine)
    short = ("url",)
    url: Annotated[str, values.URL]
    """http://host:port, https://host/base or unix:/path."""
    engine: Engine = Engine.model_validate("aiohttp")
    """What speaks to it: aiohttp, {httpx: {transport: module:Class}} or {asgi: {app: module:app}}."""
    host: Annotated[Literal["client", "upstream"], values.words("client", "upstream")] = "client"
    """client: Host goes up as sent; upstream: its own name goes up."""
    timeout: Timeouts = Timeouts()
    max_in_flight: Annotated[int, values.whole(1, 100_000)] | None = None
    """Calls at once, per machine, of requests that a rule matches; less while the upstream is overloaded."""
    cancel: Annotated[Literal["stops", "ignored"], values.words("stops", "ignored")] = "stops"
    """ignored: it works on what nobody waits for any more, and so long its slot stays taken."""

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return {"url": value}
        engine = value.get("engine")
        needs_no_url = engine == "asgi" or (isinstance(engine, dict) and "asgi" in engine)
        return {"url": IN_PROCESS, **value} if needs_no_url else value


class Store(Shape):
    """Where entries live."""

    memory: Size = 256 * 2**20
    """The hot tier of each worker; 256MiB."""
    disk: Text = "auto"
    """auto (a file per upstream in the user's state folder), a path, or off."""
    redis: Text | None = None
    """redis://host:6379/0, instead of disk."""
    aiocache: Annotated[str, values.REFERENCE] | None = None
    """their_pkg.module:Class, instead of disk."""
    evict: Annotated[Plugin, values.plugin("evict")] = Plugin("gdsf", Gdsf())
    """Who goes first when the store is full: gdsf (the least upstream seconds per byte), or lru."""
    namespace: Annotated[str, values.SLUG] = "default"
    """Part of every key."""


class Match(Shape):
    """Which requests a rule is for."""

    method: Annotated[tuple[str, ...], values.METHOD_LIST] = ()
    """GET and HEAD where absent."""
    path: Annotated[str, values.PATH]
    """The path as it is sent: * stands for anything within one segment, ** for anything."""
    host: Annotated[str | None, values.HOST] = None
    """Any host where absent."""


class Grace(Shape):
    """How long a stale answer may still be given."""

    short = ("refresh", "error")
    refresh: Duration = 0.0
    """While a fresh one is fetched."""
    error: Duration = 0.0
    """While the upstream fails."""


class When(Shape):
    """Which requests are worth a split."""

    min_parts: Annotated[int, values.whole(2, 10_000)] = 2
    max_parts: Annotated[int, values.whole(2, 10_000)] = 64
    slower_than: Duration | None = None


class Split(Shape):
    """How one request becomes several, and their responses one."""

    by: Annotated[Plugin, values.plugin("split")]
    merge: Annotated[Plugin, values.plugin("merge")]
    when: When = When()
    residual: Annotated[str | int, values.RESIDUAL] = "auto"
    """auto, single, each, or {chunks: 20}."""
    max_parallel: Annotated[int, values.whole(1, 1000)] = 1
    extra_work: Annotated[float, values.PERCENT] = 0.25


class Rule(Shape):
    """One operation: what it matches, how its key is made, how long its answers are good."""

    name: Annotated[str, values.RULE_NAME]
    """The operation in /performance/NAME and in the log."""
    match: Match
    safe: Annotated[bool, values.TRUTH] = False
    """The owner's word: this POST only reads."""
    key: Annotated[tuple[Annotated[Plugin, values.plugin("normalize")], ...], MANY] = ()
    """What does not change the answer, as a list of normalizers."""
    ttl: Annotated[float | dict[int, float] | None, values.TTL] = None
    """1h, {200: 1h, 404: 30s}, or from_origin."""
    grace: Grace | None = None
    override: Annotated[tuple[Annotated[str, values.DIRECTIVE], ...], MANY] = ()
    """What the origin says that this rule knows better."""
    ignore_client: Annotated[tuple[Annotated[str, values.CLIENT_DIRECTIVE], ...], MANY] = ()
    """What clients say that this rule does not heed, such as no-cache."""
    cookies: Annotated[str | tuple[str, ...], values.COOKIES] = "pass"
    """pass: a request with Cookie passes through; ignore; or the names that take part in the key."""
    private_by: Annotated[tuple[Annotated[str, values.FIELD], ...], MANY] = ()
    """Fields whose values keep answers apart, such as Authorization."""
    max_object: Size = 32 * 2**20
    """A larger response is not stored; 32MiB."""
    max_key_body: Size = 10 * 2**20
    """A larger request body is not read for the key; 10MiB."""
    query: Annotated[str, values.words("offer")] | None = None
    prefer_stale_after: Duration | None = None
    """How long a client waits for a fresh answer where a stale one within grace.error is there."""
    pin: Annotated[tuple[Annotated[str, values.PINNED], ...], MANY] = ()
    """What is always there, fetched again on time though nobody reads it: http://www.example.org/report?range=7d."""
    split: Split | None = None
    rollout: Rollout | None = None
    aliases: dict[Annotated[str, values.PATH], Annotated[str, values.words("candidate", "control")]] | None = None


class Sample(Shape):
    """Which request lines are written: all of errors, fallbacks, mismatches and slow ones, and a share of the rest."""

    short = ("rate",)
    rate: Annotated[float, values.SAMPLED] = 1.0
    """Of the others; 100%."""
    slower_than: Duration = 1.0
    """What takes so long is always written; 1s."""


class Log(Shape):
    """Where the log lines go."""

    to: Text = "-"
    """- (stdout), a file, or off."""
    format: Annotated[Literal["json", "console"], values.words("json", "console")] = "json"
    sample: Sample = Sample()
    """10%, or {rate: 10%, slower_than: 1s}."""
    headers: Annotated[tuple[Annotated[str, values.SHOWN_FIELD], ...], MANY] = ()
    """Request fields whose values are written, such as User-Agent; none that hold secrets."""
    query: Annotated[tuple[Annotated[str, values.PARAMETER], ...], MANY] = ()
    """Query parameters whose values are written."""
    schema_: Annotated[str, values.words(*catalogue("schema"))] = Field(default="flat", alias="schema")
    """Whose names the JSON lines have."""

    @field_validator("headers", "query")
    @classmethod
    def _have_fields_of_their_own(cls, names: tuple[str, ...], field: ValidationInfo) -> tuple[str, ...]:
        same = same_fields("header" if field.field_name == "headers" else "query", names)
        wrong = [
            Finding("value", f"[{place}]", names[place], f"names of different fields: {name} is {taken}")
            for place, name, taken in same
        ]
        if wrong:
            raise values.carrier(wrong)
        return names


class Tracing(Shape):
    """Where the spans go, and of which requests; needs the extra otel."""

    short = ("to",)
    to: Annotated[str, values.COLLECTOR]
    """http://collector:4318, which takes OTLP over HTTP."""
    sample: Annotated[float, values.SAMPLE] = 0.01
    """The share of the requests answered from the store that are recorded, unless their traceparent decides; 1%."""
    service: Text = "frontrunner"
    """What the traces call it."""


class HeadersOut(Shape):
    """What is added to responses."""

    cache_status: Annotated[bool, values.SWITCH] = True
    """Cache-Status (RFC 9211); on."""
    server_timing: Annotated[bool, values.SWITCH] = False
    """Server-Timing; off."""


class Admin(Shape):
    """The paths below which the proxy itself answers."""

    prefix: Annotated[str, values.PREFIX] = "/_frontrunner"
    token: Annotated[str, values.SECRET] = Field(default="", repr=False)
    """Made at the first start where empty."""
    listen: Annotated[values.Listen, values.LISTEN] | None = None
    """A listener of its own."""
    root_paths: Annotated[bool, values.TRUTH] = False
    """Serve /performance and /cache at the root as well."""


class Config(Shape):
    """All of config.yaml; `upstream: http://legacy:8000` is enough."""

    listen: Annotated[values.Listen, values.LISTEN] = values.Listen("127.0.0.1", 8080)
    """127.0.0.1:8080, or unix:/path."""
    workers: Annotated[int, values.whole(1, 1024)] = 1
    """Processes."""
    upstream: Upstream
    store: Store = Store()
    rules: Annotated[tuple[Rule, ...], MANY] = ()
    """The first that matches decides."""
    default: Annotated[Literal["from_origin", "passthrough"], values.words("from_origin", "passthrough")] = (
        "from_origin"
    )
    """The implicit last rule for GET and HEAD."""
    mode: Annotated[Literal["on", "observe"], values.words("on", "observe")] = "on"
    """observe: every answer comes from the upstream, the log says what would have been."""
    log: Log = Log()
    tracing: Tracing | None = None
    """Off where absent."""
    headers: HeadersOut = HeadersOut()
    trusted_proxies: Annotated[tuple[Annotated[IPv4Network | IPv6Network, values.NETWORK], ...], MANY] = ()
    """Whose X-Forwarded-For is believed, for the log's client_ip only."""
    admin: Admin = Admin()
