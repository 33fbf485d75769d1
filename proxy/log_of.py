"""The log that a config asks for."""

from collections.abc import Callable, Mapping

from proxy import plugins
from proxy.clock import Clock
from proxy.config import Config
from proxy.core.format import Format
from proxy.core.format.console import Console
from proxy.core.format.json import Json
from proxy.core.sampling import Sampling
from proxy.core.schema import Schema
from proxy.core.shown_fields import ShownFields
from proxy.core.types import Request
from proxy.errors import StartError
from proxy.log import Log
from proxy.log_writer import Place, place_of
from proxy.workers import this_worker

FORMATS: Mapping[str, Callable[[Schema], Format]] = {
    "json": lambda schema: Json(schema.rename),
    "console": lambda _: Console(),  # people read it, and no other system
}


def log_of(config: Config, clock: Clock) -> Log:
    """Return the log of a config. Raises StartError where it cannot be written."""
    schema: Schema = plugins.find("schema", config.log.schema_)()
    sample = config.log.sample
    sampling = Sampling(sample.rate, sample.slower_than) if sample.rate < 1.0 else None
    return Log(FORMATS[config.log.format](schema), _place(config.log.to), clock, sampling)


def shown_of(config: Config) -> Callable[[Request], dict[str, str] | None] | None:
    """Return what finds the fields of requests that a config wants to see in the log; None where it wants none."""
    wanted = ShownFields(config.log.headers, config.log.query)
    return wanted.of if wanted.headers or wanted.query else None


def _place(word: str) -> Place:
    try:
        worker = this_worker()
        return place_of(word, worker.lock if worker else None)
    except OSError as error:
        raise StartError(f"cannot write the log to {word}: {error.strerror or error}") from error
