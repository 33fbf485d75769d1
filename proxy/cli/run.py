"""`frontrunner run`: the proxy itself."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from proxy.errors import ConfigError, StartError
from proxy.signals import held

NO_UPSTREAM = """\
frontrunner run: no upstream is named. Name it on the command line or in a file:
  frontrunner run --upstream http://legacy:8000
  frontrunner run --config config.yaml"""


class LogFormat(StrEnum):
    """How a log line is written."""

    JSON = "json"
    CONSOLE = "console"


def run(
    *,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The config file.")] = None,
    upstream: Annotated[str | None, typer.Option(metavar="URL", help="The slow service.")] = None,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Listen here.  [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes a free port.  [default: 8080]")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes.  [default: 1]")] = None,
    log: Annotated[str | None, typer.Option(metavar="-|FILE|off", help="Where log lines go.  [default: -]")] = None,
    log_format: Annotated[LogFormat | None, typer.Option(help="How they are written.  [default: json]")] = None,
) -> None:
    """Run the proxy; flags win over the file."""
    if config is None and upstream is None:
        _fail(NO_UPSTREAM, 2)
    given: dict[str, object] = {
        "upstream": upstream,
        "listen.host": host,
        "listen.port": port,
        "workers": workers,
        "log.to": log,
        "log.format": None if log_format is None else log_format.value,
    }
    raise SystemExit(_serve(config, {path: value for path, value in given.items() if value is not None}))


def _serve(file: Path | None, flags: dict[str, object]) -> int:
    with held():
        return _held(file, flags)


def _held(file: Path | None, flags: dict[str, object]) -> int:
    from proxy.config import load

    try:
        config = load(file, flags)
    except ConfigError as error:
        _fail(str(error), 2)
    from proxy import run as command

    try:
        return command.run(config, lambda: load(file, flags))
    except StartError as error:
        _fail(f"frontrunner run: {error}", 3)


def _fail(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(code)
