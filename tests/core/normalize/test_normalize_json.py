"""`json`: a JSON body."""

import gc
import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.json_path import parse
from proxy.core.normalize.json import Json
from proxy.core.reasons import Reason
from proxy.core.types import Query
from proxy.errors import Fallback


def normal(body, media_type=b"application/json", **options):
    body = body if isinstance(body, bytes) else body.encode()
    return Json(**options).normalize(Query("POST", b"h", b"/", media_type=media_type, body=body)).body


FORMS = {
    "spelling means nothing": ({}, ' {"b": 1, "a": "\\u0041"}', '{"a":"A","b":1}'),
    "absent, null and empty are three": ({}, '[{},{"a":null},{"a":""}]', '[{},{"a":null},{"a":""}]'),
    "an ignored member is dropped": ({"ignore": ["$.id"]}, '{"id":7,"a":1}', '{"a":1}'),
    "an ignored member may be absent": ({"ignore": ["$.id"]}, '{"a":1}', '{"a":1}'),
    "an ignored member may hold anything": ({"ignore": ["$.id"]}, '{"id":{"b":[1]},"a":1}', '{"a":1}'),
    "an odd name is ignored": ({"ignore": ["$['request id']"]}, '{"request id":7,"a":1}', '{"a":1}'),
    "a member inside is ignored": ({"ignore": ["$.a.id"]}, '{"a":{"id":1},"id":2}', '{"a":{},"id":2}'),
    "a member of every element is ignored": ({"ignore": ["$.a[*].id"]}, '{"a":[{"id":1},{"b":2}]}', '{"a":[{},{"b":2}]}'),
    "a member of one element is ignored": ({"ignore": ["$[1].id"]}, '[{"id":1},{"id":2}]', '[{"id":1},{}]'),
    "an ignored element is null, so that others keep their numbers": ({"ignore": ["$[0]"]}, "[1,2]", "[null,2]"),
    "every ignored element is null": ({"ignore": ["$[*]"]}, "[1,2]", "[null,null]"),
    "an ignored element may be absent": ({"ignore": ["$[2]"]}, "[1,2]", "[1,2]"),
    "a path that goes elsewhere is ignored itself": ({"ignore": ["$.a.b", "$[0]", "$.c[*]"]}, '{"a":1,"c":{}}', '{"a":1,"c":{}}'),
    "an unordered array is sorted as written": ({"unordered": ["$.f"]}, '{"f":["b",10,"a",9]}', '{"f":["a","b",10,9]}'),
    "elements that are alike all stay": ({"unordered": ["$"]}, "[2,1,2]", "[1,2,2]"),
    "objects are sorted by their one form": ({"unordered": ["$"]}, '[{"b":1,"a":2},{"b":0,"a":2}]', '[{"a":2,"b":0},{"a":2,"b":1}]'),
    "other arrays keep their order": ({"unordered": ["$.f"]}, '{"f":[[2,1]],"g":[2,1]}', '{"f":[[2,1]],"g":[2,1]}'),
    "unordered inside unordered": ({"unordered": ["$", "$[*].f"]}, '[{"f":[3]},{"f":[2,1]}]', '[{"f":[1,2]},{"f":[3]}]'),
    "ignored before it is sorted": ({"unordered": ["$"], "ignore": ["$[*].id"]}, '[{"id":1,"b":2},{"id":2,"b":1}]', '[{"b":1},{"b":2}]'),
    "unordered means nothing to an object": ({"unordered": ["$.f"]}, '{"f":{"b":1,"a":2}}', '{"f":{"a":2,"b":1}}'),
    "text has one space for a run, and none at its ends": ({"text": ["$.q"]}, '{"q":" a \\n b ","r":" a"}', '{"q":"a b","r":" a"}'),
    "text is composed": ({"text": ["$.q"]}, '{"q":"e\\u0301","r":"e\\u0301"}', '{"q":"\\u00e9","r":"e\\u0301"}'),
    "text keeps its case": ({"text": ["$"]}, '"ABC"', '"ABC"'),
    "text in elements": ({"text": ["$.q[*]"]}, '{"q":[" a",{"b":" b"}]}', '{"q":["a",{"b":" b"}]}'),
    "a number is not text": ({"text": ["$.q"]}, '{"q":1.10}', '{"q":1.10}'),
    "names are not text": ({"text": ["$.a"]}, '{"a":{" b ":1}}', '{"a":{" b ":1}}'),
    "a lone surrogate in text survives": ({"text": ["$"]}, '" \\ud800 "', '"\\ud800"'),
    "text before it is sorted": ({"text": ["$[*]"], "unordered": ["$"]}, '["b"," c","a"]', '["a","b","c"]'),
    "only what is named counts": ({"only": ["$.a"]}, '{"a":{"b":1},"c":2}', '{"a":{"b":1}}'),
    "only a member inside": ({"only": ["$.a.b"]}, '{"a":{"b":1,"c":2},"b":3}', '{"a":{"b":1}}'),
    "only a member of every element": ({"only": ["$[*].a"]}, '[{"a":1,"b":2},{"b":3},4]', '[{"a":1},{},4]'),
    "only one element, which keeps its number": ({"only": ["$[1]"]}, "[1,2,3]", "[null,2]"),
    "only elements that are not there": ({"only": ["$[1]"]}, "[1]", "[]"),
    "only one element's member": ({"only": ["$[0].a", "$[*].b"]}, '[{"a":1,"b":2},{"a":1,"b":2}]', '[{"a":1,"b":2},{"b":2}]'),
    "what only names may be absent, null or empty": ({"only": ["$[*].a"]}, '[{},{"a":null},{"a":""}]', '[{},{"a":null},{"a":""}]'),
    "what leads to a place stays": ({"only": ["$.a.b"]}, '[{"a":{}},1]', '[{"a":{}},1]'),
    "a body of another shape stays whole": ({"only": ["$.a.b", "$.c[*]"]}, '{"a":[1],"c":{"d":1}}', '{"a":[1],"c":{"d":1}}'),
    "only the whole body": ({"only": ["$"]}, '{"b":1,"a":2}', '{"a":2,"b":1}'),
    "only, but not all of it": ({"only": ["$.a"], "ignore": ["$.a.id"]}, '{"a":{"id":1,"b":2},"id":3}', '{"a":{"b":2}}'),
    "only, ignored by number": ({"only": ["$.a[*].b"], "ignore": ["$.a[0]"]}, '{"a":[{"b":1},{"b":2}]}', '{"a":[null,{"b":2}]}'),
    "only before it is sorted": ({"only": ["$[*].b"], "unordered": ["$"]}, '[{"a":1,"b":2},{"a":2,"b":1}]', '[{"b":1},{"b":2}]'),
    "only, and as text": ({"only": ["$.q"], "text": ["$.q"]}, '{"q":" a  b","r":1}', '{"q":"a b"}'),
    "an empty body is left alone": ({"ignore": ["$.a"]}, "", ""),
}  # fmt: skip


