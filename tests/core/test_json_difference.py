"""The walk itself; what it finds is told in tests/core/compare."""

import json
from decimal import Decimal

import pytest

from proxy.core.json_difference import TRIES, Lens, _Walk, first
from proxy.core.json_path import compiled
from proxy.core.json_text import parse

NEAR = Lens(places=compiled({"unordered": ("$",)}), absolute=Decimal("0.1"))


def read(document):
    return parse(json.dumps(document).encode())


def test_documents_that_are_one_object_are_equal():
    document = read({"a": [1, {"b": None}]})
    assert first(document, document, Lens()) is None


# The second numbers tell which belong together; by the first alone, each looks as if it belonged to another.
CROSSED = [[number / 100, number % 2] for number in range(10)], [[number / 100, 1 - number % 2] for number in range(10)]


@pytest.mark.parametrize(("tries", "equal"), [(TRIES, True), (0, False)])
def test_pairs_out_of_order_are_tried_as_long_as_tries_are_left(tries, equal):
    """What is not tried any more is a difference: the safe side."""
    control, candidate = map(read, CROSSED)
    assert (_Walk(NEAR, tries=tries).first(control, candidate, NEAR.places) is None) is equal
