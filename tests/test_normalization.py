"""What a body means, on the whole road: what means the same is asked once, what differs is not, what is in doubt passes.

The origin answers with the very bytes that it was sent, so that whoever got another body's answer shows it.
"""

import gzip
import zlib
from typing import Any

import pytest
from fakes import Body, FakeEngine, answer
from world import HOST, World, rule

from proxy.core.normalize.form import Form
from proxy.core.normalize.json import Json
from proxy.core.normalize.sort_params import SortParams
from proxy.core.types import Client, Request, Response

JSON = b"application/json"
METHODS = ("POST", "QUERY", "QUERY as POST")
TEN_MB = b"k" * 10_000_000

pytestmark = pytest.mark.parametrize("method", METHODS)


def echo(request: Request) -> Response:
    return answer(request.body if isinstance(request.body, bytes) else b"streamed", (b"cache-control", b"max-age=60"))


def world(method: str, *normalizers: Any, **more: Any) -> World:
    """Return a proxy that reads these bodies; offered, a QUERY goes up as the POST that the service knows."""
    offered = method == "QUERY as POST"
    methods = frozenset({"POST" if offered else method})
    one = rule(safe=True, methods=methods, normalizers=normalizers or (Json(),), offers_query=offered, **more)
    return World(FakeEngine(echo), rules=(one,))


def one(method: str, body: bytes | Body, media_type: bytes | None = JSON, *fields: tuple[bytes, bytes]) -> Request:
    told = () if media_type is None else ((b"content-type", media_type),)
    client = Client("192.0.2.7", "192.0.2.7")
    return Request(method.partition(" ")[0], b"/kept/a", (HOST, *told, *fields), body, client)


