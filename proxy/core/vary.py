"""Which request fields select a stored variant: values that mean the same count as the same (RFC 9111 §4.1)."""

# Their members are compared without case, and white space around them means nothing (RFC 9110 §12.5).
_NEGOTIATED = frozenset({b"accept-charset", b"accept-encoding", b"accept-language"})
# Of languages some services take the order as a preference (RFC 9110 §12.5.4); of codings it never is one.
_UNORDERED = frozenset({b"accept-encoding"})


def selecting(name: bytes, value: bytes) -> bytes:
    """Return the value of a request field in the form in which variants are told apart."""
    if name not in _NEGOTIATED:
        return value.strip()
    members = [b";".join([part.strip() for part in member.split(b";")]) for member in value.lower().split(b",")]
    named = [member for member in members if member]
    return b",".join(sorted(named) if name in _UNORDERED else named)
