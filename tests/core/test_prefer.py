"""Prefer (RFC 7240): what of it we do, and what nobody can make us do."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cache_control import MOST_SECONDS
from proxy.core.prefer import MOST_BYTES, Wish, wish_of

NOW, LATER = Wish(respond_async=True, wait_s=None), Wish(respond_async=True, wait_s=10.0)


def wait(seconds: float) -> Wish:
    return Wish(respond_async=False, wait_s=float(seconds))


@pytest.mark.parametrize(
    ("prefer", "wish"),
    [
        (None, None),
        (b"", None),
        (b"respond-async", NOW),
        (b"Respond-ASYNC", NOW),
        (b'respond-async=""', NOW),
        (b"respond-async=", NOW),
        (b"respond-async; foo=bar", NOW),
        (b"respond-async ;", NOW),
        (b"respond-async, wait=10", LATER),
        (b"wait=10, respond-async", LATER),
        (b"wait=10,respond-async", LATER),
        (b', ,respond-async,,wait="10" ,', LATER),
        (b"return=minimal, respond-async, wait = 10; x, handling=lenient", LATER),
        (b'foo; bar="a, b\\", c", wait=10, respond-async', LATER),
        (b"wait=10", wait(10)),
        (b"WAIT=0", wait(0)),
        (b"wait=0000000000000000000010", wait(10)),
        (b"wait=99999999999999999999", wait(MOST_SECONDS)),
        (b"wait=2, wait=10", wait(2)),
        (b"respond-async, respond-async=1", NOW),
    ],
)
def test_what_a_client_wishes(prefer, wish):
    assert wish_of(prefer) == wish


@pytest.mark.parametrize(
    "prefer",
    [
        b"return=minimal", b"respond-asynchronously", b"respond async", b"respond-async now", b"respond-async=1",
        b"respond-async=1, respond-async", b"x=respond-async", b'"respond-async"', b"wait", b"wait=",
        b'wait=""', b"wait=-1", b"wait=1.5", b"wait=1e3", b"wait=soon, wait=1", b"wait=10s", b"wait=\xb2",
        b'foo="respond-async', b'foo="a, respond-async, wait=1', b'foo="a\\", respond-async', b'foo;bar="x, wait=1"',
        b"(respond-async)", b"=respond-async", b"x" * MOST_BYTES + b", respond-async",
    ],
)  # fmt: skip
def test_what_is_no_wish(prefer):
    assert wish_of(prefer) is None


@given(st.binary(max_size=200), st.sampled_from([b"", b","]))
def test_no_bytes_raise_and_what_comes_first_counts(noise, mark):
    wish_of(noise)
    assert wish_of(b"respond-async, wait=10" + mark + (noise if mark else b"")) == LATER


@pytest.mark.parametrize("piece", [b'"', b'"\\', b"a=", b'a;"', b'\\"', b" ", b",", b"=", b'";"'])
def test_hostile_input_is_read_once(piece):
    whole = piece * (MOST_BYTES // len(piece))
    began = time.process_time()
    wish_of(whole)
    assert time.process_time() - began < 0.1


def test_who_says_no_time_waits_for_none():
    assert (NOW.patience_s, LATER.patience_s, wait(3).patience_s) == (0.0, 10.0, 3.0)