ALIKE = {
    "spelling": (Json(), ['{"a":1,"b":[true]}', ' { "b" : [ true ] ,\r\n\t"a" : 1 } ', '{"\\u0061":1,"\\u0062":[true]}']),
    "escapes": (Json(), ['"é/\\""', '"\\u00e9\\/\\u0022"', '"\\u00E9/\\""']),
    "a pair of surrogates": (Json(), ['"\U0001f600"', '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"']),
    "the order of an array that has none": (Json(unordered=("$.f",)), ['{"f":[2,1,2]}', '{"f":[1,2,2]}', '{"f":[2,2,1]}']),
    "a field outside of what counts": (Json(only=("$.q",)), ['{"q":1,"id":1}', '{"q":1,"id":2}', '{"q":1}', '{"z":{},"q":1}']),
    "a field that is ignored": (Json(ignore=("$.id",)), ['{"q":1,"id":1}', '{"id":{"q":2},"q":1}', '{"q":1}']),
    "text, composed or not": (Json(text=("$",)), ['"é  b"', '" e\\u0301 b"', '"e\u0301\\tb\\n"']),
    "a form's pairs": (Form(), ["b=2&a=1+x", "a=1%20x&b=2", "&%61=1+x&&b=2"]),
}  # fmt: skip
APART = {
    "spellings of a number": (Json(), "1 1.0 1e0 1E0 1.00 -0 0 0.0 -0.0 10e-1"),
    "what a float cannot tell apart": (Json(), "9007199254740993 9007199254740992 9007199254740993.0 1e400 1e401 -1e400"),
    "digits behind the fourth": (Json(), "1.00001 1.00002 1.0000 1.000010"),
    "lone surrogates": (Json(), r'"\ud800" "\udc00" "\udfff" "\udc00\ud800" "\ufffd" "?" "" "\\ud800"'),
    "the order of an array": (Json(), "[1,2] [2,1] [1,2,2] [[1],2] [1,[2]] [1,2,null] [12]"),
    "the order of another array": (Json(unordered=("$.f",)), '{"f":[1],"g":[1,2]} {"f":[1],"g":[2,1]} {"f":[[1,2]]} {"f":[[2,1]]}'),
    "how many there are where order does not matter": (Json(unordered=("$",)), '[1,2] [1,2,2] [1,1,2] ["1",2] ["1,2"] [[1,2]]'),
    "absent, null and empty": (Json(), '{} {"a":null} {"a":""} {"a":0} {"a":false} {"a":[]} {"a":{}} {"":null} null ""'),
    "absent, null and empty, of what counts": (Json(only=("$.a",)), '{} {"a":null} {"a":""} {"a":[]} {"a":{}} {"a":"null"} null []'),
    "absent, null and empty text": (Json(text=("$.a",)), '{} {"a":null} {"a":""} {"a":[""]}'),
    "a field that counts": (Json(only=("$.q",)), '{"q":1,"id":1} {"q":2,"id":1} {"q":[1],"id":1} {"Q":1,"id":1}'),
    "a field where another is ignored": (Json(ignore=("$.a.id",)), '{"a":{"id":1}} {"a":{"id":1},"id":1} {"a":1} {"id":1} {"a":[{"id":1}]} {"a":[{"id":2}]}'),
    "delimiters inside values": (Json(), r'{"a":"b","c":"d"} {"a":"b\",\"c\":\"d"} {"a":"b:c=d"} {"a:b":"c=d"} {"a:b=c":""} {"a":["b,c"]} {"a":["b","c"]}'),
    "types": (Json(), '1 "1" true "true" null "null" [] "[]" {} "{}" [null] [[]] [{}]'),
    "case and form of letters": (Json(), r'"é" "e\u0301" "É" "e" "\u00e9\u200b" "\ufeff\u00e9" "\u0000" "\u00a0" "\u0020"'),
    "case of letters in text": (Json(text=("$",)), r'"a" "A" "k" "K" "\u0000a" "\ufb01" "fi" "\u0130" "i"'),
    "delimiters inside a form": (Form(), "a=1&b=2 a=1%26b=2 a%3D1&b=2 a=1=&b=2 a=1;b=2 a=1%00&b=2 a&b=2 a=&b=2"),
    "as it came": (SortParams(), '{"a":1} {"a":1.0} {"\\u0061":1} [{"a":1}] a=1&b=2 b=2&a=1'),
}  # fmt: skip
MEDIA_TYPES = (
    None, b"application/json", b"application/json; charset=utf-8", b'application/json;charset="UTF-8"', b"text/plain",
    b"application/ld+json", b"application/vnd.a+json", b"application/json; profile=a", b"application/json; profile=A",
    b"application/x-www-form-urlencoded", b"nonsense", b"application/json, text/plain",
)  # fmt: skip
# RFC 8878 and RFC 7932, by hand: a raw block, and an uncompressed meta-block, with the seven bytes of {"a":1}.
CODINGS = {
    "gzip": gzip.compress(b'{"a":1}', mtime=0), "x-gzip": gzip.compress(b'{"a":1}', mtime=0),
    "deflate": zlib.compress(b'{"a":1}'), "zstd": bytes.fromhex("28b52ffd2007390000") + b'{"a":1}',
    "br": bytes.fromhex("0b0380") + b'{"a":1}' + b"\x03", "identity": b'{"a":1}', "gzip, br": b"\x00", "unknown": b'{"a":1}',
}  # fmt: skip
IN_DOUBT = {
    "a member twice": (b'{"a":1,"a":1}', "key_duplicate_member"),
    "a member twice, once by an escape": (b'{"a":1,"\\u0061":2}', "key_duplicate_member"),
    "a member twice, deep inside": (b'[[{"b":{"\\u0061":1,"a":2}}]]', "key_duplicate_member"),
    "an empty name twice": (b'{"":1,"":2}', "key_duplicate_member"),
    "a lone surrogate twice": (b'{"\\ud800":1,"\\uD800":2}', "key_duplicate_member"),
    "NaN": (b'{"a":NaN}', "key_body_syntax"),
    "Infinity": (b"[Infinity,-Infinity]", "key_body_syntax"),
    "numbers that are none": (b"[01,+1,.5,1.,0x1]", "key_body_syntax"),
    "a byte order mark": (b'\xef\xbb\xbf{"a":1}', "key_body_syntax"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "key_body_syntax"),
    "a surrogate in bytes": (b'"\xed\xa0\x80"', "key_body_syntax"),
    "an overlong form": (b'"\xc0\xaf"', "key_body_syntax"),
    "100,000 levels": (b"[" * 100_000 + b"]" * 100_000, "key_body_depth"),
    "100,000 levels of members": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "key_body_depth"),
    "101 levels": (b"[" * 101 + b"]" * 101, "key_body_depth"),
    "two documents": (b'{"a":1}{"a":2}', "key_body_syntax"),
    "packed, and nothing says so": (gzip.compress(b'{"a":1}'), "key_body_syntax"),
}  # fmt: skip
CHARSETS = (b"iso-8859-1", b"utf-16", b"utf-7", b"utf-8x", b"", b"utf-8; charset=utf-16", b'"utf-8')


