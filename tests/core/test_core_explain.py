"""How a key came about, told to its owner: every step, every part, every difference, and no secret."""

import json
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import explain
from proxy.core.explain import HIDDEN, MOST_CHARS, differences, form_of, shown_of
from proxy.core.key import hidden
from proxy.core.normalize.headers import Headers
from proxy.core.normalize.json import Json
from proxy.core.normalize.lower import Lower
from proxy.core.normalize.sort_params import SortParams
from proxy.core.rules import Rule, path_pattern
from proxy.core.types import Query, Request

SECRET = "hunter2"
JSON, URLENCODED = b"application/json", b"application/x-www-form-urlencoded"
HASH = hidden(SECRET.encode(), b"s" * 16)


def asked(query=None, **more) -> Query:
    return Query("GET", b"site.test", b"/a", query, **more)


def read(*pairs) -> Query:
    """Return a GET whose query a normalizer has read."""
    return asked(b"?", params=pairs)


def sent(body, media_type=JSON, **more) -> Query:
    return Query("POST", b"site.test", b"/a", media_type=media_type, body=body, **more)


def shown(query: Query) -> dict[str, str]:
    """Return the readable key but for what all of them begin with."""
    told = shown_of(form_of(query))
    begins = [told.pop(name, "") for name in ("method", "host", "path", "media type")]
    assert begins == [query.method, "site.test", "/a", query.media_type.decode()]
    return told


READABLE = {
    "nothing but a path": (asked(), {}),
    "a query as it came: its spelling counts": (asked(b"b=%41&a"), {"query": "b=%41&a"}),
    "an empty query": (asked(b""), {"query": ""}),
    "a query that was read": (read((b"q", b"big cat"), (b"b", b"")), {"param q": "big cat", "param b": ""}),
    "a name without a value": (read((b"a", None)), {"param a": "(no value)"}),
    "values of one name": (read((b"q", b"1"), (b"q", b"2")), {"param q": "1, 2"}),
    "bytes that are not UTF-8": (read((b"q\xff", b"\xfc")), {r"param q\xff": r"\xfc"}),
    "what a terminal would obey": (read((b"q\n", "\x1b[2J\r\u202e\u00a0".encode())), {r"param q\n": r"\x1b[2J\r\u202e\xa0"}),
    "a field": (asked(fields=((b"accept-language", b"de"),)), {"field accept-language": "de"}),
    "a field that comes twice": (asked(fields=((b"forwarded", b"a"), (b"forwarded", b"b"))), {"field forwarded": "a, b"}),
    "JSON by its members": (sent(b'{"q": "f\xc3\xbcr", "o": {"p": null, "a b": true}}'), {"$.q": '"für"', "$.o.p": "null", "$.o['a b']": "true"}),
    "JSON by its elements": (sent(b"[1.0, {}, [[]]]"), {"$[0]": "1.0", "$[1]": "{}", "$[2][0]": "[]"}),
    "JSON that is one value": (sent(b'"a\\u001b"'), {"$": r'"a\u001b"'}),
    "half a character in JSON": (sent(b'{"\\ud800": "\\ud800"}'), {r"$.\ud800": r'"\xed\xa0\x80"'}),
    "a form as it came": (sent(b"b=%41&a", URLENCODED), {"form b": "A", "form a": "(no value)"}),
    "a form that was read": (sent(b"", URLENCODED, form=((b"b", b"A"),)), {"form b": "A"}),
    "nothing to read, or nothing left of it": (sent(b"", URLENCODED, form=(), params=()), {}),
    "a body that nobody can read": (sent(b"SELECT 1", b"text/plain"), {"body": "8 bytes"}),
    "JSON that is none: nobody can tell its secrets": (sent(b'{"pin": "hunter2", "pin": "hunter2"}'), {"body": "36 bytes"}),
    "a form with too many pairs": (sent(b"&" * 10_001, URLENCODED), {"body": "10001 bytes"}),
    "a long body": (sent(b'"%b"' % (b"a" * explain.MOST_BODY_BYTES)), {"body": f"{explain.MOST_BODY_BYTES + 2} bytes"}),
    "a query with too many pairs": (asked(b"a&" * 10_001), {"query": ("a&" * 10_001)[:MOST_CHARS] + "[…]"}),
    "long values are cut": (read((b"q", b"a" * 999)), {"param q": "a" * MOST_CHARS + "[…]"}),
    "so are many values of one name": (read(*[(b"q", b"a")] * 999), {"param q": ("a, " * 999)[:MOST_CHARS] + "[…]"}),
    "and long names": (sent(b'{"%b": {"b": 1, "c": [2]}}' % (b"a" * 999)), {f"$.{'a' * (MOST_CHARS - 2)}[…]": "1, 2"}),
}  # fmt: skip


