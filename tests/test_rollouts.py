"""The stage of each rule's features: what operators say and what mismatches show, in any order, on any clock."""

import itertools
from math import sqrt

import pytest
from fakes import NOON, FakeClock
from hypothesis import example, given
from hypothesis import strategies as st
from shop import splitting_rule
from world import rule

from proxy.core.normalize.sort_params import SortParams
from proxy.core.rollout import FEATURES, NORMALIZE, SPLIT, STEPS, Stage, Staging
from proxy.rollouts import ALL, Rollouts, Said

OFF, SHADOW, CANARY, ON = Stage
DEMOTE, HOLD, RELEASE, CLIMB = "demote", "hold", "release", "climb"
OTHER = {SPLIT: NORMALIZE, NORMALIZE: SPLIT}
A_MINUTE_S = 60.0
BY_FEATURE = pytest.mark.parametrize("feature", FEATURES)


def both_of(name, staging):
    """Return a rule that splits and normalizes, both configured so."""
    trusted = dict.fromkeys(FEATURES, staging)
    return splitting_rule(name, f"/{name}", normalizers=(SortParams(),), trusted=trusted)


def rollouts(configured=ON, clock=None, percent=None):
    """Return the rollouts of `shop`, which has both features, and of a rule that has none."""
    return Rollouts((both_of("shop", Staging(configured, percent)), rule("plain")), clock or FakeClock())


def told(made, *acts, feature=SPLIT):
    """Do what is said of `shop` or of all, one thing after another."""
    for name, word, *number in acts:
        if word is DEMOTE:
            made.demote(name, feature)
        elif word is HOLD:
            made.hold(name, feature, NOON + A_MINUTE_S)
        elif word is RELEASE:
            made.release(name, feature, NOON + A_MINUTE_S)
        elif word is CLIMB:
            made.climb(name, feature, *number)
        else:
            made.set(name, word, feature, *number)
    return made


STAGES = {
    "as configured": (ON, [], ON, True),
    "configured off, forced all the same": (OFF, [], OFF, True),
    "in shadow": (SHADOW, [], SHADOW, True),
    "canary": (CANARY, [], CANARY, True),
    "set on": (SHADOW, [("shop", ON)], ON, True),
    "set to canary": (SHADOW, [("shop", CANARY)], CANARY, True),
    "set to shadow": (ON, [("shop", SHADOW)], SHADOW, True),
    "set off: not even forced": (ON, [("shop", OFF)], OFF, False),
    "the last word counts": (ON, [("shop", OFF), ("shop", ON)], ON, True),
    "as configured again": (SHADOW, [("shop", ON), ("shop", None)], SHADOW, True),
    "the kill switch": (ON, [(ALL, OFF)], OFF, False),
    "nothing beats the kill switch": (ON, [(ALL, OFF), ("shop", ON)], OFF, False),
    "nor does all on beat one that is off": (ON, [("shop", OFF), (ALL, ON)], OFF, False),
    "of two the one that serves less": (ON, [("shop", ON), (ALL, CANARY)], CANARY, True),
    "the kill switch is let go": (ON, [(ALL, OFF), (ALL, None)], ON, True),
    "all in shadow": (ON, [(ALL, SHADOW)], SHADOW, True),
    "demoted": (ON, [("shop", DEMOTE)], SHADOW, False),
    "a canary that is demoted": (CANARY, [("shop", DEMOTE)], SHADOW, False),
    "demoted and off": (ON, [("shop", DEMOTE), (ALL, OFF)], OFF, False),
    "demoted for good, whatever is said of all": (ON, [("shop", DEMOTE), (ALL, OFF), (ALL, None), (ALL, ON)], SHADOW, False),
    "nor does it climb out of that": (CANARY, [("shop", DEMOTE), ("shop", CLIMB, 50.0)], SHADOW, False),
    "nor is it released from that": (ON, [("shop", HOLD), ("shop", DEMOTE), ("shop", RELEASE)], SHADOW, False),
    "an operator has seen to it": (ON, [("shop", DEMOTE), ("shop", ON)], ON, True),
    "so has one who lets the file decide": (ON, [("shop", DEMOTE), ("shop", None)], ON, True),
    "demoted again": (ON, [("shop", DEMOTE), ("shop", ON), ("shop", DEMOTE)], SHADOW, False),
    "held: not even forced": (ON, [("shop", HOLD)], ON, False),
    "released": (ON, [("shop", HOLD), ("shop", RELEASE)], ON, True),
    "an operator does not wait": (ON, [("shop", HOLD), ("shop", ON)], ON, True),
}  # fmt: skip


