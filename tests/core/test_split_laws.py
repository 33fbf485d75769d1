"""The laws of splitters and merges: what keeps them passes, and each broken promise is told from the others."""

from dataclasses import dataclass, replace

import pytest

from proxy.core.composite import LIMITS, Limits, Part, Share
from proxy.core.merge.positional import Positional
from proxy.core.reasons import Reason
from proxy.core.split.json_array import JsonArray
from proxy.core.split_laws import check_answer, check_cut, check_upstream
from proxy.core.types import Request, Response
from proxy.errors import Fallback

REQUEST = Request("POST", b"/", ((b"content-length", b"17"),), b'{"q":[1, 2, 3,4]}')
ANSWER = Response(200, (), b"[1.10, 2]")
PARTS = (Part(b"1", b"1"), Part(b"2", b"2"))


class Splits(JsonArray):
    """Splits as JsonArray does, but for one change to what it planned or built."""

    version = 1

    def __init__(self, planned=None, built=None):
        super().__init__("$.q")
        object.__setattr__(self, "changes", (planned, built))

    def plan(self, request, limits=LIMITS):
        change = self.changes[0]
        cut = super().plan(request, limits)
        return change(cut, request, limits) if change else cut

    def build(self, request, cut, places):
        change = self.changes[1]
        built = super().build(request, cut, places)
        return change(built) if change else built


def renamed(cut, request, _limits):
    """Name each part by how many stand with it."""
    name = b"%d" % len(cut.parts)
    return replace(cut, parts=tuple([part._replace(identity=part.identity + name) for part in cut.parts]))


def unsure(cut, _request, limits):
    if limits.parts < len(cut.parts):
        raise Fallback(Reason.SPLIT_SYNTAX)
    return cut


class Unbounded(Splits):
    """Knows no limits, but for those of the change that it is given."""

    def plan(self, request, limits=LIMITS):
        cut = super(Splits, self).plan(request, LIMITS)
        return self.changes[0](cut, request, limits) if self.changes[0] else cut


def another(cut, _request, _limits):
    return replace(cut, rest=object())


def partless(cut, _request, _limits):
    return replace(cut, parts=())


def framed(cut, request, _limits):
    return replace(cut, frame=request)


def lengthless(built):
    return built if built == REQUEST else replace(built, headers=REQUEST.headers)


def hollow(built):
    return built if built == REQUEST else replace(built, body=b"{}")


def first_only(built):
    return built if built == REQUEST else replace(built, body=b'{"q":[1]}')


BROKEN_SPLITTERS = {
    "two cuts": (Splits(another), "two cuts"),
    "no parts": (Splits(partless), "no parts"),
    "the whole is not itself": (Splits(built=lambda built: replace(built, target=b"/x")), "not the request itself"),
    "more parts than allowed": (Unbounded(), "parts pass a limit"),
    "another reason for too many": (Unbounded(unsure), "not split_limit"),
    "other parts": (Splits(built=first_only), "asks for other parts"),
    "other identities": (Splits(renamed), "has other identities"),
    "another frame": (Splits(framed), "is another one"),
    "a wrong length": (Splits(built=lengthless), "Content-Length says"),
    "nothing left": (Splits(built=hollow), "has no parts"),
}


@pytest.mark.parametrize(("splitter", "told"), BROKEN_SPLITTERS.values(), ids=BROKEN_SPLITTERS)
def test_a_splitter_that_breaks_its_promise_is_told(splitter, told):
    with pytest.raises(AssertionError, match=told):
        check_cut(splitter, REQUEST, [1, 2])


def test_more_parts_than_the_limit_are_told():
    with pytest.raises(AssertionError, match="4 parts where 3 are allowed"):
        check_cut(Unbounded(), REQUEST, limits=Limits(parts=3))


def test_a_splitter_that_keeps_its_promises_passes():
    assert check_cut(JsonArray("$.q"), REQUEST, [0], [1, 3]).parts[1].raw == b"2"
    assert check_cut(JsonArray("$.q"), replace(REQUEST, headers=()), [0])
    assert check_cut(JsonArray("$.q"), replace(REQUEST, body=b'{"q":    [1]    }'), [0])
    assert check_cut(JsonArray("$.q"), replace(REQUEST, body=b"{}")) is None


