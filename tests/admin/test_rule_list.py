"""The rules as they are configured, and in short how each does."""

from admin_desk import Desk
from shop import splitting_rule


async def test_rules_in_their_order_with_what_they_match() -> None:
    told = (await Desk("query", "search").numbers("rules"))["rules"]
    assert [one["name"] for one in told] == ["query", "search"]
    assert told[0]["match"] == {"method": ["GET", "HEAD"], "path": "/query", "host": None}
    assert (told[0]["ttl"], told[0]["safe"], told[0]["key"]) == (3600.0, False, [])


async def test_how_each_does() -> None:
    desk = Desk("query", "search")
    await desk.keep(b"a" * 20, b"x" * 1000)
    desk.count("miss", 40.0, upstream_s=40.0)
    desk.count("hit", 0.0, cost=40.0)
    query, search = (await desk.numbers("rules"))["rules"]
    assert (query["entries"], query["n"], query["hit_ratio"]) == (1, 2, 0.5)
    assert (query["seconds_saved"], query["upstream_s"]) == (40.0, 40.0)
    assert (search["entries"], search["n"]) == (0, 0)


async def test_how_far_a_rule_is_rolled_out() -> None:
    desk = Desk("shop", "query", rules=(splitting_rule("shop"),))
    shop, query = (await desk.numbers("rules"))["rules"]
    assert shop["rollout"]["split"]["mode"] in {"on", "shadow"}
    assert query["rollout"] == {}
