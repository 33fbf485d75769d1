"""What every compare profile promises; a new one is held to it as soon as its file is there."""

import gc
import json
from dataclasses import is_dataclass
from inspect import getdoc
from time import process_time

import pytest
from fakes import NOON, answer
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.difference import LONGEST_PATH
from proxy.plugins import catalogue, find, load

WORDS = catalogue("compare")

# Options to try; none of them may leave out what is named `kept`.
OPTIONS = {
    "json_semantic": [
        {},
        {
            "float_rel": 1e-9,
            "ignore": ["$.a", "$[*].a", "$.b[1]"],
            "unordered": ["$", "$.c", "$.c[*]", "$[*].b"],
            "skip_recent": "2m",
        },
        {"float_abs": 0.5, "unordered": ["$", "$[*]"]},
    ],
}
SAMPLES = [load("compare", {word: options}).made for word in WORDS for options in OPTIONS.get(word, [{}])]
every_sample = pytest.mark.parametrize("one", SAMPLES, ids=repr)
readers = pytest.mark.parametrize("one", [one for one in SAMPLES if type(one).__name__ != "Bytes"], ids=repr)


def typed(body, media_type=b"application/json", status=200):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answer(body, (b"content-type", media_type), status=status)


def differs(one, control, candidate):
    return one.difference(typed(control), typed(candidate), NOON)


def test_a_stranger_may_write_one_but_not_without_its_method():
    assert set(WORDS) == {"bytes", "json", "json_semantic"}
    assert load("compare", "proxy.core.compare.json:Json").made == load("compare", "json").made
    with pytest.raises(Exception, match="the name of a frozen dataclass with difference"):
        load("compare", "proxy.core.units:parse_duration")
    with pytest.raises(Exception, match="did you mean json"):
        load("compare", "jsno")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_a_frozen_slotted_dataclass_that_says_what_it_does(word):
    kind = find("compare", word)
    assert is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert "__dict__" not in dir(kind())
    assert getdoc(kind)


@every_sample
def test_it_is_written_as_its_options(one):
    assert eval(repr(one), {type(one).__name__: type(one)}) == one


MOMENTS = st.sampled_from([NOON, NOON - 300, NOON * 1000, "2001-09-09T01:46:40Z"])
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=3) | MOMENTS
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "ts", "é"]), inner, max_size=4)
        | st.tuples(MOMENTS, inner).map(list)
    ),
    max_leaves=15,
)
ODD = st.binary(max_size=30) | st.text('{}[]",:1e9. atrue\\', max_size=20).map(str.encode)
BODIES = ODD | DOCUMENTS.map(lambda document: json.dumps(document).encode())
ANSWERS = st.builds(
    typed,
    BODIES,
    st.sampled_from([b"application/json", b"text/html", b"application/json;charset=utf-8", b"", b"\xff"]),
    st.sampled_from([200, 200, 200, 204, 302, 404, 500]),
)


@every_sample
@given(control=ANSWERS)
def test_an_answer_is_equal_to_itself(one, control):
    assert one.difference(control, control, NOON) is None


@every_sample
@given(control=ANSWERS, candidate=ANSWERS, now=st.floats())
def test_whoever_is_the_control_nothing_is_raised_and_there_is_a_difference_or_none(one, control, candidate, now):
    found = one.difference(control, candidate, now)
    assert (found is None) is (one.difference(candidate, control, now) is None)
    if found is not None:
        assert len(found.path) <= LONGEST_PATH
        assert found.path.isprintable()


@every_sample
@given(control=DOCUMENTS, candidate=DOCUMENTS)
def test_whoever_is_the_control_documents_differ_or_not(one, control, candidate):
    assert (differs(one, control, candidate) is None) is (differs(one, candidate, control) is None)


@every_sample
@pytest.mark.parametrize("status", [400, 404, 503])
@given(control=ODD, candidate=ODD)
def test_errors_of_one_class_are_equal(one, status, control, candidate):
    assert one.difference(typed(control, b"a", status), typed(candidate, b"b", status // 100 * 100 + 9)) is None


@every_sample
@given(control=ODD, candidate=ODD)
def test_an_error_is_never_equal_to_an_answer(one, control, candidate):
    assert one.difference(typed(control), typed(candidate, status=500)).kind == "status"


def reversed_members(document):
    if isinstance(document, dict):
        return {name: reversed_members(document[name]) for name in reversed(document)}
    return list(map(reversed_members, document)) if isinstance(document, list) else document


@readers
@given(document=DOCUMENTS)
def test_neither_the_order_of_members_nor_the_spelling_matters(one, document):
    respelled = json.dumps(reversed_members(document), indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert differs(one, document, respelled) is None


def leaves(document, path=()):
    members = document.items() if isinstance(document, dict) else enumerate(document)
    for step, value in members:
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, step))
        else:
            yield (*path, step)


def planted(document, path, value):
    if not path:
        return value
    copied = dict(document) if isinstance(document, dict) else list(document)
    copied[path[0]] = planted(document[path[0]], path[1:], value)
    return copied


HOLDERS = st.recursive(
    st.integers(-5, 5) | st.text("xyz", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["d", "e", "f"]), inner, max_size=3),
    max_leaves=10,
).map(lambda document: {"kept": document, "also": 1})
SECRET = "s3cr3t-47110815"


