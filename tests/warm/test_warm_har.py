"""HAR files: their requests as they are to be asked again, one entry in memory at a time."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.types import Request
from proxy.warm.har import MOST_ENTRY_BYTES, entries, is_har, wanted_of
from proxy.warm.wanted import LeftOut, Unreadable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
OBJECTS = st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=5)


def har(*some, **more):
    return json.dumps(
        {"log": {"version": "1.2", "pages": [{"title": '"entries": ['}], "entries": some, **more}}
    ).encode()


@pytest.mark.parametrize(
    ("beginning", "said"),
    [
        (b'{"log":{"version":', True),
        (b' \r\n{\n  "log": {\n', True),
        (b'{"event":"request"', False),
        (b'{"log":"a"}', False),
        (b"http://a/{}", False),
        (b"", False),
    ],
)
def test_a_har_file_is_known_by_how_it_begins(beginning, said):
    assert is_har(beginning) is said


@given(OBJECTS, st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_each_entry_comes_whole_wherever_the_file_is_cut(objects, step, indent, ascii_only):
    told = {"log": {"creator": {"name": "\\"}, "entries": objects, "comment": "entries"}}
    text = json.dumps(told, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    cut = [text[at : at + step] for at in range(0, len(text), step)]
    found = [one.decode("utf-8", "surrogatepass") for one in entries(cut) if one is not None]
    assert [json.loads(one) for one in found] == objects


def test_an_entry_that_is_too_large_costs_only_itself():
    big = json.dumps({"a": 'b\\"' * (MOST_ENTRY_BYTES // 4)}).encode()
    pieces = [
        b'{"log":{"entries":[{"a":1},',
        *(big[at : at + 2**18] for at in range(0, len(big), 2**18)),
        b',{"a":2}]}}',
    ]
    tracemalloc.start()
    assert list(entries(pieces)) == [b'{"a":1}', None, b'{"a":2}']
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.5 * MOST_ENTRY_BYTES


def test_what_stands_before_a_cut_is_read():
    objects = [b'{"a":"b"}', b'{"c":["d"]}', b'{"e":"f}]\\"g"}']
    whole = b'{"log":{"entries":[' + b",".join(objects) + b"]}}"
    ends = [whole.index(one) + len(one) for one in objects]
    for at in range(whole.index(b"[") + 1, len(whole) - 2):
        found = []
        with pytest.raises(Unreadable, match="cut"):
            found.extend(entries([whole[:at]]))
        assert found == [one for one, end in zip(objects, ends, strict=True) if end <= at]


def test_a_file_without_entries_is_told():
    with pytest.raises(Unreadable, match="without entries"):
        list(entries([b'{"log":{"pages":[]}}']))


def entry(method="GET", url="http://a/b?c", status=200, fields=(), **more):
    request = {"method": method, "url": url, "headers": [{"name": n, "value": v} for n, v in fields]}
    outer = {name: more.pop(name) for name in ("time", "timings") if name in more}
    return json.dumps({"request": request | more, "response": {"status": status}, **outer}).encode()


TEXT = {"mimeType": "application/json", "text": '{"a":"ä"}'}
WANTED = {
    "a GET": (entry(), Request("GET", b"/b?c", ((b"host", b"a"),)), 0.0),
    "what it took": (entry(time=1500.5), Request("GET", b"/b?c", ((b"host", b"a"),)), 1.5005),
    "what the upstream took of it": (
        entry(time=1500, timings={"wait": 900.0}), Request("GET", b"/b?c", ((b"host", b"a"),)), 0.9,
    ),
    "times that nobody took": (entry(time=-1, timings={"wait": -1}), Request("GET", b"/b?c", ((b"host", b"a"),)), 0.0),
    "times that are none": (entry(time="1", timings=[]), Request("GET", b"/b?c", ((b"host", b"a"),)), 0.0),
    "a POST": (
        entry("POST", postData=TEXT, bodySize=10, fields=[("Content-Type", "application/json")]),
        Request("POST", b"/b?c", ((b"host", b"a"), (b"content-type", b"application/json")), b'{"a":"\xc3\xa4"}'), 0.0,
    ),
    "a QUERY": (entry("QUERY", postData={"text": "a"}), Request("QUERY", b"/b?c", ((b"host", b"a"),), b"a"), 0.0),
    "a POST of nothing": (entry("POST", bodySize=0), Request("POST", b"/b?c", ((b"host", b"a"),)), 0.0),
    "what a GET said by mistake": (entry(postData=TEXT), Request("GET", b"/b?c", ((b"host", b"a"),)), 0.0),
    "fields of which the answer may depend, and no others": (
        entry(fields=[
            (":authority", "a"), ("Host", "evil"), ("Accept", "*/*"), ("Accept-Language", "de"), ("X-Tenant", " 7"),
            ("Cookie", "hunter2"), ("Authorization", "hunter2"), ("Cache-Control", "no-cache"), ("If-None-Match", '"1"'),
            ("Range", "bytes=0-1"), ("Connection", "keep-alive"), ("Sec-Fetch-Mode", "cors"), ("Referer", "http://a/"),
            ("X-Forwarded-For", "1.2.3.4"), ("Content-Length", "9"), ("Priority", "u=1"), ("Transfer-Encoding", "chunked"),
        ]),
        Request("GET", b"/b?c", ((b"host", b"a"), (b"accept", b"*/*"), (b"accept-language", b"de"), (b"x-tenant", b"7"))), 0.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "request_", "cost_s"), WANTED.values(), ids=WANTED)
def test_an_entry_is_a_request(text, request_, cost_s):
    wanted = wanted_of(text)
    assert (wanted.request, wanted.cost_s) == (request_, cost_s)


LEFT_OUT = {
    "deletes": (entry("DELETE"), "method"),
    "does nobody knows what": (entry(["GET"]), "method"),
    "reads the head": (entry("HEAD"), "method"),
    "was redirected": (entry(status=302), "status"),
    "was not modified": (entry(status=304), "status"),
    "failed": (entry(status=0), "status"),
    "is no request": (entry(url="data:image/png,a"), "scheme"),
    "is a socket": (entry(url="wss://a/b"), "scheme"),
    "has no whole body": (entry("POST", postData=TEXT, bodySize=99), "body"),
    "has a form's pairs only": (entry("POST", postData={"params": [{"name": "a", "value": "b"}]}), "body"),
    "has a body that is not there": (entry("POST", bodySize=3), "body"),
    "holds a line break": (entry(fields=[("X-A", "1\r\nX-B: 2")]), "field"),
    "holds what is no name": (entry(fields=[("X A", "1")]), "field"),
}


@pytest.mark.parametrize(("text", "reason"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_not_asked_again(text, reason):
    with pytest.raises(LeftOut) as left:
        wanted_of(text)
    assert left.value.reason == reason


NO_ENTRIES = [
    b"", b"{}", b"[]", b"null", b'{"request":{}}', b'{"request":[],"response":{}}', b"{" * 5000, b"\xff",
    b'{"request":{"method":"GET","url":"http://a","headers":[1]},"response":{"status":200}}',
    b'{"request":{"method":"GET","url":"http://a","headers":null},"response":{"status":200}}',
    b'{"request":{"method":"GET","url":"http://a:b@c"},"response":{"status":200}}',
]  # fmt: skip


@pytest.mark.parametrize("text", NO_ENTRIES)
def test_what_is_no_entry(text):
    with pytest.raises(Unreadable):
        wanted_of(text)
