"""graphql_roots: which documents are split, what a field is known by, and the requests for some of the fields."""

import json
import sys
from time import process_time

import pytest
from graphql.language import parse, print_ast
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.composite import Limits
from proxy.core.reasons import Reason
from proxy.core.split.graphql_roots import MAX_DOCUMENT, MAX_REMEMBERED, GraphqlRoots
from proxy.core.split_laws import check_cut
from proxy.core.types import Request
from proxy.errors import Fallback


def post(body, query=b""):
    body = (body if isinstance(body, str) else json.dumps(body)).encode()
    fields = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    return Request("POST", b"/graphql" + query, fields, body)


def asking(document, **members):
    return post({"query": document} | members)


def cut_of(document, *groups, **members):
    return check_cut(GraphqlRoots(), asking(document, **members), *groups)


def built(document, places, **members):
    request = asking(document, **members)
    splitter = GraphqlRoots()
    return json.loads(splitter.build(request, splitter.plan(request), places).body)


def form(document):
    return print_ast(parse(document))


FOUND = {
    "one field": ("{ a }", ["a"]),
    "fields": ("{ a b { c } d(e: 1) }", ["a", "b", "d"]),
    "aliases": ("{ x: a, y: a(b: 2) }", ["x", "y"]),
    "with a name": ("query Q { a b }", ["a", "b"]),
    "a response name twice": ("{ a { x } b a { y } }", ["a", "b"]),
    "comments": ("# {\n{ a # b }\n b # c\n}", ["a", "b"]),
    "conditions": ("{ a @include(if: true) b @skip(if: false) { c @include(if: true) } }", ["a", "b"]),
    "what asks for types": ("{ __typename __schema { types { name } } }", ["__typename", "__schema"]),
    "strings": ('{ a(b: "} é \\u00e9") b(c: """ " # } """) }', ["a", "b"]),
    "fragments": (
        "{ a { ...F } b { ... on T { ...G } ... { c } } } fragment F on T { x } fragment G on T { ...F y }",
        ["a", "b"],
    ),
}


@pytest.mark.parametrize(("document", "labels"), FOUND.values(), ids=FOUND)
def test_the_fields_at_the_root_are_parts(document, labels):
    found = cut_of(document, [0], [len(labels) - 1], range(len(labels)))
    assert [part.label for part in found.parts] == labels


def test_only_fields_under_conditions_may_be_absent():
    document = "{ a @include(if: true) b @skip(if: true) c { d @skip(if: true) } e @skip(if: true) e }"
    assert [part.optional for part in cut_of(document).parts] == [True, True, False, False]


DOCUMENT = """query Q($x: Int = 1, $y: [T!]! = [{a: 1}], $z: Int) {
  a(b: $x) { ...F }
  c(d: $y) @include(if: $z) { e ...G }
  f
}
fragment F on T { g ...G }  # G
fragment G on U { h(i: $z) }"""
VARIABLES = {"z": 10**20, "x": None, "y": [1.5]}
PRUNED = {
    (0,): ("query Q($x: Int = 1, $z: Int) { a(b: $x) { ...F } } fragment F on T { g ...G } fragment G on U { h(i: $z) }", "xz"),
    (1,): ("query Q($y: [T!]! = [{a: 1}], $z: Int) { c(d: $y) @include(if: $z) { e ...G } } fragment G on U { h(i: $z) }", "yz"),
    (2,): ("query Q { f }", ""),
    (1, 2): ("query Q($y: [T!]! = [{a: 1}], $z: Int) { c(d: $y) @include(if: $z) { e ...G } f } fragment G on U { h(i: $z) }", "yz"),
}  # fmt: skip


@pytest.mark.parametrize(("places", "expected"), PRUNED.items())
def test_a_part_takes_its_variables_and_fragments_with_it_and_no_others(places, expected):
    asked = built(DOCUMENT, places, variables=VARIABLES, operationName="Q")
    document, names = expected
    assert form(asked["query"]) == form(document)
    assert asked["variables"] == {name: VARIABLES[name] for name in names}
    assert asked["operationName"] == "Q"
    check_cut(GraphqlRoots(), asking(DOCUMENT, variables=VARIABLES), places)


def test_values_and_other_members_keep_their_bytes():
    body = '{"variables": {"a" : 1.10, "b":18446744073709551616} ,"operationName":null, "query":"query($a:F $b:F){c(d:$a)e(f:$b)}" }'
    splitter = GraphqlRoots()
    made = splitter.build(post(body), splitter.plan(post(body)), [1])
    assert (
        made.body
        == b'{"variables": {"b":18446744073709551616} ,"operationName":null, "query":"query($b:F) { e(f:$b) }" }'
    )
    assert made.header(b"content-length") == b"%d" % len(made.body)


