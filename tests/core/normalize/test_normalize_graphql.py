"""`graphql`: a GraphQL query in a body or in parameters."""

import json
import sys
from dataclasses import replace
from itertools import chain
from time import process_time

import pytest
from graphql.language import parse, print_ast
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.graphql_text import MAX_DEPTH
from proxy.core.normalize.graphql import MAX_DOCUMENT, MAX_REMEMBERED, MAX_TOKENS, Graphql
from proxy.core.reasons import Reason
from proxy.core.types import Query
from proxy.errors import ConfigError, Fallback
from proxy.plugins import load

POST = Query("POST", b"h", b"/graphql", media_type=b"application/json")


def normal(asked, *, reduce=False):
    """Return what the members of a body become; members, or a body as it is."""
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    return json.loads(Graphql(reduce).normalize(replace(POST, body=body)).body)


def document(text, **members):
    return normal({"query": text} | members)["query"]


DOCUMENTS = {
    "white space": (" {\r\n\ta  b }\n", "{a b}"),
    "commas": ("{a(b: 1,, c: 2),b}", "{a(b:1 c:2)b}"),
    "comments": ("# {x}\n{a # }\n b}# end", "{a b}"),
    "byte order marks": ("\ufeff{\ufeffa}", "{a}"),
    "query alone means nothing": ("query{a}", "{a}"),
    "query with variables stays": ("query ( $a : Int = 1 ) { a }", "query($a:Int=1){a}"),
    "query with directives stays": ("query @a { a }", "query@a{a}"),
    "a field named query stays": ("{ query { query } }", "{query{query}}"),
    "names": ("query A { a }", "query A{a}"),
    "aliases stay": ("{ b : a }", "{b:a}"),
    "fields keep their order": ("{ b a }", "{b a}"),
    "arguments keep their order": ("{ a(c: 1, b: 2) }", "{a(c:1 b:2)}"),
    "fields that come twice stay": ("{ a a }", "{a a}"),
    "numbers stay as written": ("{ a(b: [1 1.0 1e0 -0]) }", "{a(b:[1 1.0 1e0 -0])}"),
    "strings stay as written": (r'{ a(b: " \u0061,  #\" ") }', r'{a(b:" \u0061,  #\" ")}'),
    "strings beside each other": ('{ a(b: ["a" "" "b"]) }', '{a(b:["a" "" "b"])}'),
    "block strings stay as written": ('{ a(b: """\n  a "" \\"""\n b""") }', '{a(b:"""\n  a "" \\"""\n b""")}'),
    "characters beyond ASCII": ('{ a(b: "é😀") }', '{a(b:"é😀")}'),
    "objects, enums, words": ("{ a(b: { c: RED, d: [ null true ] }) }", "{a(b:{c:RED d:[null true]})}"),
    "types": ("query ($a: [[Int!]!]) { a }", "query($a:[[Int!]!]){a}"),
    "spreads": ("{ a ... F ... on B @c { d } ... { e } } fragment F on B { f }", "{a ...F ...on B@c{d}...{e}} fragment F on B{f}"),
    "a number before a spread": ("{ a(b: 1) ...F } fragment F on B { f }", "{a(b:1)...F} fragment F on B{f}"),
    "fragments have no order": (
        "fragment G on B { g } query { ...F ...G } fragment F on B { f }",
        "{...F ...G} fragment F on B{f} fragment G on B{g}",
    ),
    "a fragment that is not used stays": ("{ a } fragment F on B { f }", "{a} fragment F on B{f}"),
    "a fragment that is not there": ("{ ...F }", "{...F}"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents(text, expected):
    assert document(text) == expected
    assert document(expected) == expected
    assert print_ast(parse(expected)) in {print_ast(parse(text)), print_ast(parse(expected))}


TWO = "query B { b } query A { a }"
TWO_WRITTEN = "query A{a} query B{b}"

SELECTED = {
    "the only one": ({"query": "query A { a }"}, {"query": "query A{a}"}),
    "the only one, by its name": ({"query": "query A { a }", "operationName": "A"}, {"query": "query A{a}"}),
    "null means absent": ({"query": "{ a }", "operationName": None}, {"query": "{a}"}),
    "one of two": ({"query": TWO, "operationName": "A"}, {"query": TWO_WRITTEN, "operationName": "A"}),
    "the other of two": ({"query": TWO, "operationName": "B"}, {"query": TWO_WRITTEN, "operationName": "B"}),
    "a query beside a mutation": (
        {"query": "mutation B { b } query A { a }", "operationName": "A"},
        {"query": "query A{a} mutation B{b}", "operationName": "A"},
    ),
    "no variables": ({"query": "{ a }", "variables": {}}, {"query": "{a}"}),
    "variables of null": ({"query": "{ a }", "variables": None}, {"query": "{a}"}),
    "variables that nothing uses stay": ({"query": "{ a }", "variables": {"b": 1}}, {"query": "{a}", "variables": {"b": 1}}),
    "variables of another shape stay": ({"query": "{ a }", "variables": "{}"}, {"query": "{a}", "variables": "{}"}),
    "variables of a list stay": ({"query": "{ a }", "variables": []}, {"query": "{a}", "variables": []}),
    "no extensions": ({"query": "{ a }", "extensions": {}}, {"query": "{a}"}),
    "extensions stay": (
        {"query": "{ a }", "extensions": {"persistedQuery": {"sha256Hash": "0"}}},
        {"query": "{a}", "extensions": {"persistedQuery": {"sha256Hash": "0"}}},
    ),
    "other members stay": ({"query": "{ a }", "id": None, "x": {}}, {"query": "{a}", "id": None, "x": {}}),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), SELECTED.values(), ids=SELECTED)
def test_members(asked, expected):
    assert normal(asked) == expected
    assert normal(expected) == expected


def test_a_body_is_written_in_the_one_form_of_json():
    body = b'{"variables" : {"b": 1.10, "a": "\\u0061"}, "query": "{ a }"}'
    assert Graphql().normalize(replace(POST, body=body)).body == b'{"query":"{a}","variables":{"a":"a","b":1.10}}'


FRAGMENTS = "fragment F on X { f ...G } fragment G on X { g ...F } fragment H on X { h } fragment on1 on X { on }"

REDUCED = {
    "the one that is selected": (TWO, "A", "query A{a}"),
    "only a query of a document with a mutation": ("query A { a } mutation B { b }", "A", "query A{a}"),
    "no fragments": ("{ a } " + FRAGMENTS, None, "{a}"),
    "a fragment": ("{ ...H } " + FRAGMENTS, None, "{...H} fragment H on X{h}"),
    "fragments in fragments, even in a circle": ("{ ...F } " + FRAGMENTS, None, "{...F} fragment F on X{f ...G} fragment G on X{g ...F}"),
    "inline fragments are none": ("{ ... on H { a } ... @b { c } } " + FRAGMENTS, None, "{...on H{a}...@b{c}}"),
    "a fragment whose name begins like that": ("{ ...on1 } " + FRAGMENTS, None, "{...on1} fragment on1 on X{on}"),
    "fragments of the one that is selected": (
        "query A { ...H } query B { ...F } " + FRAGMENTS, "A", "query A{...H} fragment H on X{h}",
    ),
    "a fragment that is not there": ("{ ...Z } " + FRAGMENTS, None, "{...Z}"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "name", "expected"), REDUCED.values(), ids=REDUCED)
def test_reduced(text, name, expected):
    assert normal({"query": text, "operationName": name}, reduce=True) == {"query": expected}
    assert normal({"query": expected}, reduce=True) == {"query": expected}
    assert normal({"query": text, "operationName": name})["query"] != expected


def nested(opening, closing, levels=MAX_DEPTH + 1):
    return opening * levels + "a" + closing * levels


OPERATION, SYNTAX = Reason.KEY_OPERATION, Reason.KEY_BODY_SYNTAX
PASSED = {
    "a mutation": ({"query": "mutation { a }"}, OPERATION),
    "a subscription": ({"query": "subscription A { a }"}, OPERATION),
    "a mutation that is selected": ({"query": "query A { a } mutation B { b }", "operationName": "B"}, OPERATION),
    "two and no name": ({"query": TWO}, OPERATION),
    "two and a name that is not there": ({"query": TWO, "operationName": "C"}, OPERATION),
    "one and another's name": ({"query": "query A { a }", "operationName": "B"}, OPERATION),
    "a name for what has none": ({"query": "{ a }", "operationName": "A"}, OPERATION),
    "a name of nothing": ({"query": "{ a }", "operationName": ""}, OPERATION),
    "a name that is no text": (b'{"query":"query A { a }","operationName":1}', OPERATION),
    "a name that is a list": ({"query": "query A { a }", "operationName": ["A"]}, OPERATION),
    "a name that is an object": ({"query": "{ a }", "operationName": {}}, OPERATION),
    "two of one name": ({"query": "query A { a } query A { b }", "operationName": "A"}, OPERATION),
    "two without names": ({"query": "{ a } { b }"}, OPERATION),
    "one without a name beside another": ({"query": "{ a } query A { b }", "operationName": "A"}, OPERATION),
    "two fragments of one name": ({"query": "{ ...F } fragment F on B { a } fragment F on B { b }"}, OPERATION),
    "fragments only": ({"query": "fragment F on B { a }"}, OPERATION),
    "a schema": ({"query": "type A { a: Int }"}, OPERATION),
    "a schema beside a query": ({"query": "{ a } extend type A { a: Int }"}, OPERATION),
    "a batch": ([{"query": "{ a }"}], OPERATION),
    "a text": (b'"{ a }"', OPERATION),
    "no query": ({"variables": {}}, OPERATION),
    "a query of null": ({"query": None, "extensions": {"persistedQuery": {}}}, OPERATION),
    "a query that is no text": (b'{"query":1}', OPERATION),
    "a hash in place of the query": ({"extensions": {"persistedQuery": {"sha256Hash": "0"}}}, OPERATION),
    "another server's id in place of the query": ({"doc_id": "1"}, OPERATION),
    "a member that differs in case": ({"query": "{ a }", "QUERY": "mutation { a }"}, OPERATION),
    "a member that some read as another": ({"query": "{ a }", "variable\u017f": {}}, OPERATION),
    "an empty document": ({"query": ""}, SYNTAX),
    "what is no GraphQL": ({"query": "SELECT 1"}, SYNTAX),
    "an open bracket": ({"query": "{ a"}, SYNTAX),
    "an open string": ({"query": '{ a(b: "c) }'}, SYNTAX),
    "an open block string": ({"query": '{ a(b: """c) }'}, SYNTAX),
    "a lone surrogate": ({"query": '{ a(b: "\ud800") }'}, SYNTAX),
    "too many tokens": ({"query": "{" + " a" * MAX_TOKENS + "}"}, SYNTAX),
    "a document that is too long": ({"query": "{a}" + "#" * MAX_DOCUMENT}, Reason.KEY_BODY_SIZE),
    "selections too deep": ({"query": nested("{a", "}")}, Reason.KEY_BODY_DEPTH),
    "lists too deep": ({"query": "{a(b:" + nested("[", "]") + ")}"}, Reason.KEY_BODY_DEPTH),
    "objects too deep": ({"query": "{a(b:" + nested("{a:", "}") + ")}"}, Reason.KEY_BODY_DEPTH),
    "types too deep": ({"query": f"query($a:{nested('[', ']')}){{a}}"}, Reason.KEY_BODY_DEPTH),
    "too deep, after brackets that are none": (
        {"query": '{a(b:"]]}\\"}" c:"""}}"\\"""}}""" d:"") #}}}}\n' + nested("{a", "}") + "}"}, Reason.KEY_BODY_DEPTH
    ),
    "100,000 brackets that nothing closes": ({"query": "{a" * 100_000}, Reason.KEY_BODY_DEPTH),
    "variables too deep": (b'{"query":"{a}","variables":' + b"[" * 1000 + b"]" * 1000 + b"}", Reason.KEY_BODY_DEPTH),
    "a member twice": (b'{"query":"{a}","query":"mutation{a}"}', Reason.KEY_DUPLICATE_MEMBER),
    "a document and no JSON": (b"{ a }", SYNTAX),
}  # fmt: skip


@pytest.mark.parametrize("reduce", [False, True])
@pytest.mark.parametrize(("asked", "reason"), PASSED.values(), ids=PASSED)
def test_what_passes(asked, reason, reduce):
    with pytest.raises(Fallback) as fallback:
        normal(asked, reduce=reduce)
    assert fallback.value.reason == reason


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH - 1])
def test_a_hundred_levels_are_enough(levels):
    text = nested("{a", "}", levels)
    assert document(text) == text
    assert document("{a(b:" + nested("[", "]", levels - 2) + ")}")


