"""Every DuckDB recipe of `frontrunner docs logs` is run as written, over a day and over a sampled one, and comes to what was put in."""

import json
from math import ceil

import duckdb
import pytest
from day import MIDNIGHT, day, sampled
from guide_of_logs import blocks

VIEWS, *RECIPES = blocks("DuckDB", "sql")


def opened(folder, content):
    """Return a database over a log, by the guide's own views."""
    (folder / "frontrunner.log").write_bytes(content)
    database = duckdb.connect()
    database.execute("SET file_search_path = ?", [str(folder)])
    database.execute(VIEWS[1])
    return database


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("day"), day().lines + b"no line of ours\n{}\n") as database:
        yield database


@pytest.fixture(scope="module")
def tenth(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("sampled"), sampled()) as database:
        yield database


def rows(database, beginning):
    """Run the one recipe whose prose begins so; return the rows of its last statement."""
    (recipe,) = [block for prose, block in RECIPES if prose.startswith(beginning)]
    return database.execute(recipe).fetchall()


def of_rule(one):
    return one.rule or "unmatched"


TRIED = {
    "Hit ratio", "What was saved", "The slowest hundredth", "The costliest keys", "Why requests passed", "How many requests",
    "What calls upstream took", "What failed",
}  # fmt: skip


def test_each_recipe_is_tried_here():
    assert len(RECIPES) == len(TRIED)
    for prose, _ in RECIPES:
        assert any(prose.startswith(beginning) for beginning in TRIED), prose


def test_hit_ratio(whole, tenth):
    assert rows(whole, "Hit ratio") == [(pytest.approx(day().hit_ratio),)]
    assert rows(tenth, "Hit ratio") == [(pytest.approx(day().hit_ratio, abs=0.001),)]


def test_what_was_saved_by_rule(whole, tenth):
    saved, spent = (day().total(of_rule, value) for value in (lambda one: one.saved_s, lambda one: one.upstream_s))
    found = rows(whole, "What was saved")
    assert [rule for rule, *_ in found] == ["query", "search", "unmatched"]
    assert {rule: value or 0 for rule, value, _ in found} == pytest.approx(saved)
    assert {rule: value for rule, _, value in found} == pytest.approx(spent)
    again = rows(tenth, "What was saved")
    assert {rule: value or 0 for rule, value, _ in again} == pytest.approx(saved, rel=0.15)
    assert {rule: value for rule, _, value in again} == pytest.approx(spent)


def test_the_slowest_hundredth_by_outcome_and_hour(whole):
    found = {(outcome, hour.hour): (n, p99) for outcome, hour, n, p99 in rows(whole, "The slowest hundredth")}
    by = lambda one: (str(one.outcome), one.hour)  # noqa: E731
    assert {key: n for key, (n, _) in found.items()} == day().count(by)
    for key, (_, p99) in found.items():
        durations = sorted(one.duration_s for one in day().put if by(one) == key)
        assert p99 == pytest.approx(durations[ceil(0.99 * len(durations)) - 1], abs=1e-5), key
    assert MIDNIGHT % 86_400 == 0


def test_a_few_slow_lines_that_are_all_there_were_the_slowest_hundredth_of_sampled_ones(tmp_path):
    known = {"timestamp": "2026-03-01T00:00:00.000000Z", "event": "request", "outcome": "hit"}
    lines = [{**known, "duration_s": number / 1e4, "sample_rate": 0.01} for number in range(1, 100)]
    lines += [{**known, "duration_s": 2.0, "sample_rate": 1.0} for _ in range(20)]
    with opened(tmp_path, b"\n".join([json.dumps(line).encode() for line in lines])) as database:
        ((_, _, n, p99),) = rows(database, "The slowest hundredth")
    assert (n, p99) == (pytest.approx(9920), 0.0099)


def test_the_costliest_keys(whole):
    cost = day().total(lambda one: one.key_hash, lambda one: one.upstream_s)
    calls = day().count(lambda one: one.key_hash if one.asked else None)
    del cost[None]
    found = rows(whole, "The costliest keys")
    assert [key for key, *_ in found] == sorted(cost, key=lambda one: -cost[one])[:10]
    assert [(n, pytest.approx(spent)) for _, _, n, spent in found] == [(calls[key], cost[key]) for key, *_ in found]
    assert found[0][1] == "/orchestrator/query"


def test_why_requests_passed(whole):
    passed = day().count(lambda one: (of_rule(one), str(one.reason)) if one.outcome == "passthrough" else None)
    assert {(rule, reason): n for rule, reason, n in rows(whole, "Why requests passed")} == passed


