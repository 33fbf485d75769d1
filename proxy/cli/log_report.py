"""The part of `frontrunner report LOG…` that meets files and a terminal."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from proxy.cli.running import plain

_FOREIGN: Final = "no line is one of Frontrunner's flat log (log.schema: flat, log.format: json)"
_LARGE_BYTES: Final = 16 * 2**20


def report_on(logs: Sequence[str], *, top: int, as_json: bool) -> int:
    """Read logs, print what they come to, and return the exit code: 2 where one cannot be read to its end, or none of it."""
    from proxy.core.log_report import LogReport
    from proxy.core.log_report_text import told
    from proxy.log_reading import Torn, read_into

    report, code = LogReport(top), 0
    with _progress(sum(_size(log) for log in logs)) as advance:
        for log in logs:
            try:
                with sys.stdin.buffer if log == "-" else Path(log).open("rb") as file:
                    read_into(report, file, advance)
            except (OSError, Torn) as error:
                why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
                print(plain(f"frontrunner report: {log}: {why}"), file=sys.stderr)
                code = 2
    found = report.told()
    if code and not found["lines"]["read"]:
        return code
    if 0 < found["lines"]["read"] == found["lines"]["unreadable"]:
        print(f"frontrunner report: {_FOREIGN}", file=sys.stderr)
        return 2
    print(json.dumps(found, indent=2) if as_json else told(found))
    return code


def _size(log: str) -> int:
    try:
        return Path(log).stat().st_size if log != "-" else 0
    except OSError:
        return 0  # opening it tells why


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show how far it is, to those who look, where it takes a while."""
    if total < _LARGE_BYTES or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=total)
        yield lambda count: progress.advance(task, count)