def test_wide_documents_are_not_deep():
    text = "{" + " ".join(["a{b}"] * 300) + '}#{{{{\n fragment F on A@a(b:"' + "[" * 200 + '"){a}'
    assert document(text).startswith("{a{b}a{b}")


def test_a_stack_that_is_nearly_full_is_no_fault():
    def below(levels):
        return below(levels - 1) if levels else document(nested("{b", "}", 99))

    limit = sys.getrecursionlimit()
    with pytest.raises(Fallback) as fallback:
        below(limit - 250)
    assert fallback.value.reason == SYNTAX


def test_long_documents_are_read_as_short_ones_are():
    assert document("{ a }" + "#" * MAX_REMEMBERED) == document("{ a }")


CHARSETS = {b"application/json;charset=utf-8": None, b"application/json;charset=utf-16": Reason.KEY_BODY_ENCODING}


@pytest.mark.parametrize(("media_type", "reason"), CHARSETS.items())
def test_charsets(media_type, reason):
    asked = replace(POST, media_type=media_type, body=b'{"query":"{ a }"}')
    if reason is None:
        assert Graphql().normalize(asked).body == b'{"query":"{a}"}'
        return
    with pytest.raises(Fallback) as fallback:
        Graphql().normalize(asked)
    assert fallback.value.reason == reason


