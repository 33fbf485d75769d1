"""`collapse_space`: white space in values."""

import re
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.normalize.collapse_space import CollapseSpace, collapsed
from proxy.core.types import Query

COLLAPSED = {
    "a run is one space": (b"a  b   c", b"a b c"),
    "the ends are trimmed": (b" a ", b"a"),
    "nothing but white space is nothing": (b"  ", b""),
    "tabs and line ends are white space": (b"a\t\r\nb", b"a b"),
    "so is what Unicode calls so": ("a\u00a0\u3000b".encode(), b"a b"),
    "a zero-width space is not": ("a\u200b b".encode(), "a\u200b b".encode()),
    "case stays": (b"A  b", b"A b"),
    "a value that is not UTF-8 stays": (b"a  b\xff", b"a  b\xff"),
    "no value stays none": (None, None),
}


@pytest.mark.parametrize(("value", "collapsed"), COLLAPSED.values(), ids=COLLAPSED)
def test_collapse_space(value, collapsed):
    query = Query("GET", b"h", b"/", params=((b"q", value),), form=((b"q", value),))
    done = CollapseSpace().normalize(query)
    assert (done.params, done.form) == (((b"q", collapsed),), ((b"q", collapsed),))


def test_plus_and_percent_20_are_spaces():
    assert CollapseSpace(("q",)).normalize(Query("GET", b"h", b"/", b"q=a+%20b")).params == ((b"q", b"a b"),)


def test_only_the_named_values():
    query = Query("GET", b"h", b"/", b"q=a++b&r=a++b")
    assert CollapseSpace(("q",)).normalize(query).params == ((b"q", b"a b"), (b"r", b"a  b"))


# With quotes and comments.

SPARQL = CollapseSpace(("query",), ('"', "'", "<>"), ("#",))
LONG = CollapseSpace(("query",), ('"', "'", '"""', "'''", "<>"), ("#",))
SQL = CollapseSpace(("query",), ("'", '"', "$$", "[]", "/**/"), ("--", "-"))


def done(one, text):
    return one.normalize(Query("GET", b"h", b"/", params=((b"query", text.encode()),))).params[0][1].decode()


