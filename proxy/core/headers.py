"""Header fields on their way: hop-by-hop ones dropped, ours added (RFC 9110 §7.6, RFC 9211)."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address

from proxy.core.trace_context import parent_of
from proxy.core.types import Client, Headers, joined

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
# A Connection field that lists one of these is an attempt to strip what routing, framing or the key depend on.
_NEVER_STRIPPED = frozenset({b"host", b"content-length", b"cache-control", b"via", b"x-forwarded-for"})
_HARMLESS = frozenset({b"keep-alive", b"close"})
_REQUEST_ID = re.compile(rb"[0-9a-fA-F]{32}")

Networks = tuple[IPv4Network | IPv6Network, ...]


def end_to_end(headers: Headers) -> Headers:
    """Drop hop-by-hop fields and those that Connection lists (RFC 9110 §7.6.1)."""
    connection = joined(headers, b"connection")
    dropped = HOP_BY_HOP
    if connection is not None and (lowered := connection.lower()) not in _HARMLESS:
        listed = set(_tokens(lowered)) - _NEVER_STRIPPED
        dropped = HOP_BY_HOP | listed
    return tuple([field for field in headers if field[0] not in dropped])


def wants_upgrade(headers: Headers, protocol: bytes) -> bool:
    """Tell whether the client asks to leave HTTP for `protocol` (RFC 9110 §7.8)."""
    upgrade = joined(headers, b"upgrade")
    if upgrade is None or protocol not in [token.partition(b"/")[0] for token in _tokens(upgrade)]:
        return False
    return b"upgrade" in _tokens(joined(headers, b"connection") or b"")


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip() for token in value.lower().split(b",")]


def request_id(headers: Headers) -> str | None:
    """Return the client's request id if it is a valid one: 32 hex digits."""
    value = joined(headers, b"x-request-id")
    return value.decode("ascii") if value is not None and _REQUEST_ID.fullmatch(value) else None


def trace_id(headers: Headers) -> str | None:
    """Return the trace id of a valid traceparent (W3C Trace Context §3.2)."""
    parent = parent_of(headers)
    return None if parent is None else parent.trace_id


def client_ip(headers: Headers, peer: str, trusted: Networks) -> str:
    """Return the nearest address that is not one of our own proxies."""
    if not trusted or not _within(peer, trusted):
        return peer
    claimed = [part.strip() for part in (joined(headers, b"x-forwarded-for") or b"").decode("latin-1").split(",")]
    for address in reversed(claimed):
        if not _is_address(address):
            break  # what stands left of nonsense is nonsense too
        peer = address
        if not _within(address, trusted):
            break
    return peer


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _within(text: str, networks: Networks) -> bool:
    return _is_address(text) and any(ip_address(text) in network for network in networks)


def passed_here_before(headers: Headers, via: bytes) -> bool:
    """Tell whether the request already went through this very proxy (RFC 9110 §7.6.3)."""
    value = joined(headers, b"via")
    ours = via.partition(b" ")[2]
    return value is not None and ours in [member.strip().partition(b" ")[2] for member in value.split(b",")]


def forwarded(headers: Headers, client: Client, via: bytes, request_id: str) -> Headers:
    """Return the fields that go upstream: the client's, plus Via, X-Forwarded-For and X-Request-Id."""
    out = [field for field in headers if field[0] != b"x-request-id"]
    received = str(client.scope.get("http_version", "1.1")).encode("ascii")  # the version is the client's (§7.6.3)
    _append_member(out, b"via", received + via.removeprefix(b"1.1"))
    if client.peer:
        _append_member(out, b"x-forwarded-for", client.peer.encode("latin-1"))
    out.append((b"x-request-id", request_id.encode("ascii")))
    return tuple(out)


def _append_member(fields: list[tuple[bytes, bytes]], name: bytes, member: bytes) -> None:
    # onto the last line of that name: many a service reads one line only
    for place in range(len(fields) - 1, -1, -1):
        if fields[place][0] == name:
            fields[place] = (name, fields[place][1] + b", " + member)
            return
    fields.append((name, member))


def answered(headers: Headers, date: bytes) -> Headers:
    """Return the fields of an upstream's answer that go to the client, with Date where it is missing."""
    out = tuple([field for field in end_to_end(headers) if field[0] != b"x-request-id"])
    return out if any(name == b"date" for name, _ in out) else (*out, (b"date", date))


def max_forwards(method: str, headers: Headers) -> int | None:
    """Return how often this OPTIONS or TRACE may still be forwarded, None where that is not limited (RFC 9110 §7.6.2)."""
    value = joined(headers, b"max-forwards") if method in {"OPTIONS", "TRACE"} else None
    return int(value) if value is not None and value.isdigit() and len(value) < 20 else None
