"""Thousands of composites for each splitter and merge: what is put together is what the service would have said, to the byte.

Parts come from what was kept of earlier answers, in one call or in several; the service writes JSON in several styles.
"""

import json
from random import Random
from urllib.parse import parse_qs, quote, unquote_plus

import pytest
from composites import COMPOSITES, STYLES, Members, Raw, Road, facts, json_response, quoted, travel
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.envelope import Sum
from proxy.core.merge.concat import Concat
from proxy.core.merge.dict_union import DictUnion
from proxy.core.merge.jsonrpc import Jsonrpc as MergeJsonrpc
from proxy.core.merge.keyed import Keyed
from proxy.core.merge.positional import Positional
from proxy.core.reasons import Reason
from proxy.core.split.json_array import JsonArray
from proxy.core.split.jsonrpc import Jsonrpc as SplitJsonrpc
from proxy.core.split.query_list import QueryList
from proxy.core.split.query_repeat import QueryRepeat
from proxy.core.split_laws import check_upstream
from proxy.core.types import Request
from proxy.errors import Fallback

NAMES = [*[str(number) for number in range(40)], "a b", "x,y", "é", "q&a=1", 'a"b', "1.10", "c/d", "%41", "A+B"]


def style_of(request):
    return STYLES[request.path.rpartition(b"/")[2].decode()]


def about(name, *salt):
    """Return facts that one service always gives of one thing, and whether it knows it."""
    dice = Random(repr((name, salt)))
    known = dice.random() < 0.9
    return known, facts(name, dice)


def written_name(name):
    return Raw(name) if name.isdecimal() else quoted(name)


# How a client writes a list of names.


def chosen(dice, *, twice=True):
    """Names as Zipf's law has them, sometimes with duplicates."""
    wanted = [NAMES[min(int(dice.paretovariate(0.7)) - 1, len(NAMES) - 1)] for _ in range(dice.randrange(1, 12))]
    return wanted if twice and dice.random() < 0.3 else list(dict.fromkeys(wanted))


def requests(write, merge, count=COMPOSITES, seed=7):
    dice = Random(seed)
    for _ in range(count):
        names = chosen(dice, twice=not isinstance(merge, Concat))
        yield write(dice, dice.choice([*STYLES]), f"v={dice.randrange(2)}", names)


def in_list(dice, style, rest, names):
    comma = dice.choice(["|", "%7C"])
    listed = comma.join([quote(name, safe="") for name in names])
    return Request("GET", f"/{style}?{rest}&ids={listed}&lang=de".encode())


def repeated(dice, style, rest, names):
    pairs = "&".join([f"id={quote(name, safe='')}" for name in names])
    return Request("GET", f"/{style}?{pairs}&{rest}".encode())


def in_body(dice, style, rest, names):
    separators = dice.choice([(",", ":"), (", ", ": ")])
    body = json.dumps({"rest": rest, "ids": names, "x": 1}, separators=separators, ensure_ascii=dice.random() < 0.5)
    fields = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body.encode())))
    return Request("POST", f"/{style}".encode(), fields, body.encode())


def in_batch(dice, style, rest, names):
    calls = [
        {"jsonrpc": "2.0", "id": dice.choice([f"c{number}", number]), "method": rest, "params": [name]}
        for number, name in enumerate(names)
    ]
    return Request(
        "POST", f"/{style}".encode(), (), json.dumps(calls, separators=dice.choice([(",", ":"), None])).encode()
    )


# How a service reads them: by other means than ours.


def asked_in_list(request):
    return parse_qs(request.query.decode())["ids"][0].split("|")


def asked_by_repeating(request):
    return parse_qs(request.query.decode())["id"]


def asked_in_body(request):
    assert request.header(b"content-length") == b"%d" % len(request.body)
    return json.loads(request.body)["ids"]


def salt(request):
    body = json.loads(request.body)["rest"] if request.body else ""
    return unquote_plus(request.target.decode()).partition("v=")[2][:1] + body


# How it answers.


def items_service(asked, missing, order=lambda names: names):
    def answer(request):
        names = order(list(dict.fromkeys(asked(request))))
        items = []
        for name in names:
            known, found = about(name, salt(request))
            if known:
                items.append(Members([("x", Raw("1")), ("id", written_name(name)), *found]))
            elif missing == "null":
                items.append(Raw("null"))
        envelope = Members([("took", Raw("1.10")), ("items", items), ("total", Raw(str(len(items))))])
        if missing != "null":
            weight = sum(len(name) for name in names if about(name, salt(request))[0])
            envelope.append(("n", Raw(str(weight))))
        return json_response(style_of(request).write(envelope))

    return answer


