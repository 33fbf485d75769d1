"""RFC 9110: what a gateway owes to both sides, whatever it stores."""

import asyncio

import pytest
from engine_wire import on_the_wire
from exchange import FRESH, TAG, Case, ask, date, lines, play, said, table, unchanged
from fakes import VIA, FakeEngine
from wire import chunk, reply
from world import Stand, World, rule

from proxy.core.normalize.drop_params import DropParams
from proxy.core.normalize.sort_params import SortParams
from proxy.core.rules import default_rule
from proxy.errors import UpstreamReset

ONE = ask(said(cache_control=FRESH, etag=TAG, last_modified=date(-500)))
CODED = {"content_encoding": "gzip", "cache_control": "no-transform, max-age=60", "content_type": "text/html"}
MESSAGES = {
    "RFC 9110 §5.1 MUST: request fields that nobody knows go on": (
        ask(said(), x_unheard_of="1", purple="2").goes_up(x_unheard_of="1", purple="2"),
    ),
    "RFC 9110 §5.1 MUST: those of answers too": (
        ask(said(cache_control=FRESH, purple="2")).gets("one", purple="2"), ask(wait=1).gets("one", purple="2"),
    ),
    "RFC 9110 §5.3 MUST: lines of one name keep their order": (
        ask(said(cache_control=FRESH, x_a=["2", "1", "2"]), x_a=["b", "a", "b"]).goes_up(x_a=["b", "a", "b"]).gets("one", x_a=["2", "1", "2"]),
        ask(wait=1).gets("one", x_a=["2", "1", "2"]),
    ),
    "RFC 9110 §7.6 MUST: what went through us comes back to us no further": (ask(via=f"1.1 other, {VIA.decode()}").gets(None, 508),),
    "RFC 9110 §7.6.3 MUST: Via names us to the upstream": (ask(said()).goes_up(via=VIA.decode()),),
    "RFC 9110 §7.6.3 MUST: behind those who came before": (
        ask(said(), via="1.0 fred, 1.1 p").goes_up(via=f"1.0 fred, 1.1 p, {VIA.decode()}"),
    ),
    "RFC 9110 §7.6.3 MUST: also when we ask for ourselves": (
        ONE,
        ask(unchanged(), wait=61).goes_up(via=VIA.decode()).gets("one"),
        ask(said("two"), method="POST").goes_up(via=VIA.decode()),
    ),
    **{
        f"RFC 9110 §7.6.2 MUST: {method} with Max-Forwards: 0 goes no further": (
            ask(method=method, max_forwards=0).gets(status=200 if method == "OPTIONS" else 405),
        )
        for method in ("OPTIONS", "TRACE")
    },
    **{
        f"RFC 9110 §7.6.2 MUST: with more, {method} goes on with one less": (
            ask(said(), method=method, max_forwards=3).goes_up(max_forwards=2),
        )
        for method in ("OPTIONS", "TRACE")
    },
    "RFC 9110 §7.6.2 MAY: of other methods it is not looked at": (ask(said(), max_forwards=0).goes_up(max_forwards=0),),
    "RFC 9110 §7.7 MUST: no-transform, and what is coded stays so": (
        ask(said("\x1f\x8bcoded", **CODED), accept_encoding="gzip").gets("\x1f\x8bcoded", **CODED),
        ask(wait=1).gets("\x1f\x8bcoded", outcome="hit", **CODED),
    ),
    "RFC 9110 §7.7 MUST: a request's no-transform": (
        ask(said(), method="PUT", body=b"\x1f\x8bcoded", cache_control="no-transform", content_encoding="gzip").goes_up(
            cache_control="no-transform", content_encoding="gzip"
        ),
    ),
    **{
        f"RFC 9110 §9.2.2 MUST: {method} is sent once": (ask(UpstreamReset("gone"), method=method, body=b"x").gets(None, 502),)
        for method in ("POST", "PATCH", "PURPLE")
    },
    "RFC 9110 §9.2.2 MAY: what only reads is sent again": (ask(UpstreamReset("gone"), said()).gets("one"),),
    "RFC 9110 §11.6.2 MUST: Authorization goes up as it came": (
        ask(said(), authorization='Digest a="b",  c=D').goes_up(authorization='Digest a="b",  c=D'),
    ),
    "RFC 9110 §11.6.2 MUST: where it passes through": (
        ask(said(), method="POST", authorization="Basic YTpi").goes_up(authorization="Basic YTpi"),
    ),
    "RFC 9110 §11.6.2 MUST: and when we ask for ourselves": (
        ask(said(cache_control="public, max-age=10", etag=TAG)),
        ask(unchanged(), wait=11, authorization="Basic YTpi").goes_up(authorization="Basic YTpi").gets("one"),
    ),
    "RFC 9110 §12.5.5 MUST: we never say Vary: *": (
        ONE.gets("one", vary=None), ask().gets("one", vary=None), ask(if_none_match=TAG).gets("", 304, vary=None),
        ask(range="bytes=0-0").gets("o", 206, vary=None), ask(range="bytes=9-").gets("", 416, vary=None),
        ask(said("done"), method="POST").gets("done", vary=None),
        ask(cache_control="only-if-cached").gets(None, 504, vary=None),
    ),
    "RFC 9110 §13.2.2 MUST: If-Match is the upstream's to judge, before all": (
        ONE,
        ask(said("no", 412), if_match='"b"', if_none_match=TAG, range="bytes=0-0").goes_up(if_match='"b"', if_none_match=TAG, range="bytes=0-0"),
    ),
    "RFC 9110 §13.2.2 MUST: then If-None-Match, whatever the date": (
        ONE,
        ask(if_none_match=TAG, if_modified_since=date(-900)).gets("", 304),
        ask(if_none_match='"b"', if_modified_since=date()).gets("one"),
    ),
    "RFC 9110 §13.2.2 MUST: then If-Modified-Since": (ONE, ask(if_modified_since=date(-500), range="bytes=0-0").gets("", 304)),
    "RFC 9110 §13.2.2 MUST: conditions before Range": (
        ONE,
        ask(if_none_match=TAG, range="bytes=0-0").gets("", 304),
        ask(if_none_match='"b"', range="bytes=0-0").gets("o", 206),
    ),
    "RFC 9110 §13.2.2 MUST: Range only if If-Range holds": (
        ONE, ask(if_range=TAG, range="bytes=0-0").gets("o", 206), ask(if_range='"b"', range="bytes=0-0").gets("one"),
    ),
    "RFC 9110 §13.2.2 MUST: for HEAD no Range": (ONE, ask(method="HEAD", range="bytes=0-0").gets("", 200, content_length=3)),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(MESSAGES))
