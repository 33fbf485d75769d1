"""The shape of a rule's `rollout`: how far its features are trusted, and what they have to show for more."""

from typing import Annotated

from proxy import config_values as values
from proxy.core.compare.bytes import Bytes
from proxy.plugins import Plugin
from proxy.shape import Shape

Mode = Annotated[str, values.words("off", "shadow", "canary", "on")]
Share = Annotated[float, values.SHARE]


class Split(Shape):
    """How far the split is rolled out."""

    mode: Mode = "shadow"
    """off; shadow: compared with whole answers; canary: served to a share of the requests; on: served."""
    percent: Share | None = None
    """The share that is compared in shadow (all), or served as canary; without it a canary climbs by itself."""
    audit: Share = 1.0
    """The share of the served answers that are compared with whole ones, once there is evidence enough; 1."""
    sticky: Annotated[str, values.FIELD] | None = None
    """Requests with one value of this field are all served alike; without it, those with one key."""


class Normalize(Shape):
    """How far the normalized key is rolled out."""

    mode: Mode = "on"
    """off: each spelling has a key of its own; shadow: so too, and compared; canary: for a share of the keys; on."""
    percent: Share | None = None
    audit: Share = 1.0
    """The share of the hits that are asked for again as they were spelled, and compared; 1."""
    sticky: Annotated[str, values.FIELD] | None = None


class Gate(Shape):
    """What a canary may not exceed."""

    dry_run: Annotated[bool, values.TRUTH] = False
    """true: it is only told."""


class ShareGate(Gate):
    """A share that a canary may not exceed."""

    short = ("limit",)
    limit: Annotated[float, values.PERCENT]


class RatioGate(Gate):
    """A ratio that a canary may not exceed."""

    short = ("limit",)
    limit: Annotated[float, values.RATIO]


class Gates(Shape):
    """What a canary that climbs by itself has to show at each step."""

    samples: Annotated[int, values.whole(1, 1_000_000)] = 60
    """So many answers at least; 60."""
    time: Annotated[float, values.DURATION] = 3600.0
    """For so long at least; 1h."""
    mismatch: ShareGate = ShareGate.model_validate("1%")
    """Of all answers at the next step, so many may be wrong by the upper bound; 1%."""
    errors: ShareGate = ShareGate.model_validate("1%")
    """So many more may be errors; 1%."""
    latency: RatioGate = RatioGate.model_validate(1.1)
    """So many times as long may they take; 1.1."""
    in_flight: ShareGate = ShareGate.model_validate("90%")
    """So full may the upstream be on average; 90%."""
    fallbacks: ShareGate = ShareGate.model_validate("10%")
    """So many may end as whole requests; 10%."""


class Rollout(Shape):
    """How far this rule's changes are rolled out, and how that is watched."""

    split: Split = Split()
    normalize: Normalize = Normalize()
    compare: Annotated[Plugin, values.plugin("compare")] = Plugin("bytes", Bytes())
    """How answers are compared: bytes, json or {json_semantic: {…}}."""
    gates: Gates = Gates()
    budget: Annotated[int, values.whole(0, 10_000_000)] = 500
    """Calls a day that may go upstream for comparing; 500."""
