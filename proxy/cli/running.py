"""Talking to a proxy that runs: its admin endpoints, by `--url` and `--token` or their environment variables."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any, NoReturn
from urllib.parse import urlsplit

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


def sent(url: str, token: str, path: str, wanted: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Send JSON to an admin endpoint (or read it, without `asked`) and return the JSON that comes back.

    Ends the program with 1 where the proxy refuses, with 3 where there is none: what it says has a member `wanted`.
    """
    import httpx2

    token = token or _kept()
    if not (token.isascii() and token.isprintable()):
        _fail("the token holds characters that no client can send", 2)
    base, headers = url.rstrip("/"), {"Authorization": f"Bearer {token}"}
    try:
        if not urlsplit(base).path:
            base += PREFIX
        with httpx2.Client(trust_env=False, timeout=30) as client:
            told = client.request("GET" if asked is None else "POST", f"{base}/{path}", json=asked, headers=headers)
    except UnicodeError:
        _fail("what is asked for is not Unicode text", 2)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        _fail(f"no proxy answers at {url}: {error}", 3)
    try:
        answer = told.json()
    except ValueError:
        answer = None
    if isinstance(answer, dict) and told.status_code >= 400 and "reason" in answer:
        _fail(str(answer.get("detail", "")), 1)
    if not isinstance(answer, dict) or told.status_code != 200 or wanted not in answer:
        _fail(f"what answers at {url} is no Frontrunner: {told.status_code}", 3)
    return answer


def _kept() -> str:
    from proxy.admin.token import load_or_make

    try:
        return load_or_make()
    except OSError as error:
        _fail(f"no token is given, and none can be read: {error}", 3)


def _fail(message: str, code: int) -> NoReturn:
    print(f"frontrunner: {plain(message)}", file=sys.stderr)
    raise typer.Exit(code)


def plain(text: str) -> str:
    """Return a text without what a terminal would obey: clients and services can put anything into names."""
    return "".join([one if one.isprintable() else one.encode("unicode_escape").decode() for one in text])


def fields(named: list[str]) -> dict[str, str]:
    """Return the header fields of `-H 'Name: value'` options; of a name given twice, both values."""
    told: dict[str, str] = {}
    for number, one in enumerate(named, 1):
        name, colon, value = one.partition(":")
        name = name.strip().lower()
        if not colon or not name:  # it may be a secret: it is not repeated
            _fail(f"the {number}. -H is not of the form 'Name: value'", 2)
        known = told.get(name)
        between = "; " if name == "cookie" else ", "
        told[name] = value.strip() if known is None else f"{known}{between}{value.strip()}"
    return told
