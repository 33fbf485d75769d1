"""A report as text: the verdict first, then every number of the JSON, each where a reader looks for it."""

import pytest

from proxy.core.ab_text import told

TIMES = {
    "n": 312,
    "p50_s": {"value": 2.02, "low": 1.98, "high": 2.04},
    "p90_s": {"value": 20.4, "low": 19.8, "high": 21.7},
    "p95_s": {"value": None, "needs": 59, "n": 12},
    "max_s": 123.4,
}
REPORT = {
    "verdict": "hold",
    "why": "hold: as this is but an example",
    "rule": "shop",
    "feature": "split",
    "status": {"mode": "canary", "state": "running", "percent": 25.0},
    "version": "1.2.3",
    "config_hash": "c0ffee",
    "seed": 7,
    "window": {"since": "2025-06-15T15:06:40Z", "until": "2025-06-15T16:06:40Z", "told": "2025-06-15T16:08:20Z"},
    "population": {
        "requests": 2000,
        "eligible": 1400,
        "excluded": {"method": 400, "cookie": 200},
        "assigned": {"control": 1080, "candidate": 320},
        "served_by_percent": {"5": 70, "25": 242},
        "sample_ratio": {"drawn": 320, "expected": 350.0, "p": 0.0640775, "flagged": False},
    },
    "arms": {
        "control": {"n": 0, "errors": 2, "known": {"n": 0}, "upstream_calls": 14, "busy_s": 60.5},
        "candidate": {**TIMES, "errors": 1, "known": {**TIMES, "n": 40}, "upstream_calls": 1900, "busy_s": 1800.4},
    },
    "effect": {
        "paired_ratio": {"value": 0.41, "low": 0.405, "high": 0.414, "n": 312},
        "p50_ratio": {"value": 0.394, "low": 0.39, "high": 0.402},
        "p95_ratio": {"value": 0.402, "low": 0.4, "high": 0.41},
        "overlap": 2.5,
        "critical_part": 0.833333,
    },
    "correctness": {
        "checks": {
            "pair": {
                "clean": 312, "mismatch": 0, "noisy": 4, "changed": 2, "unclear": 1, "differ": 0, "of": 312,
                "at_most_look_once": 0.00955576, "at_most_anytime": 0.0276301,
            },
            "overlap": {"clean": 0, "mismatch": 0, "noisy": 0, "changed": 3, "unclear": 0, "differ": 0, "of": 0},
        },
        "noise": {"noisy": 3, "of": 31},
        "exposed": 5,
    },
    "fallbacks": {"count": 3, "of": 320, "reasons": {"frame": 2, "slow": 1}},
    "comparing": {"not_compared": {"budget": 4}, "calls_by_day": {"2025-06-15": 500, "2025-06-16": 12}},
    "gates": {
        "act": "hold",
        "percent": 25.0,
        "why": "hold at 25 %: 2,700 of 3,600 s at this step",
        "measured": [
            {"gate": "time", "result": "wait", "value": 2700.0, "limit": 3600.0, "n": 242, "dry_run": False},
            {"gate": "in_flight", "result": "pass", "limit": 0.9, "n": 0, "dry_run": True},
        ],
    },
}  # fmt: skip
TEXT = """\
hold: as this is but an example

rule        shop, split: canary at 25 % (running)
window      2025-06-15T15:06:40Z … 2025-06-15T16:06:40Z
requests    2,000, 1,400 eligible; excluded: method 400, cookie 200
assigned    1,080 control, 320 candidate
served      70 at 5 %, 242 at 25 %
            sample ratio: 320 drawn, 350 planned, p = 0.064
control (whole)
  fetched   0 answers, errors 2
  upstream  14 calls, 60.5 s busy
candidate (split)
  fetched   312 answers, errors 1; p50 2.02 (1.98–2.04) s, p90 20.4 (19.8–21.7) s, p95 n too small, needs 59, max 123 s
  known     40 answers, not among those above; p50 2.02 (1.98–2.04) s, p90 20.4 (19.8–21.7) s, p95 n too small, needs 59, max 123 s
  upstream  1,900 calls, 1,800 s busy
effect      median ratio of pairs 0.41 (0.405–0.414) in 312
            ratio of p50 0.394 (0.39–0.402)
            ratio of p95 0.402 (0.4–0.41)
            overlap: 2.5 calls at once; the longest calls 83.3 % of the time
correct     pair: 0 of 312 differ (at most 0.956 % look once, 2.76 % anytime); 4 noisy, 2 changed, 1 unclear
            overlap: 0 of 0 differ; 0 noisy, 3 changed, 0 unclear
            noise: 3 of 31 controls differ from another control
            exposed: 5 answers left before they were found wrong
fallbacks   3 of 320: frame 2, slow 1
dropped     comparisons not made: budget 4
spent       calls on comparing: 2025-06-15 500, 2025-06-16 12
gates       hold at 25 %: 2,700 of 3,600 s at this step
  time       wait: 2,700, limit 3,600, n 242
  in_flight  pass (dry run): nothing measured, limit 0.9, n 0
made by     version 1.2.3, config c0ffee, seed 7

Intervals are of 95 % and hold if you look once; what is called anytime holds however often you look."""