@pytest.mark.parametrize(("options", "body", "expected"), FORMS.values(), ids=FORMS)
def test_json(options, body, expected):
    assert normal(body, **options).decode() == expected


CHARSETS = {
    "no media type": (b"", None),
    "another media type is the owner's business": (b"text/plain", None),
    "+json": (b"application/ld+json", None),
    "utf-8": (b"application/json; charset=utf-8", None),
    "UTF-8 in capitals and quotes": (b'application/json;CHARSET="UTF-8"', None),
    "utf8 means it": (b"application/json; charset=utf8", None),
    "another parameter": (b"application/json; profile=x; charset=utf-8", None),
    "another charset": (b"application/json; charset=iso-8859-1", Reason.KEY_BODY_ENCODING),
    "another charset behind utf-8": (b"a/b; charset=utf-8; charset=utf-16", Reason.KEY_BODY_ENCODING),
    "a charset without a value": (b"application/json; charset", Reason.KEY_BODY_ENCODING),
    "a charset in the form of RFC 2231": (b"application/json; charset*=utf-8''latin1", Reason.KEY_BODY_ENCODING),
}


@pytest.mark.parametrize(("media_type", "reason"), CHARSETS.values(), ids=CHARSETS)
def test_charsets(media_type, reason):
    if reason is None:
        assert normal(b"{ }", media_type) == b"{}"
        return
    with pytest.raises(Fallback) as fallback:
        normal(b"{ }", media_type)
    assert fallback.value.reason == reason
    assert normal(b"", media_type) == b""


