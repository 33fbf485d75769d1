"""Which cookies take part in a key, and when all of them do."""

from http.cookies import CookieError, SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cookies import cookie_fields

WANTED = {b"role", b"lang"}


def fields(*lines):
    return cookie_fields((*((b"cookie", line) for line in lines), (b"x-cookie", b"role=x")), WANTED)


FIELDS = {
    "no Cookie": ((), ()),
    "a wanted one": ((b"role=a",), ((b"cookie:role", b"a"),)),
    "several, in their order": ((b"x=1; role=a; lang=de; y=2",), ((b"cookie:role", b"a"), (b"cookie:lang", b"de"))),
    "an empty value is one": ((b"role=",), ((b"cookie:role", b""),)),
    "the first = ends the name": ((b"role=a=b",), ((b"cookie:role", b"a=b"),)),
    "blanks around a pair mean nothing": ((b" role=a\t;x=1 ",), ((b"cookie:role", b"a"),)),
    "nor do semicolons at the end": ((b"role=a; ;",), ((b"cookie:role", b"a"),)),
    "all that a value may hold": ((b"role=!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~",), ((b"cookie:role", b"!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~"),)),
    "another that comes twice": ((b"x=1; role=a; x=2",), ((b"cookie:role", b"a"),)),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), FIELDS.values(), ids=FIELDS)
def test_cookie_fields(lines, expected):
    assert fields(*lines) == expected


WHOLE = {
    "an empty line": (b"",),
    "an empty piece": (b"; role=a",),
    "even between others": (b"role=a;; lang=de",),
    "two lines": (b"role=a", b"x=1"),
    "a wanted name twice": (b"role=a; role=b",),
    "even with one value": (b"role=a; role=a",),
    "no =": (b"role",),
    "not even in another": (b"x; role=a",),
    "no name": (b"=x; role=a",),
    "a quote": (b'role="a"',),
    "one in another": (b'x="1; role=a"',),
    "a comma, which once was a semicolon": (b"x=1,role=a",),
    "a backslash": (b"x=\\; role=a",),
    "a blank before =": (b"role =a",),
    "a blank in a value": (b"x=1 2; role=a",),
    "what no name may hold": (b"x[=1; role=a",),
    "a byte beyond ASCII": (b"x=\xe9; role=a",),
    "a control character": (b"x=\x01; role=a",),
    "an attribute's name": (b"path=/; role=a",),
    "in any case": (b"Max-Age=0; role=a",),
    "an attribute as it once was": (b"$Version=1; role=a",),
    "a line's end": (b"role=a\n",),
}


@pytest.mark.parametrize("lines", WHOLE.values(), ids=WHOLE)
def test_all_counts_where_services_may_read_other_cookies_than_we(lines):
    assert fields(*lines) == tuple((b"cookie", line) for line in lines)


def read(line):
    """Say what another reader makes of a line: it takes off quotes, and stops at an odd byte."""
    try:
        return {name: one.value for name, one in SimpleCookie(line).items() if name.encode() in WANTED}
    except CookieError:
        return None


PIECE = st.builds("{}{}{}".format, st.sampled_from(["role", "x", "lang", "x[", "path", "$Path", "Secure"]), st.sampled_from(["=", "=", " =", ""]), st.text('ab "\\=,', max_size=3))  # fmt: skip
LINE = st.builds(
    lambda pieces, joint: joint.join(pieces),
    st.lists(PIECE | st.just(""), max_size=4),
    st.sampled_from(["; ", ";", ", ", ";;", " ; "]),
)


@given(LINE, LINE)
def test_two_lines_that_another_reader_tells_apart_never_share_their_fields(one, other):
    if read(one) != read(other):
        assert fields(one.encode()) != fields(other.encode())


def test_what_only_looks_alike_in_pieces_is_told_apart():
    one, other = b'role="x; c=1; b=2; d"', b'role="x; b=2; c=1; d"'
    assert read(one.decode()) != read(other.decode())
    assert fields(one) != fields(other)
