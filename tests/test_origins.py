"""Which request an entry came from is known of the last ones, as many as there is room for, and of nobody's own."""

from hypothesis import given
from hypothesis import strategies as st
from trusted import asks
from world import rule

from proxy.origins import Origins

RULE = rule()


def of(target, *fields, **more):
    return asks(RULE, target, *fields, **more)


def test_the_last_one_counts():
    known = Origins()
    first, second = of("/kept/a?x=1&y=2"), of("/kept/a?y=2&x=1")
    known.note(b"key", first)
    assert known.get(b"key").request == first.request
    known.note(b"key", second)
    assert (known.get(b"key").request, known.get(b"another")) == (second.request, None)


def test_who_said_who_asked_is_not_remembered_nor_whose_entry_it_took_the_place_of():
    known = Origins()
    known.note(b"key", of("/kept/a"))
    known.note(b"key", of("/kept/a", (b"authorization", b"Basic anna")))
    assert known.get(b"key") is None


def test_what_is_forgotten_is_not_known():
    known = Origins()
    known.note(b"key", of("/kept/a"))
    known.forget(b"key")
    known.forget(b"never there")
    assert known.get(b"key") is None


def test_the_oldest_make_room():
    """To be noted again makes one the youngest."""
    known = Origins(most_bytes=3000)
    for key in (b"a", b"b", b"a", b"c"):
        known.note(key, of("/kept/a", body=b"x" * 250))
    assert [known.get(key) is not None for key in (b"a", b"b", b"c")] == [True, False, True]


def test_what_is_larger_than_all_there_is_leaves_nothing():
    known = Origins(most_bytes=3000)
    known.note(b"a", of("/kept/a"))
    known.note(b"b", of("/kept/a", body=b"x" * 4000))
    assert (known.get(b"a"), known.get(b"b")) == (None, None)
    known.note(b"c", of("/kept/a"))
    assert known.get(b"c") is not None


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.integers(0, 900), st.booleans()), max_size=30))
def test_what_was_forgotten_takes_no_room(steps):
    """Whatever was noted and forgotten before, the same is kept of what comes then as if it had been empty."""
    used, fresh = Origins(most_bytes=4000), Origins(most_bytes=4000)
    for key, size, stays in steps:
        used.note(key, of("/kept/a", body=b"x" * size))
        if not stays:
            used.forget(key)
    for key in (b"a", b"b", b"c", b"d"):
        used.forget(key)
    for number in range(12):
        for one in (used, fresh):
            one.note(b"%d" % number, of("/kept/a", body=b"x" * 100))
    assert [used.get(b"%d" % number) is None for number in range(12)] == [
        fresh.get(b"%d" % number) is None for number in range(12)
    ]
