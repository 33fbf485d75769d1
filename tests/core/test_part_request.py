"""Requests of our own making for parts: what they keep of the client's, and what is refused before any work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.composite import LIMITS, Limits
from proxy.core.part_request import MAX_OTHER_PAIRS, Piece, body_of, label_of, pieces_of, run_of, with_body, with_query
from proxy.core.reasons import Reason
from proxy.core.types import Client, Request
from proxy.errors import Fallback

POST = Request("POST", b"//a/%7e?x=1", ((b"content-length", b"2"), (b"x", b"1"), (b"x", b"2")), b"{}", Client("peer"))


@given(st.text("ab=&%+6 ", max_size=20).map(str.encode))
def test_pieces_are_the_query(query):
    pieces = pieces_of(Request("GET", b"/?" + query), LIMITS)
    assert b"&".join([piece.raw for piece in pieces]) == query
    assert all(piece.raw.endswith(piece.value or b"") for piece in pieces)


def test_a_piece_has_its_decoded_name_and_its_raw_value():
    assert pieces_of(Request("GET", b"/?%61+b=%61&c&=d=e"), LIMITS) == [
        Piece(b"%61+b=%61", b"a b", b"%61"),
        Piece(b"c", b"c", None),
        Piece(b"=d=e", b"", b"d=e"),
    ]


@pytest.mark.parametrize(
    ("target", "separator", "reason"),
    [
        (b"/?a;b", b"", Reason.SPLIT_SYNTAX),
        (b"/?a;b", b",", Reason.SPLIT_SYNTAX),
        (b"/?a#b", b";", Reason.SPLIT_SYNTAX),
        (b"/?" + b"a&" * (2 + MAX_OTHER_PAIRS), b"", Reason.SPLIT_LIMIT),
    ],
)
def test_a_query_that_some_read_otherwise(target, separator, reason):
    with pytest.raises(Fallback) as refused:
        pieces_of(Request("GET", target), Limits(parts=2), separator)
    assert refused.value.reason == reason


def test_the_longest_query_that_is_looked_at():
    assert len(pieces_of(Request("GET", b"/?" + b"a&" * (1 + MAX_OTHER_PAIRS)), Limits(parts=2))) == MAX_OTHER_PAIRS + 2
    assert len(pieces_of(Request("GET", b"/?a;b"), LIMITS, b";")) == 1


@pytest.mark.parametrize(
    ("names", "run"), [("xaay", (1, 3)), ("a", (0, 1)), ("aa", (0, 2)), ("xy", (0, 0)), ("xya", (2, 3))]
)
def test_the_run_of_a_name(names, run):
    assert run_of([Piece(b"", name.encode(), None) for name in names], b"a") == run


def test_two_runs_are_in_doubt():
    with pytest.raises(Fallback) as refused:
        run_of([Piece(b"", name.encode(), None) for name in "axa"], b"a")
    assert refused.value.reason == Reason.SPLIT_SYNTAX


@pytest.mark.parametrize(
    ("value", "label"), [(b"a+b", "a b"), (b"%C3%A9", "é"), (b"%ff", "\udcff"), (b"%2", "%2"), (b"%2B", "+")]
)
def test_a_label_is_what_a_value_means(value, label):
    assert label_of(value) == label


def test_another_query_changes_nothing_else():
    assert with_query(POST, b"y=%7e") == Request("POST", b"//a/%7e?y=%7e", POST.headers, b"{}", Client("peer"))


def test_another_body_changes_its_length_and_nothing_else():
    headers = ((b"content-length", b"3"), (b"x", b"1"), (b"x", b"2"))
    assert with_body(POST, b"[1]") == Request("POST", POST.target, headers, b"[1]", Client("peer"))


def test_the_text_of_a_body():
    fields = ((b"content-type", b"application/json; charset=UTF-8"), (b"content-encoding", b"Identity"))
    assert body_of(Request("POST", b"/", fields, '"é"'.encode()), LIMITS) == '"é"'
    assert body_of(POST, Limits(request_bytes=2)) == "{}"


@pytest.mark.parametrize(
    "name", [b"digest", b"content-digest", b"repr-digest", b"content-md5", b"signature", b"content-range"]
)
def test_a_body_that_a_field_vouches_for_is_not_cut(name):
    with pytest.raises(Fallback) as refused:
        body_of(Request("POST", b"/", ((name, b"x"),), b"{}"), LIMITS)
    assert refused.value.reason == Reason.SPLIT_SYNTAX


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff", Reason.KEY_BODY_SYNTAX),
        (b"[" * 101, Reason.KEY_BODY_DEPTH),
        (object(), Reason.BODY),
        (b"[1]", Reason.SPLIT_LIMIT),
    ],
)
def test_a_body_that_cannot_be_read(body, reason):
    with pytest.raises(Fallback) as refused:
        body_of(Request("POST", b"/", (), body), Limits(request_bytes=2 if body == b"[1]" else 1000))
    assert refused.value.reason == reason
