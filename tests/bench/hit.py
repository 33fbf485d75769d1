"""CPU per 1 KiB hit: ours beside a bare ASGI app under the same uvicorn, interleaved, as a ratio.

    python tests/bench/hit.py [--rounds 7] [--seconds 2] [--connections 64]

A server's CPU is read from the kernel (schedstat, nanoseconds, all its threads), so the load generator's share of the
machine does not count. Both sit on the same core; the generator has the other. Read the ratio, not the numbers.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TARGET = "/b/1024?b=2&a=1&utm_source=mail&fields=name,price&page=3"
REQUEST = f"GET {TARGET} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n".encode()
BARE = """
import sys, uvicorn
BODY = b"x" * 1024
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"1024"), (b"cache-control", b"max-age=3600")]
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning", lifespan="off")
"""
CONFIG = """
upstream: {upstream}
rules:
  - name: bench
    match: {{path: /b/**}}
    key: [sort_params, {{drop_params: [utm_*]}}]
    ttl: 1h
log: {{to: "{log}"}}
"""


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server process on core 1, and the CPU it has used."""

    def __init__(self, name: str, command: list[str], port: int) -> None:
        self.name = name
        self.port = port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        os.sched_setaffinity(self.process.pid, {1 % (os.cpu_count() or 1)})

    def cpu_ns(self) -> int:
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks)

    async def ready(self) -> None:
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
        raise SystemExit(f"{self.name} did not start")


async def load(port: int, seconds: float, connections: int) -> int:
    """Ask the same thing over and over on keep-alive connections; return how many answers came."""
    end = asyncio.get_running_loop().time() + seconds
    counts = await asyncio.gather(*[one_connection(port, end) for _ in range(connections)])
    return sum(counts)


async def one_connection(port: int, end: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    loop, n = asyncio.get_running_loop(), 0
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    await reader.readexactly(1024)
    while loop.time() < end:
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(1024)
        n += 1
    writer.close()
    return n


async def measure(servers: list[Server], rounds: int, seconds: float, connections: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {server.name: [] for server in servers}
    for server in servers:
        await server.ready()
        await load(server.port, 0.5, connections)
    for _ in range(rounds):
        for server in servers:
            before = server.cpu_ns()
            n = await load(server.port, seconds, connections)
            found[server.name].append((server.cpu_ns() - before) / n / 1000)
    return found


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--connections", type=int, default=64)
    given = options.parse_args()
    os.sched_setaffinity(0, {0})
    with tempfile.TemporaryDirectory() as folder:
        bare, ours, quiet = free_port(), free_port(), free_port()
        (Path(folder) / "bare.py").write_text(BARE)
        servers = [Server("bare", [sys.executable, str(Path(folder) / "bare.py"), str(bare)], bare)]
        for name, port, log in (("ours", ours, f"{folder}/log"), ("ours, log off", quiet, "off")):
            config = Path(folder) / f"{port}.yaml"
            config.write_text(CONFIG.format(upstream=f"http://127.0.0.1:{bare}", log=log))
            command = [sys.executable, "-m", "proxy", "run", "--config", str(config), "--port", str(port)]
            servers.append(Server(name, command, port))
        try:
            found = asyncio.run(measure(servers, given.rounds, given.seconds, given.connections))
        finally:
            for server in servers:
                server.process.terminate()
                server.process.wait()
    medians = {name: statistics.median(values) for name, values in found.items()}
    ratios = {
        name: statistics.median(mine / base for mine, base in zip(values, found["bare"], strict=True))
        for name, values in found.items()
    }
    for name, value in medians.items():
        print(f"{name:14} {value:7.1f} us CPU per hit   {ratios[name]:.2f} x bare   ({1e6 / value:,.0f} hits/s a core)")
    print(json.dumps({"us_per_hit": medians, "ratio": ratios, "rounds": given.rounds}))


if __name__ == "__main__":
    main()
