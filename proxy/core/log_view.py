"""A line of the log → one line of a terminal: short, in columns, in colours; nothing in it can command the terminal."""

import re
from collections.abc import Mapping
from typing import Any, Final

from proxy.core.format.console import Console

_COLOURS: Final = {
    "hit": 32, "stale": 33, "miss": 36, "expired": 36, "revalidated": 34, "partial": 34, "collapsed": 35,
    "passthrough": 90, "error": 31,
}  # fmt: skip
_LEVELS: Final = {"error": 31, "critical": 31, "warning": 33}
_SLOW: Final = 1
_FAINT: Final = 90
_SLOW_S: Final = 10.0
_SHOWN: Final = (
    "rule", "purpose", "arm", "reason", "would", "would_reason", "error_source", "error", "parts", "parts_hit", "flight", "age_s",
    "queue_s", "upstream_s", "saved_s", "bytes_out", "request_id",
)  # fmt: skip
_OF_ITS_KIND: Final = ("timestamp", "level", "event", "version", "pid")
_TIMED: Final = frozenset({"request", "job", "upstream_call"})
_STAMP: Final = re.compile(r"[0-9-]{10}T([0-9:]{8}\.[0-9]{3})[0-9]*Z")
_MOST_FOREIGN: Final = 1000
_console = Console()


def view(fields: Mapping[str, Any], *, colour: bool) -> str:
    """Return one line, without its end: time, outcome, status, duration, request, then the rest as name=value."""
    event = fields.get("event", "-")
    if isinstance(event, str) and event in _TIMED and "duration_s" in fields:
        return _timed(fields, event, colour=colour)
    rest = {name: value for name, value in fields.items() if name not in _OF_ITS_KIND}
    level = fields.get("level")
    style = _LEVELS.get(level, 0) if isinstance(level, str) else 0
    return f"{_time(fields, colour=colour)} {_styled(_shown(event), style, colour=colour)} {_rendered(rest)}".rstrip()


def foreign(raw: bytes | None) -> str:
    """Return a line that is none of ours as it is, escaped; None is one that was too long to be held."""
    if raw is None:
        return "? (a line of more than 1 MiB)"
    text = raw[: _MOST_FOREIGN * 4].decode("utf-8", "backslashreplace")
    plain = "".join([one if one.isprintable() else ascii(one)[1:-1] for one in text])
    return f"? {plain[:_MOST_FOREIGN]}{'…' if len(plain) > _MOST_FOREIGN or len(raw) > _MOST_FOREIGN * 4 else ''}"


def _timed(fields: Mapping[str, Any], event: str, *, colour: bool) -> str:
    outcome = fields.get("outcome", event) if event != "upstream_call" else "call"
    if event == "upstream_call":
        word = _styled(f"{'  call':<11}", _LEVELS["error"] if "error" in fields else _FAINT, colour=colour)
    else:
        word = _styled(f"{_shown(outcome):<11}", _COLOURS.get(_text(outcome), 0), colour=colour)
    took = fields["duration_s"]
    is_slow = isinstance(took, int | float) and took >= _SLOW_S
    duration = _styled(f"{_seconds(took):>9}", _SLOW if is_slow else 0, colour=colour)
    request = f"{_shown(fields.get('method', '-'))} {_shown(fields.get('path', '-'))}"
    rest = _rendered({name: fields[name] for name in _SHOWN if name in fields})
    status = f"{_shown(fields.get('status', '-')):<3}"
    return f"{_time(fields, colour=colour)} {word} {status} {duration} {request} {_styled(rest, _FAINT, colour=colour)}"


def _time(fields: Mapping[str, Any], *, colour: bool) -> str:
    found = _STAMP.fullmatch(_text(fields.get("timestamp", "")))
    return _styled(found[1] if found else _shown(fields.get("timestamp", "-")), _FAINT, colour=colour)


def _seconds(took: object) -> str:
    if not isinstance(took, int | float):
        return _shown(took)
    return f"{took:,.2f} s" if took >= 1 else f"{took * 1000:,.2f} ms"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _shown(value: object) -> str:
    return _rendered({"event": value})


def _rendered(fields: Mapping[str, Any]) -> str:
    return _console.render(fields).decode("utf-8").removesuffix("\n")


def _styled(text: str, style: int, *, colour: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if colour and style and text else text
