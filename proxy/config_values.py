"""How each kind of value in config.yaml is read, what a reader is told where it cannot be, and what editors check."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from proxy import plugins
from proxy.core import units
from proxy.core.shown_fields import SECRET_NAME
from proxy.errors import ConfigError, Finding

# What llhttp reads: another method never arrives, so a rule for it would be a slip that nobody notices.
METHODS: Final = (
    *("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY", "CONNECT", "TRACE", "LINK", "UNLINK"),
    *("COPY", "LOCK", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH", "SEARCH", "UNLOCK", "BIND", "REBIND", "UNBIND", "ACL"),
    *("REPORT", "MKACTIVITY", "CHECKOUT", "MERGE", "MKCALENDAR", "SOURCE", "PURGE"),
    *("M-SEARCH", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE"),
)
NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z\-]+"  # RFC 9110 §5.6.2
VARIABLE: Final = {"type": "string", "pattern": r"\$\{"}


@dataclass(frozen=True, eq=False)
class Value:
    """How one value is read, what is allowed there, its JSON Schema, and the words that a slip may have meant.

    `read` raises ValueError where the value as a whole is wrong, ConfigError (with relative paths) for parts of it.
    """

    read: Callable[[Any], Any]
    allowed: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        """Let pydantic call us instead of a validator of its own."""
        return core_schema.no_info_plain_validator_function(self._validated)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return what editors check."""
        return dict(self.schema)

    def wrong(self, value: object, path: str = "") -> Finding:
        """Return the finding for a value that cannot be read; what was found is filled in by who knows the file."""
        near = plugins.nearest(value, self.words) if isinstance(value, str) else ""
        return Finding("value", path, "", self.allowed, near)

    def error(self, value: object) -> PydanticCustomError:
        """Return the same as an error that pydantic carries to config.py."""
        return carrier([self.wrong(value)])

    def _validated(self, value: Any) -> Any:
        try:
            return self.read(value)
        except ConfigError as error:
            raise carrier(error.findings) from error
        except ValueError as error:
            raise self.error(value) from error


def carrier(findings: list[Finding]) -> PydanticCustomError:
    """Return an error by which pydantic carries findings to config.py."""
    return PydanticCustomError("findings", "findings", {"findings": findings})


def each(items: Iterable[tuple[str, Any]], one: Value) -> tuple[Any, ...]:
    """Read the values of (relative path, value) pairs; raises ConfigError with all that is wrong with them."""
    read: list[Any] = []
    wrong: list[Finding] = []
    for path, item in items:
        try:
            read.append(one.read(item))
        except ValueError:
            wrong.append(one.wrong(item, path))
    if wrong:
        raise ConfigError(wrong)
    return tuple(read)


