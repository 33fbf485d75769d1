"""`frontrunner tail`: requests as they end, in a terminal."""

import os
import re
import sys
import time
from collections import deque
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
_LAST: Final = "Begin with so many lines that are wanted, of a file's last 100,000 or what the proxy keeps."
_EVENT: Final = "Such lines only; upstream_call is not shown else."
_MISSED: Final = "… more may have ended than the proxy keeps, and are not shown (its log has all)"
_MOST_BACK: Final = 100_000
"""Lines of a file that are looked through for the last ones that are wanted."""
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
    last: Annotated[int, typer.Option("-n", "--last", metavar="N", min=0, max=_MOST_BACK, help=_LAST)] = 10,
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
    screen = _Screen(wanted, last, colour=_is_coloured(colour))
    wait = screen.waiting(_FILE_WAIT_S if log else _PROXY_WAIT_S, follow=follow)
    if log == "-":
        screen.catch_up()
    for raw, fields in _asked(url, token, wait) if log is None else _read(log, _MOST_BACK if last else 0, wait):
        screen.show(raw, fields)


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
            yield raw, fields if isinstance(fields, dict) and isinstance(fields.get("event"), str) else None
    except OSError as error:
        _fail(f"{log}: {error.strerror or error}")


def _asked(url: str, token: str, wait: Callable[[], bool]) -> Iterator[_Line]:
    """Yield the requests that a running proxy still knows, and go on from its cursor."""
    asked: dict[str, Any] = {"n": _MOST_BACK}
    is_first = True
    while True:
        told = sent(url, token, f"requests?{urlencode(asked)}", "requests")
        requests, cursor = told["requests"], told.get("cursor")
        if not isinstance(requests, list) or not isinstance(cursor, str):
            _fail("the proxy is of another version and tells otherwise")
        if told.get("missed"):
            print(_MISSED, file=sys.stderr, flush=True)
        for fields in requests:
            yield (
                (None, {"event": "request", **fields})
                if isinstance(fields, dict)
                else (ascii(fields).encode("ascii"), None)
            )
        if (is_first or len(requests) < asked["n"]) and not wait():
            return
        asked, is_first = {"after": cursor, "n": _MOST_AT_ONCE}, False


class _Screen:
    """Shows the lines that are wanted: of those before the first `catch_up`, the last so many."""

    def __init__(self, wanted: Filter, last: int, *, colour: bool) -> None:
        self._wanted = wanted
        self._colour = colour
        self._before: deque[_Line] = deque(maxlen=last)
        self._is_live = False

    def show(self, raw: bytes | None, fields: dict[str, Any] | None) -> None:
        """Show a line, if it is wanted; what is none of ours always is, but for blank ones."""
        if self._wanted.takes(fields) if fields is not None else raw is None or raw.strip():
            if self._is_live:
                self._print(raw, fields)
            else:
                self._before.append((raw, fields))

    def waiting(self, seconds: float, *, follow: bool) -> Callable[[], bool]:
        """Return what waits for more, once all that is there is shown, and says whether to go on."""

        def wait() -> bool:
            self.catch_up()
            if follow:
                time.sleep(seconds)
            return follow

        return wait

    def catch_up(self) -> None:
        """Show what was held back; from now on lines are shown as they come."""
        self._is_live = True
        while self._before:
            self._print(*self._before.popleft())

    def _print(self, raw: bytes | None, fields: dict[str, Any] | None) -> None:
        from proxy.core.log_view import foreign, view

        print(foreign(raw) if fields is None else view(fields, colour=self._colour), flush=True)


def _fail(message: str) -> NoReturn:
    print(plain(f"frontrunner tail: {message}"), file=sys.stderr)
    raise typer.Exit(2)
