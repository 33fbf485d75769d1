"""`frontrunner rollout`: how far splits are rolled out, told and set in a running proxy."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any, Final, NoReturn

import typer

from proxy.cli.running import DEFAULT_URL, Token, Url, plain, sent

_SPLIT: Final = "split="
_MODES: Final = {"off": "off", "shadow": "shadow", "on": "on", "configured": None}


def rollout(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RULE] [split=off|shadow|on|configured]",
            help="A rule that splits, and its new mode. Without a mode: tell it; without a rule too: of all.",
            show_default=False,
        ),
    ] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="All rules that split: `--all split=off` stops them.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Tell how far splits are rolled out, or set it, for all processes and until it is set again."""
    rules = [word for word in words or [] if not word.startswith(_SPLIT)]
    modes = [word.removeprefix(_SPLIT) for word in words or [] if word.startswith(_SPLIT)]
    if len(rules) + everything > 1 or len(modes) > 1 or (modes and not (rules or everything)):
        _fail("one RULE or --all is wanted, and at most one split=")
    if modes and modes[0] not in _MODES:
        _fail(f"split= is one of {', '.join(_MODES)}")
    if rules and not rules[0].replace("-", "").replace("_", "").isalnum():
        _fail("that is no name of a rule")
    asked = {"split": {"mode": _MODES[modes[0]]}} if modes else None
    if rules:
        told = [sent(url, token, f"rollout/{rules[0]}", "split", asked)]
    else:
        told = sent(url, token, "rollout", "rules", asked)["rules"]
    for one in told:
        print(plain(_line(one["rule"], one["split"])))
    if not told:
        print("no rule splits")


def _line(rule: str, split: Mapping[str, Any]) -> str:
    not_cut = sum(split["not_cut"].values())
    reasons = ", ".join([f"{reason} {count}" for reason, count in split["not_cut"].items()])
    compared = f"{split['equal']} equal, {split['different']} different, {not_cut} not cut"
    return (
        f"{rule}: split is {split['mode']} ({split['state']}, configured {split['configured']}); "
        f"{compared}{f' ({reasons})' if reasons else ''}"
    )


def _fail(message: str) -> NoReturn:
    print(f"frontrunner rollout: {message}", file=sys.stderr)
    raise typer.Exit(2)
