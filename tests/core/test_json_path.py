"""JSON paths: their grammar, and the tree that several make."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.json_path import compiled, parse

PATHS = {
    "$ is the document": ("$", ()),
    "a member": ("$.a", ("a",)),
    "a member of a member": ("$.a.b", ("a", "b")),
    "digits and _ belong to names": ("$._a1", ("_a1",)),
    "letters of any script belong to names": ("$.größe", ("größe",)),
    "an element": ("$.a[0]", ("a", 0)),
    "an element of a document": ("$[12]", (12,)),
    "every element": ("$.a[*].b", ("a", None, "b")),
    "an odd name": ("$['odd name']", ("odd name",)),
    "an odd name may be empty": ("$['']", ("",)),
    "an odd name may hold what means something elsewhere": ("$['a.b[*]'].c", ("a.b[*]", "c")),
    "a quote and a backslash are escaped": (r"$['it\'s a \\']", ("it's a \\",)),
}


@pytest.mark.parametrize(("path", "steps"), PATHS.values(), ids=PATHS)
def test_parse(path, steps):
    assert parse(path) == steps


WRONG = {
    "nothing": ("", "does not start with \\$"),
    "no $": ("a.b", "does not start with \\$"),
    "a dot without a name": ("$.", "expected .* at '\\.'"),
    "a name without a dot": ("$a", "at 'a'"),
    "two dots": ("$..a", "at '\\.\\.a'"),
    "* as a member": ("$.*", "at"),
    "a name that starts with a digit": ("$.1", "at"),
    "a hyphen without quotes": ("$.request-id", "at '-id'"),
    "a negative number": ("$[-1]", "at"),
    "a number that starts with 0": ("$[01]", "at"),
    "a number without end": ("$[12345678901]", "at"),
    "an open bracket": ("$[0", "at"),
    "a slice": ("$[0:2]", "at"),
    "a filter": ("$[?@.a]", "at"),
    "several": ("$['a','b']", "at"),
    "double quotes": ('$["a"]', "at"),
    "an unknown escape": (r"$['\n']", "at"),
    "a blank at the end": ("$.a ", "at ' '"),
    "a line's end": ("$.a\n", "at"),
}


@pytest.mark.parametrize(("path", "message"), WRONG.values(), ids=WRONG)
def test_what_is_not_a_path_is_named_with_its_place(path, message):
    with pytest.raises(ValueError, match=message) as error:
        parse(path)
    assert repr(path) in str(error.value)


@given(st.text("$.[]*'\\ab01 é", max_size=12))
def test_any_text_is_a_path_or_a_value_error(text):
    with suppress(ValueError):
        assert all(step is None or isinstance(step, str | int) for step in parse("$" + text))


def marks(tree, *steps):
    for step in steps:
        tree = tree and (tree.members.get(step) if isinstance(step, str) else dict(tree.places(9)).get(step))
    return set(tree.marks) if tree else None


TREE = compiled({"x": ["$.a", "$.a[*].b", "$.a[1].c"], "y": ["$.a[*].b", "$.a[1]"], "z": ["$"]})

PLACES = {
    "the document has its own marks": ([], {"z"}),
    "a path ends at its place": (["a"], {"x"}),
    "places elsewhere are not in the tree": (["b"], None),
    "every element is a place": (["a", 7], set()),
    "a numbered element has marks of its own": (["a", 1], {"y"}),
    "below every element": (["a", 7, "b"], {"x", "y"}),
    "below a numbered element, what is below every element": (["a", 1, "b"], {"x", "y"}),
    "below a numbered element, what is below it": (["a", 1, "c"], {"x"}),
    "below another element, not what is below the numbered one": (["a", 7, "c"], None),
    "nothing follows where no path goes on": (["a", 1, "c", 0], None),
}


@pytest.mark.parametrize(("steps", "expected"), PLACES.values(), ids=PLACES)
def test_compiled(steps, expected):
    assert marks(TREE, *steps) == expected


ARRAYS = {
    "every element is a place": ("$[*]", 3, [0, 1, 2]),
    "only the numbered ones are places": ("$[1]", 3, [1]),
    "an element that is not there is no place": ("$[3]", 3, []),
    "a member is none": ("$.a", 3, []),
    "nothing has no elements": ("$[*]", 0, []),
}


@pytest.mark.parametrize(("path", "count", "numbers"), ARRAYS.values(), ids=ARRAYS)
def test_places(path, count, numbers):
    assert [number for number, _ in compiled({"x": [path]}).places(count)] == numbers