@BY_FEATURE
@pytest.mark.parametrize(("configured", "acts", "stage", "forced"), STAGES.values(), ids=STAGES)
def test_what_was_said_makes_the_stage(configured, acts, stage, forced, feature):
    """Of one feature: the other one is left alone. What a client may force is the split."""
    made = told(rollouts(configured), *acts, feature=feature)
    assert (made.stage("shop", feature), made.forced("shop")) == (stage, forced or feature != SPLIT)
    other = OTHER[feature]
    assert (made.stage("shop", other), made.generation("shop", other)) == (configured, 0)
    assert (made.is_demoted("shop", other), made.is_held("shop", other)) == (False, False)


SHARES = {
    "off": (OFF, None, [], 0.0),
    "in shadow": (SHADOW, 50.0, [], 0.0),
    "on": (ON, None, [], 100.0),
    "a canary begins at one in a hundred": (CANARY, None, [], 1.0),
    "as configured": (CANARY, 0.25, [], 0.25),
    "as set": (CANARY, 0.25, [("shop", CANARY, 7.0)], 7.0),
    "to no one": (CANARY, None, [("shop", CANARY, 0.0)], 0.0),
    "set to climb by itself": (CANARY, 0.25, [("shop", CANARY)], 1.0),
    "set for all": (CANARY, None, [(ALL, CANARY, 7.0)], 7.0),
    "the smaller of two": (ON, None, [(ALL, CANARY, 7.0), ("shop", CANARY, 50.0)], 7.0),
    "in any order": (ON, None, [("shop", CANARY, 7.0), (ALL, CANARY, 50.0)], 7.0),
    "what is on says no share": (SHADOW, None, [("shop", ON), (ALL, CANARY, 7.0)], 7.0),
    "it climbs": (CANARY, None, [("shop", CLIMB, 5.0), ("shop", CLIMB, 25.0)], 25.0),
    "and steps back": (CANARY, None, [("shop", CLIMB, 25.0), ("shop", CLIMB, 5.0)], 5.0),
    "a fixed share does not climb": (CANARY, 0.25, [("shop", CLIMB, 25.0)], 0.25),
    "who sets it begins again": (CANARY, None, [("shop", CLIMB, 25.0), ("shop", CANARY)], 1.0),
    "and climbs on from there": (CANARY, None, [("shop", CLIMB, 25.0), ("shop", CANARY), ("shop", CLIMB, 5.0)], 5.0),
    "what is said of all leaves its step": (CANARY, None, [("shop", CLIMB, 25.0), (ALL, CANARY)], 25.0),
    "demoted": (CANARY, None, [("shop", CLIMB, 25.0), ("shop", DEMOTE)], 0.0),
    "demoted and seen to": (CANARY, None, [("shop", CLIMB, 25.0), ("shop", DEMOTE), ("shop", None)], 1.0),
    "held": (ON, None, [("shop", HOLD)], 0.0),
    "held canary": (CANARY, 5.0, [("shop", HOLD)], 0.0),
    "released": (CANARY, 5.0, [("shop", HOLD), ("shop", RELEASE)], 5.0),
    "the kill switch": (CANARY, 5.0, [(ALL, OFF)], 0.0),
}  # fmt: skip


@BY_FEATURE
@pytest.mark.parametrize(("configured", "percent", "acts", "share"), SHARES.values(), ids=SHARES)
def test_what_was_said_makes_the_share_that_is_served(configured, percent, acts, share, feature):
    made = told(rollouts(configured, percent=percent), *acts, feature=feature)
    assert made.share("shop", feature) == share
    assert made.share("shop", OTHER[feature]) == rollouts(configured, percent=percent).share("shop", feature)


def test_a_rule_that_has_nothing_to_roll_out_has_no_stage():
    made = told(rollouts(), (ALL, OFF))
    assert list(made.rules) == ["shop"]
    assert ("shop" in made, "plain" in made) == (True, False)
    assert (made.stage("another"), made.forced("plain"), made.share("plain")) == (OFF, False, 0.0)


