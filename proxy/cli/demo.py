"""`frontrunner demo`: a slow service, the proxy before it, and a measured table."""

from typing import Annotated

import typer


def demo(
    *,
    scale: Annotated[
        float, typer.Option(metavar="FACTOR", min=0.0, max=10.0, help="Factor on the service's 40 to 69 s.")
    ] = 0.1,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave both running and print curl lines, until Ctrl-C.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="What the service's costs are drawn from.")] = 1,
) -> None:
    """Play a short story against a slow service, directly and through the proxy, and print what it took."""
    from proxy import demo as stage

    raise typer.Exit(stage.run(scale=scale, keep=keep, seed=seed))
