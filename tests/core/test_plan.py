"""Request × Rule → pass through, with its reason, or not."""

from dataclasses import replace

import pytest

from proxy.core.cache_control import NONE, parse
from proxy.core.normalize.sort_params import SortParams
from proxy.core.plan import directives_of, reason_to_pass, translated
from proxy.core.reasons import Reason
from proxy.core.rules import Rule, path_pattern
from proxy.core.types import Request

DIRECTIVES = {
    "nothing said": ((), NONE),
    "Cache-Control": (((b"cache-control", b"max-age=5"),), {"max-age": "5"}),
    "over several lines": (((b"cache-control", b"a"), (b"cache-control", b"b=1")), {"a": None, "b": "1"}),
    "RFC 9111 §5.4: Pragma where there is no Cache-Control": (((b"pragma", b"x, No-Cache"),), {"no-cache": None}),
    "RFC 9111 §5.4: and not where there is": (((b"pragma", b"no-cache"), (b"cache-control", b"a")), {"a": None}),
    "RFC 9111 §5.4: even an empty one": (((b"pragma", b"no-cache"), (b"cache-control", b"")), {}),
    "another Pragma means nothing": (((b"pragma", b"x"),), {}),
}


@pytest.mark.parametrize(("headers", "directives"), DIRECTIVES.values(), ids=DIRECTIVES)
def test_directives_of_a_client(headers, directives):
    assert directives_of(Request("GET", b"/", headers)) == directives


ORIGIN = Rule("origin", path_pattern("/**"))
OWNER = replace(ORIGIN, name="owner", ttl=60.0, safe=True)


async def arriving():
    yield b"x"


def get(*headers, body=b""):
    return Request("GET", b"/", headers, body)


def post(*headers, body=b"x"):
    return Request("POST", b"/", headers, body)


COOKIE, AUTHORIZATION = (b"cookie", b"a=1"), (b"authorization", b"Bearer a")
GZIPPED = (b"content-encoding", b"gzip")

REASONS = {
    "GET": (get(), ORIGIN, None),
    "HEAD": (Request("HEAD", b"/"), ORIGIN, None),
    "RFC 9111 §4: an unsafe method is written through": (Request("PUT", b"/"), ORIGIN, Reason.METHOD),
    "POST without the owner's word": (post(), ORIGIN, Reason.METHOD),
    "POST with it": (post(), OWNER, None),
    "POST without a body": (post(body=b""), OWNER, None),
    "a method that a rule names is not safe for that": (
        Request("PUT", b"/"), replace(OWNER, methods=frozenset({"PUT"})), Reason.METHOD,
    ),
    "a GET with a body": (get(body=b"x"), OWNER, Reason.BODY),
    "a GET with a body on its way": (get(body=arriving()), OWNER, Reason.BODY),
    "a POST with a body on its way": (post(body=arriving()), OWNER, None),
    "RFC 9111 §5.2.1.5: no-store": (get((b"cache-control", b"no-store")), ORIGIN, Reason.REQUEST_NO_STORE),
    "RFC 9111 §5.2.1.4: no-cache may be stored": (get((b"cache-control", b"no-cache")), ORIGIN, None),
    "a part is cut out of what is stored": (get((b"range", b"bytes=0-1")), ORIGIN, None),
    "RFC 9111 §4.3.2: If-Match": (get((b"if-match", b'"a"')), ORIGIN, Reason.PRECONDITION),
    "RFC 9111 §4.3.2: If-Unmodified-Since": (get((b"if-unmodified-since", b"x")), ORIGIN, Reason.PRECONDITION),
    "If-Range without a Range": (get((b"if-range", b'"a"')), ORIGIN, None),
    "If-None-Match may be answered whole": (get((b"if-none-match", b'"a"')), ORIGIN, None),
    "If-Modified-Since too": (get((b"if-modified-since", b"x")), ORIGIN, None),
    "a coded body where a normalizer reads it": (
        post(GZIPPED), replace(OWNER, normalizers=(SortParams(),)), Reason.KEY_BODY_ENCODING,
    ),
    "a coded body, which means something else than the same bytes uncoded": (post(GZIPPED), OWNER, Reason.KEY_BODY_ENCODING),
    "a coding without a body": (post(GZIPPED, body=b""), replace(OWNER, normalizers=(SortParams(),)), None),
    "a cookie under an owner's ttl": (get(COOKIE), OWNER, Reason.COOKIE),
    "a cookie that the owner ignores": (get(COOKIE), replace(OWNER, cookies="ignore"), None),
    "a cookie in the key": (get(COOKIE), replace(OWNER, cookies=("a",)), None),
    "a cookie where the origin says what is for all": (get(COOKIE), ORIGIN, None),
    "a ttl by status is an owner's ttl": (get(COOKIE), replace(ORIGIN, ttl={200: 1.0}), Reason.COOKIE),
    "a ttl of nothing too": (get(COOKIE), replace(ORIGIN, ttl=0.0), Reason.COOKIE),
    "credentials under an owner's ttl": (get(AUTHORIZATION), OWNER, Reason.CREDENTIALS),
    "credentials to a proxy": (get((b"proxy-authorization", b"x")), OWNER, Reason.CREDENTIALS),
    "credentials in the key": (get(AUTHORIZATION), replace(OWNER, private_by=(b"authorization",)), None),
    "one credential in the key, another not": (
        get(AUTHORIZATION, (b"proxy-authorization", b"x")), replace(OWNER, private_by=(b"authorization",)),
        Reason.CREDENTIALS,
    ),
    "credentials where the origin says what is for all": (get(AUTHORIZATION), ORIGIN, None),
    "the first reason is told": (post(COOKIE, (b"if-match", b"x"), GZIPPED), OWNER, Reason.PRECONDITION),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "rule", "reason"), REASONS.values(), ids=REASONS)
def test_reason_to_pass(request_, rule, reason):
    assert reason_to_pass(request_, rule, directives_of(request_)) == reason


def test_the_directives_are_those_handed_in():
    assert reason_to_pass(get(), ORIGIN, parse(b"no-store")) is Reason.REQUEST_NO_STORE


def test_a_query_goes_up_as_a_post_without_its_conditions():
    """RFC 10008: they would mean another thing to a POST (RFC 9110 §13.1.2)."""
    asked = Request("QUERY", b"/a?b", ((b"if-none-match", b"*"), (b"range", b"bytes=0-1"), (b"x", b"y")), b"body")
    assert translated(asked) == Request("POST", b"/a?b", ((b"x", b"y"),), b"body")
