"""The stage of each rule: what operators say and what mismatches show, in any order, on any clock."""

import itertools

import pytest
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st
from shop import splitting_rule
from world import rule

from proxy.core.splitting import Stage
from proxy.rollouts import ALL, Rollouts

OFF, SHADOW, ON = Stage.OFF, Stage.SHADOW, Stage.ON
DEMOTE = "demote"


def rollouts(configured=ON, clock=None):
    return Rollouts((splitting_rule("shop", stage=configured), rule("plain")), clock or FakeClock())


def told(made, *acts):
    """Do what is said of `shop` or of all, one thing after another."""
    for name, stage in acts:
        if stage is DEMOTE:
            made.demote(name)
        else:
            made.set(name, stage)
    return made


STAGES = {
    "as configured": (ON, [], ON, True),
    "configured off, forced all the same": (OFF, [], OFF, True),
    "in shadow": (SHADOW, [], SHADOW, True),
    "set on": (SHADOW, [("shop", ON)], ON, True),
    "set to shadow": (ON, [("shop", SHADOW)], SHADOW, True),
    "set off: not even forced": (ON, [("shop", OFF)], OFF, False),
    "the last word counts": (ON, [("shop", OFF), ("shop", ON)], ON, True),
    "as configured again": (SHADOW, [("shop", ON), ("shop", None)], SHADOW, True),
    "the kill switch": (ON, [(ALL, OFF)], OFF, False),
    "nothing beats the kill switch": (ON, [(ALL, OFF), ("shop", ON)], OFF, False),
    "nor does all on beat one that is off": (ON, [("shop", OFF), (ALL, ON)], OFF, False),
    "the kill switch is let go": (ON, [(ALL, OFF), (ALL, None)], ON, True),
    "all in shadow": (ON, [(ALL, SHADOW)], SHADOW, True),
    "demoted": (ON, [("shop", DEMOTE)], SHADOW, False),
    "demoted and off": (ON, [("shop", DEMOTE), (ALL, OFF)], OFF, False),
    "demoted for good, whatever is said of all": (ON, [("shop", DEMOTE), (ALL, OFF), (ALL, None), (ALL, ON)], SHADOW, False),
    "an operator has seen to it": (ON, [("shop", DEMOTE), ("shop", ON)], ON, True),
    "so has one who lets the file decide": (ON, [("shop", DEMOTE), ("shop", None)], ON, True),
    "demoted again": (ON, [("shop", DEMOTE), ("shop", ON), ("shop", DEMOTE)], SHADOW, False),
}  # fmt: skip


@pytest.mark.parametrize(("configured", "acts", "stage", "forced"), STAGES.values(), ids=STAGES)
def test_what_was_said_makes_the_stage(configured, acts, stage, forced):
    made = told(rollouts(configured), *acts)
    assert (made.stage("shop"), made.forced("shop")) == (stage, forced)


def test_a_rule_that_does_not_split_has_no_stage():
    made = told(rollouts(), (ALL, OFF))
    assert list(made.rules) == ["shop"]
    assert ("shop" in made, "plain" in made) == (True, False)
    assert (made.stage("another"), made.forced("plain")) == (OFF, False)


STATES = {
    "as configured": ([], {"mode": ON, "state": "running"}),
    "in shadow": ([("shop", SHADOW)], {"mode": SHADOW, "state": "running"}),
    "off": ([(ALL, OFF)], {"mode": OFF, "state": "off"}),
    "demoted": ([("shop", DEMOTE)], {"mode": SHADOW, "state": "demoted"}),
    "demoted and off": ([("shop", DEMOTE), (ALL, OFF)], {"mode": OFF, "state": "demoted"}),
}


@pytest.mark.parametrize(("acts", "status"), STATES.values(), ids=STATES)
def test_status(acts, status):
    assert told(rollouts(), *acts).status("shop") == {**status, "configured": ON}


def test_a_demotion_is_told_once():
    made, messages = rollouts(), []
    made.tell = lambda message, kind: messages.append((message, kind))
    assert (made.demote("shop"), made.demote("shop")) == (True, False)
    assert messages == [(b"1000000000.0 demoted shop", "demoted shop")]


def test_what_one_says_the_other_does():
    one, other = rollouts(), rollouts()
    one.tell = lambda message, _: other.follow(message)
    for act in [
        ("shop", OFF),
        (ALL, OFF),
        ("shop", ON),
        (ALL, None),
        ("shop", DEMOTE),
        ("shop", SHADOW),
        ("shop", None),
    ]:
        told(one, act)
        assert (other.stage("shop"), other.told()) == (one.stage("shop"), one.told())


def test_a_word_against_a_faster_clock_counts():
    """Another machine's clock must not keep a kill switch from working."""
    fast, slow = rollouts(clock=FakeClock(wall=2e9)), rollouts(clock=FakeClock(wall=1e9))
    fast.tell, slow.tell = (lambda message, _: slow.follow(message)), (lambda message, _: fast.follow(message))
    for act in [("shop", ON), ("shop", DEMOTE)]:
        told(fast, act)
    told(slow, ("shop", ON))
    assert (fast.stage("shop"), slow.stage("shop")) == (ON, ON)
    told(slow, ("shop", OFF))
    assert (fast.stage("shop"), slow.stage("shop")) == (OFF, OFF)


WORDS = ["off", "shadow", "on", "configured", "demoted"]
SAID = st.builds(
    lambda at, word, name: f"{at}.0 {word} {name}".encode(),
    st.integers(0, 3), st.sampled_from(WORDS), st.sampled_from(["shop", ALL]),
)  # fmt: skip


@given(st.lists(SAID, max_size=4))
def test_whatever_the_order_all_end_up_with_the_same(messages):
    """Also of what was said in the same moment; and what one knows is all that the next one needs."""
    ends = set()
    for order in itertools.permutations(messages):
        made, late = rollouts(), rollouts()
        for message in order:
            made.follow(message)
        for message in made.told().values():
            late.follow(message)
        assert (late.stage("shop"), late.told()) == (made.stage("shop"), made.told())
        ends.add((made.stage("shop"), made.forced("shop"), tuple(sorted(made.told().items()))))
    assert len(ends) == 1


def test_of_two_words_at_once_the_safer_counts():
    made = rollouts()
    for word in ("off", "on", "configured"):
        made.follow(f"5.0 {word} shop".encode())
    assert made.stage("shop") is OFF


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"off",
        b"x off shop",
        b"inf off shop",
        b"nan off shop",
        b"1.0 canary shop",
        b"1.0 off a b",
        b"1.0 \xff shop",
    ],
)
def test_what_is_no_message_changes_nothing(message):
    made = rollouts()
    made.follow(message)
    assert (made.told(), made.stage("shop")) == ({}, ON)
