"""Durations and sizes carry their units; nothing is guessed."""

import pytest

from proxy.core.units import parse_duration, parse_size

DURATIONS = {
    "250ms": 0.25,
    "1ms": 0.001,
    "60s": 60.0,
    "0.5s": 0.5,
    "5m": 300.0,
    "24h": 86400.0,
    "1.5h": 5400.0,
    "7d": 604800.0,
    "0s": 0.0,
    "0": 0.0,
    0: 0.0,
}

SIZES = {
    "100B": 100,
    "512KiB": 524288,
    "256MiB": 268435456,
    "2GiB": 2147483648,
    "1TiB": 1099511627776,
    "10KB": 10000,
    "10MB": 10000000,
    "1GB": 1000000000,
    "1TB": 1000000000000,
    "0MiB": 0,
    "0": 0,
    0: 0,
}

# a bare number, a sign, white space, an unknown unit, two units, digits of another script, what is not text
NEITHER = ["", "60", 60, 1.5, "-5s", "+5s", "5 m", " 5m", "5m\n", "5x", "5", "s", "1h30m", "٣s", "٣B", "1e3s", "1e3B"]
NOTHING = [None, True, False, 0.0, [], {}, ["5m"], "9" * 400 + "s", "9" * 400 + "B"]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_a_duration_is_read_as_seconds(text: object, seconds: float) -> None:
    """Every unit from ms to d."""
    assert parse_duration(text) == pytest.approx(seconds)
    assert isinstance(parse_duration(text), float)


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_a_size_is_read_as_bytes(text: object, size: int) -> None:
    """Every unit from B to TiB, in thousands and in 1024s."""
    assert parse_size(text) == size
    assert isinstance(parse_size(text), int)


@pytest.mark.parametrize("text", [*NEITHER, *NOTHING, "5B", "5S", "5M", "5MIN"])
def test_what_is_no_duration_is_told_what_is_allowed(text: object) -> None:
    """The message is the `allowed` part of a finding."""
    with pytest.raises(ValueError, match=r"^a duration such as 250ms, 60s, 5m, 24h$"):
        parse_duration(text)


@pytest.mark.parametrize("text", [*NEITHER, *NOTHING, "5s", "5mib", "5Mib", "5kB", "1.5MiB"])
def test_what_is_no_size_is_told_what_is_allowed(text: object) -> None:
    """The message is the `allowed` part of a finding."""
    with pytest.raises(ValueError, match=r"^a size such as 100B, 512KiB, 10MB, 256MiB$"):
        parse_size(text)
