"""`lower`: the case of values."""

import pytest

from proxy.core.normalize.lower import Lower
from proxy.core.types import Query

LOWERED = {
    "capitals become small": (b"HeLLo", b"hello"),
    "in any script": ("É ΑΣ Ж".encode(), "é ας ж".encode()),
    "what has no case stays": ("1-東".encode(), "1-東".encode()),
    "ß is not ss": ("Straße".encode(), "straße".encode()),
    "a value that is not UTF-8 stays": (b"A\xff", b"A\xff"),
    "no value stays none": (None, None),
}


@pytest.mark.parametrize(("value", "lowered"), LOWERED.values(), ids=LOWERED)
def test_lower(value, lowered):
    query = Query("GET", b"h", b"/", params=((b"Q", value),), form=((b"q", value),))
    done = Lower().normalize(query)
    assert (done.params, done.form) == (((b"Q", lowered),), ((b"q", lowered),))


def test_only_the_named_values():
    assert Lower(("q*",)).normalize(Query("GET", b"h", b"/", b"q1=A&r=A")).params == ((b"q1", b"a"), (b"r", b"A"))