def test_a_request_without_variables_gets_none():
    assert built("{a b}", [0]) == {"query": "query { a }"}
    assert built("{a b}", [0], variables=None) == {"query": "query { a }", "variables": None}


SAME = {
    "white space, commas, comments": "{ b,  a ( x : 1 ) # c\n}",
    "beside others": "{ a(x: 1) c d }",
    "query": "query { a(x:1) }",
    "beside others with variables": "query($v: Int) { a(x: 1) e(f: $v) }",
}


@pytest.mark.parametrize("document", SAME.values(), ids=SAME)
def test_the_same_field_in_another_query_is_the_same_part(document):
    one, other = cut_of("{a(x:1) b}").parts[0], next(part for part in cut_of(document).parts if part.label == "a")
    assert one.identity == other.identity


@pytest.mark.parametrize(
    "document",
    ["{a(x:2) b}", "{a b}", "{b:a(x:1)}", "{a(x:1){c}}", "{a(x:1) a(x:1)}", "{a(x:1)@skip(if:false)}", "{a(x:1.0)}"],
)
def test_another_field_is_another_part(document):
    assert cut_of(document).parts[0].identity != cut_of("{a(x:1) b}").parts[0].identity


def test_what_a_field_needs_is_part_of_what_it_is_known_by():
    def identity(document, **variables):
        return cut_of(document, variables=variables).parts[0].identity

    document = "query($x: Int = 1) { a(b: $x) { ...F } } fragment F on T { c }"
    known = identity(document, x=1)
    assert known == identity(document.replace("}", " }"), x=1)
    assert len({known, identity(document, x=2), identity(document), identity(document, x=None)}) == 4
    assert known != identity(document.replace("= 1", "= 2"), x=1)
    assert known != identity(document.replace("{ c }", "{ d }"), x=1)


def test_the_rest_of_the_request_is_the_frame():
    def frame(document, query=b"", **members):
        return GraphqlRoots().plan(post({"query": document} | members, query)).frame

    one = frame("query Q { a b }", operationName="Q")
    assert one == frame("query Q { c }", operationName="Q")
    assert json.loads(one.body) == {"query": "query Q { __typename }", "operationName": "Q"}
    assert one != frame("query R { a b }", operationName="R")
    assert one != frame("query Q { a b }", b"?x", operationName="Q")


@pytest.mark.parametrize(
    "body",
    ["", "[]", '[{"query":"{a b}"}]', "{}", '{"query":null}', '{"operationName":"Q","extensions":{"x":1}}', "query=1"],
)
def test_no_document(body):
    assert GraphqlRoots().plan(post(body)) is None


def test_a_body_that_is_still_arriving_is_not_looked_at():
    assert GraphqlRoots().plan(Request("POST", b"/graphql", (), object())) is None


SYNTAX = {
    "a mutation": "mutation { a b }",
    "a subscription": "subscription { a }",
    "several operations": "query A { a } query B { b }",
    "a mutation beside": "query A { a } mutation B { b }",
    "a type": "type T { a: Int }",
    "a type beside": "{ a } type T { a: Int }",
    "no operation": "fragment F on T { a }",
    "a fragment at the root": "{ a ...F } fragment F on T { b }",
    "an inline fragment at the root": "{ a ... on T { b } }",
    "a fragment that is not used": "{ a b } fragment F on T { c }",
    "a fragment that is used by itself only": "{ a } fragment F on T { ...F }",
    "a fragment that is not defined": "{ a { ...F } b }",
    "a fragment twice": "{ a { ...F } } fragment F on T { b } fragment F on T { c }",
    "a variable that is not used": "query($x: Int) { a b }",
    "a variable that is not defined": "{ a(b: $x) c }",
    "a variable of a fragment that is not defined": "{ a { ...F } } fragment F on T { b(c: $x) }",
    "a variable twice": "query($x: Int, $x: Int) { a(b: $x) c }",
    "@defer": "{ a { ... @defer { b } } c }",
    "@stream": "{ a @stream(initialCount: 1) c }",
    "a directive that nobody knows": "{ a @log c }",
    "a directive in a fragment": "{ a { ...F } } fragment F on T @x { b }",
    "a directive of the operation": "query @include(if: true) { a b }",
    "a directive of a variable": "query($x: Int @x) { a(b: $x) }",
}


@pytest.mark.parametrize("document", SYNTAX.values(), ids=SYNTAX)
def test_a_document_that_a_service_may_refuse_whole_is_not_split(document):
    with pytest.raises(Fallback) as refused:
        GraphqlRoots().plan(asking(document))
    assert refused.value.reason == Reason.SPLIT_SYNTAX


