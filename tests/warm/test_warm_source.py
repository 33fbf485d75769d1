"""Whatever file it is: its requests once each, the costliest first, and all the rest counted."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.warm.source import read

LIST = b"""\
# every morning
http://a/1

  /2?q=x  \r
https://A/1#top
/2?q=x
"""
LOG = b"\n".join(
    json.dumps({"event": "request", "method": "GET", "status": 200, **more}).encode()
    for more in (
        {"path": "/cheap", "key_hash": "1", "upstream_s": 0.1},
        {"path": "/costly", "key_hash": "2", "upstream_s": 60.0},
        {"path": "/cheap", "key_hash": "1"},
        {"path": "/many", "key_hash": "3"},
        {"path": "/many", "key_hash": "4"},
        {"path": "/posted", "method": "POST"},
    )
)


def entry(url, time, method="GET"):
    asked = {"method": method, "url": url, "headers": []}
    return {"request": asked, "response": {"status": 200}, "time": time}


HAR = json.dumps(
    {
        "log": {
            "entries": [
                entry("http://a/1", 10), entry("http://cdn/x", 9000), entry("http://a/2", 4000),
                entry("http://a/1", 50), entry("http://cdn/y", 1), {"request": None}, entry("http://a/2", 1, "PUT"),
            ]
        }
    }
).encode()  # fmt: skip

FILES = {
    "a list": (LIST, [(b"a", b"/1"), (None, b"/2?q=x")], {}, {}, []),
    "a log": (LOG, [(None, b"/costly"), (None, b"/cheap")], {"query not in the log": 1, "method": 1}, {}, []),
    "a HAR file": (
        HAR, [(b"a", b"/2"), (b"a", b"/1")], {"another host": 2, "method": 1}, {"cdn": 2},
        ["entry 6: no entry of a HAR file"],
    ),
    "all that can be in lines": (
        LOG + b"\n" + LIST, [(None, b"/costly"), (None, b"/cheap"), (b"a", b"/1"), (None, b"/2?q=x")],
        {"query not in the log": 1, "method": 1}, {}, [],
    ),
    "nothing": (b"", [], {}, {}, []),
    "bad lines among good ones": (
        b"/1\nwww.example.org\n\xff\n{\nhttp://u:p@a/\n/2\n", [(None, b"/1"), (None, b"/2")], {}, {},
        ["line 2: no http or https URL", "line 3: not UTF-8", "line 4: not JSON", "line 5: a URL with credentials"],
    ),
    "a long line": (b"/1\n/" + b"x" * 10 * 2**20 + b"\n/2\n", [(None, b"/1"), (None, b"/2")], {}, {}, ["line 2: longer than 1 MiB"]),
}  # fmt: skip


def found(source):
    return [(one.request.header(b"host"), one.request.target) for one in source.wanted]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("content", "wanted", "left_out", "hosts", "shown"), FILES.values(), ids=FILES)
def test_what_is_in_a_file(content, wanted, left_out, hosts, shown, pack):
    source = read([pack(content)])
    assert (found(source), dict(source.left_out), dict(source.hosts)) == (wanted, left_out, hosts)
    assert (source.shown, source.unreadable) == (shown, len(shown))


def test_the_costs_are_the_most_that_was_seen():
    assert [one.cost_s for one in read([HAR]).wanted] == [4.0, 0.05]
    assert [one.cost_s for one in read([LOG]).wanted] == [60.0, 0.1]


def test_hosts_can_be_chosen():
    assert found(read([HAR], ["CDN"])) == [(b"cdn", b"/x"), (b"cdn", b"/y")]
    assert len(read([HAR], ["cdn", "a"]).wanted) == 4
    source = read([LIST], ["b"])
    assert (found(source), dict(source.hosts)) == ([(None, b"/2?q=x")], {"a": 2})


def test_only_the_first_bad_lines_are_shown_and_all_are_counted():
    source = read([b"x\n" * 1000 + b"/1\n"])
    assert (source.unreadable, len(source.shown), found(source)) == (1000, 5, [(None, b"/1")])


def test_a_file_that_is_cut_gives_what_is_there():
    source = read([gzip.compress(b"/1\n/2\n" * 5)[:-4]])
    assert (found(source), source.shown) == ([(None, b"/1"), (None, b"/2")], ["its end: the gzip file is cut"])


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr("proxy.warm.source.MOST_KEPT_BYTES", 2000)
    source = read([b"/1\n/2\n/3\n/4\n/1\n"])
    assert (found(source), dict(source.left_out)) == (
        [(None, b"/1"), (None, b"/2")],
        {"more than 256 MiB of requests": 2},
    )


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_nothing_that_is_in_a_file_is_an_error(pieces):
    read(piece for piece in pieces if piece)
    read([b'{"log":{"entries":[', *pieces])
