"""A day of the log, made by the real log with a clock of its own, and beside it what was put in: what readers must find."""

import random
from collections import Counter
from dataclasses import dataclass, field
from functools import cache

import orjson
from fakes import FakeClock

from proxy.core.format.json import Json
from proxy.core.log_line import Call, LogLine
from proxy.core.reasons import Reason
from proxy.core.types import Outcome
from proxy.log import Log

MIDNIGHT = 1_772_323_200.0
"""2026-03-01T00:00:00Z."""
DATE = "2026-03-01"
REQUESTS = 20_000
PATHS = {"query": "/orchestrator/query", "search": "/search", None: "/other"}
# of each rule: outcome, how often, reason, error and its source
KINDS = {
    "query": [
        (Outcome.HIT, 50, None, None, None),
        (Outcome.MISS, 20, None, None, None),
        (Outcome.COLLAPSED, 8, None, None, None),
        (Outcome.PARTIAL, 8, None, None, None),
        (Outcome.STALE, 4, None, None, None),
        (Outcome.EXPIRED, 4, None, None, None),
        (Outcome.PASSTHROUGH, 4, Reason.COOKIE, None, None),
        (Outcome.ERROR, 2, None, "upstream_timeout", "upstream"),
    ],
    "search": [
        (Outcome.HIT, 30, None, None, None),
        (Outcome.MISS, 10, None, None, None),
        (Outcome.REVALIDATED, 5, None, None, None),
        (Outcome.PASSTHROUGH, 3, Reason.CREDENTIALS, None, None),
        (Outcome.MISS, 2, Reason.CLIENT_GONE, "client_gone", "client"),
    ],
    None: [(Outcome.PASSTHROUGH, 9, Reason.NO_RULE, None, None), (Outcome.ERROR, 1, None, "upstream_refused", "upstream")],
}  # fmt: skip
ASKS = {
    Outcome.MISS, Outcome.EXPIRED, Outcome.REVALIDATED, Outcome.PARTIAL, Outcome.PASSTHROUGH, Outcome.ERROR,
}  # fmt: skip
"""The outcomes that lead a call upstream."""
STORED = {Outcome.HIT, Outcome.STALE, Outcome.PARTIAL}
"""The outcomes that a stored answer has a part in."""


@dataclass(frozen=True)
class Put:
    """One request that was put in; durations in whole microseconds."""

    began_us: int
    rule: str | None
    outcome: Outcome
    reason: Reason | None
    error: str | None
    source: str | None
    key: int
    upstream_us: int
    own_us: int
    cost_us: int
    parts: int = 0
    parts_hit: int = 0

    @property
    def duration_us(self) -> int:
        return self.upstream_us + self.own_us

    @property
    def asked(self) -> bool:
        return self.outcome in ASKS

    @property
    def saved_s(self) -> float:
        return max(0, self.cost_us - self.duration_us) / 1e6 if self.outcome in STORED else 0.0

    @property
    def upstream_s(self) -> float:
        return self.upstream_us / 1e6 if self.asked else 0.0

    @property
    def duration_s(self) -> float:
        return self.duration_us / 1e6

    @property
    def key_hash(self) -> str | None:
        return f"{self.key:040x}" if self.rule else None

    @property
    def status(self) -> int | None:
        return {None: 200, "client_gone": 200, "upstream_refused": 502, "upstream_timeout": 504}[self.error]

    @property
    def hour(self) -> int:
        """The hour in which its line was written."""
        return (self.began_us + self.duration_us) // 3_600_000_000


@dataclass
class Day:
    """What was put in, and the lines that were written."""

    put: list[Put]
    lines: bytes = b""
    written: list[bytes] = field(default_factory=list)

    def count(self, of) -> Counter:
        """Count requests by what `of` says of each; None is left out."""
        return Counter(found for one in self.put if (found := of(one)) is not None)

    def total(self, of, value) -> dict:
        """Sum a value by what `of` says of each."""
        sums: Counter = Counter()
        for one in self.put:
            sums[of(one)] += value(one)
        return dict(sums)

    def fields(self) -> list[dict]:
        """Return all lines, read."""
        return [orjson.loads(line) for line in self.lines.splitlines()]

    @property
    def hit_ratio(self) -> float:
        n = self.count(lambda one: one.outcome)
        return (n["hit"] + n["stale"]) / (sum(n.values()) - n["passthrough"] - n["error"])


