"""The tracing that a config asks for."""

import random
import secrets

from proxy.clock import Clock
from proxy.collector import Collector
from proxy.config import Config
from proxy.log import Log
from proxy.tracing import Tracing
from proxy.upstream.address import Address


def tracing_of(config: Config, address: Address, name: str, clock: Clock, log: Log) -> Tracing | None:
    """Return what traces for the process `name`, None where nobody asked for it. Raises StartError."""
    wanted = config.tracing
    if wanted is None:
        return None
    collector = Collector(wanted.to, wanted.service, name, clock, log.events)
    upstream: dict[str, str | int] = {"server.address": address.unix or address.host}
    if not address.unix:
        upstream["server.port"] = address.port
    bits = random.Random(secrets.randbits(256)).getrandbits  # noqa: S311
    return Tracing(collector, clock, bits, share=wanted.sample, upstream=upstream)
