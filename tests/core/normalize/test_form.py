"""`form`: a urlencoded body."""

import pytest

from proxy.core.normalize.form import Form
from proxy.core.reasons import Reason
from proxy.core.types import Query
from proxy.errors import Fallback

URLENCODED = b"application/x-www-form-urlencoded"

FORMS = {
    "a body becomes its pairs": ({}, b"a=1", ((b"a", b"1"),)),
    "pairs are sorted by name": ({}, b"b=1&a=2", ((b"a", b"2"), (b"b", b"1"))),
    "values of one name keep their order": ({}, b"a=2&b&a=1", ((b"a", b"2"), (b"a", b"1"), (b"b", None))),
    "an empty body has no pairs": ({}, b"", ()),
    "what is ignored is dropped": ({"ignore": ("a", "t*")}, b"a=1&ts=2&b=3", ((b"b", b"3"),)),
    "only what is wanted stays": ({"only": ("a*",)}, b"a=1&ts=2&ab=3", ((b"a", b"1"), (b"ab", b"3"))),
    "of what is wanted, not what is ignored": ({"only": ("a*",), "ignore": ("ab",)}, b"a=1&ab=3", ((b"a", b"1"),)),
}


@pytest.mark.parametrize(("options", "body", "form"), FORMS.values(), ids=FORMS)
def test_form(options, body, form):
    done = Form(**options).normalize(Query("POST", b"h", b"/", b"q=1", media_type=URLENCODED, body=body))
    assert (done.form, done.body, done.params, done.query) == (form, b"", None, b"q=1")


MEDIA_TYPES = {
    "parameters of the media type do not matter": URLENCODED + b"; charset=UTF-8",
    "nor does its case": URLENCODED.upper(),
    "nor do blanks around it": b" " + URLENCODED + b" ;charset=UTF-8",
}


@pytest.mark.parametrize("media_type", MEDIA_TYPES.values(), ids=MEDIA_TYPES)
def test_media_types(media_type):
    assert Form().normalize(Query("POST", b"h", b"/", media_type=media_type, body=b"a")).form == ((b"a", None),)


@pytest.mark.parametrize("media_type", [b"", b"text/plain", b"application/json", URLENCODED + b", text/plain"])
def test_a_body_of_another_media_type_is_not_a_form(media_type):
    with pytest.raises(Fallback) as fallback:
        Form().normalize(Query("POST", b"h", b"/", media_type=media_type, body=b"a=1"))
    assert fallback.value.reason == Reason.KEY_BODY_SYNTAX


def test_no_body_is_fine():
    query = Query("GET", b"h", b"/")
    assert Form().normalize(query) is query


def test_too_many_pairs():
    with pytest.raises(Fallback) as fallback:
        Form().normalize(Query("POST", b"h", b"/", media_type=URLENCODED, body=b"&" * 1_000_000))
    assert fallback.value.reason == Reason.KEY_BODY_SIZE


def test_a_second_form_goes_on_with_the_first():
    query = Query("POST", b"h", b"/", media_type=URLENCODED, body=b"a=1&b=2&c=3")
    assert Form(("b",)).normalize(Form(("a",)).normalize(query)).form == ((b"c", b"3"),)
