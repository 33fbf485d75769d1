"""Talking to a proxy that runs: its admin endpoints, by `--url` and `--token` or their environment variables."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any, NoReturn

import typer

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="FRONTRUNNER_URL",
        metavar="URL",
        help="Where the proxy listens, with its prefix if that is another.",
    ),
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="FRONTRUNNER_TOKEN",
        metavar="TOKEN",
        help="Its admin token.  [default: this machine's]",
        show_default=False,
    ),
]
DEFAULT_URL = "http://127.0.0.1:8080"
PREFIX = "/_frontrunner"


def sent(url: str, token: str, path: str, asked: Mapping[str, Any] | None = None) -> Any:
    """Send JSON to an admin endpoint (or read it, without `asked`) and return the JSON that comes back.

    Ends the program with 1 where the proxy refuses, with 3 where there is none.
    """
    import httpx2

    base = url.rstrip("/") if PREFIX in url else url.rstrip("/") + PREFIX
    headers = {"Authorization": f"Bearer {token or _kept()}"}
    try:
        with httpx2.Client(trust_env=False, timeout=30) as client:
            told = client.request("GET" if asked is None else "POST", f"{base}/{path}", json=asked, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        _fail(f"no proxy answers at {url}: {error}", 3)
    try:
        answer = told.json()
    except ValueError:
        _fail(f"what answers at {url} is no Frontrunner: {told.status_code}", 3)
    if told.status_code >= 400:
        _fail(str(answer.get("detail", answer)), 1)
    return answer


def _kept() -> str:
    from proxy.admin.token import load_or_make

    try:
        return load_or_make()
    except OSError as error:
        _fail(f"no token is given, and none can be read: {error}", 3)


def _fail(message: str, code: int) -> NoReturn:
    print(f"frontrunner: {message}", file=sys.stderr)
    raise typer.Exit(code)


def fields(named: list[str]) -> dict[str, str]:
    """Return the header fields of `-H 'Name: value'` options; of a name given twice, both values."""
    told: dict[str, str] = {}
    for one in named:
        name, colon, value = one.partition(":")
        if not colon or not name.strip():
            _fail(f"-H {one!r}: allowed is 'Name: value'", 2)
        known = told.get(name.strip())
        told[name.strip()] = value.strip() if known is None else f"{known}, {value.strip()}"
    return told