@every_sample
@given(document=HOLDERS, dice=st.randoms(use_true_random=False))
def test_a_leaf_that_changes_makes_a_difference_that_does_not_tell_it(one, document, dice):
    path = dice.choice(list(leaves(document)))
    found = differs(one, document, planted(document, path, SECRET))
    back = differs(one, planted(document, path, SECRET), document)
    assert found is not None
    assert back is not None
    assert not any(secret in repr((found, back)) for secret in (SECRET, "s3cr3t", "47110815"))


@every_sample
@given(document=HOLDERS, dice=st.randoms(use_true_random=False))
def test_a_number_that_changes_is_not_told(one, document, dice):
    path = dice.choice(list(leaves(document)))
    found = differs(one, planted(document, path, 4711081547110815), planted(document, path, 4711081599999999))
    assert found is None or "47110815" not in repr(found)
    assert found is not None or one.float_rel == 0


@every_sample
def test_neither_a_media_type_nor_a_body_that_is_no_json_is_told(one):
    types = typed(b"{}", f"text/{SECRET};charset={SECRET}".encode()), typed(b"{}")
    found = one.difference(*types), one.difference(*types[::-1]), differs(one, SECRET.encode(), b"{}")
    assert None not in found
    assert SECRET not in repr(found)


def shuffled(count):
    """Return so many objects, in an order that is another for each number of them."""
    return [{"id": number, "price": number / 7, "tags": ["a", "b"]} for number in range(count)]


MANY = shuffled(10_000)
TURNED = MANY[5_000:] + MANY[:5_000]
JITTERED = [{**one, "price": one["price"] * (1 + 1e-12)} for one in reversed(MANY)]
VECTORS = [[number / 10_007 % 1, number * 7_919 / 10_007 % 1] for number in range(10_000)]
ELSEWHERE = [[number / 10_007 % 1, number * 7_907 / 10_007 % 1] for number in range(10_000)]

HOSTILE = {
    "100,000 arrays": (b"[" * 100_000 + b"]" * 100_000, b" " + b"[" * 100_000 + b"]" * 100_000),
    "100,000 objects": (b'{"a":' * 100_000, b' {"a":' * 100_000),
    "huge exponents": (b"[1e999999999,-1e-999999999]", b"[1e999999998,-1e-999999999]"),
    "exponents of 100,000 digits": (b"[1e%b]" % (b"9" * 100_000), b"[1.0e%b]" % (b"9" * 100_000)),
    "numbers of a megabyte": (b"[%b]" % (b"9" * 1_000_000), b"[%b.5]" % (b"9" * 1_000_000)),
    "elements in another order": (MANY, TURNED),
    "elements in another order, but one": (MANY, [*TURNED[:-1], {}]),
    "elements in another order, not quite equal": (MANY, JITTERED),
    "elements of one shape, none of them equal": (VECTORS, ELSEWHERE),
    "arrays in arrays, whose order differs at the bottom": (
        b"[" * 99 + json.dumps(list(range(10_000))).encode() + b"]" * 99,
        b"[" * 99 + json.dumps(list(range(10_000))[::-1]).encode() + b"]" * 99,
    ),
    "pairs of arrays in arrays, all of another order": (
        b"[1," * 99 + b"[1,2]" + b"]" * 99,
        b"[" * 99 + b"[2,1]" + b",1]" * 99,
    ),
    "alike texts that differ late": ([["a" * 1000, number] for number in range(1000)], [["a" * 1000, -1]] * 1000),
    "a name of a megabyte": ({"k" * 1_000_000: 1}, {"k" * 1_000_000: 2}),
    "a megabyte of escapes": (b'["%b"]' % (b"\\u0041" * 150_000), b'["%b"]' % (b"\\u0041" * 149_999 + b"\\u0042")),
}


@every_sample
@pytest.mark.parametrize("bodies", HOSTILE.values(), ids=HOSTILE)
def test_hostile_answers_cost_little(one, bodies):
    control, candidate = map(typed, bodies)
    gc.disable()  # what other tests left would be looked through again and again
    try:
        began = process_time()
        one.difference(control, candidate, NOON)
        assert process_time() - began < 3  # a third of a second, and up to four times that with coverage
    finally:
        gc.enable()