@pytest.mark.parametrize(("query", "told"), READABLE.values(), ids=READABLE)
def test_the_readable_key(query, told):
    assert shown(query) == told


MANY = {
    "parameters": read(*[(b"p%d" % number, b"1") for number in range(9999)]),
    "members": sent(json.dumps({f"m{number}": 1 for number in range(5000)}).encode()),
}


@pytest.mark.parametrize("query", MANY.values(), ids=MANY)
def test_of_many_parts_the_first_are_told(query):
    *parts, last = shown_of(form_of(query)).items()
    assert (len(parts), last) == (explain.MOST_PARTS, ("more", f"only {explain.MOST_PARTS} parts are told"))


# Secrets: by the name of what holds them.

NAMES = """
    token access_token X-CSRF-Token password passwd PASSWORD passphrase pwd pass secret client_secret
    api_key apikey API-Key x.api.key access_key private_key signing-key subscription-key key
    Authorization x-auth auth oauth_verifier session sessionid PHPSESSID sid signature X-Amz-Signature sig
    credentials cookie jwt hmac otp pin user[password]
""".split()  # noqa: SIM905
OPEN = "q question author authors authority keyword sort_key inside passenger design option".split()  # noqa: SIM905


def holders(name: str) -> dict[str, explain.Form]:
    """Return the form of every request in which something with a name can stand."""
    member, pair, field = {name: SECRET}, (name.encode(), SECRET.encode()), (name.lower().encode(), SECRET.encode())
    escaped = "".join(f"%{ord(one):02x}" for one in name)
    queries = {
        "query": asked(f"a=1&{name}={SECRET}".encode()),
        "escaped query": asked(f"a=1&{escaped}={SECRET}".encode()),
        "param": read((b"a", b"1"), pair),
        "form": sent(b"", URLENCODED, form=(pair, pair)),
        "raw form": sent(f"a=1&{name}={SECRET}".encode(), URLENCODED),
        "field": asked(fields=(field,), headers=(field,)),
        "member": sent(json.dumps(member).encode()),
        "deep member": sent(json.dumps([{"a": {"b": [member]}}]).encode()),
        "member of a secret": sent(json.dumps({"a": {name: {"b": [SECRET]}}}).encode()),
    }
    return {place: form_of(query) for place, query in queries.items()}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_named_like_a_secret_is_never_shown(name):
    for place, form in holders(name).items():
        assert SECRET not in str(form), place
        assert HIDDEN in str(shown_of(form)), place


@pytest.mark.parametrize("name", OPEN)
def test_what_is_not_is(name):
    for place, form in holders(name).items():
        assert SECRET in str(shown_of(form)), place


