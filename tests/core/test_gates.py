"""A canary's gates: what each lets through, and what becomes of the canary."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trials import arm, judged, spread, trial

from proxy.core.gates import Decision, Measured, above, below, decide, more_clean
from proxy.core.rollout import STEPS, Gate, Gates
from proxy.core.statistics import anytime_lower_bound, anytime_upper_bound
from proxy.core.trial import CANDIDATE, Trial

GATES = Gates()
HOUR = 3600.0


def good(share=1.0, **changed) -> Trial:
    """Return a trial that passes every gate at a share."""
    counted = {
        "candidate": arm(spread(2, 100)),
        "control": arm(spread(5, 100)),
        "pairs": judged(clean=1500),
        "served": {f"{share:g}": 60},
        "drawn": 60,
    }
    return trial(**{**counted, **changed})


def decided(of: Trial, share=1.0, gates=GATES, seconds=HOUR) -> Decision:
    return decide(of, gates, share, since=1000.0, now=1000.0 + seconds)


def gate(named: str, of: Trial, share=1.0, gates=GATES, seconds=HOUR) -> Measured:
    return next(one for one in decided(of, share, gates, seconds).measured if one.gate == named)


STEPPED = {1.0: (5.0, 0.0), 5.0: (25.0, 1.0), 25.0: (50.0, 5.0), 50.0: (100.0, 25.0), 100.0: (100.0, 50.0)}


def test_the_steps_are_those_of_the_rollout():
    assert {share: (above(share), below(share)) for share in STEPS} == STEPPED


@pytest.mark.parametrize(("share", "up", "down"), [(0.0, 1.0, 0.0), (0.5, 1.0, 0.0), (10.0, 25.0, 5.0)])
def test_an_operators_own_share_stands_between_two_steps(share, up, down):
    assert (above(share), below(share)) == (up, down)


@pytest.mark.parametrize("share", [1.0, 5.0, 25.0, 50.0])
def test_where_all_gates_pass_it_climbs_one_step(share):
    found = decided(good(share), share)
    assert (found.act, found.share) == ("climb", above(share))
    assert found.why.startswith(f"climb to {above(share):g} %: 60 of 60 answers served at this step; ")


def test_at_the_last_step_it_has_arrived_and_stays():
    found = decided(good(100.0), 100.0)
    assert (found.act, found.share) == ("hold", 100.0)
    assert found.why.startswith("arrived at 100 %: 60 of 60 answers")


FULL = {"full": 95.0, "looks": 100}
ACTS = {
    "one gate fails: back": (good(5.0, **FULL), 5.0, "back", 1.0),
    "one fails at the first step: nothing is served": (good(1.0, **FULL), 1.0, "back", 0.0),
    "fail comes before unclear and wait": (
        good(25.0, **FULL, served={}, candidate=arm(spread(2, 100), fallbacks={"frame": 8})), 25.0, "back", 5.0,
    ),
    "unclear pauses": (good(5.0, candidate=arm(spread(2, 100), fallbacks={"frame": 8})), 5.0, "pause", 5.0),
    "unclear comes before wait": (
        good(5.0, served={"5": 59}, candidate=arm(spread(2, 100), fallbacks={"frame": 8})), 5.0, "pause", 5.0,
    ),
    "one waits: hold": (good(5.0, served={}), 5.0, "hold", 5.0),
    "no data at all is no success": (Trial(), 5.0, "hold", 5.0),
    "another step's answers do not count": (good(1.0), 5.0, "hold", 5.0),
    "where nothing is served, it stays so": (good(1.0), 0.0, "hold", 0.0),
}  # fmt: skip


@pytest.mark.parametrize(("of", "share", "act", "after"), ACTS.values(), ids=ACTS)
def test_the_worst_gate_decides(of, share, act, after):
    found = decided(of, share)
    assert (found.act, found.share) == (act, after)
    verb = {"back": "back to", "pause": "pause at", "hold": "hold at"}[act]
    assert found.why.startswith(f"{verb} {after:g} %: ")
    assert re.search(r"\d", found.why.partition(": ")[2])


def test_all_gates_are_measured_in_their_order():
    found = decided(Trial()).measured
    assert [one.gate for one in found] == [
        "samples", "time", "mismatch", "errors", "latency", "in_flight", "fallbacks",
    ]  # fmt: skip
    assert [one.n for one in found] == [0] * 7
    assert [one.value for one in found] == [0, HOUR, None, None, None, None, None]
    assert [one.result for one in found] == ["wait", "pass", "wait", "wait", "wait", "pass", "wait"]


@pytest.mark.parametrize(("answers", "result"), [(0, "wait"), (59, "wait"), (60, "pass"), (61, "pass")])
def test_samples_are_answers_served_at_this_step(answers, result):
    of = good(served={"5": answers, "1": 1000})
    assert gate("samples", of, 5.0) == Measured("samples", result, answers, 60, answers)


@pytest.mark.parametrize(("seconds", "result"), [(-5.0, "wait"), (3599.0, "wait"), (3600.0, "pass")])
def test_time_is_since_the_step_began(seconds, result):
    found = gate("time", good(), seconds=seconds)
    assert (found.result, found.value, found.limit) == (result, seconds, HOUR)


MISMATCHES = {
    # share, verdicts of pairs → result; limit 1 % of all answers at the next step
    "nothing was compared": (1.0, judged(), "wait"),
    "too few for 5 %": (1.0, judged(clean=20), "wait"),
    "enough for 5 %": (1.0, judged(clean=40), "pass"),
    "too few for 100 %": (50.0, judged(clean=900), "wait"),
    "enough for 100 %": (50.0, judged(clean=1000), "pass"),
    "noisy, changed and unclear ones prove nothing": (
        1.0, judged(clean=20, noisy=500, changed=500, unclear=500), "wait",
    ),
    "nor do they speak against it": (1.0, judged(clean=40, noisy=500, changed=500, unclear=500), "pass"),
    "one of many at 5 %": (1.0, judged(clean=1000, mismatch=1), "pass"),
    "one of few at 100 %": (50.0, judged(clean=300, mismatch=1), "wait"),
    "certainly too many at 50 %": (50.0, judged(clean=80, mismatch=20), "fail"),
    "all are wrong, but few are served": (1.0, judged(mismatch=10), "wait"),
    "all are wrong, and all are served": (100.0, judged(mismatch=10), "fail"),
}  # fmt: skip


@pytest.mark.parametrize(("share", "pairs", "result"), MISMATCHES.values(), ids=MISMATCHES)
def test_mismatches_are_bounded_as_a_share_of_all_answers(share, pairs, result):
    assert gate("mismatch", good(share, pairs=pairs), share).result == result


def test_what_is_certainly_wrong_is_told_with_its_lower_bound():
    found = decided(good(50.0, pairs=judged(clean=80, mismatch=20)), 50.0)
    least = 0.5 * anytime_lower_bound(20, 100)
    assert next(one for one in found.measured if one.gate == "mismatch").value == pytest.approx(least)
    said = f"20 of 100 pairs differ: at least {100 * least:.3g} % of all answers are wrong (limit 1 %)"
    assert found.why == f"back to 25 %: {said}"


def test_normalized_pairs_count_and_what_was_cut_from_whole_answers_does_not():
    of = good(pairs=judged(clean=15))
    of.checks["normalization"] = judged(clean=25)
    of.checks["reassembly"] = of.checks["overlap"] = judged(clean=900, mismatch=900)
    found = gate("mismatch", of)
    assert (found.result, found.n) == ("pass", 40)
    assert found.value == pytest.approx(0.05 * anytime_upper_bound(0, 40))


def test_a_limit_that_no_share_exceeds_needs_a_pair_all_the_same():
    anything = replace(GATES, mismatch=Gate(1.0))
    assert gate("mismatch", good(pairs=judged()), gates=anything).result == "wait"
    assert "about 1 more clean pairs" in decided(good(pairs=judged()), gates=anything).why
    assert gate("mismatch", good(pairs=judged(clean=1)), gates=anything).result == "pass"


@given(st.integers(0, 3), st.integers(0, 400), st.sampled_from(STEPS), st.floats(0.002, 0.2))
def test_so_many_more_clean_pairs_are_enough_and_one_less_is_not(wrong, clean, share, limit):
    more = more_clean(wrong, wrong + clean, share, limit)
    if share / 100 * anytime_upper_bound(wrong, wrong + clean) > limit:
        assert share / 100 * anytime_upper_bound(wrong, wrong + clean + more) <= limit
        assert share / 100 * anytime_upper_bound(wrong, wrong + clean + more - 1) > limit


def test_a_limit_that_nothing_can_prove_is_told_as_that():
    never = replace(GATES, mismatch=Gate(0.0))
    assert "it needs more than 10,000,000 more clean pairs" in decided(good(), gates=never).why
    assert more_clean(0, 0, 100.0, 0.0) is None


def test_the_sentence_says_how_many_pairs_are_missing():
    why = decided(good(25.0, pairs=judged(clean=312)), 25.0).why
    assert why.startswith("hold at 25 %: 0 of 312 pairs differ: at most 1.38 % of all answers would be wrong at 50 %")
    (more,) = re.findall(r"about ([\d,]+) more clean pairs", why)
    assert int(more) == more_clean(0, 312, 50.0, 0.01)


def failing(candidate, control):
    return {
        "candidate": arm(spread(2, candidate[1] - candidate[0]), errors=candidate[0]),
        "control": arm(spread(2, control[1] - control[0]), errors=control[0]),
    }


ERRORS = {
    # (errors, of) of the candidate and of control
    "none on either side": ((0, 100), (0, 100), "pass"),
    "as many as control": ((10, 110), (10, 110), "pass"),
    "fewer than control": ((0, 100), (10, 100), "pass"),
    "just within the limit": ((7, 100), (6, 100), "pass"),
    "beyond, but it may be chance": ((9, 100), (6, 100), "unclear"),
    "certainly more": ((50, 100), (0, 100), "fail"),
    "certainly more, of few": ((40, 41), (0, 100), "fail"),
    "just enough to say": ((0, 60), (0, 100), "pass"),
    "certainly more, but not by more than the limit": ((24, 100), (2, 100), "unclear"),
    "control's failures count among its own": ((40, 100), (30, 40), "pass"),
    "too few to say": ((0, 59), (0, 100), "wait"),
    "too few, and some failed": ((3, 40), (0, 100), "wait"),
    "no candidate": ((0, 0), (0, 100), "wait"),
    "no control: it is held to none at all": ((0, 100), (0, 0), "pass"),
    "no control, and some failed": ((5, 100), (0, 0), "unclear"),
}


@pytest.mark.parametrize(("candidate", "control", "result"), ERRORS.values(), ids=ERRORS)
def test_errors_are_held_against_controls(candidate, control, result):
    assert gate("errors", good(**failing(candidate, control))).result == result


def test_errors_are_told_in_percentage_points():
    why = decided(good(**failing((9, 100), (6, 100)))).why
    assert why == "pause at 1 %: 9 of 100 candidates failed, 6 of 100 controls (+3 percentage points, limit +1)"


@pytest.mark.parametrize(("candidate", "control", "value"), [((10, 100), (1, 2), -0.4), ((5, 100), (0, 1), 0.05)])
def test_errors_are_the_difference_of_two_shares(candidate, control, value):
    assert gate("errors", good(**failing(candidate, control))).value == pytest.approx(value)


def test_errors_of_known_answers_count_among_all():
    known = arm(spread(2, 10), errors=1)
    known.known.merge(arm(spread(0.001, 89)).timings)
    found = gate("errors", good(candidate=known))
    assert (found.result, found.n, found.value) == ("pass", 100, 0.01)


def latencies(candidate, control, ratios=()):
    return good(candidate=arm(candidate), control=arm(control), ratios=ratios)


LATENCIES = {
    "quicker": (latencies(spread(2, 100), spread(5, 100)), "pass"),
    "as quick": (latencies(spread(5, 100), spread(5, 100)), "pass"),
    "slower within the limit": (latencies(spread(5.3, 100), spread(5, 100)), "pass"),
    "certainly slower": (latencies(spread(9, 100), spread(5, 100)), "fail"),
    "slower, but it may be chance": (latencies([*spread(5, 93), *[20] * 7], [*spread(5, 96), *[20] * 4]), "unclear"),
    "an arm of 58 answers": (latencies(spread(2, 58), spread(5, 100)), "wait"),
    "an arm of 59": (latencies(spread(2, 59), spread(5, 100)), "pass"),
    "control is too small": (latencies(spread(2, 100), spread(5, 58)), "wait"),
    "too few, and 19 pairs": (latencies([], [], [0.4] * 19), "wait"),
    "too few, and 20 pairs": (latencies([], [], [0.4] * 20), "pass"),
    "pairs are certainly slower": (latencies(spread(2, 100), [], [1.5] * 20), "fail"),
    "pairs are slower, but it may be chance": (latencies([], [], [0.5] * 9 + [1.2] * 11), "unclear"),
    "arms that are large enough come before pairs": (latencies(spread(9, 100), spread(5, 100), [0.4] * 20), "fail"),
    "nothing took any time": (latencies([0.0] * 60, [0.0] * 60), "pass"),
}


@pytest.mark.parametrize(("of", "result"), LATENCIES.values(), ids=LATENCIES)
def test_latency_is_held_against_controls(of, result):
    assert gate("latency", of).result == result


def test_latency_is_told_as_a_ratio():
    assert gate("latency", latencies(spread(2, 100), spread(5, 100))).value == pytest.approx(0.4, rel=0.02)
    assert gate("latency", latencies([], [], [0.4] * 20)).value == pytest.approx(0.4)
    assert gate("latency", latencies([0.0] * 60, [0.0] * 60)).value is None
    assert "12 candidates, 0 controls and 3 pairs tell no times: it needs 59 of each, or 20 pairs" in (
        decided(latencies(spread(2, 12), [], [1.0] * 3)).why
    )


def test_a_step_that_it_has_just_come_to_is_not_taken_back_at_once():
    """Else what is measured over all steps would take it back through all of them."""
    bad = good(25.0, candidate=arm(spread(2, 100), fallbacks={"frame": 60}))
    assert [(one.act, one.share) for one in (decided(bad, 25.0, seconds=59), decided(bad, 25.0, seconds=60))] == [
        ("hold", 25.0), ("back", 5.0),
    ]  # fmt: skip
    assert "where it has just come to" in decided(bad, 25.0, seconds=59).why


FULLNESS = [
    (0.0, 0, "pass", None), (29.0, 29, "wait", None), (27.0, 30, "pass", 0.9), (90.0, 100, "pass", 0.9),
    (91.0, 100, "fail", 0.91),
]  # fmt: skip


@pytest.mark.parametrize(("full", "looks", "result", "value"), FULLNESS)
def test_the_upstream_is_not_to_be_full(full, looks, result, value):
    found = gate("in_flight", good(full=full, looks=looks))
    assert (found.result, found.value, found.n) == (result, value, looks)


def test_that_nobody_saw_a_cap_is_said():
    assert "no cap that could be full was seen" in decided(good()).why


FALLBACKS = {
    "none": ({}, 60, "pass", 0.0),
    "just within the limit": ({"frame": 4, "part_error": 2}, 60, "pass", 0.1),
    "beyond, but it may be chance": ({"frame": 8}, 60, "unclear", 8 / 60),
    "certainly too many": ({"frame": 20, "slow": 10}, 60, "fail", 0.5),
    "nobody was answered": ({}, 0, "wait", None),
    "more than were answered, as a client can force some": ({"frame": 90}, 60, "fail", 1.0),
}


@pytest.mark.parametrize(("fallbacks", "answered", "result", "value"), FALLBACKS.values(), ids=FALLBACKS)
def test_fallbacks_are_held_against_all_that_candidate_answered(fallbacks, answered, result, value):
    of = good(served={"1": answered})
    of.arms[CANDIDATE].fallbacks = fallbacks
    found = gate("fallbacks", of)
    assert (found.result, found.value, found.n) == (result, value, answered)


@pytest.mark.parametrize("named", ["mismatch", "errors", "latency", "in_flight", "fallbacks"])
def test_a_dry_run_is_measured_and_changes_nothing(named):
    bad = trial(
        arm(spread(9, 100), errors=100, fallbacks={"frame": 60}),
        arm(spread(5, 100)),
        pairs=judged(clean=20, mismatch=80),
        served={"50": 60},
        drawn=60,
        **FULL,
    )
    all_dry = {one: replace(getattr(GATES, one), dry_run=True) for one in (
        "mismatch", "errors", "latency", "in_flight", "fallbacks",
    )}  # fmt: skip
    found = decided(bad, 50.0, replace(GATES, **all_dry))
    assert (found.act, found.share) == ("climb", 100.0)
    assert {one.result for one in found.measured if one.dry_run} == {"fail"}
    earnest = decided(bad, 50.0, replace(GATES, **{**all_dry, named: getattr(GATES, named)}))
    assert (earnest.act, earnest.share) == ("back", 25.0)