FEATURES_OF = {
    "both": (both_of("a", Staging(ON)), (SPLIT, NORMALIZE)),
    "split": (splitting_rule("a"), (SPLIT,)),
    "normalize": (rule("a", normalizers=(SortParams(),)), (NORMALIZE,)),
    "neither": (rule("a"), ()),
}


@pytest.mark.parametrize(("one", "features"), FEATURES_OF.values(), ids=FEATURES_OF)
def test_a_rule_rolls_out_what_it_has(one, features):
    made = Rollouts((one,), FakeClock())
    assert (made.features("a"), list(made.rules)) == (features, ["a"] if features else [])
    made.set(ALL, ON, SPLIT)
    assert (made.stage("a", SPLIT) is ON, made.forced("a")) == (SPLIT in features, SPLIT in features)


def test_a_new_config_counts_where_nobody_said_otherwise():
    made = told(rollouts(SHADOW), ("shop", OFF))
    for feature in (SPLIT, NORMALIZE):
        made.restage(both_of("shop", Staging(CANARY, 5.0)), feature)
    assert (made.stage("shop"), made.share("shop", NORMALIZE)) == (OFF, 5.0)


STATES = {
    "as configured": ([], {"mode": ON, "state": "running", "percent": 100.0}),
    "in shadow": ([("shop", SHADOW)], {"mode": SHADOW, "state": "running", "percent": 100.0}),
    "canary": ([("shop", CANARY)], {"mode": CANARY, "state": "running", "percent": 1.0}),
    "a fixed canary": ([("shop", CANARY, 0.25)], {"mode": CANARY, "state": "running", "percent": 0.25}),
    "held": ([("shop", CANARY, 5.0), ("shop", HOLD)], {"mode": CANARY, "state": "held", "percent": 5.0}),
    "off": ([(ALL, OFF)], {"mode": OFF, "state": "off"}),
    "off and held": ([("shop", HOLD), (ALL, OFF)], {"mode": OFF, "state": "off"}),
    "demoted": ([("shop", DEMOTE)], {"mode": SHADOW, "state": "demoted", "percent": 100.0}),
    "demoted and off": ([("shop", DEMOTE), (ALL, OFF)], {"mode": OFF, "state": "demoted"}),
}


@BY_FEATURE
@pytest.mark.parametrize(("acts", "status"), STATES.values(), ids=STATES)
def test_status(acts, status, feature):
    made = told(rollouts(), *acts, feature=feature)
    generation = made.generation("shop", feature)
    assert made.status("shop", feature) == {**status, "configured": ON, "generation": generation}
    assert (generation > 0) is (("shop", DEMOTE) in acts)


SAMPLED = {"all": (SHADOW, None, 100.0), "a share": (SHADOW, 0.01, 0.01), "none": (SHADOW, 0.0, 0.0)}
SAMPLED |= {f"what the file says of {stage} is another share": (stage, 2.5, 100.0) for stage in (OFF, CANARY, ON)}


@BY_FEATURE
@pytest.mark.parametrize(("configured", "percent", "sampled"), SAMPLED.values(), ids=SAMPLED)
def test_in_shadow_the_share_that_is_compared_is_told(configured, percent, sampled, feature):
    made = told(rollouts(configured, percent=percent), ("shop", SHADOW), feature=feature)
    assert (made.sampled("shop", feature), made.status("shop", feature)["percent"]) == (sampled, sampled)


# Holds end, steps are dated, generations only grow.


@BY_FEATURE
def test_a_hold_ends_by_itself(feature):
    clock = FakeClock()
    made = told(rollouts(clock=clock), ("shop", HOLD), feature=feature)
    held = []
    for _ in range(3):
        held.append((made.is_held("shop", feature), made.share("shop", feature)))
        clock.advance(A_MINUTE_S / 2)
    assert held == [(True, 0.0), (True, 0.0), (False, 100.0)]


def test_the_last_word_on_a_hold_counts():
    made = told(rollouts(), ("shop", HOLD), ("shop", RELEASE), ("shop", HOLD))
    assert made.is_held("shop")
    made.hold("shop", SPLIT, NOON)
    assert not made.is_held("shop")