IN_TEXTS = {
    "a URL": "https://site.test/cb?token=hunter2&a=1",
    "a URL with a user": "see https://me:hunter2@site.test/",
    "an escaped URL": "https%3A%2F%2Fme%3Ahunter2%40site.test%2Fcb",
    "an escaped query": "%3Ftoken%3Dhunter2",
    "a query that is escaped twice": "%253Ftoken%253Dhunter2",
    "JSON": '{"a": 1, "password": "hunter2 hunter2"}',
    "JSON in JSON": json.dumps('{"api_key":"hunter2"}'),
    "single quotes": "{'secret': 'hunter2 hunter2'}",
    "a field": "Authorization: Bearer hunter2",
    "GraphQL": 'mutation { login(user: "a", password: "hunter2") { id } }',
    "a path parameter": "/app;jsessionid=hunter2",
    "words": "my pin: hunter2, please",
}


@pytest.mark.parametrize("text", IN_TEXTS.values(), ids=IN_TEXTS)
def test_a_text_does_not_tell_the_secrets_that_it_names(text):
    raw = text.encode()
    for query in (
        read((b"q", raw)),
        asked(fields=((b"forwarded", raw),)),
        sent(json.dumps(text).encode()),
        sent(b"1", raw),
    ):
        assert SECRET not in str(form_of(query)), query
        assert HIDDEN in str(form_of(query)), query


ORDINARY = ["What is a token?", "12:30", "a=b", "me@site.test", "https://site.test/a@b", "key largo", "%25252525"]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_texts_are_shown_whole(text):
    assert shown(read((b"q", text.encode()))) == {"param q": text}


RAW = b"0123456789abcdef"
WHO = {
    "a cookie's hash": ((b"cookie:lang", HASH), (), HIDDEN),
    "a cookie that a normalizer names": ((b"cookie:lang", b"de"), (), HIDDEN),
    "all cookies, where it is not certain which they are": ((b"cookie", b"a=1"), (), HIDDEN),
    "private_by": ((b"x-tenant", HASH), ((b"x-tenant", b"hunter2"),), HIDDEN),
    "private_by, sent twice": ((b"x-tenant", HASH), ((b"x-tenant", b"a"), (b"x-tenant", b"hunter2")), HIDDEN),
    "as long as a hash, but sent": ((b"x-tenant", RAW), ((b"x-tenant", b" " + RAW),), RAW.decode()),
    "not sent at all": ((b"x-device", RAW), (), RAW.decode()),
    "one line of several": ((b"forwarded", RAW), ((b"forwarded", RAW), (b"forwarded", b"b")), RAW.decode()),
    "several lines in one": ((b"a", b"01234567, abcdef"), ((b"a", b"01234567"), (b"a", b"abcdef")), "01234567, abcdef"),
}


@pytest.mark.parametrize(("field", "headers", "told"), WHO.values(), ids=WHO)
def test_who_somebody_is_is_never_shown(field, headers, told):
    """A field in the key holds what was sent, or the hash of it: only the former is for a reader."""
    assert shown(asked(fields=(field,), headers=headers)) == {f"field {field[0].decode()}": told}


# Differences.

