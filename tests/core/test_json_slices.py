"""Offsets in JSON text: what stands where, and what is refused."""

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.json_path import compiled, singular
from proxy.core.json_slices import Held, document, elements, find, held, members, name_of, opened, value_at
from proxy.core.reasons import Reason
from proxy.errors import Fallback

LEAVES = st.sampled_from(["0", "-1.10", "1e5", "18446744073709551616", "true", "null", '"a"', '"],[{"', '"\\u00e9\\""'])
BLANKS = st.text(" \t\r\n", max_size=2)
NAMES = st.sampled_from(['"a"', '"b"', '"\\u0061"', '"]"', '""'])


def listed(inner, brackets):
    return st.tuples(st.lists(inner, max_size=4), BLANKS).map(
        lambda drawn: brackets[0] + drawn[1] + f"{drawn[1]},".join(drawn[0]) + brackets[1]
    )


TEXTS = st.recursive(
    LEAVES,
    lambda inner: (
        listed(inner, "[]")
        | listed(st.tuples(NAMES, BLANKS, inner).map(lambda one: f"{one[0]}{one[1]}:{one[2]}"), "{}")
    ),
    max_leaves=20,
)


@given(st.lists(TEXTS, max_size=5), BLANKS, BLANKS)
def test_the_elements_of_an_array_are_where_they_were_written(texts, before, after):
    text = "[" + before + f"{after},{before}".join(texts) + after + "]"
    found = elements(text, 0)
    assert [text[one.start : one.end] for one in found.spans] == texts
    assert (found.start, found.end) == (0, len(text))
    assert all(one.at == one.start for one in found.spans)


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=5), BLANKS, BLANKS)
def test_the_members_of_an_object_are_where_they_were_written(pairs, before, after):
    text = "{" + before + f"{after},{before}".join([f"{name}{after}:{before}{value}" for name, value in pairs])
    text += after + "}"
    found = members(text, 0)
    assert [one.name for one in found.spans] == [json.loads(name) for name, _ in pairs]
    assert [text[one.at : one.end] for one in found.spans] == [value for _, value in pairs]
    assert all(text[one.start] == '"' for one in found.spans)
    assert found.end == len(text)


@given(TEXTS, BLANKS, BLANKS)
def test_a_document_is_one_value_and_white_space(text, before, after):
    found = document(before + text + after)
    assert (found.at, found.end) == (len(before), len(before) + len(text))


