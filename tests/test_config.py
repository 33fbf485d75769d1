"""config.yaml from file to Config: every mistake has its place, all of them come at once, flags win."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from proxy import plugins
from proxy.config import NOT_BUILT, Config, ConfigUnreadable, from_mapping, json_schema, load
from proxy.config_values import Listen
from proxy.errors import ConfigError

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "proxy" / "config.schema.json"

KEYS = "listen, workers, upstream, store, rules, default, mode, log, tracing, headers, trusted_proxies, admin"
RULE_KEYS = (
    "name, match, safe, key, ttl, grace, override, ignore_client, cookies, private_by, max_object, max_key_body, query, "
    "prefer_stale_after, pin, split, rollout, aliases"
)
UPSTREAM_KEYS = "url, engine, host, timeout, max_in_flight, cancel"
URL = "a URL such as http://legacy:8000, https://legacy/base or unix:/run/legacy.sock, without user, query or fragment"
DURATION = "a duration such as 250ms, 60s, 5m, 24h"
SIZE = "a size such as 100B, 512KiB, 10MB, 256MiB"
TTL = DURATION + ", {200: 1h, 404: 30s}, or from_origin"
NORMALIZERS = ", ".join([*plugins.catalogue("normalize"), "their_pkg.module:Class"])
NAME = "a name of a-z 0-9 _ -, but not default or unmatched"
PATH = "a path such as /search, /users/* or /api/** (no query)"
TEXT = "a text (in quotes, if it looks like something else)"
METHODS = "a method such as GET, POST or QUERY, or a list of them"


def later(key: str) -> str:
    return f"(the key {key} is known, but its feature is not built in this release)"


# Each row is a file below `upstream: http://legacy:8000` (line 1), and the lines that `check` prints for it.
FINDINGS: dict[str, tuple[str, list[str]]] = {
    "an unknown key": ("workes: 2", [f"2:1: workes: found workes; allowed: one of {KEYS}; did you mean workers?"]),
    "an unknown key below": (
        "store: {memroy: 1MiB}",
        [
            "2:9: store.memroy: found memroy; allowed: one of memory, disk, redis, aiocache, evict, namespace; did you mean memory?"
        ],
    ),
    "an unknown key far from all others": ("zzz: 1", [f"2:1: zzz: found zzz; allowed: one of {KEYS}"]),
    "a key of another section": ("timeout: 5s", [f"2:1: timeout: found timeout; allowed: one of {KEYS}"]),
    "a duplicate key": (
        "log: {to: off}\nlog: {format: xml}",
        ["3:1: log: found log; allowed: each key once; it is already at config.yaml:2:1"],
    ),
    "listen without a host": (
        "listen: 8080",
        [
            "2:9: listen: found 8080; allowed: an address such as 127.0.0.1:8080, [::1]:8080 or unix:/run/frontrunner.sock"
        ],
    ),
    "a sexagesimal is text, not 90": (
        "listen: 1:30\nworkers: 1:30",
        ["3:10: workers: found 1:30; allowed: a whole number from 1 to 1024"],
    ),
    "a section without content": (
        "store:\nrules:\n",
        [
            "2:7: store: found nothing; allowed: a mapping of memory, disk, redis, aiocache, evict, namespace",
            "3:7: rules: found nothing; allowed: a list",
        ],
    ),
    "a scalar for a mapping": (
        "log: off",
        ["2:6: log: found off; allowed: a mapping of to, format, sample, headers, query, schema"],
    ),
    "a mapping for a list": ("rules: {name: a}", ["2:8: rules: found a mapping; allowed: a list"]),
    "a size without a unit": ("store: {memory: 256}", [f"2:17: store.memory: found 256; allowed: {SIZE}"]),
    "a wrong word": (
        "default: pass_through",
        ["2:10: default: found pass_through; allowed: one of from_origin, passthrough; did you mean passthrough?"],
    ),
    "a word in capitals": (
        "log: {format: JSON}",
        ["2:15: log.format: found JSON; allowed: one of json, console; did you mean json?"],
    ),
    "an unknown log schema": (
        "log: {schema: data_dog}",
        ["2:15: log.schema: found data_dog; allowed: one of datadog, ecs, flat, gcp, otel; did you mean datadog?"],
    ),
    "true is not on": (
        "headers: {cache_status: true}",
        ["2:25: headers.cache_status: found true; allowed: one of on, off"],
    ),
    "on and yes are not true": (
        "admin: {root_paths: on}\nrules: [{name: a, match: {path: /}, safe: yes}]",
        [
            "2:21: admin.root_paths: found on; allowed: true or false",
            "3:43: rules[0].safe: found yes; allowed: true or false",
        ],
    ),
    "a number where a text is due": ("log: {to: 5}", [f"2:11: log.to: found 5; allowed: {TEXT}"]),
    "networks": (
        "trusted_proxies: [10.0.0.0/8, 10.0.0.1/8, localhost]",
        [
            "2:31: trusted_proxies[1]: found 10.0.0.1/8; allowed: a network such as 10.0.0.0/8, or an address",
            "2:43: trusted_proxies[2]: found localhost; allowed: a network such as 10.0.0.0/8, or an address",
        ],
    ),
    "the admin prefix": (
        "admin: {prefix: /admin/}",
        [
            (
                "2:17: admin.prefix: found /admin/; allowed: a path such as /_frontrunner: "
                "it starts with / and does not end with it"
            ),
        ],
    ),
    "the token is never shown": (
        "admin: {token: 1234567}",
        [
            (
                "2:16: admin.token: found what is not shown here; "
                "allowed: a text of printable ASCII characters without blanks"
            ),
        ],
    ),
    "a missing variable": (
        "admin:\n  token: ${TOKEN}",
        ["3:10: admin.token: found ${TOKEN}; allowed: a variable that is set (TOKEN is not), or ${TOKEN:-default}"],
    ),
    "a missing file": (
        'admin: {token: "${file:/run/secrets/gone}"}',
        [
            (
                "2:16: admin.token: found ${file:/run/secrets/gone}; "
                "allowed: a file that can be read (/run/secrets/gone: No such file or directory)"
            ),
        ],
    ),
    "what a variable stands for is never shown": (
        "store:\n  memory: ${SECRET}\nrules:\n- name: ${SECRET}\n  match: {path: /}\n  key: [{headers: ['${SECRET} !']}]",
        [
            f"3:11: store.memory: found ${{SECRET}}; allowed: {SIZE}",
            (
                "7:20: rules[0].key[0].headers[0]: found '${SECRET} !'; "
                "allowed: what headers accepts ('${SECRET} !' cannot be the name of a header field)"
            ),
        ],
    ),
    "a rule without name and match": (
        "rules:\n  - ttl: 5m\n",
        [
            f"3:5: rules[0].name: found nothing; allowed: {NAME}; name is required",
            "3:5: rules[0].match: found nothing; allowed: a mapping of method, path, host; match is required",
        ],
    ),
    "a rule that is none": ("rules: [search]", [f"2:9: rules[0]: found search; allowed: a mapping of {RULE_KEYS}"]),
    "workers that share nothing": (
        "workers: 2\nstore: {disk: off}",
        ["2:1: workers: found 2; allowed: 1, or a store that processes share (store.disk or store.redis)"],
    ),
    "workers that share a cache without turns": (
        "store: {aiocache: 'pkg:Class'}\nworkers: 2",
        ["3:1: workers: found 2; allowed: 1, or a store that processes share (store.disk or store.redis)"],
    ),
    "an offer without the owner's word": (
        "rules: [{name: a, match: {method: POST, path: /}, query: offer}]",
        ["2:58: rules[0].query: found offer; allowed: offer beside safe: true, your word that its POST only reads"],
    ),
    "aliases of a path with a star": (
        "rules: [{name: a, match: {path: /a/*}, aliases: {/b: candidate}}]",
        ["2:33: rules[0].match.path: found /a/*; allowed: a path without *, for the rule has aliases of it"],
    ),
    "aliases with stars, or of nothing else": (
        "rules: [{name: a, match: {path: /a}, aliases: {/b/*: candidate, /a: control, /c: control}}]",
        [
            "2:48: rules[0].aliases./b/*: found /b/*; allowed: another path than the rule's own, without *",
            "2:65: rules[0].aliases./a: found /a; allowed: another path than the rule's own, without *",
        ],
    ),
    "an arm that is none": (
        "rules: [{name: a, match: {path: /a}, aliases: {/b: both}}]",
        ["2:52: rules[0].aliases./b: found both; allowed: one of candidate, control"],
    ),
    "names": (
        "rules:\n- {name: A, match: {path: /}}\n- {name: default, match: {path: /}}\n",
        [
            f"3:10: rules[0].name: found A; allowed: {NAME}",
            f"4:10: rules[1].name: found default; allowed: {NAME}",
        ],
    ),
    "a name twice": (
        "rules:\n- {name: a, match: {path: /}}\n- {name: a, match: {path: /b}}\n",
        ["4:10: rules[1].name: found a; allowed: each name once; it is already at config.yaml:3:10"],
    ),
    "a match": (
        'rules:\n- {name: a, match: {path: search, method: PSOT, hots: x}}\n- {name: b, match: {path: "/x?q=1"}}\n',
        [
            f"3:27: rules[0].match.path: found search; allowed: {PATH}",
            f"3:43: rules[0].match.method: found PSOT; allowed: {METHODS}; did you mean POST?",
            "3:49: rules[0].match.hots: found hots; allowed: one of method, path, host; did you mean host?",
            f'4:27: rules[1].match.path: found "/x?q=1"; allowed: {PATH}',
        ],
    ),
    "one of several methods": (
        "rules: [{name: a, match: {path: /, method: [GET, PSOT]}}]",
        [
            "2:50: rules[0].match.method[1]: found PSOT; allowed: a method such as GET, POST or QUERY; did you mean POST?"
        ],
    ),
    "ttl": (
        (
            "rules:\n- {name: a, match: {path: /}, ttl: 60}\n- {name: b, match: {path: /}, ttl: from_orgin}\n"
            "- {name: c, match: {path: /}, ttl: {200: 60, 99: 1h, 404: 30s}}\n- name: d\n  match: {path: /}\n  ttl:\n"
        ),
        [
            f"3:36: rules[0].ttl: found 60; allowed: {TTL}",
            f"4:36: rules[1].ttl: found from_orgin; allowed: {TTL}; did you mean from_origin?",
            "5:46: rules[2].ttl.99: found 99; allowed: a final status, 200 to 599",
            f"8:7: rules[3].ttl: found nothing; allowed: {TTL}",
        ],
    ),
    "a ttl by status": (
        "rules: [{name: c, match: {path: /}, ttl: {200: 60, 404: 30s}}]",
        [f"2:48: rules[0].ttl.200: found 60; allowed: {DURATION}"],
    ),
    "override": (
        "rules: [{name: a, match: {path: /}, override: [no-stor, private]}]",
        [
            (
                "2:48: rules[0].override[0]: found no-stor; allowed: one of private, no-store, no-cache, max-age, s-maxage, "
                "expires; did you mean no-store?"
            ),
        ],
    ),
    "cookies and fields": (
        (
            "rules:\n- {name: a, match: {path: /}, cookies: ignored}\n"
            '- {name: b, match: {path: /}, cookies: [ok, "a;b"], private_by: Authorization}\n'
            "- {name: c, match: {path: /}, private_by: [X User]}\n"
        ),
        [
            "3:40: rules[0].cookies: found ignored; allowed: pass, ignore, or a list of cookie names; did you mean ignore?",
            '4:45: rules[1].cookies[1]: found "a;b"; allowed: the name of a cookie',
            "4:65: rules[1].private_by: found Authorization; allowed: a list",
            "5:44: rules[2].private_by[0]: found X User; allowed: the name of a header field, such as Authorization",
        ],
    ),
    "an unknown normalizer": (
        "rules: [{name: a, match: {path: /}, key: [sort_parms, {lwer: [q]}]}]",
        [
            f"2:43: rules[0].key[0]: found sort_parms; allowed: one of {NORMALIZERS}; did you mean sort_params?",
            f"2:56: rules[0].key[1].lwer: found lwer; allowed: one of {NORMALIZERS}; did you mean lower?",
        ],
    ),
    "options of a normalizer": (
        (
            "rules:\n- name: a\n  match: {path: /}\n  key:\n  - json: {ignor: [$.a]}\n  - json: {ignore: [$.a, b]}\n"
            "  - lower: q\n  - drop_params\n  - drop_params:\n  - sort_params: [a]\n"
        ),
        [
            "6:12: rules[0].key[0].json.ignor: found ignor; allowed: one of ignore, only, unordered, text; did you mean ignore?",
            (
                "7:26: rules[0].key[1].json.ignore[1]: found b; "
                "allowed: what json accepts ('b' is not a JSON path: it does not start with $)"
            ),
            "8:12: rules[0].key[2].lower: found q; allowed: a list",
            "9:5: rules[0].key[3]: found drop_params; allowed: a value: names is required",
            "10:17: rules[0].key[4].drop_params: found nothing; allowed: a list",
            "11:18: rules[0].key[5].sort_params: found a list; allowed: sort_params without options",
        ],
    ),
    "a key that is no list": (
        "rules: [{name: a, match: {path: /}, key: sort_params}]",
        ["2:42: rules[0].key: found sort_params; allowed: a list"],
    ),
    "an alias hides nothing else": (
        "log: &x {to: 5}\nstore: *x\n",
        [
            "2:6: log: found the anchor &x; allowed: the value itself, without an anchor",
            "3:8: store: found the alias *x; allowed: the value itself, written out",
        ],
    ),
    "several, in the order of the file": (
        "rules: [{name: a}]\nlog: {format: xml}\nstore: {}\nstore: 1\nmode: ${MODE}\nzzz: 1\nlisten: 1",
        [
            "2:9: rules[0].match: found nothing; allowed: a mapping of method, path, host; match is required",
            "3:15: log.format: found xml; allowed: one of json, console",
            "5:1: store: found store; allowed: each key once; it is already at config.yaml:4:1",
            "6:7: mode: found ${MODE}; allowed: a variable that is set (MODE is not), or ${MODE:-default}",
            f"7:1: zzz: found zzz; allowed: one of {KEYS}",
            "8:9: listen: found 1; allowed: an address such as 127.0.0.1:8080, [::1]:8080 or unix:/run/frontrunner.sock",
        ],
    ),
}

# The same for whole files, whose upstream is what is wrong.
WHOLE: dict[str, tuple[str, list[str]]] = {
    "an empty file": (
        "# nothing\n",
        [f": upstream: found nothing; allowed: {URL}, or a mapping of {UPSTREAM_KEYS}; upstream is required"],
    ),
    "no upstream": (
        "workers: 1\n",
        [f":1:1: upstream: found nothing; allowed: {URL}, or a mapping of {UPSTREAM_KEYS}; upstream is required"],
    ),
    "an upstream without a URL": (
        "upstream: {host: upstream}\n",
        [f":1:11: upstream.url: found nothing; allowed: {URL}; url is required"],
    ),
    "an upstream that is no URL": ("upstream: legacy:8000\n", [f":1:11: upstream: found legacy:8000; allowed: {URL}"]),
    "a port as upstream": ("upstream: 8000\n", [f":1:11: upstream: found 8000; allowed: {URL}"]),
    "a password is not shown": (
        "upstream: {url: 'http://user:pa@ss@legacy/'}\n",
        [f":1:17: upstream.url: found 'http://***@legacy/'; allowed: {URL}"],
    ),
    "nor is what stands in a query": (
        "upstream: http://legacy\ntracing: 'http://user:pass@legacy:1/?api_key=secret'\n",
        [
            ":2:10: tracing: found 'http://***@legacy:1/?***'; allowed: the URL of a collector, such as http://collector:4318"
        ],
    ),
    "an unknown engine": (
        "upstream: {url: 'http://x', engine: htpx}\n",
        [":1:37: upstream.engine: found htpx; allowed: one of aiohttp, httpx, asgi; did you mean httpx?"],
    ),
    "an unknown engine with options": (
        "upstream: {url: 'http://x', engine: {htpx: {}}}\n",
        [":1:38: upstream.engine.htpx: found htpx; allowed: one of aiohttp, httpx, asgi; did you mean httpx?"],
    ),
    "options of engines": (
        "upstream: {url: 'http://x', engine: {aiohttp: {limit: 5}}}\n",
        [":1:48: upstream.engine.aiohttp.limit: found limit; allowed: no options here"],
    ),
    "an engine that lacks its option": (
        "upstream: {engine: asgi}\n",
        [
            ":1:20: upstream.engine: found asgi; allowed: a name such as their_pkg.module:Class; app is required",
        ],
    ),
    "timeouts": (
        "upstream: {url: 'http://x', timeout: {connect: 10, idle: 0s, read: 1s}}\n",
        [
            f":1:48: upstream.timeout.connect: found 10; allowed: {DURATION}, above 0",
            f":1:58: upstream.timeout.idle: found 0s; allowed: {DURATION}, above 0",
            ":1:62: upstream.timeout.read: found read; allowed: one of connect, first_byte, idle",
        ],
    ),
    "a list": ("- upstream\n", [":1:1: found a list; allowed: a mapping, such as upstream: http://legacy:8000"]),
    "a text": ("upstream\n", [":1:1: found upstream; allowed: a mapping, such as upstream: http://legacy:8000"]),
    "two documents": (
        "upstream: http://x\n---\nupstream: http://y\n",
        [":2:1: found a second document; allowed: one document in a file"],
    ),
}

LATER: dict[str, tuple[str, str, str]] = {
    "rules[].split": ("split: {by: nothing, wrong: too}", "a mapping", "leave it out"),
    "rules[].rollout": ("rollout: {split: {mode: shadow, percent: 5}}", "a mapping", "leave it out"),
    "admin.listen": ("admin: {listen: '127.0.0.1:9000'}", "'127.0.0.1:9000'", "leave it out"),
}

USED: dict[str, str] = {
    "the values that this release has": (
        "workers: 1\nmode: on\nstore: {disk: off}\nlog: {schema: flat}\nheaders: {server_timing: off}\n"
        "admin: {listen: null}\nrules: []\n"
    ),
    "words of YAML 1.1": "log: {to: off}\nheaders: {cache_status: off}\nstore: {namespace: on}\n",
    "a variable as a number": "workers: ${ONE}\n",
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(text: str, flags: Mapping[str, object] | None = None) -> Config:
    Path("config.yaml").write_text(text)
    return load(Path("config.yaml"), flags or {}, {"ONE": "1", "SECRET": "s3cret"})


def lines(text: str, flags: Mapping[str, object] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as error:
        loaded(text, flags)
    assert str(error.value) == "\n".join(str(finding) for finding in error.value.findings)
    assert not isinstance(error.value, ConfigUnreadable)
    return str(error.value).split("\n")


@pytest.mark.parametrize(("text", "found"), FINDINGS.values(), ids=FINDINGS)
def test_every_mistake_has_its_line(text: str, found: list[str]) -> None:
    """file:line:column, path, what was found as it was written, what is allowed, what was probably meant."""
    assert lines(f"upstream: http://legacy:8000\n{text}") == [f"config.yaml:{line}" for line in found]


@pytest.mark.parametrize(("text", "found"), WHOLE.values(), ids=WHOLE)
def test_every_mistake_about_the_upstream_has_its_line(text: str, found: list[str]) -> None:
    """A bare URL is named as it was written."""
    assert lines(text) == [f"config.yaml{line}" for line in found]


@pytest.mark.parametrize("path", NOT_BUILT)
def test_a_key_whose_feature_is_not_built_says_so(path: str) -> None:
    """Once, whatever stands below it; building a feature deletes its row here as well."""
    text, found, instead = LATER[path]
    key = path.rpartition(".")[2]
    if path.startswith("rules[]."):
        text = f"rules: [{{name: a, match: {{path: /}}, {text}}}]"
    if path == "upstream.max_in_flight":
        file = "upstream: {url: 'http://legacy', max_in_flight: 8}"
    else:
        file = f"upstream: http://legacy\n{text}"
    (line,) = lines(file)
    place, _, rest = line.partition(": ")
    assert rest == f"{path.replace('[]', '[0]')}: found {found}; allowed: {instead} {later(key)}"
    number, column = map(int, place.split(":")[1:])
    assert file.split("\n")[number - 1][column - 1 :].startswith(f"{key}:")


@pytest.mark.parametrize("text", USED.values(), ids=USED)
def test_what_this_release_has_may_be_written_out(text: str) -> None:
    """The table refuses features, not keys."""
    assert loaded(f"upstream: http://legacy:8000\n{text}").workers == 1


@pytest.mark.parametrize("name", ["gone.yaml", "folder"])
def test_a_file_that_cannot_be_read_is_told_apart(name: str) -> None:
    """`check` ends 2 for it, 1 for findings."""
    Path("folder").mkdir()
    with pytest.raises(ConfigUnreadable, match=f"^{name}: found .*; allowed: a file that can be read$"):
        load(Path(name))


def test_bytes_that_are_no_text_are_a_finding() -> None:
    """The file could be read."""
    Path("config.yaml").write_bytes(b"upstream: \xff")
    with pytest.raises(ConfigError, match=r"^config.yaml:1:11: found byte 0xff; allowed: text in UTF-8$") as error:
        load(Path("config.yaml"))
    assert not isinstance(error.value, ConfigUnreadable)


def test_flags_alone_are_a_config() -> None:
    """No file is needed where they name the upstream."""
    config = load(None, {"upstream": "http://legacy", "log.to": "off", "log.format": "console", "listen.port": 0})
    assert (config.upstream.url, config.log.to, config.log.format) == ("http://legacy", "off", "console")
    assert config.listen == Listen("127.0.0.1", 0)


FLAGS: dict[str, tuple[str, dict[str, object], dict[str, object]]] = {
    "an upstream for a bare one": (
        "upstream: http://a",
        {"upstream": "http://b"},
        {"upstream.url": "http://b"},
    ),
    "an upstream keeps its other keys": (
        "upstream: {url: 'http://a', host: upstream}",
        {"upstream": "http://b"},
        {"upstream.url": "http://b", "upstream.host": "upstream"},
    ),
    "a flag mends what it replaces": (
        "upstream: {url: 'http://${GONE}', host: upstream}\nlog: {to: '${GONE}'}",
        {"upstream": "http://b", "log.to": "-"},
        {"upstream.url": "http://b", "log.to": "-"},
    ),
    "a key below a section that is there": (
        "upstream: http://a\nlog: {to: /x}",
        {"log.format": "console"},
        {"log.to": "/x", "log.format": "console"},
    ),
    "a host keeps the port": (
        "upstream: http://a\nlisten: 10.0.0.1:80",
        {"listen.host": "0.0.0.0"},
        {"listen": Listen("0.0.0.0", 80)},
    ),
    "a port keeps the host": (
        "upstream: http://a\nlisten: '[::1]:80'",
        {"listen.port": 0},
        {"listen": Listen("::1", 0)},
    ),
    "a port wins over a socket": (
        "upstream: http://a\nlisten: unix:/run/x",
        {"listen.port": 9000},
        {"listen": Listen("127.0.0.1", 9000)},
    ),
    "an address of IPv6 needs no brackets": (
        "upstream: http://a",
        {"listen.host": "::1"},
        {"listen": Listen("::1", 8080)},
    ),
    "a whole address": (
        "upstream: http://a\nlisten: 10.0.0.1:80",
        {"listen": "unix:/run/y"},
        {"listen": Listen("", 0, "/run/y")},
    ),
    "a flag that was not given": (
        "upstream: http://a\nlog: {to: /x}",
        {"upstream": None, "log.to": None, "listen.host": None},
        {"upstream.url": "http://a", "log.to": "/x"},
    ),
    "an empty file": ("", {"upstream": "http://b"}, {"upstream.url": "http://b"}),
}


@pytest.mark.parametrize(("text", "flags", "wanted"), FLAGS.values(), ids=FLAGS)
def test_flags_win_over_the_file(text: str, flags: dict[str, object], wanted: dict[str, object]) -> None:
    """Key by key."""
    config = loaded(text, flags)
    for path, value in wanted.items():
        found: Any = config
        for name in path.split("."):
            found = getattr(found, name)
        assert found == value


def test_a_wrong_flag_has_the_command_line_as_its_place() -> None:
    """Beside what is wrong in the file."""
    assert lines("upstream: http://a\nzzz: 1", {"log.format": "xml", "workers": 0, "listen.port": 70000}) == [
        (
            "command line: listen: found 127.0.0.1:70000; "
            "allowed: an address such as 127.0.0.1:8080, [::1]:8080 or unix:/run/frontrunner.sock"
        ),
        "command line: workers: found 0; allowed: a whole number from 1 to 1024",
        "command line: log.format: found xml; allowed: one of json, console",
        f"config.yaml:2:1: zzz: found zzz; allowed: one of {KEYS}",
    ]


def test_a_mapping_is_a_config_as_well() -> None:
    """For whoever embeds us; numbers as keys are fine, and variables are filled in."""
    tree = {"upstream": "http://${HOST}", "rules": ({"name": "a", "match": {"path": "/"}, "ttl": {200: "1h"}},)}
    config = from_mapping(tree, {"HOST": "legacy"})
    assert (config.upstream.url, config.rules[0].ttl) == ("http://legacy", {200: 3600.0})
    assert tree["upstream"] == "http://${HOST}"
    with pytest.raises(ConfigError, match=r"^config: log.format: found xml; allowed: one of json, console$"):
        from_mapping({**tree, "log": {"format": "xml"}}, {"HOST": "legacy"})


def test_the_example_loads_and_says_what_it_says() -> None:
    """config.yaml at the top is the demo's."""
    config = load(ROOT / "config.yaml", env={})
    query, search = config.rules
    assert config.upstream.url == "http://127.0.0.1:8000"
    assert load(ROOT / "config.yaml", env={"LEGACY_URL": "http://slow:9"}).upstream.url == "http://slow:9"
    assert (query.name, query.match.method, query.match.path) == ("query", ("POST",), "/orchestrator/query")
    assert (query.safe, query.ttl, [plugin.word for plugin in query.key]) == (True, 3600.0, ["json"])
    assert query.key[0].made.text == ("$.question", "$.questions[*]")
    assert [plugin.word for plugin in search.key] == ["sort_params", "drop_params", "lower", "collapse_space"]
    assert search.ttl == 600.0


