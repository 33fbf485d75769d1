"""The recipes of the guide's page on logs, as they are written there."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "proxy" / "docs" / "logs.md").read_text()


def blocks(title: str, language: str) -> list[tuple[str, str]]:
    """Return each block of a section with the last line of prose before it."""
    (section,) = (part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE) if part.startswith(title + "\n"))
    found = re.findall(rf"([^\n]*)\n\n```{language}\n(.*?)```", section, flags=re.DOTALL)
    return [(prose.rstrip(":"), block) for prose, block in found]
