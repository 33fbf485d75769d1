"""Request → Query → Key: the normal form, and its digest.

A key is unambiguous because every piece is written with its length before it: no value can forge a delimiter. The
first piece is the version of this encoding, so that a release never reads an older meaning.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from operator import itemgetter
from typing import Any

from proxy.core.cookies import cookie_fields
from proxy.core.rules import Rule
from proxy.core.types import DIGEST_BYTES, Headers, Params, Query, Request, joined
from proxy.core.vary import selecting

VERSION = b"1"

# An upstream may build its answer from these, so two requests that differ in one never share an answer.
ALWAYS_KEYED = frozenset(
    {
        b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix", b"x-forwarded-scheme", b"x-forwarded-port",
        b"x-forwarded-server", b"x-forwarded-path", b"x-forwarded-uri", b"x-forwarded-ssl", b"forwarded", b"x-host",
        b"x-original-host", b"x-original-url", b"x-original-uri", b"x-rewrite-url", b"x-url-scheme",
        b"front-end-https", b"x-http-method", b"x-http-method-override", b"x-method-override",
        b"x-forwarded-protocol", b"x-scheme", b"x-script-name", b"script-name",
    }
)  # fmt: skip
_DEFAULT_PORTS = {"http": b":80", "https": b":443"}


@dataclass(frozen=True, slots=True)
class Scope:
    """What sets one rule's keys apart from all others: namespace, upstream, and the meaning of its normalizers.

    `secret` (bytes) hides credentials: only their keyed hash gets into a key (RFC 9111 §7.3).
    """

    seed: Any
    secret: bytes

    @classmethod
    def of(cls, namespace: str, upstream: str, rule: Rule, secret: bytes) -> "Scope":
        """Prepare the pieces that all keys of `rule` begin with."""
        pieces = (VERSION, namespace.encode(), upstream.encode(), rule.signature())
        return cls(blake2b(_written(pieces), digest_size=DIGEST_BYTES), secret)


def normal_host(request: Request) -> bytes:
    """Return the Host in lower case without the scheme's default port."""
    host = (request.header(b"host") or b"").lower()
    return host.removesuffix(_DEFAULT_PORTS.get(request.client.scheme, b""))


def query_of(request: Request, rule: Rule, host: bytes, secret: bytes, now: float = 0.0) -> Query:
    """Make a request's normal form: as it came, then through the rule's normalizers.

    Raises Fallback where a normalizer cannot be certain.
    """
    path, asked, raw_query = request.target.partition(b"?")
    body = request.body if isinstance(request.body, bytes) else b""
    keyed = request.method not in {"GET", "HEAD"}
    query = Query(
        method="GET" if request.method == "HEAD" else request.method,
        host=host
        if request.client.scheme == "http" or not rule.by_scheme
        else b"%b://%b" % (request.client.scheme.encode(), host),
        path=path,
        query=raw_query if asked else None,
        media_type=(request.header(b"content-type") or b"") if keyed else b"",
        body=body if keyed else b"",
        fields=_keyed_fields(request, rule, secret),
        headers=request.headers,
        now=now,
    )
    for normalizer in rule.normalizers:
        query = normalizer.normalize(query)
    return query


def _keyed_fields(request: Request, rule: Rule, secret: bytes) -> Headers:
    underscored = any([b"_" in name for name in request.fields])
    plain = ALWAYS_KEYED.isdisjoint(request.fields) and not underscored
    if plain and not rule.private_by and not isinstance(rule.cookies, tuple):
        return ()
    fields = [field for field in request.headers if _as_read(field[0]) in ALWAYS_KEYED]
    for name, value in request.fields.items():
        if _as_read(name) in rule.private_by:
            fields.append((name, hidden(value, secret)))
    if isinstance(rule.cookies, tuple):
        found = cookie_fields(request.headers, {name.encode() for name in rule.cookies})
        fields += [(name, hidden(value, secret)) for name, value in found]
    return tuple(sorted(fields, key=itemgetter(0)))  # stable: of one name sent twice, the order may count


def _as_read(name: bytes) -> bytes:
    """Return a field's name as services read it that get their fields as variables: to them `_` is `-`."""
    return name.replace(b"_", b"-")


def hidden(value: bytes, secret: bytes) -> bytes:
    """Return a keyed hash of a credential."""
    return blake2b(value, key=secret, digest_size=16).digest()


def key_of(query: Query, scope: Scope) -> bytes:
    """Return the key of a normal form: a digest of 20 bytes."""
    digest = scope.seed.copy()
    digest.update(_written(_pieces(query)))
    return bytes(digest.digest())


def variant_key(key: bytes, vary: Iterable[bytes], headers: Headers, generation: bytes = b"") -> bytes:
    """Return the key of the variant that these request fields select (RFC 9111 §4.1)."""
    pieces = [key, generation]
    for name in vary:
        value = joined(headers, name)
        pieces += [name, b"absent" if value is None else b"=" + selecting(name, value)]
    return blake2b(_written(pieces), digest_size=DIGEST_BYTES).digest()


def _pieces(query: Query) -> list[bytes]:
    pieces = [query.method.encode(), query.host, query.path]
    if query.params is not None:
        pieces += _pairs(b"params", query.params)
    elif query.query is not None:
        pieces += [b"query", query.query]
    if query.media_type or query.body or query.form is not None:
        pieces += [b"media type", query.media_type]
        pieces += [b"body", query.body] if query.form is None else _pairs(b"form", query.form)
    for name, value in query.fields:
        pieces += [b"field", name, value]
    return pieces


def _pairs(tag: bytes, params: Params) -> list[bytes]:
    pieces = [tag, b"%d" % len(params)]
    for name, value in params:
        pieces += [b"bare", name] if value is None else [b"pair", name, value]
    return pieces


def _written(pieces: Iterable[bytes]) -> bytes:
    return b"".join([b"%d:%b," % (len(piece), piece) for piece in pieces])
