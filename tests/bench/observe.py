"""The price of observing: CPU per 1 KiB hit with logs, metrics and histograms on, and with all of them off.

    python tests/bench/observe.py [--rounds 9] [--seconds 2] [--connections 64]

Both are the same proxy on the same core, asked in turns; the other core asks. Off means `log.to: off` and nobody who
counts. Read the difference: the goal is at most 12 us.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from hit import CONFIG, Server, free_port, measure

GOAL_US = 12.0
BARE = """
import sys, uvicorn
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1024")]})
    await send({"type": "http.response.body", "body": b"x" * 1024})
uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="warning", lifespan="off")
"""
UNSEEN = """
from proxy.cli import main
from proxy.recent import Recent
from proxy.stats import Stats
from proxy.trials import Trials
Stats.count = Recent.add = Trials.count = lambda self, line: None
main()
"""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--connections", type=int, default=64)
    given = options.parse_args()
    os.sched_setaffinity(0, {0})
    with tempfile.TemporaryDirectory() as folder:
        upstream, on, off = free_port(), free_port(), free_port()
        for name, code in (("bare", BARE), ("unseen", UNSEEN)):
            (Path(folder) / f"{name}.py").write_text(code)
        source = Server("upstream", [sys.executable, f"{folder}/bare.py", str(upstream)], upstream)
        servers = []
        for name, port, log, command in (
            ("on", on, f"{folder}/log", ["-m", "proxy"]), ("off", off, "off", [f"{folder}/unseen.py"])
        ):  # fmt: skip
            config = Path(folder) / f"{name}.yaml"
            config.write_text(CONFIG.format(upstream=f"http://127.0.0.1:{upstream}", log=log))
            started = [sys.executable, *command, "run", "--config", str(config), "--port", str(port)]
            servers.append(Server(name, started, port))
        try:
            found = asyncio.run(measure(servers, given.rounds, given.seconds, given.connections))
        finally:
            for server in (*servers, source):
                server.process.terminate()
                server.process.wait()
    medians = {name: statistics.median(values) for name, values in found.items()}
    price = statistics.median(a - b for a, b in zip(found["on"], found["off"], strict=True))
    print(
        f"on {medians['on']:.1f} us, off {medians['off']:.1f} us a hit: {price:.1f} us for observing (goal {GOAL_US})"
    )
    print(json.dumps({"us_per_hit": medians, "price_us": price, "rounds": given.rounds}))


if __name__ == "__main__":
    main()
