"""What several processes have counted, put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from proxy.core.detail import Details
from proxy.core.history import Grain, Span, Window
from proxy.core.operation import Operations
from proxy.core.tally import Held, Spans, Tally, counting, spans_of, summed

STILL_THERE_S: Final = 30.0
"""How often a process that counts nothing says that it is there."""
_LATE_S = 2.0
_SUMS = ("entries", "bytes", "limit_bytes")


@dataclass(frozen=True, slots=True)
class Census:
    """What all have counted; `here` is what the processes of this machine have, `window` a length of time until now.

    Of this machine's processes are also `workers`, `evictions`, `waiting`, `in_flight` (what each counts for itself), and how they fared when they last read their config: `reloaded_at` is when all of them could use it.

    `trend`: the part of the window that is over, and as long a time before; None where not all of that is known.
    `arms`: what holds timings by arm, of the window or of its last hour. Nothing is kept of the window from before `kept_since`, in wall-clock seconds.
    """

    operations: Operations
    here: Operations
    details: Details
    since: float
    processes: int
    workers: int = 1
    held: tuple[Held, ...] = ()
    evictions: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    in_flight: int = 0
    reload_failed: bool = False
    reloaded_at: float = 0.0
    window: Operations = field(default_factory=Operations)
    trend: tuple[Operations, Operations] | None = None
    arms: Operations = field(default_factory=Operations)
    kept_since: float = 0.0
    lines: list[dict[str, Any]] = field(default_factory=list)
    lines_since: str = ""
    """The timestamp from which on none is missing: of the last ones, each process keeps only so many."""


def census(
    name: str,
    own: Tally,
    others: Mapping[str, Tally],
    rings: Mapping[str, Mapping[str, Spans]],
    window: Window | None,
    lines: list[dict[str, Any]],
) -> Census:
    """Put together what all have told."""
    tallies = counting({**others, name: own})
    everywhere, here, details = Operations(), Operations(), Details()
    for one in tallies.values():
        everywhere.merge(one.operations)
        everywhere.merge(one.far)
        details.merge(one.details)
        if one.machine == own.machine:
            here.merge(one.operations)
    alive = [own, *[one for one in others.values() if is_alive(one, own.at)]]
    alive_here = [one for one in alive if one.machine == own.machine]
    found = Census(
        everywhere, here, details, min(one.since for one in (own, *tallies.values())), len(alive), len(alive_here),
        held_by(own, alive), summed(one.evictions for one in tallies.values() if one.machine == own.machine),
        summed(one.waiting for one in alive_here), sum(one.in_flight for one in alive_here), any(one.reload_failed for one in alive_here),
        min(one.reloaded_at for one in alive_here), lines=lines,
    )  # fmt: skip
    if window is None:
        return found
    grain = window.grain
    spans = _spans(tallies, rings, grain)
    closed, until_now = window.closed.of(spans), Window(window.seconds, grain, window.last, window.last).of(spans)
    kept_since = max(found.since, *(one.kept_from.get(grain.word, 0) * grain.width_s for one in tallies.values()))
    reaches_back = window.before.first >= window.last - grain.keeps and window.before.since >= kept_since
    trend = (closed, window.before.of(spans)) if reaches_back else None
    until_now.merge(closed)
    arms = until_now
    if not grain.arms:
        recent = window.with_arms(own.at)
        arms = recent.of(_spans(tallies, rings, recent.grain))
    return replace(found, window=until_now, trend=trend, arms=arms, kept_since=max(kept_since, window.since))


def _spans(
    tallies: Mapping[str, Tally], rings: Mapping[str, Mapping[str, Spans]], grain: Grain
) -> list[tuple[int, Span]]:
    return [span for name, one in tallies.items() for span in spans_of(one, rings.get(name, {}), grain.word)]


def is_alive(tally: Tally, now: float) -> bool:
    """Tell whether a process has told that it is there within the time in which it should have."""
    return not tally.left and abs(now - tally.at) <= STILL_THERE_S + _LATE_S


def held_by(own: Tally, alive: Sequence[Tally]) -> tuple[Held, ...]:
    """Return what is held by store: a shared one as this process sees it, of others the sum over the processes."""
    found = []
    for one in own.held:
        same = [held for tally in alive for held in tally.held if held.name == one.name]
        is_well = all(held.is_well for held in same)
        if one.shared:
            found.append(replace(one, is_well=is_well))
        else:
            entries, size, limit = (sum(getattr(held, name) for held in same) for name in _SUMS)
            found.append(Held(one.name, entries, size, limit, is_well=is_well))
    return tuple(found)
