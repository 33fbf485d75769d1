"""The shape of config.yaml as the code sees it: names, defaults, short forms."""

from ipaddress import ip_network

import pytest
from pydantic import BaseModel, ValidationError

from proxy import plugins
from proxy.config import from_mapping
from proxy.config_shape import Config, Engine, Shape
from proxy.config_values import Listen
from proxy.errors import ConfigError
from proxy.plugins import Plugin

SMALLEST = {"upstream": "http://legacy:8000"}
RULE = {"name": "search", "match": {"path": "/search"}}


def config(**keys: object) -> Config:
    return Config.model_validate(SMALLEST | keys)


def test_the_defaults_are_the_contract() -> None:
    """One line is a whole config."""
    whole = config()
    assert (whole.listen, whole.workers, whole.default, whole.mode) == (
        Listen("127.0.0.1", 8080),
        1,
        "from_origin",
        "on",
    )
    assert (whole.upstream.url, whole.upstream.host) == ("http://legacy:8000", "client")
    assert (whole.upstream.engine.word, whole.upstream.engine.options) == ("aiohttp", {})
    timeout = whole.upstream.timeout
    assert (timeout.connect, timeout.first_byte, timeout.idle) == (10.0, 180.0, 180.0)
    assert (whole.store.memory, whole.store.disk, whole.store.namespace) == (268435456, "auto", "default")
    assert (whole.rules, whole.trusted_proxies) == ((), ())
    assert (whole.log.to, whole.log.format, whole.log.schema_) == ("-", "json", "flat")
    assert (whole.headers.cache_status, whole.headers.server_timing) == (True, False)
    assert (whole.admin.prefix, whole.admin.token, whole.admin.root_paths) == ("/_frontrunner", "", False)
    assert (whole.upstream.max_in_flight, whole.store.redis, whole.store.aiocache, whole.admin.listen) == (None,) * 4


def test_the_defaults_of_a_rule() -> None:
    """A name and a path are enough."""
    rule = config(rules=[RULE]).rules[0]
    assert (rule.match.method, rule.match.path, rule.match.host) == ((), "/search", None)
    assert (rule.safe, rule.key, rule.ttl, rule.override) == (False, (), None, ())
    assert (rule.cookies, rule.private_by) == ("pass", ())
    assert (rule.max_object, rule.max_key_body) == (33554432, 10485760)


def test_a_full_rule() -> None:
    """Lists are tuples, words are in their one form, normalizers are made."""
    rule = config(
        rules=[
            RULE
            | {
                "match": {"method": ["get", "POST"], "path": "/search", "host": "Legacy:80"},
                "safe": True,
                "key": ["sort_params", {"lower": ["q"]}, {"headers": ["Accept-Language"]}],
                "ttl": {"200": "1h", "404": "30s"},
                "override": ["no-store", "max-age"],
                "cookies": ["session"],
                "private_by": ["Authorization"],
                "max_object": "1MiB",
                "max_key_body": 0,
            }
        ]
    ).rules[0]
    assert (rule.match.method, rule.match.host) == (("GET", "POST"), "legacy:80")
    assert [type(plugin) for plugin in rule.key] == [Plugin] * 3
    assert [plugin.word for plugin in rule.key] == ["sort_params", "lower", "headers"]
    assert rule.key[1].made.names == ("q",)
    assert (rule.ttl, rule.override) == ({200: 3600.0, 404: 30.0}, ("no-store", "max-age"))
    assert (rule.cookies, rule.private_by) == (("session",), ("authorization",))
    assert (rule.max_object, rule.max_key_body) == (1048576, 0)


ENGINES: dict[str, tuple[object, str, dict[str, str]]] = {
    "a word": ("aiohttp", "aiohttp", {}),
    "a word without options": ({"aiohttp": {}}, "aiohttp", {}),
    "httpx with its own transport": ("httpx", "httpx", {}),
    "httpx with another": ({"httpx": {"transport": "pkg:Class"}}, "httpx", {"transport": "pkg:Class"}),
    "asgi": ({"asgi": {"app": "pkg.module:app"}}, "asgi", {"app": "pkg.module:app"}),
    "a bare value for the first option": ({"asgi": "pkg:app"}, "asgi", {"app": "pkg:app"}),
}


