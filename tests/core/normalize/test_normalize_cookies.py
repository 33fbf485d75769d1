"""`cookies`: cookies in the key."""

import pytest

from proxy.core.normalize.cookies import Cookies
from proxy.core.normalize.headers import Headers
from proxy.core.types import Query

FIELDS = {
    "a named cookie is in the key": (("lang",), (b"x=1; lang=de",), ((b"cookie:lang", b"de"),)),
    "they are sorted by name": (("a", "b"), (b"b=1; a=2",), ((b"cookie:a", b"2"), (b"cookie:b", b"1"))),
    "an absent one is absent": (("lang",), (b"x=1",), ()),
    "an empty one is there": (("lang",), (b"lang=",), ((b"cookie:lang", b""),)),
    "no Cookie, no field": (("lang",), (), ()),
    "names have case": (("lang",), (b"Lang=de",), ()),
    "no names, no fields": ((), (b"lang=de",), ()),
    "what is uncertain counts whole": (("lang",), (b'x="1; lang=de',), ((b"cookie", b'x="1; lang=de'),)),
    "each line of several": (("lang",), (b"b=1", b"a=2"), ((b"cookie", b"b=1"), (b"cookie", b"a=2"))),
    "even if they are alike": (("lang",), (b"a=2", b"a=2"), ((b"cookie", b"a=2"), (b"cookie", b"a=2"))),
}


def asked(*lines):
    return Query("GET", b"h", b"/", headers=((b"accept", b"lang=x"), *((b"cookie", line) for line in lines)))


@pytest.mark.parametrize(("names", "lines", "fields"), FIELDS.values(), ids=FIELDS)
def test_cookies(names, lines, fields):
    done = Cookies(names).normalize(asked(*lines))
    assert done.fields == fields
    assert Cookies(names).normalize(done) == done


def test_fields_that_are_there_stay():
    query = Headers(("accept",)).normalize(asked(b"lang=de; role=a"))
    assert Cookies(("role",)).normalize(Cookies(("lang",)).normalize(query)).fields == (
        (b"accept", b"lang=x"),
        (b"cookie:lang", b"de"),
        (b"cookie:role", b"a"),
    )


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;", "größe", "a\n"])
def test_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(ValueError, match="cannot be the name of a cookie"):
        Cookies((name,))
