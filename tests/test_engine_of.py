"""What a config's engine means."""

import pytest
from fakes import FakeClock

from proxy.config import from_mapping
from proxy.engine_of import engine_of
from proxy.errors import StartError
from proxy.upstream.address import Address
from proxy.upstream.aiohttp import Aiohttp
from proxy.upstream.asgi import Asgi
from proxy.upstream.httpx import Httpx

ENGINES = {
    "by default": ({"url": "http://a"}, None, Aiohttp),
    "httpx": ({"url": "http://a", "engine": "httpx"}, None, Httpx),
    "a transport of httpx": (
        {"url": "http://a", "engine": {"httpx": {"transport": "httpx2:AsyncHTTPTransport"}}},
        None,
        Httpx,
    ),
    "an app by its name": ({"engine": {"asgi": {"app": "starlette.applications:Starlette"}}}, None, Asgi),
    "an app that is given": ({"url": "http://a"}, object(), Asgi),
}


@pytest.mark.parametrize(("upstream", "inner", "kind"), ENGINES.values(), ids=ENGINES)
async def test_an_engine(upstream, inner, kind):
    config = from_mapping({"upstream": upstream}, {})
    engine = engine_of(config, Address.parse(config.upstream.url), inner, FakeClock())
    assert isinstance(engine, kind)
    await engine.close()


def test_an_engine_that_is_not_there():
    config = from_mapping({"upstream": {"engine": {"asgi": {"app": "nowhere:App"}}}}, {})
    with pytest.raises(StartError, match="cannot load nowhere:App"):
        engine_of(config, Address.parse(config.upstream.url), None, FakeClock())
