"""A report on a log as text: the numbers of its JSON, for people."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_QUANTILES: Final = ("p50_s", "p90_s", "p99_s", "max_s")
_MOST_REASONS: Final = 20
_MOST_PATH: Final = 60
_ROUNDS_TO_ONE: Final = 0.9995
_Told = Mapping[str, Any]


def told(report: _Told) -> str:
    """Tell a report on a log as lines of text."""
    lines = [*_head(report), ""]
    lines += _table(
        ("operation", "outcome", "n", "p50", "p90", "p99", "max", "saved", "upstream"),
        [
            (one["operation"], *_outcome(outcome))
            for one in report["operations"]
            for outcome in one["outcomes"]
        ],
    )  # fmt: skip
    for title, head, rows in (
        ("why requests passed", ("operation", "reason", "n"), _by_word(report, "passthrough")),
        ("errors", ("operation", "source: error", "n"), _by_word(report, "errors")),
        ("only observed: they would have been", ("operation", "outcome", "n"), _by_word(report, "would")),
        ("put together from parts", ("operation", "parts", "known"), _parts(report)),
        ("calls upstream", ("operation", "for", "n", "upstream"), _by_purpose(report)),
        ("costliest keys", ("upstream", "calls of", "key", "path"), _costliest(report)),
        ("slowest keys", ("duration", "outcome", "request_id", "key", "path"), _slowest(report)),
    ):
        if rows:
            lines += ["", title, *_table(head, rows)]
    return "\n".join([*lines, *_calls(report["calls"])])


def seconds(value: float) -> str:
    """Return a duration as people read it."""
    if value >= 100:
        return f"{value:,.0f} s"
    return f"{value:.3g} s" if value >= _ROUNDS_TO_ONE else f"{value * 1000:.3g} ms"


def _head(report: _Told) -> list[str]:
    lines, sampled = report["lines"], "; sampled lines are weighted" if report["is_sampled"] else ""
    ratio = report["hit_ratio"]
    calls = report["calls"]  # they are told also where no client waited for them
    upstream_s = calls["upstream_s"] if calls["n"] else report["upstream_s"]
    sums = f"upstream {seconds(upstream_s)}, saved {seconds(report['saved_s'])}"
    said = [
        _plain(f"{report['since'] or 'no time'} … {report['until'] or 'no time'}"),
        f"{report['n']:,} requests{sampled}; hit ratio {'unknown' if ratio is None else f'{100 * ratio:.1f} %'}; {sums}",
    ]
    if lines["unreadable"]:
        said.append(f"NOT READ: {lines['unreadable']:,} of {lines['read']:,} lines are none of Frontrunner's log")
    if lines["lost"]:
        said.append(f"LOST: {lines['lost']:,} lines were never written (event dropped)")
    return said


def _outcome(of: _Told) -> tuple[str, ...]:
    return (of["outcome"], f"{of['n']:,}", *(seconds(of[name]) for name in _QUANTILES), *_sums(of))


def _sums(of: _Told) -> tuple[str, str]:
    return (seconds(of["saved_s"]) if of["saved_s"] else "", seconds(of["upstream_s"]) if of["upstream_s"] else "")


def _by_word(report: _Told, kind: str) -> list[tuple[str, ...]]:
    found = [(one["operation"], name, n) for one in report["operations"] for name, n in one[kind].items()]
    return [
        (operation, name, f"{n:,}") for operation, name, n in sorted(found, key=lambda row: -row[2])[:_MOST_REASONS]
    ]


def _by_purpose(report: _Told) -> list[tuple[str, ...]]:
    return [
        (one["operation"], purpose, f"{calls['upstream_calls']:,}", seconds(calls["upstream_s"]))
        for one in report["operations"]
        for purpose, calls in one["by_purpose"].items()
    ]


def _parts(report: _Told) -> list[tuple[str, ...]]:
    return [
        (one["operation"], f"{one['parts']:,}", f"{one['parts_hit']:,} ({100 * one['parts_hit'] / one['parts']:.1f} %)")
        for one in report["operations"]
        if one["parts"]
    ]


def _costliest(report: _Told) -> list[tuple[str, ...]]:
    return [
        (
            seconds(one["upstream_s"])
            + (f" to {seconds(one['at_most_s'])}" if one["at_most_s"] > one["upstream_s"] else ""),
            f"{one['n']:,}", one["key"][:_MOST_PATH], one["path"][:_MOST_PATH],
        )
        for one in report["costliest"]
    ]  # fmt: skip


def _slowest(report: _Told) -> list[tuple[str, ...]]:
    return [
        (
            seconds(one["duration_s"]), one.get("outcome", ""), one.get("request_id", ""), one["key"][:_MOST_PATH],
            one.get("path", "")[:_MOST_PATH],
        )
        for one in report["slowest"]
    ]  # fmt: skip


def _calls(calls: _Told) -> list[str]:
    if not calls["n"]:
        return []
    failed = ", ".join([f"{n:,} {error}" for error, n in calls["errors"].items()])
    times = ", ".join([f"{name.removesuffix('_s')} {seconds(calls[name])}" for name in _QUANTILES])
    return [
        "",
        _plain(
            f"calls upstream: {calls['n']:,}, {seconds(calls['upstream_s'])}; {times}{f'; failed: {failed}' if failed else ''}"
        ),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    shown = [tuple(map(_plain, row)) for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    is_number = [all(not cell or cell[0].isdigit() for cell in column[1:]) for column in zip(*shown, strict=True)]
    return [
        "  ".join(
            [
                f"{cell:>{width}}" if right else f"{cell:<{width}}"
                for cell, width, right in zip(row, widths, is_number, strict=True)
            ]
        ).rstrip()
        for row in shown
    ]


def _plain(text: str) -> str:
    # a control character would break the columns before the terminal obeys it
    return "".join([one if one.isprintable() else one.encode("unicode_escape").decode() for one in text])
