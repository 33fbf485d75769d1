"""Fields → one line for a person's eyes."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from proxy.core.plain import plain

_FIRST = ("timestamp", "level", "event", "method", "path", "status", "outcome", "duration_s")

_QUOTED = frozenset(' "=\\')


class Console:
    """Time, what happened, then the rest as name=value."""

    def render(self, fields: Mapping[str, Any]) -> bytes:
        """Return one line; control characters are escaped, so that no value can forge a line or colour a terminal."""
        first = [_shown(fields[name]) for name in _FIRST if name in fields]
        rest = [f"{_shown(name)}={_shown(value)}" for name, value in fields.items() if name not in _FIRST]
        return (" ".join([*first, *rest]) + "\n").encode("utf-8", "backslashreplace")


def _shown(value: object) -> str:
    text = str(value) if type(value) is str or isinstance(value, StrEnum) else str(plain(value))
    if text.isprintable() and text and _QUOTED.isdisjoint(text):
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(one: str) -> str:
    if one in {'"', "\\"}:
        return "\\" + one
    return one if one.isprintable() else ascii(one)[1:-1]
