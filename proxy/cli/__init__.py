"""The command line: one file per command; commands print, they never decide."""

import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from proxy import __version__
from proxy.cli import bypass, check, demo, docs, explain, init, purge, report, rollout, run, tail, token, warm

INTERRUPTED = 130


class Commands(TyperGroup):
    """All commands; whichever is interrupted, the exit code is 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they print local variables, and ours hold tokens and client data
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"frontrunner {__version__}")
        raise typer.Exit


@app.callback()
def frontrunner(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Run in front of a slow HTTP service and make it fast, without changing one answer."""


app.command()(run.run)
app.command()(demo.demo)
app.command()(init.init)
app.command()(check.check)
app.command()(explain.explain)
app.command()(purge.purge)
app.command()(warm.warm)
app.command()(rollout.rollout)
app.command()(report.report)
app.command()(tail.tail)
app.command()(bypass.bypass)
app.command()(token.token)
app.command()(docs.docs)


def main() -> None:
    """Run `frontrunner`; exits 0 fine, 1 findings, 2 usage or config, 3 cannot start, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a finding must print on an ASCII terminal too
    app(prog_name="frontrunner")
