"""The Prometheus exposition says what the stats say, in a form that Prometheus reads."""

import random
from collections.abc import Iterator

import pytest
from admin_desk import PREFIX, Desk, workers_on_a_redis
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from proxy import __version__
from proxy.admin.metrics import BUCKETS_S

OPEN = "application/openmetrics-text; version=1.0.0"
DURATIONS = (0.0005, 0.02, 0.9, 7.0, 41.0, 44.0, 69.0, 130.0)


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    for seconds in DURATIONS:
        desk.count("miss", seconds, upstream_s=seconds / 2)
    desk.count("hit", 0.001, cost=60.0, parts=8, parts_hit=6, merge_s=0.0005)
    desk.count("error", 0.5, rule=None, error_source="client")
    await desk.keep(b"a" * 20, b"x" * 1000)
    return desk


async def samples(desk: Desk, accept: str = "") -> dict[tuple[str, ...], float]:
    """Scrape; return the samples by name and label values."""
    said = await desk.ask(
        f"{PREFIX}/metrics?", {"accept": accept, "authorization": "Bearer a-token-for-tests-0123456789"}
    )
    assert said is not None
    assert said.status == 200
    assert said.header("content-type").startswith(OPEN if accept else "text/plain")
    text = said.body.decode()
    families = open_metrics(text) if accept else plain_text(text)
    found = [one for family in families for one in family.samples]
    return {(one.name, *(value for _, value in sorted(one.labels.items(), key=_le_last))): one.value for one in found}


def _le_last(label: tuple[str, str]) -> tuple[bool, str]:
    return label[0] == "le", label[0]


@pytest.mark.parametrize("accept", ["", OPEN], ids=["plain text", "OpenMetrics"])
async def test_the_numbers_are_those_of_the_stats(accept: str, desk: Desk) -> None:
    told = await samples(desk, accept)
    one = desk.stats.operations["query"]
    assert told["frontrunner_build_info", __version__] == 1
    assert told["frontrunner_request_duration_seconds_count", "query", "miss"] == len(DURATIONS)
    assert told["frontrunner_request_duration_seconds_sum", "query", "miss"] == pytest.approx(sum(DURATIONS))
    assert told["frontrunner_request_duration_seconds_count", "query", "hit"] == 1
    assert told["frontrunner_request_duration_seconds_count", "unmatched", "error"] == 1
    assert told["frontrunner_overhead_seconds_sum", "query"] == pytest.approx(one.overhead.total)
    assert told["frontrunner_errors_total", "unmatched", "client"] == 1
    assert told["frontrunner_errors_total", "query", "proxy"] == 0
    assert told["frontrunner_upstream_calls_total", "query", "client"] == len(DURATIONS)
    assert told["frontrunner_upstream_calls_total", "query", "refresh"] == 0
    assert told["frontrunner_upstream_seconds_total", "query", "client"] == pytest.approx(sum(DURATIONS) / 2)
    assert told["frontrunner_saved_seconds_total", "query"] == pytest.approx(59.999)
    assert told["frontrunner_parts_total", "query"] == 8
    assert told["frontrunner_parts_hit_total", "query"] == 6
    assert ("frontrunner_parts_total", "unmatched") not in told
    held = desk.store.status()
    assert told["frontrunner_store_entries",] == held.entries == 1
    assert told["frontrunner_store_bytes",] == held.bytes
    assert told["frontrunner_store_limit_bytes",] == held.limit_bytes
    assert told["frontrunner_store_evictions_total",] == 0


def buckets(told: dict[tuple[str, ...], float]) -> Iterator[tuple[float, float]]:
    for (name, *labels), count in told.items():
        if name == "frontrunner_request_duration_seconds_bucket" and labels[:2] == ["query", "miss"]:
            yield float(labels[2]), count


async def test_buckets_are_cumulative(desk: Desk) -> None:
    """Each counts all that took no longer; the last one everything; slow answers have buckets of their own."""
    told = dict(buckets(await samples(desk)))
    assert list(told) == [*BUCKETS_S, float("inf")]
    assert list(told.values()) == sorted(told.values())
    assert {bound: count for bound, count in told.items() if bound in {0.001, 0.1, 10.0, 45.0, 60.0, 75.0}} == {
        0.001: 1, 0.1: 2, 10.0: 4, 45.0: 6, 60.0: 6, 75.0: 7,
    }  # fmt: skip
    assert (told[120.0], told[float("inf")]) == (7, 8)


async def test_a_fresh_proxy_has_its_families() -> None:
    """A scrape before the first request is no error."""
    told = await samples(Desk())
    assert told["frontrunner_store_entries",] == 0


async def test_a_reload_that_failed_is_told(desk: Desk) -> None:
    began = desk.clock.wall()
    told = await samples(desk)
    assert told["frontrunner_config_last_reload_successful",] == 1
    assert told["frontrunner_config_last_reload_success_timestamp_seconds",] == began
    desk.reloaded.successful = False
    assert (await samples(desk))["frontrunner_config_last_reload_successful",] == 0


async def test_gauges_are_of_all_workers_whichever_is_scraped() -> None:
    """The one that is asked has calls and a config of its own."""
    async with workers_on_a_redis((0, 0), (0, 0)) as desks:
        one, other = desks
        one.in_flight, other.in_flight, other.reloaded.successful = 3, 5, False
        one.reloaded.succeeded_at += 2.0
        for desk in desks:
            told = await samples(desk)
            assert told["frontrunner_upstream_in_flight",] == 8
            assert told["frontrunner_config_last_reload_successful",] == 0
            assert told["frontrunner_config_last_reload_success_timestamp_seconds",] == other.reloaded.succeeded_at
            assert told["frontrunner_workers",] == 2


async def test_how_many_processes_count(desk: Desk) -> None:
    assert (await samples(desk))["frontrunner_workers",] == 1


async def test_the_gauges_of_a_redis_are_the_same_whichever_worker_is_scraped() -> None:
    async with workers_on_a_redis((3, 300), (4, 4000)) as desks:
        for desk in desks:
            told = await samples(desk)
            assert [told[f"frontrunner_store_{of}",] for of in ("entries", "bytes", "limit_bytes")] == [7, 4300, 0]


async def test_no_counter_falls_when_another_worker_answers() -> None:
    """Prometheus takes what falls, if only by the last bit, for a restart, and counts all of it once more."""
    async with workers_on_a_redis((0, 0), (0, 0), (0, 0)) as desks:
        dice = random.Random(1)
        for desk in desks * 50:
            seconds = dice.random() * 10
            desk.count("miss", seconds, upstream_s=seconds / 3)
            desk.count("hit", dice.random() / 1000, cost=seconds)
        told = [await samples(desk) for desk in desks]
        sums = [{name: value for name, value in one.items() if "sum" in name[0] or "total" in name[0]} for one in told]
        assert sums[0]["frontrunner_saved_seconds_total", "query"] > 0
        assert sums[0] == sums[1] == sums[2]
