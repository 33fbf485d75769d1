"""Log formats: one contract for all of them – exactly one valid line, whatever the fields hold – and what each adds."""

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_fields import NAMES, VALUES, Broken, is_one_line, nested, trees

from proxy.core.format.console import Console
from proxy.core.format.json import Json
from proxy.core.reasons import Reason

FORMATS = {"json": Json(), "console": Console()}


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
    "so is what could be taken for quotes, a name or an escape": (
        {"a": '"b', "c": "d=e", "f": r"\x1b", "g": ""},
        'a="\\"b" c="d=e" f="\\\\x1b" g=""',
    ),
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
