"""keyed: items that name their parts, in the order that is declared, with what is missing and what comes twice."""

import pytest

from proxy.core.composite import MISSING, Kind, Limits, Part, Share, united
from proxy.core.merge.keyed import Keyed
from proxy.core.reasons import Reason
from proxy.core.split_laws import check_answer
from proxy.core.types import Response
from proxy.errors import Fallback


def parts_of(*labels):
    return [Part(label.encode(), label.encode(), label) for label in labels]


def answer(text):
    return Response(200, (), text.encode())


def item(label):
    return f'{{"id":{label},"x":1.10,"x":{label}}}'


def written(*labels):
    return f'{{"items":[{", ".join(map(item, labels))}], "n": 1}}'


def keyed(**options):
    return Keyed(**{"items": "$.items", **options})


def kinds(merge, text, *labels):
    return [share.kind for share in check_answer(merge, answer(text), parts_of(*labels)).shares]


P, M, A = Kind.PRESENT, Kind.MISSING, Kind.ABSENT


def test_an_item_is_the_share_of_the_part_that_it_names():
    sliced = check_answer(keyed(), answer(written(3, 1, 2)), parts_of("3", "1", "2"))
    assert [share.items for share in sliced.shares] == [(item(n).encode(),) for n in (3, 1, 2)]


def test_names_are_text_or_numbers_at_any_place():
    merge = Keyed("$", "$.of.id")
    assert kinds(merge, '[{"of":{"id":"a\\u00e9"}},{"of":{"id":1.10}}]', "aé", "1.10") == [P, P]


RULES = {
    "each": ({}, written(1, 2), "12", [P, P]),
    "omitted": ({"missing": "omit"}, written(2), "123", [M, P, A]),
    "the only one omitted": ({"missing": "omit"}, written(), "1", [M]),
    "all omitted": ({"missing": "omit"}, written(), "12", [A, A]),
    "null": ({"missing": "null"}, '{"items":[null,{"id":2},null]}', "123", [M, P, M]),
    "twice, answered once": ({"duplicates": "once"}, written(2, 1), "2122", [P, P, P, P]),
    "twice, answered each time": ({"duplicates": "each"}, written(2, 1, 2), "212", [P, P, P]),
    "twice and missing, null once": ({"duplicates": "once", "missing": "null"}, '{"items":[null,{"id":1}]}', "212", [M, P, M]),
    "twice and missing, null each": ({"duplicates": "each", "missing": "null"}, '{"items":[null,null]}', "22", [M, M]),
    "twice and missing": ({"duplicates": "each", "missing": "omit"}, written(1), "212", [M, P, M]),
    "sorted": ({"order": "number_up"}, written(2, 10), ("10", "2"), [P, P]),
    "sorted as text": ({"order": "text_up"}, written(10, 2), ("2", "10"), [P, P]),
    "sorted, one missing": ({"order": "number_down", "missing": "omit"}, written(10, 2), ("2", "10", "3"), [P, P, M]),
    "sorted, the last missing": ({"order": "number_down", "missing": "omit"}, written(10, 3), ("2", "10", "3"), [A, P, P]),
    "sorted, twice, answered once": ({"order": "number_up", "duplicates": "once"}, written(1, 2), "212", [P, P, P]),
    "sorted, twice, each": ({"order": "number_up", "duplicates": "each"}, written(1, 2, 2), "212", [P, P, P]),
}  # fmt: skip


@pytest.mark.parametrize(("options", "text", "labels", "expected"), RULES.values(), ids=RULES)
def test_answers_that_keep_their_rule(options, text, labels, expected):
    assert kinds(keyed(**options), text, *labels) == expected


BROKEN = {
    "one is missing": ({}, written(1), "12", Reason.PART_MISSING),
    "one that was not asked for": ({}, written(1, 3), "12", Reason.FRAME),
    "another order": ({}, written(2, 1), "12", Reason.PART_ORDER),
    "another order than declared": ({"order": "number_down"}, written(1, 2), "12", Reason.PART_ORDER),
    "one item too many": ({}, written(1, 1), "12", Reason.DUPLICATE_PART),
    "once where each was declared": ({"duplicates": "each"}, written(2, 1), "212", Reason.PART_ORDER),
    "each where once was declared": ({"duplicates": "once"}, written(2, 1, 2), "212", Reason.DUPLICATE_PART),
    "one part, two answers": ({"duplicates": "each"}, '{"items":[{"id":1},{"id":1,"a":2}]}', "11", Reason.DUPLICATE_PART),
    "too few for null": ({"missing": "null"}, '{"items":[{"id":1}]}', "12", Reason.PART_MISSING),
    "null in another's place": ({"missing": "null"}, '{"items":[null,{"id":1}]}', "12", Reason.FRAME),
    "null where nothing is omitted": ({}, '{"items":[null,{"id":2}]}', "12", Reason.FRAME),
    "a name that is nothing": ({}, '{"items":[{"id":null}]}', "1", Reason.FRAME),
    "no name": ({}, '{"items":[{"i":1}]}', "1", Reason.FRAME),
    "two names": ({}, '{"items":[{"id":1,"id":1}]}', "1", Reason.FRAME),
    "another spelling": ({}, written("01"), "1", Reason.FRAME),
    "an item that is none": ({}, '{"items":[1]}', "1", Reason.FRAME),
}  # fmt: skip


