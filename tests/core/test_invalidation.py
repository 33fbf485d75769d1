"""Which stored answers an unsafe request may have changed (RFC 9111 §4.4)."""

import pytest

from proxy.core.invalidation import changed_targets, is_its_own_location
from proxy.core.types import Request, Response


def changed(*named, method="POST", status=200, target=b"/a?b=1"):
    request = Request(method, target, ((b"host", b"Site.test"),))
    return changed_targets(request, Response(status, tuple((name.encode(), value) for name, value in named)))


SELF = b"/a?b=1"
CHANGED = {
    "the target itself": (changed(), (SELF,)),
    "of any method that is not safe": (changed(method="M-SEARCH"), (SELF,)),
    "not of a safe one": (changed(method="GET"), ()),
    "not where it failed": (changed(status=404), ()),
    "also where it was sent elsewhere": (changed(status=303), (SELF,)),
    "and what Location names": (changed(("location", b"/new?x=1")), (SELF, b"/new?x=1")),
    "in full": (changed(("location", b"http://site.test/new")), (SELF, b"/new")),
    "relative to the target": (changed(("content-location", b"new"), target=b"/a/b"), (b"/a/b", b"/a/new")),
    "each once": (changed(("location", SELF), ("content-location", SELF)), (SELF,)),
    "of the same origin only": (changed(("location", b"http://other.test/new")), (SELF,)),
    "the root of the origin": (changed(("location", b"http://site.test")), (SELF, b"/")),
    "not a URL": (changed(("location", b"http://[oops")), (SELF,)),
}


@pytest.mark.parametrize(("found", "expected"), CHANGED.values(), ids=CHANGED)
def test_changed_targets(found, expected):
    assert found == expected


OWN = {
    "RFC 9110 §8.7: the same target": (b"/a?b=1", True),
    "in full": (b"http://site.test:80/a?b=1", True),
    "relative": (b"?b=1", True),
    "another query": (b"/a", False),
    "another host": (b"http://other.test/a?b=1", False),
    "none": (None, False),
}


@pytest.mark.parametrize(("location", "own"), OWN.values(), ids=OWN)
def test_whether_an_answer_is_what_a_get_would_get(location, own):
    request = Request("POST", SELF, ((b"host", b"Site.test"),))
    headers = () if location is None else ((b"content-location", location),)
    assert is_its_own_location(request, Response(200, headers)) is own
