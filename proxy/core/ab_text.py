"""A report on two arms as text: the numbers of its JSON, for people."""

from collections.abc import Mapping
from typing import Any, Final

_LABEL: Final = 12
_QUANTILES: Final = ("p50", "p90", "p95")
_RATIOS: Final = {
    "paired_ratio": "median ratio of pairs",
    "p50_ratio": "ratio of p50",
    "p95_ratio": "ratio of p95",
}
_NAMES: Final = {"split": ("whole", "split"), "normalize": ("as it came", "normalized")}
_Told = Mapping[str, Any]


def told(report: _Told) -> str:
    """Tell a report as lines of text, the verdict first."""
    control, candidate = _NAMES[report["feature"]]
    lines = [
        report["why"],
        "",
        _line("rule", f"{report['rule']}, {report['feature']}: {_status(report['status'])}"),
        _line("window", _window(report["window"])),
        *_population(report["population"]),
        *_arm(f"control ({control})", report["arms"]["control"]),
        *_arm(f"candidate ({candidate})", report["arms"]["candidate"]),
        *_effect(report["effect"]),
        *_correctness(report["correctness"]),
        *_rest(report),
        *_gates(report.get("gates")),
        _line("made by", f"version {report['version']}, config {report['config_hash']}, seed {report['seed']}"),
        "",
        "Intervals are of 95 % and hold if you look once; what is called anytime holds however often you look.",
    ]
    return "\n".join(lines)


def _line(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}{text}".rstrip()


def _status(status: _Told) -> str:
    percent = f" at {status['percent']:g} %" if "percent" in status else ""
    return f"{status.get('mode', 'unknown')}{percent} ({status.get('state', 'unknown')})"


def _window(window: _Told) -> str:
    if "since" not in window:
        return "nothing was counted yet"
    return f"{window['since']} … {window.get('until', 'now')}"


def _population(of: _Told) -> list[str]:
    assigned = of["assigned"]
    lines = [
        _line("requests", f"{of['requests']:,}, {of['eligible']:,} eligible{_by(of['excluded'], '; excluded: ')}"),
        _line("assigned", f"{assigned['control']:,} control, {assigned['candidate']:,} candidate"),
    ]
    if of["served_by_percent"]:
        lines.append(
            _line("served", ", ".join([f"{count:,} at {at} %" for at, count in of["served_by_percent"].items()]))
        )
    if (ratio := of.get("sample_ratio")) is not None:
        drawn = f"{ratio['drawn']:,} drawn, {ratio['expected']:,.6g} planned, p = {ratio['p']:.2g}"
        warning = ": NOT AS PLANNED, so the arms may differ in more than the feature" if ratio["flagged"] else ""
        lines.append(_line("", f"sample ratio: {drawn}{warning}"))
    return lines


def _arm(name: str, arm: _Told) -> list[str]:
    lines = [name, _line("  fetched", f"{arm['n']:,} answers, errors {arm['errors']:,}{_quantiles(arm)}")]
    if arm["known"]["n"]:
        lines.append(
            _line("  known", f"{arm['known']['n']:,} answers, not among those above{_quantiles(arm['known'])}")
        )
    lines.append(_line("  upstream", f"{arm['upstream_calls']:,} calls, {_number(arm['busy_s'])} s busy"))
    return lines


def _quantiles(timings: _Told) -> str:
    if not timings["n"]:
        return ""
    each = [f"{name} {_quantile(timings[f'{name}_s'])}" for name in _QUANTILES]
    return f"; {', '.join(each)}, max {_number(timings['max_s'])} s"


def _quantile(one: _Told) -> str:
    if one["value"] is None:
        return f"n too small, needs {one['needs']}"
    return f"{_estimate(one)} s"


def _estimate(one: _Told) -> str:
    return f"{_number(one['value'])} ({_number(one['low'])}–{_number(one['high'])})"


def _effect(effect: _Told) -> list[str]:
    lines = [
        f"{name} {_estimate(effect[ratio])}{_pairs(effect[ratio])}"
        for ratio, name in _RATIOS.items()
        if ratio in effect
    ]
    if "overlap" in effect:
        critical = f"the longest calls {_percent(effect['critical_part'])} of the time"
        lines.append(f"overlap: {_number(effect['overlap'])} calls at once; {critical}")
    return [_line("" if place else "effect", line) for place, line in enumerate(lines)]


def _pairs(ratio: _Told) -> str:
    return f" in {ratio['n']:,}" if "n" in ratio else ""


def _correctness(of: _Told) -> list[str]:
    lines = [
        f"{check}: {_differ(one)}; {one['noisy']:,} noisy, {one['changed']:,} changed, {one['unclear']:,} unclear"
        for check, one in of["checks"].items()
    ]
    noise = f"noise: {of['noise']['noisy']:,} of {of['noise']['of']:,} controls differ from another control"
    lines += [noise, f"exposed: {of['exposed']:,} answers left before they were found wrong"]
    return [_line("" if place else "correct", line) for place, line in enumerate(lines)]


def _differ(one: _Told) -> str:
    bounds = ""
    if one["of"]:
        once, anytime = _percent(one["at_most_look_once"]), _percent(one["at_most_anytime"])
        bounds = f" (at most {once} look once, {anytime} anytime)"
    return f"{one['differ']:,} of {one['of']:,} differ{bounds}"


def _rest(report: _Told) -> list[str]:
    fallbacks, comparing = report["fallbacks"], report["comparing"]
    lines = [_line("fallbacks", f"{fallbacks['count']:,} of {fallbacks['of']:,}{_by(fallbacks['reasons'])}")]
    if comparing["not_compared"]:
        lines.append(_line("dropped", f"comparisons not made{_by(comparing['not_compared'])}"))
    if comparing["calls_by_day"]:
        lines.append(_line("spent", f"calls on comparing{_by(comparing['calls_by_day'])}"))
    return lines


def _gates(gates: _Told | None) -> list[str]:
    if gates is None:
        return []
    lines = [_line("gates", gates["why"])]
    for one in gates["measured"]:
        value = f"{_number(one['value'])}" if "value" in one else "nothing measured"
        dry = " (dry run)" if one["dry_run"] else ""
        lines.append(
            f"  {one['gate']:<10} {one['result']}{dry}: {value}, limit {_number(one['limit'])}, n {one['n']:,}"
        )
    return lines


def _by(counts: Mapping[str, int], before: str = ": ") -> str:
    if not counts:
        return ""
    return before + ", ".join([f"{name} {count:,}" for name, count in counts.items()])


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _number(value: float) -> str:
    """Return three digits of a small number, and all before the point of a large one."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
