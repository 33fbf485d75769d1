"""Our own log → what can be asked again: its lines have paths without their queries, so that some cannot."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.warm.wanted import LeftOut, Unreadable, Wanted, origin_form

MOST_KEPT_BYTES = 2**28
_PER_PATH_BYTES = 400
_ANOTHERS_ESCAPE = "\\x"
# An answer that these went past the store for is not for those who ask without what the request had.
_NOT_FOR_ALL = frozenset(
    {Reason.COOKIE, Reason.CREDENTIALS, Reason.BODY, Reason.RANGE, Reason.PRECONDITION, Reason.EVENT_STREAM}
)


@dataclass(slots=True)
class _Path:
    key_hash: str | None
    cost_s: float
    several: bool = False


class Logged:
    """The paths of a log; what differs in the key but not in the path differs in what no line tells."""

    def __init__(self) -> None:
        self._paths: dict[str, _Path] = {}
        self._left = MOST_KEPT_BYTES

    def add(self, raw: bytes) -> Wanted | None:
        """Read a line, and return its request where it tells the whole of it.

        Raises:
            LeftOut: it is not to be asked again.
            Unreadable: it is no line of ours.
        """
        line = _fields(raw)
        if line["event"] != "request":
            return None
        path, query = line.get("path"), line.get("query")
        if not isinstance(path, str):
            raise Unreadable("a request without a path")
        if line.get("method") != "GET":
            raise LeftOut("method")
        if line.get("status") != 200:
            raise LeftOut("status")
        if line.get("reason") in _NOT_FOR_ALL:
            raise LeftOut(line["reason"])
        if not path.isascii() or _ANOTHERS_ESCAPE in path:  # how it was sent is no longer known
            raise LeftOut("beyond ASCII")
        cost_s = line.get("upstream_s")
        cost_s = float(cost_s) if isinstance(cost_s, int | float) else 0.0
        if isinstance(query, str):
            return Wanted(Request("GET", origin_form(f"{path}?{query}" if query else path)), cost_s)
        self._note(path, line.get("key_hash"), cost_s)
        return None

    def _note(self, path: str, key_hash: str | None, cost_s: float) -> None:
        known = self._paths.get(path)
        if known is not None:
            known.several = known.several or key_hash is None or known.key_hash != key_hash
            known.cost_s = max(known.cost_s, cost_s)
            return
        origin_form(path)
        self._left -= len(path) + _PER_PATH_BYTES
        if self._left < 0:
            raise LeftOut("more than 256 MiB of requests")
        self._paths[path] = _Path(key_hash, cost_s)

    def wanted(self, left_out: Counter[str]) -> Iterator[Wanted]:
        """Yield a request for each path that one key only was for; count the others."""
        for path, known in self._paths.items():
            if known.several:
                left_out["query not in the log"] += 1
            else:
                yield Wanted(Request("GET", origin_form(path)), known.cost_s)


def _fields(raw: bytes) -> Mapping[str, Any]:
    try:
        line = orjson.loads(raw)
    except ValueError as error:
        raise Unreadable("not JSON") from error
    if not isinstance(line, dict) or "event" not in line:
        raise Unreadable("no line of Frontrunner's log")
    return line
