"""What odd, broken and hostile upstreams and clients send to caches: each gets its own answer, and nobody another's."""

import asyncio

import pytest
from engine_wire import on_the_wire
from exchange import FRESH, TAG, Case, ask, date, play, said, table, unchanged, world
from fakes import FakeEngine
from wire import reply
from world import World, rule

SHORT = "max-age=10"
OLD = ask(said(cache_control=SHORT, etag=TAG))
HOUR = 3600


def kept(**fields) -> Case:
    return ask(said(**fields)), ask(wait=9).gets("one", outcome="hit")


def not_kept(**fields) -> Case:
    return ask(said(**fields)), ask(said("two"), wait=1).gets("two")


def for_long(**fields) -> Case:
    return ask(said(**fields)), ask(wait=2**31 - 1).gets("one", outcome="hit"), ask(said("two"), wait=1).gets("two")


VARY = {
    "Vary: * is never used again": not_kept(cache_control=FRESH, vary="*"),
    "Vary: * among others": not_kept(cache_control=FRESH, vary=["accept", " * "]),
    "Vary: * on what was stored without": (
        ask(said(cache_control=FRESH)),
        ask(said("two", cache_control=FRESH, vary="*"), cache_control="no-cache"),
        ask(said("three"), wait=1).gets("three"),
    ),
    "Vary: * in a 304": (OLD, ask(unchanged(vary="*", cache_control=FRESH), wait=11).gets("one"), ask(said("two"), wait=1).gets("two")),
    "Vary: Cookie, to each his own": (
        ask(said("ann's", cache_control=FRESH, vary="Cookie"), cookie="sid=ann"),
        ask(said("bob's", cache_control=FRESH, vary="Cookie"), cookie="sid=bob"),
        ask(said("nobody's", cache_control=FRESH, vary="Cookie")),
        ask(cookie="sid=ann").gets("ann's", outcome="hit"), ask(cookie="sid=bob").gets("bob's"), ask().gets("nobody's"),
        ask(said("hers", vary="Cookie"), cookie="sid=ann; theme=dark").gets("hers"),
    ),
    "Vary: Cookie, asked about by each one's own tag": (
        *[ask(said(name, cache_control=SHORT, vary="Cookie", etag=f'"{name}"'), cookie=name) for name in ("ann", "bob")],
        *[ask(unchanged(), wait=11, cookie=name).goes_up(if_none_match=f'"{name}"').gets(name) for name in ("ann", "bob")],
    ),
    "Vary that names nothing": kept(cache_control=SHORT, vary=" , "),
    "Vary that names what no request has": kept(
        cache_control=SHORT, vary=", ".join([f"x-{number}" for number in range(500)])
    ),
}  # fmt: skip
AGE = {
    **{
        f"Age {age!r} is ignored": kept(cache_control=SHORT, age=age)
        for age in ("-1", "-99999", "1.5", "1e9", "nine", "0x9", "")
    },
    "Age as a list: the first": (ask(said(cache_control=FRESH, age="5, 50, 500")), ask(wait=1).gets("one", age=6)),
    "Age as lines: the first": (ask(said(cache_control=FRESH, age=["5", "500"])), ask(wait=1).gets("one", age=6)),
    "Age as a list of nonsense and a number": kept(cache_control=SHORT, age="x, 500"),
    **{
        f"Age of {len(age)} digits is old": not_kept(cache_control=FRESH, age=age)
        for age in ("9" * 10, "9" * 20, "1" + "0" * 5000)
    },
    "Date in the future makes nothing younger": (
        ask(said(cache_control=FRESH, date=date(HOUR))), ask(wait=59).gets("one", age=59), ask(said("two"), wait=1),
    ),
    "Date in the future, by Expires": (
        ask(said(expires=date(HOUR + 60), date=date(HOUR))), ask(wait=59).gets("one"), ask(said("two"), wait=1),
    ),
    "Date in the future, Expires before it": not_kept(expires=date(HOUR), date=date(2 * HOUR)),
    "Date in the far future": kept(cache_control=SHORT, date="Fri, 31 Dec 9999 23:59:59 GMT"),
    "Date in the past makes it old": not_kept(cache_control=FRESH, date=date(-HOUR)),
    "Date in the past by less": (ask(said(cache_control=FRESH, date=date(-31))), ask(wait=29).gets("one"), ask(said("two"), wait=1)),
    "Date that is none": kept(cache_control=SHORT, date="yesterday"),
    "Date twice": kept(cache_control=SHORT, date=[date(), date(-HOUR)]),
}  # fmt: skip
MAX_AGE = {
    "max-age quoted": (ask(said(cache_control='max-age="60"')), ask(wait=59).gets("one"), ask(said("two"), wait=1)),
    "max-age half quoted": not_kept(cache_control='max-age="60'),
    "max-age duplicated: the first": (ask(said(cache_control="max-age=5, max-age=60")), ask(wait=4).gets("one"), ask(said("two"), wait=1)),
    "max-age duplicated: on two lines": (
        ask(said(cache_control=["max-age=5", "max-age=60"])), ask(wait=4).gets("one"), ask(said("two"), wait=1),
    ),
    **{
        f"max-age overflowing by {len(digits)} digits": for_long(cache_control=f"max-age={digits}")
        for digits in ("2147483649", "9" * 19, "9" * 5000)
    },
    **{
        f"max-age {value!r} is none": not_kept(cache_control=f"max-age={value}")
        for value in ("-1", "1.5", "", "1e3", "0x10", "six", "'60'", "60s")
    },
    "max-age in another word": not_kept(cache_control="x-max-age=60, max_age=60"),
}  # fmt: skip
COOKIES = {
    "Set-Cookie with public is for its asker only": (
        ask(said(cache_control="public, max-age=60", set_cookie="sid=1")).gets("one", set_cookie="sid=1"),
        ask(said("two", cache_control="public, max-age=60", set_cookie="sid=2")).gets("two", set_cookie="sid=2"),
    ),
    "Set-Cookie with public in a 304 ends what was stored": (
        OLD,
        ask(unchanged(cache_control="public, max-age=60", set_cookie="sid=1"), wait=11).gets("one"),
        ask(said("two"), wait=1).gets("two"),
    ),
    **{
        f"{word}, and the answer is for all but for that": (
            ask(said(cache_control=f"max-age=60, {word}", set_cookie="sid=1", x_a="1")).gets("one", set_cookie="sid=1"),
            ask(wait=1).gets("one", outcome="hit", set_cookie=None, x_a="1"),
        )
        for word in ('private="set-cookie"', 'private="Set-Cookie, x-b"', "private=set-cookie", 'no-cache="set-cookie"')
    },
    'private="set-cookie" and private': not_kept(cache_control='private="set-cookie", private, max-age=60'),
    'private="set-cookie" in a 304': (
        OLD, ask(unchanged(cache_control='max-age=60, private="set-cookie"', set_cookie="sid=1"), wait=11).gets("one"),
        ask(wait=1).gets("one", outcome="hit", set_cookie=None),
    ),
}  # fmt: skip
PART = said("01", 206, cache_control=FRESH, etag=TAG, content_range="bytes 0-1/10")
PARTS = {
    "206 without a Range is passed on, and is not the whole": (
        ask(PART), ask(said("0123456789"), wait=1).gets("0123456789"), ask(said("01", 206), range="bytes=0-1"),
    ),
    "206 of the whole without a Range": (ask(said("one", 206, cache_control=FRESH, content_range="bytes 0-2/3")), ask(said("two"), wait=1)),
    "206 to our question ends nothing": (OLD, ask(PART, wait=11), ask(unchanged(), wait=1).gets("one", outcome="revalidated")),
    "206 of other bytes than were asked for is told as what it is": (
        ask(PART, range="bytes=5-9"),
        ask(said("56789", 206), wait=1, range="bytes=5-9"),
        ask(wait=1, range="bytes=0-0").gets("0", 206),
    ),
}  # fmt: skip
CONFIRMED = {
    "304 with an unknown ETag is not about what is stored": (
        OLD,
        ask(unchanged(etag='"b"'), said("two", cache_control=FRESH), wait=11).gets("two"),
        ask(wait=1).gets("two", outcome="hit"),
    ),
    "304 with an unknown ETag twice": (
        OLD, ask(unchanged(etag='"b"'), unchanged(etag='"b"'), wait=11), ask(unchanged(etag=TAG), wait=1).gets("one"),
    ),
    "304 without an ETag is about the one that was asked about": (OLD, ask(unchanged(), wait=11).gets("one")),
    "304 that adds an ETag": (
        ask(said(cache_control=SHORT, last_modified=date(-9))),
        ask(unchanged(etag='"b"', last_modified=date(-9)), wait=11).gets("one", etag='"b"'),
    ),
    "304 to our question is a 200 to an unconditional client": (OLD, ask(unchanged(), wait=11).gets("one", 200, content_length=3)),
    "304 to our question for an unconditional HEAD": (OLD, ask(unchanged(), method="HEAD", wait=11), ask(unchanged(), wait=1).gets("one")),
    "304 that nobody asked for is passed on and not stored": (ask(unchanged(cache_control=FRESH, etag=TAG)), ask(said("two"), wait=1)),
    "304 to another's condition is not for an unconditional client": (
        ask(unchanged(cache_control=FRESH, etag=TAG), if_none_match=TAG), ask(said("two"), wait=1),
    ),
}  # fmt: skip
ENDS = {
    f"{word} arriving {how}": (
        ask(said(cache_control=f"{SHORT}, stale-while-revalidate=5, stale-if-error=99", etag=TAG)),
        ask(*upstream, wait=wait, method=method).gets(got),
        ask(said("three"), wait=1).goes_up(if_none_match=None).gets("three"), ask(said("no", 503), wait=1).gets("no", 503),
    )
    for word in ("no-store", "private")
    for how, method, wait, upstream, got in (
        ("with a 304", "GET", 16, (unchanged(etag=TAG, cache_control=word),), "one"),
        ("with a 200", "GET", 16, (said("two", cache_control=word),), "two"),
        ("with a 304 behind a stale answer", "GET", 12, (unchanged(etag=TAG, cache_control=word),), "one"),
        ("with a 200 behind a stale answer", "GET", 12, (said("two", cache_control=word),), "one"),
        ("with a HEAD", "HEAD", 16, (said("one", etag=TAG, cache_control=word),), ""),
    )
}  # fmt: skip
MANY = {
    "overlapping": ",".join(["0-"] * 1000),
    "overlapping, each a little shorter": ",".join([f"{start}-" for start in range(1000)]),
    "of the last bytes": ",".join(["-9"] * 1000),
    "of one byte each": ",".join([f"{start}-{start}" for start in range(0, 2000, 2)]),
    "backwards": ",".join([f"{start}-{start + 5}" for start in range(1000, 0, -1)]),
}
TEXT = "0123456789" * 500
RANGES = {
    **{
        f"1000 ranges {how}: the whole serves these better": (
            ask(said(TEXT, cache_control=FRESH)),
            ask(wait=1, range=f"bytes={listed}").gets(TEXT, 200, "hit", content_range=None),
        )
        for how, listed in MANY.items()
    },
    "1000 ranges of what is not stored are the upstream's affair": (
        ask(said(TEXT), range=f"bytes={MANY['overlapping']}").goes_up(range=f"bytes={MANY['overlapping']}"),
    ),
    "1000 ranges of a stored part": (
        ask(PART, range="bytes=0-1"), ask(said(TEXT), wait=1, range=f"bytes={MANY['overlapping']}").gets(TEXT),
    ),
    "1000 ranges within the whole": (
        ask(said(TEXT, cache_control=FRESH)),
        ask(range="bytes=0-0,2-2").gets(None, 206, "hit"),
        ask(range="bytes=9-,0-").gets(TEXT),
    ),
}  # fmt: skip
ALL = VARY | AGE | MAX_AGE | COOKIES | PARTS | CONFIRMED | ENDS | RANGES