DOUBTFUL = {
    "another operation": (asking("query Q { a b }", operationName="R"), Reason.SPLIT_SYNTAX),
    "a name for one without": (asking("{ a b }", operationName="R"), Reason.SPLIT_SYNTAX),
    "a name that is none": (asking("query Q { a b }", operationName=7), Reason.SPLIT_SYNTAX),
    "a document that is none": (asking(["{ a b }"]), Reason.SPLIT_SYNTAX),
    "a number for a document": (post('{"query":7}'), Reason.SPLIT_SYNTAX),
    "a variable that is not defined": (asking("{ a b }", variables={"x": 1}), Reason.SPLIT_SYNTAX),
    "variables that are none": (asking("{ a b }", variables=[]), Reason.SPLIT_SYNTAX),
    "a hash": (asking("{ a b }", extensions={"persistedQuery": {}}), Reason.SPLIT_SYNTAX),
    "a member that nobody knows": (asking("{ a b }", id=1), Reason.SPLIT_SYNTAX),
    "a member twice": (post('{"query":"{a b}","query":"{a}"}'), Reason.KEY_DUPLICATE_MEMBER),
    "a variable twice": (
        post('{"query":"query($x:Int){a(b:$x)}","variables":{"x":1,"\\u0078":2}}'), Reason.KEY_DUPLICATE_MEMBER,
    ),
    "a parameter that is a member": (post('{"query":"{a b}"}', b"?Query=1"), Reason.SPLIT_SYNTAX),
    "no GraphQL": (asking("{ a b"), Reason.KEY_BODY_SYNTAX),
    "no JSON": (post('{"query":"{a b}"'), Reason.KEY_BODY_SYNTAX),
    "two bodies": (post('{"query":"{a b}"}{}'), Reason.KEY_BODY_SYNTAX),
    "too deep": (asking("{a" * 101 + "}" * 101), Reason.KEY_BODY_DEPTH),
    "too many tokens": (asking("{a(b:[" + "1 " * 6000 + "])}"), Reason.KEY_BODY_SYNTAX),
    "too large": (asking("{a b #" + "x" * MAX_DOCUMENT + "\n}"), Reason.SPLIT_LIMIT),
    "too many fields": (asking("{" + " ".join([f"a{number}" for number in range(65)]) + "}"), Reason.SPLIT_LIMIT),
    "too many, before the syntax is seen": (asking("{" + "a " * 65), Reason.SPLIT_LIMIT),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "reason"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_is_in_doubt_is_not_split(request_, reason):
    with pytest.raises(Fallback) as refused:
        GraphqlRoots().plan(request_)
    assert refused.value.reason == reason


def test_parameters_that_are_no_members_are_the_frames():
    assert check_cut(GraphqlRoots(), post('{"query":"{a b}"}', b"?tenant=1"), [0])


def test_a_document_that_is_too_long_to_be_remembered_is_read_each_time():
    assert len(cut_of("{a #" + "x" * MAX_REMEMBERED + "\n b}", [1]).parts) == 2


@pytest.mark.parametrize("document", ["{a b}", "{x: a b}", "{b a c}"])
def test_fields_that_are_denied_keep_the_query_together(document):
    with pytest.raises(Fallback) as refused:
        GraphqlRoots(("a*",)).plan(asking(document))
    assert refused.value.reason == Reason.SPLIT_DENIED
    assert GraphqlRoots(("x", "d")).plan(asking(document))


def test_without_graphql_core_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphql.language", None)
    with pytest.raises(ValueError, match=r"frontrunner\[graphql\]"):
        GraphqlRoots()


def test_a_thousand_aliases_are_refused_before_they_are_parsed():
    request = asking("{" + " ".join([f"a{number}: a {{ b c d e }}" for number in range(1000)]) + "}")
    began = process_time()
    with pytest.raises(Fallback) as refused:
        GraphqlRoots().plan(request, Limits(parts=64))
    assert refused.value.reason == Reason.SPLIT_LIMIT
    assert process_time() - began < 0.05


FIELDS = st.sampled_from(
    ["a", "b: a(c: 1)", "c(d: $x)", "d { ...F }", "e @skip(if: $y)", "f { g(h: $x) ...F }", 'g(h: "é}")']
)


@given(st.lists(FIELDS, min_size=1, max_size=7, unique=True), st.sampled_from([" ", "\n", ", # {\n"]), st.data())
def test_requests_for_any_of_the_fields_ask_for_these(fields, between, drawn):
    text = between.join(fields)
    defined = " ".join([f"${name}: {kind}" for name, kind in (("x", "Int"), ("y", "Boolean!")) if f"${name}" in text])
    document = f"query{f'({defined})' if defined else ''} {{ {text} }}"
    document += " fragment F on T { i }" if "...F" in text else ""
    places = drawn.draw(st.sets(st.sampled_from(range(len(fields))), min_size=1).map(sorted))
    variables = {name: 1 for name in ("x", "y") if f"${name}" in text}
    found = cut_of(document, places, variables=variables)
    assert len(found.parts) == len(fields)
