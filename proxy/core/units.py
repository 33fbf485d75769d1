"""Read durations and sizes as people write them: `5m` → 300.0 seconds, `256MiB` → 268435456 bytes."""

import re
from typing import Final

DURATION: Final = "a duration such as 250ms, 60s, 5m, 24h"
SIZE: Final = "a size such as 100B, 512KiB, 10MB, 256MiB"

SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES: Final = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}

# Twelve digits are 31 thousand years or a million terabytes: more is a slip, and would not fit a float or a counter.
DURATION_PATTERN: Final = rf"([0-9]{{1,12}}(?:\.[0-9]{{1,6}})?)({'|'.join(SECONDS)})"
SIZE_PATTERN: Final = rf"([0-9]{{1,12}})({'|'.join(BYTES)})"


def parse_duration(text: object) -> float:
    """Read a duration and return seconds; only 0 may stand without its unit.

    Raises:
        ValueError: its message says what is allowed.
    """
    if _is_zero(text):
        return 0.0
    found = re.fullmatch(DURATION_PATTERN, text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(DURATION)
    return float(found[1]) * SECONDS[found[2]]


def parse_size(text: object) -> int:
    """Read a size and return bytes; only 0 may stand without its unit.

    Raises:
        ValueError: its message says what is allowed.
    """
    if _is_zero(text):
        return 0
    found = re.fullmatch(SIZE_PATTERN, text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(SIZE)
    return int(found[1]) * BYTES[found[2]]


def _is_zero(text: object) -> bool:
    # `False == 0` in Python, but not in a config
    return text == "0" or (type(text) is int and text == 0)
