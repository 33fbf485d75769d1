"""Fixtures for tests against the running proxy: one upstream and one proxy per module, in one event loop.

A module says `pytestmark = pytest.mark.asyncio(loop_scope="module")` and may hold a CONFIG, to which the upstream's
address is added.
"""

import signal
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from hypothesis import settings
from running import Proxy
from wire import RawUpstream

# The same examples for all who run the suite, however slow their machine; `--hypothesis-profile=hunt` looks for others.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("few", settings.get_profile("same"), max_examples=25)  # to see which branches are reached
settings.register_profile("hunt", max_examples=2000, deadline=None)
settings.load_profile("same")


def pytest_configure() -> None:
    """Let the programs that tests start be interrupted, also where a shell ignores that for what it runs behind `&`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def upstream() -> AsyncIterator[RawUpstream]:
    """Return an upstream by hand; it answers `200 ok` unless a test says otherwise."""
    async with RawUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(
    request: pytest.FixtureRequest, upstream: RawUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """Return the real proxy in front of that upstream; stopping it is part of the module's tests."""
    config = getattr(request.module, "CONFIG", {})
    wanted = config.get("upstream", {})
    whole = {**config, "upstream": {**wanted, "url": upstream.url}, "admin": {"token": "${FRONTRUNNER_TOKEN}"}}
    running = Proxy(whole, tmp_path_factory.mktemp("proxy")).start()
    yield running
    running.stop()


@pytest.fixture(scope="session", autouse=True)
def _state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what a proxy in this process leaves behind out of the user's own state."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