BESIDE = {
    "a query": b"query=%7Ba%7D",
    "a name": b"a=1&operationName=A",
    "variables without a value": b"variables",
    "another case": b"Query=mutation",
    "an escape": b"%71uery=mutation",
}


@pytest.mark.parametrize("body", [b"", b'{"query":"{ a }"}'])
@pytest.mark.parametrize("raw", BESIDE.values(), ids=BESIDE)
def test_parameters_that_stand_for_members_of_the_body(raw, body):
    with pytest.raises(Fallback) as fallback:
        Graphql().normalize(replace(POST, query=raw, params=(), body=body))
    assert fallback.value.reason == OPERATION


def test_a_form_passes():
    with pytest.raises(Fallback):
        Graphql().normalize(replace(POST, form=((b"query", b"mutation { a }"),)))


def test_other_parameters_stay_beside_a_body():
    asked = replace(POST, query=b"opname=A&\xff", body=b'{"query":"{ a }"}')
    assert Graphql().normalize(asked) == replace(asked, body=b'{"query":"{a}"}')


def test_nothing_stays_nothing():
    assert Graphql().normalize(POST) is POST


def got(raw, *, reduce=False):
    query = Graphql(reduce).normalize(Query("GET", b"h", b"/graphql", raw))
    return b"&".join(name + b"=" + value if value is not None else name for name, value in query.params)


