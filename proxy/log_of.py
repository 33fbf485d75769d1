"""The log that a config asks for."""

from collections.abc import Callable, Mapping

from proxy import plugins
from proxy.clock import Clock
from proxy.config import Config
from proxy.core.format import Format
from proxy.core.format.console import Console
from proxy.core.format.json import Json
from proxy.core.schema import Schema
from proxy.errors import StartError
from proxy.log import Log, writer_to
from proxy.workers import this_worker

FORMATS: Mapping[str, Callable[[Schema], Format]] = {
    "json": lambda schema: Json(schema.rename),
    "console": lambda _: Console(),  # people read it, and no other system
}


def log_of(config: Config, clock: Clock) -> Log:
    """Return the log of a config. Raises StartError where it cannot be written."""
    schema: Schema = plugins.find("schema", config.log.schema_)()
    return Log(FORMATS[config.log.format](schema), _writer(config.log.to), clock)


def _writer(place: str) -> Callable[[bytes], None]:
    try:
        worker = this_worker()
        return writer_to(place, worker.lock if worker else None)
    except OSError as error:
        raise StartError(f"cannot write the log to {place}: {error.strerror or error}") from error