def test_lines_and_requests(whole, tenth):
    n = day().count(lambda one: str(one.outcome))
    assert {outcome: (lines, all_) for outcome, lines, all_ in rows(whole, "How many requests")} == {
        outcome: (count, count) for outcome, count in n.items()
    }
    found = {outcome: (lines, all_) for outcome, lines, all_ in rows(tenth, "How many requests")}
    lines, all_ = found.pop("hit")
    assert (lines, all_) == (n["hit"] // 10, n["hit"] // 10 * 10)
    assert found == {outcome: (count, count) for outcome, count in n.items() if outcome != "hit"}


def test_calls_upstream_by_the_rule_that_led_to_them(whole):
    calls = day().count(lambda one: of_rule(one) if one.asked else None)
    spent = day().total(of_rule, lambda one: one.upstream_s)
    failed = day().count(lambda one: of_rule(one) if one.source == "upstream" else None)
    found = rows(whole, "What calls upstream took")
    assert {purpose for _, purpose, *_ in found} == {"client"}
    assert {rule: n for rule, _, n, *_ in found} == calls
    assert {rule: total for rule, _, _, total, *_ in found} == pytest.approx(spent)
    assert {rule: n for rule, *_, n in found} == {rule: failed[rule] for rule in spent}
    for rule, *_, longest, _ in found:
        assert longest == pytest.approx(max(one.upstream_s for one in day().put if of_rule(one) == rule))


def test_calls_are_all_there_though_requests_are_sampled_and_also_those_that_no_client_waited_for(tmp_path):
    """Of ten stale answers one line is written, and each of their calls has its own."""
    lines = [{"event": "request", "outcome": "stale", "rule": "query", "sample_rate": 0.1}]
    call = {"event": "upstream_call", "rule": "query", "duration_s": 2.0}
    lines += [{**call, "error": "upstream_timeout"}] * 10 + [{**call, "purpose": "refresh", "duration_s": 3.0}]
    with opened(tmp_path, b"\n".join([json.dumps(line).encode() for line in lines])) as database:
        found = rows(database, "What calls upstream took")
    assert found == [("query", "client", 10, 20, 2, 10), ("query", "refresh", 1, 3, 3, 0)]


def test_what_became_a_job_was_counted_by_what_its_client_was_told_of_it(tmp_path):
    """A millisecond for what took a minute, and nothing of what that cost."""
    known = {
        "event": "request",
        "rule": "query",
        "key_hash": "k",
        "path": "/q",
        "timestamp": "2026-03-01T00:00:00.000000Z",
    }
    told = {
        **known,
        "outcome": "miss",
        "reason": "respond_async",
        "status": 202,
        "upstream_calls": 0,
        "duration_s": 0.001,
    }
    over = {
        **told,
        "outcome": "error",
        "reason": "wait_over",
        "error": "wait_over",
        "error_source": "client",
        "status": 504,
    }
    job = {
        **known,
        "event": "job",
        "outcome": "miss",
        "status": 200,
        "upstream_calls": 1,
        "upstream_s": 60.0,
        "duration_s": 60.1,
    }
    hit = {**known, "outcome": "hit", "upstream_calls": 0, "duration_s": 0.001, "saved_s": 60.0}
    with opened(tmp_path, b"\n".join([json.dumps(line).encode() for line in (told, over, job, job, hit)])) as database:
        assert rows(database, "Hit ratio") == [(pytest.approx(1 / 3),)]
        assert rows(database, "The costliest keys") == [("k", "/q", 2, 120)]
        assert {outcome: p99 for outcome, _, _, p99 in rows(database, "The slowest hundredth")} == {
            "miss": 60.1,
            "hit": 0.001,
        }
        assert sorted(rows(database, "How many requests")) == [("hit", 1, 1), ("miss", 2, 2)]


def test_what_failed_and_what_was_lost(whole, tmp_path):
    (recipe,) = [block for prose, block in RECIPES if prose.startswith("What failed")]
    first, second = duckdb.extract_statements(recipe)
    assert {(source, error): n for source, error, n in whole.execute(first).fetchall()} == day().count(
        lambda one: (one.source, one.error) if one.error else None
    )
    assert whole.execute(second).fetchall() == [(0,)]
    dropped = b'{"event":"dropped","count":7}\n{"event":"dropped","count":5}\n'
    with opened(tmp_path, dropped) as database:
        assert database.execute(second).fetchall() == [(12,)]