HASH = b'extensions={"persistedQuery":{"sha256Hash":"0"}}'

PARAMS = {
    "a query": (b"query=%7B+a+%7D", b"query={a}"),
    "others stay where they are": (b"b=2&query={+a+}&a=1&c", b"b=2&query={a}&a=1&c"),
    "variables are JSON": (b'query={a}&variables={"b":1.0,"a":"\\u0061"}', b'query={a}&variables={"a":"a","b":1.0}'),
    "variables that are a text stay one": (b'query={a}&variables="1"', b'query={a}&variables="1"'),
    "no variables": (b"variables={}&query={a}", b"query={a}"),
    "null means absent": (b"variables=null&query={a}&extensions=null", b"query={a}"),
    "the only one, by its name": (b"query=query+A{a}&operationName=A", b"query=query A{a}"),
    "one of two": (b"query=query+B{b}query+A{a}&operationName=A", b"query=query A{a} query B{b}&operationName=A"),
    "a hash in place of the query": (HASH + b"&operationName=A&variables={+}", HASH + b"&operationName=A"),
    "a hash beside the query": (b"query={+a+}&" + HASH, b"query={a}&" + HASH),
    "characters beyond ASCII": (b'query={a(b:"%C3%A9")}', 'query={a(b:"é")}'.encode()),
}


