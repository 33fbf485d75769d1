"""A body or query from which no key can be made with certainty passes through unchanged, with the reason in the log."""

import gzip

import pytest
from running import Proxy
from wire import Exchange, RawUpstream, asked, raw_exchange, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
POST = {"method": "POST", "path": "/asked"}
CONFIG = {
    "rules": [
        {"name": "asked", "match": POST, "safe": True, "key": ["json"], "ttl": "1h"},
        {
            "name": "small",
            "match": {**POST, "path": "/asked/small"},
            "safe": True,
            "key": ["json"],
            "ttl": "1h",
            "max_key_body": "1KiB",
        },
        {
            "name": "searched",
            "match": {"path": "/searched"},
            "key": ["sort_params", {"lower": ["q"]}, {"collapse_space": ["q"]}, {"nfc": ["q"]}],
            "ttl": "1h",
        },
    ]
}
JSON = b"Content-Type: application/json"
UNSURE = {
    "invalid utf-8": (b'{"a": "\xff\xfe"}', {"key_body_syntax", "key_body_encoding"}),
    "utf-16": ('{"a": 1}'.encode("utf-16"), {"key_body_syntax", "key_body_encoding"}),
    "100,000 lists deep": (b"[" * 100_000 + b"]" * 100_000, {"key_body_depth"}),
    "100,000 objects deep": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, {"key_body_depth"}),
    "100,000 deep and cut": (b"[" * 100_000, {"key_body_depth", "key_body_syntax"}),
    "nan": (b'{"a": NaN}', {"key_body_syntax"}),
    "infinity": (b'{"a": -Infinity}', {"key_body_syntax"}),
    "duplicate keys": (b'{"a": 1, "a": 2}', {"key_duplicate_member"}),
    "duplicate keys inside": (b'[{"b": {"a": 1, "\\u0061": 1}}]', {"key_duplicate_member"}),
    "cut short": (b'{"a": ', {"key_body_syntax"}),
    "two values": (b"{} {}", {"key_body_syntax"}),
    "comment": (b"{} // x", {"key_body_syntax"}),
    "trailing comma": (b"[1,]", {"key_body_syntax"}),
    "single quotes": (b"{'a': 1}", {"key_body_syntax"}),
    "control byte in a string": (b'"a\x01b"', {"key_body_syntax"}),
    "not json": (b"a=1&b=2", {"key_body_syntax"}),
}
SURE = {
    "large integer": b'{"a": 123456789012345678901234567890}',
    "integer of 10,000 digits": b'{"a": ' + b"9" * 10_000 + b"}",
    "huge exponent": b'{"a": 1e999999}',
    "escaped surrogate pair": b'{"a": "\\ud83d\\ude00"}',
    "scalar": b"1.10",
    "lone surrogate": b'{"a": "\\ud800"}',
    "reversed surrogates": b'{"a": "\\udc00\\ud800"}',
    "nothing": b"",
    "nul escaped": b'{"a\\u0000b": "\\u0000"}',
}
QUERIES = [b"q=%ff%fe", b"q=\xff\xfe", b"q=%zz", b"q=%", b"q=a%00b", b"q=" + b"%CC%81" * 300, b"q=+%20++", b"&&&=&=="]


@pytest.mark.parametrize("name", UNSURE)
async def test_an_unsure_body_passes_unchanged_every_time(name: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """The upstream gets the bytes as they came, twice if asked twice; outcome passthrough, with a reason."""
    body, reasons = UNSURE[name]
    upstream.routes[b"/asked"] = lambda exchange: reply(200, b"%d bytes" % len(exchange.body))
    before = len(upstream.seen(b"/asked"))
    for _ in range(2):
        answer = await proxy.ask("POST", "/asked", JSON, body=body)
        assert (answer.status, answer.body) == (200, b"%d bytes" % len(body))
        line = await proxy.line(answer)
        assert (line["outcome"], line["rule"]) == ("passthrough", "asked")
        assert line["reason"] in reasons
        assert "error_source" not in line
    assert [exchange.body for exchange in upstream.seen(b"/asked")[before:]] == [body, body]


@pytest.mark.parametrize("name", SURE)
async def test_an_odd_but_sound_body_goes_up_unchanged(name: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """Whether it can be keyed or not, the answer is right and the upstream got the client's own bytes."""
    upstream.routes[b"/asked"] = lambda exchange: reply(200, exchange.body)
    answer = await proxy.ask("POST", "/asked", JSON, body=SURE[name])
    assert (answer.status, answer.body) == (200, SURE[name])
    assert (await proxy.line(answer))["outcome"] in {"miss", "passthrough"}
    assert upstream.seen(b"/asked")[-1].body == SURE[name]


async def test_values_are_never_taken_for_equal_by_rounding(upstream: RawUpstream, proxy: Proxy) -> None:
    """Bodies that only a float, a lossy text or a loose comparison would confuse have answers of their own."""
    upstream.routes[b"/asked"] = lambda exchange: reply(200, exchange.body)
    pairs = [
        (b"[9007199254740993]", b"[9007199254740992]"),
        (b"[1e400]", b"[2e400]"),
        (b'["1"]', b"[1]"),
        (b"[0]", b"[false]"),
        (b'["\\ud800"]', b'["\\udc00"]', b'["\\ufffd"]', b'["?"]', b'["\\\\ud800"]'),
    ]
    for pair in pairs:
        for body in [*pair, *pair]:
            assert (await proxy.ask("POST", "/asked", JSON, body=body)).body == body


async def test_a_coded_body_is_not_read(upstream: RawUpstream, proxy: Proxy) -> None:
    """A body with Content-Encoding passes with the reason for it."""
    upstream.routes[b"/asked"] = reply(200, b"unpacked")
    packed = gzip.compress(b'{"a": 1}')
    answer = await proxy.ask("POST", "/asked", JSON, b"Content-Encoding: gzip", body=packed)
    line = await proxy.line(answer)
    assert (line["outcome"], line["reason"]) == ("passthrough", "key_body_encoding")
    assert upstream.seen(b"/asked")[-1].body == packed


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_max_key_body_streams_through(chunked: bool, upstream: RawUpstream, proxy: Proxy) -> None:
    """More than the rule reads for its key is passed on whole, however it is framed."""

    def count(exchange: Exchange) -> bytes:
        return reply(200, b"%d" % len(exchange.body))

    upstream.routes[b"/asked/small"] = count
    body = b'{"a": "' + b"x" * 3_000_000 + b'"}'
    data = asked(b"POST", b"/asked/small", JSON, body=body)
    if chunked:
        head = asked(b"POST", b"/asked/small", JSON, b"Transfer-Encoding: chunked")
        data = head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    answer = await raw_exchange("127.0.0.1", proxy.port, data)
    line = await proxy.line(answer)
    assert (answer.body, line["outcome"], line["reason"]) == (b"%d" % len(body), "passthrough", "key_body_size")
    assert upstream.seen(b"/asked/small")[-1].body == body


@pytest.mark.parametrize("query", QUERIES)
async def test_an_odd_query_goes_up_as_it_came(query: bytes, upstream: RawUpstream, proxy: Proxy) -> None:
    """Whatever the normal form makes of it, the upstream gets the client's own target and the answer is right."""
    target = b"/searched?%s&n=%d" % (query, QUERIES.index(query))  # n: two spellings may well have one key
    upstream.routes[b"/searched"] = lambda exchange: reply(200, exchange.target)
    for _ in range(2):
        answer = await raw_exchange("127.0.0.1", proxy.port, asked(b"GET", target))
        assert (answer.status, answer.body) == (200, target)
    assert upstream.seen(b"/searched")[-1].target == target
