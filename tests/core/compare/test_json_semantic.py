"""`json_semantic`: what the owner says does not count, does not; all else does."""

import json

import pytest
from fakes import NOON, answer
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.compare.json import Json
from proxy.core.compare.json_semantic import JsonSemantic
from proxy.errors import ConfigError
from proxy.plugins import load


def told(control, candidate, now=NOON, **options):
    def sent(document):
        return answer(document.encode() if isinstance(document, str) else json.dumps(document).encode())

    return JsonSemantic(**options).difference(sent(control), sent(candidate), now)


EQUAL = {
    "a float within the relative": ({"float_rel": 1e-9}, "[0.30000000000000004]", "[0.3]"),
    "within the absolute": ({"float_abs": 1}, "[1,1.5]", "[2,0.5]"),
    "a tolerance as text": ({"float_rel": "1e-9"}, "[1000000000]", "[1000000001]"),
    "an ignored member": ({"ignore": ("$.took_ms",)}, '{"took_ms":1,"a":1}', '{"took_ms":"2","a":1}'),
    "an ignored member, not there": ({"ignore": ("$.took_ms",)}, '{"took_ms":1,"a":1}', '{"a":1}'),
    "an ignored member, too many": ({"ignore": ("$.took_ms",)}, '{"a":1}', '{"took_ms":1,"a":1}'),
    "members of elements": ({"ignore": ("$[*].id", "$[0].x")}, '[{"id":1,"x":1},{"id":2}]', '[{"x":2},{"id":3}]'),
    "an element": ({"ignore": ("$[1]",)}, "[1,2,3]", "[1,{},3]"),
    "all elements": ({"ignore": ("$[*]",)}, "[1,2,3]", "[3,{},1]"),
    "any order": ({"unordered": ("$",)}, '[1,"a",null,[1,2],{"b":1,"c":2}]', '[{"c":2,"b":1},null,[1,2],1e0,"a"]'),
    "any order, of what is there twice": ({"unordered": ("$",)}, "[1,2,1]", "[2,1,1]"),
    "any order within any order": (
        {"unordered": ("$.a", "$.a[*].b")},
        '{"a":[{"b":[1,2],"c":1},{"b":[3,4]}]}',
        '{"a":[{"b":[4,3]},{"c":1,"b":[2,1]}]}',
    ),
    "any order of arrays in any order, which alone would go with others": (
        {"unordered": ("$", "$[*]")},
        "[[1,9],[2,8]]",
        "[[9,1],[8,2]]",
    ),
    "any order of arrays in any order": ({"unordered": ("$", "$[*]")}, "[[1,2],[3,4]]", "[[4,3],[2,1]]"),
    "any order of long elements": ({"unordered": ("$",)}, [["x" * 300] * 3, ["y"]], [["y"], ["x" * 300] * 3]),
    "any order, less what is ignored": (
        {"unordered": ("$",), "ignore": ("$[*].id",)},
        '[{"id":1,"x":1},{"id":2,"x":2}]',
        '[{"id":1,"x":2},{"id":2,"x":1}]',
    ),
    "any order, within a tolerance": ({"unordered": ("$",), "float_abs": 0.1}, "[1,2,3]", "[3.05,1.05,2.05]"),
    "with one of them exact": ({"unordered": ("$",), "float_abs": 0.1}, "[1,2]", "[2.05,1]"),
    "any order of vectors, whose first numbers changed places": (
        {"unordered": ("$",), "float_abs": 0.1},
        "[[1.00,5],[1.01,9]]",
        "[[1.01,5],[1.00,9]]",
    ),
    "any order of vectors in any order, whose first numbers changed places": (
        {"unordered": ("$", "$[*]"), "float_abs": 0.1},
        "[[[1.00,5],[1.01,9]],[7]]",
        "[[7],[[1.01,5],[1.00,9]]]",
    ),
    "any order, of numbers beyond tolerance": (
        {"unordered": ("$",), "float_rel": 0.1},
        "[1e999,1,2e999]",
        "[20e998,1e999,1]",
    ),
    "a recent element of one side": (
        {"skip_recent": "2m"},
        f'[{{"ts":{NOON - 300}}},{{"ts":{NOON - 60},"v":1}}]',
        f'[{{"ts":{NOON - 300}}}]',
    ),
    "recent elements that differ": (
        {"skip_recent": "2m"},
        f'{{"a":[{{"v":1,"time":{NOON * 1000}}}]}}',
        f'{{"a":[{{"v":2,"time":{NOON * 1000}}}]}}',
    ),
    "recent pairs": (
        {"skip_recent": "2m"},
        f'{{"values":[[{NOON - 300},"1"],[{NOON - 120},"2"]]}}',
        f'{{"values":[[{NOON - 300},"1"],[{NOON},"3"],[{NOON + 60},"4"]]}}',
    ),
    "recent texts": (
        {"skip_recent": "2m"},
        '[{"timestamp":"2001-09-09T01:46:00Z"},{"ts":"1000000000"}]',
        '[{"ts":"1000000000123"}]',
    ),
    "another name of the time": ({"skip_recent": "1s", "time": ("at",)}, f'[{{"at":{NOON}}}]', "[]"),
    "the first name that tells a time": ({"skip_recent": "1s"}, f'[{{"time":"soon","ts":{NOON}}}]', "[]"),
    "recent elements in no order": (
        {"skip_recent": "1s", "unordered": ("$",)},
        f'[1,2,{{"ts":{NOON}}}]',
        f'[{{"ts":{NOON},"a":1}},2,1]',
    ),
    "recent elements within elements in no order": (
        {"skip_recent": "1s", "unordered": ("$",)},
        f'[[1],[2,{{"ts":{NOON}}}]]',
        "[[2],[1]]",
    ),
}


