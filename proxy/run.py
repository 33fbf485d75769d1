"""One command's processes: one that serves, or a first one that watches those that do."""

import os
import signal
import socket
import sys
from collections.abc import Callable

from proxy import server
from proxy.app import create_app
from proxy.clock import SystemClock
from proxy.config import Config
from proxy.log import Log, hear_all
from proxy.log_of import log_of
from proxy.workers import Workers, this_worker


def run(config: Config, load: Callable[[], Config]) -> int:
    """Serve as configured until a signal ends it; return the exit code. Raises StartError.

    `load` reads the config again.
    """
    worker = this_worker()
    if worker is not None:
        with worker.socket() as bound:
            return _serve(config, load, bound, worker.tell_ready, parent=worker.parent)
    bound, url = server.listen(config.listen.host, config.listen.port, config.listen.unix)
    with bound:
        if config.workers == 1:
            return _serve(config, load, bound, None, url)
        log = log_of(config, SystemClock())

        def all_ready() -> None:
            _say_ready(config, log, url)
            log.let_go()  # its workers write from now on, and may be told to open another file

        return Workers(config.workers, bound).serve(all_ready)


def _say_ready(config: Config, log: Log, url: str) -> None:
    log.events.info("ready", url=url, upstream=config.upstream.url, rules=len(config.rules), workers=config.workers)


def _serve(
    config: Config,
    load: Callable[[], Config],
    bound: socket.socket,
    tell: Callable[[], None] | None,
    url: str = "",
    parent: int | None = None,
) -> int:
    proxy = create_app(config)
    hear_all(proxy.log)
    finish = config.upstream.timeout.first_byte + 5

    def ready() -> None:
        _say_ready(config, proxy.log, url)
        made_here = not (config.admin.token or os.environ.get("FRONTRUNNER_TOKEN"))
        if made_here and not config.listen.unix and sys.stderr.isatty():
            print(f"admin: {url}{config.admin.prefix}/performance?token={proxy.token}", file=sys.stderr)  # noqa: T201

    def hung_up() -> None:
        proxy.reload(load)

    signals: dict[int, Callable[[], None]] = {
        signal.SIGHUP: hung_up, signal.SIGUSR1: proxy.log.reopen, signal.SIGUSR2: proxy.turn_bypass,
    }  # fmt: skip
    try:
        return server.run(proxy, bound, tell or ready, signals, parent=parent, finish_within_s=finish)
    finally:
        proxy.log.close()  # however it ended, all that was seen is told
