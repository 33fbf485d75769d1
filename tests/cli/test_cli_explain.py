"""`frontrunner explain` prints an explanation as an operator reads it: rule, steps, key, entry, what happens, the nearest."""

import json

import pytest
from catalogue import Catalogue
from fakes import FakeEngine, answer
from typer.testing import CliRunner
from world import World, asked, rule

from proxy.cli import app
from proxy.cli.explain import lines
from proxy.core.fan_out import Bounds
from proxy.core.merge.keyed import Keyed
from proxy.core.normalize.drop_params import DropParams
from proxy.core.normalize.json import Json
from proxy.core.normalize.lower import Lower
from proxy.core.normalize.sort_params import SortParams
from proxy.core.rollout import Stage, Staging, Trust
from proxy.core.split.query_list import QueryList
from proxy.core.splitting import Splitting

JSON = (b"content-type", b"application/json")
READ = (SortParams(), DropParams(("utm_*",)), Lower(("q",)))


def world(**more) -> World:
    """Return a proxy whose answers differ by a field, and are stale for a while."""
    search = rule("search", "/search", normalizers=READ, ttl=10.0, refresh=60.0, **more)
    ask = rule(
        "ask",
        "/ask",
        safe=True,
        methods=frozenset({"POST"}),
        normalizers=(Json(ignore=("$.id",)),),
        ttl=100.0,
        error=60.0,
    )
    return World(FakeEngine(answer(b"12345678", (b"vary", b"x-a"), (b"cache-groups", b'"g"'))), rules=(search, ask))


def in_parts(service, name="ids") -> World:
    """Return a proxy that answers lists from their parts."""
    splitting = Splitting(QueryList(name), Keyed("$"), bounds=Bounds("single"))
    return World(
        FakeEngine(*[service] * 9),
        rules=(rule("list", "/list", splitting=splitting, trust=Trust(split=Staging(Stage.ON)), ttl=10.0),),
    )


def printed(told, **keys) -> str:
    """Return what is printed, each key by its name."""
    text = "\n".join(lines(json.loads(json.dumps(told))))  # as it comes over the wire
    for name, key in keys.items():
        text = text.replace(key, name)
    return text + "\n"


async def test_a_miss_with_the_nearest_key_and_what_differs() -> None:
    here = world()
    await here.ask(asked("/search?page=1&q=cats&token=hunter2"))
    told = await here.explain(asked("/search?utm_source=x&q=CATS&page=2&token=hunter2"))
    assert (
        printed(told, KEY=told["key"]["hash"], STORED=here.last.key_hash)
        == """\
rule     search
step     sort_params
           query: utm_source=x&q=CATS&page=2&token=… → page=2&q=CATS&token=…&utm_source=x
step     drop_params
           param utm_source: x → (absent)
step     lower
           param q: CATS → cats
key      KEY
           method: GET
           host: site.test
           path: /search
           param page: 2
           param q: cats
           param token: …
entry    none
now      miss: fetch from the upstream
nearest  STORED
           param page: 2 ≠ 1
"""
    )


async def test_a_stale_variant() -> None:
    here = world()
    for value in (b"1", b"2"):
        await here.ask(asked("/search?q=a", (b"x-a", value)))
    here.clock.advance(12.5)
    told = await here.explain(asked("/search?q=a", (b"x-a", b"1")))
    assert (
        printed(told, KEY=told["key"]["hash"])
        == """\
rule     search
step     sort_params: nothing to change
step     drop_params: nothing to change
step     lower: nothing to change
key      KEY
           method: GET
           host: site.test
           path: /search
           param q: a
entry    stale, status 200, bytes 8, age_s 12.5, ttl_s -2.5, refresh_s 60.0, error_s 0.0, cost_s 0.0, vary x-a, variants 2, groups site.test g
now      stale: answer from the store, and fetch a new one behind it
"""
    )


async def test_other_variants_only() -> None:
    here = world()
    await here.ask(asked("/search", (b"x-a", b"1")))
    told = await here.explain(asked("/search", (b"x-a", b"2")))
    assert printed(told).splitlines()[-2:] == [
        "entry    none of these fields, vary x-a, variants 1",
        "now      miss: fetch from the upstream",
    ]


async def test_what_can_be_served_if_the_upstream_fails() -> None:
    here = world()
    request = asked("/ask", JSON, method="POST", body=b'{"q": [1, 2], "id": 7}')
    await here.ask(request)
    here.clock.advance(101)
    told = await here.explain(request)
    assert (
        printed(told, KEY=told["key"]["hash"])
        == """\
rule     ask
step     json
           $.id: 7 → (absent)
key      KEY
           method: POST
           host: site.test
           path: /ask
           media type: application/json
           $.q[0]: 1
           $.q[1]: 2
entry    stale, status 200, bytes 8, age_s 101.0, ttl_s -1.0, refresh_s 0.0, error_s 60.0, cost_s 0.0, vary x-a, variants 1, groups site.test g
now      expired: fetch from the upstream
           if that fails: answer from the store
"""
    )


