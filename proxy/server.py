"""Our HTTP/1.1 server: where it listens, how it begins and how it stops."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from errno import EADDRINUSE
from pathlib import Path
from typing import Any

import uvicorn

from proxy.errors import StartError
from proxy.protocol import Protocol
from proxy.signals import hear

KEEP_ALIVE_S = 75
FORCED_STOP_S = 3.0
NO_SIGNALS: Mapping[int, Callable[[], None]] = {}


class Server(uvicorn.Server):
    """uvicorn's server: tells when it is ready, and what ended it."""

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        signals: Mapping[int, Callable[[], None]] = NO_SIGNALS,
        parent: int | None = None,
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._signals = signals
        self._parent = parent
        self.interrupted = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        # the default of these would end the process, and what is under way with it
        for number, act in self._signals.items():
            asyncio.get_running_loop().add_signal_handler(number, act)
        hear()
        if self._parent is not None:
            asyncio.get_running_loop().add_reader(self._parent, self._orphaned)
        gc.collect()
        gc.freeze()  # what was loaded stays: no later collection need look at it again
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; where a second Ctrl-C does not wait for what is under way, that is cut off, and told all the same."""
        await super().shutdown(sockets)
        if self.force_exit:
            with suppress(TimeoutError):
                async with asyncio.timeout(FORCED_STOP_S):
                    for task in self.server_state.tasks:
                        task.cancel()
                    await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
                    await self.lifespan.shutdown()

    def _orphaned(self) -> None:
        """Stop: nobody is left who would pass signals on, and a new parent wants the port."""
        asyncio.get_running_loop().remove_reader(self._parent or 0)
        self.should_exit = True

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop; a second Ctrl-C does not wait."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        super().handle_exit(sig, frame)
        self._captured_signals.clear()  # we exit with a code of our own, not by the signal


def listen(host: str, port: int, unix: str | None) -> tuple[socket.socket, str]:
    """Bind where clients connect; return the socket and its URL. Raises StartError where that is not possible."""
    try:
        if unix:
            return _unix(unix), f"unix:{unix}"
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        where = unix or f"{host}:{port}"
        raise StartError(f"cannot listen on {where}: {error.strerror or error}") from error
    shown = f"[{host}]" if ":" in host else host
    return bound, f"http://{shown}:{bound.getsockname()[1]}"


def _unix(path: str) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if Path(path).is_socket():
            if bound.connect_ex(path) == 0:
                raise OSError(EADDRINUSE, "somebody listens there")
            Path(path).unlink()  # left behind by a process that was killed
        bound.bind(path)
    except OSError:
        bound.close()
        raise
    return bound


def run(
    app: Any,
    bound: socket.socket,
    ready: Callable[[], None],
    signals: Mapping[int, Callable[[], None]],
    *,
    parent: int | None = None,
    finish_within_s: float,
) -> int:
    """Serve until a signal ends it, or the end of `parent`, then finish what is under way; return the exit code."""
    config = uvicorn.Config(
        app, http=Protocol, loop="uvloop", ws="none", lifespan="on", log_config=None, access_log=False,
        proxy_headers=False, server_header=False, date_header=False, timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(finish_within_s),
    )  # fmt: skip
    server = Server(config, ready, signals, parent)
    try:
        server.run(sockets=[bound])
    except SystemExit as error:
        return 3 if error.code else 0
    return 130 if server.interrupted else 0
