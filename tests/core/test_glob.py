"""Globs against hostile texts: what matches, and that it never takes long."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.glob import compiled

MATCHES = [
    ("/a", b"/a", True),
    ("/a", b"/a/", False),
    ("/*", b"/a", True),
    ("/*", b"/a/b", False),
    ("/*/", b"//", True),
    ("/**", b"/", True),
    ("/**", b"/a/b", True),
    ("/a/**/z", b"/a/z", False),
    ("/a/**/z", b"/a/b/c/z", True),
    ("/*/b/*", b"/a/b/c", True),
    ("/*/b/*", b"/a/a/b/c", False),
    ("/**/b/*", b"/a/a/b/c", True),
    ("/**a/*b", b"/xa/ya/zb", True),
    ("/*a*a*b", b"/aab", True),
    ("/*a*a*b", b"/ab", False),
    ("**/x/**", b"/y/x/z", True),
    ("*a*", b"/", False),
    ("*a*", b"", False),
    ("**", b"any\nthing", True),
]


@pytest.mark.parametrize(("glob", "text", "matches"), MATCHES)
def test_what_matches(glob, text, matches):
    assert bool(compiled(glob, b"/").fullmatch(text)) == matches


@given(st.text("/ab*", max_size=8), st.text("/ab", max_size=12))
def test_a_glob_means_what_the_plain_regular_expression_means(glob, text):
    words = {"*": "[^/]*", "**": ".*"}
    plain = "".join(words.get(piece) or re.escape(piece) for piece in re.split(r"(\*\*|\*)", glob))
    assert bool(compiled(glob, b"/").fullmatch(text.encode())) == bool(re.fullmatch(plain, text))
