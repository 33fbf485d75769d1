"""How far a split is trusted: as configured, less where an operator or a mismatch says so, and never more by itself."""

from itertools import product

import pytest
from shop import shop_rule

from proxy.core.splitting import Stage
from proxy.rollouts import ALL, Rollouts

STAGES = (Stage.OFF, Stage.SHADOW, Stage.ON)


def rollouts(stage=Stage.ON):
    return Rollouts([shop_rule(stage)])


@pytest.mark.parametrize("stage", STAGES)
def test_it_is_as_configured_at_first(stage):
    assert rollouts(stage).stage("kept") is stage
    assert rollouts(stage).stage("another") is Stage.OFF


@pytest.mark.parametrize(("of_all", "of_rule"), [*product(STAGES, STAGES)])
def test_of_two_switches_the_lower_one_counts(of_all, of_rule):
    here = rollouts(Stage.SHADOW)
    here.set(ALL, of_all)
    here.set("kept", of_rule)
    assert here.stage("kept") is min(of_all, of_rule, key=STAGES.index)


def test_a_demoted_rule_is_compared_and_not_served_until_somebody_lifts_it():
    here = rollouts()
    assert [here.demote("kept"), here.demote("kept")] == [True, False]
    assert (here.stage("kept"), here.status("kept")["state"], here.forced("kept")) == (Stage.SHADOW, "demoted", False)
    here.set("kept", Stage.ON)
    assert here.stage("kept") is Stage.SHADOW, "still demoted"
    here.set("kept", None)
    assert (here.stage("kept"), here.status("kept")["state"], here.forced("kept")) == (Stage.ON, "running", True)


def test_what_is_set_is_told_and_what_is_heard_is_not_told_again():
    here, other, told = rollouts(), rollouts(), []
    here.tell = lambda rule, said: told.append((rule, said))
    here.set(ALL, Stage.OFF)
    here.set("kept", None)
    here.demote("kept")
    assert told == [("", "off"), ("kept", ""), ("kept", "demoted")]
    other.tell = None
    for rule, said in told:
        other.follow(rule, said)
    assert other.status("kept") == here.status("kept") == {"mode": "off", "state": "demoted", "configured": "on"}
