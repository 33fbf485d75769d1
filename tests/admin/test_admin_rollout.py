"""Operators see how far each feature is rolled out, and set it: for one rule, or at once for all."""

from typing import Any

import pytest
from admin_desk import PREFIX, Desk
from shop import Shop, splitting_rule
from world import asked, rule

from proxy.core.normalize.sort_params import SortParams
from proxy.core.rollout import Stage
from proxy.core.rules import Rule, default_rule

NOTHING_YET = {"equal": 0, "different": 0, "not_cut": {}, "checks": {}, "exposed": 0, "generation": 0}


def desk(*more: Rule) -> Desk:
    """Return a desk with two rules that split and one that does not."""
    two = splitting_rule(), splitting_rule("spare", "/spare", Stage.SHADOW)
    made = Desk(rules=(*two, *more, rule(), default_rule()))
    made.world.engine.then(*[Shop()] * 9)
    return made


def said_of(name: str, mode: str, state: str = "running", configured: str = "on", **more: Any) -> dict[str, Any]:
    percent = {} if mode == "off" else {"percent": 100.0}
    told = {"mode": mode, "state": state, "configured": configured, **percent, **NOTHING_YET, **more}
    return {"rule": name, "split": told}


async def reported(here: Desk, name: str) -> dict[str, Any]:
    """Return what is told of a rule, but for its report: that is of this rule, and of this feature."""
    told = await here.numbers(f"rollout/{name}")
    for feature in here.world.rollouts.features(name):
        report = told[feature].pop("report")
        assert (report["rule"], report["feature"], report["mismatches"]) == (name, feature, [])
    return dict(told)


async def test_all_rules_that_split_are_told() -> None:
    told = await desk().numbers("rollout")
    assert told == {"rules": [said_of("shop", "on"), said_of("spare", "shadow", configured="shadow")]}


async def test_a_rule_is_told_with_what_was_found_of_it() -> None:
    here = desk()
    await here.world.ask(asked("/spare?ids=1,2"))
    await here.world.ask(asked("/spare?ids=1,,2"))
    await here.world.settled()
    await here.world.settled()
    checks = {"reassembly": {"clean": 1}, "pair": {"clean": 1}}
    assert await reported(here, "spare") == said_of(
        "spare", "shadow", configured="shadow", equal=1, not_cut={"split_syntax": 1}, checks=checks
    )


SETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "off": ({"mode": "off"}, said_of("shop", "off", "off")),
    "shadow": ({"mode": "shadow"}, said_of("shop", "shadow")),
    "canary, that climbs by itself": ({"mode": "canary"}, said_of("shop", "canary", percent=1.0)),
    "canary": ({"mode": "canary", "percent": 2.5}, said_of("shop", "canary", percent=2.5)),
    "on": ({"mode": "on"}, said_of("shop", "on")),
    "as configured": ({"mode": None}, said_of("shop", "on")),
}


@pytest.mark.parametrize(("sent", "told"), SETS.values(), ids=SETS)
async def test_what_is_set_is_told_and_logged(sent: dict[str, Any], told: dict[str, Any]) -> None:
    here = desk()
    said = await here.send("rollout/shop", {"split": sent})
    assert (said.status, said.json()) == (200, told)
    assert await reported(here, "shop") == told
    assert await reported(here, "spare") == said_of("spare", "shadow", configured="shadow")
    split = told["split"]
    assert here.audited == [
        {
            "event": "decision", "client_ip": "127.0.0.1", "rule": "shop", "feature": "split",
            "asked": sent["mode"] or "configured", "mode": split["mode"], "state": split["state"],
        }
    ]  # fmt: skip


async def test_the_kill_switch_stops_all_of_them() -> None:
    here = desk()
    said = await here.send("rollout", {"split": {"mode": "off"}})
    assert said.json() == await here.numbers("rollout")
    assert [one["split"]["mode"] for one in said.json()["rules"]] == ["off", "off"]
    assert [(one["rule"], one["mode"]) for one in here.audited] == [("shop", "off"), ("spare", "off")]
    await here.world.ask(asked("/shop?ids=1,2"))
    assert (here.world.last.parts, here.world.last.arm) == (None, None)
    here.clock.advance(1)
    await here.send("rollout", {"split": {"mode": None}})
    await here.world.ask(asked("/shop?ids=3,4"))
    assert here.world.last.arm == "candidate"


