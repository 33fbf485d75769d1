"""The admin API as a config asks for it."""

from admin_desk import PREFIX, Desk

from proxy.admin.api import METHODS


def test_every_path_is_served_below_the_prefix():
    desk = Desk("query")
    for path in METHODS:
        scope = {"type": "http", "method": "GET", "path": f"{PREFIX}/{path.replace('{', '').replace('}', '')}"}
        assert desk.api.route_for(scope) is not None, path


async def test_the_names_are_those_of_the_rules():
    desk = Desk("query", "search")
    assert (await desk.numbers("performance/search"))["n"] == 0
    assert (await desk.numbers("cache/search/info"))["entries"] == 0
