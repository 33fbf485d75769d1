"""What was counted, as plain numbers."""

from proxy.admin import shown
from proxy.core.histogram import Histogram
from proxy.core.operation import Operation


def test_nothing_counted_is_told_in_zeros() -> None:
    told = shown.operation(Operation())
    assert (told["n"], told["p99_s"], told["by_outcome"], told["hit_ratio"], told["errors"]) == (
        0, 0.0, {}, 0.0, {"client": 0, "upstream": 0, "proxy": 0},
    )  # fmt: skip
    assert {"split", "would", "by_arm"}.isdisjoint(told)


def test_seconds_are_rounded_to_microseconds() -> None:
    timings = Histogram()
    timings.add(1 / 3)
    assert shown.counted(timings)["max_s"] == 0.333333


def test_a_trend_of_nothing_is_flat() -> None:
    told = shown.trend(Operation(), Operation())
    assert {one["change"] for one in told.values()} == {0}