@pytest.mark.parametrize("steps", table(ALL))
async def test_the_right_answer(steps: Case) -> None:
    await play(steps)


@pytest.mark.parametrize("word", ["public", "public, max-age=60", ""])
async def test_a_cookie_is_for_its_asker_under_an_owners_ttl_too(word: str) -> None:
    answers = [said(str(number), cache_control=word or None, set_cookie=f"sid={number}") for number in range(3)]
    steps = [ask(one).gets(str(number), set_cookie=f"sid={number}") for number, one in enumerate(answers)]
    await play(steps, World(FakeEngine(), rules=(rule(path="/**"),)))


async def test_500_variants_of_one_target_get_their_own_answers_and_little_room() -> None:
    """Ten are kept; the others pass, and leave those alone; when those are stale there is room again."""
    here = world()
    variants = [ask(said(f"for {number}", cache_control=FRESH, vary="x-a"), x_a=str(number)) for number in range(500)]
    await play(variants, here)
    assert here.store.status().entries == 11
    await play([ask(x_a=str(number)).gets(f"for {number}", outcome="hit") for number in range(10)], here)
    await play(variants[10:20], here)
    assert here.outcomes[-1] == "passthrough:variants"
    await play(
        [ask(said("new", cache_control=FRESH, vary="x-a"), x_a="400", wait=61), ask(x_a="400").gets("new")], here
    )
    assert here.store.status().entries <= 11


