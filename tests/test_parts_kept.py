"""A store that fails or holds what nobody wrote costs hits, never an answer."""

from fakes import FailingStore, FakeEngine
from shop import Shop, listed, shop_rule, whole
from world import World


async def test_a_store_that_is_down_costs_hits() -> None:
    shop = Shop()
    here = World(FakeEngine(shop), rules=(shop_rule(),), store=FailingStore())
    for _ in range(2):
        assert (await here.ask(listed("1,2"))).body == await whole(shop, "1,2")
    assert shop.bodies == ["1,2", "1,2"]