@BY_FEATURE
def test_since_when_a_canary_is_where_it_is(feature):
    clock = FakeClock()
    made = rollouts(CANARY, clock)
    since = [made.since("shop", feature)]
    for act in [("shop", CLIMB, 5.0), ("shop", CLIMB, 25.0), ("shop", CANARY)]:
        clock.advance(A_MINUTE_S)
        told(made, act, feature=feature)
        since.append(made.since("shop", feature))
    assert since == [None, NOON + A_MINUTE_S, NOON + 2 * A_MINUTE_S, None]


@BY_FEATURE
def test_a_generation_only_grows_and_survives_whatever_is_set(feature):
    """Though the clock stand still; evidence of a demoted feature is of the generation that was demoted."""
    made, generations, epochs = rollouts(), [], []
    for act in [None, DEMOTE, ON, None, DEMOTE, OFF]:
        told(made, ("shop", act), feature=feature)
        generations.append(made.generation("shop", feature))
        epochs.append(made.epoch("shop", feature))
    nothing, first, *same, second, third = generations
    assert (nothing, same) == (0, [first, first])
    assert 0 < first < second == third
    assert epochs == [0, 0, first, first, first, second]


@given(
    st.lists(
        st.tuples(st.sampled_from(["shop", ALL]), st.sampled_from([*Stage, None, DEMOTE, HOLD, RELEASE])), max_size=12
    )
)
@example([("shop", DEMOTE), ("shop", ON)] * 3)
def test_a_generation_ends_with_a_new_demotion_and_with_nothing_else(acts):
    made = rollouts()
    for name, word in acts:
        before, is_new = made.generation("shop"), (name, word) == ("shop", DEMOTE) and not made.is_demoted("shop")
        told(made, (name, word))
        after = made.generation("shop")
        assert after > before if is_new else after == before


def test_others_come_to_the_same_generation():
    one, other = rollouts(), rollouts(clock=FakeClock(wall=NOON - 3600))
    one.tell = lambda message, _: other.follow(message)
    told(one, ("shop", DEMOTE))
    assert other.generation("shop") == one.generation("shop") > 0
    before = other.generation("shop")
    other.set("shop", ON)
    other.demote("shop")
    assert other.generation("shop") > before


AS_EVER = {
    "as configured": (ON, [], True),
    "the other feature is set": (ON, [("shop", OFF, SPLIT), ("shop", DEMOTE, SPLIT), (ALL, OFF, SPLIT)], True),
    "another rule's": (ON, [("spare", OFF, NORMALIZE)], True),
    "set, though to what it was": (ON, [("shop", ON, NORMALIZE)], False),
    "all are set": (ON, [(ALL, ON, NORMALIZE)], False),
    "held": (ON, [("shop", HOLD, NORMALIZE)], False),
    "released: the entries of before are not looked for": (ON, [("shop", HOLD, NORMALIZE), ("shop", RELEASE, NORMALIZE)], False),
    "demoted and seen to: it has a generation": (ON, [("shop", DEMOTE, NORMALIZE), ("shop", None, NORMALIZE)], False),
    "configured in shadow": (SHADOW, [], False),
    "configured as canary": (CANARY, [], False),
    "configured off": (OFF, [], False),
}  # fmt: skip


@pytest.mark.parametrize(("configured", "acts", "is_as_ever"), AS_EVER.values(), ids=AS_EVER)
def test_keys_are_as_ever_where_nothing_was_said_of_normalizing(configured, acts, is_as_ever):
    made = rollouts(configured)
    made.is_as_ever("shop")  # what it remembers does not outlive what is said
    for name, word, feature in acts:
        told(made, (name, word), feature=feature)
    assert made.is_as_ever("shop") is is_as_ever


def test_a_new_config_may_change_whether_keys_are_as_ever():
    made = rollouts(ON)
    assert made.is_as_ever("shop")
    made.restage(both_of("shop", Staging(SHADOW)), NORMALIZE)
    assert not made.is_as_ever("shop")


# What is said reaches the others.

SAYING = st.builds(
    lambda rule, feature, word, at, number: Said(rule, feature, word, at, number or (1.0 if word in {"held", "step"} else None)),
    st.sampled_from(["shop", ALL]), st.sampled_from(FEATURES),
    st.sampled_from([*map(str, Stage), "configured", "demoted", "held", "released", "step"]),
    st.floats(0, 1e10), st.floats(0, 1e10) | st.none(),
)  # fmt: skip


