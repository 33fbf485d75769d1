"""`frontrunner rollout`: how far rules' features are rolled out, told and set in a running proxy."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, NoReturn

import typer

from proxy.cli.running import DEFAULT_URL, Token, Url, plain, sent
from proxy.core.rollout import FEATURES

_MODES: Final = {"off": "off", "shadow": "shadow", "canary": "canary", "on": "on", "configured": None}


def rollout(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RULE] [split=MODE] [normalize=MODE]",
            help="A rule, and new modes: off, shadow, canary, canary:5 (percent), on, configured. "
            "Without a mode: tell it; without a rule too: of all.",
            show_default=False,
        ),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All rules: `--all split=off` stops all splits.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Tell how far splits and normalized keys are rolled out, or set it, for all processes and until it is set again."""
    rules = [word for word in words or [] if "=" not in word]
    asked = _asked([word for word in words or [] if "=" in word])
    if len(rules) + everything > 1 or (asked and not (rules or everything)):
        _fail("one RULE or --all is wanted")
    if rules and not rules[0].replace("-", "").replace("_", "").isalnum():
        _fail("that is no name of a rule")
    if rules:
        told = [sent(url, token, f"rollout/{rules[0]}", "rule", asked or None)]
    else:
        told = sent(url, token, "rollout", "rules", asked or None)["rules"]
    for one in told:
        for feature in FEATURES:
            if isinstance(one.get(feature), dict):
                print(plain(_line(one["rule"], feature, one[feature])))
    if not told:
        print("no rule splits or normalizes")


def _asked(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    asked: dict[str, dict[str, Any]] = {}
    for setting in settings:
        feature, _, written = setting.partition("=")
        mode, has_percent, percent = written.partition(":")
        if feature not in FEATURES or feature in asked:
            _fail(f"one of {', '.join(f'{name}=' for name in FEATURES)} is wanted, each once at most")
        if mode not in _MODES or (has_percent and mode != "canary"):
            _fail(f"{feature}= is one of {', '.join(_MODES)}, or canary:5")
        asked[feature] = {"mode": _MODES[mode], **({"percent": _percent(percent)} if has_percent else {})}
    return asked


def _percent(written: str) -> float:
    try:
        percent = float(written)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        _fail("the percentage of a canary is a number from 0 to 100")
    return percent


def _line(rule: str, feature: str, told: Mapping[str, Any]) -> str:
    mode = f"{told['mode']} {told['percent']:g} %" if told["mode"] == "canary" else told["mode"]
    checks = [
        f"{check} {', '.join([f'{count} {verdict}' for verdict, count in verdicts.items()])}"
        for check, verdicts in told["checks"].items()
    ]
    not_cut = ", ".join([f"{reason} {count}" for reason, count in told.get("not_cut", {}).items()])
    found = [*checks, *([f"not cut: {not_cut}"] if not_cut else []), *_exposed(told)]
    return f"{rule}: {feature} is {mode} ({told['state']}, configured {told['configured']}); {'; '.join(found) or 'nothing compared yet'}"


def _exposed(told: Mapping[str, Any]) -> list[str]:
    return [f"{told['exposed']} wrong answers had left"] if told["exposed"] else []


def _fail(message: str) -> NoReturn:
    print(f"frontrunner rollout: {message}", file=sys.stderr)
    raise typer.Exit(2)
