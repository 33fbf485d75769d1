"""Names and values that no log line expects, and what a line must be all the same."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from types import MappingProxyType

from hypothesis import strategies as st

from proxy.core.reasons import Reason


class Broken:
    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


class BrokenText(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError


class Lines:
    def __repr__(self):
        return "a\nb"


class Seconds(float):
    pass


class Number(int):
    pass


class Code(IntEnum):
    OK = 200


@dataclass
class Point:
    x: object


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


CIRCLE: dict = {}
CIRCLE["again"] = CIRCLE

VALUES = {
    "text": "a",
    "empty text": "",
    "a line break": "a\nb\r\nc\x0bd\x85e\u2028f",
    "an escape": "\x1b[31mred\x1b[0m",
    "a zero byte": "a\0b",
    "quotes": "\"'\\`",
    "a lone surrogate": "a\ud800b",
    "an emoji": "🦊",
    "text from right to left": "\u202eabc",
    "a very long text": "a\n" * 10_000,
    "bytes": b"\xff\n\x00",
    "a bytearray": bytearray(b"\n"),
    "10**30": 10**30,
    "the largest number that JSON readers share": 2**64 - 1,
    "its neighbour": 2**64,
    "-2**63 - 1": -(2**63) - 1,
    "a number of more digits than Python writes": 10**5000,
    "NaN": float("nan"),
    "infinity": float("-inf"),
    "a float of another class": Seconds(1.5),
    "an int of another class": Number(1),
    "an enum": Code.OK,
    "a reason": Reason.NO_TTL,
    "None": None,
    "True": True,
    "a set": {1, "a"},
    "a frozenset": frozenset({(1, 2)}),
    "a tuple": (1, "a\n"),
    "a list with a surrogate": ["\udfff"],
    "a mapping": {"a": {"b": ["\n"]}},
    "a mapping that is no dict": MappingProxyType({"a": 1}),
    "odd keys": {1: 1, None: 2, (1, 2): 3, "\n": 4, "\ud800": 5, b"\xff": 6},
    "a circle": CIRCLE,
    "nested deep": nested(300),
    "nested deeper than Python writes": nested(100_000),
    "a date": datetime(2026, 1, 1, tzinfo=UTC),
    "an exception": ValueError("a\nb"),
    "a dataclass": Point("\ud800"),
    "a class": Broken,
    "an object": object(),
    "an object that cannot be written": Broken(),
    "text that cannot be written": BrokenText("a"),
    "one of them inside": [Broken(), {"a": Broken()}],
    "an object that is written in two lines": Lines(),
}
NAMES = {
    "a line break": "a\nb",
    "an escape": "\x1b[31m",
    "a lone surrogate": "\ud800",
    "an equals sign and a quote": 'a="b',
    "nothing": "",
    "a number": 1,
    "None": None,
    "bytes": b"\n",
    "a tuple": ("\n",),
    "an object that cannot be written": Broken(),
}


def is_one_line(line: bytes) -> None:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert min(line[:-1], default=32) >= 32  # no control characters
    line.decode()


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.text(st.characters(categories=["Cs", "Cc", "Zl"]))
)
keys = st.text() | st.integers() | st.none() | st.tuples(st.text())
trees = st.recursive(leaves, lambda one: st.lists(one) | st.dictionaries(keys, one) | st.sets(leaves), max_leaves=8)
