"""Rules: which requests they are for, and what the owner says of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from proxy.core.glob import Pattern, compiled
from proxy.core.normalize import Normalizer
from proxy.core.rollout import NORMALIZE, SPLIT, Feature, Trust
from proxy.core.splitting import Splitting
from proxy.core.types import Request

DEFAULT = "default"
UNMATCHED = "unmatched"

_SAFE_TO_CACHE = frozenset({"GET", "HEAD"})
_BY_CONTENT = frozenset({"QUERY"})
"""Safe by its definition, and its answers are kept by what it sends (RFC 10008 §2.7)."""

# What the normalizers of a rule read.
_READ_AS = {
    "json": b"application/json",
    "graphql": b"application/json",
    "form": b"application/x-www-form-urlencoded",
}

# A segment of one or two dots, however often it and what is around it are escaped.
_DOT_SEGMENT = re.compile(
    rb"(?i)(?:^|[/\\\\]|%(?:25)*(?:2f|5c))(?:\.|%(?:25)*2e){1,2}(?:$|[/\\\\;]|%(?:25)*(?:2f|5c|3b))"
)

Cookies = Literal["pass", "ignore"] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One operation: what it matches, how its key is made, how long its answers are good.

    `ttl` is None (the origin says), seconds, or seconds by status; `refresh` and `error` are how long past it a stale
    answer may be served, while a new one is fetched and while the upstream fails. Sizes are bytes. `ours` marks the implicit last
    rule, for which nobody gave a word. `offers_query`: a QUERY goes up as the POST that the service knows.
    `by_scheme`: the upstream is told the client's scheme, and may answer by it. `soft_deadline` is how long a client
    waits for a fresh answer where there is a stale one, in seconds. `splitting`: its requests ask for many things.
    `aliases` are paths that stand for its `own_path` and force an arm. `trust`: how far its features are rolled out.
    """

    name: str
    path: Pattern
    methods: frozenset[str] = frozenset()
    host: Pattern | None = None
    safe: bool = False
    normalizers: tuple[Normalizer, ...] = ()
    ttl: float | Mapping[int, float] | None = None
    refresh: float = 0.0
    error: float = 0.0
    override: frozenset[str] = frozenset()
    ignore_client: frozenset[str] = frozenset()
    cookies: Cookies = "pass"
    private_by: tuple[bytes, ...] = ()
    max_object: int = 32 * 2**20
    max_key_body: int = 10 * 2**20
    offers_query: bool = False
    by_scheme: bool = False
    soft_deadline: float | None = None
    splitting: Splitting | None = None
    own_path: bytes = b""
    aliases: Mapping[bytes, Literal["candidate", "control"]] = field(default_factory=dict)
    trust: Trust = field(default_factory=Trust)
    ours: bool = False

    @property
    def features(self) -> tuple[Feature, ...]:
        """Return what can be rolled out of it."""
        return ((SPLIT,) if self.splitting is not None else ()) + ((NORMALIZE,) if self.normalizers else ())

    @property
    def cacheable_methods(self) -> frozenset[str]:
        """Return the methods whose answers may be stored: POST only with the owner's word that it only reads."""
        return _SAFE_TO_CACHE | _BY_CONTENT | ({"POST"} if self.safe else set())

    @property
    def usual_methods(self) -> frozenset[str]:
        """Return the methods that the rule is for where it names none."""
        return self.cacheable_methods - _BY_CONTENT

    @property
    def accept_query(self) -> bytes:
        """Return the media types that a QUERY may have, for Accept-Query (RFC 10008 §3)."""
        words = {type(one).__module__.rpartition(".")[2] for one in self.normalizers}
        return next((media_type for word, media_type in _READ_AS.items() if word in words), b'"*/*"')

    def signature(self) -> bytes:
        """Return a digest of what decides the meaning of a key: the normalizers, their options and versions."""
        made = [type(one) for one in self.normalizers]
        names = [(kind.__module__, kind.__qualname__, kind.version) for kind in made]
        # what the owner vouches for is kept apart from what the origin does
        meaning = (names, self.normalizers, self.cookies, self.private_by, self.ttl is None)
        return blake2b(repr(meaning).encode(), digest_size=8).digest()


def path_pattern(glob: str) -> Pattern:
    """Compile a path with `*` (within one segment) and `**` (across segments); matched against the raw path."""
    return compiled(glob, b"/")


def host_pattern(glob: str) -> Pattern:
    """Compile a host with `*`; matched against the host in lower case, without its default port."""
    return compiled(glob.lower(), b":")


def default_rule(*, by_scheme: bool = False) -> Rule:
    """Return the implicit last rule for GET and HEAD: the origin's own word (RFC 9111), key untouched."""
    return Rule(name=DEFAULT, path=path_pattern("/**"), methods=_SAFE_TO_CACHE, ours=True, by_scheme=by_scheme)


def first_match(rules: Sequence[Rule], request: Request, host: bytes) -> Rule | None:
    """Return the first rule that is for this request, or None."""
    path = request.path
    astray = (b"." in path or b"%" in path) and _DOT_SEGMENT.search(path) is not None
    methods = _SAFE_TO_CACHE if request.method == "HEAD" else {request.method}  # a HEAD asks for a GET's head
    for rule in rules:
        offered = rule.offers_query and request.method == "QUERY"
        if astray and not rule.ours:
            continue  # the service may look elsewhere for it than where the rule is for
        if not offered and methods.isdisjoint(rule.methods or rule.usual_methods):
            continue
        if rule.path.fullmatch(path) and (rule.host is None or rule.host.fullmatch(host)):
            return rule
    return None
