"""One request on the accelerated road: what everybody on it needs to know."""

from dataclasses import dataclass, replace

from proxy.core.cache_control import Directives
from proxy.core.log_line import LogLine
from proxy.core.rules import Rule
from proxy.core.types import Request

_OF_SOMEBODY = frozenset({b"cookie", b"authorization", b"proxy-authorization"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request on this road: what is asked of the upstream, under which rule, with which of its client's directives.

    `as_sent` is what the client sent where that is another: a QUERY that goes up as a POST. `is_raw`: whatever its rule's
    stage, its key is made of it as it came.
    """

    request: Request
    rule: Rule
    host: bytes
    directives: Directives
    line: LogLine
    as_sent: Request | None = None
    is_raw: bool = False

    @property
    def is_somebody(self) -> bool:
        """Tell whether its answer may be its client's own, though the key does not say whose."""
        names = self.request.fields
        return b"cookie" in names or (b"authorization" in names and b"authorization" not in self.rule.private_by)

    @property
    def is_anybodys(self) -> bool:
        """Tell whether it says nothing of who asks: then it may be asked again later, for nobody."""
        names, private = self.request.fields, self.rule.private_by
        is_private = bool(private) and any(name.replace(b"_", b"-") in private for name in names)
        return _OF_SOMEBODY.isdisjoint(names) and not is_private

    def in_words_of(self, other: "Asked") -> "Asked":
        """Return what `other` asks, as it would come from this one's client."""
        request, body = self.request, other.request.body
        length = b"%d" % len(body) if isinstance(body, bytes) else b""
        headers = tuple([(name, length if name == b"content-length" else value) for name, value in request.headers])
        return replace(self, request=replace(request, target=other.request.target, body=body, headers=headers))

    @property
    def client(self) -> Request:
        """Return what the client sent."""
        return self.as_sent or self.request

    def is_spelled(self, other: "Asked") -> bool:
        """Tell whether two requests ask in the same words."""
        return (self.request.target, self.request.body) == (other.request.target, other.request.body)