def test_an_identity_of_one_alone_may_be_plainer():
    alone = Splits(lambda cut, request, limits: renamed(cut, request, limits) if len(cut.parts) > 1 else cut)
    assert check_cut(alone, REQUEST, [0], [2])


@dataclass(frozen=True)
class Merges(Positional):
    """Merges as Positional does, but for one change to what it cut or put together."""

    sliced: object = staticmethod(lambda sliced: sliced)
    merged: object = staticmethod(lambda body: body)

    def slice(self, response, parts, limits=LIMITS):
        return self.sliced(super().slice(response, parts, limits))

    def merge(self, frame, parts, shares, limits=LIMITS):
        return self.merged(super().merge(frame, parts, shares, limits))


@dataclass
class Strange:
    """Bytes that are not what they are stored as."""

    stored: bytes

    def packed(self):
        return self.stored


BROKEN_MERGES = {
    "a share too few": (Merges(sliced=lambda sliced: sliced._replace(shares=sliced.shares[1:])), "1 shares for 2 parts"),
    "other bytes": (Merges(merged=lambda body: body.replace(b"1.10", b"1.1")), "put together again"),
    "a share that is stored otherwise": (
        Merges(sliced=lambda sliced: sliced._replace(shares=(Strange(Share((b"1",)).packed()), sliced.shares[1]))), "not what was stored",
    ),
    "a frame that is stored otherwise": (
        Merges(sliced=lambda sliced: sliced._replace(frame=Strange(sliced.frame.packed()))), "the frame is not what was stored",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("merge", "told"), BROKEN_MERGES.values(), ids=BROKEN_MERGES)
def test_a_merge_that_breaks_its_promise_is_told(merge, told):
    with pytest.raises(AssertionError, match=told):
        check_answer(merge, ANSWER, PARTS)


def test_two_shares_of_one_part_are_told():
    with pytest.raises(AssertionError, match="has two shares"):
        check_answer(Twice(), ANSWER, (PARTS[0],) * 2)


class Twice(Positional):
    """Says two things of one part."""

    def slice(self, response, parts, limits=LIMITS):
        return super().slice(response, PARTS, limits)


def test_a_merge_that_keeps_its_promises_passes():
    assert check_answer(Positional(), ANSWER, PARTS).shares[0].items == (b"1.10",)


def numbers(request, comma=b", "):
    asked = JsonArray("$.q").plan(request).parts
    return Response(200, (), b"[" + comma.join([part.raw + b".0" for part in asked]) + b"]")


def test_a_service_whose_answers_can_be_put_together():
    body = check_upstream(JsonArray("$.q"), Positional(), numbers, REQUEST, [[0, 2], [1, 3]])
    assert body == b"[1.0, 2.0, 3.0, 4.0]"


def test_a_service_whose_answers_cannot():
    def first_has_more(request):
        return Response(200, (), numbers(request).body.replace(b"[", b"[1"))

    with pytest.raises(AssertionError, match="split, it is"):
        check_upstream(JsonArray("$.q"), Positional(), first_has_more, REQUEST, [[0, 2], [1, 3]])


def test_a_service_whose_answers_differ_around_their_items_is_a_fallback():
    def spaced(request):
        return numbers(request, b"," if b"1" in request.body else b", ")

    with pytest.raises(Fallback) as refused:
        check_upstream(JsonArray("$.q"), Positional(), spaced, REQUEST, [[0, 2], [1, 3]])
    assert refused.value.reason == Reason.FRAME


@pytest.mark.parametrize("groups", [[[0, 1]], [[0, 1, 2, 3], [0]]])
def test_each_place_is_asked_for_once(groups):
    with pytest.raises(AssertionError, match="each place once"):
        check_upstream(JsonArray("$.q"), Positional(), numbers, REQUEST, groups)


def test_nothing_to_split_is_told():
    with pytest.raises(AssertionError, match="nothing to split"):
        check_upstream(JsonArray("$.p"), Positional(), numbers, REQUEST, [])
