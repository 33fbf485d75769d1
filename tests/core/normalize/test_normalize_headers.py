"""`headers`: request header fields in the key."""

import pytest

from proxy.core.normalize.headers import Headers
from proxy.core.types import Query

SENT = (
    (b"accept-language", b"de"),
    (b"x-tenant", b" a,  b\t"),
    (b"x-empty", b""),
    (b"x-twice", b"1"),
    (b"x-twice", b"2"),
)

FIELDS = {
    "a named field is in the key": (["Accept-Language"], ((b"accept-language", b"de"),)),
    "names have no case": (["ACCEPT-language", "accept-language"], ((b"accept-language", b"de"),)),
    "an absent field is absent": (["X-Absent"], ()),
    "an empty field is there": (["X-Empty"], ((b"x-empty", b""),)),
    "several lines are joined": (["X-Twice"], ((b"x-twice", b"1, 2"),)),
    "blanks at the ends are trimmed, others stay": (["X-Tenant"], ((b"x-tenant", b"a,  b"),)),
    "fields are sorted by name": (["x-tenant", "x-empty"], ((b"x-empty", b""), (b"x-tenant", b"a,  b"))),
    "no names, no fields": ([], ()),
}


@pytest.mark.parametrize(("names", "fields"), FIELDS.values(), ids=FIELDS)
def test_headers(names, fields):
    assert Headers(tuple(names)).normalize(Query("GET", b"h", b"/", headers=SENT)).fields == fields


def test_fields_that_are_there_stay():
    there = ((b"x-identity", b"1"), (b"x-identity", b"1"))
    query = Query("GET", b"h", b"/", headers=SENT, fields=there)
    assert Headers(("accept-language",)).normalize(query).fields == ((b"accept-language", b"de"), *there)


@pytest.mark.parametrize("name", ["", "Accept Language", "X-A:", "größe", "x\n"])
def test_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(ValueError, match="cannot be the name of a header field"):
        Headers((name,))
