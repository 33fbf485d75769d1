"""`frontrunner tail`: requests as they end, in a terminal."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn, cast
from urllib.parse import urlencode

import typer

from proxy.cli.running import DEFAULT_URL, Token, Url, plain, sent
from proxy.core.log_filter import Filter
from proxy.core.units import DURATION, parse_duration

if TYPE_CHECKING:
    import io

_FILE_WAIT_S: Final = 0.25
_PROXY_WAIT_S: Final = 1.0
_MOST_AT_ONCE: Final = 500
_PIECE_BYTES: Final = 2**16
_STATUS: Final = re.compile(r"[1-5][0-9x]{2}")
_EVENT: Final = "Such lines only; upstream_call is not shown else."
_Words = list[str] | None
_Log = Annotated[
    str | None,
    typer.Argument(
        metavar="LOG",
        help="The log's file, which is followed; - is stdin. Without it, a running proxy is asked.",
        show_default=False,
    ),
]
_Colour = Annotated[
    Literal["auto", "always", "never"],
    typer.Option("--colour", "--color", help="auto: on a terminal, without NO_COLOR."),
]
_Line = tuple[bytes | None, dict[str, Any] | None]


def tail(
    log: _Log = None,
    *,
    last: Annotated[int, typer.Option("-n", "--last", metavar="N", min=0, max=100_000, help="Begin so far back.")] = 10,
    follow: Annotated[bool, typer.Option(help="Wait for more.")] = True,
    event: Annotated[_Words, typer.Option(metavar="EVENT", help=_EVENT)] = None,
    rule: Annotated[_Words, typer.Option(metavar="RULE", help="Requests of this rule.")] = None,
    outcome: Annotated[_Words, typer.Option(metavar="OUTCOME", help="Requests that ended so.")] = None,
    reason: Annotated[_Words, typer.Option(metavar="REASON", help="Requests with this reason.")] = None,
    status: Annotated[_Words, typer.Option(metavar="STATUS", help="Such a status: 404, 5xx.")] = None,
    path: Annotated[_Words, typer.Option(metavar="GLOB", help="Such a path: '/search*'.")] = None,
    request: Annotated[_Words, typer.Option(metavar="ID", help="All lines of this request.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="What failed.")] = False,
    slower_than: Annotated[str, typer.Option(metavar="DURATION", help="Such as 1s, 250ms.", show_default=False)] = "",
    colour: _Colour = "auto",
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Show requests as they end: of a log file, of stdin, or of a running proxy. Filters of several kinds must all be met."""
    wanted = Filter(
        events=frozenset(event or ()),
        rules=frozenset(rule or ()),
        outcomes=frozenset(outcome or ()),
        reasons=frozenset(reason or ()),
        requests=frozenset(request or ()),
        statuses=_statuses(status or []),
        paths=tuple(path or ()),
        slower_than_s=_slower_than_s(slower_than),
        errors=errors,
    )
    if log is None:
        lines = _asked(url, token, last, _waiting(_PROXY_WAIT_S, follow=follow))
    else:
        lines = _read(log, last, _waiting(_FILE_WAIT_S, follow=follow))
    _show(lines, wanted, colour=_is_coloured(colour))


def _statuses(written: list[str]) -> tuple[str, ...]:
    for one in written:
        if not _STATUS.fullmatch(one):
            _fail(f"--status: found {one}; allowed: a status such as 404 or 5xx")
    return tuple(written)


def _slower_than_s(written: str) -> float | None:
    try:
        return parse_duration(written) if written else None
    except ValueError:
        _fail(f"--slower-than: found {written}; allowed: {DURATION}")


def _is_coloured(colour: str) -> bool:
    if colour != "auto":
        return colour == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _waiting(seconds: float, *, follow: bool) -> Callable[[], bool]:
    def wait() -> bool:
        if follow:
            time.sleep(seconds)
        return follow

    return wait


def _read(log: str, last: int, wait: Callable[[], bool]) -> Iterator[_Line]:
    """Yield the lines of a file or of stdin: as they are, and read."""
    import orjson

    from proxy.following import followed
    from proxy.warm.reading import lines

    stdin = iter(lambda: cast("io.BufferedReader", sys.stdin.buffer).read1(_PIECE_BYTES), b"")
    try:
        for raw in lines(stdin if log == "-" else followed(Path(log), last, wait)):
            try:
                fields = orjson.loads(raw or b"")
            except ValueError:
                fields = None
            yield raw, fields if isinstance(fields, dict) else None
    except OSError as error:
        _fail(f"{log}: {error.strerror or error}")


def _asked(url: str, token: str, last: int, wait: Callable[[], bool]) -> Iterator[_Line]:
    """Yield the requests that a running proxy tells of, and go on from its cursor."""
    asked: dict[str, Any] = {"n": max(1, last)}
    is_first = True
    while True:
        told = sent(url, token, f"requests?{urlencode(asked)}", "requests")
        requests, cursor = told["requests"], told.get("cursor")
        if not isinstance(requests, list) or not isinstance(cursor, str):
            _fail("the proxy is of another version and tells otherwise")
        for fields in requests if last or not is_first else []:
            yield (
                (None, {"event": "request", **fields})
                if isinstance(fields, dict)
                else (ascii(fields).encode("ascii"), None)
            )
        if (is_first or len(requests) < asked["n"]) and not wait():
            return
        asked, is_first = {"after": cursor, "n": _MOST_AT_ONCE}, False


def _show(lines: Iterator[_Line], wanted: Filter, *, colour: bool) -> None:
    from proxy.core.log_view import foreign, view

    for raw, fields in lines:
        if fields is None:
            if raw is None or raw.strip():
                print(foreign(raw), flush=True)
        elif wanted.takes(fields):
            print(view(fields, colour=colour), flush=True)


def _fail(message: str) -> NoReturn:
    print(plain(f"frontrunner tail: {message}"), file=sys.stderr)
    raise typer.Exit(2)