@pytest.mark.parametrize(("raw", "expected"), PARAMS.values(), ids=PARAMS)
def test_parameters(raw, expected):
    assert got(raw) == expected
    assert got(expected.replace(b" ", b"+")) == expected


def test_parameters_reduced():
    assert got(b"query=query+B{b}query+A{a}&operationName=A", reduce=True) == b"query=query A{a}"


PASSED_PARAMS = {
    "nothing": (b"", OPERATION),
    "no query": (b"a=1&variables={}", OPERATION),
    "a mutation": (b"query=mutation{a}", OPERATION),
    "a query twice": (b"query={a}&query={b}", OPERATION),
    "a query twice, alike": (b"query={a}&query={a}", OPERATION),
    "a query in two cases": (b"query={a}&Query={a}", OPERATION),
    "a query in another case": (b"Query={a}", OPERATION),
    "a query without a value": (b"query", OPERATION),
    "variables without a value": (b"query={a}&variables", OPERATION),
    "a name of nothing": (b"query={a}&operationName=", OPERATION),
    "extensions without a hash": (b'extensions={"a":1}', OPERATION),
    "extensions of another shape": (b"extensions=[]", OPERATION),
    "variables of nothing": (b"query={a}&variables=", SYNTAX),
    "variables that are no JSON": (b"query={a}&variables={a:1}", SYNTAX),
    "a query that is not UTF-8": (b"query={a}%FF", Reason.KEY_BODY_ENCODING),
    "a name that is not UTF-8": (b"query={a}&operationName=%FF", Reason.KEY_BODY_ENCODING),
}


@pytest.mark.parametrize(("raw", "reason"), PASSED_PARAMS.values(), ids=PASSED_PARAMS)
def test_parameters_that_pass(raw, reason):
    with pytest.raises(Fallback) as fallback:
        got(raw)
    assert fallback.value.reason == reason


def test_the_word_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphql.language", None)
    with pytest.raises(ConfigError, match=r"it needs graphql-core: pip install frontrunner\[graphql\]"):
        load("normalize", "graphql")


def test_nothing_of_the_parser_is_loaded_with_the_leaf():
    import subprocess

    code = "import sys, proxy.core.normalize.graphql; sys.exit('graphql' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


NAME = st.sampled_from(["a", "b", "query", "fragment", "true", "x1"])
LITERAL = st.sampled_from(["1", "-1.5e3", '"a # {"', '""', '"""b "" }\n"""', "$v", "RED", "null"])


def around(opening, closing):
    return lambda inner: [opening, *chain.from_iterable(inner), closing]


VALUE = st.recursive(
    LITERAL.map(lambda one: [one]),
    lambda inner: (
        st.lists(inner, max_size=2).map(around("[", "]"))
        | st.lists(st.tuples(NAME, inner).map(lambda pair: [pair[0], ":", *pair[1]]), max_size=2).map(around("{", "}"))
    ),
    max_leaves=4,
)
ARGUMENT = st.tuples(NAME, VALUE).map(lambda pair: [pair[0], ":", *pair[1]])
ARGUMENTS = st.just([]) | st.lists(ARGUMENT, min_size=1, max_size=2).map(around("(", ")"))
FIELD = st.tuples(st.just([]) | NAME.map(lambda name: [name, ":"]), NAME, ARGUMENTS).map(
    lambda parts: [*parts[0], parts[1], *parts[2]]
)
SPREAD = st.sampled_from([["...", "F"], ["...", "G"]])
SELECTIONS = st.recursive(
    st.lists(FIELD | SPREAD, min_size=1, max_size=3).map(around("{", "}")),
    lambda inner: st.lists(
        st.tuples(FIELD | st.just(["...", "on", "T"]) | st.just(["...", "@", "d"]), inner).map(
            lambda two: two[0] + two[1]
        )
        | FIELD,
        min_size=1,
        max_size=3,
    ).map(around("{", "}")),
    max_leaves=4,
)
DEFINITIONS = st.tuples(SELECTIONS, SELECTIONS, SELECTIONS).map(
    lambda three: (
        [["query", "Q", "(", "$", "v", ":", "Int", ")", *three[0]]]
        + [["fragment", name, "on", "T", *one] for name, one in zip("FG", three[1:], strict=True)]
    )
)
IGNORED = st.lists(st.sampled_from([" ", ",", "\n", "\r\n", "\t", "\ufeff", '# { " \' """\n']), max_size=3).map("".join)
WORD = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789".'


