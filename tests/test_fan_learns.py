"""What single parts took is remembered, and the longest go first."""

from fakes import FakeClock, FakeEngine
from shop import Shop, listed, shop_rule
from world import World


async def test_the_longest_go_first_once_it_is_known_which_they_are() -> None:
    clock, shop = FakeClock(), Shop()

    def slow(request):
        said = shop(request)
        clock.advance({"2": 9.0, "3": 5.0}.get(shop.asked[-1][0], 1.0))
        return said

    here = World(FakeEngine(slow), rules=(shop_rule(residual="each", ttl=100.0),), clock=clock)
    await here.ask(listed("1,2,3"))
    clock.advance(200)
    await here.ask(listed("1,2,3"))
    assert shop.bodies == ["1", "2", "3", "2", "3", "1"]
