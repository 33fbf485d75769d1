"""The report on two arms: all numbers that were counted, with what they prove, as plain values."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import arm, judged, spread, trial

from proxy.core.ab_report import report, told
from proxy.core.gates import decide
from proxy.core.rollout import Gates, Stage
from proxy.core.statistics import anytime_upper_bound, upper_bound
from proxy.core.trial import Trial

SHADOW = {"mode": "shadow", "state": "running", "configured": "shadow"}
CANARY = {"mode": Stage.CANARY, "state": "running", "percent": 25.0, "since": 1_750_001_000.0}
GATES = Gates()
NOW = 1_750_003_700.0


def full() -> Trial:
    """Return a trial that counted something of everything."""
    known = arm(spread(0.001, 40)).timings
    candidate = arm(
        spread(2, 312), errors=1, known=known, fallbacks={"frame": 3}, calls=900, busy=1800.0, wall=720.0, longest=600.0
    )
    made = trial(
        candidate,
        arm(spread(5, 12), errors=2, calls=14, busy=60.0),
        pairs=judged(clean=312, mismatch=0, noisy=4, changed=2, unclear=1),
        ratios=spread(0.41, 312),
        since=1_750_000_000.0,
        until=1_750_003_600.0,
        requests=2000,
        eligible=1400,
        excluded={"method": 400, "cookie": 200},
        drawn=320,
        expected=350.0,
        variance=262.5,
        served={"5": 70, "25": 242},
        noise={"clean": 28, "noisy": 3},
        exposed=0,
        dropped={"budget": 4, "busy": 9},
        spent={"2025-06-16": 12, "2025-06-15": 500},
        full=20.0,
        looks=40,
    )
    made.checks["reassembly"] = judged(clean=900)
    return made


def reported(of: Trial, feature="split", status=SHADOW, **more):
    asked = {"gates": GATES, "status": status, "now": NOW, "version": "1.2.3", "config_hash": "c0ffee", **more}
    return report("shop", feature, of, **asked)


def test_what_it_is_about_comes_with_its_window_and_all_that_repeats_it():
    found = reported(full(), seed=7)
    assert [found[name] for name in ("rule", "feature", "version", "config_hash", "seed")] == [
        "shop", "split", "1.2.3", "c0ffee", 7,
    ]  # fmt: skip
    assert found["status"] == {"mode": "shadow", "state": "running"}
    assert found["window"] == {
        "since": "2025-06-15T15:06:40Z", "until": "2025-06-15T16:06:40Z", "told": "2025-06-15T16:08:20Z",
    }  # fmt: skip


def test_the_population_comes_first():
    assert reported(full())["population"] == {
        "requests": 2000,
        "eligible": 1400,
        "excluded": {"method": 400, "cookie": 200},
        "assigned": {"control": 1080, "candidate": 320},
        "served_by_percent": {"5": 70, "25": 242},
        "sample_ratio": {"drawn": 320, "expected": 350.0, "p": 0.0640775, "flagged": False},
    }


@pytest.mark.parametrize(
    ("drawn", "expected", "variance", "flagged"),
    [(350, 350.0, 262.5, False), (302, 350.0, 262.5, False), (280, 350.0, 262.5, True), (0, 100.0, 0.0, True)],
)
def test_arms_that_are_not_as_planned_are_flagged(drawn, expected, variance, flagged):
    found = reported(trial(drawn=drawn, expected=expected, variance=variance))
    assert found["population"]["sample_ratio"]["flagged"] is flagged
    assert ("NOT AS PLANNED" in told(found)) is flagged


def test_in_shadow_nobody_is_drawn_and_there_is_no_ratio_to_check():
    assert "sample_ratio" not in reported(Trial(eligible=9))["population"]


def test_each_arm_has_its_quantiles_with_intervals():
    found = reported(full())["arms"]["candidate"]
    assert (found["n"], found["errors"], found["upstream_calls"], found["busy_s"]) == (312, 1, 900, 1800.0)
    for name, true in {"p50_s": 2.0, "p90_s": 2.16, "p95_s": 2.18}.items():
        assert found[name]["low"] < true < found[name]["high"]
        assert found[name]["value"] == pytest.approx(true, rel=0.02)
    assert found["max_s"] == 2.2


def test_too_few_answers_are_told_as_such():
    found = reported(full())["arms"]["control"]
    assert found["p50_s"]["value"] == pytest.approx(5.0, rel=0.03)
    assert found["p90_s"] == {"value": None, "needs": 29, "n": 12}
    assert found["p95_s"] == {"value": None, "needs": 59, "n": 12}
    assert re.search(r"p90 n too small, needs 29, p95 n too small, needs 59, max 5.5 s", told(reported(full())))


def test_known_answers_stand_apart():
    found = reported(full())["arms"]
    assert found["candidate"]["known"]["n"] == 40
    assert found["candidate"]["known"]["p50_s"]["value"] == pytest.approx(0.001, rel=0.03)
    assert found["candidate"]["p50_s"]["low"] > 1
    assert found["control"]["known"] == {"n": 0}


def test_an_arm_without_answers_has_no_times():
    assert reported(Trial())["arms"]["control"] == {
        "n": 0, "errors": 0, "known": {"n": 0}, "upstream_calls": 0, "busy_s": 0.0,
    }  # fmt: skip


def test_the_effect_is_told_in_pairs_and_why_it_is():
    effect = reported(full())["effect"]
    assert set(effect) == {"paired_ratio", "p50_ratio", "overlap", "critical_part"}  # of p95 control has too few
    assert (effect["paired_ratio"]["n"], effect["paired_ratio"]["value"]) == (312, pytest.approx(0.41))
    assert effect["paired_ratio"]["low"] < 0.41 < effect["paired_ratio"]["high"]
    assert effect["overlap"] == 2.5
    assert effect["critical_part"] == pytest.approx(600 / 720, abs=1e-6)


def test_the_effect_is_told_of_two_arms_that_are_large_enough():
    effect = reported(trial(arm(spread(2, 100)), arm(spread(5, 100))))["effect"]
    assert set(effect) == {"p50_ratio", "p95_ratio"}
    for ratio in effect.values():
        assert ratio["low"] <= ratio["value"] <= ratio["high"]
        assert ratio["value"] == pytest.approx(0.4, rel=0.03)


@pytest.mark.parametrize(
    ("candidates", "controls", "ratios"),
    [(4, 99, set()), (5, 5, {"p50_ratio"}), (99, 58, {"p50_ratio"}), (59, 59, {"p50_ratio", "p95_ratio"})],
)
def test_arms_are_compared_where_both_have_enough(candidates, controls, ratios):
    assert set(reported(trial(arm(spread(2, candidates)), arm(spread(5, controls))))["effect"]) == ratios


@pytest.mark.parametrize("noise", [{"clean": 28}, {"noisy": 28}, {}])
def test_noise_that_was_not_seen_is_none(noise):
    noisy = noise.get("noisy", 0)
    assert reported(Trial(noise=noise))["correctness"]["noise"] == {"noisy": noisy, "of": 28 if noise else 0}


def test_correctness_is_told_by_check_with_both_bounds_and_beside_the_noise():
    found = reported(full())["correctness"]
    assert list(found["checks"]) == ["reassembly", "pair"]
    assert found["checks"]["pair"] == {
        "clean": 312, "mismatch": 0, "noisy": 4, "changed": 2, "unclear": 1, "differ": 0, "of": 312,
        "at_most_look_once": float(f"{upper_bound(0, 312):.6g}"),
        "at_most_anytime": float(f"{anytime_upper_bound(0, 312):.6g}"),
    }  # fmt: skip
    assert found["pairs"] == {name: found["checks"]["pair"][name] for name in found["pairs"]}
    assert (found["all"]["differ"], found["all"]["of"]) == (0, 1212)
    assert found["noise"] == {"noisy": 3, "of": 31}
    assert found["exposed"] == 0


def test_what_was_not_compared_has_no_bound():
    found = reported(Trial(checks={"pair": judged(changed=3)}))["correctness"]
    assert found["pairs"] == {"differ": 0, "of": 0}
    assert found["checks"]["pair"]["changed"] == 3


def test_fallbacks_and_the_cost_of_comparing_are_told():
    found = reported(full())
    assert found["fallbacks"] == {"count": 3, "of": 312, "reasons": {"frame": 3}}
    assert found["comparing"] == {
        "not_compared": {"budget": 4, "busy": 9},
        "calls_by_day": {"2025-06-15": 500, "2025-06-16": 12},
    }
    assert list(found["comparing"]["calls_by_day"]) == ["2025-06-15", "2025-06-16"]


def test_a_canary_has_its_gates():
    found = reported(full(), status=CANARY)["gates"]
    decision = decide(full(), GATES, 25.0, since=CANARY["since"], now=NOW)
    assert (found["act"], found["percent"], found["why"]) == (decision.act, decision.share, decision.why)
    assert [one["gate"] for one in found["measured"]] == [one.gate for one in decision.measured]
    assert found["measured"][1]["value"] == 2700.0
    latency = next(one for one in found["measured"] if one["gate"] == "latency")
    assert latency == {"gate": "latency", "result": "pass", "value": 0.41, "limit": 1.1, "n": 312, "dry_run": False}


def test_a_canary_whose_step_began_nobody_knows_when_began_with_the_trial():
    told_of = {"mode": "canary", "state": "running", "percent": 25.0}
    assert reported(full(), status=told_of)["gates"]["measured"][1]["value"] == 3700.0


@pytest.mark.parametrize("status", [SHADOW, {"mode": "canary", "percent": None}, {**CANARY, "mode": "on"}, {}])
def test_without_a_share_that_climbs_there_are_no_gates(status):
    assert "gates" not in reported(full(), status=status)


def test_of_nothing_there_is_a_report_too():
    found = reported(Trial())
    assert found["window"] == {"told": "2025-06-15T16:08:20Z"}
    assert found["verdict"] == "hold"
    assert "nothing was counted yet" in told(found)


def test_more_candidates_than_eligible_ones_leave_no_control():
    assert reported(Trial(eligible=3, drawn=5))["population"]["assigned"] == {"control": 0, "candidate": 5}


def test_without_a_seed_it_is_nought():
    assert reported(full())["seed"] == 0


def test_the_same_seed_gives_the_same_report_and_another_another():
    assert reported(full(), seed=7) == reported(full(), seed=7)
    assert reported(full(), seed=7)["effect"] != reported(full(), seed=8)["effect"]


def leaves(value):
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)
    else:
        yield value


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 200), st.integers(0, 200), st.integers(0, 60), st.integers(0, 5), st.sampled_from([SHADOW, CANARY, {}])
)  # fmt: skip
def test_every_trial_is_told_as_plain_json_and_as_text(candidates, controls, clean, wrong, status):
    of = trial(
        arm(spread(2, candidates), errors=wrong, wall=float(candidates), busy=3.0 * candidates),
        arm(spread(5, controls)),
        pairs=judged(clean=clean, mismatch=wrong),
        ratios=spread(0.4, clean),
        drawn=candidates,
        expected=candidates / 3,
        variance=candidates / 4,
    )
    for feature in ("split", "normalize"):
        found = reported(of, feature, status)
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert all(one == float(f"{one:.6g}") for one in leaves(found) if isinstance(one, float))
        assert told(found).splitlines()[0] == found["why"]
