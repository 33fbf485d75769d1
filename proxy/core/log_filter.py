"""Which lines of a log are wanted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from proxy.core.rules import UNMATCHED

_Fields = Mapping[str, Any]
_OF_A_RULE: Final = frozenset({"request", "job", "upstream_call"})
_UNASKED: Final = frozenset({"upstream_call"})
"""Events that are shown only where they, or one request, are asked for: each request has its own line anyway."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Takes lines that meet all that is asked; of several words of one kind, any one.

    `statuses` are three digits, of which `x` stands for any (`5xx`); `paths` are patterns with `*`; `slower_than_s` is of
    `duration_s`.
    """

    events: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    requests: frozenset[str] = frozenset()
    statuses: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    slower_than_s: float | None = None
    errors: bool = False

    def takes(self, fields: _Fields) -> bool:
        """Say whether a line is wanted."""
        event = fields.get("event")
        if self.events and not _is_in(event, self.events):
            return False
        if not self.events and not self.requests and _is_in(event, _UNASKED):
            return False
        for wanted, name in _WORDS.items():
            if (words := getattr(self, wanted)) and not _is_in(_word(fields, name), words):
                return False
        return all(meets(self, fields) for meets in _CONDITIONS)


_WORDS: Final = {"rules": "rule", "outcomes": "outcome", "reasons": "reason", "requests": "request_id"}


def _word(fields: _Fields, name: str) -> object:
    """Return a field's word; of what has no rule, the word for that."""
    is_unmatched = name == "rule" and name not in fields and _is_in(fields.get("event"), _OF_A_RULE)
    return UNMATCHED if is_unmatched else fields.get(name)


def _is_in(value: object, words: frozenset[str]) -> bool:
    return isinstance(value, str) and value in words


def _status(wanted: Filter, fields: _Fields) -> bool:
    status = str(fields.get("status", ""))
    return not wanted.statuses or any(fnmatchcase(status, one.replace("x", "?")) for one in wanted.statuses)


def _path(wanted: Filter, fields: _Fields) -> bool:
    path = fields.get("path")
    return not wanted.paths or (isinstance(path, str) and any(fnmatchcase(path, one) for one in wanted.paths))


def _slow(wanted: Filter, fields: _Fields) -> bool:
    took = fields.get("duration_s")
    return wanted.slower_than_s is None or (isinstance(took, int | float) and took > wanted.slower_than_s)


def _failed(wanted: Filter, fields: _Fields) -> bool:
    if not wanted.errors or fields.get("level") == "error" or "error" in fields:
        return True
    status = fields.get("status")
    return isinstance(status, int) and status >= 500


_CONDITIONS: Final[tuple[Callable[[Filter, _Fields], bool], ...]] = (_status, _path, _slow, _failed)
