"""Request × Rule → may this request be answered from the store, or must it pass through, and why."""

from dataclasses import replace

from proxy.core.cache_control import Directives
from proxy.core.cache_control import parse as parse_cache_control
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.types import Request
from proxy.core.validation import CONDITIONS

_PRECONDITIONS = frozenset({b"if-match", b"if-unmodified-since"})
_ASKED_BY_CONTENT = frozenset({"POST", "QUERY"})
_CREDENTIALS = frozenset({b"authorization", b"proxy-authorization"})


def directives_of(request: Request, ignored: frozenset[str] = frozenset()) -> Directives:
    """Return the client's Cache-Control but for what its rule ignores.

    Pragma: no-cache counts where there is none (RFC 9111 §5.4).
    """
    value = request.header(b"cache-control")
    if value is None and b"no-cache" in (request.header(b"pragma") or b"").lower():
        value = b"no-cache"
    asked = parse_cache_control(value)
    return {name: value for name, value in asked.items() if name not in ignored} if ignored else asked


def reason_to_pass(request: Request, rule: Rule, directives: Directives) -> Reason | None:
    """Return why this request goes upstream untouched and its answer is not kept; None if it need not."""
    names = request.fields
    has_body = request.body != b""
    # Under an owner's ttl nobody but the owner can say that an answer is the same for everybody.
    by_owner = rule.ttl is not None
    reasons = (
        (Reason.METHOD, request.method not in rule.cacheable_methods),
        (Reason.BODY, has_body and request.method not in _ASKED_BY_CONTENT),
        (Reason.BODY, request.method == "QUERY" and b"content-type" not in names),
        (Reason.REQUEST_NO_STORE, "no-store" in directives),
        (Reason.PRECONDITION, not _PRECONDITIONS.isdisjoint(names)),
        (Reason.KEY_BODY_ENCODING, has_body and b"content-encoding" in names),
        (Reason.COOKIE, by_owner and rule.cookies == "pass" and b"cookie" in names),
        (Reason.CREDENTIALS, by_owner and not _CREDENTIALS.difference(rule.private_by).isdisjoint(names)),
    )
    return next((reason for reason, holds in reasons if holds), None)


def translated(request: Request) -> Request:
    """Return a QUERY as the POST that the service knows, without what would mean another thing there (RFC 10008)."""
    return replace(
        request, method="POST", headers=tuple([field for field in request.headers if field[0] not in CONDITIONS])
    )