PASSES = {
    "no rule": (asked("/other"), "rule     none\nnow      passthrough: send it straight upstream (no_rule)\n"),
    "a cookie": (asked("/search", (b"cookie", b"a=hunter2")), "rule     search\nnow      passthrough: send it straight upstream (cookie)\n"),
    "a body that cannot be read": (
        asked("/ask", JSON, method="POST", body=b'{"pin": 1, "pin": "hunter2"}'),
        "rule     ask\nstep     json: it cannot be certain\nnow      passthrough: send it straight upstream (key_duplicate_member)\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "told"), PASSES.values(), ids=PASSES)
async def test_what_passes_through(request_, told) -> None:
    assert printed(await world().explain(request_)) == told


async def test_only_the_order_only_what_is_hidden_and_nothing_at_all() -> None:
    here = world()
    stored = asked("/ask", JSON, method="POST", body=b'{"pin":1}')
    await here.ask(stored)
    told = await here.explain(asked("/ask", JSON, method="POST", body=b'{"pin":2}'))
    assert printed(told).splitlines()[-1] == "           $.pin: … ≠ … (in what is not shown)"
    assert printed({"rule": "r", "steps": [], "key": {"hash": "k", "form": {"query": ""}}}).endswith("query: (empty)\n")
    assert printed({"rule": "r", "refused": "bad_request"}).endswith("now      error: refuse it (bad_request)\n")


async def test_a_composite_and_how_its_parts_stand() -> None:
    here = in_parts(Catalogue())
    await here.ask(asked("/list?ids=7,9"))
    here.clock.advance(11)
    await here.ask(asked("/list?ids=8,10"))
    told = await here.explain(asked("/list?ids=7,8,11"))
    assert (
        printed(told, KEY=told["key"]["hash"], FRAME=told["split"]["frame"])
        == """\
rule     list
key      KEY
           method: GET
           host: site.test
           path: /list
           query: ids=7,8,11
split    on: 3 parts, 1 fresh, 1 stale, 1 missing
           7: stale
           8: fresh
           11: missing
           frame FRAME, known
           asks for 2 in 1 call, 1 at once (residual: single)
entry    none
now      partial: fetch what is missing of its parts, and answer from them
"""
    )


async def test_a_composite_that_goes_whole() -> None:
    here = in_parts(Catalogue())
    here.rollouts.demote("list")
    told = await here.explain(asked("/list?ids=7,8&token=hunter2"))
    shown = printed(told, FRAME=told["split"]["frame"])
    assert (
        """\
split    shadow (demoted): 2 parts, 0 fresh, 0 stale, 2 missing
           7: missing
           8: missing
           frame FRAME, not known
           asks for 2 in 1 call, 1 at once (residual: single)
           goes whole: its split is shadow
"""
        in shown
    )
    assert "split    on: no parts\n           goes whole: it names no parts\n" in printed(
        await in_parts(Catalogue()).explain(asked("/list"))
    )


async def test_parts_that_may_be_secrets_are_counted_only() -> None:
    here = in_parts(Catalogue(), "token")
    told = await here.explain(asked("/list?token=hunter2,b"))
    shown = printed(told, FRAME=told["split"]["frame"])
    assert "split    on: 2 parts, 0 fresh, 0 stale, 2 missing\n           frame FRAME, not known\n" in shown


async def test_with_the_bypass_on() -> None:
    told = await world().explain(asked("/other"))
    told["would"] = {"outcome": "passthrough", "do": "send it straight upstream", "reason": "bypass"}
    assert printed(told) == "rule     none\nnow      passthrough: send it straight upstream (bypass)\n"


async def test_no_terminal_obeys_a_client() -> None:
    """Names, values, hosts and groups are theirs: no line is forged, no screen is cleared."""
    here = world()
    hostile = b"a\x1b[2J\nnow      hit: answer from the store\xc2\x9b"
    await here.ask(asked("/search?q=a"))
    told = await here.explain(asked("/search?%1b%0aq=%0anow%20hit&" + hostile.decode()))
    told["entry"] = {"groups": [hostile.decode("latin-1"), "\u202e"], "equal_queries": True}
    text = printed(told)
    assert [line for line in text.splitlines() if line.startswith("now ")] == ["now      miss: fetch from the upstream"]
    assert text.replace("\n", "").isprintable()


@pytest.fixture
def explain(monkeypatch):
    """Run the command against a proxy that says this; return what was printed, and what it was asked."""

    def run(told, *arguments):
        seen = []
        monkeypatch.setattr("proxy.cli.explain.sent", lambda *asked: seen.append(asked) or told)
        result = CliRunner().invoke(app, ["explain", *arguments, "--url", "http://p", "--token", "t"])
        assert result.exit_code == 0, result.output
        ((url, token, path, wanted, asked),) = seen
        assert (url, token, path, wanted) == ("http://p", "t", "explain", "rule")
        return result.stdout, asked

    return run


def test_the_request_is_sent_as_it_is_described(explain):
    told = {"rule": None, "passthrough": "no_rule"}
    out, asked = explain(told, "POST", "/a?b", "-H", "Host: a", "-H", "X-A: 1", "-d", '{"q": "ü"}')
    assert asked == {"method": "POST", "url": "/a?b", "headers": {"host": "a", "x-a": "1"}, "body": '{"q": "ü"}'}
    assert out == "rule     none\nnow      passthrough: send it straight upstream (no_rule)\n"


def test_as_json_it_is_what_the_proxy_says(explain):
    told = {"rule": "r\x9b\u202e", "key": {"form": {"param q": "ü"}}}
    out, _ = explain(told, "GET", "/a", "--json")
    assert json.loads(out) == told
    assert out.replace("\n", "").isprintable()
