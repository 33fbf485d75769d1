"""`frontrunner check`: what is wrong with a config file, or what its rules say."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli.running import fields
from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.config import Config, Rule

UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The config file.", show_default=False)],
    *,
    tries: Annotated[
        list[str] | None,
        typer.Option("--try", metavar="REQUEST", help="Explain 'METHOD URL [BODY]'; nothing is asked."),
    ] = None,
    header: Annotated[list[str] | None, typer.Option("-H", metavar="FIELD", help="A field of those requests.")] = None,
) -> None:
    """Print all findings of a config file, one a line, or a summary of its rules; and the keys of sample requests."""
    from proxy.config import ConfigUnreadable, load

    try:
        config = load(file)
    except ConfigUnreadable as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from error
    except ConfigError as error:
        print(error)
        raise typer.Exit(1) from error
    _summary(file, config)
    for one in tries or []:
        _try(one, fields(header or []), config)


def _try(sample: str, headers: dict[str, str], config: "Config") -> None:
    """Explain a request as far as that can be done without a proxy."""
    from proxy.cli.explain import lines
    from proxy.clock import SystemClock
    from proxy.core.explain import target_shown
    from proxy.explain import explained
    from proxy.purge import request_for
    from proxy.rules_of import rules_of

    method, _, rest = sample.strip().partition(" ")
    target, _, body = rest.strip().partition(" ")
    try:
        request = request_for(method, target, headers, body.encode())
    except ValueError as error:  # the sample may hold secrets: it is not repeated
        print(f"--try: {error}; allowed is 'METHOD URL [BODY]'", file=sys.stderr)
        raise typer.Exit(2) from error
    rules, scopes = rules_of(config, b"check")
    told = explained(rules, scopes, request, SystemClock().wall())
    print(f"\n{request.method} {target_shown(request.target)}")
    print("\n".join(lines(told)))
    if "key" in told:
        ttl = next((rule.ttl for rule in config.rules if rule.name == told["rule"]), None)
        kept = "as the origin says" if ttl is None else f"for {_ttl(ttl)}"
        print(f"now      answer from the store, or fetch and keep {kept}")


def _summary(file: Path, config: "Config") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    count = f"{len(config.rules)} rule{'' if len(config.rules) == 1 else 's'}"
    console.print(f"{file}: fine, {count}; GET and HEAD that none matches: {config.default}", soft_wrap=True)
    if not config.rules:
        return
    table = Table("rule", "match", "key", "ttl", "safe")
    for rule in config.rules:
        table.add_row(rule.name, _match(rule), _key(rule), _ttl(rule.ttl), "yes" if rule.safe else "")
    console.print(table)


def _match(rule: "Rule") -> str:
    return f"{' '.join(rule.match.method) or 'GET HEAD'} {rule.match.host or ''}{rule.match.path}"


def _key(rule: "Rule") -> str:
    return " ".join(normalizer.word for normalizer in rule.key) or "as asked"


def _ttl(ttl: float | dict[int, float] | None) -> str:
    if ttl is None:
        return "from_origin"
    if isinstance(ttl, dict):
        return ", ".join(f"{status}: {_duration(seconds)}" for status, seconds in ttl.items())
    return _duration(ttl)


def _duration(seconds: float) -> str:
    for unit, length in UNITS:
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:g}s"