@pytest.mark.parametrize(("options", "text", "labels", "reason"), BROKEN.values(), ids=BROKEN)
def test_answers_that_do_not(options, text, labels, reason):
    with pytest.raises(Fallback) as refused:
        keyed(**options).slice(answer(text), parts_of(*labels))
    assert refused.value.reason == reason


UNCLEAR = {
    "twice, by default": ({}, parts_of("1", "1"), Reason.DUPLICATE_PART),
    "two ways to ask for one": ({"duplicates": "each"}, [Part(b"1", b"1", "1"), Part(b'"1"', b'"1"', "1")], Reason.DUPLICATE_PART),
    "no name": ({}, [Part(b"{}", b"{}")], Reason.FRAME),
    "no number": ({"order": "number_up"}, parts_of("1", "a"), Reason.PART_ORDER),
    "names that may be one, where one may be missing": ({"missing": "omit"}, parts_of("a", "A"), Reason.DUPLICATE_PART),
}  # fmt: skip


@pytest.mark.parametrize(("options", "parts", "reason"), UNCLEAR.values(), ids=UNCLEAR)
def test_parts_that_no_answer_could_be_matched_with(options, parts, reason):
    merge = keyed(**options)
    for check in (lambda: merge.check(parts), lambda: merge.slice(answer(written(1)), parts)):
        with pytest.raises(Fallback) as refused:
            check()
        assert refused.value.reason == reason


@pytest.mark.parametrize("missing", ["error", "null"])
def test_names_that_may_be_one_are_fine_where_each_has_its_item(missing):
    keyed(missing=missing).check(parts_of("a", "A", "7", "07"))


def test_shares_of_several_answers_make_one():
    merge = keyed(missing="omit", totals={"$.n": "count"})
    one = merge.slice(answer('{"items":[{"id":3}, {"id":1}], "n":2}'), parts_of("3", "1"))
    two = merge.slice(answer('{"items":[{"id":2}], "n":1}'), parts_of("2"))
    known = Share.unpacked(MISSING.packed())
    frame = united([one.frame, two.frame])
    shares = [one.shares[0], two.shares[0], known, one.shares[1]]
    body = merge.merge(frame, parts_of("3", "2", "9", "1"), shares)
    assert body == b'{"items":[{"id":3}, {"id":2}, {"id":1}], "n":3}'


def test_shares_must_be_there():
    merge = keyed()
    sliced = merge.slice(answer(written(1, 2)), parts_of("1", "2"))
    for shares in (sliced.shares[:1], (sliced.shares[0], MISSING)):
        with pytest.raises(Fallback) as refused:
            merge.merge(sliced.frame, parts_of("1", "2"), shares)
        assert refused.value.reason == Reason.PART_MISSING


@pytest.mark.parametrize(
    ("order", "labels", "shown"),
    [("request", "12", False), ("request", "213", True), ("request", "321", False), ("number_up", "213", False)],
)
def test_only_an_order_that_nothing_else_explains_shows_that_the_service_keeps_it(order, labels, shown):
    text = written(*(sorted(labels) if order == "number_up" else labels))
    assert keyed(order=order).slice(answer(text), parts_of(*labels)).shows_order is shown


def test_a_body_over_the_limit_is_neither_cut_nor_put_together():
    merge = keyed()
    sliced = merge.slice(answer(written(1)), parts_of("1"))
    with pytest.raises(Fallback):
        merge.slice(answer(written(1)), parts_of("1"), Limits(answer_bytes=9))
    with pytest.raises(Fallback):
        merge.merge(sliced.frame, parts_of("1"), sliced.shares, Limits(answer_bytes=9))


def test_bodies_are_compared_but_for_totals_that_may_differ():
    merge = keyed(totals={"$.took": "any"})
    one, two = b'{"items":[1],"took":1}', b'{"items":[1],"took":2}'
    assert merge.equal(one, two)
    assert merge.equal(b"x", b"x")
    assert not merge.equal(one, b'{"items":[2],"took":1}')
    assert not keyed().equal(one, two)


@pytest.mark.parametrize("options", [{"id": "$[*]"}, {"items": "items"}, {"totals": {"$.items": "count"}}])
def test_options_that_mean_nothing(options):
    with pytest.raises(ValueError, match=r"\$|path"):
        keyed(**options)


def test_it_is_written_as_its_options():
    one = keyed(totals={"$.n": "count"})
    assert eval(repr(one)) == one
    assert not one.one_each