async def test_a_rule_that_answered_wrong_says_so() -> None:
    here = desk()
    here.world.rollouts.demote("shop")
    generation = here.world.rollouts.generation("shop")
    assert generation > 0
    assert await reported(here, "shop") == said_of("shop", "shadow", "demoted", generation=generation)


@pytest.mark.parametrize("name", ["kept", "default", "another"])
async def test_a_rule_that_has_nothing_to_roll_out_is_none(name: str) -> None:
    here = desk()
    sent = await here.send(f"rollout/{name}", {"split": {"mode": "off"}})
    for said in (sent, await here.ask(f"{PREFIX}/rollout/{name}")):
        assert said is not None
        assert (said.status, said.json()["reason"]) == (404, "unknown_name")
        assert f"no rule that splits or normalizes is called '{name}'; there are: shop, spare" in said.json()["detail"]
    assert here.audited == []


def normal() -> Rule:
    return rule("normal", "/normal", normalizers=(SortParams(),))


async def test_a_rule_that_normalizes_has_that_to_roll_out() -> None:
    here = desk(normal())
    said = await here.send("rollout/normal", {"normalize": {"mode": "canary", "percent": 50}})
    told = {**NOTHING_YET, "mode": "canary", "state": "running", "configured": "on", "percent": 50.0}
    del told["equal"], told["different"], told["not_cut"]
    assert said.json() == await reported(here, "normal") == {"rule": "normal", "normalize": told}
    assert [(one["rule"], one["feature"]) for one in here.audited] == [("normal", "normalize")]


@pytest.mark.parametrize(("name", "feature"), [("normal", "split"), ("shop", "normalize")])
async def test_what_a_rule_has_not_cannot_be_set(name: str, feature: str) -> None:
    """Nor is anything else that was asked for with it."""
    here = desk(normal())
    said = await here.send(f"rollout/{name}", {"split": {"mode": "off"}, "normalize": {"mode": "off"}})
    assert (said.status, said.json()["detail"]) == (400, f"rule '{name}' has nothing to {feature}")
    assert (here.audited, here.world.rollouts.told()) == ([], {})


async def test_the_kill_switch_of_one_feature_leaves_the_other_alone() -> None:
    here = desk(normal())
    await here.send("rollout", {"normalize": {"mode": "off"}})
    assert [(one["rule"], one["feature"], one["mode"]) for one in here.audited] == [("normal", "normalize", "off")]
    assert (here.world.rollouts.stage("shop"), here.world.rollouts.stage("normal", "normalize")) == (
        Stage.ON,
        Stage.OFF,
    )


WRONG: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "the body: "),
    "another feature": ({"merge": {"mode": "off"}}, "merge: "),
    "no mode": ({"split": {}}, "split.mode: "),
    "a bare mode": ({"split": "off"}, "split: "),
    "another mode": ({"split": {"mode": "hunter2"}}, "split.mode: "),
    "a switch": ({"split": {"mode": False}}, "split.mode: "),
    "another member": ({"split": {"mode": "off"}, "hunter2": 1}, "hunter2: "),
    "one more word": ({"split": {"mode": "off", "share": 5}}, "split.share: "),
    "a percentage of all": ({"split": {"mode": "on", "percent": 5}}, "split: "),
    "too large a percentage": ({"split": {"mode": "canary", "percent": 100.1}}, "split.percent: "),
    "no JSON": (b"off", "the body: "),
}


@pytest.mark.parametrize("path", ["rollout", "rollout/shop"])
@pytest.mark.parametrize(("sent", "told"), WRONG.values(), ids=WRONG)
async def test_a_wrong_stage_is_told_and_nothing_is_set(path: str, sent: Any, told: str) -> None:
    here = desk()
    said = await here.send(path, sent)
    assert (said.status, said.header("content-type")) == (400, "application/problem+json")
    assert (said.json()["reason"], said.json()["detail"].startswith(told)) == ("bad_request", True)
    assert (here.audited, here.world.rollouts.stage("shop")) == ([], Stage.ON)
