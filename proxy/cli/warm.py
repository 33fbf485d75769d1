"""`frontrunner warm`: ask a running proxy for what was asked before, so that it is stored."""

import asyncio
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NoReturn

import typer

from proxy.cli.running import DEFAULT_URL, PREFIX, Token, Url, fields, plain

if TYPE_CHECKING:
    from proxy.core.types import Headers
    from proxy.warm.asking import Asking
    from proxy.warm.done import Done
    from proxy.warm.sending import Manner, Sender
    from proxy.warm.source import Source
    from proxy.warm.wanted import Wanted

_PIECE_BYTES = 2**18
_RATE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)/([smh])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_INTERRUPTED = 130
_MOST_HOSTS = 10
_HINT = "nothing remembers what is done: with --resume FILE the next run goes on where it stopped"
_WHY = {
    "method": "another method than can be asked again",
    "status": "another status than 200",
    "query not in the log": "paths of several keys: a log has no queries, nor other hosts or fields",
    "another host": "another host: --host takes others",
    "body": "a body that the recording has not whole",
    "scheme": "neither http nor https",
    "field": "a field that no client can send",
    "beyond ASCII": "paths beyond ASCII: how they were sent is not in the log",
}


def warm(
    source: Annotated[
        str,
        typer.Argument(metavar="FILE", help="URLs, a log or a HAR file, also as gzip; - is stdin.", show_default=False),
    ],
    *,
    rate: Annotated[
        str, typer.Option(metavar="N/s", help="At most so many in a second; also N/m, N/h.", show_default=False)
    ] = "",
    parallel: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="So many at once.")] = 1,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="The N costliest only.", show_default=False)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Remembers what is done, and skips it.", show_default=False)
    ] = None,
    host: Annotated[list[str] | None, typer.Option(metavar="HOST", help="Only URLs of this host.")] = None,
    header: Annotated[
        list[str] | None, typer.Option("-H", "--header", metavar="FIELD", help="A field to send.")
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Ask for all that a file names, costliest first, in the background, and tell what is stored then."""
    from proxy.warm.done import Done
    from proxy.warm.sending import Manner
    from proxy.warm.source import read

    gap_s = _gap_s(rate)
    more = _sendable(fields(header or []))
    try:
        with _opened(source) as file:
            found = read(iter(lambda: file.read(_PIECE_BYTES), b""), host or [])
        done = Done(resume)
    except (OSError, ValueError) as error:
        _fail(f"{error}" if isinstance(error, OSError) else f"{resume}: {error}", 2)
    _say(found)
    asking = _asking(url, token, found)
    with done:
        raise typer.Exit(_asked(asking, found, done, Manner(asking.host, more, gap_s, parallel, limit), resume))


def _gap_s(rate: str) -> float:
    """Return the seconds between two requests."""
    if not rate:
        return 0.0
    found = _RATE.fullmatch(rate)
    if found is None or not float(found[1]):
        _fail(f"--rate: found {rate}; allowed: a rate such as 2/s, 30/m, 100/h", 2)
    return _SECONDS[found[2]] / float(found[1])


def _sendable(named: dict[str, str]) -> "Headers":
    """Return fields as they go over the wire."""
    if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in named.items()):
        _fail("a -H holds characters that no client can send", 2)  # it may be a secret: it is not repeated
    return tuple([(name.encode("ascii"), value.encode("latin-1")) for name, value in named.items()])


def _asking(url: str, token: str, found: "Source") -> "Asking":
    """Return the way to the proxy; only what is not a GET needs a token."""
    from proxy.warm.asking import Asking

    unsafe = any(one.request.method != "GET" for one in found.wanted)
    try:
        return Asking(url, PREFIX, token or (_kept() if unsafe else ""))
    except ValueError as error:
        _fail(f"no proxy is at {url}: {error}", 3)


def _kept() -> str:
    from proxy.admin.token import load_or_make

    try:
        return load_or_make()
    except OSError:
        return ""  # the proxy says then that it wants one


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        yield sys.stdin.buffer
        return
    with Path(source).open("rb") as file:
        yield file


def _say(found: "Source") -> None:
    """Tell what of a file cannot be asked."""
    lines = [f"cannot be read: {one}" for one in found.shown]
    if found.unreadable > len(found.shown):
        lines.append(f"cannot be read: {found.unreadable - len(found.shown):,} more")
    lines += [f"left out: {count:,} ({_WHY.get(reason, reason)})" for reason, count in found.left_out.most_common()]
    if found.hosts:
        named = " ".join([host for host, _ in found.hosts.most_common(_MOST_HOSTS)])
        lines.append(f"left out are, as --host would name them: {named}")
    for line in lines:
        print(plain(line), file=sys.stderr)


def _asked(asking: "Asking", found: "Source", done: "Done", manner: "Manner", resume: Path | None) -> int:
    """Ask, tell what came of it, and return the exit code."""
    from proxy.clock import SystemClock
    from proxy.warm.outcome import Came
    from proxy.warm.sending import Sender, Unreachable

    sender = Sender(asking, asking.refusing, done, manner, SystemClock(), asyncio.sleep)
    remaining = sender.remaining(found.wanted)
    code = 0
    try:
        asyncio.run(_run(asking, sender, remaining))
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except Unreachable as gone:
        print(plain(f"frontrunner: no proxy answers: {gone}"), file=sys.stderr)
        code = 3
    except OSError as error:
        print(plain(f"frontrunner warm: {error}"), file=sys.stderr)
        code = 2
    if code and sender.tally.came.total():
        hint = f"the same command goes on where it stopped: {resume} has what is done" if resume else _HINT
        print(plain(hint), file=sys.stderr)
    print(plain(str(sender.tally)))
    return code or (1 if sender.tally.came[Came.FAILED] else 0)


async def _run(asking: "Asking", sender: "Sender", remaining: "list[Wanted]") -> None:
    try:
        await asking.check()
        with _progress(len(remaining)) as told:
            await sender(remaining, told)
    finally:
        await asking.close()


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Show how far it is, to those who look."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("warming", total=total)
        yield lambda: progress.advance(task)


def _fail(message: str, code: int) -> NoReturn:
    print(plain(f"frontrunner warm: {message}"), file=sys.stderr)
    raise typer.Exit(code)
