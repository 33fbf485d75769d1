"""Where a service's own answers differ from one another, a candidate's may differ too, and nowhere else."""

import json

import pytest

from proxy.core.compare.bytes import Bytes
from proxy.core.compare.json import Json
from proxy.core.compare.json_semantic import JsonSemantic
from proxy.core.difference import Difference
from proxy.core.noise import difference, tolerant
from proxy.core.types import Response

TYPE = ((b"content-type", b"application/json"),)


def said(value, *, status=200):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Response(status, TYPE, body)


def at(path, kind="value"):
    return Difference(path, kind, "", "")


def items(*prices, ts=1, order=()):
    return {"ts": ts, "items": [{"id": number, "price": price} for number, price in enumerate(prices)], "set": [*order]}


ALIKE = items(1, 2)
# name → the measure, what candidate says against ALIKE, the noise, the path and the kind that are found
FOUND = {
    "equal": (Bytes(), ALIKE, [], None),
    "as its path where it is JSON": (Bytes(), items(1, 3), [], ("$.items[1].price", "number")),
    "as bytes where it is not": (Bytes(), b"<html>", [], ("byte 0", "bytes")),
    "as bytes where only those differ": (Bytes(), json.dumps(ALIKE, indent=1).encode(), [], ("byte 1", "bytes")),
    "by its own measure": (JsonSemantic(float_abs=2), items(1, 3), [], None),
    "noise": (Json(), items(1, 2, ts=9), [at("$.ts")], None),
    "noise of bytes": (Bytes(), items(1, 2, ts=9), [at("$.ts")], None),
    "what differs beside the noise": (Json(), items(1, 3, ts=9), [at("$.ts")], ("$.items[1].price", "number")),
    "noise of one element is of all": (Json(), items(1, 3), [at("$.items[0].price")], None),
    "noise elsewhere": (Json(), items(1, 3), [at("$.ts")], ("$.items[1].price", "number")),
    "below what differs": (Json(), {**ALIKE, "ts": {"at": 1}}, [at("$.ts.at")], ("$.ts", "type")),
    "the order of a set": (Json(), {"set": [2, 1]}, [at("$.set", "order")], "missing"),
    "of noise that has no place": (Json(), items(1, 3), [at("status"), at("byte 7", "bytes")], ("$.items[1].price", "number")),
    "a status of noise": (Bytes(), b"", [at("status", "status")], None),
}  # fmt: skip


@pytest.mark.parametrize(("compare", "candidate", "noise", "found"), FOUND.values(), ids=FOUND)
def test_the_first_difference_that_is_no_noise(compare, candidate, noise, found):
    is_status = candidate == b""
    one = difference(compare, said(ALIKE), said(candidate, status=500 if is_status else 200), 0.0, noise)
    if found == "missing":
        assert one is not None
        assert (one.path, one.kind) == ("$.ts", "missing")
    else:
        assert (None if one is None else (one.path, one.kind)) == found


def test_an_order_that_is_noise_does_not_hide_what_is_in_it():
    control, noise = said({"set": [1, 2, 3]}), [at("$.set", "order")]
    assert difference(Json(), control, said({"set": [3, 1, 2]}), 0.0, noise) is None
    assert tolerant(Json(), noise).difference(control, said({"set": [3, 1, 4]})) is not None


MEASURES = {
    "nothing": ([], JsonSemantic(float_abs=1)),
    "a place": ([at("$.ts")], JsonSemantic(float_abs=1, ignore=("$.id", "$.ts"))),
    "a place in all elements": ([at("$.a[3].ts"), at("$.a[7].ts")], JsonSemantic(float_abs=1, ignore=("$.id", "$.a[*].ts"))),
    "an order": ([at("$.a", "order")], JsonSemantic(float_abs=1, ignore=("$.id",), unordered=("$.a",))),
    "an order of what is ignored": ([at("$.a", "order"), at("$.a")], JsonSemantic(float_abs=1, ignore=("$.id", "$.a"))),
    "what is ignored already": ([at("$.id")], JsonSemantic(float_abs=1, ignore=("$.id",))),
    "what is no path": ([at("status", "status"), at("byte 3", "bytes")], JsonSemantic(float_abs=1)),
    "a path that was cut": ([at("$.a…")], JsonSemantic(float_abs=1)),
    "a path that was cut, and reads as one": ([at("$['a…']")], JsonSemantic(float_abs=1)),
    "an order of what was cut": ([at("$['a…']", "order")], JsonSemantic(float_abs=1)),
    "what contradicts the owner": ([at("$.id", "order")], JsonSemantic(float_abs=1)),
}  # fmt: skip


@pytest.mark.parametrize(("noise", "measure"), MEASURES.values(), ids=MEASURES)
def test_a_measure_that_leaves_noise_out_keeps_what_the_owner_says(noise, measure):
    given = JsonSemantic(float_abs=1, ignore=("$.id",))
    found = tolerant(given, noise)
    expected = given if measure == JsonSemantic(float_abs=1) else measure
    assert found == expected


def test_what_is_compared_as_bytes_is_compared_as_json_where_there_is_noise():
    """Of bytes nobody can say which they should be."""
    assert tolerant(Bytes(), []) == Bytes()
    assert tolerant(Bytes(), [at("$.ts")]) == JsonSemantic(ignore=("$.ts",))
    assert tolerant(Bytes(), [at("byte 7", "bytes")]) == Bytes()
