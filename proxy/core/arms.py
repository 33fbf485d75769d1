"""Which arm a request is forced to take – split or whole – by the path or the field that it names it with.

candidate: its answer may be put together from parts; control: it is asked for whole.
"""

import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal, cast

from proxy.core.rules import Rule, first_match
from proxy.core.types import Request

Arm = Literal["candidate", "control"]

CANDIDATE: Final = "candidate"
CONTROL: Final = "control"
FIELD: Final = b"frontrunner-arm"
_ARMS: Final = frozenset({b"candidate", b"control"})


def is_bearer(value: bytes, token: bytes) -> bool:
    """Tell whether the value of an Authorization field is this token; takes as long for any token of its length."""
    scheme, _, given = value.partition(b" ")
    return scheme.lower() == b"bearer" and bool(token) and hmac.compare_digest(given.strip(b" \t"), token)


def without_token(request: Request, token: bytes) -> tuple[Request, Arm | None]:
    """Return a request without the admin token, and the arm that its bearer forces; as it came from everybody else.

    The token is for the proxy: neither the upstream nor a key gets it, nor the field that it vouches for.
    """
    if b"authorization" not in request.fields:
        return request, None
    rest = tuple([
        field for field in request.headers if field[0] != b"authorization" or not is_bearer(field[1], token)
    ])  # fmt: skip
    if len(rest) == len(request.headers):
        return request, None
    named = (request.header(FIELD) or b"").strip().lower()
    arm = cast("Arm", named.decode()) if named in _ARMS else None
    return replace(request, headers=tuple([field for field in rest if field[0] != FIELD])), arm


def matched(rules: Sequence[Rule], request: Request, host: bytes) -> tuple[Request, Rule | None, Arm | None]:
    """Return the rule that a request is for and the arm that its path forces; of an alias, as the rule's own path.

    An alias is its rule's whatever other rule its path is for, if method, host and own path are.
    """
    path = request.path
    for rule in rules:
        if rule.aliases and (arm := rule.aliases.get(path)) is not None:
            own = replace(request, target=rule.own_path + request.target[len(path) :])
            if first_match(rules, own, host) is rule:
                return own, rule, arm
    return request, first_match(rules, request, host), None
