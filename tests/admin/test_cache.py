"""What is stored, how each store is, and what one rule's answers save."""

from admin_desk import Desk, workers_on_a_redis


async def test_each_store_is_told_of() -> None:
    desk = Desk("query")
    await desk.keep(b"a" * 20, b"x" * 1000)
    (memory,) = (await desk.numbers("cache/status"))["stores"]
    held = desk.store.status()
    assert memory == {
        "name": "memory", "state": "ok", "entries": 1, "bytes": held.bytes, "limit_bytes": held.limit_bytes,
        "evictions": 0,
    }  # fmt: skip


async def test_ratios_by_number_and_by_seconds() -> None:
    """Nine quick answers saved beside one slow one that was fetched."""
    desk = Desk("query")
    desk.count("miss", 90.0, upstream_s=90.0)
    for _ in range(9):
        desk.count("hit", 1.0, cost=2.0)
    for path in ("cache/status", "cache/query/info", "performance"):
        told = await desk.numbers(path)
        assert (told["hit_ratio"], told["hit_ratio_by_seconds"]) == (0.9, round(9 / 99, 6)), path


async def test_ages_and_ttls_as_served() -> None:
    desk = Desk("query")
    for age, ttl in ((0, 60), (3, 57), (70, -10)):
        desk.count("hit", 0.001, cost=2.0, age_s=age, ttl_s=ttl, key_hash="k")
    told = await desk.numbers("cache/query/info")
    assert told["age"] == [{"up_to_s": 0, "n": 1}, {"up_to_s": 3, "n": 1}, {"up_to_s": 127, "n": 1}]
    assert told["ttl"] == [{"up_to_s": -1, "n": 1}, {"up_to_s": 63, "n": 2}]


async def test_the_keys_that_save_the_most_are_told_by_their_hash() -> None:
    desk = Desk("query")
    for key, cost, times in (("small", 2.0, 3), ("large", 100.0, 1)):
        for _ in range(times):
            desk.count("hit", 0.0, cost=cost, age_s=1, ttl_s=1, key_hash=key)
    told = (await desk.numbers("cache/query/info"))["top_keys"]
    assert told == [
        {"key_hash": "large", "path": "/", "hits": 1, "seconds_saved": 100.0},
        {"key_hash": "small", "path": "/", "hits": 3, "seconds_saved": 6.0},
    ]


async def test_beside_a_key_is_told_what_the_owner_allows_of_its_query() -> None:
    desk = Desk("query", show=("page",))
    shown = {"query_page": "3", "header_user_agent": "curl"}
    desk.count("hit", 0.0, cost=2.0, age_s=1, ttl_s=1, key_hash="k", shown=shown)
    told = (await desk.numbers("cache/query/info"))["top_keys"]
    assert told == [{"key_hash": "k", "path": "/", "hits": 1, "seconds_saved": 2.0, "query_page": "3"}]


async def test_what_the_owner_does_not_allow_any_more_was_told_for_as_long_as_its_counts_last() -> None:
    desk = Desk("query", show=("page",))
    desk.count("hit", 0.0, cost=2.0, age_s=1, ttl_s=1, key_hash="k", shown={"query_page": "3", "query_mail": "a@b"})
    (told,) = (await desk.numbers("cache/query/info"))["top_keys"]
    assert (told["query_page"], "query_mail" in told) == ("3", False)


async def test_a_rule_that_nobody_asked_for() -> None:
    told = await Desk("query").numbers("cache/query/info")
    assert (told["entries"], told["requests"], told["age"], told["ttl"], told["top_keys"]) == (0, {}, [], [], [])


async def test_with_a_redis_each_worker_told_only_what_it_wrote_and_contradicted_its_stores() -> None:
    async with workers_on_a_redis((3, 300), (4, 4000)) as desks:
        for desk in desks:
            told = await desk.numbers("cache/status")
            assert (told["entries"], told["bytes"], told["limit_bytes"]) == (7, 4300, 0)
            assert told["stores"][-1] == {
                "name": "redis", "state": "ok", "entries": 7, "bytes": 4300, "limit_bytes": 0,
                "evictions": 0,
            }  # fmt: skip


async def test_of_one_rule_nothing_is_told_to_be_held_where_nobody_knows() -> None:
    async with workers_on_a_redis((3, 300)) as (desk,):
        await desk.keep(b"a" * 20, b"x" * 1000)
        assert {"entries", "bytes"}.isdisjoint(await desk.numbers("cache/query/info"))
        assert {"entries", "bytes"}.isdisjoint((await desk.numbers("rules"))["rules"][0])
