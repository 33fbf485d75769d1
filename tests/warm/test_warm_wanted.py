"""What people write into a list, as a client would send it; and when two requests are the same."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.types import Request
from proxy.warm.wanted import Unreadable, Wanted, absolute, origin_form

URLS = {
    "http://a": (b"a", b"/"),
    "http://A.Test:8080/B?c=D": (b"a.test:8080", b"/B?c=D"),
    "https://a/b?c=http://d/?e#f": (b"a", b"/b?c=http://d/?e"),
    "http://a?b": (b"a", b"/?b"),
    "HTTP://a/b": (b"a", b"/b"),
    "http://[::1]:80/b": (b"[::1]:80", b"/b"),
    "http://a/%7e//../b;c": (b"a", b"/%7e//../b;c"),
    "http://a/zürich?q=ß%20": (b"a", b"/z%C3%BCrich?q=%C3%9F%20"),
}


@pytest.mark.parametrize(("url", "said"), URLS.items(), ids=URLS)
def test_a_url_is_a_host_and_a_target_of_which_nothing_is_changed(url, said):
    assert absolute(url) == said


NO_URLS = [
    "", "a", "a/b", "http://", "http:///a", "ftp://a/b", "data:text/plain,a", "javascript:1", "http://user:pw@a/b",
    "http://[", "http://a b/c", "http://ä/b", "http://a/\tb", "http://a/b c", "http://a:x/", "//a/b",
]  # fmt: skip


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_url_is_not_guessed_at(url):
    with pytest.raises(Unreadable):
        absolute(url)


PATHS = {"/": b"/", "//a": b"//a", "/a?b=c#d": b"/a?b=c", '/a?{"b":[1]}': b'/a?{"b":[1]}', "/ä": b"/%C3%A4"}


@pytest.mark.parametrize(("path", "target"), PATHS.items(), ids=PATHS)
def test_a_path_is_a_target(path, target):
    assert origin_form(path) == target


@pytest.mark.parametrize("path", ["", "a", "?a", "/a b", "/a\r\nX: y", "/\0", "/\x7f", "/\ud800", "/" + "a" * 2**16])
def test_what_no_client_could_send_is_no_path(path):
    with pytest.raises(Unreadable):
        origin_form(path)


@given(st.text().map(lambda text: f"/{text}"))
def test_whatever_is_taken_can_be_sent(path):
    try:
        target = origin_form(path)
    except Unreadable:
        return
    assert target.startswith(b"/")
    assert all(0x20 < one < 0x7F for one in target)
    assert origin_form(target.decode()) == target


ONE = Wanted(Request("POST", b"/a?b", ((b"host", b"c"), (b"x-d", b"e")), b"f"), 1.0)
OTHERS = {
    "method": replace(ONE.request, method="QUERY"),
    "target": replace(ONE.request, target=b"/a?c"),
    "host": replace(ONE.request, headers=((b"host", b"d"), (b"x-d", b"e"))),
    "field": replace(ONE.request, headers=((b"host", b"c"), (b"x-d", b"f"))),
    "no field": replace(ONE.request, headers=((b"host", b"c"),)),
    "body": replace(ONE.request, body=b"g"),
    "where one part ends": replace(ONE.request, headers=((b"host", b"c"), (b"x-", b"de"))),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_is_asked_differently_is_another(other):
    assert Wanted(other).digest != ONE.digest
    assert Wanted(other).size_bytes > len(other.target)


def test_neither_cost_nor_the_order_of_fields_makes_another():
    turned = replace(ONE.request, headers=ONE.request.headers[::-1])
    assert Wanted(turned, 9.0).digest == ONE.digest
    assert len(ONE.digest) == 32