DIFFER = {  # the part, how it is here and there: where only one is said, both look like that
    "nothing": (asked(b"a=1"), asked(b"a=1"), []),
    "the path": (asked(), replace(asked(), path=b"/b"), [("path", "/a", "/b")]),
    "one parameter of a query as it came": (asked(b"a=1&b=2"), asked(b"a=1&b=3"), [("param b", "2", "3")]),
    "one that is not there": (asked(b"a=1&b=2"), asked(b"a=1"), [("param b", "2", None)]),
    "nothing but the order": (asked(b"a=1&b=2"), asked(b"b=2&a=1"), [("query", "a=1&b=2", "b=2&a=1")]),
    "nothing but the spelling": (asked(b"a=%41"), asked(b"a=A"), [("query", "a=%41", "a=A")]),
    "nothing but a question mark": (asked(), asked(b""), [("query", None, "")]),
    "the order of pairs": (read((b"a", b"1"), (b"&", b" +")), read((b"&", b" +"), (b"a", b"1")), [("query", "a=1&%26=+%2B", "%26=+%2B&a=1")]),
    "a name without a value": (asked(b"a"), asked(b"a="), [("param a", "(no value)", "")]),
    "a secret": (asked(b"token=a"), asked(b"token=b"), [("param token", HIDDEN)]),
    "a secret member": (sent(b'{"pin": [1]}'), sent(b'{"pin": [2]}'), [("$.pin", HIDDEN)]),
    "an identity": (asked(fields=((b"cookie:a", b"1"),)), asked(fields=((b"cookie:a", b"2"),)), [("field cookie:a", HIDDEN)]),
    "the end of a long value": (read((b"q", b"a" * 999)), read((b"q", b"a" * 998)), [("param q", "a" * MOST_CHARS + "[…]")]),
    "the last of many values": (
        asked(b"q=a&" * 999 + b"q=a"), asked(b"q=a&" * 999 + b"q=b"), [("param q", ("a, " * 99)[:MOST_CHARS] + "[…]")],
    ),
    "a member": (sent(b'{"q": 1, "r": 2}'), sent(b'{"r": 2, "q": 3}'), [("$.q", "1", "3")]),
    "the order of members": (sent(b'{"q":1,"r":2}'), sent(b'{"r":2, "q":1}'), [("body", "13 bytes", "14 bytes")]),
    "a name like a path": (sent(b'{"a":{"b":1}}'), sent(b'{"a.b":1}'), [("$.a.b", "1", None), ("$['a.b']", None, "1")]),
    "bodies that nobody can read": (sent(b"a"), sent(b"b"), [("body", "1 bytes", "1 bytes")]),
    "the media type": (sent(b"1", b"a/b"), sent(b"1", b"a/c"), [("media type", "a/b", "a/c")]),
    "what is beyond the parts that are told": (
        MANY["parameters"], replace(MANY["parameters"], params=(MANY["parameters"].params or ())[:-1]),
        [("query", "&".join(f"p{one}=1" for one in range(99))[:MOST_CHARS] + "[…]")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("here", "there", "told"), DIFFER.values(), ids=DIFFER)
def test_what_sets_two_normal_forms_apart(here, there, told):
    wanted = [explain.Difference(*row) if len(row) == 3 else explain.Difference(*row, row[-1]) for row in told]
    assert differences(form_of(here), form_of(there)) == tuple(wanted)


word = st.sampled_from([b"", b"a", b"b", b"token", b"&", b"=", b"%41", b"A", b"a b", b"a+b", b"\xff"])
pairs = st.lists(st.tuples(word, st.none() | word), max_size=3).map(tuple)
fields = st.lists(st.tuples(st.sampled_from([b"a", b"cookie:a"]), word), max_size=2)
fields = fields.map(lambda told: tuple(sorted(told, key=itemgetter(0))))  # one rule names them in one order
members = st.dictionaries(st.sampled_from(["a", "pin"]), st.sampled_from(["", "a", 1, None, [], [1]]))
bodies = word | st.lists(members, max_size=2).map(lambda tree: json.dumps(tree).encode())
kinds = [
    st.builds(asked, params=pairs, fields=fields),
    st.builds(asked, query=st.none() | word, fields=fields),
    st.builds(sent, bodies, st.sampled_from([JSON, URLENCODED])),
    st.builds(sent, st.just(b""), form=pairs),
]


@given(st.one_of(*[st.tuples(kind, kind) for kind in kinds]))
def test_there_is_a_difference_to_tell_where_there_is_one(two):
    """Of forms that one rule made: hidden, cut or only in order, it is told."""
    assert bool(differences(*map(form_of, two))) is (two[0] != two[1])


# Steps.


@dataclass(frozen=True)
class Strange:
    """A stranger's word."""

    version: ClassVar[int] = 1

    def normalize(self, query: Query) -> Query:
        return replace(query, fields=((b"x-device", b"mobile"),))


def walked(request: Request, *normalizers) -> explain.Walk:
    return explain.walk(request, Rule("r", path_pattern("/**"), normalizers=normalizers), b"h", b"s" * 16, 5.0)


def get(target: str) -> Request:
    return Request("GET", target.encode(), ((b"x-a", b"1"),))


def post(body: bytes) -> Request:
    return Request("POST", b"/a", (), body)


WALKS = {
    "no normalizer": (get("/a?b=1"), (), []),
    "each step, before and after": (
        get("/a?q=CATS&b=2"), (SortParams(), Lower(("q",))),
        [("sort_params", [("query", "q=CATS&b=2", "b=2&q=CATS")]), ("lower", [("param q", "CATS", "cats")])],
    ),
    "nothing to change": (get("/a?a=1&q=big+cat"), (SortParams(), Lower()), [("sort_params", []), ("lower", [])]),
    "a spelling": (get("/a?q=%63at"), (SortParams(),), [("sort_params", [("query", "q=%63at", "q=cat")])]),
    "a secret": (get("/a?token=ABC"), (Lower(),), [("lower", [("param token", HIDDEN, HIDDEN)])]),
    "members": (
        post(b'{"q":"  a b ", "id":1}'), (Json(ignore=("$.id",), text=("$.q",)),),
        [("json", [("$.q", '"  a b "', '"a b"'), ("$.id", "1", None)])],
    ),
    "white space": (post(b'{ "q": 1 }'), (Json(),), [("json", [("body", "10 bytes", "7 bytes")])]),
    "a field": (get("/a"), (Headers(("X-A",)),), [("headers", [("field x-a", None, "1")])]),
    "a stranger's": (get("/a"), (Strange(),), [(f"{__name__}:Strange", [("field x-device", None, "mobile")])]),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "normalizers", "steps"), WALKS.values(), ids=WALKS)
def test_what_each_normalizer_did(request_, normalizers, steps):
    done = walked(request_, *normalizers)
    told = [(one.word, [(part.part, part.here, part.there) for part in one.changed]) for one in done.steps]
    assert (told, done.reason) == (steps, None)


def test_the_step_that_gave_up_is_the_last():
    done = walked(post(b"{"), SortParams(), Json(), Lower())
    assert [one.word for one in done.steps] == ["sort_params", "json"]
    assert (done.query, done.reason) == (None, "key_body_syntax")


def test_the_end_of_the_walk_is_the_normal_form():
    query = walked(get("/a?b=1&a=2"), SortParams()).query
    assert query == replace(query, params=((b"a", b"2"), (b"b", b"1")), host=b"h", now=5.0)


TARGETS = {
    "/a?q=1&token=hunter2": "/a?q=1&token=…",
    "/a?%74oken=hunter2&b": "/a?%74oken=…&b",
    "/a;sid=hunter2": "/a;sid=…",
    "/a;jsessionid=hunter2": "/a;jsessionid=…",
    "/a?\x1b": r"/a?\x1b",
}


@pytest.mark.parametrize(("target", "told"), TARGETS.items())
def test_a_target_without_its_secrets(target, told):
    assert explain.target_shown(target.encode()) == told


LABELS = {
    "in a parameter that its frame has not": (b"ids=7,9", b"", ["7", "9"]),
    "in what its frame has as well": (b"lang=7", b"lang=7", [HIDDEN, HIDDEN]),
}


@pytest.mark.parametrize(("query", "frame", "shown"), LABELS.values(), ids=LABELS)
def test_a_parts_name_is_told_where_the_request_shows_it(query, frame, shown):
    told = explain.labels_shown(["7", "9"], form_of(asked(query)), form_of(asked(frame)))
    assert told == shown


def test_a_part_without_a_name_and_one_in_a_body_are_hidden():
    form = form_of(asked(b"ids=7"))
    assert explain.labels_shown([None, "", "8"], form, {}) == [HIDDEN] * 3