def text(pattern: str, allowed: str, change: Callable[[str], Any] = str) -> Value:
    """Return a text that fits a pattern, which editors know as well."""

    def read(value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(allowed)
        return change(value)

    return Value(read, allowed, {"type": "string", "pattern": rf"^({pattern})$|\$\{{"})


def words(*allowed: str, change: Callable[[str], Any] = str) -> Value:
    """Return one of a few words."""
    one = text("|".join(allowed), f"one of {', '.join(allowed)}", change)
    return Value(one.read, one.allowed, {"anyOf": [{"enum": list(allowed)}, VARIABLE]}, allowed)


def whole(least: int, most: int) -> Value:
    """Return a whole number between two."""

    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError
        return value

    number = {"type": "integer", "minimum": least, "maximum": most}
    return Value(read, f"a whole number from {least} to {most}", {"anyOf": [number, VARIABLE]})


def plugin(kind: str) -> Value:
    """Return a word of this kind with its options; its schema is looked up when somebody asks for it."""
    return Value(lambda item: plugins.load(kind, item), "a word, or {word: options}", {"plugin": kind})


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: an address and a port (0 takes a free one), or the path of a unix socket."""

    host: str
    port: int
    unix: str | None = None


def _unit(read: Callable[[object], float], pattern: str, allowed: str) -> Value:
    fits = {"type": "string", "pattern": rf"^(0|{pattern})$|\$\{{"}
    return Value(read, allowed, {"anyOf": [fits, {"enum": [0]}]})


def _wait(value: object) -> float:
    seconds = units.parse_duration(value)
    if not seconds:  # aiohttp takes 0 for no limit at all
        raise ValueError
    return seconds


def _percent(written: str) -> float:
    return float(written.removesuffix("%")) / 100


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ValueError
    if round(value, 2) != value:
        raise ValueError
    return float(value)


def _ratio(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1000:
        raise ValueError
    return float(value)


def _listen(written: str) -> Listen:
    if written.startswith("unix:"):
        return Listen("", 0, written.removeprefix("unix:"))
    host, _, port = written.rpartition(":")
    if int(port) > 65535:
        raise ValueError
    return Listen(host.strip("[]"), int(port))


def _url(written: str) -> str:
    if written.startswith("unix:"):
        return written
    parts = urlsplit(written)
    (parts.hostname or "").encode("idna")
    if parts.port == 0:  # a port over 65535 is a ValueError of its own
        raise ValueError
    return written.rstrip("/")


def _network(value: Any) -> IPv4Network | IPv6Network:
    return ip_network(value if isinstance(value, str) else "")  # a number is an address to Python, not to a reader


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - what is wrong with a value is a ValueError here
    return value


def _method(value: Any) -> str:
    if not isinstance(value, str) or value.upper() not in METHODS:
        raise ValueError
    return value.upper()


def _methods(value: Any) -> tuple[str, ...]:
    return _list(value, METHOD) if isinstance(value, list) and value else (METHOD.read(value),)


def _ttl(value: Any) -> float | dict[int, float] | None:
    if value == "from_origin":
        return None
    if not isinstance(value, dict):
        return units.parse_duration(value)
    wrong = [Finding("key", one, one, STATUS) for one in value if not re.fullmatch("[2-5][0-9][0-9]", one)]
    if wrong:
        raise ConfigError(wrong)
    return dict(zip(map(int, value), each(value.items(), DURATION), strict=True))


def _cookies(value: Any) -> str | tuple[str, ...]:
    return _list(value, COOKIE) if isinstance(value, list) else str(words("pass", "ignore").read(value))


def _residual(value: Any) -> str | int:
    if isinstance(value, dict) and list(value) == ["chunks"]:
        return int(each(value.items(), whole(1, 10_000))[0])
    return str(words("auto", "single", "each").read(value))


def _list(value: list[Any], one: Value) -> tuple[Any, ...]:
    return each(((f"[{index}]", item) for index, item in enumerate(value)), one)


ADDRESS: Final = "an address such as 127.0.0.1:8080, [::1]:8080 or unix:/run/frontrunner.sock"
CHUNKS: Final = whole(1, 10_000)
STATUS: Final = "a final status, 200 to 599"

ANY_TEXT: Final = text(r"[^\x00-\x1f]+", "a text (in quotes, if it looks like something else)")
COLLECTOR: Final = text(
    r"https?://([\w.\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[!\"$->@-~]*)?",
    "the URL of a collector, such as http://collector:4318",
    _url,
)
COOKIE: Final = text(NAME, "the name of a cookie")
COOKIES: Final = Value(
    _cookies,
    "pass, ignore, or a list of cookie names",
    {"anyOf": [{"enum": ["pass", "ignore"]}, {"type": "array", "items": COOKIE.schema}, VARIABLE]},
    ("pass", "ignore"),
)
CLIENT_DIRECTIVE: Final = words("no-cache", "max-age", "min-fresh", "max-stale")
DIRECTIVE: Final = words("private", "no-store", "no-cache", "max-age", "s-maxage", "expires")
DURATION: Final = _unit(units.parse_duration, units.DURATION_PATTERN, units.DURATION)
ENGINE: Final = words("aiohttp", "httpx", "asgi")
FIELD: Final = text(NAME, "the name of a header field, such as Authorization", str.lower)
HOST: Final = text(
    r"[A-Za-z0-9._*\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?", "a host, such as api.example.org", str.lower
)
PINNED: Final = text(r"https?://[!-~]+", "a URL as clients ask for it, such as http://www.example.org/report?range=7d")
LISTEN: Final = text(r"([A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}|unix:/(?!/)[!-~]+", ADDRESS, _listen)
METHOD: Final = Value(_method, "a method such as GET, POST or QUERY", {"enum": list(METHODS)}, METHODS)
METHOD_LIST: Final = Value(
    _methods,
    f"{METHOD.allowed}, or a list of them",
    {"anyOf": [METHOD.schema, {"type": "array", "minItems": 1, "items": METHOD.schema}, VARIABLE]},
    METHODS,
)
NETWORK: Final = Value(_network, "a network such as 10.0.0.0/8, or an address", {"type": "string"})
PATH: Final = text(r"/[!\"$->@-~]*", "a path such as /search, /users/* or /api/** (no query)")
PARAMETER: Final = text(r"[^\s&=#$]{1,64}", "the name of a query parameter, such as page")
SAMPLED: Final = text(r"(100|[0-9]{1,2}(\.[0-9]{1,3})?)%", "a percentage up to 100%", _percent)
SHOWN_FIELD: Final = text(
    rf"(?!{SECRET_NAME}$){NAME}", "the name of a field without secrets, such as User-Agent", str.lower
)
PERCENT: Final = text(r"[0-9]{1,4}(\.[0-9]{1,3})?%", "a percentage such as 25%", _percent)
PREFIX: Final = text(
    r"(/[A-Za-z0-9._~\-]+)+", "a path such as /_frontrunner: it starts with / and does not end with it"
)
RATIO: Final = Value(
    _ratio,
    "a number above 0, such as 1.1",
    {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1000}, VARIABLE]},
)
REFERENCE: Final = text(plugins.STRANGER, "a name such as their_pkg.module:Class")
RESIDUAL: Final = Value(
    _residual,
    "one of auto, single, each, or {chunks: 20}",
    {
        "anyOf": [
            {"enum": ["auto", "single", "each"]},
            {"type": "object", "properties": {"chunks": CHUNKS.schema}},
            VARIABLE,
        ]
    },
    ("auto", "single", "each"),
)
RULE_NAME: Final = text(r"(?!(default|unmatched)$)[a-z0-9_\-]+", "a name of a-z 0-9 _ -, but not default or unmatched")
SAMPLE: Final = text(r"(100|[0-9]{1,2}(\.[0-9]{1,3})?)%", "a percentage from 0% to 100%, such as 1%", _percent)
SECRET: Final = text(r"[!-~]*", "a text of printable ASCII characters without blanks")
SHARE: Final = Value(
    _share,
    "a percentage from 0 to 100 as a number, with at most two decimals",
    {"anyOf": [{"type": "number", "minimum": 0, "maximum": 100}, VARIABLE]},
)
SIZE: Final = _unit(units.parse_size, units.SIZE_PATTERN, units.SIZE)
SLUG: Final = text(r"[A-Za-z0-9._\-]+", "a name of A-Z a-z 0-9 . _ -")
SWITCH: Final = words("on", "off", change=lambda word: word == "on")
TRUTH: Final = Value(_truth, "true or false", {"anyOf": [{"type": "boolean"}, VARIABLE]})
TTL: Final = Value(
    _ttl,
    f"{units.DURATION}, {{200: 1h, 404: 30s}}, or from_origin",
    {
        "anyOf": [
            {"enum": ["from_origin"]},
            DURATION.schema,
            {
                "type": "object",
                "patternProperties": {"^[2-5][0-9][0-9]$": DURATION.schema},
                "additionalProperties": False,
            },
        ]
    },
    ("from_origin",),
)
URL: Final = text(
    r"https?://([\w.\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[!\"$->@-~]*)?|unix:/(?!/)[!-~]+",
    "a URL such as http://legacy:8000, https://legacy/base or unix:/run/legacy.sock, without user, query or fragment",
    _url,
)
WAIT: Final = Value(_wait, f"{units.DURATION}, above 0", DURATION.schema)
