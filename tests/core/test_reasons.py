"""Reasons: one word per way off the accelerated road."""

import re

import pytest

from proxy.core.reasons import Reason


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_its_own_name(reason):
    assert str(reason) == reason.value == reason.name.lower()


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_a_token_that_a_structured_field_takes_bare(reason):
    """RFC 8941 §3.3.4."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", reason)


def test_a_word_of_the_log_is_read_back_as_its_reason():
    assert Reason("no_store") is Reason.NO_STORE
    with pytest.raises(ValueError):
        Reason("nothing")
