"""Fields → one line of JSON."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from proxy.core.plain import plain

_OPTIONS = orjson.OPT_APPEND_NEWLINE


class Json:
    """One JSON object a line, of the fields as `rename` has them: what aggregators read."""

    def __init__(self, rename: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda fields: fields) -> None:
        self._rename = rename

    def render(self, fields: Mapping[str, Any]) -> bytes:
        """Return one line; what orjson refuses (lone surrogates, huge ints, odd keys) is written as text."""
        try:
            return orjson.dumps(self._rename(fields), option=_OPTIONS)
        except (TypeError, RecursionError):
            return orjson.dumps(self._rename(plain(fields)), option=_OPTIONS)
