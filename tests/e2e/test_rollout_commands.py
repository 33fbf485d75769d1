"""The commands of docs/rollout.md, and those on rollouts in docs/splitting.md and docs/keys.md: all do something."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import TOKEN, Proxy
from wire import RawUpstream, reply

DOCS = Path(__file__).parents[2] / "proxy/docs"
PAGES = ("rollout.md", "splitting.md", "keys.md")
COMMANDS = [
    command
    for page in PAGES
    for command in re.findall(r"^\$ (.+)$", (DOCS / page).read_text("utf-8"), re.MULTILINE)
    if "rollout" in command or "report" in command or "decision" in command
]
SPLIT = {"by": {"query_list": {"name": "ids"}}, "merge": {"keyed": {"items": "$.items", "id": "$.id"}}}
RULES = [
    {"name": "products", "match": {"path": "/api/products"}, "key": ["sort_params"], "ttl": "1h", "split": SPLIT},
    {"name": "search", "match": {"path": "/search"}, "key": ["sort_params"], "ttl": "1h"},
]
pytestmark = pytest.mark.real


@pytest.fixture
async def running(tmp_path):
    async with RawUpstream(reply(200, b"{}")) as upstream:
        config = {
            "upstream": upstream.url, "rules": RULES, "admin": {"token": "${FRONTRUNNER_TOKEN}"},
            "log": {"to": "-"},
        }  # fmt: skip
        proxy = Proxy(config, tmp_path).start()
        yield proxy
        proxy.stop()


async def test_every_command_on_rollouts_in_the_guide(running):
    env = os.environ | {
        "FRONTRUNNER_URL": running.url, "FRONTRUNNER_TOKEN": TOKEN,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    assert len(COMMANDS) > 15
    for command in COMMANDS:
        (running.folder / "frontrunner.log").write_text('{"event":"decision"}\n')
        before = len(running.found(event="decision"))
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            check=False,
            shell=True,
            cwd=running.folder,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert done.stdout, command
        if "=" in command.split("#")[0] and "frontrunner rollout" in command:
            assert len(await running.lines(before + 1, event="decision")) > before, command