@pytest.mark.parametrize(("written", "word", "options"), ENGINES.values(), ids=ENGINES)
def test_an_engine_is_a_word_and_its_options(written: object, word: str, options: dict[str, str]) -> None:
    """The grammar of plug-ins; the app builds it."""
    engine = Engine.model_validate(written)
    assert (engine.word, engine.options) == (word, options)


@pytest.mark.parametrize("written", [{}, {"aiohttp": {}, "httpx": {}}, "htpx", {"asgi": {}}, {"httpx": None}, None, 5])
def test_an_engine_is_exactly_one(written: object) -> None:
    """None, two and unknown ones are refused."""
    with pytest.raises(ValidationError):
        Engine.model_validate(written)


def test_every_engine_is_a_file() -> None:
    """A word in config.yaml is a file name in the tree."""
    assert set(Engine.model_fields) <= set(plugins.catalogue("upstream"))


def test_an_app_that_is_called_directly_needs_no_url() -> None:
    """Everything else does."""
    upstream = Config.model_validate({"upstream": {"engine": {"asgi": "pkg:app"}}}).upstream
    assert upstream.url == "http://app.invalid"
    with pytest.raises(ValidationError):
        Config.model_validate({"upstream": {"engine": "aiohttp"}})


def test_the_log_schema_goes_by_its_word() -> None:
    """`schema` is pydantic's own name, so the attribute has a stroke."""
    assert config(log={"schema": "ecs"}).log.schema_ == "ecs"
    with pytest.raises(ValidationError):
        config(log={"schema_": "flat"})


SAME_FIELD = {
    "a dash and a stroke": ("headers", ["X-User", "x_user"], "header_x_user is x-user"),
    "one name twice": ("headers", ["Accept", "accept"], "header_accept is accept"),
    "a dot and a stroke": ("query", ["user.id", "user_id"], "query_user_id is user.id"),
    "names that differ by case": ("query", ["Q", "q"], "query_q is Q"),
}


@pytest.mark.parametrize(("key", "names", "told"), SAME_FIELD.values(), ids=SAME_FIELD)
def test_two_names_were_written_to_one_field_of_the_log(key: str, names: list[str], told: str) -> None:
    """A client could put its own value beside the one that the owner wants to see."""
    with pytest.raises(ConfigError) as raised:
        from_mapping({"upstream": "http://a", "log": {key: names}}, {})
    (finding,) = raised.value.findings
    assert (finding.path, finding.allowed) == (f"log.{key}[1]", f"names of different fields: {told}")


def test_networks_are_networks() -> None:
    """An address is a network of one."""
    assert config(trusted_proxies=["10.0.0.0/8", "::1"]).trusted_proxies == (
        ip_network("10.0.0.0/8"),
        ip_network("::1"),
    )


def test_a_config_is_frozen_and_shows_no_token() -> None:
    """It is shared by everything, and a traceback may print it."""
    whole = config(admin={"token": "s3cret"})
    with pytest.raises(ValidationError):
        whole.workers = 2
    assert "s3cret" not in repr(whole)


def test_keys_whose_features_come_later_have_their_shape_already() -> None:
    """The whole grammar is known from the first release."""
    rule = config(
        rules=[RULE | {"grace": "5m", "rollout": {"split": {"mode": "on", "percent": 5}}, "aliases": {"/b": "control"}}]
    ).rules[0]
    assert rule.grace is not None
    assert (rule.grace.refresh, rule.grace.error) == (300.0, 300.0)
    assert rule.rollout is not None
    assert (rule.rollout.split.mode, rule.rollout.split.percent) == ("on", 5)
    assert rule.aliases == {"/b": "control"}


def shapes(shape: type[BaseModel] = Shape) -> list[type[BaseModel]]:
    return [inner for one in shape.__subclasses__() for inner in [one, *shapes(one)]]


@pytest.mark.parametrize("shape", shapes())
def test_every_shape_is_strict(shape: type[BaseModel]) -> None:
    """An unknown key anywhere is an error."""
    assert (shape.model_config["extra"], shape.model_config["strict"], shape.model_config["frozen"]) == (
        "forbid",
        True,
        True,
    )
