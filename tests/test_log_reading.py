"""Files of a log are read whole: packed, torn, foreign, or with lines of any length."""

import gzip
import io

import pytest
from day import day

from proxy.core.log_report import LogReport
from proxy.log_reading import Torn, read_into

LINE = b'{"event":"request","outcome":"hit","duration_s":1.0}\n'


def read(content):
    report, told = LogReport(), []
    read_into(report, io.BytesIO(content), told.append)
    return report.told(), sum(told)


def test_a_file_packed_or_not_comes_to_the_same():
    plain, size = read(day().lines)
    assert size == len(day().lines)
    packed = gzip.compress(day().lines, 1)
    assert read(packed) == (plain, len(packed))
    assert plain["lines"]["unreadable"] == 0


ODD = {
    "an empty file": (b"", 0, 0),
    "blank lines": (b"\n  \n" + LINE + b"\r\n", 1, 0),
    "another log": (b'10.0.0.1 - - "GET / HTTP/1.1" 200\n' + LINE, 2, 1),
    "half a line at its end": (LINE + LINE[:20], 2, 1),
    "no end of line": (LINE.strip(), 1, 0),
    "bytes": (b"\xff\xfe\x00\n" + LINE, 2, 1),
    "too deep": (b"[" * 5000 + b"\n" + LINE, 2, 1),
    "a line beyond all": (b"x" * 3_000_000 + b"\n" + LINE, 2, 1),
}


@pytest.mark.parametrize(("content", "lines", "unreadable"), ODD.values(), ids=ODD)
def test_what_is_foreign_is_counted_and_the_rest_is_read(content, lines, unreadable):
    told, _ = read(content)
    assert (told["lines"]["read"], told["lines"]["unreadable"]) == (lines, unreadable)
    assert told["n"] == lines - unreadable


def test_what_stands_before_a_cut_is_read():
    report = LogReport()
    with pytest.raises(Torn, match="cut"):
        read_into(report, io.BytesIO(gzip.compress(LINE * 1000)[:-20]), lambda _: None)
    assert report.told()["lines"]["read"] > 0
