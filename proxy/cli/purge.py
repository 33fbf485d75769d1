"""`frontrunner purge`: take entries out of a running proxy's store."""

import sys
from typing import Annotated

import typer

from proxy.cli.running import DEFAULT_URL, Token, Url, fields, plain, sent


def purge(
    target: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="What its clients ask for.", show_default=False)
    ] = None,
    *,
    key: Annotated[str | None, typer.Option(metavar="HEX", help="A key_hash of the log.")] = None,
    rule: Annotated[str | None, typer.Option(metavar="NAME", help="All that a rule stored, at once.")] = None,
    group: Annotated[str | None, typer.Option(metavar="NAME", help="A group of Cache-Groups; needs --host.")] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="Whose group.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All that is stored.")] = False,
    soft: Annotated[bool, typer.Option("--soft", help="Keep it as stale: grace and validation still apply.")] = False,
    method: Annotated[str, typer.Option("-X", "--method", metavar="METHOD", help="Of the URL's request.")] = "GET",
    header: Annotated[list[str] | None, typer.Option("-H", metavar="FIELD", help="A field of that request.")] = None,
    body: Annotated[str, typer.Option("-d", metavar="BODY", help="The body of that request.")] = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Purge one URL, key, rule or group, or all; what is purged hard is not served again."""
    named = {"url": target, "key": key, "rule": rule, "group": group, "all": everything or None}
    chosen = {kind: value for kind, value in named.items() if value is not None}
    if len(chosen) != 1:
        print("frontrunner purge: one of URL, --key, --rule, --group, --all is wanted", file=sys.stderr)
        raise typer.Exit(2)
    more = (
        {"method": method, "headers": fields(header or []), "body": body} if target else {"host": host} if group else {}
    )
    told = sent(url, token, "cache/purge", "purged", {**chosen, "soft": soft, **more})
    name = told.get("name") or told.get("path") or ""
    nothing = "" if told.get("held", True) else " (nothing was stored for exactly this)"
    print(plain(f"purged{' softly' if soft else ''}: {' '.join(chosen)} {name}".rstrip() + nothing))
