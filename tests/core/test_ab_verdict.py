"""What a report comes to: a table of trials, and the sentence that is said of each."""

import re

import pytest
from trials import arm, judged, spread, trial

from proxy.core.ab_report import report
from proxy.core.ab_verdict import verdict
from proxy.core.rollout import Gates
from proxy.core.trial import Trial

RUNNING = {"mode": "canary", "state": "running"}
DEMOTED = {"mode": "shadow", "state": "demoted"}
CLEAN = judged(clean=312)
NOISE = {"clean": 28, "noisy": 3}


def reached(of: Trial, feature="split", status=RUNNING):
    found = report("shop", feature, of, gates=Gates(), status=status, now=1e9, version="1", config_hash="a")
    return found["verdict"], found["why"]


def paired(ratio, pairs=CLEAN, **counted) -> Trial:
    return trial(pairs=pairs, ratios=spread(ratio, 312), noise=NOISE, **counted)


def arms(candidate, control, number=100) -> Trial:
    return trial(arm(spread(candidate, number)), arm(spread(control, number)), pairs=CLEAN)


def normalized(**counted) -> Trial:
    return trial(**{"checks": {"normalization": judged(clean=312)}, "noise": NOISE, **counted})


VERDICTS = {
    "quicker, and nothing differs": (paired(0.41), "promote"),
    "a little quicker": (paired(0.95), "promote"),
    "a little slower, within 10 %": (paired(1.05), "promote"),
    "slower": (paired(1.3), "hold"),
    "neither": (paired(1.0), "inconclusive"),
    "one differs": (paired(0.41, judged(clean=311, mismatch=1)), "rollback"),
    "one differs, of few": (paired(0.41, judged(mismatch=1)), "rollback"),
    "59 pairs": (paired(0.41, judged(clean=59)), "hold"),
    "60 pairs": (paired(0.41, judged(clean=60)), "promote"),
    "59 pairs, and slower": (paired(1.3, judged(clean=59)), "hold"),
    "noisy ones are no evidence": (paired(0.41, judged(clean=59, noisy=900, changed=900, unclear=900)), "hold"),
    "nothing": (Trial(), "hold"),
    "two arms, quicker": (arms(2, 5), "promote"),
    "two arms, as quick": (arms(5, 5), "inconclusive"),
    "two arms, slower": (arms(5, 2), "hold"),
    "no times": (trial(pairs=CLEAN), "hold"),
    "arms of four have no times": (arms(2, 5, 4), "hold"),
    "nineteen pairs' times are too few": (trial(pairs=CLEAN, ratios=[0.4] * 19), "hold"),
    "twenty pairs' times are enough": (trial(pairs=CLEAN, ratios=[0.4] * 20), "promote"),
}


@pytest.mark.parametrize(("of", "expected"), VERDICTS.values(), ids=VERDICTS)
def test_a_trial_comes_to_this(of, expected):
    found, why = reached(of)
    assert found == expected
    assert why.startswith(f"{expected}: ")
    assert "\n" not in why


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.9, 0.8, 0.999, "promote"),
        (0.9, 0.8, 1.0, "inconclusive"),
        (1.2, 1.0, 1.4, "inconclusive"),
        (1.1, 1.001, 1.4, "promote"),
        (1.101, 1.001, 1.4, "hold"),
    ],
)
def test_the_limits_of_a_ratio(value, low, high, expected):
    found = report(
        "shop", "split", paired(0.41), gates=Gates(), status=RUNNING, now=1e9, version="1", config_hash="a"
    )  # fmt: skip
    found["effect"]["paired_ratio"] = {"value": value, "low": low, "high": high, "n": 20}
    assert verdict(found).verdict == expected


@pytest.mark.parametrize("check", ["pair", "overlap", "reassembly", "normalization"])
def test_a_mismatch_of_any_kind_of_check_is_one(check):
    of = paired(0.41)
    of.checks.setdefault(check, {})["mismatch"] = 1
    assert reached(of)[0] == "rollback"


