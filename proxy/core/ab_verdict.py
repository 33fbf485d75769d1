"""What a report on two arms comes to: promote, hold, rollback or inconclusive, and one sentence with the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from proxy.core.gates import ENOUGH_RATIOS
from proxy.core.rollout import NORMALIZE

Verdict = Literal["promote", "hold", "rollback", "inconclusive"]

MIN_CLEAN: Final = 60
"""So many pairs have to agree before a feature is trusted."""
MOST_RATIO: Final = 1.1
"""What takes longer than so many times control's seconds is slower."""
DEMOTED: Final = "demoted"


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and the sentence that says why."""

    verdict: Verdict
    why: str


def verdict(found: Mapping[str, Any]) -> Judged:
    """Return what a report comes to; what is wrong comes before what is missing, and that before what is slow."""
    for judge in (_wrong, _few, _uneven, _slow):
        if (judged := judge(found)) is not None:
            return judged
    return Judged("promote", f"promote: {_all(found)}")


def _wrong(found: Mapping[str, Any]) -> Judged | None:
    every = found["correctness"]["all"]
    if every["differ"]:
        share = f"{every['differ']:,} of {every['of']:,} compared {_name(found)} answers differ"
        return Judged("rollback", f"rollback: {share}, {_exposed(found)}, {_noise(found)}")
    if found["status"].get("state") == DEMOTED:
        return Judged("rollback", f"rollback: it is demoted since an answer differed; since then {_all(found)}")
    return None


def _few(found: Mapping[str, Any]) -> Judged | None:
    clean = found["correctness"]["pairs"]["of"]
    if clean < MIN_CLEAN:
        more = MIN_CLEAN - clean
        pairs = f"{clean:,} pair{'' if clean == 1 else 's'} agree{'s' if clean == 1 else ''}"
        return Judged("hold", f"hold: {pairs}, {more} more {'is' if more == 1 else 'are'} needed ({_noise(found)})")
    return None


def _uneven(found: Mapping[str, Any]) -> Judged | None:
    """Trust no comparison of arms that are not the sizes that were planned: something keeps requests out of one."""
    return Judged("inconclusive", f"inconclusive: {_all(found)}") if _unplanned(found) else None


def _slow(found: Mapping[str, Any]) -> Judged | None:
    """Judge by times: what a split is good for. A normalized key makes more hits, no quicker answers."""
    ratio = _ratio(found)
    if found["feature"] == NORMALIZE:
        return None
    if ratio is None:
        return Judged("hold", f"hold: no times to compare yet; {_differ(found)}, {_noise(found)}")
    if ratio["low"] <= 1 <= ratio["high"]:
        return Judged("inconclusive", f"inconclusive: {_all(found)}")
    if ratio["value"] > MOST_RATIO:
        return Judged("hold", f"hold: {_name(found)} is slower: {_all(found)}")
    return None


def _ratio(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the ratio that counts: the pairs' if there are enough, as they differ in nothing else, or the medians'."""
    effect = found["effect"]
    paired: Mapping[str, Any] | None = effect.get("paired_ratio")
    unpaired: Mapping[str, Any] | None = effect.get("p50_ratio")
    return paired if paired is not None and paired["n"] >= ENOUGH_RATIOS else unpaired


def _all(found: Mapping[str, Any]) -> str:
    return ", ".join([*_times(found), _differ(found), _noise(found), *_unplanned(found)])


def _times(found: Mapping[str, Any]) -> list[str]:
    ratio = _ratio(found)
    if ratio is None:
        return []
    of = f"{ratio['n']:,} pairs" if "n" in ratio else "the median"
    estimate = f"{ratio['value']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})"
    others = "those to the request as it came" if found["feature"] == NORMALIZE else "whole ones"
    return [f"{_name(found)} answers take {estimate} of the time of {others} in {of}"]


def _differ(found: Mapping[str, Any]) -> str:
    pairs = found["correctness"]["pairs"]
    at_most = f" (at most {100 * pairs['at_most_look_once']:.2g} %)" if pairs["of"] else ""
    return f"{pairs['differ']:,} of {pairs['of']:,} differ{at_most}"


def _exposed(found: Mapping[str, Any]) -> str:
    exposed = found["correctness"]["exposed"]
    return f"{exposed:,} of them left for a client" if exposed else "none of them left for a client"


def _noise(found: Mapping[str, Any]) -> str:
    noise = found["correctness"]["noise"]
    return f"noise {noise['noisy']:,} of {noise['of']:,}" if noise["of"] else "noise not measured"


def _unplanned(found: Mapping[str, Any]) -> list[str]:
    ratio = found["population"].get("sample_ratio")
    if ratio is None or not ratio["flagged"]:
        return []
    return [f"but {ratio['drawn']:,} were drawn where {ratio['expected']:,.6g} were planned"]


def _name(found: Mapping[str, Any]) -> str:
    return "normalized" if found["feature"] == NORMALIZE else "split"
