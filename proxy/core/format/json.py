"""Fields → one line of JSON."""

from collections.abc import Mapping
from typing import Any

import orjson

_OPTIONS = orjson.OPT_APPEND_NEWLINE
_DEEPEST = 8


class Json:
    """One JSON object a line: what aggregators read."""

    def render(self, fields: Mapping[str, Any]) -> bytes:
        """Return one line; what JSON cannot hold is written as text."""
        try:
            return orjson.dumps(fields, option=_OPTIONS)
        except (TypeError, RecursionError):
            return orjson.dumps(_plain(fields, 0), option=_OPTIONS)


def _plain(value: object, depth: int) -> object:
    """Return the nearest thing to `value` that orjson takes: it refuses lone surrogates, huge ints and odd keys."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {str(_text(key)): _plain(one, depth + 1) for key, one in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_plain(one, depth + 1) for one in value]
    return _text(value)


def _text(value: object) -> str:
    try:
        text = str(value)
    except Exception:  # noqa: BLE001  a foreign __str__ may do anything, and a log call never raises
        text = f"<{type(value).__name__}>"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
