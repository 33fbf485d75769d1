"""`frontrunner token`: the admin token of this machine."""

import sys

import typer


def token() -> None:
    """Print the admin token: FRONTRUNNER_TOKEN, or the one that is made once and kept in the state folder."""
    from proxy.admin.token import load_or_make

    try:
        kept = load_or_make()
    except OSError as error:
        print(f"frontrunner token: {error}", file=sys.stderr)
        raise typer.Exit(3) from error
    print(kept)