@given(SAYING)
def test_what_is_told_is_read_as_it_was_meant(said):
    assert Said.read(said.message) == said


MESSAGES = {
    "set": (("shop", OFF), b"1000000000.0 off split shop", "set split shop"),
    "as configured": (("shop", None), b"1000000000.0 configured split shop", "set split shop"),
    "for all": ((ALL, OFF), b"1000000000.0 off split ", "set split "),
    "canary": (("shop", CANARY), b"1000000000.0 canary split shop", "set split shop"),
    "a share": (("shop", CANARY, 0.25), b"1000000000.0 canary=0.25 split shop", "set split shop"),
    "a share of what is no canary": (("shop", ON, 0.25), b"1000000000.0 on split shop", "set split shop"),
    "demoted": (("shop", DEMOTE), b"1000000000.0 demoted=0.0 split shop", "demoted split shop"),
    "held": (("shop", HOLD), b"1000000000.0 held=1000000060.0 split shop", "held split shop"),
    "a step": (("shop", CLIMB, 5.0), b"1000000000.0 step=5.0 split shop", "step split shop"),
}


@BY_FEATURE
@pytest.mark.parametrize(("act", "message", "kind"), MESSAGES.values(), ids=MESSAGES)
def test_what_is_told(act, message, kind, feature):
    made, messages = rollouts(), []
    made.tell = lambda *told: messages.append(told)
    told(made, act, feature=feature)
    assert messages == [(message.replace(b"split", feature.encode()), kind.replace("split", feature))]


def test_the_end_of_a_hold_is_told_by_who_holds():
    made, messages = rollouts(), []
    made.hold("shop", SPLIT, NOON + A_MINUTE_S)
    made.tell = lambda message, kind: messages.append((message, kind))
    for until in (NOON + 1, None, NOON + A_MINUTE_S):
        made.release("shop", SPLIT, until)
    assert messages == [(b"1000000000.001 released split shop", "held split shop")]


def test_a_demotion_is_told_once():
    made, messages = rollouts(), []
    made.tell = lambda message, kind: messages.append(kind)
    assert (made.demote("shop"), made.demote("shop")) == (True, False)
    assert messages == ["demoted split shop"]


@BY_FEATURE
def test_what_one_says_the_other_does(feature):
    one, other = rollouts(), rollouts()
    one.tell = lambda message, _: other.follow(message)
    for act in [
        ("shop", OFF),
        (ALL, OFF),
        ("shop", CANARY),
        (ALL, None),
        ("shop", CLIMB, 5.0),
        ("shop", HOLD),
        ("shop", RELEASE),
        ("shop", DEMOTE),
        ("shop", SHADOW),
        ("shop", CANARY, 0.25),
        ("shop", None),
    ]:
        told(one, act, feature=feature)
        assert other.told() == one.told()
        for name in FEATURES:
            assert other.status("shop", name) == one.status("shop", name)
        assert other.share("shop", feature) == one.share("shop", feature)


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


WORDS = ["off", "shadow", "canary", "canary=5.0", "canary=50.0", "on", "configured", "demoted=0.0", "demoted=1.0"]
WORDS += ["held=1000000060.0", "held=1.0", "released", "step=5.0", "step=25.0"]
SAID = st.builds(
    lambda at, word, feature, name: f"{at}.0 {word} {feature} {name}".encode(),
    st.integers(0, 3), st.sampled_from(WORDS), st.sampled_from(FEATURES), st.sampled_from(["shop", ALL]),
)  # fmt: skip


@given(st.lists(SAID, max_size=4))
def test_whatever_the_order_all_end_up_with_the_same(messages):
    """Also of what was said in the same moment; and what one knows is all that the next one needs."""
    ends = set()
    for order in itertools.permutations(messages):
        made, late = rollouts(CANARY), rollouts(CANARY)
        for message in order:
            made.follow(message)
        for message in made.told().values():
            late.follow(message)
        seen = [
            (*one.status("shop", feature).items(), one.share("shop", feature), one.epoch("shop", feature))
            for one in (made, late)
            for feature in FEATURES
        ]
        assert (seen[:2], made.told()) == (seen[2:], late.told())
        ends.add((made.forced("shop"), made.is_as_ever("shop"), *seen[:2], *sorted(made.told().items())))
    assert len(ends) == 1


