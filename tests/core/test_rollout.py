"""Where a unit stands in a rollout, and what it is: the same for everybody, and by nothing but its name."""

from dataclasses import FrozenInstanceError, asdict
from math import sqrt
from statistics import correlation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.compare.bytes import Bytes
from proxy.core.rollout import FEATURES, NORMALIZE, SPLIT, STEPS, Gate, Gates, Stage, Staging, Trust, bucket, unit_of
from proxy.core.types import Request

UNITS = [b"%d" % number for number in range(100_000)]
NAMES = st.text(min_size=1, max_size=20)
UNIT = st.binary(max_size=60)


@pytest.fixture(scope="module")
def buckets():
    """Return where all units stand, of two rules and two features."""
    return {
        (rule, feature): [bucket(rule, feature, unit) for unit in UNITS]
        for rule in ("shop", "spare")
        for feature in FEATURES
    }


@given(NAMES, st.sampled_from(FEATURES), UNIT)
def test_a_bucket_is_the_same_always_and_within_all(rule, feature, unit):
    found = bucket(rule, feature, unit)
    assert bucket(rule, feature, unit) == found
    assert 0 <= found < 100


PLANNED = [0.01, 0.02, 0.1, 1.0, 5.0, 25.0, 50.0, 99.99]


@pytest.mark.parametrize("percent", PLANNED)
def test_below_a_percentage_are_so_many_to_a_hundredth(buckets, percent):
    """Within four standard deviations of what chance would give."""
    share = percent / 100
    for found in buckets.values():
        below = sum(one < percent for one in found)
        assert abs(below - len(UNITS) * share) <= 4 * sqrt(len(UNITS) * share * (1 - share))


def test_rules_and_features_are_independent(buckets):
    names = list(buckets)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            assert abs(correlation(buckets[one], buckets[other])) < 4 / sqrt(len(UNITS)), (one, other)


def test_a_long_unit_counts_to_its_last_byte():
    first, second = (bucket("shop", SPLIT, b"a" * 10_000 + end) for end in (b"1", b"2"))
    assert first != second


def asks(*fields):
    return Request("GET", b"/shop", fields)


USER = (b"x-user", b"anna")
BY = {
    "its key": (None, asks(USER), b"key"),
    "the field that is named": (b"x-user", asks(USER), b"field:anna"),
    "an empty one too": (b"x-user", asks((b"x-user", b"")), b"field:"),
    "its key where it has no such field": (b"x-user", asks((b"x-other", b"anna")), b"key"),
}


@pytest.mark.parametrize(("sticky", "request_", "unit"), BY.values(), ids=BY)
def test_what_an_arm_is_drawn_by(sticky, request_, unit):
    assert unit_of(Staging(Stage.CANARY, sticky=sticky), request_, b"key") == unit


def test_requests_with_one_value_are_served_alike_whatever_they_ask():
    staging = Staging(Stage.CANARY, sticky=b"x-user")
    assert unit_of(staging, asks(USER), b"one") == unit_of(staging, asks(USER), b"another")


def test_each_feature_has_its_staging():
    split, normalize = Staging(Stage.CANARY, 5.0), Staging(Stage.OFF)
    trust = Trust(split=split, normalize=normalize)
    assert (trust.staging(SPLIT), trust.staging(NORMALIZE)) == (split, normalize)


def test_what_nobody_configured_is_careful():
    """A split is compared only; a canary climbs by itself, and shows at each step what is asked of it."""
    trust = Trust()
    assert (trust.split.stage, trust.normalize.stage, trust.compare) == (Stage.SHADOW, Stage.ON, Bytes())
    assert trust.budget == 500
    assert trust.gates == Gates()
    assert (Staging(Stage.CANARY).percent, Staging(Stage.CANARY).audit) == (None, 0.0)


def test_what_a_canary_has_to_show_where_nobody_says_otherwise():
    assert Gates() == Gates(
        samples=60, time=3600.0, mismatch=Gate(0.01, False), errors=Gate(0.01, False), latency=Gate(1.1, False),
        in_flight=Gate(0.9, False), fallbacks=Gate(0.1, False),
    )  # fmt: skip


def test_a_canary_climbs_in_five_steps():
    assert STEPS == (1.0, 5.0, 25.0, 50.0, 100.0)


@pytest.mark.parametrize("made", [Staging(Stage.ON), Gate(1.0), Gates(), Trust()], ids=lambda made: type(made).__name__)
def test_what_the_config_says_does_not_change(made):
    for name in asdict(made):
        with pytest.raises(FrozenInstanceError):
            setattr(made, name, None)
