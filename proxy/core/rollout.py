"""How far a feature of a rule is rolled out: its stages, its share of the requests, and which requests are in it.

off → shadow (compared, never served) → canary (served to a share) → on.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Literal, get_args

from proxy.core.compare import Compare
from proxy.core.compare.bytes import Bytes
from proxy.core.types import Request

Feature = Literal["split", "normalize"]
FEATURES: Final[tuple[Feature, ...]] = get_args(Feature)
SPLIT: Final[Feature] = "split"
NORMALIZE: Final[Feature] = "normalize"
STEPS: Final = (1.0, 5.0, 25.0, 50.0, 100.0)
"""The shares of the requests, in percent, that a canary climbs through by itself."""
_SPACE = 2**64


class Stage(StrEnum):
    """How far a feature is trusted: not at all; compared with control answers; served to a share; served to all."""

    OFF = "off"
    SHADOW = "shadow"
    CANARY = "canary"
    ON = "on"


@dataclass(frozen=True, slots=True)
class Staging:
    """What the config says of one feature.

    `percent` is the share compared in shadow (None: all), or served in canary (None: it climbs by itself); `audit` the
    share of the served answers that are compared later, in percent. Requests with one value of the field `sticky` are
    in one arm; without it, those with one key.
    """

    stage: Stage
    percent: float | None = None
    audit: float = 0.0
    sticky: bytes | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit that a canary must keep to climb; `dry_run`: whether it keeps it is only told."""

    limit: float
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Gates:
    """What each step of a canary has to show before the next.

    `samples` answers that it served, in at least `time` seconds. `mismatch`: the share of all answers that may be wrong
    at the next step, by the upper bound; `errors`: how much greater its share of errors may be than control's;
    `latency`: how many times as long it may take; `in_flight`: how full the upstream may be, as a share of its limit;
    `fallbacks`: the share of its answers that may end as whole requests.
    """

    samples: int = 60
    time: float = 3600.0
    mismatch: Gate = Gate(0.01)
    errors: Gate = Gate(0.01)
    latency: Gate = Gate(1.1)
    in_flight: Gate = Gate(0.9)
    fallbacks: Gate = Gate(0.1)


@dataclass(frozen=True, slots=True)
class Trust:
    """What the config says of a rule's rollouts: its features, how answers are compared, and what that may cost.

    `budget` is how many calls a day may go upstream for comparing.
    """

    split: Staging = Staging(Stage.SHADOW)
    normalize: Staging = Staging(Stage.ON)
    compare: Compare = field(default_factory=Bytes)
    gates: Gates = field(default_factory=Gates)
    budget: int = 500

    def staging(self, feature: Feature) -> Staging:
        """Return what is said of a feature."""
        return self.split if feature == SPLIT else self.normalize


def bucket(rule: str, feature: Feature, unit: bytes) -> float:
    """Return where a unit stands, from 0 to below 100: the same always, and independent of other rules and features."""
    salt = blake2b(f"{feature} {rule}".encode()).digest()
    return int.from_bytes(blake2b(unit, key=salt, digest_size=8).digest(), "big") * 100 / _SPACE


def unit_of(staging: Staging, request: Request, key: bytes) -> bytes:
    """Return what a request's arm is drawn by: the value of the field that the config names, if it has it, or its key."""
    value = None if staging.sticky is None else request.header(staging.sticky)
    return key if value is None else b"field:" + value
