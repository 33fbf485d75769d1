"""What the proxy answered → what came of warming it: Cache-Status tells (RFC 9211)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from proxy.core.structured import items
from proxy.core.types import Response


class Came(StrEnum):
    """What may come of one request."""

    STORED = "stored"
    THERE = "already there"
    NOT_STORED = "not stored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one request, and why it was not more than that."""

    came: Came
    reason: str = ""


@dataclass(slots=True)
class Tally:
    """The results so far. `before` were done in an earlier run; `unasked` the proxy itself would not have kept."""

    before: int = 0
    came: Counter[Came] = field(default_factory=Counter)
    reasons: Counter[tuple[Came, str]] = field(default_factory=Counter)
    unasked: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result) -> None:
        """Count a result."""
        self.came[result.came] += 1
        if result.reason:
            self.reasons[result.came, result.reason] += 1

    def __str__(self) -> str:
        """Render as one line."""
        parts = [f"{self.came[came]} {came}{self._reasons(came)}" for came in Came]
        before = f", {self.before} done before" if self.before else ""
        unasked = ", ".join([f"{count} not asked ({reason})" for reason, count in self.unasked.most_common()])
        return f"asked {self.came.total()}: {', '.join(parts)}{before}{', ' * bool(unasked)}{unasked}"

    def _reasons(self, came: Came) -> str:
        told = [f"{count} {reason}" for (of, reason), count in self.reasons.most_common() if of is came]
        return f" ({', '.join(told)})" if told else ""


def result_of(answer: Response, problem: Mapping[str, object]) -> Result:
    """Tell what came of a request; `problem` is the body of an error of ours, else empty."""
    status = _ours(answer)
    if "hit" in status:
        return Result(Came.THERE)
    if "stored" in status:
        return Result(Came.STORED)
    reason = str(status.get("detail") or problem.get("reason") or "")
    if answer.status >= 500:
        return Result(Came.FAILED, f"{answer.status} {reason}".rstrip())
    if not status:
        return Result(Came.NOT_STORED, reason or "no Cache-Status")
    if reason in {"", "status"}:
        reason = f"status {answer.status}"
    return Result(Came.NOT_STORED, reason)


def _ours(answer: Response) -> Mapping[str, object]:
    """Return the parameters of our member, which is the last: the nearest to who asked."""
    told = items(answer.header(b"cache-status") or b"") or []
    return next((one.params for one in reversed(told) if str(one.value) == "Frontrunner"), {})
