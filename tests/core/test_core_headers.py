"""Header fields on their way (RFC 9110 §7.6): what is dropped, what is read, what is added."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.headers import (
    answered,
    client_ip,
    end_to_end,
    forwarded,
    max_forwards,
    passed_here_before,
    request_id,
    trace_id,
    wants_upgrade,
)  # fmt: skip
from proxy.core.types import Client

ID, VIA, DATE = "0123456789abcdef0123456789abcdef", b"1.1 frontrunner-a1", b"Sun, 06 Nov 1994 08:49:37 GMT"


def fields(*pairs: str) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(
        (name.encode(), value.encode("latin-1")) for name, _, value in (pair.partition(": ") for pair in pairs)
    )


END_TO_END = {
    "§7.6.1: the fields of a connection": (
        fields(
            "connection: close", "proxy-connection: a", "keep-alive: a", "te: trailers", "trailer: a",
            "transfer-encoding: chunked", "upgrade: h2c", "x: 1",
        ), fields("x: 1"),
    ),
    "§7.6.1: those that Connection lists": (fields("connection: a, B", "a: 1", "b: 2", "c: 3"), fields("c: 3")),
    "§7.6.1: over several lines": (fields("connection: a", "b: 1", "connection: b", "a: 2"), ()),
    "§7.6.1: every line of a listed field": (fields("a: 1", "connection: a", "a: 2"), ()),
    "§7.6.1: keep-alive lists a field too": (fields("connection: Keep-Alive", "keep-alive: a", "x: 1"), fields("x: 1")),
    "§7.6.1: what all recipients need is never listed": (
        fields("connection: host, content-length, cache-control, via, x-forwarded-for", "host: a", "via: b"),
        fields("host: a", "via: b"),
    ),
    "§5.1: unknown fields stay, in order": (fields("b: 1", "a: 2", "b: 3"), fields("b: 1", "a: 2", "b: 3")),
    "empty members list nothing": (fields("connection: , ,", "a: 1"), fields("a: 1")),
    "§11.7.2: fields for a proxy are not of the connection": (
        fields("proxy-authorization: a"), fields("proxy-authorization: a"),
    ),
    "nothing": ((), ()),
}  # fmt: skip


@pytest.mark.parametrize(("came", "go_on"), END_TO_END.values(), ids=END_TO_END)
def test_end_to_end(came, go_on):
    assert end_to_end(came) == go_on


UPGRADES = {
    "§7.8: asked for, and listed in Connection": (fields("upgrade: websocket", "connection: Upgrade"), True),
    "§7.8: among others": (fields("upgrade: h2c, WebSocket/13", "connection: keep-alive, upgrade"), True),
    "§7.8: not listed": (fields("upgrade: websocket", "connection: keep-alive"), False),
    "§7.8: no Connection": (fields("upgrade: websocket"), False),
    "no Upgrade": (fields("connection: upgrade"), False),
    "another protocol": (fields("upgrade: h2c", "connection: upgrade"), False),
    "a protocol with a longer name": (fields("upgrade: websockets-over-x", "connection: upgrade"), False),
}


@pytest.mark.parametrize(("headers", "wanted"), UPGRADES.values(), ids=UPGRADES)
def test_wants_upgrade(headers, wanted):
    assert wants_upgrade(headers, b"websocket") == wanted


REQUEST_IDS = {
    "32 hex digits": (fields(f"x-request-id: {ID}"), ID),
    "in upper case": (fields(f"x-request-id: {ID.upper()}"), ID.upper()),
    "none": ((), None),
    "too short": (fields(f"x-request-id: {ID[1:]}"), None),
    "too long": (fields(f"x-request-id: {ID}0"), None),
    "no hex digits": (fields("x-request-id: " + "g" * 32), None),
    "a line break behind": (fields(f"x-request-id: {ID}\n"), None),
    "two": (fields(f"x-request-id: {ID}", f"x-request-id: {ID}"), None),
}


@pytest.mark.parametrize(("headers", "known"), REQUEST_IDS.values(), ids=REQUEST_IDS)
def test_request_id(headers, known):
    assert request_id(headers) == known


PARENT = "b7ad6b7169203331"
TRACE_IDS = {
    "W3C Trace Context §3.2: a valid one": (f"00-{ID}-{PARENT}-01", ID),
    "§3.2.2: a later version may say more": (f"01-{ID}-{PARENT}-01-more", ID),
    "§3.2.2.2: version 00 says no more": (f"00-{ID}-{PARENT}-01-more", None),
    "§3.2.2.2: more is parted by a dash": (f"01-{ID}-{PARENT}-01more", None),
    "§3.2.2.1: version ff is none": (f"ff-{ID}-{PARENT}-01", None),
    "§3.2.2.3: all zeros is no trace": (f"00-{'0' * 32}-{PARENT}-01", None),
    "§3.2.2.4: all zeros is no parent": (f"00-{ID}-{'0' * 16}-01", None),
    "§3.2.2: lower case only": (f"00-{ID.upper()}-{PARENT}-01", None),
    "too short": (f"00-{ID[1:]}-{PARENT}-01", None),
    "no flags": (f"00-{ID}-{PARENT}", None),
}


@pytest.mark.parametrize(("value", "known"), TRACE_IDS.values(), ids=TRACE_IDS)
def test_trace_id(value, known):
    assert trace_id(fields(f"traceparent: {value}")) == known


def test_no_trace():
    assert trace_id(()) is None


OURS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
CLIENT_IPS = {
    "nobody is trusted": ("10.0.0.1", ["1.2.3.4"], (), "10.0.0.1"),
    "a peer that is not ours says nothing of others": ("1.2.3.4", ["5.6.7.8"], OURS, "1.2.3.4"),
    "our proxy tells": ("10.0.0.1", ["1.2.3.4"], OURS, "1.2.3.4"),
    "through several of ours": ("10.0.0.1", ["1.2.3.4, 10.0.0.3, fd00::2"], OURS, "1.2.3.4"),
    "what stands left of a stranger is the stranger's word": ("10.0.0.1", ["9.9.9.9, 1.2.3.4"], OURS, "1.2.3.4"),
    "what stands left of nonsense is nonsense": ("10.0.0.1", ["1.2.3.4, unknown, 10.0.0.3"], OURS, "10.0.0.3"),
    "nonsense next to us": ("10.0.0.1", ["1.2.3.4, \xff"], OURS, "10.0.0.1"),
    "several lines are one list": ("10.0.0.1", ["1.2.3.4", "10.0.0.3"], OURS, "1.2.3.4"),
    "our proxy tells nothing": ("10.0.0.1", [], OURS, "10.0.0.1"),
    "all are ours": ("10.0.0.1", ["10.0.0.2"], OURS, "10.0.0.2"),
    "a peer that is a socket file": ("", ["1.2.3.4"], OURS, ""),
    "IPv6": ("fd00::1", ["2001:db8::1"], OURS, "2001:db8::1"),
}


@pytest.mark.parametrize(("peer", "said", "trusted", "ip"), CLIENT_IPS.values(), ids=CLIENT_IPS)
def test_client_ip(peer, said, trusted, ip):
    assert client_ip(fields(*[f"x-forwarded-for: {line}" for line in said]), peer, trusted) == ip


PASSED = {
    "§7.6.3: our name in Via": (fields("via: 1.1 a, 1.1 frontrunner-a1"), True),
    "§7.6.3: on another line": (fields("via: 1.1 frontrunner-a1", "via: 1.1 b"), True),
    "another instance of us": (fields("via: 1.1 frontrunner-a12"), False),
    "nobody": ((), False),
}


@pytest.mark.parametrize(("headers", "passed"), PASSED.values(), ids=PASSED)
def test_passed_here_before(headers, passed):
    assert passed_here_before(headers, VIA) == passed


ADDED = fields(f"x-request-id: {ID}")
FORWARDED = {
    "what we add": ((), fields("via: 1.1 frontrunner-a1", "x-forwarded-for: 1.2.3.4") + ADDED),
    "§7.6.3: behind those who had it before us": (
        fields("via: 1.1 a", "x: 1"),
        fields("via: 1.1 a, 1.1 frontrunner-a1", "x: 1", "x-forwarded-for: 1.2.3.4") + ADDED,
    ),
    "to the last of several lines": (
        fields("x-forwarded-for: a", "x-forwarded-for: b", "via: c"),
        fields("x-forwarded-for: a", "x-forwarded-for: b, 1.2.3.4", "via: c, 1.1 frontrunner-a1") + ADDED,
    ),
    "one id of the request": (
        fields("x-request-id: a", "x: 1", "x-request-id: b"),
        fields("x: 1", "via: 1.1 frontrunner-a1", "x-forwarded-for: 1.2.3.4") + ADDED,
    ),
}


@pytest.mark.parametrize(("headers", "go_up"), FORWARDED.values(), ids=FORWARDED)
def test_forwarded(headers, go_up):
    assert forwarded(headers, Client(peer="1.2.3.4"), VIA, ID) == go_up


def test_a_peer_without_an_address_is_not_told():
    assert forwarded((), Client(), VIA, ID) == fields("via: 1.1 frontrunner-a1") + ADDED


some = st.sampled_from([b"a", b"via", b"x-forwarded-for", b"cookie", b"x-forwarded-host"])


@given(st.lists(st.tuples(some | st.binary(), st.binary())).map(tuple))
def test_every_field_of_the_client_goes_up_in_its_order(headers):
    mine = [field for field in headers if field[0] != b"x-request-id"]
    up = forwarded(headers, Client(peer="1.2.3.4"), VIA, ID)
    assert [name for name, _ in up[: len(mine)]] == [name for name, _ in mine]
    for (name, value), (_, came) in zip(up, mine, strict=False):
        added = {b"via": VIA, b"x-forwarded-for": b"1.2.3.4"}.get(name)
        assert value in ({came} if added is None else {came, came + b", " + added})
    for name, member in ((b"via", VIA), (b"x-forwarded-for", b"1.2.3.4")):
        assert [value for key, value in up if key == name][-1].endswith(member)


ANSWERED = {
    "what we add": ((), fields(f"date: {DATE.decode()}")),
    "RFC 9110 §6.6.1: the origin's Date stays": (fields("date: x"), fields("date: x")),
    "§7.6.1: hop-by-hop fields do not go on": (
        fields("connection: a", "a: 1", "date: x", "set-cookie: a", "set-cookie: b"),
        fields("date: x", "set-cookie: a", "set-cookie: b"),
    ),
    "an id that is not of our request": (fields("x-request-id: a", "date: x"), fields("date: x")),
}


@pytest.mark.parametrize(("headers", "go_down"), ANSWERED.values(), ids=ANSWERED)
def test_answered(headers, go_down):
    assert answered(headers, DATE) == go_down


FORWARDS = {
    "§7.6.2: OPTIONS": ("OPTIONS", fields("max-forwards: 3"), 3),
    "§7.6.2: TRACE": ("TRACE", fields("max-forwards: 0"), 0),
    "another method": ("GET", fields("max-forwards: 0"), None),
    "without it": ("OPTIONS", (), None),
    "no number": ("OPTIONS", fields("max-forwards: x"), None),
    "more than any number": ("OPTIONS", fields(f"max-forwards: {'9' * 5000}"), None),
}


@pytest.mark.parametrize(("method", "headers", "left"), FORWARDS.values(), ids=FORWARDS)
def test_max_forwards(method, headers, left):
    assert max_forwards(method, headers) == left