async def test_500_answers_that_each_vary_by_another_field_stay_apart() -> None:
    here = world()
    for number in range(500):
        name = f"x_{number}"
        told = said(f"for {number}", cache_control=FRESH, vary=f"x-{number}")
        await play([ask(told, cache_control="no-cache", **{name: "1"}), ask(**{name: "1"}).gets(f"for {number}")], here)
        await play([ask(said("other", vary="*"), **{name: "2"}).gets("other")], here)


INTERIM = {
    "a 100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a 102 and two 103": b"HTTP/1.1 102 P\r\n\r\n" + b"HTTP/1.1 103 E\r\nLink: </a>\r\nSet-Cookie: a=1\r\n\r\n" * 2,
    "one that nobody knows": b'HTTP/1.1 199 X\r\nCache-Control: no-store\r\nETag: "x"\r\n\r\n',
    "one that nobody knows, with a length": b"HTTP/1.1 199 X\r\nContent-Length: 9\r\n\r\n",
}  # fmt: skip
REFUSED = pytest.mark.xfail(
    strict=True, reason="aiohttp's parser waits for the body of a 1xx that it does not know: a 502"
)


@pytest.mark.parametrize(
    "interim",
    [pytest.param(said, id=name, marks=[REFUSED] if "length" in name else []) for name, said in INTERIM.items()],
)
async def test_1xx_before_200_is_no_answer_and_no_part_of_one(interim: bytes) -> None:
    """With an engine and a socket; the connection serves on."""
    final = reply(200, b"one", b"Cache-Control: max-age=60")
    async with on_the_wire([interim + final, reply(200, b"two")]) as (here, upstream), asyncio.timeout(10):
        for outcome in ("miss", "hit"):
            got = await here.ask()
            assert (got.status, got.body, here.outcomes[-1]) == (200, b"one", outcome)
            assert {b"link", b"set-cookie", b"etag"}.isdisjoint(dict(got.headers))
        assert (await here.ask(ask(to="/b").request)).body == b"two"
        assert upstream.connections == 1
