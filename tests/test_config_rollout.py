"""`rollout` of a rule: how far its features are trusted, and what they have to show for more."""

import pytest
from pydantic import ValidationError

from proxy.config_rollout import Rollout
from proxy.core.compare.bytes import Bytes
from proxy.core.compare.json_semantic import JsonSemantic
from proxy.core.rollout import Gates, Stage, Trust


def rollout(**keys: object) -> Rollout:
    return Rollout.model_validate(keys)


def test_without_a_word_a_split_is_in_shadow_and_keys_are_normal() -> None:
    made, trust = rollout(), Trust()
    assert (made.split.mode, made.normalize.mode) == (trust.split.stage, trust.normalize.stage) == ("shadow", "on")
    for one in (made.split, made.normalize):
        assert (one.percent, one.sticky, one.audit) == (None, None, 1.0)
    assert (made.compare.made, made.budget) == (Bytes(), trust.budget)


def test_what_is_asked_of_a_canary_is_what_the_core_asks() -> None:
    made, gates = rollout().gates, Gates()
    assert (made.samples, made.time) == (gates.samples, gates.time)
    for name in ("mismatch", "errors", "latency", "in_flight", "fallbacks"):
        one, other = getattr(made, name), getattr(gates, name)
        assert (one.limit, one.dry_run) == (other.limit, other.dry_run), name


@pytest.mark.parametrize("mode", list(Stage))
@pytest.mark.parametrize("feature", ["split", "normalize"])
def test_the_modes_are_the_stages(feature: str, mode: Stage) -> None:
    assert getattr(rollout(**{feature: {"mode": mode.value}}), feature).mode == mode


def test_all_of_it() -> None:
    made = rollout(
        split={"mode": "canary", "percent": 0.25, "audit": 2, "sticky": "X-User"},
        normalize={"mode": "shadow", "percent": 100, "audit": 0},
        compare={"json_semantic": {"ignore": ["$.ts"], "float_abs": 0.01}},
        gates={
            "samples": 200, "time": "30m", "mismatch": "0.5%", "errors": {"limit": "2%", "dry_run": True},
            "latency": 0.9, "in_flight": "50%", "fallbacks": {"limit": "5%"},
        },
        budget=0,
    )  # fmt: skip
    assert (made.split.percent, made.split.audit, made.split.sticky) == (0.25, 2.0, "x-user")
    assert (made.normalize.mode, made.normalize.percent, made.normalize.audit) == ("shadow", 100.0, 0.0)
    assert made.compare.made == JsonSemantic(ignore=("$.ts",), float_abs=0.01)
    gates = made.gates
    assert (gates.samples, gates.time, gates.latency.limit) == (200, 1800.0, 0.9)
    assert (gates.mismatch.limit, gates.in_flight.limit, gates.fallbacks.limit) == (0.005, 0.5, 0.05)
    assert (gates.errors.limit, gates.errors.dry_run, gates.mismatch.dry_run) == (0.02, True, False)
    assert made.budget == 0


WRONG: dict[str, dict[str, object]] = {
    "another mode": {"split": {"mode": "half"}},
    "a mode in capitals": {"split": {"mode": "ON"}},
    "a switch": {"split": {"mode": True}},
    "a bare mode": {"split": "on"},
    "more than all": {"split": {"percent": 100.1}},
    "less than none": {"split": {"percent": -0.01}},
    "finer than it counts": {"split": {"percent": 0.001}},
    "a percentage that is a truth": {"split": {"percent": True}},
    "a percentage as text": {"split": {"percent": "5%"}},
    "not a number": {"split": {"percent": float("nan")}},
    "audit more than all": {"normalize": {"audit": 101}},
    "no name of a field": {"split": {"sticky": "a b"}},
    "another feature": {"merge": {"mode": "on"}},
    "another comparison": {"compare": "xml"},
    "another option of it": {"compare": {"json_semantic": {"ignored": []}}},
    "a path that is none": {"compare": {"json_semantic": {"ignore": ["ts"]}}},
    "another gate": {"gates": {"speed": 1}},
    "no samples": {"gates": {"samples": 0}},
    "half a sample": {"gates": {"samples": 1.5}},
    "a time without a unit": {"gates": {"time": 60}},
    "a share without its sign": {"gates": {"mismatch": 0.01}},
    "a ratio of nothing": {"gates": {"latency": 0}},
    "a ratio as a share": {"gates": {"latency": "110%"}},
    "a gate without a limit": {"gates": {"latency": {"dry_run": True}}},
    "a dry run that is no truth": {"gates": {"latency": {"limit": 1, "dry_run": "on"}}},
    "a budget below nothing": {"budget": -1},
    "half a call": {"budget": 0.5},
}


@pytest.mark.parametrize("keys", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_not_read(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        rollout(**keys)
