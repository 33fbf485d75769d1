"""Log formats: one contract for all of them – exactly one valid line, whatever the fields hold – and what each adds."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.format.console import Console
from proxy.core.format.json import Json
from proxy.core.reasons import Reason

FORMATS = {"json": Json(), "console": Console()}


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


@pytest.fixture(params=FORMATS.values(), ids=FORMATS)
def form(request):
    return request.param


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_may_be_anything(form, value):
    is_one_line(form.render({"event": "request", "value": value, "after": 1}))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_of_a_known_field_too(form, value):
    is_one_line(form.render({"timestamp": value, "path": value, "duration_s": value}))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_may_be_anything(form, name):
    is_one_line(form.render({"event": "request", name: 1}))


def test_no_fields_are_a_line_too(form):
    is_one_line(form.render({}))


def test_fields_may_be_any_mapping(form):
    is_one_line(form.render(MappingProxyType({"event": "request"})))


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


@given(fields=st.dictionaries(st.text(), trees, max_size=4))
@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_any_tree_is_one_line(form, fields):
    is_one_line(form.render(fields))


# JSON.


@given(st.dictionaries(st.text() | st.integers(), trees, max_size=4))
def test_json_is_one_object_with_as_many_members_as_text_tells_apart(fields):
    told = json.loads(Json().render(fields))
    assert type(told) is dict
    assert len(told) <= len(fields)


JSON = {
    "what JSON holds is written as it is": (
        {"a": [1, "é", None, True, {"b": 0.5}]},
        '{"a":[1,"é",null,true,{"b":0.5}]}',
    ),
    "fields keep their order": ({"b": 1, "a": 2}, '{"b":1,"a":2}'),
    "a huge number is text": ({"a": 10**30}, '{"a":"' + "1" + "0" * 30 + '"}'),
    "a number that JSON holds stays one beside it": (
        {"a": 2**64 - 1, "b": 2**64},
        '{"a":18446744073709551615,"b":"18446744073709551616"}',
    ),
    "NaN is null": ({"a": float("nan")}, '{"a":null}'),
    "bytes are text": ({"a": b"a\xffb"}, '{"a":"a\\\\xffb"}'),
    "a lone surrogate is escaped": ({"a": "\ud800"}, '{"a":"\\\\ud800"}'),
    "a set is a list": ({"a": {1}}, '{"a":[1]}'),
    "a tuple is a list": ({"a": (1, 10**30)}, '{"a":[1,"1000000000000000000000000000000"]}'),
    "keys are text": ({"a": {1: 2}}, '{"a":{"1":2}}'),
    "a reason is its word": ({"a": Reason.NO_TTL}, '{"a":"no_ttl"}'),
    "what cannot be written is its class": ({"a": Broken()}, '{"a":"<Broken>"}'),
    "beside it all stays": ({"a": Broken(), "b": [True, None, 0.5, "x"]}, '{"a":"<Broken>","b":[true,null,0.5,"x"]}'),
}


@pytest.mark.parametrize(("fields", "line"), JSON.values(), ids=JSON)
def test_json(fields, line):
    assert Json().render(fields).decode() == line + "\n"


def test_json_lets_go_of_what_is_nested_too_deep():
    line = Json().render({"a": nested(300)})
    assert len(line) < 2000
    assert json.loads(line)["a"]


# The console.

CONSOLE = {
    "what happened comes first, without its names": (
        {"duration_s": 0.5, "rule": "r", "path": "/a", "event": "request", "level": "info", "timestamp": "t"},
        "t info request /a 0.5 rule=r",
    ),
    "the rest keeps its order": ({"b": 1, "a": None}, "b=1 a=None"),
    "text with a blank is quoted": ({"a": "b c"}, 'a="b c"'),
    "a line break is escaped": ({"a": "b\nc"}, 'a="b\\nc"'),
    "an escape is escaped": ({"a": "\x1b[0m"}, 'a="\\x1b[0m"'),
    "a quote in quotes is escaped": ({"a": 'b "c"\\ d'}, 'a="b \\"c\\"\\\\ d"'),
    "a lone surrogate is escaped": ({"a": "\ud800"}, 'a="\\ud800"'),
    "letters stay letters": ({"a": "é🦊"}, "a=é🦊"),
    "a reason is its word": ({"a": Reason.NO_TTL}, "a=no_ttl"),
    "other things are shown as Python shows them": ({"a": ["b", 1]}, "a=\"['b', 1]\""),
}


@pytest.mark.parametrize(("fields", "line"), CONSOLE.values(), ids=CONSOLE)
def test_console(fields, line):
    assert Console().render(fields).decode() == line + "\n"
