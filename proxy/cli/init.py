"""`frontrunner init`: files that other tools want in order to read the log and the metrics."""

import re
import sys
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from proxy.cli.running import plain

SHIPPED: Final = {
    "goaccess.conf": "GoAccess: requests by path, status, client and time",
    "grafana.json": "Grafana: a dashboard over the metrics",
    "lnav.json": "lnav: the log in columns, and as an SQL table",
    "logrotate": "logrotate: a file a day",
    "prometheus.yml": "Prometheus: scrapes the metrics",
    "rsyslog.conf": "rsyslog: requests and errors into files, or away",
    "syslog-ng.conf": "syslog-ng: the same",
    "vector.yaml": "Vector: lines as events, to the console, Loki or Elasticsearch",
}
"""Each file below proxy/ship, and what it is for."""
LOG: Final = "/var/log/frontrunner/frontrunner.log"
_FOLDER: Final = "/var/log/frontrunner/"
_PATH: Final = re.compile(r"/[A-Za-z0-9._/-]*[A-Za-z0-9._-]")


def init(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The file to print; without it, all are listed.", show_default=False),
    ] = None,
    *,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write it there instead; without NAME, all.", show_default=False),
    ] = None,
    log: Annotated[
        str, typer.Option(metavar="FILE", help="Where the log is; what is made of it goes beside it.")
    ] = LOG,
) -> None:
    """Print a file that another tool wants in order to read the log or the metrics, or write it to a folder."""
    name = _known(name) if name is not None else None
    if not _PATH.fullmatch(log):
        _fail(f"--log: found {log}; allowed: a path from the root of letters, digits and . _ - /")
    if to is not None:
        _write(to, [name] if name else list(SHIPPED), log)
    elif name is not None:
        print(shipped(name, log), end="")
    else:
        width = max(map(len, SHIPPED))
        for one, about in SHIPPED.items():
            print(f"{one:<{width}}  {about}")


def _known(name: str) -> str:
    """Return the file that is meant, also without its ending."""
    found = next((one for one in SHIPPED if name in {one, one.partition(".")[0]}), None)
    if found is None:
        nearest = get_close_matches(name, SHIPPED, n=1, cutoff=0.4)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        _fail(f"found {name}; allowed: {' '.join(SHIPPED)}{hint}")
    return found


def shipped(name: str, log: str = LOG) -> str:
    """Return a file's text for a log at that path."""
    text = (files("proxy") / "ship" / name).read_text("utf-8")
    places = {LOG: log, _FOLDER: f"{log.rpartition('/')[0]}/"}
    return re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], text)


def _write(folder: Path, names: list[str], log: str) -> None:
    """Write files that are not there yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(shipped(name, log))
            print(plain(str(folder / name)))
    except FileExistsError as error:
        _fail(f"{error.filename} is there already")
    except OSError as error:
        _fail(f"{folder}: {error.strerror or error}")


def _fail(message: str) -> NoReturn:
    print(plain(f"frontrunner init: {message}"), file=sys.stderr)
    raise typer.Exit(2)