async def test_what_goes_on(steps: Case) -> None:
    await play(steps)


HOP = (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
EDGE = {
    "RFC 9110 §7.6.1 MUST: Connection and what it names": (
        {"connection": "X-Hop, close,x-hip", "x_hop": "1", "x_hip": "2", "x_a": "3"}, {"x_a": "3"},
    ),
    "RFC 9110 §7.6.1 MUST: on several lines": ({"connection": ["x-hop", "x-hip"], "x_hop": "1", "x_hip": "2"}, {}),
    "RFC 9110 §7.6.1 SHOULD: Proxy-Connection": ({"proxy_connection": "keep-alive"}, {}),
    "RFC 9110 §7.6.1 SHOULD: Keep-Alive": ({"keep_alive": "timeout=5"}, {}),
    "RFC 9110 §7.6.1 SHOULD: TE": ({"te": "trailers", "connection": "te"}, {}),
    "RFC 9110 §7.6.1 SHOULD: Transfer-Encoding": ({"transfer_encoding": "chunked"}, {}),
    "RFC 9110 §7.6.1 SHOULD: Upgrade": ({"upgrade": "h2c", "connection": "upgrade"}, {}),
    "RFC 9110 §7.6.1 MUST: also if Connection names Cache-Control": ({"connection": "cache-control", "cache_control": "max-age=5"}, {}),
}  # fmt: skip
NAMED = "what routing, framing, limits or the key depend on stays, whatever Connection names"


@pytest.mark.parametrize(("fields", "left"), EDGE.values(), ids=EDGE)
async def test_what_is_the_connections_own_stays_behind(fields, left, request: pytest.FixtureRequest) -> None:
    """RFC 9110 §7.6.1, in both directions."""
    if "Cache-Control" in request.node.name:
        request.applymarker(pytest.mark.xfail(strict=True, reason=NAMED))
    here = Stand(said("one", **fields), rules=(default_rule(),))
    here.feed(b"")
    assert await here.serve(*lines(fields)) == 200
    ours = {b"host", b"via", b"x-forwarded-for", b"x-request-id", b"cache-status", b"content-length", b"date"}
    for headers in (here.request.headers, here.sent[0]["headers"]):
        assert [field for field in headers if field[0] not in ours] == [*lines(left)]
        assert {name for name, _ in headers}.isdisjoint(HOP)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_rfc_9110_7_6_3_must_via_tells_the_protocol_that_a_request_came_by(version: str) -> None:
    """RFC 9110 §7.6.3 MUST."""
    here = Stand(said())
    await here.serve(http_version=version)
    assert here.request.header(b"via") == VIA.replace(b"1.1", version.encode(), 1)


TARGETS = ("/a?b=2&a=1&_=9", "/a%2Fb/%7e/../x", "/a//b?", "/a;x=1?b=%zz&b&&", "/A?q=a+b%20c")


@pytest.mark.parametrize("target", TARGETS)
async def test_rfc_9110_7_7_must_the_target_goes_up_as_it_came(target: str) -> None:
    """RFC 9110 §7.7 MUST: what makes the key is not what goes up."""
    normal = rule(path="/**", normalizers=(SortParams(), DropParams(("_",))))
    for rules in ((normal,), (default_rule(),), ()):
        here = await play([ask(said(), to=target)], World(FakeEngine(), rules=rules))
        assert here.engine.requests[0].target == target.encode()


async def test_rfc_9110_15_2_must_interim_answers_do_no_harm_though_they_do_not_go_on() -> None:
    """RFC 9110 §15.2 MUST: ASGI has no word for them; the final answer is neither lost nor mixed with them."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nCache-Control: no-store\r\nX-Hint: 1\r\n\r\n"
    final = (
        reply(200, b"", b"Transfer-Encoding: chunked", b"Cache-Control: max-age=60", length=False)
        + chunk(b"one")
        + chunk(b"")
    )
    async with on_the_wire(b"HTTP/1.1 100 Continue\r\n\r\n" + hints + hints + final) as (here, upstream):
        for outcome in ("miss", "hit"):
            async with asyncio.timeout(10):
                got = await here.ask()
            assert (got.status, got.body, here.outcomes[-1]) == (200, b"one", outcome)
            assert got.header(b"link") is got.header(b"x-hint") is None
            assert got.header(b"cache-control") == b"max-age=60"
        assert len(upstream.exchanges) == 1
