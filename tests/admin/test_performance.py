"""How long requests took, what that cost and saved, and how it changes."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from admin_desk import PREFIX, Desk

from proxy.recent import MOST

HOUR = timedelta(hours=1).total_seconds()


async def test_a_window_holds_what_ended_in_it() -> None:
    desk = Desk("query")
    desk.count("miss", 40.0, upstream_s=40.0)
    desk.clock.advance(1200)
    desk.count("hit", 0.001, cost=40.0)
    for window, n in (("10m", 1), ("1h", 2), ("7d", 2), ("all", 2)):
        told = await desk.numbers(f"performance/query?window={window}")
        assert (told["window"], told["n"]) == (window, n), window
        everything = await desk.numbers(f"performance?window={window}")
        assert (everything["n"], everything["operations"]["query"]["n"]) == (n, n)
    assert (await desk.numbers("performance?window=10m"))["seconds_saved"] == pytest.approx(39.999)
    assert (await desk.numbers("performance?window=10m"))["seconds_spent"] == 0.0


async def test_a_trend_stands_beside_the_window_before() -> None:
    """Of what is over: of the span that is open only a part can be known."""
    desk = Desk("query")
    desk.clock.advance(10)
    assert "trend" not in await desk.numbers("performance/query?window=10m"), "there is no time before"
    for _ in range(4):
        desk.count("miss", 40.0, upstream_s=40.0)
    desk.count("error", 2.0, error_source="upstream")
    desk.clock.advance(600)
    for _ in range(3):
        desk.count("hit", 0.001, cost=40.0)
    desk.count("miss", 20.0, upstream_s=20.0)
    desk.clock.advance(600)
    desk.count("miss", 90.0, upstream_s=90.0)
    told = (await desk.numbers("performance/query?window=10m"))["trend"]
    assert told["window_s"] == 600
    assert told["n"] == {"now": 4, "before": 5, "change": -1}
    assert told["hit_ratio"] == {"now": 0.75, "before": 0.0, "change": 0.75}
    assert told["errors"] == {"now": 0, "before": 1, "change": -1}
    assert told["upstream_s"] == {"now": 20.0, "before": 160.0, "change": -140.0}
    assert told["p99_s"]["now"] == pytest.approx(20.0, rel=0.011)
    assert (await desk.numbers("performance?window=10m"))["trend"] == told


async def test_timings_by_arm_are_of_the_window() -> None:
    desk = Desk("query")
    desk.count("miss", 40.0, arm="control")
    desk.count("partial", 10.0, arm="candidate")
    told = await desk.numbers("performance/query")
    assert {arm: {word: one["n"] for word, one in of.items()} for arm, of in told["by_arm"].items()} == {
        "control": {"miss": 1}, "candidate": {"partial": 1},
    }  # fmt: skip
    desk.clock.advance(3 * HOUR)
    assert "by_arm" not in await desk.numbers("performance/query")


async def test_reasons_are_told_the_most_frequent_first() -> None:
    desk = Desk("query")
    for reason in ("cookie", "no_ttl", "no_ttl"):
        desk.count("passthrough", 1.0, reason=reason)
    assert list((await desk.numbers("performance/query"))["reasons"].items()) == [("no_ttl", 2), ("cookie", 1)]


@pytest.mark.parametrize("window", ["", "0s", "5s", "91d", "tomorrow", "1", "1h;"])
@pytest.mark.parametrize("path", ["performance", "performance/query"])
async def test_what_is_no_window_is_told(window: str, path: str) -> None:
    said = await Desk("query").ask(f"{PREFIX}/{path}?window={window}")
    assert said is not None
    assert (said.status, said.json()["reason"]) == (400, "bad_request")


async def test_complexity_is_parts_against_time() -> None:
    desk = Desk("query")
    for parts, merge_s, seconds in ((2, None, 20.0), (2, 0.001, 10.0), (8, 0.001, 30.0)):
        desk.count("miss", seconds, upstream_s=seconds, parts=parts, merge_s=merge_s)
    desk.count("miss", 1.0, rule="search", upstream_s=1.0)
    told = (await desk.numbers("complexity"))["operations"]
    assert list(told) == ["query"]
    two, eight = told["query"]
    assert (two["parts"], two["whole"]["n"], two["split"]["n"], two["whole"]["max_s"]) == (2, 1, 1, 20.0)
    assert (eight["parts"], eight["split"]["max_s"]) == (8, 30.0)
    assert "whole" not in eight


async def recent(desk: Desk, query: str = "") -> Any:
    return await desk.numbers(f"requests?{query}")


async def test_recent_requests_the_newest_last() -> None:
    desk = Desk("query")
    for number in range(3):
        desk.count("miss", float(number), request_id=str(number))
        desk.clock.advance(1)
    told = await recent(desk)
    assert [line["request_id"] for line in told["requests"]] == ["0", "1", "2"]
    assert [line["request_id"] for line in (await recent(desk, "n=2"))["requests"]] == ["1", "2"]


async def test_a_cursor_tells_what_is_new() -> None:
    desk = Desk("query")
    assert (await recent(desk))["cursor"] == ""
    desk.count("miss", 1.0, request_id="one")
    cursor = (await recent(desk))["cursor"]
    after = {"after": cursor}
    desk.count("miss", 1.0, request_id="two")
    told = await recent(desk, urlencode(after))
    assert [line["request_id"] for line in told["requests"]] == ["two"]
    again = await recent(desk, urlencode({"after": told["cursor"]}))
    assert (again["requests"], again["cursor"]) == ([], told["cursor"])


async def test_who_comes_late_gets_what_he_missed_piece_by_piece() -> None:
    desk = Desk("query", "search")
    for number in range(7):
        desk.count("miss", 1.0, request_id=str(number), rule="search" if number == 6 else "query")
        desk.clock.advance(1)
    found, cursor = [], ""
    for _ in range(4):
        told = await recent(desk, urlencode({"after": cursor, "n": 3}))
        found.append([line["request_id"] for line in told["requests"]])
        cursor = told["cursor"]
    assert found == [["0", "1", "2"], ["3", "4", "5"], ["6"], []]
    told = await recent(desk, urlencode({"after": "", "rule": "query"}))
    assert told["cursor"] == cursor, "what does not fit was seen as well"
    assert (await recent(desk, urlencode({"after": "zzz"})))["cursor"] == "zzz"


async def test_who_comes_too_late_is_told_that_more_have_ended_than_are_kept() -> None:
    desk = Desk("query")
    desk.count("miss", 1.0, request_id="first")
    cursor = (await recent(desk))["cursor"]
    for number in range(MOST):
        desk.clock.advance(1)
        told = await recent(desk, urlencode({"after": cursor, "n": 1000}))
        assert (told["missed"], len(told["requests"])) == (False, number)
        desk.count("miss", 1.0, request_id=f"{number:03}")
    told = await recent(desk, urlencode({"after": cursor, "n": 1000}))
    assert (told["missed"], len(told["requests"])) == (True, MOST)
    assert not (await recent(desk, urlencode({"after": told["cursor"]})))["missed"]
    assert not (await recent(desk))["missed"]


async def test_only_those_of_a_rule_or_outcome() -> None:
    desk = Desk("query", "search")
    desk.count("miss", 1.0)
    desk.count("hit", 1.0, rule="search")
    assert [line["rule"] for line in (await recent(desk, "rule=search"))["requests"]] == ["search"]
    assert [line["outcome"] for line in (await recent(desk, "outcome=miss"))["requests"]] == ["miss"]
    assert (await recent(desk, "outcome=miss&rule=search"))["requests"] == []


async def test_those_that_no_rule_matched() -> None:
    """By the name that performance tells of them."""
    desk = Desk("query")
    desk.count("miss", 1.0, request_id="r")
    desk.count("passthrough", 1.0, rule=None, request_id="none")
    assert [line["request_id"] for line in (await recent(desk, "rule=unmatched"))["requests"]] == ["none"]


NO_NUMBERS = (
    "many",
    "",
    "0",
    "00",
    "-1",
    "-1000",
    "+1",
    "1.0",
    "1_0",
    " 1",
    "1\n",
    "\u0661",
    "\uff11",
    "\ud800",
    "9" * 5000,
    "0" * 5000 + "1",
)


@pytest.mark.parametrize("after", ["", "&after="])
@pytest.mark.parametrize("n", NO_NUMBERS, ids=lambda n: ascii(n)[:9])
async def test_a_count_below_one_or_that_is_none_never_moves_the_cursor_past_lines(n: str, after: str) -> None:
    desk = Desk("query")
    desk.count("miss", 1.0)
    said = await desk.ask(f"{PREFIX}/requests?{urlencode({'n': n}, errors='replace')}{after}")
    assert said is not None
    assert said.status == 400
    told = said.json()
    assert (told["reason"], told["detail"]) == ("bad_request", "n is a whole number from 1 to 999999999")


@pytest.mark.parametrize("n", ["1000", "1001", "999999999"])
async def test_who_asks_for_more_than_there_is_gets_all(n: str) -> None:
    desk = Desk("query")
    for _ in range(5):
        desk.count("miss", 1.0)
    assert len((await recent(desk, f"n={n}"))["requests"]) == 5
