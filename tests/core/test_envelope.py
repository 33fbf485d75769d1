"""What stands around the items of an answer: cut out, and closed again around others."""

import pytest
from composites import STYLES, Members, Raw

from proxy.core.composite import Limits
from proxy.core.envelope import Envelope, Sum, label_at
from proxy.core.json_path import singular
from proxy.core.json_slices import document
from proxy.core.reasons import Reason
from proxy.core.types import Response
from proxy.errors import Fallback

LIMITS = Limits()
JSON = ((b"content-type", b"application/json"),)


def answer(text, status=200, headers=JSON):
    return Response(status, headers, text.encode() if isinstance(text, str) else text)


def again(envelope, text, change=lambda items: items):
    opened = envelope.open(answer(text), LIMITS)
    return envelope.close(opened.frame, change(opened.items()), LIMITS).decode()


WHOLE = {
    "an array": ("$", {}, "[1, 2 ,3]".replace(" ,", ",").replace(",3", ", 3")),
    "in an object": ("$.a", {}, '{"x":1.10,"a":[{"b":1,"b":2},"]"],"y":1e5}'),
    "deep": ("$.a.b[1]", {}, '{"a":{"b":[[0],[1,2],[3]]}}'),
    "empty": ("$.a", {}, '{"a":[]}'),
    "empty with white space": ("$.a", {}, '{"a":[\n ]}'),
    "one": ("$.a", {}, '{"a": [ 1 ]}'),
    "white space around": ("$", {}, "\n[ 1 , 2 ]\n "),
    "a count": ("$.a", {"$.n": "count"}, '{"a":[1,2],"n": 2 }'),
    "a count before": ("$.a", {"$.n.m": "count"}, '{"n":{"m":2},"a":[1,2]}'),
    "a total that is absent": ("$.a", {"$.n": "count"}, '{"a":[1,2]}'),
    "a sum": ("$.a", {"$.n": Sum("$.x")}, '{"a":[{"x":5},{"x":-7}],"n":-2}'),
    "a sum of numbers": ("$", {}, "[1,2]"),
    "a big sum": ("$.a", {"$.n": Sum("$")}, '{"a":[99999999999999999999,1],"n":100000000000000000000}'),
    "any": ("$.a", {"$.t": "any", "$.u": "any"}, '{"a":[1],"t":0.10,"u":"x"}'),
    "letters of all kinds": ("$.é", {}, '{"é":["é","\\u00e9","\U0001f600"]}'),
}


@pytest.mark.parametrize(("items", "totals", "text"), WHOLE.values(), ids=WHOLE)
def test_what_is_cut_is_closed_again_to_the_byte(items, totals, text):
    assert again(Envelope.of(items, totals), text) == text


OTHER_ITEMS = {
    "fewer": ('{"a":[1, 2, 3],"n":3}', lambda items: items[:1], '{"a":[1],"n":1}'),
    "none, compact": ('{"a":[1, 2],"n":2}', lambda items: [], '{"a":[],"n":0}'),
    "more": ('{"a":[1, 2],"n":2}', lambda items: items * 2, '{"a":[1, 2, 1, 2],"n":4}'),
    "more than one, compact": ('{"a":[1],"n":1}', lambda items: items * 2, '{"a":[1,1],"n":2}'),
    "more than one, spaced": ('{"b": 1, "a": [1], "n": 1}', lambda items: items * 2, '{"b": 1, "a": [1, 1], "n": 2}'),
    "more than one, indented": (
        '{\n  "a": [\n    1\n  ],\n  "n": 1}', lambda items: items * 2, '{\n  "a": [\n    1,\n    1\n  ],\n  "n": 2}',
    ),
    "commas in strings show nothing": ('{"a": ["x, \\", y,z"], "n": 1}', lambda items: items * 2, '{"a": ["x, \\", y,z", "x, \\", y,z"], "n": 2}'),
}  # fmt: skip


@pytest.mark.parametrize(("text", "change", "expected"), OTHER_ITEMS.values(), ids=OTHER_ITEMS)
def test_other_items_in_the_same_frame(text, change, expected):
    assert again(Envelope.of("$.a", {"$.n": "count"}), text, change) == expected


UNKNOWN = {
    "no items, where white space stood around one": ('{"a":[ 1 ]}', lambda items: []),
    "no items, where lines stood between": ('{"a":[\n1,\n2\n]}', lambda items: []),
    "two items, where nothing separates any": ('{"a":[1]}', lambda items: items * 2),
    "two items, where commas differ": ('{"a":[1],"b":2, "c":3}', lambda items: items * 2),
    "an item, where there was none": ('{"a":[]}', lambda items: [b"1"]),
}