def _drawn(dice: random.Random, number: int) -> Put:
    rule = dice.choices(["query", "search", None], [60, 30, 10])[0]
    kinds = KINDS[rule]
    outcome, _, reason, error, source = dice.choices(kinds, [kind[1] for kind in kinds])[0]
    waits = outcome in ASKS or outcome is Outcome.COLLAPSED
    mean_s = {"query": 12.0, "search": 2.0, None: 0.2}[rule]
    parts = dice.randint(2, 9) if outcome is Outcome.PARTIAL else 0
    return Put(
        began_us=number * 86_000_000_000 // REQUESTS + dice.randrange(4_000_000),
        rule=rule, outcome=outcome, reason=reason, error=error, source=source,
        key=min(int(dice.paretovariate(0.7)), 5_000) + (10_000 if rule == "search" else 0),
        upstream_us=1_000 + int(dice.expovariate(1 / mean_s) * 1e6) if waits else 0,
        own_us=100 + dice.randrange(2_000),
        cost_us=1_000 + int(dice.expovariate(1 / mean_s) * 1e6) if outcome in STORED else 0,
        parts=parts, parts_hit=dice.randint(1, parts - 1) if parts else 0,
    )  # fmt: skip


def _line_of(put: Put, number: int, end: float) -> LogLine:
    began = end - put.duration_us / 1e6
    line = LogLine(
        f"{number:032x}", "POST" if put.rule == "query" else "GET", PATHS[put.rule], began, client_ip="192.0.2.7",
        status=put.status, rule=put.rule, outcome=put.outcome, reason=put.reason, error=put.error,
        error_source=put.source, key_hash=put.key_hash, bytes_in=100, bytes_out=1000, lookup_s=8e-06, send_s=5e-05,
        first_byte=end, cost=put.cost_us / 1e6 if put.outcome in STORED else None,
    )  # fmt: skip
    if put.parts:
        line.parts, line.parts_hit, line.merge_s, line.arm = put.parts, put.parts_hit, 3e-06, "candidate"
    if put.upstream_us:
        line.flight = "lead" if put.asked else "follow"
        line.call = Call(
            line.method, line.path, line.status, end - put.upstream_us / 1e6, 2e-06, None, end,
            1000, 100, None, put.error if put.source == "upstream" else None, 1, rule=put.rule,
        )  # fmt: skip
        line.joined = None if put.asked else line.call.began
    line.close(end)
    return line


class Kept:
    """A place that keeps what is written."""

    def __init__(self, written: list[bytes]) -> None:
        self._written = written

    def write(self, batch: bytes) -> int:
        self._written.append(batch)
        return len(batch)

    def reopen(self) -> None:
        pass

    def close(self) -> None:
        pass


@cache
def day() -> Day:
    """Return the day: the same one each time."""
    dice = random.Random(20260301)
    put = [_drawn(dice, number) for number in range(REQUESTS)]
    ends = sorted((one.began_us + one.duration_us, number) for number, one in enumerate(put))
    found = Day(put)
    clock = FakeClock(MIDNIGHT, timer=0.0)
    written = 0
    for start in range(0, REQUESTS, 2_000):
        log = Log(Json(), Kept(found.written), clock)
        for end_us, number in ends[start : start + 2_000]:
            clock.advance(end_us / 1e6 - clock.timer())
            line = _line_of(put[number], number, end_us / 1e6)
            if line.call is not None and line.joined is None:
                log.upstream_call(line.call, line.request_id)
                written += 1
            log.request(line)
        log.close()
        assert log.dropped == 0
    found.lines = b"".join(found.written)
    assert found.lines.count(b"\n") == REQUESTS + written
    return found


def sampled(one_in: int = 10) -> bytes:
    """Return the day's lines as a log writes them that keeps one in so many hits, and says so in each."""
    kept, hits = [], 0
    for raw in day().lines.splitlines():
        fields = orjson.loads(raw)
        if fields.get("outcome") == "hit":
            hits += 1
            if hits % one_in:
                continue
            fields["sample_rate"] = 1 / one_in
        kept.append(orjson.dumps(fields))
    return b"\n".join([*kept, b""])
