"""Any object → the nearest plain value, bounded and valid Unicode, so that it can be written whatever it is."""

from collections.abc import Mapping
from typing import Any

_DEEPEST = 8


def plain(value: object, depth: int = 0) -> Any:
    """Return the nearest thing to `value` that every log format can write: plain types, bounded, valid Unicode."""
    if isinstance(value, float):
        return float(value)
    if value is None or isinstance(value, bool) or (isinstance(value, int) and -(2**63) <= value < 2**64):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {text(key): plain(one, depth + 1) for key, one in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [plain(one, depth + 1) for one in value]
    return text(value)


def text(value: object) -> str:
    """Return `value` as text that can be encoded; an object that cannot tell is named by its type."""
    try:
        shown = str(value)
    except Exception:  # noqa: BLE001  a foreign __str__ may do anything, and a log call never raises
        shown = f"<{type(value).__name__}>"
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")
