"""Operators see how far each split is rolled out, and set it: for one rule, or at once for all."""

from typing import Any

import pytest
from admin_desk import PREFIX, Desk
from shop import Shop, splitting_rule
from world import asked, rule

from proxy.core.rules import default_rule
from proxy.core.splitting import Stage

NOTHING_YET = {"equal": 0, "different": 0, "not_cut": {}}


def desk() -> Desk:
    """Return a desk with two rules that split and one that does not."""
    two = splitting_rule(), splitting_rule("spare", "/spare", Stage.SHADOW)
    made = Desk(rules=(*two, rule(), default_rule()))
    made.world.engine.then(*[Shop()] * 9)
    return made


def said_of(name: str, mode: str, state: str = "running", configured: str = "on", **more: Any) -> dict[str, Any]:
    return {"rule": name, "split": {"mode": mode, "state": state, "configured": configured, **NOTHING_YET, **more}}


async def test_all_rules_that_split_are_told() -> None:
    told = await desk().numbers("rollout")
    assert told == {"rules": [said_of("shop", "on"), said_of("spare", "shadow", configured="shadow")]}


async def test_a_rule_is_told_with_what_was_found_of_it() -> None:
    here = desk()
    await here.world.ask(asked("/spare?ids=1,2"))
    await here.world.ask(asked("/spare?ids=1,,2"))
    await here.world.landed()
    told = await here.numbers("rollout/spare")
    assert told == said_of("spare", "shadow", configured="shadow", equal=1, not_cut={"split_syntax": 1})


SETS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "off": ("off", said_of("shop", "off", "off")),
    "shadow": ("shadow", said_of("shop", "shadow")),
    "on": ("on", said_of("shop", "on")),
    "as configured": (None, said_of("shop", "on")),
}


@pytest.mark.parametrize(("mode", "told"), SETS.values(), ids=SETS)
async def test_what_is_set_is_told_and_logged(mode: str | None, told: dict[str, Any]) -> None:
    here = desk()
    said = await here.send("rollout/shop", {"split": {"mode": mode}})
    assert (said.status, said.json()) == (200, told)
    assert await here.numbers("rollout/shop") == told
    assert await here.numbers("rollout/spare") == said_of("spare", "shadow", configured="shadow")
    split = told["split"]
    assert here.audited == [
        {
            "event": "decision", "client_ip": "127.0.0.1", "rule": "shop", "asked": mode or "configured",
            "mode": split["mode"], "state": split["state"],
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
    assert await here.numbers("rollout/shop") == said_of("shop", "shadow", "demoted")


@pytest.mark.parametrize("name", ["kept", "default", "another"])
async def test_a_rule_that_does_not_split_is_none(name: str) -> None:
    here = desk()
    sent = await here.send(f"rollout/{name}", {"split": {"mode": "off"}})
    for said in (sent, await here.ask(f"{PREFIX}/rollout/{name}")):
        assert said is not None
        assert (said.status, said.json()["reason"]) == (404, "unknown_name")
        assert f"no rule that splits is called '{name}'; there are: shop, spare" in said.json()["detail"]
    assert here.audited == []


WRONG: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "split: "),
    "no mode": ({"split": {}}, "split.mode: "),
    "a bare mode": ({"split": "off"}, "split: "),
    "another mode": ({"split": {"mode": "hunter2"}}, "split.mode: "),
    "a switch": ({"split": {"mode": False}}, "split.mode: "),
    "another member": ({"split": {"mode": "off"}, "hunter2": 1}, "hunter2: "),
    "one more word": ({"split": {"mode": "off", "percent": 5}}, "split.percent: "),
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