def test_the_schema_is_the_committed_one() -> None:
    """If this fails, run: python -m proxy.config > proxy/config.schema.json."""
    written = subprocess.run(
        [sys.executable, "-m", "proxy.config"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert written.stdout == SCHEMA.read_text("utf-8")
    assert json.loads(written.stdout) == json_schema()


def test_the_schema_is_draft_7() -> None:
    """The newest that editors' YAML servers know well."""
    schema = json_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    words = set(json.dumps(schema).replace('"', " ").split())
    assert not words & {"unevaluatedProperties", "unevaluatedItems", "$defs", "prefixItems", "plugin", "default:"}


GOOD = {
    "the smallest": "upstream: http://legacy:8000",
    "the example": (ROOT / "config.yaml").read_text(),
    "engines": "upstream: {url: 'http://x', engine: {httpx: {transport: 'pkg:Class'}}, max_in_flight: 8}",
    "another engine": "upstream: {engine: {asgi: 'pkg:app'}}",
    "variables everywhere": (
        "upstream: {url: '${A}', timeout: {connect: '${B}'}}\nlisten: '${C}'\nlog: {to: '${D}', format: '${E}'}\n"
        "admin: {root_paths: '${F}'}\nrules: [{name: '${G}', match: {path: '${H}', method: '${I}'}, ttl: '${J}'}]"
    ),
    "keys of later releases": """
upstream: {url: http://x, engine: httpx}
store: {disk: auto, redis: "redis://cache"}
rules:
- name: a
  match: {path: /a/**, method: [GET, POST], host: a.example}
  key: [sort_params, nfc, {json: {ignore: ["$.a"]}}, {headers: [Accept]}, "pkg:Mine", {"pkg:Mine": {x: 1}}]
  ttl: {"200": 1h, "404": 30s}
  grace: {refresh: 10m, error: 24h}
  cookies: [a]
  private_by: [Authorization]
  rollout: {split: {mode: shadow, percent: 5}}
  aliases: {/b: candidate}
- {name: b, match: {path: /b}, grace: 5m, cookies: pass, ttl: from_origin}
""",
}

BAD = {
    "no upstream": "workers: 1",
    "an unknown key": "upstream: http://x\nzzz: 1",
    "no URL": "upstream: x",
    "a bare number": "upstream: http://x\nrules: [{name: a, match: {path: /}, ttl: 60}]",
    "an unknown normalizer": "upstream: http://x\nrules: [{name: a, match: {path: /}, key: [sort_parms]}]",
    "an unknown option": "upstream: http://x\nrules: [{name: a, match: {path: /}, key: [{json: {ignor: []}}]}]",
    "a missing option": "upstream: http://x\nrules: [{name: a, match: {path: /}, key: [drop_params]}]",
    "a method": "upstream: http://x\nrules: [{name: a, match: {path: /, method: PSOT}}]",
    "a switch": "upstream: http://x\nheaders: {cache_status: true}",
    "an engine": "upstream: {url: http://x, engine: htpx}",
}


class Core(yaml.SafeLoader):
    """Reads as editors do: by YAML 1.2, where on and off are words."""


Core.yaml_implicit_resolvers = {
    key: [(tag, pattern) for tag, pattern in rows if tag != "tag:yaml.org,2002:bool" or key in "tf"]
    for key, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def complaints(text: str) -> list[str]:
    # keys are text in JSON, so they are here
    tree = json.loads(json.dumps(yaml.load(text, Loader=Core)))
    return [error.message for error in jsonschema.Draft7Validator(json_schema()).iter_errors(tree)]


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_editors_accept_what_is_right(text: str) -> None:
    """Also what later releases will build, and variables in every place."""
    assert complaints(text) == []


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_editors_mark_what_is_wrong(text: str) -> None:
    """As far as a schema can tell."""
    assert complaints(text)