def test_the_whole_text():
    assert told(REPORT) == TEXT


def without(report, path):
    """Return a report without the member at a path."""
    first, _, rest = path.partition(".")
    return {
        name: without(value, rest) if name == first else value
        for name, value in report.items()
        if rest or name != first
    }


def emptied(report, path):
    """Return a report whose counts at a path are none."""
    first, _, rest = path.partition(".")
    return {**report, first: emptied(report[first], rest) if rest else {}}


ABSENT = {
    "gates": (without, "gates", ("gates", "  time", "  in_flight")),
    "a sample ratio": (without, "population.sample_ratio", ("sample ratio",)),
    "an overlap": (without, "effect.overlap", ("overlap: 2.5",)),
    "a step": (emptied, "population.served_by_percent", ("served",)),
    "dropped": (emptied, "comparing.not_compared", ("dropped",)),
    "spent": (emptied, "comparing.calls_by_day", ("spent",)),
}


@pytest.mark.parametrize(("less", "path", "lines"), ABSENT.values(), ids=ABSENT)
def test_what_is_absent_has_no_line(less, path, lines):
    kept = [line for line in TEXT.splitlines() if not line.strip().startswith(tuple(one.strip() for one in lines))]
    assert len(kept) < len(TEXT.splitlines())
    assert told(less(REPORT, path)).splitlines() == kept


REWORDED = {
    "no effect": (emptied, "effect", "effect"),
    "no exclusion": (emptied, "population.excluded", "excluded"),
    "no percent": (without, "status.percent", "canary at"),
}


@pytest.mark.parametrize(("less", "path", "words"), REWORDED.values(), ids=REWORDED)
def test_what_is_absent_is_not_named(less, path, words):
    assert words in told(REPORT)
    assert words not in told(less(REPORT, path))


def test_what_is_unknown_is_called_so():
    assert "split: unknown (unknown)" in told(emptied(REPORT, "status"))
    assert "window      nothing was counted yet" in told(emptied(REPORT, "window"))
    assert "window      2025-06-15T15:06:40Z … now" in told(without(REPORT, "window.until"))


def test_normalized_answers_are_called_so():
    text = told({**REPORT, "feature": "normalize"})
    assert "control (as it came)" in text
    assert "candidate (normalized)" in text


def test_arms_that_are_not_as_planned_are_shouted():
    ratio = {**REPORT["population"]["sample_ratio"], "flagged": True}
    text = told({**REPORT, "population": {**REPORT["population"], "sample_ratio": ratio}})
    assert "p = 0.064: NOT AS PLANNED, so the arms may differ in more than the feature" in text
