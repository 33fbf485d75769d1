"""docs/rollout.md: its report is one that the proxy writes, its numbers are those of the gates, its rules can be read."""

import json
import random
import re
from datetime import UTC, datetime
from itertools import pairwise
from math import log
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy import config_rollout, plugins
from proxy.cli import app
from proxy.config import load
from proxy.core.ab_report import report, told
from proxy.core.gates import more_clean
from proxy.core.rollout import SPLIT, STEPS, Gates, Stage, Trust, bucket
from proxy.core.trial import CANDIDATE, CONTROL, PAIR, REASSEMBLY, VERDICTS, Trial, add
from proxy.rules_of import rules_of
from proxy.unseen import DAY, EXTRA, LOADED, OBSERVING, RUNNING

DOCS = Path(plugins.__file__).parent / "docs"
GUIDE, REFERENCE = [(DOCS / name).read_text("utf-8") for name in ("rollout.md", "reference.md")]
SHOWN = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
BEGAN = 1_800_259_200.0
DAY_S = 86_400.0
AT_THIS_STEP_S = 2400.0
IN_SHADOW, AS_CANARY = 600, 300
SHARE = 25.0


def split_after_a_week() -> Trial:
    """Return what is counted of a rule in a week of shadow, and in some minutes of canary."""
    dice = random.Random(7)
    seen = Trial(since=BEGAN, until=BEGAN + 7 * DAY_S + AT_THIS_STEP_S, eligible=IN_SHADOW + AS_CANARY)
    seen.checks[REASSEMBLY] = {"clean": 811}
    control, candidate = seen.arms[CONTROL], seen.arms[CANDIDATE]
    for place in range(IN_SHADOW + AS_CANARY):
        whole = dice.lognormvariate(log(4.2), 0.35)
        calls = dice.choice([1, 2, 3, 3])
        each = [whole / calls * dice.uniform(0.95, 1.2) for _ in range(calls)]
        is_canary = place >= IN_SHADOW
        is_drawn = is_canary and bucket("products", SPLIT, str(place).encode()) < SHARE
        if is_canary:
            seen.assigned(SHARE, drawn=is_drawn)
        if is_drawn:
            add(seen.served, {f"{SHARE:g}": 1})
        if not is_canary or not is_drawn:
            control.fetched(whole, 1, whole, whole, whole)
        if not is_canary or is_drawn:
            candidate.fetched(max(each), calls, sum(each), max(each), max(each))
            seen.paired(log(max(each) / whole))
            seen.judged(PAIR, "clean")
            day = datetime.fromtimestamp(BEGAN + min(place * 7 / IN_SHADOW, 7) * DAY_S, UTC)
            add(seen.spent, {f"{day:%Y-%m-%d}": 1 if is_drawn else calls})
    candidate.fallbacks = {"part_missing": 2}
    seen.requests, seen.excluded = seen.eligible + 8411, {"hit": 7920, "not_drawn": 488, "cookie": 3}
    seen.checks[PAIR] |= {"noisy": 2, "changed": 1}
    seen.noise = {"clean": 1, "noisy": 2}
    seen.dropped = {LOADED: 41, RUNNING: 12}
    return seen


def test_the_report_in_the_guide_is_one_that_is_written():
    now = BEGAN + 7 * DAY_S + AT_THIS_STEP_S
    status = {"mode": Stage.CANARY, "state": "running", "percent": SHARE, "since": now - AT_THIS_STEP_S}
    found = report(
        "products", SPLIT, split_after_a_week(), gates=Gates(), status=status, now=now, version="0.1.0",
        config_hash="5f0c21aa",
    )  # fmt: skip
    assert f"$ frontrunner report --ab products\n{told(found)}\n```" in GUIDE


def rows(title):
    """Return the tables below a heading as cells."""
    section = next(part for part in re.split(r"\n##+ ", GUIDE) if part.startswith(title))
    return [
        [cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\|.*\|$", section, re.MULTILINE)
    ]


def test_the_clean_pairs_that_a_step_needs_are_those_of_its_gate():
    climbs = [cells for cells in rows("Gates") if "→" in cells[0]]
    told_of = {tuple(re.findall(r"\d+", step)): int(pairs) for step, pairs in climbs}
    steps = {
        (f"{one:g}", f"{after:g}"): more_clean(0, 0, after, Gates().mismatch.limit) for one, after in pairwise(STEPS)
    }
    assert told_of == steps


def test_every_gate_is_told_with_its_default():
    shape = config_rollout.Gates()
    limits = {"mismatch": "1 %", "errors": "1 %", "latency": "1.1", "in_flight": "90 %", "fallbacks": "10 %"}
    told_of = {cells[0].strip("`"): cells[1] for cells in rows("Gates") if cells[0].startswith("`")}
    assert told_of == {"samples": f"{shape.samples}", "time": "1h", **limits}
    of_core = {name: getattr(Gates(), name).limit for name in limits}
    read = {name: float(limit.removesuffix(" %")) / (100 if "%" in limit else 1) for name, limit in limits.items()}
    assert (of_core, Gates().time, shape.time) == (read, 3600.0, 3600.0)


@pytest.mark.parametrize("text", SHOWN, ids=range(len(SHOWN)))
def test_every_example_of_a_rollout_can_be_read(text, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("upstream: http://legacy:8000\n" + ("" if "rules:" in text else "rules:\n") + text)
    made, _ = rules_of(load(file), b"")
    assert {one.trust == Trust() for one in made if not one.ours} == {False}


def test_the_command_prints_what_the_guide_says(monkeypatch):
    trial = split_after_a_week()
    of_split = {
        "mode": "canary",
        "percent": SHARE,
        "state": "running",
        "configured": "shadow",
        "exposed": trial.exposed,
    }
    of_key = {"mode": "on", "state": "running", "configured": "on", "checks": {}, "exposed": 0}
    of_split |= {"checks": trial.checks, "not_cut": {"part_order": 4}}
    monkeypatch.setattr(
        "proxy.cli.rollout.sent", lambda *_: {"rule": "products", "split": of_split, "normalize": of_key}
    )
    printed = CliRunner().invoke(app, ["rollout", "products"]).stdout
    assert f"$ frontrunner rollout products\n{printed}```" in GUIDE


def test_the_event_in_the_guide_has_the_fields_of_the_reference():
    (shown,) = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)]
    row = next(row for row in REFERENCE.splitlines() if row.startswith("| `decision`, of a difference |"))
    listed = re.findall(r"`(\w+)`", row)
    assert set(shown) - {"timestamp", "level", "event", "version", "pid"} <= {*listed}


def test_the_guide_tells_every_verdict_and_why_a_comparison_is_not_made():
    assert {cells[0] for cells in rows("When two answers differ")} >= {f"`{one}`" for one in VERDICTS if one != "clean"}
    assert {cells[0] for cells in rows("What it costs")} >= {
        f"`{one}`" for one in (RUNNING, LOADED, EXTRA, DAY, OBSERVING)
    }


def test_what_a_rule_does_that_says_nothing():
    trust = Trust()
    assert (trust.split.stage, trust.normalize.stage, trust.budget) == (Stage.SHADOW, Stage.ON, 500)
    assert "A rule that says nothing is in `shadow` with its split and `on` with its key." in GUIDE