async def test_what_means_the_same_is_asked_once(method: str) -> None:
    for name, (normalizer, bodies) in ALIKE.items():
        here = world(method, normalizer)
        media_type = b"application/x-www-form-urlencoded" if isinstance(normalizer, Form) else JSON
        got = [(await here.ask(one(method, body.encode(), media_type))).body for body in bodies]
        assert got == [bodies[0].encode()] * len(bodies), name
        assert here.outcomes == ["miss"] + ["hit"] * (len(bodies) - 1), name
        assert here.engine.received == [bodies[0].encode()], f"{name}: what goes up is what the first client sent"


async def test_what_differs_is_never_answered_for_another(method: str) -> None:
    """Twice: the second time each gets its own answer again, from the store."""
    for name, (normalizer, listed) in APART.items():
        here, bodies = world(method, normalizer), [body.encode() for body in listed.split(" ")]
        media_type = b"application/x-www-form-urlencoded" if isinstance(normalizer, Form) else JSON
        got = [(await here.ask(one(method, body, media_type))).body for body in [*bodies, *bodies]]
        assert got == [*bodies, *bodies], name
        assert here.outcomes == ["miss"] * len(bodies) + ["hit"] * len(bodies), name


async def test_one_document_under_several_media_types_is_asked_by_each(method: str) -> None:
    """RFC 10008 §2.7: a service may read the same bytes in another way; so the media type is in the key as it came."""
    here = world(method)
    here.engine.then(lambda request: answer(b"as " + (request.header(b"content-type") or b"none")))
    for turn in ("miss", "hit"):
        for media_type in MEDIA_TYPES:
            spelled = b'{"a":1}' if turn == "miss" else b' {"a" : 1}'
            got = await here.ask(one(method, spelled, media_type))
            if media_type is None and method != "POST":  # a QUERY without one passes, or is refused where it is offered
                assert here.outcomes[-1] == ("passthrough:body" if method == "QUERY" else "error:bad_request")
                continue
            assert (got.body, here.outcomes[-1]) == (b"as " + (b"none" if media_type is None else media_type), turn)


async def passes(here: World, request: Request, reason: str) -> None:
    """Ask twice: each goes up as it came, with the reason."""
    for _ in range(2):
        got = await here.ask(request)
        assert (got.body, here.engine.received[-1]) == (request.body, request.body)
        assert here.outcomes[-1] == f"passthrough:{reason}"


@pytest.mark.parametrize(("body", "reason"), IN_DOUBT.values(), ids=IN_DOUBT)
@pytest.mark.parametrize("options", [{}, {"ignore": ("$.z",)}, {"only": ("$.z",)}], ids=["whole", "ignore", "only"])
async def test_what_is_in_doubt_passes(options: dict, body: bytes, reason: str, method: str) -> None:
    """Also where it stands in what would be left out."""
    await passes(world(method, Json(**options)), one(method, body), reason)


async def test_another_charset_passes(method: str) -> None:
    here = world(method)
    for charset in CHARSETS:
        await passes(here, one(method, b'{"a":1}', b"application/json; charset=" + charset), "key_body_encoding")


async def test_a_coded_body_passes_and_shares_with_none(method: str) -> None:
    """The same JSON packed in any way: it is not unpacked for its key, whatever it says of itself."""
    here = world(method)
    assert (await here.ask(one(method, b'{"a":1}'))).body == b'{"a":1}'
    for coding, body in CODINGS.items():
        await passes(here, one(method, body, JSON, (b"content-encoding", coding.encode())), "key_body_encoding")
    await here.ask(one(method, b'{"a":1}'))
    assert here.outcomes[-1] == "hit"


async def test_a_name_of_ten_megabytes_counts_to_its_last_byte(method: str) -> None:
    here = world(method)
    here.engine.then(lambda request: answer(request.body[-5:]))
    got = [(await here.ask(one(method, b'{"%b%d":0}' % (TEN_MB, last)))).body for last in (1, 2, 1)]
    assert got == [b'1":0}', b'2":0}', b'1":0}']
    assert here.outcomes == ["miss", "miss", "hit"]


async def test_a_name_longer_than_the_rule_reads_passes_whole(method: str) -> None:
    here = world(method, max_key_body=1_000_000)
    for _ in range(2):
        await here.ask(one(method, Body(b'{"', TEN_MB, b'":1}')))
        assert here.outcomes[-1] == "passthrough:key_body_size"
        assert len(here.engine.received[-1]) == 10_000_006
