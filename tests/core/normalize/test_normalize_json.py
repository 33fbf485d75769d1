"""`json`: a JSON body."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


REFUSED = {
    "what is not JSON": (b"{", Reason.KEY_BODY_SYNTAX),
    "a name twice, even an ignored one": (b'{"id":1,"id":2}', Reason.KEY_DUPLICATE_MEMBER),
    "what is too deep": (b"[" * 100_000, Reason.KEY_BODY_DEPTH),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused_bodies(body, reason):
    with pytest.raises(Fallback) as fallback:
        normal(body, ignore=["$.id"])
    assert fallback.value.reason == reason


OPTIONS = {
    "what is not a path": ({"ignore": ["id"]}, "'id' is not a JSON path"),
    "ignoring the whole body": ({"ignore": ["$"]}, "'\\$' is the whole body"),
    "a number in an unordered array": ({"unordered": ["$.a"], "text": ["$.a[0]"]}, "elements of '\\$.a' have no"),
    "a number in one of many unordered arrays": (
        {"unordered": ["$.a[*].b"], "ignore": ["$.a[3].b[0].c"]},
        "elements of '\\$.a\\[3\\].b' have no",
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
