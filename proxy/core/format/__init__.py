"""Log formats: fields → the bytes of one line. A format is one file with one class of the same name.

`render` gets the fields in writing order and must return exactly one line, whatever they hold: a log call never raises.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class Format(Protocol):
    """Renders the fields of one event."""

    def render(self, fields: Mapping[str, Any]) -> bytes:
        r"""Return one line, ending in `\n`."""
        ...
