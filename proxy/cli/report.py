"""`frontrunner report`: what a log comes to, or what comparing two arms has shown so far."""

import json
import sys
from typing import Annotated, Any, Final, Literal, NoReturn

import typer

from proxy.cli.running import DEFAULT_URL, Token, Url, plain, sent

_FOUND: Final = {"rollback": 1}
"""Verdict → exit code, where it is not 0."""
_COLOURS: Final = {"promote": "green", "rollback": "red"}


def report(
    logs: Annotated[
        list[str] | None, typer.Argument(metavar="LOG...", help="Files of the log, also as gzip; - is stdin.")
    ] = None,
    *,
    rule: Annotated[
        str | None, typer.Option("--ab", metavar="RULE", help="A rule whose answers are compared.", show_default=False)
    ] = None,
    feature: Annotated[
        Literal["split", "normalize"], typer.Option(help="What its candidate is: a split, or a normalized query.")
    ] = "split",
    top: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Of a log: name so many keys.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Report on a log: times, what was saved, what cost most, by rule; with --ab on whole requests against split (or normalized) ones. Ends with 1 if that verdict is rollback."""
    if (rule is None) == (not logs):
        _fail("either LOG files (- is stdin) or --ab RULE is wanted")
    if rule is None:
        from proxy.cli.log_report import report_on

        raise typer.Exit(report_on(logs or [], top=top, as_json=as_json))
    if not rule.replace("-", "").replace("_", "").isalnum():
        _fail("that is no name of a rule")
    answer = sent(url, token, f"rollout/{rule}", "rule")
    found = _of(answer, feature)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    raise typer.Exit(_FOUND.get(found["verdict"], 0))


def _of(answer: dict[str, Any], feature: str) -> dict[str, Any]:
    """Return the report on a feature."""
    staged = answer.get(feature)
    if not isinstance(staged, dict):
        _fail(f"{answer['rule']} has no {feature}")
    found = staged.get("report")
    if not isinstance(found, dict) or "verdict" not in found:
        _fail(f"the proxy has no report on {answer['rule']}, {feature}")
    return found


def _print(found: dict[str, Any]) -> None:
    from proxy.core.ab_report import told

    try:
        text = told(found)
    except (KeyError, TypeError):
        _fail("the proxy is of another version and tells otherwise: --json prints what it says")
    first, *rest = [plain(line) for line in text.splitlines()]
    typer.secho(first, fg=_COLOURS.get(found["verdict"]), bold=True)  # only a terminal gets the colour
    print("\n".join(rest))


def _fail(message: str) -> NoReturn:
    print(plain(f"frontrunner report: {message}"), file=sys.stderr)
    raise typer.Exit(2)
