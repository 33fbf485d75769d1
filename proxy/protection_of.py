"""What a config's `upstream.max_in_flight` and `upstream.cancel` mean: the slots of this machine, and who shares them."""

import os
import socket
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from proxy.clock import Clock
from proxy.config import Config
from proxy.store import Wire
from proxy.tasks import Tasks
from proxy.upstream.limit import Limit
from proxy.upstream.neighbours import Neighbours
from proxy.upstream.protection import Protection
from proxy.upstream.slots import OwnSlots, SharedSlots, Slots

Failed = Callable[[BaseException, str], None]


def protection_of(
    config: Config,
    folder: Path,
    scope: str,
    name: str,
    wire: Wire | None,
    tasks: Tasks,
    clock: Clock,
    roll: Callable[[], float],
    failed: Failed,
) -> Protection:
    """Make what protects the upstream `scope`; its slots lie in `folder`, for all processes of this machine.

    `name` is this process's on the wire, `roll` is from 0 to 1. Where the folder cannot be had, each process counts for itself.
    """
    ceiling, neighbours, slots = config.upstream.max_in_flight, None, _own()
    if ceiling is not None:
        try:
            slots = SharedSlots(folder, f"slots-{scope}", ceiling)
        except OSError as error:
            failed(error, "")
        else:
            neighbours = Neighbours(f"{_machine()}/{name}", _teller(wire, tasks), roll)
    return Protection(
        Limit(slots, ceiling, clock, neighbours=neighbours), clock, failed,
        most_wait_s=config.upstream.timeout.first_byte, outlives_cancel=config.upstream.cancel == "ignored",
    )  # fmt: skip


def _own() -> Slots:
    return OwnSlots()


def _machine() -> str:
    return blake2b(f"{socket.gethostname()} {os.getuid()}".encode(), digest_size=4).hexdigest()


def _teller(wire: Wire | None, tasks: Tasks) -> Callable[[bytes], None]:
    def tell(message: bytes) -> None:
        if wire is not None:
            tasks.start(wire.send(message))

    return tell
