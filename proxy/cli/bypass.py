"""`frontrunner bypass`: send everything straight upstream, and back."""

from enum import StrEnum
from typing import Annotated

import typer

from proxy.cli.running import DEFAULT_URL, Token, Url, plain, sent


class Turn(StrEnum):
    """What the bypass is to be."""

    ON = "on"
    OFF = "off"


def bypass(
    turn: Annotated[
        Turn | None, typer.Argument(metavar="[on|off]", help="Without it: tell which it is.", show_default=False)
    ] = None,
    *,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Turn the bypass on or off: while it is on, every request goes straight upstream and the store stays as it is."""
    told = sent(url, token, "bypass", "on", None if turn is None else {"on": turn is Turn.ON})
    print(f"bypass is {'on' if told['on'] else 'off'}")
    file = told.get("file")
    print(plain(f"its switch is {file}" if file else "it is turned for that process only: it can keep no file"))
