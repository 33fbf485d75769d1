"""A job: what is told of it, who may read it, and its answer as it is read."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.job import (
    KEEPS_S,
    Progress,
    accepted,
    credential_names,
    delivered,
    is_id,
    place_of,
    read_progress,
    result_of,
    who_asks,
)
from proxy.core.types import Request, Response

ID, OTHER_ID = "0123456789abcdef" * 2, "f" * 32
URL = f"/_frontrunner/jobs/{ID}"
NAMES = credential_names((b"x-key",))
BASIC = (b"authorization", b"Basic bWU=")
times = st.floats(0, 2**40)


@given(times, times, st.none() | times, st.none() | st.integers(0, 2**31), st.text(max_size=5))
def test_what_one_process_writes_another_reads(began, asked_at, expected, place, who):
    told = Progress(began, ("authorization", "x-key"), who, asked_at, expected, place)
    assert read_progress(told.written()) == told


GOOD = json.loads(Progress(1.0, ("a",), "w").written())


@pytest.mark.parametrize(
    "note",
    [
        b"", b"{", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000,
        *[json.dumps(GOOD | wrong).encode() for wrong in (
            {"began": None}, {"began": "x"}, {"began": float("nan")}, {"names": 1}, {"who": 1}, {"more": 1},
            {"asked_at": float("inf")}, {"expected_s": "soon"}, {"place": [1]},
        )],
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_no_note(note):
    """The board is an input."""
    assert read_progress(note) is None
    assert read_progress(json.dumps(GOOD).encode()) is not None


@pytest.mark.parametrize(
    ("progress", "now", "seconds"),
    [
        (Progress(100.0, expected_s=40.0), 100.0, 40),
        (Progress(100.0, expected_s=40.0), 120.5, 20),
        (Progress(100.0, expected_s=40.0, asked_at=90.0), 100.0, 30),
        (Progress(100.0, expected_s=40.0), 140.0, 4),
        (Progress(100.0, expected_s=40.0), 180.0, 8),
        (Progress(100.0), 100.0, 1),
        (Progress(100.0), 125.0, 3),
        (Progress(100.0), 5000.0, 30),
        (Progress(100.0), 90.0, 1),
    ],
)
def test_when_to_look_again(progress, now, seconds):
    """As long as it should still take; where nobody knows, or it takes longer, in proportion to what it took."""
    assert progress.retry_after_s(now) == seconds


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        (Progress(100.0), {}),
        (Progress(100.0, expected_s=44.00049), {"expected_s": 44.0}),
        (Progress(100.0, place=0), {"place": 0}),
    ],
)
def test_what_is_told_of_a_job_that_runs(progress, told):
    response = progress.answer(200, URL, 112.3456)
    assert json.loads(response.body) == {"state": "running", "elapsed_s": 12.346, "url": URL} | told
    assert response.headers == (
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(response.body)),
        (b"cache-control", b"no-store"),
        (b"retry-after", b"%d" % progress.retry_after_s(112.3456)),
    )


def test_the_202_says_where():
    response = accepted(Progress(100.0).answer(202, URL, 100.0), URL)
    assert response.status == 202
    assert response.headers[-2:] == ((b"location", URL.encode()), (b"preference-applied", b"respond-async"))


@pytest.mark.parametrize(
    ("text", "fine"),
    [(ID, True), (ID.upper(), False), (ID[1:], False), (ID + "0", False), ("", False), (ID[:-1] + "g", False)],
)
def test_a_jobs_id(text, fine):
    assert is_id(text) is fine


def test_the_store_does_not_tell_the_id():
    assert len(place_of(ID)) == 20
    assert place_of(ID) != place_of(OTHER_ID)
    assert bytes.fromhex(ID) not in place_of(ID)


def test_who_asks_is_told_by_the_credentials_and_what_the_rule_keys_by():
    assert NAMES == (b"authorization", b"cookie", b"proxy-authorization", b"x-key")


SAME = [BASIC, (b"cookie", b"a=1"), (b"x-key", b"k")]


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        (SAME, True),
        ([*SAME, (b"accept", b"*/*"), (b"x-other", b"1")], True),
        (SAME[::-1], True),
        ([BASIC, (b"cookie", b"a=1"), (b"x_key", b"k")], True),
        (SAME[:2], False),
        (SAME[1:], False),
        ([*SAME, (b"proxy-authorization", b"")], False),
        ([*SAME, BASIC], False),
        ([BASIC, (b"cookie", b"a=2"), (b"x-key", b"k")], False),
        ([BASIC, (b"cookie", b"a=1"), (b"x-key", b"K")], False),
        ([], False),
    ],
)
def test_who_is_the_same(headers, same):
    made = who_asks(tuple(SAME), NAMES, ID)
    assert (who_asks(tuple(headers), NAMES, ID) == made) is same
    assert who_asks(tuple(headers), NAMES, OTHER_ID) != made, "the hash is keyed with the job"


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=4)), max_size=4))
def test_no_value_forges_anothers_credentials(headers):
    """Only the same values of the same fields make the same hash."""
    values = {name: [value for key, value in headers if key == name] for name in NAMES}
    ours = {name: [value for key, value in SAME if key == name] for name in NAMES}
    assert (who_asks(tuple(headers), NAMES, ID) == who_asks(tuple(SAME), NAMES, ID)) is (values == ours)


def kept(response: Response, body: bytes = b"0123456789"):
    return result_of(response, body, Progress(100.0, ("authorization",), "who"), "kept", 140.0)


def test_an_answer_as_it_is_kept():
    entry = kept(Response(200, ((b"content-length", b"99"), (b"x-a", b"1"), (b"x-a", b"2"))))
    assert entry.headers == ((b"x-a", b"1"), (b"x-a", b"2"), (b"content-length", b"10"))
    assert (entry.status, entry.body, entry.stored_at, entry.ttl, entry.cost) == (
        200,
        b"0123456789",
        140.0,
        KEEPS_S,
        40.0,
    )
    assert (entry.rule, entry.vary, entry.tag) == ("kept", (b"authorization",), b"who")


@pytest.mark.parametrize(("status", "length"), [(200, b"0"), (204, None), (304, b"7"), (502, b"0")])
def test_a_length_is_told_where_there_may_be_one(status, length):
    headers = ((b"content-length", b"7"),) if status == 304 else ()
    assert Response(status, kept(Response(status, headers), b"").headers).header(b"content-length") == length


def test_no_cache_keeps_what_needs_credentials():
    fields = tuple([(name, b"max-age=60") for name in (b"cache-control", b"cdn-cache-control", b"expires", b"etag")])
    got = delivered(Request("GET", URL.encode()), kept(Response(200, fields)), 140.0)
    assert got.headers == ((b"etag", b"max-age=60"), (b"content-length", b"10"), (b"cache-control", b"no-store"))


@pytest.mark.parametrize(
    ("method", "field", "status", "body"),
    [
        ("GET", None, 200, b"0123456789"),
        ("HEAD", None, 200, b""),
        ("GET", (b"range", b"bytes=2-4"), 206, b"234"),
        ("GET", (b"range", b"bytes=20-"), 416, b""),
        ("GET", (b"if-none-match", b'"a"'), 304, b""),
        ("GET", (b"if-none-match", b'"b"'), 200, b"0123456789"),
    ],
)
def test_an_answer_is_read_as_any_other(method, field, status, body):
    request = Request(method, URL.encode(), (field,) if field else ())
    got = delivered(request, kept(Response(200, ((b"etag", b'"a"'),))), 140.0)
    assert (got.status, got.body) == (status, body)


@pytest.mark.parametrize("status", [206, 304, 404, 502])
def test_what_was_no_whole_answer_is_read_as_it_is(status):
    entry = replace(kept(Response(status, ((b"etag", b'"a"'),)), b"part"))
    for field in ((b"range", b"bytes=0-1"), (b"if-none-match", b'"a"')):
        got = delivered(Request("GET", URL.encode(), (field,)), entry, 140.0)
        assert (got.status, got.body) == (status, b"part")
