"""What the processes of this machine have counted → Prometheus exposition, with our own numbers as its collector.

Each machine tells of its own, for Prometheus adds them up.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from proxy import __version__
from proxy.admin import shown
from proxy.core.census import Census
from proxy.core.histogram import Histogram, to_micro
from proxy.core.log_line import Purpose
from proxy.core.operation import ERROR_SOURCES
from proxy.upstream.slot import LimitStatus

# The field's usual buckets stop at 10 s; answers here take up to 69 s and the slowest deserve a bucket of their own.
BUCKETS_S = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 75.0, 90.0, 120.0)

_FOR = ("operation", "purpose")


def exposition(seen: Census, slots: LimitStatus, accept: str) -> tuple[bytes, str]:
    """Return what a scrape gets, and its media type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(seen, slots))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _Numbers(Collector):
    def __init__(self, seen: Census, slots: LimitStatus) -> None:
        self._seen = seen
        self._slots = slots

    def describe(self) -> Iterator[Metric]:
        yield from ()  # names do not depend on what was counted so far

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("frontrunner_build_info", "What is running.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield GaugeMetricFamily("frontrunner_workers", "Processes of this machine.", self._seen.workers)
        yield GaugeMetricFamily(
            "frontrunner_config_last_reload_successful", "Whether the config could be used when it was last read.",
            float(not self._seen.reload_failed),
        )  # fmt: skip
        yield GaugeMetricFamily(
            "frontrunner_config_last_reload_success_timestamp_seconds", "When all could last, since 1970.",
            self._seen.reloaded_at,
        )  # fmt: skip
        yield from self._requests()
        yield from self._operations()
        yield from self._held()
        yield from self._in_flight()

    def _requests(self) -> Iterator[Metric]:
        durations = HistogramMetricFamily(
            "frontrunner_request_duration_seconds", "Time from a request's head to its answer's end.",
            labels=["operation", "outcome"],
        )  # fmt: skip
        overhead = HistogramMetricFamily(
            "frontrunner_overhead_seconds", "Duration less the critical path upstream.", labels=["operation"]
        )
        queue = HistogramMetricFamily(
            "frontrunner_queue_seconds", "Time that calls waited for their turn upstream.", labels=["operation"]
        )
        for name, operation in self._seen.here.items():
            for outcome, timings in operation.by_outcome.items():
                durations.add_metric([name, outcome], *_bucketed(timings))
            overhead.add_metric([name], *_bucketed(operation.overhead))
            queue.add_metric([name], *_bucketed(operation.queue))
        yield from (durations, overhead, queue)

    def _operations(self) -> Iterator[Metric]:
        errors = CounterMetricFamily("frontrunner_errors", "Requests that failed.", labels=["operation", "source"])
        calls = CounterMetricFamily("frontrunner_upstream_calls", "Calls upstream.", labels=_FOR)
        spent = CounterMetricFamily("frontrunner_upstream_seconds", "Seconds upstream.", labels=_FOR)
        saved = CounterMetricFamily("frontrunner_saved_seconds", "Upstream seconds saved.", labels=["operation"])
        parts = CounterMetricFamily("frontrunner_parts", "Parts of answers put together.", labels=["operation"])
        known = CounterMetricFamily("frontrunner_parts_hit", "Of these, known ones.", labels=["operation"])
        for name, operation in self._seen.here.items():
            for source in ERROR_SOURCES:
                errors.add_metric([name, source], operation.errors.get(source, 0))
            for purpose in Purpose:
                calls.add_metric([name, purpose], operation.calls.get(purpose, 0))
                spent.add_metric([name, purpose], to_micro(operation.calls_s.get(purpose, 0.0)))
            saved.add_metric([name], to_micro(operation.seconds_saved))
            if operation.parts:
                parts.add_metric([name], operation.parts)
                known.add_metric([name], operation.parts_hit)
        yield from (errors, calls, spent, saved, parts, known)

    def _held(self) -> Iterator[Metric]:
        held = shown.whole(self._seen.held)
        evictions = self._seen.evictions.get(held.name, 0)
        yield GaugeMetricFamily("frontrunner_store_entries", "Entries in the store.", held.entries)
        yield GaugeMetricFamily("frontrunner_store_bytes", "Bytes in the store.", held.bytes)
        yield GaugeMetricFamily("frontrunner_store_limit_bytes", "What the store may hold.", held.limit_bytes)
        yield CounterMetricFamily("frontrunner_store_evictions", "Entries let go for space.", evictions)

    def _in_flight(self) -> Iterator[Metric]:
        now = self._slots
        in_flight = shown.in_flight(now, self._seen.in_flight)
        yield GaugeMetricFamily("frontrunner_upstream_in_flight", "Calls that hold a slot.", in_flight)
        waiting = GaugeMetricFamily("frontrunner_upstream_waiting", "Calls that wait for one.", labels=["priority"])
        for name, count in self._seen.waiting.items():
            waiting.add_metric([name], count)
        yield waiting
        if now.ceiling is not None and now.limit is not None:
            yield GaugeMetricFamily("frontrunner_upstream_max_in_flight", "Calls at once at most.", now.ceiling)
            yield GaugeMetricFamily("frontrunner_upstream_limit", "Calls at once, as learned.", now.limit)


def _bucketed(timings: Histogram) -> tuple[list[tuple[str, float]], float]:
    # sums are of whole microseconds: added up in another order they would fall by a bit, which Prometheus takes for a restart
    buckets = [(str(bound), float(timings.at_most(bound))) for bound in BUCKETS_S]
    return [*buckets, ("+Inf", float(timings.n))], to_micro(timings.total)
