"""What the owner wants to see of requests in the log, and nothing else."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.shown_fields import MOST_CHARS, SECRET_NAME, ShownFields, field_name, same_fields
from proxy.core.types import Client, Request

CLIENT = Client("192.0.2.7", "192.0.2.7")


def request(target: bytes = b"/a", *headers: tuple[bytes, bytes]) -> Request:
    return Request("GET", target, headers, b"", CLIENT)


CASES = {
    "nothing is asked for": ((), (), b"/a?q=secret", {}),
    "a parameter": ((), ("q",), b"/a?q=x&secret=y", {"query_q": "x"}),
    "escaped": ((), ("q",), b"/a?q=a%20b+c", {"query_q": "a b c"}),
    "its name escaped": ((), ("q",), b"/a?%71=x", {"query_q": "x"}),
    "twice": ((), ("q",), b"/a?q=x&q=y", {"query_q": "x, y"}),
    "without a value": ((), ("q",), b"/a?q", {"query_q": ""}),
    "absent": ((), ("q",), b"/a?p=x", {}),
    "no query": ((), ("q",), b"/a", {}),
    "a field": (("User-Agent",), (), b"/a", {"header_user_agent": "curl/8"}),
    "a field that is not there": (("X-Other",), (), b"/a", {}),
    "both": (
        ("user-agent",),
        ("page[size]",),
        b"/a?page%5Bsize%5D=3",
        {"header_user_agent": "curl/8", "query_page_size_": "3"},
    ),
}


@pytest.mark.parametrize(("headers", "query", "target", "shown"), CASES.values(), ids=CASES)
def test_values_by_name(headers, query, target, shown):
    asked = request(target, (b"user-agent", b"curl/8"), (b"authorization", b"Bearer secret"))
    assert (ShownFields(headers, query).of(asked) or {}) == shown


REFERRERS = {
    b"https://shop.test/a?token=x#y": "https://shop.test/a", b"/a/b?c=d": "/a/b", b"https://shop.test": "https://shop.test",
    b"what? is this": "what? is this", b"a/b;q=1?": "a/b;q=1?",
}  # fmt: skip


@pytest.mark.parametrize(("sent", "shown"), REFERRERS.items())
def test_a_url_is_shown_without_its_query(sent, shown):
    """Those values are shown by their own names, or not at all."""
    assert ShownFields(("Referer",)).of(request(b"/a", (b"referer", sent))) == {"header_referer": shown}


HOLD_SECRETS = {
    "authorization": True, "X-Access-Token": True, "X-Auth": True, "X-Goog-Api-Key": True, "Ocp-Apim-Subscription-Key": True,
    "X-Amzn-Oidc-Data": True, "Set-Cookie": True, "proxy-authorization": True, "x-api_key": True, "User-Agent": False,
    "Referer": False, "X-Authority": False, "X-Keyboard": False, "X-CSRFToken": True, "X-AuthToken": True,
    "X-Passphrase": True, "Cookie2": True, "X-API-Key2": True, "X-Auth0": True, "X-Author": False, "X-Side": False, "X-Request-Id": False,
}  # fmt: skip


@pytest.mark.parametrize(("name", "holds"), HOLD_SECRETS.items())
def test_names_of_fields_that_hold_secrets(name, holds):
    assert bool(re.fullmatch(SECRET_NAME, name)) is holds


@given(st.binary(max_size=2000))
def test_any_value_is_short_text_that_can_be_written(value):
    pairs = request(b"/?q=" + value.replace(b"&", b"").replace(b"#", b""), (b"user-agent", value))
    shown = ShownFields(("User-Agent",), ("q",)).of(pairs)
    assert all(len(text) <= MOST_CHARS for text in shown.values())
    json.dumps(shown).encode()
    "".join(shown.values()).encode()


SAME = {
    "none": (("a", "b"), []),
    "no name": ((), []),
    "a dash and a stroke": (("x-user", "a", "x_user", "x.user"), [(2, "query_x_user", "x-user"), (3, "query_x_user", "x-user")]),
    "one name twice": (("Q", "q"), [(1, "query_q", "Q")]),
}  # fmt: skip


@pytest.mark.parametrize(("names", "same"), SAME.values(), ids=SAME)
def test_names_that_would_share_a_field_are_told(names, same):
    assert same_fields("query", names) == same


def test_names_are_those_of_plain_columns():
    assert field_name("header", "User-Agent") == "header_user_agent"
    assert field_name("query", "filter[ä].b") == "query_filter____b"
