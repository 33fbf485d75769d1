"""Plain values: whatever it was, it can be written; that a line can hold them is tried by the formats' own tests."""

import json

import pytest
from hypothesis import given
from odd_fields import NAMES, VALUES, nested, trees

from proxy.core.plain import plain, text


@pytest.mark.parametrize(
    "value", [*VALUES.values(), *NAMES.values()], ids=[*VALUES, *(f"the name {name}" for name in NAMES)]
)
def test_any_object_has_a_plain_value_that_json_holds(value):
    json.dumps(plain(value)).encode()
    text(value).encode()


@given(trees)
def test_a_plain_value_is_its_own(tree):
    """NaN is not equal to itself, so the text is compared."""
    assert repr(plain(plain(tree))) == repr(plain(tree))


def test_what_is_nested_too_deep_ends_as_text():
    inner = plain(nested(20))
    for _ in range(8):
        (inner,) = inner
    assert type(inner) is str