# What has made other caches answer wrongly: each line is a set of bodies of which no two may share a key.
APART = {
    "spellings of a number": "1 1.0 1e0 1E0 1.00 -0 0 0.0 10e-1",
    "numbers that a float cannot tell apart": "9007199254740992 9007199254740993 1e400 1e401 0.1 0.10000000000000001",
    "digits behind the fourth": "1.00001 1.00002",
    "a number, its text, and words": '1 "1" true "true" null "null" "" [] {}',
    "absent, null, empty": '{} {"a":null} {"a":""} {"a":0} {"a":false} {"a":[]} {"a":{}}',
    "the order of an array": "[1,2] [2,1] [[1],2] [1,[2]] [1,2,2] [1,2,null]",
    "delimiters inside values": r'{"a":"b","c":"d"} {"a":"b\",\"c\":\"d"} {"a":"b:c=d"} {"a:b":"c=d"} {"a":["b,c"]} {"a":["b","c"]}',
    "case and form of characters": r'"é" "e\u0301" "É" "e"',
    "lone surrogates": r'"\ud800" "\udc00" "\udc00\ud800" "\ufffd" "?"',
    "characters that look like nothing": r'"" "\u0000" "\u200b" "\ufeff" "\u0020"',
    "two levels and one": '{"a":{"b":1}} {"a.b":1} {"a":[{"b":1}]} {"a[0].b":1}',
}


@pytest.mark.parametrize("bodies", [bodies.split(" ") for bodies in APART.values()], ids=APART)
def test_what_differs_stays_apart(bodies):
    assert len({normal(body) for body in bodies}) == len(bodies)


REFUSED = {
    "what is not JSON": (b"{", Reason.KEY_BODY_SYNTAX),
    "a name twice, even an ignored one": (b'{"id":1,"id":2}', Reason.KEY_DUPLICATE_MEMBER),
    "a name twice, once by an escape, outside of what is kept": (
        b'{"b":{"a":1,"\\u0061":1}}',
        Reason.KEY_DUPLICATE_MEMBER,
    ),
    "what is too deep": (b"[" * 100_000, Reason.KEY_BODY_DEPTH),
    "what is too deep in what is ignored": (b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}", Reason.KEY_BODY_DEPTH),
    "a byte order mark": (b"\xef\xbb\xbf{}", Reason.KEY_BODY_SYNTAX),
    "NaN": (b'{"a":NaN}', Reason.KEY_BODY_SYNTAX),
    "another encoding": ('{"a":"é"}'.encode("latin-1"), Reason.KEY_BODY_SYNTAX),
    "a compressed body": (b"\x1f\x8b\x08\x00\x00", Reason.KEY_BODY_SYNTAX),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused_bodies(body, reason):
    with pytest.raises(Fallback) as fallback:
        normal(body, ignore=["$.id"])
    assert fallback.value.reason == reason


AGREE = {
    "a number beside every other": {"ignore": ["$.a[0]"], "text": ["$.a[*]", "$.a[1].b"]},
    "a part of what is kept": {"only": ["$.a[*]"], "ignore": ["$.a[2].b"], "unordered": ["$.a[1].c"], "text": ["$.a[*].d"]},
    "the array on the way to what is kept": {"only": ["$.a[*].b"], "unordered": ["$.a"]},
    "an element of what is kept": {"only": ["$.a[*].b"], "ignore": ["$.a[0]"]},
}  # fmt: skip


@pytest.mark.parametrize("options", AGREE.values(), ids=AGREE)
def test_options_that_agree(options):
    assert normal('{"a":[]}', **options) == b'{"a":[]}'


OPTIONS = {
    "what is not a path": ({"ignore": ["id"]}, "'id' is not a JSON path"),
    "ignoring the whole body": ({"ignore": ["$"]}, "'\\$' is the whole body"),
    "a number in an unordered array": ({"unordered": ["$.a"], "text": ["$.a[0]"]}, "elements of '\\$.a' have no"),
    "a number in one of many unordered arrays": (
        {"unordered": ["$.a[*].b"], "ignore": ["$.a[3].b[0].c"]},
        "elements of '\\$.a\\[3\\].b' have no",
    ),
    "a number in an unordered array that is kept": (
        {"unordered": ["$.a"], "only": ["$.a[0]"]},
        "elements of '\\$.a' have no",
    ),
    "what is ignored and kept": ({"ignore": ["$.a"], "only": ["$.a"]}, "only: '\\$.a' names what `ignore` drops"),
    "what is kept below what is ignored": ({"ignore": ["$.a"], "only": ["$.a.b"]}, "only: '\\$.a.b' names what"),
    "text in what is ignored": ({"ignore": ["$.a[*]"], "text": ["$.a[0].b"]}, "text: '\\$.a\\[0\\].b' names what"),
    "order in what is ignored": ({"ignore": ["$['a b']"], "unordered": ["$['a b'].c"]}, "unordered: .* names what"),
    "ignoring what is not kept": (
        {"ignore": ["$.b"], "only": ["$.a"]},
        "ignore: '\\$.b' names nothing that `only` keeps",
    ),
    "text in what is not kept": (
        {"text": ["$[*].b"], "only": ["$[0].a", "$[*].c"]},
        "text: '\\$\\[\\*\\].b' names nothing",
    ),
    "order in what is not kept": (
        {"unordered": ["$.a[1]"], "only": ["$.a[0]"]},
        "unordered: '\\$.a\\[1\\]' names nothing",
    ),
    "a number in every unordered array": (
        {"unordered": ["$[*]"], "ignore": ["$[*][0].c"]},
        "elements of '\\$\\[\\*\\]' have no",
    ),
}


@pytest.mark.parametrize(("options", "message"), OPTIONS.values(), ids=OPTIONS)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        Json(**options)


DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(),
        "q": st.text(" \u00a0aA\u0301", max_size=5),
        "f": st.lists(
            st.integers(0, 3) | st.fixed_dictionaries({"id": st.integers(), "v": st.integers(0, 3)}), max_size=4
        ),
        "l": st.lists(st.integers(0, 3), max_size=3),
    },
)
OWNER = Json(ignore=("$.id", "$.f[*].id"), unordered=("$.f",), text=("$.q",))


