"""The few hundred exchanges of the differential test: a request, and what the upstream answers to it."""

import gzip
from collections.abc import Iterator
from typing import NamedTuple

from http1 import asked, chunk, reply

METHODS = (
    b"GET HEAD POST PUT PATCH DELETE OPTIONS TRACE PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH QUERY "
    b"MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR LINK UNLINK SOURCE BIND REBIND UNBIND ACL "
    b"MKACTIVITY CHECKOUT"
).split()
"""All that the HTTP parser knows, but for CONNECT (which is no request to forward) and PRI (HTTP/2's)."""

TARGETS = [
    b"/", b"/x?", b"/x??", b"/?", b"/%7e", b"/%7E", b"/~", b"//", b"//a//b//", b"/a/../b", b"/..", b"/../..", b"/a/./b",
    b"/.", b"/a|b", b"/a%2Fb", b"/a%2fb", b"/a%20b", b"/a+b", b"/%", b"/%zz", b"/%00", b"/%ff%fe", b"/a;b=1;c", b"/a\\b",
    b'/"<>^`{}', b"/[1]", b"/a:b@c", b"/!$&'()*,", b"/x?a=1&&b", b"/x?&", b"/x?=", b"/x?a", b"/x?a=&b", b"/x?a=b=c",
    b"/x?b=2&a=1", b"/x?a=1&a=1", b"/x?a=%C3%A4+%20", b"/x?q=a/../b", b"/x?q=a|b", b"/x?q=[1]{2}", b"/x?q=http://h/",
    b"/x?/y?z", b"/x?%7e", b"/x?" + b"q" * 4000, b"/" + b"p" * 2000, b"/\xc3\xa4", b"/\xff\xfe", b"/x?q=\xc3\xa4",
    b"/x?q=\x80\xff",
]  # fmt: skip

