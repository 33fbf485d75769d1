"""The price of observing: CPU per hit with logs, metrics and histograms on, and with all of them off.

    python tests/bench/observe.py [--rounds 75] [--hits 600]

Two whole proxies in one process are asked in turns, without sockets, whose price varies more than what is measured here.
Off means `log.to: off` and nobody who counts; on means a log file that is written, by its thread, which is counted as well.
Read the difference of the quickest rounds: the goal is at most 12 us.
"""

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from asgi_client import ask

from proxy.app import Proxy
from proxy.config import from_mapping

GOAL_US = 12.0
BATCH = 300
"""So many hits end within the 50 ms in which log lines wait for each other."""
RULES = [{"name": "page", "match": {"path": "/kept/**"}, "ttl": "1h"}]


class Nobody:
    """Counts nothing."""

    @staticmethod
    def add(_: object) -> None:
        """Count nothing."""

    count = count_call = add


async def inner(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1024")]})
    await send({"type": "http.response.body", "body": b"x" * 1024})


def made(log: str) -> Proxy:
    config = {
        "upstream": "http://bench", "store": {"disk": "off"}, "admin": {"token": "t"}, "rules": RULES, "log": {"to": log},
    }  # fmt: skip
    return Proxy(from_mapping(config, {}), inner)


async def round_of(proxy: Proxy, hits: int) -> float:
    """Return the CPU of a hit in microseconds."""
    began = time.process_time()
    for number in range(hits):
        await ask(proxy, "GET", "/kept/a")
        if number % BATCH == BATCH - 1:
            proxy.log.flush()
    while proxy.log._writer.lines:  # its thread may still write what this round has told
        time.sleep(0.0005)
    return (time.process_time() - began) / hits * 1e6


async def measured(rounds: int, hits: int, file: str) -> dict[str, list[float]]:
    proxies = {"off": made("off"), "on": made(file)}
    proxies["off"]._stats = proxies["off"]._recent = proxies["off"]._trials = Nobody
    found: dict[str, list[float]] = {name: [] for name in proxies}
    gc.collect()
    gc.freeze()  # as the server does
    for _ in range(rounds):
        for name, proxy in proxies.items():
            found[name].append(await round_of(proxy, hits))
    return found


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=75)
    options.add_argument("--hits", type=int, default=600)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measured(given.rounds, given.hits, f"{folder}/log"))
    price = min(found["on"]) - min(found["off"])
    paired = statistics.median(on - off for on, off in zip(found["on"], found["off"], strict=True))
    print(f"{price:.1f} us of CPU a hit for observing (median of pairs {paired:.1f}, goal {GOAL_US})")
    print(json.dumps({"us_per_hit": {name: min(all_) for name, all_ in found.items()}, "price_us": price}))


if __name__ == "__main__":
    main()