def meaning(document):
    """Say what a document means to this owner, in another way than the normalizer does."""
    from unicodedata import normalize

    parts = {name: value for name, value in document.items() if name != "id"}
    if "q" in parts:
        parts["q"] = " ".join(normalize("NFC", parts["q"]).split())
    if "f" in parts:
        bare = [{"v": one["v"]} if isinstance(one, dict) else one for one in parts["f"]]
        parts["f"] = sorted(bare, key=json.dumps)
    return parts


@given(DOCUMENTS, DOCUMENTS)
def test_equal_bodies_are_those_that_mean_the_same_to_the_owner(one, other):
    def body(document):
        return OWNER.normalize(Query("POST", b"h", b"/", body=json.dumps(document).encode())).body

    assert (body(one) == body(other)) is (meaning(one) == meaning(other))


def leaf_paths(tree, path="$"):
    """Yield the path of every leaf: what is no container, or an empty one."""
    members = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in members:
        yield from leaf_paths(value, f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}")
    if not isinstance(tree, dict | list) or not tree:
        yield path


def changed_at(tree, path, steps=None):
    """Return the document with another leaf at a path."""
    steps = parse(path) if steps is None else steps
    if not steps:
        return {"other": tree}
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[steps[0]] = changed_at(tree[steps[0]], path, steps[1:])
    return copy


TREES = st.recursive(
    st.none() | st.integers(0, 3) | st.text("a \u0301", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(TREES, st.data())
def test_every_leaf_that_is_kept_counts_and_no_other(tree, data):
    paths = sorted(leaf_paths(tree))
    kept = data.draw(st.lists(st.sampled_from(paths), min_size=1, unique=True))
    changed = data.draw(st.sampled_from(paths))
    before, after = (normal(json.dumps(one), only=kept) for one in (tree, changed_at(tree, changed)))
    assert (before != after) is (changed in kept)


@given(TREES, st.data())
def test_every_leaf_that_is_not_ignored_counts(tree, data):
    paths = sorted(set(leaf_paths(tree)) - {"$"})
    if not paths:
        return
    ignored = data.draw(st.lists(st.sampled_from(paths), unique=True))
    changed = data.draw(st.sampled_from(paths))
    before, after = (normal(json.dumps(one), ignore=ignored) for one in (tree, changed_at(tree, changed)))
    assert (before != after) is (changed not in ignored)


def seconds_for(members):
    body = json.dumps({str(number): [number, {"b": " x", "c": 1}] for number in range(members)})
    one = Json(only=tuple(f"$['{number}'][1]" for number in range(50)), text=("$['7'][1].b",))
    gc.disable()  # what other tests left would be looked through again and again
    try:
        began = process_time()
        one.normalize(Query("POST", b"h", b"/", body=body.encode()))
        return process_time() - began
    finally:
        gc.enable()


def test_ten_times_the_body_costs_about_ten_times_as_much():
    assert any(seconds_for(20_000) < 40 * seconds_for(2_000) for _ in range(3))
