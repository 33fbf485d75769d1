"""docs/operating.md: every command in it does what it says, in the order in which it stands there."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from wire import RawUpstream, reply

GUIDE = (Path(__file__).parents[2] / "proxy/docs/operating.md").read_text()
COMMANDS = re.findall(r"^\$ (.+)$", GUIDE, re.MULTILINE)
CONFIG = """\
upstream: {upstream}
rules:
  - {{name: search, match: {{path: /search**}}, key: [sort_params], ttl: 1h}}
"""
RECORDED = {
    "log": {
        "entries": [
            {
                "request": {"method": "GET", "url": "http://legacy:8000/search?q=c", "headers": []},
                "response": {"status": 200},
            }
        ]
    }
}
pytestmark = pytest.mark.real


class Shell:
    """A terminal in an empty folder, with a proxy running in the background once one was started."""

    def __init__(self, folder: Path, upstream: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.folder, self.upstream = folder, upstream
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = os.environ | {
            "FRONTRUNNER_URL": self.url, "FRONTRUNNER_TOKEN": "a-token-for-tests-0123456789", "XDG_STATE_HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }  # fmt: skip
        self.running: subprocess.Popen[bytes] | None = None

    def type(self, command: str) -> str:
        """Run one command of the guide; return what it printed."""
        command = command.replace("http://legacy:8000", self.upstream)
        if command.startswith("frontrunner run"):
            self.stop()
            self.running = subprocess.Popen(
                [*command.split(), "--port", str(self.port)], cwd=self.folder, env=self.env, start_new_session=True
            )
            self.until_ready()
            return ""
        done = subprocess.run(
            command, check=False, shell=True, cwd=self.folder, env=self.env, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def until_ready(self) -> None:
        for _ in range(200):
            try:
                with urlopen(f"{self.url}/_frontrunner/livez"):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("it does not listen")

    def until_logged(self, name: str, words: str) -> None:
        for _ in range(200):
            if words in (self.folder / name).read_text():
                return
            time.sleep(0.05)
        raise AssertionError(f"not in the log: {words}")

    def get(self, target: str) -> str:
        """Ask for something as a client; return Cache-Status."""
        with urlopen(self.url + target) as answer:
            answer.read()
            return str(answer.headers["cache-status"])

    def stop(self) -> None:
        if self.running is not None:
            self.running.terminate()
            self.running.wait(10)
            self.running = None


@pytest.fixture
async def shell(tmp_path):
    async with RawUpstream(reply(200, b"found", b'Cache-Groups: "items"')) as upstream:
        one = Shell(tmp_path, f"http://127.0.0.1:{upstream.port}")
        (tmp_path / "config.yaml").write_text(CONFIG.format(upstream=one.upstream))
        (tmp_path / "observe.yaml").write_text(CONFIG.format(upstream=one.upstream) + "mode: observe\n")
        (tmp_path / "urls.txt").write_text(f"{one.url}/search?q=a\n{one.url}/search?q=b\n")
        (tmp_path / "session.har").write_text(json.dumps(RECORDED).replace("http://legacy:8000", one.url))
        yield one
        one.stop()


def test_the_guide_has_commands():
    assert len(COMMANDS) == len(set(COMMANDS)) > 12


async def test_every_command_of_the_guide(shell):
    import asyncio

    printed = {}
    for command in COMMANDS:
        printed[command] = await asyncio.to_thread(shell.type, command)
        if command.startswith("frontrunner run") and "observe" in command:
            for target in ("/search?observed=1", "/search?observed=1"):
                assert "detail=observe" in await asyncio.to_thread(shell.get, target)
            await asyncio.to_thread(shell.until_logged, "observed.log", '"would":"hit"')
        elif command.startswith("frontrunner run"):
            assert "fwd=" in await asyncio.to_thread(shell.get, "/search?q=Berlin")
            if "--upstream" in command:  # what only the log knows of when it is warmed
                assert "fwd=" in await asyncio.to_thread(shell.get, "/search/new")
        elif command.startswith("frontrunner purge"):
            status = await asyncio.to_thread(shell.get, "/search?q=Berlin")
            assert ("hit" in status) is ("--group" in command), (command, status)
        elif command.startswith("frontrunner bypass"):
            status = await asyncio.to_thread(shell.get, "/search?q=Berlin")
            assert ("bypass" in status) is command.endswith("on"), status
        elif command.startswith("frontrunner warm"):
            last = printed[command].splitlines()[-1]
            assert re.fullmatch(r"asked [1-9].*, 0 not stored, 0 failed", last), (command, last)
            warmed = "/search?q=c" if "har" in command else "/search/new" if "log" in command else "/search?q=a"
            assert "hit" in await asyncio.to_thread(shell.get, warmed)
    told = "\n".join(printed.values())
    for words in (
        '"would":"hit","n":1,"save_s":0.',
        '"would":{"miss":1,"hit":1}',
        "/search",
        '"operations"',
        "fine, 1 rule",
        "sort_params",
        "answer from the store",
        '"seconds_saved"',
    ):
        assert words in told
