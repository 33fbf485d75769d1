"""RFC 9111 §1.2.2 and §3: what a shared cache may store, and what of it."""

import asyncio

import pytest
from engine_wire import on_the_wire
from exchange import FRESH, TAG, Case, ask, date, play, said, table, unchanged
from fakes import Body, answer
from wire import chunk, reply

OLD = date(-1_000_000)
GUESSABLE = {"last_modified": OLD, "date": date()}


def kept(body: str = "one", status: int = 200, **fields) -> Case:
    """Return the steps that show that an answer is stored."""
    return ask(said(body, status, **fields)), ask(wait=1).gets(body, status, outcome="hit")


def passed(status: int = 200, **fields) -> Case:
    """Return the steps that show that an answer is not stored."""
    return ask(said("one", status, **fields)), ask(said("two"), wait=1).gets("two")


HEURISTIC = (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501)
MAY_STORE = {
    "RFC 9111 §1.2.2 MUST: a time too long to count is 2³¹ seconds": (
        ask(said(cache_control="max-age=99999999999999999999")),
        ask(wait=2**31 - 1).gets("one", cache_status="Frontrunner; hit; ttl=1"),
        ask(said("two"), wait=1).gets("two"),
    ),
    "RFC 9111 §1.2.2 MUST: so is an Age": (
        ask(said(cache_control="max-age=10", etag=TAG, age=12345678901234567890)),
        ask(unchanged(age=12345678901234567890), wait=1).gets("one", age=2**31),
    ),
    "RFC 9111 §3 MUST: only for methods that are understood": tuple(
        [ask(said(cache_control=FRESH), method=method) for method in ("POST", "PUT", "PATCH", "OPTIONS", "PURPLE")]
        + [ask(said("two"), wait=1)]
    ),
    "RFC 9111 §3 MUST: an answer to one method is not one to another": (
        *kept(cache_control=FRESH),
        ask(said("deleted"), method="DELETE"),
    ),
    "RFC 9111 §3 MUST: what no-store is said of is not stored": passed(cache_control="no-store, max-age=60"),
    "RFC 9111 §3 MUST: nor what private is said of": passed(cache_control="private, max-age=60"),
    "RFC 9111 §3 MUST: nor a 304": (ask(unchanged(cache_control=FRESH, etag=TAG)), ask(said("two"), wait=1)),
    "RFC 9111 §3 MUST: a 206 is stored, since it is understood": (
        ask(said("2345", 206, cache_control=FRESH, content_range="bytes 2-5/10"), range="bytes=2-5"),
        ask(wait=1, range="bytes=3-4").gets("34", 206, outcome="hit", content_range="bytes 3-4/10"),
    ),
    "RFC 9111 §3 MUST: must-understand is understood": kept(cache_control="must-understand, max-age=60"),
    "RFC 9111 §3 MUST: must-understand with a status that is not": passed(
        599, cache_control="must-understand, max-age=60"
    ),
    "RFC 9111 §3 MUST: any final status with a lifetime of its own": kept(status=599, cache_control=FRESH),
    "RFC 9111 §3 MUST: nothing without a lifetime, public or a status to guess by": passed(302, **GUESSABLE),
    "RFC 9111 §3 MUST: a lifetime by Expires": kept(expires=date(60)),
    "RFC 9111 §3 MUST: a lifetime by s-maxage": kept(cache_control="s-maxage=60"),
    "RFC 9111 §3 MUST: public, for a status that is not to guess by": kept(
        status=302, cache_control="public", **GUESSABLE
    ),
    "RFC 9111 §3.5 MUST: not what was asked with credentials": (
        ask(said(cache_control=FRESH), authorization="Basic YTpi"),
        ask(said("two"), wait=1).gets("two"),
    ),
    "RFC 9111 §3.5 MUST: not for the same credentials either": (
        ask(said(cache_control=FRESH), authorization="Basic YTpi"),
        ask(said("two"), wait=1, authorization="Basic YTpi").gets("two"),
    ),
    **{
        f"RFC 9111 §3.5 MUST: unless it says {word.partition('=')[0]}": (
            ask(said(cache_control=f"max-age=60, {word}"), authorization="Basic YTpi"),
            ask(wait=1, authorization="Basic Yzpk").gets("one", outcome="hit"),
        )
        for word in ("public", "must-revalidate", "s-maxage=50")
    },
    **{
        f"RFC 9110 §15.1 MAY: a lifetime is guessed for {status}": kept("" if status == 204 else "one", status, **GUESSABLE)
        for status in HEURISTIC
    },
    **{
        f"RFC 9110 §15.1 MUST: but not for {status}": passed(status, **GUESSABLE)
        for status in (201, 302, 307, 400, 403, 500, 503)
    },
    "RFC 9110 §15.1 MAY: a lifetime is guessed for 206": (
        ask(said("23", 206, content_range="bytes 2-3/9", **GUESSABLE), range="bytes=2-3"),
        ask(wait=1, range="bytes=2-3").gets("23", 206, outcome="hit"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(MAY_STORE))
async def test_what_may_be_stored(steps: Case) -> None:
    await play(steps)


SECRETS = {"proxy_authenticate": "Basic", "proxy_authentication_info": "x=1", "proxy_authorization": "Basic YTpi"}
OF_A_CONNECTION = {"connection": "x-hop, close", "x_hop": "1", "keep_alive": "timeout=5", "transfer_encoding": "x"}
GONE = dict.fromkeys
FIELDS = {
    "RFC 9111 §3.1 MUST: all fields are kept, those that nobody knows too": (
        ask(said(cache_control=FRESH, x_unheard_of=["b", "a"], content_type="text/x", link="</s>", server="s", via="1.1 x")),
        ask(wait=1).gets(
            "one", x_unheard_of=["b", "a"], content_type="text/x", link="</s>", server="s", via="1.1 x", cache_control=FRESH
        ),
    ),
    "RFC 9111 §3.1 MUST: fields about a proxy's credentials are not": (
        ask(said(cache_control=FRESH, **SECRETS)),
        ask(wait=1).gets("one", **GONE(SECRETS)),
    ),
    "RFC 9111 §3.1 MUST: nor those of the connection, and those that Connection names": (
        ask(said(cache_control=FRESH, **OF_A_CONNECTION)).gets("one", **GONE(OF_A_CONNECTION)),
        ask(wait=1).gets("one", **GONE(OF_A_CONNECTION)),
    ),
    "RFC 9111 §3.1 MUST: nor those that private and no-cache name": (
        ask(said(cache_control='max-age=60, private="X-A, x-b", no-cache=x-c', x_a="1", x_b="2", x_c="3", x_d="4")).gets(
            "one", x_a="1", x_b="2", x_c="3", x_d="4"
        ),
        ask(wait=1).gets("one", x_a=None, x_b=None, x_c=None, x_d="4"),
    ),
    "RFC 9111 §3.2 MUST: a 304 replaces the fields that it brings": (
        ask(said(etag=TAG, cache_control="max-age=10", x_a=["1", "2"], x_b="1", expires=date(10))),
        ask(unchanged(etag=TAG, cache_control=FRESH, x_a="3", x_c="4"), wait=11).gets("one", x_a="3", x_b="1", x_c="4"),
        ask(wait=59).gets("one", outcome="hit", cache_control=FRESH, x_a="3", x_b="1", x_c="4", expires=date(10)),
    ),
    "RFC 9111 §3.2 MUST: but not Content-Length": (
        ask(said(etag=TAG, cache_control="max-age=10")),
        ask(unchanged(etag=TAG, cache_control=FRESH, content_length="99"), wait=11).gets("one", content_length=3),
        ask(wait=1).gets("one", content_length=3),
    ),
    "RFC 9111 §3.2 MUST: nor what tells how the stored bytes are to be read": (
        ask(said(etag=TAG, cache_control="max-age=10", content_encoding="gzip")),
        ask(unchanged(cache_control=FRESH, content_encoding="br", content_range="bytes 0-0/3"), wait=11).gets(
            "one", content_encoding="gzip", content_range=None
        ),
    ),
    "RFC 9111 §3.2 MUST: nor what is never stored": (
        ask(said(etag=TAG, cache_control="max-age=10")),
        ask(unchanged(cache_control=FRESH, **SECRETS, **OF_A_CONNECTION), wait=11).gets("one"),
        ask(wait=1).gets("one", **GONE(SECRETS), **GONE(OF_A_CONNECTION)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(FIELDS))
async def test_which_fields_are_stored(steps: Case) -> None:
    await play(steps)


def short(body: bytes = b"half", length: int = 8):
    """Return an upstream whose connection ends in the middle of a body."""
    return lambda _: answer(Body(body), (b"content-length", b"%d" % length), (b"cache-control", FRESH.encode()))


def part(body: str, held: str, tag: str | None = TAG, **fields):
    return said(body, 206, **{"cache_control": FRESH, "etag": tag, "content_range": f"bytes {held}/10", **fields})


WHOLE = "0123456789"
HALF = ask(part("01234", "0-4"), range="bytes=0-4")
PARTS = {
    "RFC 9111 §3.3 MUST: what ended before its length answers nobody": (
        ask(short()).gets("half", cut=True),
        ask(said("whole"), wait=1).gets("whole"),
    ),
    "RFC 9111 §3.3 MUST: a part never stands for the whole": (HALF, ask(said(WHOLE, cache_control=FRESH), wait=1)),
    "RFC 9111 §3.3 MUST: nor for another part": (
        HALF,
        ask(part("56789", "5-9", '"b"'), wait=1, range="bytes=5-9").gets("56789", 206),
    ),
    "RFC 9111 §3.3 MUST: what lies within it is told to be a part": (
        HALF,
        ask(wait=1, range="bytes=1-2").gets("12", 206, content_range="bytes 1-2/10", content_length=2, outcome="hit"),
    ),
    "RFC 9111 §3.3 MUST: what reaches beyond it goes up": (
        HALF,
        ask(part("3456", "3-6"), wait=1, range="bytes=3-6").gets("3456", 206),
    ),
    "RFC 9111 §3.3 MUST: made whole it is one": (
        HALF,
        ask(part("56789", "5-9"), wait=1).goes_up(range="bytes=5-", if_range=TAG).gets(WHOLE, content_range=None),
        ask(wait=1).gets(WHOLE, outcome="hit", content_length=10),
    ),
    "RFC 9111 §3.3 MUST: a part that does not say which is not stored": (
        ask(said("01", 206, cache_control=FRESH, etag=TAG), range="bytes=0-1"),
        ask(said("01", 206), wait=1, range="bytes=0-1"),
    ),
    "RFC 9111 §3.4 MUST: parts are joined where both have one strong tag": (
        HALF,
        ask(part("56789", "5-9"), wait=1, range="bytes=5-9"),
        ask(wait=1).gets(WHOLE, outcome="hit"),
    ),
    "RFC 9111 §3.4 MUST: not where their tags differ": (
        HALF,
        ask(part("56789", "5-9", '"b"'), wait=1, range="bytes=5-9"),
        ask(said("new"), wait=1).gets("new"),
    ),
    "RFC 9111 §3.4 MUST: not where they are weak": (
        ask(part("01234", "0-4", 'W/"a"'), range="bytes=0-4"),
        ask(part("56789", "5-9", 'W/"a"'), wait=1, range="bytes=5-9"),
        ask(said("new"), wait=1).goes_up(range=None).gets("new"),
    ),
    "RFC 9111 §3.4 MUST: not where there are none": (
        ask(part("01234", "0-4", None), range="bytes=0-4"),
        ask(part("56789", "5-9", None), wait=1, range="bytes=5-9"),
        ask(said("new"), wait=1).goes_up(range=None).gets("new"),
    ),
    "RFC 9111 §3.4 MUST: what changed meanwhile is taken whole": (
        HALF,
        ask(said("new", cache_control=FRESH, etag='"b"'), wait=1).goes_up(if_range=TAG).gets("new"),
        ask(wait=1).gets("new", outcome="hit"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(PARTS))
async def test_parts_and_what_is_incomplete(steps: Case) -> None:
    await play(steps)


async def test_rfc_9111_3_1_must_trailers_are_not_merged_into_the_fields() -> None:
    """RFC 9111 §3.1 MUST; with an engine and a socket, where trailers are."""
    ending = b"0\r\nX-Sum: 1\r\nSet-Cookie: a=1\r\nCache-Control: no-store\r\n\r\n"
    chunked = (b"Transfer-Encoding: chunked", b"Cache-Control: max-age=60", b"Trailer: X-Sum")
    async with on_the_wire(reply(200, b"", *chunked, length=False) + chunk(b"one") + ending) as (here, upstream):
        for outcome in ("miss", "hit"):
            async with asyncio.timeout(10):
                got = await here.ask()
            assert (got.body, here.outcomes[-1]) == (b"one", outcome)
            assert got.header(b"x-sum") is got.header(b"set-cookie") is got.header(b"transfer-encoding") is None
            assert got.header(b"cache-control") == b"max-age=60"
        assert len(upstream.exchanges) == 1
