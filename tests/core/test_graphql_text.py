"""GraphQL documents as text: how deep and wide they are, and what their tokens say."""

from time import process_time

import pytest
from graphql.language import parse

from proxy.core.graphql_text import MAX_DEPTH, named, silent, tokens_of, too_deep, too_wide, written

BRACES = "{" * 60 + "}" * 60


def tokens(document):
    loc = parse(document).loc
    return tokens_of(loc.start_token.next, loc.end_token.prev)


@pytest.mark.parametrize(
    ("document", "deep"),
    [
        ("{a" * MAX_DEPTH + "}" * MAX_DEPTH, False),
        ("{a" * (MAX_DEPTH + 1) + "}" * (MAX_DEPTH + 1), True),
        ("[" * (MAX_DEPTH + 1), True),
        ("{a(b:" * 51 + ")}" * 51, True),
        (f'{{a(b:"{BRACES}{BRACES}")}}', False),
        (f'{{a(b:"""{BRACES}"{BRACES}""")}}', False),
        (f"{{a # {BRACES}{BRACES}\n}}", False),
        ("{a}" * 200, False),
    ],
)
def test_depth_is_told_before_anything_is_parsed(document, deep):
    assert too_deep(document) is deep


WIDTHS = {
    "fields": ("{a b c}", 3),
    "aliases count once": ("{x: a y : b}", 2),
    "arguments do not count": ("{a(b: c, d: {e: f}) g(h: [i])}", 2),
    "directives do not count": ("{a @include(if: $b) c @ skip(if: true)}", 2),
    "fields of fields do not count": ("{a {b c {d}} e}", 2),
    "strings and comments do not count": ('{a(b: "} c d") # e\n f(g: """ } h """)}', 2),
    "variables do not count": ("query Q($a: T = {b: 1}, $c: [D!]!) @e(f: g) {a b}", 2),
    "fragments do not count": ("fragment F on T {a b c d e} {x ...F} fragment G on T {a {b} c}", 2),
    "several operations count each": ("query A {a b c} query B {d e}", 3),
    "a field may be named fragment": ("{fragment a b}", 3),
}


@pytest.mark.parametrize(("document", "width"), WIDTHS.values(), ids=WIDTHS)
def test_width_is_told_before_anything_is_parsed(document, width):
    assert not too_wide(document, width)
    assert too_wide(document, width - 1)


def test_without_strings_and_comments():
    assert silent('{a(b:"x\\" y" c:"""z" y""") # d\n}') == '{a(b:"" c:"") ""\n}'


@pytest.mark.parametrize(
    "document",
    ["{a" * 300_000, '"' * 500_000, "{" + "a " * 300_000, '"""' + '"\\' * 300_000, "#" * 500_000, "...$ " * 100_000],
)
def test_hostile_documents_cost_little(document):
    began = process_time()
    too_deep(document)
    too_wide(document, 1_000_000)
    assert process_time() - began < 3


def test_tokens_leave_out_comments():
    assert [token.value or token.kind.value for token in tokens("{ # x\n a, b }")] == ["{", "a", "b", "}"]


def test_names_that_follow_a_mark():
    found = tokens("query ($x: T) { a(b: $y) ... on T { c ...F ... @skip(if: $x) {d} } }")
    assert named(found, "...") == ("on", "F")
    assert named(found, "$") == ("x", "y", "x")
    assert named(found, "@") == ("skip",)


WRITTEN = {
    "{ a, b # c\n }": "{a b}",
    "query { a }": "{a}",
    "query Q { a }": "query Q{a}",
    "{ a(b: [1, 2.0], c: $d) ...F }": "{a(b:[1 2.0]c:$d)...F}",
    "{ a ...F ... on T { b } }": "{a ...F ...on T{b}}",
    '{ a(b: " c ", d: """ e """) }': '{a(b:" c " d:""" e """)}',
}


@pytest.mark.parametrize(("document", "form"), WRITTEN.items())
def test_tokens_in_their_one_form(document, form):
    assert written(document, tokens(document)) == form
