"""What each kind of value in config.yaml may be, and what it is for the code."""

from ipaddress import ip_network
from typing import Any

import pytest

from proxy import config_values as values
from proxy.config_values import Listen, Value
from proxy.errors import ConfigError, Finding

# value → (what it may be, with its meaning; what it may not be)
TABLE: dict[str, tuple[Value, dict[Any, object], list[Any]]] = {
    "listen": (
        values.LISTEN,
        {
            "127.0.0.1:8080": Listen("127.0.0.1", 8080),
            "localhost:0": Listen("localhost", 0),
            "0.0.0.0:65535": Listen("0.0.0.0", 65535),
            "[::1]:8080": Listen("::1", 8080),
            "unix:/run/frontrunner.sock": Listen("", 0, "/run/frontrunner.sock"),
        },
        ["8080", 8080, ":8080", "127.0.0.1", "host:65536", "::1:8080", "unix:run/x", "unix://run/x", "h:1 ", "", None],
    ),
    "upstream URL": (
        values.URL,
        {
            "http://legacy:8000": "http://legacy:8000",
            "https://legacy.example.org": "https://legacy.example.org",
            "http://legacy:8000/": "http://legacy:8000",
            "http://legacy/base/": "http://legacy/base",
            "http://[::1]:8000/base": "http://[::1]:8000/base",
            "http://my_service:80": "http://my_service:80",
            "http://bücher.example": "http://bücher.example",
            "unix:/run/legacy.sock": "unix:/run/legacy.sock",
        },
        [
            *("legacy:8000", "legacy", "//legacy", "ftp://legacy", "http://", "http:///x", "HTTP://legacy", 8000, None),
            *("http://user:pw@legacy", "http://user@legacy", "http://legacy?q=1", "http://legacy/#x", "http://a b/"),
            *("http://legacy:0", "http://legacy:65536", "http://legacy:http", "http://legacy:8000\n", "http://[x]/"),
            *("unix:run/legacy.sock", "unix://run/legacy.sock", "unix:/a b", "http://x." + "a" * 64 + ".org/"),
        ],
    ),
    "wait": (values.WAIT, {"10s": 10.0, "1ms": 0.001}, [10, "10", 0, "0", "0s", "forever", None]),
    "switch": (values.SWITCH, {"on": True, "off": False}, [True, False, "yes", "ON", 1, None]),
    "truth": (values.TRUTH, {True: True, False: False}, ["true", "yes", 1, 0, None]),
    "percent": (values.PERCENT, {"25%": 0.25, "0%": 0.0, "150%": 1.5, "2.5%": 0.025}, [25, "25", "-1%", "%"]),
    "network": (
        values.NETWORK,
        {"10.0.0.0/8": ip_network("10.0.0.0/8"), "::1": ip_network("::1/128"), "127.0.0.1": ip_network("127.0.0.1")},
        ["10.0.0.1/8", 10, "", "localhost", "10.0.0.0/33", None],
    ),
    "path": (
        values.PATH,
        {path: path for path in ["/", "/search", "/users/*/posts", "/api/**", "/a%20b", "/~x;v=1,2:@!$&'()+="]},
        ["search", "", "*", "/a b", "/x?q=1", "/x#y", "/ü", "http://legacy/x", None, 5],
    ),
    "host": (
        values.HOST,
        {"Legacy.Example.Org": "legacy.example.org", "*.example.org": "*.example.org", "[::1]:80": "[::1]:80"},
        ["", "http://legacy", "legacy/x", "a b", 5, None],
    ),
    "method": (
        values.METHOD_LIST,
        {"GET": ("GET",), "post": ("POST",), "m-search": ("M-SEARCH",)},
        ["PSOT", "", "*", 5, None, True, "GET,POST"],
    ),
    "rule name": (
        values.RULE_NAME,
        {"query": "query", "search-2_x": "search-2_x", "defaults": "defaults"},
        ["default", "unmatched", "Query", "a b", "", "a.b", 5, None],
    ),
    "ttl": (
        values.TTL,
        {"from_origin": None, "1h": 3600.0, "0s": 0.0, 0: 0.0},
        ["origin", 60, "60", None, True, []],
    ),
    "cookies": (values.COOKIES, {"pass": "pass", "ignore": "ignore"}, ["session", None, 5, {}]),
    "residual": (values.RESIDUAL, {"auto": "auto", "single": "single", "each": "each"}, ["chunks", 20, None]),
    "field name": (values.FIELD, {"Authorization": "authorization", "x-user": "x-user"}, ["a b", "a:b", "", "ü", 5]),
    "directive": (values.DIRECTIVE, {"no-store": "no-store"}, ["No-Store", "max-age=5", "public", 5]),
    "prefix": (
        values.PREFIX,
        {"/_frontrunner": "/_frontrunner", "/a/b": "/a/b"},
        ["/", "", "a", "/a/", "//a", "/a b", "/a?b", "/*", 5],
    ),
    "token": (values.SECRET, {"": "", "s3cret~!": "s3cret~!"}, ["a b", "ü", "a\n", 12345, None]),
    "namespace": (values.SLUG, {"legacy": "legacy", "a.B_c-1": "a.B_c-1"}, ["", "a b", "a/b", 5, None]),
    "reference": (values.REFERENCE, {"pkg.module:Class": "pkg.module:Class"}, ["pkg.module", "Class", ":x", 5, None]),
    "text": (values.ANY_TEXT, {"-": "-", "off": "off", "/var/log/x y": "/var/log/x y"}, ["", "a\nb", 5, None, True]),
    "chunks": (values.CHUNKS, {1: 1, 10_000: 10_000}, [0, 10_001, True, "1", 1.0, None]),
}

