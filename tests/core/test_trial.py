"""What is counted of two arms, in any number of processes, and told as plain values."""

import json
from dataclasses import fields
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.log_line import Call, Draw, LogLine
from proxy.core.reasons import Reason
from proxy.core.trial import (
    CANDIDATE,
    CHANGED,
    CLEAN,
    CONTROL,
    MISMATCH,
    MOST_RATIOS,
    NORMALIZATION,
    NOT_DRAWN,
    OVERLAP,
    PAIR,
    REASSEMBLY,
    Arm,
    Trial,
    counted,
    merged,
    read,
)
from proxy.core.types import Outcome

BEGAN, NOW = 100.0, 1_000.0


def line(outcome=Outcome.MISS, took=10.0, **more):
    """Return a finished line; with `waited` it had one call that took so long."""
    one = LogLine("id", "GET", "/", BEGAN, outcome=outcome, **more)
    one.close(BEGAN + took)
    return one


def fetched(took=10.0, waited=8.0, **more):
    call = Call(began=BEGAN, ended=BEGAN + waited, sent=1)
    return line(took=took, call=call, **more)


def trial_of(one, draw, now=NOW):
    made = Trial(since=NOW - 10, until=NOW - 10)
    counted(made, one, draw, now)
    return made


SERVED = Draw(CANDIDATE, 25.0)
AS_EVER = Draw(CONTROL, 25.0)


@pytest.mark.parametrize("draw", [SERVED, AS_EVER], ids=["candidate", "control"])
def test_who_was_drawn_counts_for_its_arm(draw):
    made = trial_of(fetched(), draw)
    arm, other = made.arms[draw.arm], made.arms[CONTROL if draw.arm == CANDIDATE else CANDIDATE]
    assert (made.requests, made.eligible, made.drawn, made.until) == (1, 1, draw.arm == CANDIDATE, NOW)
    assert (made.expected, made.variance) == (0.25, 0.1875)
    assert made.served == ({"25": 1} if draw is SERVED else {})
    assert (arm.timings.n, arm.timings.most, arm.calls) == (1, 10.0, 1)
    assert (arm.busy, arm.wall, arm.longest) == (8.0, 8.0, 8.0)
    assert (other, made.excluded) == (Arm(), {})


def test_who_was_drawn_and_not_served_counts_as_drawn_and_for_no_arm():
    """Else the sizes of the arms would look as if chance had not drawn them."""
    made = trial_of(fetched(), Draw(CANDIDATE, 25.0, "unverified"))
    assert (made.eligible, made.drawn, made.expected, made.excluded) == (1, 1, 0.25, {"unverified": 1})
    assert (made.answered, made.arms) == (0, {CONTROL: Arm(), CANDIDATE: Arm()})


def test_the_calls_of_a_split_overlap():
    call = Call(began=BEGAN, ended=BEGAN + 8, sent=3)
    for took in (8.0, 4.0, 6.0):
        call.add(took)
    arm = trial_of(line(call=call), SERVED).arms[CANDIDATE]
    assert (arm.calls, arm.busy, arm.wall, arm.longest) == (3, 18.0, 8.0, 8.0)


HOW = {
    "a hit": (line(Outcome.HIT), "known"),
    "a stale answer": (line(Outcome.STALE), "known"),
    "a follower": (line(Outcome.COLLAPSED, joined=BEGAN + 1), "known"),
    "who joined a part's flight": (line(Outcome.PARTIAL, joined=BEGAN + 1), "known"),
    "fetched": (fetched(), "timings"),
    "some of it fetched": (fetched(outcome=Outcome.PARTIAL), "timings"),
    "new again": (fetched(outcome=Outcome.EXPIRED), "timings"),
    "without a call": (line(Outcome.MISS), "timings"),
    "an error of the upstream": (line(Outcome.ERROR, error_source="upstream"), "errors"),
    "an error of ours": (line(Outcome.ERROR, error_source="proxy"), "errors"),
    "a client that left": (line(Outcome.MISS, error_source="client"), None),
}


@pytest.mark.parametrize(("one", "where"), HOW.values(), ids=HOW)
def test_an_answer_is_counted_where_it_belongs(one, where):
    arm = trial_of(one, AS_EVER).arms[CONTROL]
    seen = {"known": arm.known.n, "timings": arm.timings.n, "errors": arm.errors}
    assert seen == {name: int(name == where) for name in seen}
    assert arm.answers == (where in {"known", "timings"})


