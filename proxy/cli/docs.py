"""`frontrunner docs`: the packaged guide, page by page."""

import sys
from difflib import get_close_matches
from importlib.resources import files
from typing import Annotated

import typer


def pages() -> dict[str, str]:
    """Return the packaged pages: name → markdown."""
    folder = files("proxy") / "docs"
    if not folder.is_dir():
        return {}
    found = [page for page in folder.iterdir() if page.name.endswith(".md")]
    return {
        page.name.removesuffix(".md"): page.read_text("utf-8") for page in sorted(found, key=lambda page: page.name)
    }


def docs(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The page; without it, all are listed.")] = None,
) -> None:
    """Print a page of the guide, or list the pages."""
    known = pages()
    if name is None:
        width = max(map(len, known), default=0)
        for page, text in known.items():
            print(f"{page:<{width}}  {_title(text)}")
        return
    page = name.removesuffix(".md")
    if page not in known:
        print(f"frontrunner docs: {_unknown(name, known)}", file=sys.stderr)
        raise typer.Exit(2)
    _show(known[page])


def _title(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ")


def _unknown(name: str, known: dict[str, str]) -> str:
    nearest = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"found {name}; allowed: {' '.join(known) or 'nothing, no page is packaged'}{hint}"


def _show(text: str) -> None:
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))
