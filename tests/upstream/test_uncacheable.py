"""The keys whose answers were lately for nobody else."""

from proxy.upstream.uncacheable import Uncacheable


def test_what_was_lately_for_nobody_else_is_remembered_for_a_while() -> None:
    """Its askers wait for nobody; an answer for all forgets it at once, time and space do so too."""
    memory = Uncacheable(most=2, lasts_s=120.0)
    memory.note(b"a", 0.0, shared=False)
    assert [memory.holds(b"a", now) for now in (0.0, 119.0, 120.0)] == [True, True, False]
    memory.note(b"a", 1.0, shared=True)
    assert not memory.holds(b"a", 1.0)
    for key in (b"a", b"b", b"c"):
        memory.note(key, 2.0, shared=False)
    assert [memory.holds(key, 3.0) for key in (b"a", b"b", b"c")] == [False, True, True]
