"""Fields → one line of JSON."""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.core.plain import plain

_OPTIONS = orjson.OPT_APPEND_NEWLINE


class Json:
    """One JSON object a line: what aggregators read."""

    def render(self, fields: Mapping[str, Any]) -> bytes:
        """Return one line; what orjson refuses (lone surrogates, huge ints, odd keys) is written as text."""
        try:
            return orjson.dumps(fields, option=_OPTIONS)
        except (TypeError, RecursionError):
            return orjson.dumps(plain(fields), option=_OPTIONS)