@st.composite
def spelled(draw, definitions):
    """Write definitions in some order, with something that GraphQL ignores between any two tokens."""
    written = ""
    for definition in draw(st.permutations(definitions)):
        for token in definition:
            between = draw(IGNORED)
            if not between and written and written[-1] in WORD and (token[0] in WORD or token[0] == "-"):
                between = " "
            written += between + token
    return written + draw(IGNORED)


@settings(max_examples=50)
@given(DEFINITIONS, st.data())
def test_documents_of_one_meaning_are_one(definitions, data):
    one, other = data.draw(spelled(definitions)), data.draw(spelled(definitions))
    assert document(one) == document(other)
    assert print_ast(parse(document(one))) == print_ast(parse(" ".join(" ".join(tokens) for tokens in definitions)))


@given(DEFINITIONS, DEFINITIONS, st.booleans())
def test_documents_of_two_meanings_are_two(one, other, reduce):
    one, other = (" ".join(" ".join(tokens) for tokens in definitions) for definitions in (one, other))
    differ = print_ast(parse(one)) != print_ast(parse(other))
    assert (document(one) != document(other)) is differ
    if not differ and reduce:
        assert normal({"query": one}, reduce=True) == normal({"query": other}, reduce=True)


@given(DEFINITIONS, st.booleans())
def test_twice_is_once(definitions, reduce):
    once = normal({"query": " ".join(" ".join(tokens) for tokens in definitions), "variables": {"v": 1}}, reduce=reduce)
    assert normal(once, reduce=reduce) == once


@given(st.text('{}[]()"\\#.$:a1 \n|&!@=-é\ud800', max_size=30) | st.text(max_size=20), st.booleans())
def test_any_document_is_read_or_passes(text, reduce):
    try:
        once = normal({"query": text}, reduce=reduce)
    except Fallback:
        return
    assert normal(once, reduce=reduce) == once


@given(st.lists(st.tuples(st.sampled_from(["query", "operationName", "variables", "extensions", "x"]), st.sampled_from(
    ["", "{a}", "query A{a}", "mutation A{a}", "A", "{}", '{"b":1}', "null", '"1"', '{"persistedQuery":{}}', "%"]
)), max_size=4))  # fmt: skip
def test_any_parameters_are_read_or_pass(pairs):
    params = tuple((name.encode(), value.encode()) for name, value in pairs)
    try:
        once = Graphql().normalize(Query("GET", b"h", b"/", params=params))
    except Fallback:
        return
    assert Graphql().normalize(once) == once


def seconds_for(text):
    began = process_time()
    try:
        normal({"query": text})
    except Fallback:
        pass
    return process_time() - began


HOSTILE = {
    "comments": "{a}" + "#\n" * (MAX_DOCUMENT // 2 - 2),
    "commas": "{a}" + "," * (MAX_DOCUMENT - 4),
    "quotes": "{a}" + '"' * (MAX_DOCUMENT - 4),
    "escaped quotes": "{" * 101 + '"' + '\\"' * (MAX_DOCUMENT // 2 - 100),
    "block strings": "{" * 101 + '"""\\' * (MAX_DOCUMENT // 4 - 100),
    "one name": "{" + "a" * (MAX_DOCUMENT - 2) + "}",
    "one number": "{a(b:" + "9" * (MAX_DOCUMENT - 10) + ")}",
    "brackets": "{a}" * (MAX_DOCUMENT // 3),
    "fragments": "{a}" + "fragment F on A{a}" * 1_000,
    "fragments that spread each other": "{...F0}" + "".join(f"fragment F{n} on A{{...F{n + 1} ...F0}}" for n in range(700)),
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_documents_cost_little(text):
    assert len(text) <= MAX_DOCUMENT
    assert any(seconds_for(text) < 2 for _ in range(3))


def test_ten_times_the_document_costs_about_ten_times_as_much():
    def text(fields):
        return "{" + " ".join(f"a{number}(b: 1)" for number in range(fields)) + "} " + "#" * MAX_REMEMBERED

    assert any(seconds_for(text(1_500)) < 40 * seconds_for(text(150)) for _ in range(3))