def test_a_candidate_that_ended_as_a_whole_request_is_a_candidate_still():
    made = trial_of(fetched(fell_back=Reason.SPLIT_SYNTAX), SERVED)
    assert made.arms[CANDIDATE].fallbacks == {"split_syntax": 1}
    assert (made.drawn, made.arms[CANDIDATE].timings.n, made.arms[CONTROL]) == (1, 1, Arm())


NOT_DRAWN_WHY = {
    "somebody chose": (line(), Draw(CANDIDATE, None, "forced"), "forced"),
    "it is held": (line(), Draw(CONTROL, None, "held"), "held"),
    "it was not for many things": (line(), None, NOT_DRAWN),
    "it was there": (line(Outcome.HIT), None, "hit"),
    "it was there, for a reason": (line(Outcome.STALE, reason=Reason.SLOW), None, "stale"),
    "another fetched it": (line(Outcome.COLLAPSED), None, "collapsed"),
    "it failed": (line(Outcome.ERROR, reason=Reason.ONLY_IF_CACHED), None, "error"),
    "it went straight up": (line(Outcome.PASSTHROUGH, reason=Reason.COOKIE), None, "cookie"),
}


@pytest.mark.parametrize(("one", "draw", "why"), NOT_DRAWN_WHY.values(), ids=NOT_DRAWN_WHY)
def test_who_was_not_drawn_is_excluded_with_the_reason(one, draw, why):
    made = trial_of(one, draw)
    assert (made.requests, made.eligible, made.excluded) == (1, 0, {why: 1})
    assert (made.arms, made.drawn, made.expected) == ({CONTROL: Arm(), CANDIDATE: Arm()}, 0, 0.0)


def test_time_does_not_go_back():
    assert trial_of(line(), None, now=NOW - 100).until == NOW - 10


@given(st.lists(st.tuples(st.sampled_from([1.0, 5.0, 25.0, 50.0, 100.0]), st.booleans()), max_size=20))
def test_what_is_planned_is_the_sum_of_the_shares(draws):
    made = Trial()
    for share, drawn in draws:
        made.assigned(share, drawn=drawn)
    assert made.expected == pytest.approx(sum(share / 100 for share, _ in draws))
    assert made.variance == pytest.approx(sum(share / 100 * (1 - share / 100) for share, _ in draws))
    assert made.drawn == sum(drawn for _, drawn in draws)


def test_verdicts_are_counted_by_kind_of_check():
    made = Trial()
    for check, verdict in [(PAIR, CLEAN), (PAIR, CLEAN), (OVERLAP, CLEAN), (NORMALIZATION, MISMATCH), (PAIR, CHANGED)]:
        made.judged(check, verdict)
    assert made.checks == {PAIR: {CLEAN: 2, CHANGED: 1}, OVERLAP: {CLEAN: 1}, NORMALIZATION: {MISMATCH: 1}}
    assert (made.verdicts(CLEAN), made.verdicts(CLEAN, (OVERLAP,)), made.verdicts(CLEAN, (REASSEMBLY,))) == (3, 1, 0)


def test_the_last_ratios_are_kept():
    made = Trial()
    for number in range(MOST_RATIOS + 5):
        made.paired(float(number))
    assert (len(made.ratios), made.ratios[0], made.ratios[-1]) == (MOST_RATIOS, 5.0, MOST_RATIOS + 4.0)
    other = Trial(ratios=[-1.0])
    made.merge(other)
    assert (len(made.ratios), made.ratios[0], made.ratios[-1]) == (MOST_RATIOS, 6.0, -1.0)


# Of several processes.

WORDS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 9), max_size=3)
SECONDS = st.floats(0.001, 100)


@st.composite
def arms(draw):
    made = Arm(errors=draw(st.integers(0, 9)), fallbacks=draw(WORDS))
    for took in draw(st.lists(SECONDS, max_size=4)):
        made.fetched(took, 2, took, took / 2, took / 4)
    for took in draw(st.lists(SECONDS, max_size=4)):
        made.known.add(took)
    return made


