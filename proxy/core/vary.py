"""Which request fields select a stored variant: values that mean the same count as the same (RFC 9111 §4.1)."""

import re

_PERSONAL = frozenset({b"authorization", b"cookie", b"proxy-authorization"})
# A list may be split and joined with `, ` by whoever passes it on (RFC 9110 §5.3): only within quotes a blank counts.
_AROUND_COMMAS = re.compile(rb'(?P<quoted>"(?:[^"\\]|\\.)*+"?)|(?<![ \t])[ \t]*+,[ \t]*+', re.DOTALL)
_LIKED_FULLY = re.compile(rb";q=1(?:\.0{0,3})?\Z")
# Their members are compared without case, and white space around them means nothing (RFC 9110 §12.5).
_NEGOTIATED = frozenset({b"accept-charset", b"accept-encoding", b"accept-language"})
# Of languages some services take the order as a preference (RFC 9110 §12.5.4); of codings it never is one.
_UNORDERED = frozenset({b"accept-encoding"})


def selecting(name: bytes, value: bytes) -> bytes:
    """Return the value of a request field in the form in which variants are told apart."""
    if name in _PERSONAL:
        return value.strip()
    if name not in _NEGOTIATED:
        return _AROUND_COMMAS.sub(_without_space, value.strip())
    members = [b";".join([part.strip() for part in member.split(b";")]) for member in value.lower().split(b",")]
    named = dict.fromkeys([_LIKED_FULLY.sub(b"", member) for member in members if member])
    return b",".join(sorted(named) if name in _UNORDERED else named)


def _without_space(found: re.Match[bytes]) -> bytes:
    return found["quoted"] or b","
