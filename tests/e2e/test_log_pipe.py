"""The log of the running proxy: a reader that does not read, a file that is moved away, workers that share it."""

import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time

import pytest
import yaml
from fakes import until
from running import TOKEN, Proxy
from wire import Client, RawUpstream, asked, reply

LONG = "x" * 15_000
ENOUGH = 8_000
"""Requests whose lines are more than what may wait: 64 MiB, and what a pipe holds."""


class Running:
    """A proxy that writes its log where nobody reads it until the test does: to its standard output, or to a file."""

    def __init__(self, config, folder):
        file = folder / "config.yaml"
        file.write_text(yaml.safe_dump(config))
        environment = os.environ | {"FRONTRUNNER_TOKEN": TOKEN, "XDG_STATE_HOME": str(folder)}
        command = [sys.executable, "-m", "proxy", "run", "--config", str(file), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)

    def listens_by(self, ready):
        """Take the port from its first line."""
        self.port = int(json.loads(ready)["url"].rpartition(":")[2])

    async def end(self):
        self.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(self.process.wait, 20) == 0
        self.process.stdout.close()


async def ask(port, path, times):
    """Ask on one connection, again and again; return how long each answer took."""
    took = []
    async with await Client.to(port) as client:
        for _ in range(times):
            began = time.perf_counter()
            answer = await client.ask(asked(b"GET", path))
            took.append(time.perf_counter() - began)
            assert answer.status == 200
    return took


async def test_a_pipe_that_nobody_reads_costs_no_request_and_what_was_lost_is_told(tmp_path):
    async with RawUpstream(reply(200, b"ok")) as upstream:
        rules = [{"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h"}]
        running = Running({"upstream": upstream.url, "store": {"disk": "off"}, "rules": rules}, tmp_path)
        running.listens_by(running.process.stdout.readline())
        path = f"/kept/{LONG}".encode()
        before = await ask(running.port, path, 200)
        told = await asyncio.gather(*[ask(running.port, path, ENOUGH // 8) for _ in range(8)])
        after = await ask(running.port, path, 200)
        assert statistics.median(after) < 5 * statistics.median(before) + 0.005
        n = len(before) + sum(map(len, told)) + len(after)
        reading = asyncio.get_running_loop().run_in_executor(None, running.process.stdout.read)
        await asyncio.sleep(1)
        await ask(running.port, b"/kept/last", 1)
        running.process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in (await reading).splitlines()]
        assert running.process.wait(10) == 0
        running.process.stdout.close()
    written = [line for line in lines if line["event"] == "request"]
    dropped = [line["count"] for line in lines if line["event"] == "dropped"]
    assert sum(dropped) > 0
    assert len(written) + sum(dropped) == n + 1
    assert written[-1]["path"] == "/kept/last"


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_file_that_was_moved_away_is_opened_again_and_no_line_is_lost(tmp_path, workers):
    file = tmp_path / "log"
    async with RawUpstream(reply(200, b"ok")) as upstream:
        config = {
            "upstream": upstream.url, "workers": workers, "log": {"to": str(file)}, "admin": {"token": "${FRONTRUNNER_TOKEN}"},
        }  # fmt: skip
        running = Running(config, tmp_path)
        async with asyncio.timeout(30):
            while not (file.exists() and file.read_bytes().endswith(b"\n")):
                await asyncio.sleep(0.02)
        running.listens_by(file.read_bytes().splitlines()[0])
        asking = [asyncio.get_running_loop().create_task(ask(running.port, b"/any", 300)) for _ in range(6)]
        moved = []
        for number in range(4):
            await asyncio.sleep(0.15)
            moved.append(file.rename(tmp_path / f"log.{number}"))
            running.process.send_signal(signal.SIGUSR1)
            async with asyncio.timeout(10):
                while not file.exists():
                    await asyncio.sleep(0.01)
        took = await asyncio.gather(*asking)
        await running.end()
    lines = [json.loads(line) for one in (*moved, file) for line in one.read_text().splitlines()]
    requests = [line["request_id"] for line in lines if line["event"] == "request"]
    assert len(requests) == len(set(requests)) == sum(map(len, took))
    assert file.stat().st_size > 0


async def test_a_second_ctrl_c_took_the_lines_of_what_it_cut_off(tmp_path):
    """It ends requests at once, and nothing is left untold."""

    async def never(_):
        await asyncio.sleep(60)

    async with RawUpstream(never) as upstream:
        proxy = Proxy({"upstream": upstream.url}, tmp_path).start()
        asking = asyncio.create_task(proxy.ask("GET", "/slow"))
        await upstream.arrived(b"/slow")
        proxy.process.send_signal(signal.SIGINT)
        await until(lambda: not is_open(proxy.port))
        proxy.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(proxy.process.wait, 10) == 130
        await asking
        proxy.kill()
        assert [line["path"] for line in proxy.found(event="request")] == ["/slow"]
        assert [line["path"] for line in proxy.found(event="upstream_call")] == ["/slow"]
        assert proxy.found(event="error") == []


def is_open(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