@st.composite
def trials(draw):
    made = Trial(since=draw(st.integers(0, 50)) * 1.0, until=draw(st.integers(50, 99)) * 1.0)
    for name in ("requests", "eligible", "drawn", "exposed", "looks"):
        setattr(made, name, draw(st.integers(0, 99)))
    for name in ("excluded", "served", "noise", "not_cut", "dropped", "spent"):
        setattr(made, name, draw(WORDS))
    for name in ("expected", "variance", "full"):
        setattr(made, name, draw(st.integers(0, 8)) / 4)
    made.arms = {name: draw(arms()) for name in (CONTROL, CANDIDATE)}
    made.checks = draw(st.dictionaries(st.sampled_from([PAIR, OVERLAP]), WORDS, max_size=2))
    made.ratios = [round(one, 4) for one in draw(st.lists(st.floats(-3, 3), max_size=4))]
    return made


def numbers(trial):
    """Return all that is counted, rounded, in any order of ratios and without what is nought."""

    def flat(value, path):
        if isinstance(value, dict):
            for name, one in value.items():
                yield from flat(one, f"{path}.{name}")
        elif value:
            yield path, round(value, 6)

    written = trial.written()
    ratios = sorted(written.pop("ratios"))
    return dict(flat(written, "")), ratios


@given(st.lists(trials(), min_size=1, max_size=3))
def test_together_is_the_sum_whatever_the_order(some):
    assert numbers(merged(some)) == numbers(merged(some[::-1]))
    together = merged(some)
    assert together.requests == sum(one.requests for one in some)
    assert (together.since, together.until) == (min(one.since for one in some), max(one.until for one in some))
    assert together.arms[CONTROL].timings.n == sum(one.arms[CONTROL].timings.n for one in some)


@given(trials())
def test_counting_together_changes_none_of_them(one):
    before = numbers(one)
    merged([one, one])
    assert numbers(one) == before


def test_of_nobody_there_is_nothing():
    assert merged([]) == Trial()


@given(trials())
def test_what_was_written_is_read_again(one):
    again = read(json.loads(json.dumps(one.written())))
    assert again == one


def test_an_arm_that_this_release_does_not_know_is_left_out():
    written = Trial(requests=3).written()
    written["arms"]["third"] = {}
    assert read(written) == Trial(requests=3)


def without(name):
    return {key: one for key, one in Trial().written().items() if key != name}


STRANGE = {
    "nothing": {},
    "no arms": without("arms"),
    "arms in a row": {**Trial().written(), "arms": []},
    "another member": {**Trial().written(), "another": 1},
    "arms without timings": {**Trial().written(), "arms": {CONTROL: {}}},
    "an arm with another member": {**Trial().written(), "arms": {CONTROL: {**Trial().written()["arms"][CONTROL], "x": 1}}},
    "a bucket that is no number": {
        **Trial().written(),
        "arms": {CONTROL: {**Trial().written()["arms"][CONTROL], "timings": {"n": 1, "total": 1, "most": 1, "buckets": {"x": 1}}}},
    },
    "a text for a number": {**Trial().written(), "requests": "many"},
    "a number for counts": {**Trial().written(), "excluded": 3},
    "counts that are none": {**Trial().written(), "spent": {"today": "all"}},
    "a number for ratios": {**Trial().written(), "ratios": 3},
    "checks without verdicts": {**Trial().written(), "checks": {PAIR: 3}},
}  # fmt: skip


@pytest.mark.parametrize("written", STRANGE.values(), ids=STRANGE)
def test_what_another_release_wrote_is_none(written):
    with pytest.raises((KeyError, TypeError, ValueError)):
        read(written)


def test_all_that_is_counted_is_counted_together():
    """A field that `merge` forgot would be lost with each process."""
    one = Trial(
        since=1.0, until=2.0, requests=1, eligible=1, excluded={"a": 1}, drawn=1, expected=1.0, variance=1.0,
        served={"a": 1}, arms={CONTROL: Arm(errors=1), CANDIDATE: Arm(errors=1)}, ratios=[log(2)],
        checks={PAIR: {CLEAN: 1}}, noise={"a": 1}, exposed=1, not_cut={"a": 1}, dropped={"a": 1}, spent={"a": 1},
        full=1.0, looks=1,
    )  # fmt: skip
    together = Trial(since=1.0)
    together.merge(one)
    assert together == one
    assert all(getattr(one, field.name) != getattr(Trial(), field.name) for field in fields(Trial))
