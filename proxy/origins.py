"""Which request an entry was the answer to: whoever doubts the entry asks that again. In memory only, and bounded."""

from collections import OrderedDict
from dataclasses import replace

from proxy.asked import Asked

_MOST_BYTES = 2**24
_FIELD_BYTES = 100


class Origins:
    """Remembers the last requests that somebody's answers came from, by key, unless they say who asked."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._left = most_bytes
        self._known: OrderedDict[bytes, Asked] = OrderedDict()

    def note(self, key: bytes, asked: Asked) -> None:
        """Remember what the entry at a key is the answer to."""
        self.forget(key)
        if not asked.is_anybodys:
            return
        # its line would keep what it was answered with
        line = replace(asked.line, call=None, draws=None, candidate=None, after=None, observed=None)
        self._known[key] = asked = replace(asked, line=line)
        self._left -= _size(asked)
        while self._left < 0 and self._known:
            self._left += _size(self._known.popitem(last=False)[1])

    def forget(self, key: bytes) -> None:
        """Forget a key."""
        known = self._known.pop(key, None)
        if known is not None:
            self._left += _size(known)

    def get(self, key: bytes) -> Asked | None:
        """Return what the entry at a key is the answer to, if that is known."""
        return self._known.get(key)


def _size(asked: Asked) -> int:
    request = asked.request
    body = request.body if isinstance(request.body, bytes) else b""
    fields = sum([len(name) + len(value) for name, value in request.headers])
    return len(request.target) + len(body) + fields + _FIELD_BYTES * (10 + len(request.headers))