MEANINGS = [(name, given, meaning) for name, (_, right, _) in TABLE.items() for given, meaning in right.items()]
REFUSED = [(name, given) for name, (_, _, wrong) in TABLE.items() for given in wrong]


@pytest.mark.parametrize(("name", "given", "meaning"), MEANINGS)
def test_a_value_has_one_meaning(name: str, given: object, meaning: object) -> None:
    """By value and by type."""
    read = TABLE[name][0].read(given)
    assert (read, type(read)) == (meaning, type(meaning))


@pytest.mark.parametrize(("name", "given"), REFUSED)
def test_anything_else_is_refused(name: str, given: object) -> None:
    """Nothing is guessed; who reads the file gets what is allowed."""
    with pytest.raises(ValueError):
        TABLE[name][0].read(given)


@pytest.mark.parametrize("name", TABLE)
def test_what_is_allowed_is_said_in_plain_words(name: str) -> None:
    """No regular expressions, no Python."""
    allowed = TABLE[name][0].allowed
    assert allowed
    assert not {"str", "int", "None", "\\"} & set(allowed.replace(",", " ").split())


def test_lists_and_mappings_of_values() -> None:
    """Where the grammar allows more than one."""
    assert values.METHOD_LIST.read(["get", "POST"]) == ("GET", "POST")
    assert values.COOKIES.read(["Session", "lang"]) == ("Session", "lang")
    assert values.COOKIES.read([]) == ()
    assert values.TTL.read({"200": "1h", "404": "30s"}) == {200: 3600.0, 404: 30.0}
    assert values.RESIDUAL.read({"chunks": 20}) == 20


def refused(value: Value, given: object) -> list[Finding]:
    with pytest.raises(ConfigError) as error:
        value.read(given)
    return error.value.findings


def test_a_part_that_is_wrong_has_its_own_place() -> None:
    """Relative to the value; all parts at once."""
    assert [(one.path, one.nearest) for one in refused(values.METHOD_LIST, ["GTE", "POST", 5])] == [
        ("[0]", "GET"),
        ("[2]", ""),
    ]
    assert [one.path for one in refused(values.COOKIES, ["a", "b;c", None])] == ["[1]", "[2]"]
    assert [(one.where, one.path) for one in refused(values.TTL, {"200": "1h", "99": "1h", "2xx": "1h"})] == [
        ("key", "99"),
        ("key", "2xx"),
    ]
    assert [(one.where, one.path) for one in refused(values.TTL, {"200": 5})] == [("value", "200")]
    assert [one.path for one in refused(values.RESIDUAL, {"chunks": 0})] == ["chunks"]