AT_ONCE = {
    "stages": (("off", "canary=5.0", "on", "shadow", "configured"), OFF, 0.0),
    "shares": (("canary=5.0", "canary=0.5", "canary", "canary=50.0"), CANARY, 0.5),
    "steps": (("step=5.0", "step=1.5", "step=25.0"), CANARY, 1.5),
    "a hold and its end": (("released", "held=1000000060.0"), CANARY, 0.0),
    "holds: the longer one": (("held=1.0", "held=1000000060.0", "held=2.0"), CANARY, 0.0),
}


@pytest.mark.parametrize(("words", "stage", "share"), AT_ONCE.values(), ids=AT_ONCE)
def test_of_two_words_at_once_the_safer_counts(words, stage, share):
    for order in itertools.permutations(words):
        made = rollouts(CANARY)
        for word in order:
            made.follow(f"5.0 {word} split shop".encode())
        assert (made.stage("shop"), made.share("shop")) == (stage, share)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"off",
        b"1.0 off shop",
        b"x off split shop",
        b"inf off split shop",
        b"nan off split shop",
        b"1.0 half split shop",
        b"1.0 off merge shop",
        b"1.0 off split a b",
        b"1.0 off split \xff",
        b"1.0 step split shop",
        b"1.0 held split shop",
        b"1.0 canary= split shop",
        b"1.0 canary=few split shop",
        b"1.0 step=nan split shop",
        b"1.0 held=inf split shop",
    ],
)
def test_what_is_no_message_changes_nothing(message):
    made = rollouts()
    made.follow(message)
    assert (made.told(), made.stage("shop")) == ({}, ON)


# Who is served.

UNITS = [b"%d" % number for number in range(100_000)]
UNIT = st.binary(max_size=40)
PERCENT = st.floats(0, 100)


def canary(percent, name="shop"):
    return Rollouts((both_of(name, Staging(CANARY, percent)),), FakeClock())


@BY_FEATURE
@given(unit=UNIT, percent=PERCENT)
def test_whoever_is_served_once_is_served_again_by_any_process(feature, unit, percent):
    taken = {canary(percent).takes("shop", feature, unit) for _ in range(2)}
    assert len(taken) == 1


@BY_FEATURE
@given(unit=UNIT, percents=st.lists(PERCENT, min_size=2, max_size=6))
def test_a_larger_share_takes_nobody_away(feature, unit, percents):
    taken = [canary(percent).takes("shop", feature, unit) for percent in sorted(percents)]
    assert taken == sorted(taken)


@given(UNIT)
def test_who_climbs_takes_nobody_away(unit):
    made, taken = rollouts(CANARY), []
    for step in STEPS:
        made.climb("shop", SPLIT, step)
        taken.append(made.takes("shop", SPLIT, unit))
    assert taken == sorted(taken)
    assert taken[-1]


@pytest.mark.parametrize("stage", [OFF, SHADOW])
@given(unit=UNIT)
def test_nobody_is_served_before_a_canary_and_all_are_in_the_end(stage, unit):
    assert not rollouts(stage).takes("shop", SPLIT, unit)
    assert rollouts(ON).takes("shop", SPLIT, unit)
    assert not told(rollouts(ON), ("shop", HOLD)).takes("shop", SPLIT, unit)


@pytest.mark.parametrize("percent", [0.01, 1.0, 99.99])
def test_so_many_are_served_to_a_hundredth_of_a_percent(percent):
    taken, share = sum(canary(percent).takes("shop", SPLIT, unit) for unit in UNITS), percent / 100
    planned = len(UNITS) * share
    assert abs(taken - planned) <= 4 * sqrt(planned * (1 - share))


PAIRS = {
    "rules": (("shop", SPLIT), ("spare", SPLIT)),
    "features": (("shop", SPLIT), ("shop", NORMALIZE)),
    "both": (("shop", SPLIT), ("spare", NORMALIZE)),
}


@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS)
def test_who_is_served_one_thing_is_not_likelier_to_be_served_another(one, other):
    taken = []
    for name, feature in (one, other):
        made = canary(50.0, name)
        taken.append([made.takes(name, feature, unit) for unit in UNITS])
    both = sum(left and right for left, right in zip(*taken, strict=True))
    assert abs(both - len(UNITS) / 4) <= 4 * sqrt(len(UNITS) * 3 / 16)
