"""Which request fields select a stored variant."""

import pytest

from proxy.core.vary import selecting

SAME = {
    "white space around members": (b"accept-language", b"de , en;q=0.5", b"de,en; q=0.5"),
    "case": (b"accept-language", b"de-CH", b"DE-ch"),
    "empty members": (b"accept-encoding", b"gzip,, br,", b"gzip,br"),
    "the order of codings": (b"accept-encoding", b"gzip, br;q=0.5", b"br;q=0.5, gzip"),
    "white space at the ends of any field": (b"x-a", b" a ", b"a"),
}
DIFFERENT = {
    "another member": (b"accept-language", b"de", b"de, en"),
    "another weight": (b"accept-encoding", b"gzip;q=0.5", b"gzip;q=0.6"),
    "the order of languages, which some services take as a preference": (b"accept-language", b"de, en", b"en, de"),
    "case in a field that we know nothing of": (b"x-a", b"a", b"A"),
    "white space within quotes": (b"x-a", b'"a, b"', b'"a,b"'),
    "white space that no comma follows": (b"x-a", b"a b", b"ab"),
    "white space in what names somebody": (b"cookie", b"a=1, b", b"a=1,b"),
}


@pytest.mark.parametrize(("name", "one", "other"), SAME.values(), ids=SAME)
def test_what_means_the_same(name, one, other):
    assert selecting(name, one) == selecting(name, other)


@pytest.mark.parametrize(("name", "one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_does_not(name, one, other):
    assert selecting(name, one) != selecting(name, other)