KEPT = {
    "outside of quotes as ever": (SPARQL, " SELECT  *\n{ } ", "SELECT * { }"),
    "nothing is nothing": (SPARQL, " \n ", ""),
    "a quote stays": (SPARQL, 'a  "b  c"  d', 'a "b  c" d'),
    "blanks at its ends too": (SPARQL, ' " a " ', '" a "'),
    "an empty one": (SPARQL, '""  ""', '"" ""'),
    "over lines": (SPARQL, '"a\n  b"  c', '"a\n  b" c'),
    "the other mark ends none": (SPARQL, "\"it's\"  'a \"  b'  c", "\"it's\" 'a \"  b' c"),
    "a backslash escapes the mark": (SPARQL, r'"a\"  b"  c', r'"a\"  b" c'),
    "a backslash escapes a backslash": (SPARQL, r'"a\\"  b', r'"a\\" b'),
    "the mark of a comment is none in a quote": (SPARQL, '"#  a"  b', '"#  a" b'),
    "a quote that is not closed: all from there on stays": (SPARQL, 'a  b "c  d \n e ', 'a b "c  d \n e '),
    "nor is one by an escaped mark": (SPARQL, 'a  "b\\"  c', 'a "b\\"  c'),
    "nor by an escape at the end": (SPARQL, 'a  "b  c\\', 'a "b  c\\'),
    "a mark twice as another quote doubles it": (SQL, "'it''s  a'  b", "'it''s  a' b"),
    "a pair": (SPARQL, "<a:b>  <c:d>", "<a:b> <c:d>"),
    "a URI has no white space": (SPARQL, "<a  b>  c", "<a b> c"),
    "white space in another pair": (CollapseSpace(("query",), ("[]",)), "[a  b]  c", "[a  b] c"),
    "a URI may hold the mark of a comment": (SPARQL, "<a:b#c>  d  # <e  f", "<a:b#c> d # <e  f"),
    "a comparison does not": (SPARQL, "a  <b  #  c>\nd  e", "a <b #  c>\nd e"),
    "nor may what only looks like one": (SPARQL, "a  <{#>  b", "a <{#>  b"),
    "a comparison before a quote": (SPARQL, """a  < 3 && b = "c > d   e"  f""", """a < 3 && b = "c > d   e" f"""),
    "a comparison with a URI": (SPARQL, "a  < b  <c:d>  e", "a < b <c:d> e"),
    "a URI with an apostrophe": (SPARQL, "<a:O'B>  b  'c  d'", "<a:O'B> b 'c  d'"),
    "a pair around a backslash may be none": (SPARQL, r"a  <b\>  c", r"a <b\>  c"),
    "a sign of comparison at the end": (SPARQL, "a  <  b  ", "a < b"),
    "the closing mark alone is none": (SPARQL, "a  >  b", "a > b"),
    "a pair with longer marks": (SQL, "/*  a * / b */  c", "/*  a * / b */ c"),
    "a pair in a class of its own": (SQL, "[a  b]  c", "[a  b] c"),
    "a mark of two": (SQL, "$$ a $  b $$  c", "$$ a $  b $$ c"),
    "a comment stays with its line's end": (SPARQL, "a  #  b  \n  c", "a #  b  \nc"),
    "CRLF is a line's end": (SPARQL, "a  #  b  \r\n  c", "a #  b  \r\nc"),
    "a comment at the end": (SPARQL, "a  #  b  ", "a #  b  "),
    "an empty comment": (SPARQL, "#\n\n#", "#\n#"),
    "a quote in a comment is none": (SPARQL, "a  # it's\nb  c", "a # it's\nb c"),
    "what ends a line only for some may end no comment": (SPARQL, "a  # b\rc  d", "a # b\rc  d"),
    "so does what Unicode calls a line's end": (SPARQL, "a  # b\u2028c  d\n", "a # b\u2028c  d\n"),
    "the longest mark is meant": (LONG, 'a  """b "  c""  d"""  e', 'a """b "  c""  d""" e'),
    "the longest of comments": (SQL, "a  -- 'b\n  c - d", "a -- 'b\nc - d"),
    "escapes there": (LONG, r'''a  """b \"""  c"""  d''', r'''a """b \"""  c""" d'''),
    "the longest is not closed": (LONG, 'a  """b  "c"  d', 'a """b  "c"  d'),
    "three marks where no quote has them": (SPARQL, 'a  """b "c  d" e"""', 'a """b "c  d" e"""'),
    "a backslash outside": (SPARQL, r"a  x:O\'B  b  'c  d'", r"a x:O\'B  b  'c  d'"),
    "only comments": (CollapseSpace((), (), ("#",)), "a  'b  c'  # d  e", "a 'b c' # d  e"),
    "marks that mean something in a pattern": (CollapseSpace((), ("^", "()", "]-["), ("|", "&&")), "^a  ^  (  )  ]-[  b]-[  c&& |  d", "^a  ^ (  ) ]-[  b]-[ c&& |  d"),
}  # fmt: skip


@pytest.mark.parametrize(("one", "text", "expected"), KEPT.values(), ids=KEPT)
def test_quotes_and_comments(one, text, expected):
    assert done(one, text) == expected
    assert done(one, expected) == expected