@pytest.mark.parametrize(("text", "change"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_the_frame_does_not_show_is_not_guessed(text, change):
    with pytest.raises(Fallback) as refused:
        again(Envelope.of("$.a", {}), text, change)
    assert refused.value.reason == Reason.FRAME


@pytest.mark.parametrize("style", STYLES)
def test_one_item_shows_how_a_service_separates_many(style):
    def written(*items):
        members = Members(
            [("kind", Raw("1")), ("items", [Members([("id", Raw(one))]) for one in items]), ("n", Raw("1"))]
        )
        return STYLES[style].write(members)

    envelope = Envelope.of("$.items", {"$.n": "any"})
    more = [item.replace(b"1", b"2") for item in envelope.open(answer(written("1")), LIMITS).items()]
    assert again(envelope, written("1"), lambda items: items + more) == written("1", "2")


UNCLEAN = {
    "uneven separators": '{"a":[1,2, 3]}',
    "no items": '{"b":[1]}',
    "items twice": '{"a":[1],"a":[2]}',
    "a path through a member that comes twice": '{"x":{"a":[1]},"a":[1],"a":{}}',
    "items that are no array": '{"a":{"x":1}}',
    "items that are null": '{"a":null}',
    "a wrong count": '{"a":[1,2],"n":3}',
    "a count as text": '{"a":[1,2],"n":"2"}',
    "a count as another number": '{"a":[1,2],"n":2.0}',
    "no JSON": '{"a":[1,2}',
    "two documents": '{"a":[1]}{"a":[1]}',
    "a byte order mark": '\ufeff{"a":[1]}',
    "no UTF-8": b'{"a":["\xff"]}',
    "nothing": "",
    "too deep": '{"a":' + "[" * 101 + "]" * 101 + "}",
}


@pytest.mark.parametrize("text", UNCLEAN.values(), ids=UNCLEAN)
def test_what_cannot_be_cut_cleanly_is_not_cut(text):
    with pytest.raises(Fallback) as refused:
        Envelope.of("$.a", {"$.n": "count"}).open(answer(text), LIMITS)
    assert refused.value.reason == Reason.FRAME


ODD_RESPONSES = {
    "an error": (answer("[]", 500), Reason.PART_ERROR),
    "nothing new": (answer("", 304), Reason.PART_ERROR),
    "a part of it": (answer("[]", 206), Reason.PART_ERROR),
    "created": (answer("[]", 201), Reason.PART_ERROR),
    "compressed": (answer("[]", headers=(*JSON, (b"content-encoding", b"gzip"))), Reason.FRAME),
    "another charset": (answer("[]", headers=((b"content-type", b"application/json; charset=latin-1"),)), Reason.FRAME),
    "still arriving": (Response(200, JSON, object()), Reason.FRAME),
    "too large": (answer("[" + " " * 20 + "]"), Reason.SPLIT_LIMIT),
    "too many items": (answer("[1,2,3,4]"), Reason.SPLIT_LIMIT),
}


@pytest.mark.parametrize(("response", "reason"), ODD_RESPONSES.values(), ids=ODD_RESPONSES)
def test_only_whole_plain_answers_are_cut(response, reason):
    with pytest.raises(Fallback) as refused:
        Envelope.of("$", {}).open(response, Limits(answer_bytes=20, answer_items=3))
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "headers", [(), JSON, ((b"content-type", b"application/json;charset=UTF-8"), (b"content-encoding", b"Identity"))]
)
def test_a_response_that_says_little_is_taken_for_plain_json(headers):
    assert Envelope.of("$", {}).open(answer("[1]", headers=headers), LIMITS).items() == [b"1"]


SUMS = ["null", '"1"', "1.0", "1e2", "[]", "1" * 40]


@pytest.mark.parametrize("number", SUMS)
def test_only_whole_numbers_are_added_up(number):
    with pytest.raises(Fallback) as refused:
        Envelope.of("$.a", {"$.n": Sum("$.x")}).open(answer(f'{{"a":[{{"x":{number}}}],"n":{number}}}'), LIMITS)
    assert refused.value.reason == Reason.FRAME


def test_a_sum_of_the_members_of_an_object():
    envelope = Envelope.of("$.a", {"$.n": Sum("$.x")}, "{")
    text = '{"a":{"p":{"x":1},"q":{"x":2}},"n":3}'
    assert again(envelope, text) == text
    assert again(envelope, text, lambda items: items[1:]) == '{"a":{"q":{"x":2}},"n":2}'


def test_an_answer_over_the_limit_is_not_put_together():
    envelope = Envelope.of("$", {})
    opened = envelope.open(answer("[11111]"), LIMITS)
    assert envelope.close(opened.frame, [b"1" * 8], Limits(answer_bytes=10)) == b"[11111111]"
    with pytest.raises(Fallback) as refused:
        envelope.close(opened.frame, [b"1" * 9], Limits(answer_bytes=10))
    assert refused.value.reason == Reason.SPLIT_LIMIT


DROPPED = {
    "the first": ('{"x": 1, "a":[1], "b":2}', '{"a":[1], "b":2}'),
    "the last": ('{"a":[1], "b":2, "x": 1}', '{"a":[1], "b":2}'),
    "in between": ('{"a":[1], "x": 1 ,"b":2}', '{"a":[1] ,"b":2}'),
    "two in a row": ('{"a":[1],"x":1,"y":2,"b":2}', '{"a":[1],"b":2}'),
    "both ends": ('{"x":1,"a":[1],"b":2,"y":{}}', '{"a":[1],"b":2}'),
    "all of an object": ('{"a":[1],"o":{"z": 1}}', '{"a":[1],"o":{}}'),
    "absent": ('{"a":[1],"o":{"w":1}}', '{"a":[1],"o":{"w":1}}'),
}


@pytest.mark.parametrize(("text", "left"), DROPPED.values(), ids=DROPPED)
def test_what_is_dropped_leaves_json(text, left):
    envelope = Envelope.of("$.a", {"$.x": "drop", "$.y": "drop", "$.o.z": "drop"})
    assert again(envelope, text) == left
    assert envelope.compared(text.encode()) == envelope.compared(left.encode())
    assert again(envelope, left) == left


def test_bodies_are_compared_but_for_what_may_differ():
    envelope = Envelope.of("$.a", {"$.t": "any"})
    one, two, three = (f'{{"a":[1],"t":{took},"b":{b}}}'.encode() for took, b in ((1, 1), (2, 1), (1, 2)))
    assert envelope.compared(one) == envelope.compared(two) != envelope.compared(three)
    assert envelope.compared(b"no json") == b"no json"


def test_what_is_refused_is_a_fallback_with_its_reason():
    envelope = Envelope.of("$.data", {}, "{", {"$.errors": "part_error"})
    assert again(envelope, '{"data":{"a":1}}') == '{"data":{"a":1}}'
    with pytest.raises(Fallback) as refused:
        envelope.open(answer('{"errors":[],"data":{"a":1}}'), LIMITS)
    assert refused.value.reason == Reason.PART_ERROR


WRONG_OPTIONS = {
    "many items": ("$[*]", {}, "names many places"),
    "no path": ("items", {}, "does not start"),
    "a total in the items": ("$.a", {"$.a[0]": "count"}, "stands in what another path names"),
    "a total around the items": ("$.a.b", {"$.a": "any"}, "stands in what another path names"),
    "a total of the whole answer": ("$", {"$.n": "count"}, "stands in what another path names"),
    "a total twice": ("$.a", {"$.n": "count", "$['n']": "any"}, "stands in what another path names"),
    "an element to drop": ("$.a", {"$.b[0]": "drop"}, "only members can be left out"),
    "a total at many places": ("$.a", {"$.b[*]": "count"}, "names many places"),
}


@pytest.mark.parametrize(("items", "totals", "message"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_options_that_mean_nothing(items, totals, message):
    with pytest.raises(ValueError, match=message):
        Envelope.of(items, totals)


def test_a_sum_needs_one_number_in_an_item():
    with pytest.raises(ValueError, match="names many places"):
        Sum("$[*]")


def test_a_label_is_text_or_a_number_at_its_place():
    item = document('{"id":"é","n":1.10,"b":true,"t":1,"t":2}').value
    assert [label_at(item, singular(path)) for path in ("$.id", "$.n")] == ["é", "1.10"]
    for path in ("$.b", "$.q", "$.t", "$"):
        with pytest.raises(Fallback) as refused:
            label_at(item, singular(path))
        assert refused.value.reason == Reason.FRAME