FIELDS: dict[str, list[bytes]] = {
    "duplicates in order": [b"X-A: 1", b"X-B: 2", b"X-A: 3", b"x-a: 1"],
    "cookie": [b"Cookie: a=1; b=2"],
    "two cookie fields": [b"Cookie: a=1", b"Cookie: b=2"],
    "latin-1": [b"X-Name: J\xfcrgen \xe9\xff"],
    "utf-8": [b"X-Name: J\xc3\xbcrgen"],
    "empty value": [b"X-Empty:", b"Accept:"],
    "spaces": [b"X-Space:   a  b \t c   ", b"X-Tab:\tt"],
    "odd name": [b"X!#$%&'*+-.^_`|~9: odd", b"x_under_score: 1"],
    "long value": [b"X-Long: " + b"v" * 12_000],
    "many fields": [b"X-%d: %d" % (number, number) for number in range(80)],
    "range": [b"Range: bytes=2-5"],
    "range and if-range": [b"Range: bytes=0-", b'If-Range: "e"'],
    "if-none-match": [b'If-None-Match: "a", W/"b"'],
    "if-modified-since": [b"If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT"],
    "if-match": [b"If-Match: *"],
    "if-unmodified-since": [b"If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT"],
    "accept": [b"Accept: text/html;q=0.5, */*", b"Accept-Encoding: gzip, br", b"Accept-Language: de"],
    "no accept-encoding": [b"Accept-Encoding: identity"],
    "credentials": [b"Authorization: Basic dTpw"],
    "request directives": [b"Cache-Control: no-cache", b"Pragma: no-cache"],
    "user-agent": [b"User-Agent: \xe4gent/1 (x)", b"Referer: /\xff"],
    "hop-by-hop": [b"Connection: X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5", b"TE: trailers", b"Proxy-Connection: x"],
    "via": [b"Via: 1.0 fred, 1.1 p.example.net", b"Via: 1.1 other"],
    "forwarded": [b"Forwarded: for=1.2.3.4", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: evil", b"X-Real-IP: 1.1.1.1"],
    "forwarded for": [b"X-Forwarded-For: 203.0.113.7, 10.0.0.1"],
    "forwarded for twice": [b"X-Forwarded-For: 203.0.113.7", b"X-Forwarded-For: 10.0.0.1"],
    "request id": [b"X-Request-Id: 0123456789abcdef0123456789abcdef"],
    "foreign request id": [b"X-Request-Id: not ours"],
    "method override": [b"X-HTTP-Method-Override: DELETE", b"X-Original-URL: /admin", b"X-Rewrite-URL: /admin"],
    "content type and no body": [b"Content-Type: application/json"],
    "max-forwards": [b"Max-Forwards: 3"],
    "origin": [b"Origin: http://other.test", b"Sec-Fetch-Mode: cors", b"Upgrade-Insecure-Requests: 1"],
    "trace context": [b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"tracestate: a=b"],
    "priority": [b"Priority: u=1", b"DNT: 1"],
}  # fmt: skip

HOSTS = [b"site.test", b"site.test:8080", b"SITE.Test", b"[::1]:80", b"127.0.0.1", b""]
SIZES = [0, 1, 65_536, 3 * 2**20]
PATTERN = bytes(range(256)) * 64
STATUSES = [200, 201, 202, 203, 206, 300, 301, 302, 307, 400, 401, 403, 404, 405, 410, 416, 418, 429, 451, 500, 502, 503, 504, 599, 600, 999]  # fmt: skip
BODILESS = [204, 205, 304]


class Case(NamedTuple):
    """One exchange; `name` is what pytest prints."""

    name: str
    request: bytes
    response: bytes = reply(200, b"ok", b"Content-Type: text/plain")


def filled(size: int) -> bytes:
    """Return that many bytes, all values among them."""
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def chunked_request(method: bytes, target: bytes, content: bytes, *fields: bytes) -> bytes:
    """Build a request whose content comes in chunks of uneven sizes."""
    head = asked(method, target, b"Transfer-Encoding: chunked", *fields)
    step = max(len(content) // 7, 1)
    parts = [content[start : start + step] for start in range(0, len(content), step)]
    return head + b"".join(map(chunk, parts)) + chunk(b"")


def request_cases() -> Iterator[Case]:
    """Yield what clients may send."""
    for method in METHODS:
        said = _headed(200, b"Content-Length: 2") if method == b"HEAD" else reply()
        yield Case(f"{method.decode()} bare", asked(method, b"/method?a=1"), said)
        if method not in {b"TRACE", b"HEAD"}:
            yield Case(
                f"{method.decode()} with content", asked(method, b"/method", b"Content-Type: a/b", body=b"\0\xff{")
            )
    for target in TARGETS:
        yield Case(f"target {ascii(target)[1:60]}", asked(b"GET", target))
        yield Case(f"POST target {ascii(target)[1:60]}", asked(b"POST", target, body=b"x"))
    yield Case("OPTIONS *", asked(b"OPTIONS", b"*"))
    for name, fields in FIELDS.items():
        yield Case(f"GET {name}", asked(b"GET", b"/fields", *fields))
        yield Case(f"POST {name}", asked(b"POST", b"/fields", *fields, body=b"x"))
    for host in HOSTS:
        yield Case(f"host {host.decode()!r}", asked(b"GET", b"/host", host=host))
    for size in SIZES:
        for method in (b"POST", b"PUT", b"GET", b"DELETE"):
            yield Case(f"{method.decode()} {size} bytes", asked(method, b"/body", body=filled(size)))
            yield Case(f"{method.decode()} {size} bytes chunked", chunked_request(method, b"/body", filled(size)))
    yield Case("expect", asked(b"POST", b"/expect", b"Expect: 100-continue", body=b"after all"))
    yield Case("expect and chunks", chunked_request(b"PUT", b"/expect", b"after all", b"Expect: 100-continue"))
    yield Case(
        "gzip upload", asked(b"POST", b"/body", b"Content-Encoding: gzip", body=gzip.compress(b"x" * 99, mtime=0))
    )
    yield Case("chunk extension", asked(b"POST", b"/ext", b"Transfer-Encoding: chunked") + b"3;a=b\r\nabc\r\n0\r\n\r\n")
    yield Case(
        "trailers sent", asked(b"POST", b"/t", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
    )


def response_cases() -> Iterator[Case]:
    """Yield what upstreams may answer."""
    framings: list[tuple[str, dict[str, bool]]] = [
        ("length", {}),
        ("chunked", {"chunked": True}),
        ("until close", {"length": False}),
    ]
    for status in STATUSES:
        for label, framing in framings:
            said = reply(status, b"body of %d" % status, b"X-Status: %d" % status, **framing)
            yield Case(f"{status} {label}", asked(b"GET", b"/status/%d" % status), said)
        yield Case(f"POST {status}", asked(b"POST", b"/status", body=b"x"), reply(status, b"b", b"Content-Type: a/b"))
        yield Case(f"HEAD {status}", asked(b"HEAD", b"/status"), _headed(status, b"Content-Length: 1234"))
    for status in BODILESS:
        for method in (b"GET", b"POST", b"HEAD"):
            yield Case(
                f"{method.decode()} {status}", asked(method, b"/none"), _headed(status, b'ETag: "x"', *_nothing(status))
            )
    for method in (b"GET", b"HEAD"):
        yield Case(f"{method.decode()} 304 with length", asked(method, b"/none"), _headed(304, b"Content-Length: 77"))
    yield Case("HEAD without length", asked(b"HEAD", b"/none"), _headed(200, b"Content-Type: a/b"))
    yield Case("HEAD chunked", asked(b"HEAD", b"/none"), _headed(200, b"Transfer-Encoding: chunked"))
    for name, fields in RESPONSE_FIELDS.items():
        yield Case(f"says {name}", asked(b"GET", b"/says"), reply(200, b"body", *fields))
        yield Case(f"says {name} to POST", asked(b"POST", b"/says", body=b"x"), reply(200, b"body", *fields))
        yield Case(f"says {name} to HEAD", asked(b"HEAD", b"/says"), _headed(200, b"Content-Length: 4", *fields))
    for size in SIZES:
        for label, framing in framings:
            yield Case(f"{size} bytes back, {label}", asked(b"GET", b"/size"), reply(200, filled(size), **framing))
    yield from _odd_responses()


def _odd_responses() -> Iterator[Case]:
    packed = gzip.compress(b"packed " * 99, mtime=0)
    get = asked(b"GET", b"/odd")
    yield Case("gzip stays packed", get, reply(200, packed, b"Content-Encoding: gzip", b"Vary: Accept-Encoding"))
    yield Case("broken gzip", get, reply(200, b"\x1f\x8bnot", b"Content-Encoding: gzip"))
    yield Case("unknown coding", get, reply(200, b"??", b"Content-Encoding: x-own"))
    yield Case(
        "partial content", asked(b"GET", b"/odd", b"Range: bytes=1-2"), reply(206, b"bc", b"Content-Range: bytes 1-2/9")
    )
    yield Case("103 first", get, b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n" + reply())
    yield Case("100 first", asked(b"POST", b"/odd", body=b"x"), b"HTTP/1.1 100 Continue\r\n\r\n" + reply())
    yield Case("trailers", get, reply(200, b"abc", chunked=True)[:-2] + b"X-Checksum: 1\r\n\r\n")
    yield Case(
        "many chunks", get, _headed(200, b"Transfer-Encoding: chunked") + b"".join(map(chunk, [b"a"] * 999 + [b""]))
    )
    yield Case("short body", get, _headed(200, b"Content-Length: 100") + b"only this\r\n\r\n")
    yield Case("event stream", get, reply(200, b"data: 1\n\n", b"Content-Type: text/event-stream", length=False))
    yield Case("no reason phrase", get, b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok")
    yield Case("http/1.0", get, b"HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nold")


def _headed(status: int, *fields: bytes) -> bytes:
    return reply(status, b"", *fields, length=False)


def _nothing(status: int) -> list[bytes]:
    return [b"Content-Length: 0"] if status == 205 else []


RESPONSE_FIELDS: dict[str, list[bytes]] = {
    "several cookies": [b"Set-Cookie: a=1; Path=/", b"Set-Cookie: b=2; HttpOnly", b"Set-Cookie: a=3"],
    "cookies between others": [b"X-A: 1", b"Set-Cookie: a=1, b", b"X-A: 2", b"Set-Cookie: c"],
    "latin-1": [b"X-Name: J\xfcrgen", b'Content-Disposition: attachment; filename="\xe4.txt"'],
    "empty": [b"X-Empty:", b"Server:"],
    "date and server": [b"Date: Sat, 29 Oct 1994 19:43:31 GMT", b"Server: Old/0.9"],
    "validators": [b'ETag: W/"x"', b"Last-Modified: Sat, 29 Oct 1994 19:43:31 GMT", b"Accept-Ranges: bytes"],
    "private": [b"Cache-Control: private, max-age=60"],
    "no-store": [b"Cache-Control: no-store", b"Pragma: no-cache", b"Expires: 0"],
    "bad freshness": [b"Cache-Control: max-age=x, =, ,", b"Expires: tomorrow", b"Age: much"],
    "age": [b"Age: 7"],
    "cache-status of others": [b'Cache-Status: Origin; hit; ttl=3, "Mid tier"; fwd=miss'],
    "vary": [b"Vary: *"],
    "via": [b"Via: 1.1 inner"],
    "hop-by-hop": [b"Connection: X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5", b"Proxy-Connection: x"],
    "location": [b"Location: http://127.0.0.1/elsewhere?x#y", b"Content-Location: /z", b"Link: </a>; rel=next"],
    "challenge": [b'WWW-Authenticate: Basic realm="a, b"', b"WWW-Authenticate: Bearer"],
    "long": [b"X-Long: " + b"v" * 7000, b"Content-Security-Policy: default-src 'self'"],
    "many": [b"X-%d: %d" % (number, number) for number in range(90)],
    "cors": [b"Access-Control-Allow-Origin: *", b"Timing-Allow-Origin: *", b"Server-Timing: db;dur=3"],
    "odd types": [b"Content-Type: nonsense;;charset", b"Content-Language: de", b"Alt-Svc: clear"],
}  # fmt: skip


def cases() -> list[Case]:
    """Return all of them, each name once."""
    found = [*request_cases(), *response_cases()]
    assert len({case.name for case in found}) == len(found)
    return found
