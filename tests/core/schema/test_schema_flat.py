"""Our own names are written as they are: the hot path copies nothing."""

import pytest
from log_events import EVENTS

from proxy.core.schema.flat import Flat


@pytest.mark.parametrize("name", EVENTS)
def test_flat_is_what_it_was_given(name):
    assert Flat().rename(EVENTS[name]) is EVENTS[name]
