"""`nfc`: composed and decomposed characters."""

from time import process_time
from unicodedata import combining, normalize

import pytest

from proxy.core.normalize.nfc import MAX_MARKS, Nfc, composed
from proxy.core.types import Query

COMPOSED = {
    "a letter and its mark are one": ("e\u0301", "é"),
    "a composed letter stays": ("é", "é"),
    "ASCII stays": ("e'", "e'"),
    "marks have one order": ("a\u0301\u0323", "ạ\u0301"),
    "a sign that is another's double is the other": ("\u212b", "Å"),
    "a ligature is not its letters": ("ﬁ", "ﬁ"),
    "Hangul": ("\u1112\u1161\u11ab", "한"),
    "thirty marks in a row": ("e" + "\u0301" * MAX_MARKS, "é" + "\u0301" * (MAX_MARKS - 1)),
    "more than thirty stay as they are": ("e" + "\u0301" * (MAX_MARKS + 1), "e" + "\u0301" * (MAX_MARKS + 1)),
    "long text with few marks": ("e\u0301" * 100, "é" * 100),
}


@pytest.mark.parametrize(("text", "expected"), COMPOSED.values(), ids=COMPOSED)
def test_nfc(text, expected):
    query = Query("GET", b"h", b"/", params=((b"q", text.encode()),), form=((b"q", text.encode()),))
    done = Nfc().normalize(query)
    assert (done.params, done.form) == (((b"q", expected.encode()),), ((b"q", expected.encode()),))


def test_a_value_that_is_not_utf_8_stays():
    assert Nfc().normalize(Query("GET", b"h", b"/", b"q=e%CC%81%FF")).params == ((b"q", "e\u0301".encode() + b"\xff"),)


def test_only_the_named_values():
    query = Query("GET", b"h", b"/", b"q=e%CC%81&r=e%CC%81")
    assert Nfc(("q",)).normalize(query).params == ((b"q", "é".encode()), (b"r", "e\u0301".encode()))


HOSTILE = {
    "marks in the wrong order": "a" + "\u0301\u0316" * 500_000,
    "characters that become marks": "a" + "\u0f73" * 500_000,
    "marks of some kinds, thirty at a time": ("a" + "\u0301\u0316" * 15) * 30_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_costs_little(text):
    began = process_time()
    composed(text)
    assert process_time() - began < 2


def test_all_characters_that_become_marks_are_counted_as_marks():
    """A new version of Unicode may have more of them: they belong into `_UNDECLARED` then."""
    hidden = [
        char for char in map(chr, range(0x110000)) if not combining(char) and combining(normalize("NFD", char)[0])
    ]
    assert all(composed("a" + char * (MAX_MARKS + 1)) == "a" + char * (MAX_MARKS + 1) for char in hidden)