@pytest.mark.parametrize(("options", "control", "candidate"), EQUAL.values(), ids=EQUAL)
def test_what_does_not_count(options, control, candidate):
    assert told(control, candidate, **options) is None
    assert told(candidate, control, **options) is None
    assert told(control, candidate) is not None, "without the options it would"


DIFFERENT = {
    "beyond the relative": ({"float_rel": 1e-9}, "[1000000000]", "[1000000002]", "$[0]", "number"),
    "beyond the absolute": ({"float_abs": 0.5}, "[9007199254740992]", "[9007199254740993]", "$[0]", "number"),
    "a number too large for a tolerance": ({"float_rel": 0.5}, "[1e999]", "[1.1e999]", "$[0]", "number"),
    "one number too large for it": ({"float_rel": 0.5}, "[1e400]", "[1.1e401]", "$[0]", "number"),
    "a text that is near": ({"float_abs": 1}, '["1"]', '["1.5"]', "$[0]", "value"),
    "beside what is ignored": ({"ignore": ("$.a",)}, '{"a":1,"b":1}', '{"a":1,"b":2}', "$.b", "number"),
    "such a member elsewhere": ({"ignore": ("$.a",)}, '{"b":{"a":1}}', '{"b":{"a":2}}', "$.b.a", "number"),
    "an ignored element counts as one": ({"ignore": ("$[*]",)}, "[1,2]", "[1]", "$", "length"),
    "an order elsewhere": ({"unordered": ("$.a",)}, '{"b":[1,2]}', '{"b":[2,1]}', "$.b", "order"),
    "an order within elements": ({"unordered": ("$",)}, "[[1,2],[3]]", "[[3],[2,1]]", "$[0]", "order"),
    "an order, within a tolerance": ({"float_abs": 0.1}, "[1,2,3]", "[3.05,1,2]", "$", "order"),
    "an order beside what is ignored": ({"ignore": ("$[0]",)}, "[0,1,2]", "[9,2,1]", "$", "order"),
    "in any order, one more": ({"unordered": ("$",)}, "[1,2]", "[1,2,2]", "$", "length"),
    "in any order, long elements that differ late": (
        {"unordered": ("$",)},
        ["x" * 300 + "a", "x" * 300 + "b"],
        ["x" * 300 + "c", "x" * 300 + "a"],
        "$[1]",
        "value",
    ),
    "in any order, another one": ({"unordered": ("$",)}, "[1,1,2]", "[2,1,2]", "$[1]", "number"),
    "in any order, a member of one": (
        {"unordered": ("$.a",)},
        '{"a":[{"id":1,"p":1},{"id":2,"p":2},{"id":3,"p":3}]}',
        '{"a":[{"id":3,"p":3},{"id":2,"p":9},{"id":1,"p":1}]}',
        "$.a[1].p",
        "number",
    ),
    "in any order, the first of several": (
        {"unordered": ("$",)},
        '["x1","a",{"k":"b","v":1},{"k":"a","v":1}]',
        '[{"k":"a","v":2},{"k":"b","v":2},"a","x1"]',
        "$[2].v",
        "number",
    ),
    "in any order, beyond a tolerance": ({"unordered": ("$",), "float_abs": 0.1}, "[1,2,3]", "[3,2.2,1]", "$[1]", "number"),
    "in any order, of another shape": ({"unordered": ("$",), "float_abs": 0.1}, '[1,"a",5]', '[5,1.05,"b"]', "$[1]", "value"),
    "in any order, more of one shape": ({"unordered": ("$",), "float_abs": 0.1}, '[1,2,"a"]', '["a","b",1.01]', "$[1]", "type"),
    "what is not recent": ({"skip_recent": "2m"}, f"[[{NOON - 121},1]]", f"[[{NOON - 121},2]]", "$[0][1]", "number"),
    "what is far ahead": ({"skip_recent": "2m"}, f"[[{NOON + 121},1]]", "[]", "$", "length"),
    "a time that is no element": ({"skip_recent": "2m"}, f'{{"ts":{NOON},"v":1}}', f'{{"ts":{NOON},"v":2}}', "$.v", "number"),
    "three elements are no pair": ({"skip_recent": "2m"}, f"[[{NOON},1,2]]", "[]", "$", "length"),
    "a pair that begins with text": ({"skip_recent": "2m"}, f'[["{NOON}",1]]', "[]", "$", "length"),
    "a pair that begins with no time": ({"skip_recent": "2m"}, "[[1,1]]", "[]", "$", "length"),
    "a time of no name": ({"skip_recent": "2m"}, f'[{{"at":{NOON}}}]', "[]", "$", "length"),
    "an element that is no object": ({"skip_recent": "2m"}, f"[{NOON}]", "[]", "$", "length"),
    "the number that it has in the control": (
        {"skip_recent": "2m"},
        f"[[{NOON},1],[1,1],[2,2]]",
        f"[[1,1],[2,3],[{NOON},1]]",
        "$[2][1]",
        "number",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("options", "control", "candidate", "path", "kind"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_counts(options, control, candidate, path, kind):
    found = told(control, candidate, **options)
    assert (found.path, found.kind) == (path, kind)
    assert told(candidate, control, **options) is not None


WRONG = {
    "no path": ({"ignore": ["took"]}, r".ignore\[0\]: found took; .* is not a JSON path"),
    "no path, of what has no order": ({"unordered": ["$.a[-1]"]}, r".unordered\[0\]: .* is not a JSON path"),
    "the whole answer": ({"ignore": ["$"]}, "'\\$' is the whole answer, no two would differ"),
    "an order of what is ignored": ({"ignore": ["$.a"], "unordered": ["$.a.b"]}, r".unordered\[0\]: found \$.a.b; .* names what `ignore` leaves out"),
    "a number where there is none": ({"ignore": ["$.a.b[0].c"], "unordered": ["$.a.b"]}, r"the elements of '\$.a.b' have no fixed number"),
    "a number further down": ({"ignore": ["$[*].a[1].b[0].c"], "unordered": ["$[*].a[1].b"]}, r"the elements of '\$\[\*\].a\[1\].b' have no fixed number"),
    "a tolerance that is no number": ({"float_abs": "much"}, ".float_abs: found much; .* is not a number such as 0.01"),
    "less than none": ({"float_abs": -0.5}, "float_abs: '-0.5' is not a number"),
    "infinite": ({"float_abs": "Infinity"}, "float_abs: found Infinity"),
    "not a number": ({"float_rel": "NaN"}, "float_rel: found NaN"),
    "too large": ({"float_abs": "1e401"}, "float_abs: found 1e401"),
    "too small": ({"float_abs": "1e-401"}, "float_abs: found 1e-401"),
    "too long": ({"float_abs": "0." + "0" * 40 + "1"}, "float_abs: found 0.0"),
    "all of a number": ({"float_rel": 1}, "float_rel: '1.0' is not a part of a number: less than 1"),
    "true": ({"float_rel": True}, "float_rel: found true"),
    "no duration": ({"skip_recent": "often"}, "a duration such as 250ms"),
    "a duration without its unit": ({"skip_recent": 60}, "a duration such as 250ms"),
    "a word that is not there": ({"ignored": []}, "found ignored; .*; did you mean ignore"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options(options, message):
    with pytest.raises(ConfigError, match=message):
        load("compare", {"json_semantic": options})


def test_the_options_of_a_config():
    options = {"float_rel": "1e-9", "float_abs": 1, "ignore": ["$.took_ms"], "skip_recent": "2m", "time": ["at"]}
    made = load("compare", {"json_semantic": options}).made
    assert made == JsonSemantic("1e-9", 1.0, ("$.took_ms",), (), "2m", ("at",))
    assert load("compare", {"json_semantic": {"float_rel": 1e-9, "skip_recent": 0}}).made == JsonSemantic(1e-9)
    assert load("compare", "json_semantic").made == JsonSemantic()


def test_the_one_that_differs_among_many_is_told_though_not_all_pairs_are_tried():
    many = [[number, *[0.5] * 50] for number in range(2_500)]
    moved = [*many[1:], [10**6, *[0.5] * 50]]
    found = told(many[::-1], moved, unordered=("$",), float_abs=0.1)
    assert (found.path, found.kind) == ("$[2499][0]", "number")


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.floats(-1, 1) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=15,
)


@given(DOCUMENTS, DOCUMENTS)
def test_without_options_it_is_json(control, candidate):
    one, other = (answer(json.dumps(document).encode()) for document in (control, candidate))
    assert JsonSemantic().difference(one, other) == Json().difference(one, other)


def typed(document):
    """Return a document in which false is not 0, as Python says that it is."""
    if isinstance(document, list):
        return [typed(one) for one in document]
    if isinstance(document, dict):
        return {name: typed(one) for name, one in document.items()}
    return (bool, document) if isinstance(document, bool) else document


@example(both=([[False], [0]], [[0], [False]]))
@given(
    st.lists(DOCUMENTS, max_size=8).flatmap(lambda elements: st.tuples(st.just(elements), st.permutations(elements)))
)
def test_an_order_differs_unless_it_does_not_count(both):
    control, candidate = both
    assert told(control, candidate, unordered=("$",)) is None
    assert told(control, candidate, unordered=("$",), float_rel=0.01) is None
    found = told(control, candidate)
    assert (found is None) is (typed(control) == typed(candidate))
    assert found is None or (found.path, found.kind) == ("$", "order")


@given(st.lists(DOCUMENTS, max_size=5), st.lists(DOCUMENTS, max_size=5))
def test_a_set_is_what_it_is_sorted(control, candidate):
    def in_order(documents):
        return sorted(documents, key=lambda document: json.dumps(document, sort_keys=True))

    found = told(control, candidate, unordered=("$",))
    assert (found is None) is (told(in_order(control), in_order(candidate)) is None)


NUMBERS = st.lists(st.integers(-9, 9), max_size=12)


@given(NUMBERS, st.integers(0, 3), st.randoms(use_true_random=False))
def test_numbers_that_moved_within_the_tolerance_are_found_again(numbers, tolerance, dice):
    moved = [number + dice.randint(-tolerance, tolerance) for number in numbers]
    dice.shuffle(moved)
    assert told(numbers, moved, unordered=("$",), float_abs=tolerance) is None
    assert told(moved, numbers, unordered=("$",), float_abs=tolerance) is None


@example([1, 2], [2, 3], 1)
@given(NUMBERS, NUMBERS, st.integers(0, 9))
def test_sets_of_numbers_are_near_exactly_if_they_are_in_order(one, other, tolerance):
    expected = len(one) == len(other) and all(
        abs(ours - theirs) <= tolerance for ours, theirs in zip(sorted(one), sorted(other), strict=True)
    )
    assert (told(one, other, unordered=("$",), float_abs=tolerance) is None) is expected