WRONG = [
    "", " ", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]]", "[1] x", "{", '{"a"', '{"a":', '{"a":1', '{"a":1,}',
    "{a:1}", '{"a" 1}', '{"a":1 "b":2}', '{"a', '{"a\n":1}', '{"\\x":1}', "NaN", "[NaN]", "[Infinity]", "01", "[1.]",
    "'a'", '"a', "tru", "\ufeff[]", "[1]\x00", "\u00a0[]", '{"a":\u00a01}', "{1:1}", '{"a":1}}', "[\v1]",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_json_is_refused_where_it_is_read_in_pieces(text):
    for branch in (compiled({"x": ["$"]}), compiled({"x": ["$.a"]}), compiled({"x": ["$[0]"]}), compiled({})):
        with pytest.raises(Fallback) as refused:
            find(text, branch, "x")
        assert refused.value.reason == Reason.KEY_BODY_SYNTAX


@given(st.text('[]{}",:1a \\\n', max_size=12))
def test_what_is_read_in_pieces_is_what_the_standard_library_reads(text):
    try:
        json.loads(text, parse_constant=float)
        right = True
    except ValueError:
        right = False
    for path in ("$", "$.a", "$[1]", "$[0].a"):
        try:
            find(text, compiled({"x": [path]}), "x")
            read = True
        except Fallback as fallback:
            read = fallback.reason == Reason.KEY_DUPLICATE_MEMBER
        assert read == right


TEXT = '{ "n" : {"items": [ {"id": 1} ,2 ], "total" : 2}, "m": [10, [20, {"x": 30}]], "n2": null }'
PLACES = {
    "$.n.items": '[ {"id": 1} ,2 ]',
    "$.n.items[0].id": "1",
    "$.n.total": "2",
    "$.m[1][1].x": "30",
    "$.m[0]": "10",
    "$.n2": "null",
    "$": TEXT,
}


@pytest.mark.parametrize(("path", "there"), PLACES.items())
def test_a_path_ends_at_its_value(path, there):
    (found,) = find(TEXT, compiled({"x": [path]}))
    assert (found.mark, TEXT[found.span.at : found.span.end]) == ("x", there)


@pytest.mark.parametrize("path", ["$.q", "$.n.items.id", "$.n[0]", "$.m.x", "$.m[7]", "$.n2.x", "$[0]"])
def test_a_path_that_leads_nowhere_finds_nothing(path):
    assert find(TEXT, compiled({"x": [path]})) == []


def test_places_come_in_the_order_of_the_text_and_know_the_object_they_stand_in():
    total, m, items = "$.n.total", "$.m[0]", "$.n.items"
    found = find(TEXT, compiled({"total": [total], "m": [m], "items": [items]}), "items")
    assert [one.mark for one in found] == ["items", "total", "m"]
    assert isinstance(found[0].span.value, Held)
    assert [span.name for span in found[1].within.spans] == ["items", "total"]
    assert found[2].within is None


def test_only_what_is_to_be_opened_is_opened():
    (closed,) = find("[[1]]", compiled({"x": ["$[0]"]}))
    (opened,) = find("[[1]]", compiled({"x": ["$[0]"]}), "x")
    (scalar,) = find("[1]", compiled({"x": ["$[0]"]}), "x")
    assert (closed.span.value, scalar.span.value) == (["1"], "1")
    assert opened.span.value.spans[0].value == "1"


DOUBLED = '{"a": {"b": 1, "b": 2}, "c": [{"a": 1, "a": 2}], "d": 1, "d": 2}'


@pytest.mark.parametrize("path", ["$.a.b", "$.d", "$.d.x", "$.c[0].a"])
def test_a_path_through_a_member_that_is_named_twice_is_refused(path):
    with pytest.raises(Fallback) as refused:
        find(DOUBLED, compiled({"x": [path]}))
    assert refused.value.reason == Reason.KEY_DUPLICATE_MEMBER


@pytest.mark.parametrize("path", ["$.a", "$.c", "$.c[0]"])
def test_members_named_twice_beside_the_path_or_below_its_end_are_kept(path):
    assert len(find(DOUBLED, compiled({"x": [path]}), "x")) == 1


def test_a_member_named_by_an_escape_is_that_member():
    with pytest.raises(Fallback):
        find('{"a":1,"\\u0061":2}', compiled({"x": ["$.a"]}))


AT = {"$": '{"a":[1,{"b":"x"}],"t":1,"t":2}', "$.a[0]": "1", "$.a[1].b": "x"}


@pytest.mark.parametrize("path", AT)
def test_value_at(path):
    value = document(AT["$"]).value
    assert value_at(value, singular(path)) == (value if path == "$" else AT[path])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("$.q", Reason.FRAME),
        ("$.a.b", Reason.FRAME),
        ("$.a[5]", Reason.FRAME),
        ("$[0]", Reason.FRAME),
        ("$.a[1].b.c", Reason.FRAME),
        ("$.t", Reason.KEY_DUPLICATE_MEMBER),
    ],
)
def test_value_at_nothing(path, reason):
    with pytest.raises(Fallback) as refused:
        value_at(document(AT["$"]).value, singular(path))
    assert refused.value.reason == reason


def test_scalars_name_things_and_nothing_else_does():
    values = document('["x", 1.10, 18446744073709551616, true, null, {}, []]').value
    assert [name_of(value) for value in values] == ["x", "1.10", "18446744073709551616", None, None, None, None]


def test_held_opens_arrays_and_objects_only():
    assert [bool(held(text, 0)) for text in ("[1]", '{"a":1}', "1", '"a"', "")] == [True, True, False, False, False]


def test_opened_reads_anything_and_opens_what_it_can():
    (array, end), (text, _) = opened("[[1], 2]", None, 0), opened('"a"', None, 0)
    assert (end, array.spans[0].value, text) == (8, ["1"], "a")
    (found,) = find('{"a":[{"b":1}]}', compiled({"x": ["$.a"]}), "x", None, opened)
    assert found.span.value.spans[0].value.spans[0].name == "b"


@pytest.mark.parametrize("text", ["[1,1,1]", '{"a":1,"b":1,"a":1}'])
def test_what_holds_too_much_is_refused_at_the_first_too_many(text):
    assert len(held(text, 0, 3).spans) == 3
    with pytest.raises(Fallback) as refused:
        held(text[:-1] + "!" * 3, 0, 2)
    assert refused.value.reason == Reason.SPLIT_LIMIT


@pytest.mark.parametrize(
    "text", ["[" + " " * 500_000, "[" + "1," * 250_000, '{"' + "a" * 500_000, "[" + '"\\"",' * 100_000 + "]"]
)
def test_reading_takes_linear_time(text):
    began = process_time()
    with pytest.raises(Fallback):
        find(text, compiled({"x": ["$"]}), "x")
    assert process_time() - began < 3