def positional_service(asked):
    def answer(request):
        found = [about(name, salt(request)) for name in asked(request)]
        return json_response(style_of(request).write([facts if known else Raw("null") for known, facts in found]))

    return answer


def dict_service(asked):
    def answer(request):
        found = {name: about(name, salt(request)) for name in asked(request)}
        entities = Members([(name, facts) for name, (known, facts) in found.items() if known])
        return json_response(style_of(request).write(Members([("ok", Raw("true")), ("entities", entities)])))

    return answer


def rows_service(asked, *, named):
    def answer(request):
        rows = [
            Members([("of", quoted(name)), *about(name, salt(request), number)[1]])
            if named
            else Members([("row", quoted(f"{name} {number}")), *about(name, number)[1]])
            for name in asked(request)
            for number in range(len(name) % 3 + (name.isdecimal() and int(name) % 2))
        ]
        return json_response(style_of(request).write(Members([("rows", rows), ("count", Raw(str(len(rows))))])))

    return answer


def rpc_service(request):
    answers = []
    for call in json.loads(request.body):
        known, found = about(call["params"][0], call["method"])
        said = ("result", found) if known else ("error", Members([("code", Raw("-32.0e3")), ("data", found)]))
        answers.append(Members([("jsonrpc", quoted("2.0")), ("id", Raw(json.dumps(call["id"]))), said]))
    return json_response(style_of(request).write(answers))


TOTALS = {"$.total": "count", "$.n": Sum("$.n")}
ROADS = {
    "query_list, keyed, omit": (
        in_list, QueryList("ids", "|"), Keyed("$.items", missing="omit", duplicates="once", totals=TOTALS), items_service(asked_in_list, "omit"),
    ),
    "query_list, keyed, sorted": (
        in_list, QueryList("ids", "|"), Keyed("$.items", missing="omit", duplicates="once", order="text_up", totals=TOTALS),
        items_service(asked_in_list, "omit", sorted),
    ),
    "query_list, concat by": (
        in_list, QueryList("ids", "|"), Concat("$.rows", by="$.of", totals={"$.count": "count"}), rows_service(asked_in_list, named=True),
    ),
    "query_repeat, dict_union": (
        repeated, QueryRepeat("id"), DictUnion("$.entities", missing="omit"), dict_service(asked_by_repeating),
    ),
    "query_repeat, concat": (
        repeated, QueryRepeat("id"), Concat("$.rows", totals={"$.count": "count"}), rows_service(asked_by_repeating, named=False),
    ),
    "json_array, keyed, null": (
        in_body, JsonArray("$.ids"), Keyed("$.items", missing="null", duplicates="once", totals={"$.total": "count"}),
        items_service(asked_in_body, "null"),
    ),
    "jsonrpc": (in_batch, SplitJsonrpc(), MergeJsonrpc(), rpc_service),
    "json_array, positional": (in_body, JsonArray("$.ids"), Positional(), positional_service(asked_in_body)),
}  # fmt: skip


@pytest.mark.parametrize("name", ROADS)
def test_what_is_put_together_is_what_the_service_would_have_said(name):
    write, splitter, merge, service = ROADS[name]
    road = Road(splitter, merge, service)
    counted = travel(road, requests(write, merge), Random(8))
    assert counted.equal >= 0.99 * COMPOSITES, counted
    assert counted.hits > COMPOSITES / 4


@pytest.mark.parametrize("name", ROADS)
@given(seed=st.integers(0, 10**6), mask=st.lists(st.integers(0, 2), min_size=12, max_size=12))
def test_answers_to_any_parts_and_to_the_rest_make_the_answer_to_all(name, seed, mask):
    write, splitter, merge, service = ROADS[name]
    request = next(requests(write, merge, 1, seed))
    count = len(splitter.plan(request).parts)
    dealt = [[place for place in range(count) if mask[place] == group] for group in range(3)]
    groups = [[place] for place in range(count)] if merge.one_each else [places for places in dealt if places]
    try:
        body = check_upstream(splitter, merge, service, request, groups)
    except Fallback as fallback:
        if fallback.reason != Reason.FRAME:  # no answer shows what stands between items, or in a list without any
            raise
        return
    assert body == service(request).body
