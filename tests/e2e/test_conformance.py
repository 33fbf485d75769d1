"""The public conformance suite for HTTP caches, as a ratchet: what fails is listed with its reason, and nothing else."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
import yaml

pytestmark = pytest.mark.real

KNOWN = yaml.safe_load((Path(__file__).parent / "conformance_known.yaml").read_text())
KINDS = """
import tests from './tests/index.mjs'
const kinds = {}
for (const suite of tests) for (const test of suite.tests) if (!test.browser_only) kinds[test.id] = test.kind || 'required'
console.log(JSON.stringify(kinds))
"""


@pytest.fixture(scope="module")
def suite() -> Path:
    """The unpacked npm package, with what it needs; .ci/run installs it."""
    return Path(os.environ["FRONTRUNNER_CACHE_TESTS"])


@pytest.fixture(scope="module")
def results(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Run the suite once through the proxy: test id to true, or what failed."""
    folder = tmp_path_factory.mktemp("conformance")
    quiet = {**os.environ, "npm_config_port": "0", "XDG_STATE_HOME": str(folder)}
    port = free_port()
    origin = {
        **quiet,
        "npm_config_port": str(port),
        "npm_config_pidfile": str(folder / "pid"),
        "npm_config_protocol": "http",
    }
    proxy_port = free_port()
    command = [
        sys.executable,
        "-m",
        "proxy",
        "run",
        "--upstream",
        f"http://127.0.0.1:{port}",
        "--port",
        str(proxy_port),
    ]
    with (
        subprocess.Popen(["node", "server/server.mjs"], cwd=suite, env=origin, stdout=subprocess.DEVNULL) as server,
        subprocess.Popen([*command, "--log", "off"], env=quiet) as proxy,
    ):
        try:
            url = f"http://127.0.0.1:{proxy_port}"
            wait_for(f"http://127.0.0.1:{port}/")
            wait_for(f"{url}/_frontrunner/livez")
            client = {**os.environ, "npm_config_base": url, "npm_package_config_id": ""}
            told = subprocess.run(
                ["node", "--no-warnings", "cli.mjs"],
                cwd=suite,
                env=client,
                capture_output=True,
                text=True,
                check=True,
                timeout=300,
            ).stdout
        finally:
            server.terminate()
            proxy.terminate()
    return json.loads(told[told.index("{") :])


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str) -> None:
    for _ in range(100):
        try:
            httpx2.get(url)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing answers at {url}")


@pytest.mark.timeout(400)
def test_what_fails_is_known(suite: Path, results: dict[str, object]) -> None:
    kinds = json.loads(
        subprocess.run(
            ["node", "--input-type=module"], input=KINDS, cwd=suite, capture_output=True, text=True, check=True
        ).stdout
    )
    held = {name for name, kind in kinds.items() if kind in {"required", "optimal"}}
    failed = {name for name in held if results.get(name) is not True}
    known = {str(name) for names in KNOWN.values() for name in names}
    passed = {
        kind: sum(results.get(name) is True for name in held if kinds[name] == kind) for kind in ("required", "optimal")
    }
    print(f"passed: {passed} of {len(held)}")
    assert {name: results.get(name) for name in failed - known} == {}, "these are not known to fail"
    assert known - failed == set(), "these pass now: take them off the list"