def test_whole_answers_that_were_cut_are_no_pairs():
    of = paired(0.41, judged())
    of.checks["reassembly"] = judged(clean=900)
    assert reached(of) == ("hold", "hold: 0 pairs agree, 60 more are needed (noise 3 of 31)")


def test_what_was_demoted_stays_so_however_good_it_looks():
    found, why = reached(paired(0.41), status=DEMOTED)
    assert found == "rollback"
    assert why.startswith("rollback: it is demoted since an answer differed; since then split answers take 0.41 (")
    assert reached(Trial(), status=DEMOTED)[0] == "rollback"


def test_pairs_come_before_arms_as_they_differ_in_nothing_else():
    of = arms(5, 2)
    of.ratios = paired(0.41).ratios
    assert reached(of)[0] == "promote"


def test_a_normalized_answer_needs_no_times():
    assert reached(normalized(), "normalize") == ("promote", "promote: 0 of 312 differ (at most 0.96 %), noise 3 of 31")
    slow = normalized(candidate=arm(spread(9, 100)), control=arm(spread(5, 100)))
    found, why = reached(slow, "normalize")
    assert found == "promote"
    assert re.search(r"normalized answers take 1\.[78]\d \(.+\) of the time of those to the request as it came in", why)


QUICK = (
    "split answers take 0.41 (0.41–0.41) of the time of whole ones in 312 pairs, "
    "0 of 312 differ (at most 0.96 %), noise 3 of 31"
)
SENTENCES = {
    "promote": (
        trial(pairs=CLEAN, ratios=[0.41] * 312, noise=NOISE),
        f"promote: {QUICK}",
    ),
    "one more": (
        paired(0.41, judged(clean=59)),
        "hold: 59 pairs agree, 1 more is needed (noise 3 of 31)",
    ),
    "one pair": (
        trial(pairs=judged(clean=1)),
        "hold: 1 pair agrees, 59 more are needed (noise not measured)",
    ),
    "slower": (
        trial(pairs=CLEAN, ratios=[1.3] * 312, noise=NOISE),
        f"hold: split is slower: {QUICK.replace('0.41', '1.30')}",
    ),
    "no times": (
        trial(pairs=CLEAN, noise=NOISE),
        "hold: no times to compare yet; 0 of 312 differ (at most 0.96 %), noise 3 of 31",
    ),
    "none of them left": (
        paired(0.41, judged(clean=310, mismatch=2)),
        "rollback: 2 of 312 compared split answers differ, none of them left for a client, noise 3 of 31",
    ),
    "some left": (
        paired(0.41, judged(clean=1310, mismatch=2), exposed=1),
        "rollback: 2 of 1,312 compared split answers differ, 1 of them left for a client, noise 3 of 31",
    ),
    "nothing": (
        Trial(),
        "hold: 0 pairs agree, 60 more are needed (noise not measured)",
    ),
    "not as planned": (
        trial(pairs=CLEAN, ratios=[0.41] * 312, noise=NOISE, drawn=280, expected=350.0, variance=262.5),
        f"inconclusive: {QUICK}, but 280 were drawn where 350 were planned",
    ),
    "as planned": (
        trial(pairs=CLEAN, ratios=[0.41] * 312, noise=NOISE, drawn=350, expected=350.0, variance=262.5),
        f"promote: {QUICK}",
    ),
}


@pytest.mark.parametrize(("of", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_one_sentence_says_why_with_numbers(of, sentence):
    assert reached(of)[1] == sentence


def test_arms_are_told_by_their_medians():
    assert "of the time of whole ones in the median, 0 of 312 differ" in reached(arms(2, 5))[1]


def test_demoted_is_told_with_what_was_seen_since():
    _, why = reached(Trial(), status=DEMOTED)
    assert why == "rollback: it is demoted since an answer differed; since then 0 of 0 differ, noise not measured"