REFUSED = {
    "no mark": ({"quotes": ("",)}, "'' cannot be a mark"),
    "white space": ({"quotes": ("' ",)}, "\"' \" cannot be a mark"),
    "a backslash": ({"comments": ("\\",)}, "cannot be a mark"),
    "one mark twice": ({"quotes": ("'", "'")}, "begins like another"),
    "two pairs that begin alike": ({"quotes": ("<>", "<)")}, "'<>' begins like another"),
    "a comment that begins like a quote": ({"quotes": ("#",), "comments": ("#",)}, "'#' begins like another"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_a_mark(options, message):
    with pytest.raises(ValueError, match=message):
        CollapseSpace(**options)


@given(st.text() | st.text(' a\n"#<>'))
def test_without_marks_nothing_is_kept(text):
    assert done(CollapseSpace(), text) == " ".join(text.split()) == collapsed(text)


BLANKS = st.text(" \t\n\r\u00a0", min_size=1, max_size=3)
INSIDE = st.text("ab #'<>,\n", min_size=1, max_size=5)
QUOTED = st.builds('"{}"'.format, INSIDE) | st.builds('"{}\\"{}"'.format, INSIDE, INSIDE)
LISTED = st.builds("<{}>".format, st.text("ab:#", max_size=5))
REMARK = st.builds("#{}{}".format, st.text("ab \"'<>#", max_size=5), st.sampled_from(["\n", "\r\n"]))
WORD = st.text("ab:>", min_size=1, max_size=3)
PIECES = st.lists(st.tuples(WORD | QUOTED | LISTED | REMARK, st.booleans()), max_size=6)


def written(pieces, blanks):
    """Write the pieces with these blanks: at both ends, behind comments, and where there have to be some."""
    text = blanks.pop()
    for piece, apart in pieces:
        text += piece + (blanks.pop() if apart or piece.startswith("#") else "")
    return text + blanks.pop()


@given(PIECES, st.data())
def test_texts_that_differ_in_white_space_outside_are_one(pieces, data):
    one, other = (written(pieces, data.draw(st.lists(BLANKS, min_size=9, max_size=9))) for _ in range(2))
    assert done(SPARQL, one) == done(SPARQL, other)


@given(PIECES, QUOTED | LISTED | REMARK, PIECES, st.data())
def test_what_is_inside_makes_a_difference(before, piece, behind, data):
    """A character more inside, of any kind, is another text, even if it is white space beside white space."""
    place = data.draw(st.integers(1, len(piece) - 1 - piece.endswith("\r\n")))
    changed = piece[:place] + data.draw(st.sampled_from(" \tab")) + piece[place:]
    one, other = (written([*before, (this, True), *behind], [" "] * 15) for this in (piece, changed))
    assert done(SPARQL, one) != done(SPARQL, other)


# Of SPARQL 1.1 §19: blanks and comments are one blank, and all else is a token as it stands.
TOKENS = re.compile(
    r"""(?P<blank> (?: [ \t\r\n] | \#[^\r\n]*(?:[\r\n]|\Z) )+ )
      | <[^<>"{}|^`\\\x00-\x20]*>
      | \"""(?:"{0,2}(?:[^"\\]|\\[tbnrf"'\\]))*\""" | '''(?:'{0,2}(?:[^'\\]|\\[tbnrf"'\\]))*'''
      | "(?!"")(?:[^"\\\r\n]|\\[tbnrf"'\\])*" | '(?!'')(?:[^'\\\r\n]|\\[tbnrf"'\\])*'
      | [^\s"'\\] | \\[#']""",
    re.VERBOSE,
)


def meaning(text):
    """Return a query's tokens, without blanks at its ends; None where it is no SPARQL."""
    tokens, place = [], 0
    while place < len(text):
        token = TOKENS.match(text, place)
        if token is None:
            return None
        tokens.append(" " if token["blank"] else token[0])
        place = token.end()
    return tokens[tokens[:1] == [" "] : len(tokens) - (tokens[-1:] == [" "])]


@pytest.mark.parametrize("one", [SPARQL, LONG], ids=["short quotes", "long quotes"])
@given(text=st.text("\"'<># \n\\a{", max_size=24) | st.text('"<># \n\r', max_size=12))
@example(text='< 3 && "a > b   c"')
@example(text='<#\\>\n"  "')
@example(text='"""a "b  c" d"""')
@example(text='#\r"\n"  "')
def test_no_query_gets_another_meaning(one, text):
    assert meaning(done(one, text)) == meaning(text)


HOSTILE = {
    "quotes": '"',
    "quotes in quotes": "\"'",
    "escapes": '"\\',
    "pairs that are not closed": "<",
    "pairs that hold blanks": "<a b>",
    "pairs that almost hold a comment": "<a #",
    "pairs in a row": "<a#b>",
    "comments": "#\n",
    "blanks between letters": "a ",
    "blanks alone": " ",
    "letters alone": "a",
    "what almost begins something": "-/$",
    "what almost ends something": "/** / *",
}


def seconds_to_collapse(one, text):
    began = process_time()
    done(one, text)
    return process_time() - began


@pytest.mark.parametrize("one", [SPARQL, LONG, SQL], ids=["short quotes", "long quotes", "SQL"])
@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_ten_times_the_text_takes_ten_times_the_time(one, piece):
    """A step back would cost a hundred times the time."""
    assert any(
        seconds_to_collapse(one, piece * 100_000) < 40 * seconds_to_collapse(one, piece * 10_000) + 0.01
        for _ in range(5)
    )
