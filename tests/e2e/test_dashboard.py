"""The shipped dashboard asks for metrics that a running proxy has; a real Prometheus scrapes them and understands each question."""

import asyncio
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import pytest_asyncio
import yaml
from running import TOKEN, Proxy
from wire import Client, RawUpstream, asked

from proxy.cli.init import shipped

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {
    "upstream": {"max_in_flight": 3},
    "rules": [{"name": "page", "match": {"path": "/page/**"}, "ttl": "1h"}],
    "store": {"disk": "off"},
}
METRIC = re.compile(r"frontrunner_[a-z_]+")
WITHIN_S = 30
ONLY_WITH_PARTS = {"frontrunner_parts_total", "frontrunner_parts_hit_total"}


def expressions() -> list[str]:
    """Return what the dashboard asks, with its variables filled in as Grafana does."""
    told = json.loads(shipped("grafana.json"))
    found = [target["expr"] for panel in told["panels"] for target in panel["targets"]]
    return [one.replace("$__rate_interval", "1m").replace("$operation", ".*") for one in found]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def exposed(proxy: Proxy, upstream: RawUpstream) -> str:
    """Return what a scrape gets after a few requests, some of which failed."""
    for path in ("/page/a", "/page/a", "/page/b", "/other"):
        assert (await proxy.ask("GET", path)).status == 200
    answer = await proxy.admin("metrics")
    assert answer.status == 200
    return answer.body.decode()


async def test_each_metric_of_the_dashboard_is_exposed(exposed: str) -> None:
    families = set(re.findall(r"^# TYPE (\S+) ", exposed, flags=re.MULTILINE))
    samples = {line.split("{")[0].split(" ")[0] for line in exposed.splitlines() if not line.startswith("#")}
    wanted = {name for one in expressions() for name in METRIC.findall(one)}
    assert len(wanted) > 15
    assert wanted - samples == ONLY_WITH_PARTS
    assert families >= ONLY_WITH_PARTS


async def test_each_label_of_the_dashboard_is_exposed(exposed: str) -> None:
    labels = {name for one in re.findall(r"^[a-z_]+\{(.*)\} ", exposed, flags=re.MULTILINE) for name in re.findall(r'(\w+)="', one)}  # fmt: skip
    for one in expressions():
        asked_for = set(re.findall(r"(\w+)=~?\"", one))
        asked_for |= {name.strip() for names in re.findall(r"by \(([^)]*)\)", one) for name in names.split(",")}
        assert asked_for <= labels, one


@pytest.mark.real
async def test_promtool_finds_nothing(exposed: str) -> None:
    found = subprocess.run(["promtool", "check", "metrics"], input=exposed, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@pytest.mark.real
async def test_promtool_reads_each_expression(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(expressions())]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    found = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{len(rules)} rules found" in found.stdout


@pytest.fixture(scope="module")
def prometheus(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run Prometheus with the shipped scrape configuration, at a second's interval; return its port."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "token").write_text(TOKEN)
    config = shipped("prometheus.yml").replace("/etc/prometheus/frontrunner.token", str(folder / "token"))
    config = config.replace("127.0.0.1:8080", f"127.0.0.1:{proxy.port}").replace("15s", "1s")
    (folder / "prometheus.yml").write_text(config)
    checked = ["promtool", "check", "config", str(folder / "prometheus.yml")]
    subprocess.run(checked, check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "stderr").open("wb") as said:
        running = subprocess.Popen(command, stderr=said)
    yield port
    running.terminate()
    running.wait(20)


async def told(port: int, path: str, **query: str) -> dict:
    """Ask Prometheus, which may not listen yet."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                async with await Client.to(port) as client:
                    target = f"/api/v1/{path}?{urlencode(query)}"
                    answer = await client.ask(asked(b"GET", target.encode()))
            except OSError:
                await asyncio.sleep(0.1)
                continue
            if answer.status == 503:  # it is still reading its own files
                await asyncio.sleep(0.1)
                continue
            return answer.json()


async def value(port: int, expression: str) -> list[dict]:
    """Ask a real Prometheus for a value."""
    answer = await told(port, "query", query=expression)
    assert answer["status"] == "success", (expression, answer)
    return answer["data"]["result"]


@pytest.mark.real
async def test_a_real_prometheus_scrapes_it(proxy: Proxy, prometheus: int, exposed: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await value(prometheus, 'frontrunner_request_duration_seconds_count{operation="page"}'):
            await asyncio.sleep(0.1)
    (target,) = (await told(prometheus, "targets"))["data"]["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    found = await value(prometheus, "frontrunner_request_duration_seconds_count")
    assert {(one["metric"]["operation"], one["metric"]["outcome"]): one["value"][1] for one in found} == {
        ("page", "miss"): "2", ("page", "hit"): "1", ("default", "miss"): "1",
    }  # fmt: skip


@pytest.mark.real
async def test_a_real_prometheus_answers_each_expression(proxy: Proxy, prometheus: int, exposed: str) -> None:
    """Rates want two scrapes between which something happened; then all that can have a value has one."""

    async def empty() -> set[str]:
        return {one for one in expressions() if not await value(prometheus, one)}

    without = {one for one in expressions() if "parts" in one}
    async with asyncio.timeout(WITHIN_S):
        while (found := await empty()) - without:
            await proxy.ask("GET", "/page/a")
            await asyncio.sleep(0.2)
    assert found == without
