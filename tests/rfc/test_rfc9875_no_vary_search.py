"""RFC 9875 and No-Vary-Search: answers that are forgotten together, and queries that the origin calls equal."""

import pytest
from exchange import FRESH, Case, ask, play, said, table

LONG = "max-age=600"
GROUPS = ", ".join([f'"{number:032}"' for number in range(32)])


def member(groups: str | list[str] | None, to: str = "/a", **more):
    return ask(said(cache_control=LONG, cache_groups=groups), to=to, **more)


def ends(groups: str | list[str] | None, method: str = "POST", to: str = "/elsewhere", status: int = 200, **more):
    """Return an ask whose answer names groups to be forgotten."""
    return ask(said("done", status, cache_group_invalidation=groups), to=to, method=method, wait=1, **more)


def gone(to: str = "/a", **more):
    return ask(said("two", cache_control=LONG), to=to, wait=1, **more)


def there(to: str = "/a", **more):
    return ask(to=to, wait=1, **more).gets("one", outcome="hit")


GROUPED = {
    "RFC 9875 §2 MUST: all members of a group go together": (
        member('"g"'), member('"g", "h"', "/b"), member('"h"', "/c"), ends('"g"'), gone(), gone("/b"), there("/c"),
    ),
    "RFC 9875 §2 MUST: names are told apart by their case": (member('"g"'), ends('"G"'), there()),
    "RFC 9875 §2 MUST: and are not taken apart": (member('"a, b;c=d"'), member('"a"', "/b"), ends('"a, b;c=d"'), gone(), there("/b")),
    "RFC 9875 §2 MUST: within one origin": (
        member('"g"'), member('"g"', host=b"other.test"), ends('"g"'), gone(), there(host=b"other.test"),
    ),
    "RFC 9875 §2 MUST: what is no list of strings is nothing": (
        member("g"), member('"g", 5', "/b"), member('"g', "/c"), ends('"g"'), there(), there("/b"), there("/c"),
    ),
    "RFC 9875 §2 MUST: of an answer that cannot be read nothing is forgotten": (
        member('"g"'), ends('"g", h'), ends("g"), ends('"g",'), there(),
    ),
    "RFC 9875 §2 MUST: a list on several lines": (member(['"x"', '"g"']), ends(['"y"', '"g"']), gone()),
    "RFC 9875 §2 MUST: with parameters, which mean nothing": (member('"g";x=1'), ends('"g";y'), gone()),
    "RFC 9875 §2 MUST: 32 groups with names of 32 characters": (member(GROUPS), ends(f'"{31:032}"'), gone()),
    "RFC 9875 §3 MUST: 32 at once": (
        *[member(f'"{number:032}"', f"/{number}") for number in (0, 15, 31)],
        ends(GROUPS),
        *[gone(f"/{number}") for number in (0, 15, 31)],
    ),
    "RFC 9875 §2.2.1 MUST: members do not take their other groups with them": (
        member('"g", "h"'), member('"h"', "/b"), ends('"g"'), gone(), there("/b"),
    ),
    "RFC 9875 §2.2.1 MAY: who changes one of a group changes the group": (
        member('"g"'), member('"g"', "/b"), member(None, "/c"), ends(None, to="/a"), gone("/b"), there("/c"),
    ),
    "RFC 9875 §2.2.1 MUST: but no further": (
        member('"g"'), member('"g", "h"', "/b"), member('"h"', "/c"), ends(None, to="/a"), gone("/b"), there("/c"),
    ),
    **{
        f"RFC 9875 §3 MUST: {method} ends nothing": (member('"g"'), ends('"g"', method), there())
        for method in ("GET", "HEAD", "OPTIONS", "TRACE")
    },
    **{
        f"RFC 9875 §3 MAY: {method} does": (member('"g"'), ends('"g"', method), gone())
        for method in ("POST", "PUT", "DELETE", "PATCH", "PURPLE")
    },
    "RFC 9875 §3 MAY: what failed ends nothing": (member('"g"'), ends('"g"', status=500), ends('"g"', status=403), there()),
    "RFC 9875 §3 MUST: what comes after lives": (member('"g"'), ends('"g"'), member('"g"', wait=1), there()),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(GROUPED))
async def test_groups(steps: Case) -> None:
    await play(steps)


def equal(told: str | None, first: str, *others: str) -> Case:
    """Return the steps that show which queries share an answer."""
    return ask(said(cache_control=FRESH, no_vary_search=told), to=first), *[
        ask(to=other).gets("one", outcome="hit") for other in others
    ]


def different(told: str | list[str] | None, first: str, *others: str) -> Case:
    return ask(said(cache_control=FRESH, no_vary_search=told), to=first), *[
        ask(said("two"), to=other).gets("two") for other in others
    ]


ONLY = 'params=("x" "y")'
QUERIES = {
    "No-Vary-Search MUST: the order of names, where it is said to mean nothing": equal(
        "key-order", "/a?a=1&b=2", "/a?b=2&a=1"
    ),
    "No-Vary-Search MUST: of one name the order of values counts": different("key-order", "/a?a=1&a=2", "/a?a=2&a=1"),
    "No-Vary-Search MUST: nothing else": different("key-order", "/a?a=1&b=2", "/a?b=2", "/a?b=2&a=2"),
    "No-Vary-Search MUST: the names in params": equal(ONLY, "/a?a=1&x=1", "/a?a=1", "/a?x=2&a=1&y", "/a?y=3&a=1"),
    "No-Vary-Search MUST: no others, and their order": different(
        ONLY, "/a?a=1&b=1", "/a?a=1&b=1&c=1", "/a?b=1&a=1", "/a?a=2&b=1"
    ),
    "No-Vary-Search MUST: all but the names in except": equal('except=("a")', "/a?a=1&x=1", "/a?z=9&a=1", "/a?a=1"),
    "No-Vary-Search MUST: those count": different('except=("a")', "/a?a=1", "/a?a=2", "/a?a=1&a=1", "/a"),
    "No-Vary-Search MUST: no name at all": equal("except=()", "/a?a=1", "/a?b=2", "/a", "/a?"),
    "No-Vary-Search MUST: names are read as a form is": equal(
        'params=("a b")', "/a?q=1&a+b=1", "/a?a%20b=2&q=1", "/a?q=%31"
    ),
    "No-Vary-Search MUST: another path is another question": different(ONLY, "/a?x=1", "/b?x=1", "/a/?x=1"),
    "No-Vary-Search MUST: nothing said, nothing equal": different(None, "/a?x=1", "/a?x=2", "/a"),
    **{
        f"No-Vary-Search MUST: {told} says nothing": different(told, "/a?b=1&x=1", "/a?b=1&x=2", "/a?x=1&b=1")
        for told in (
            "", "key-order,", 'params="x"', "params=(x)", 'params=("x" 1)', 'except="b"', "except", 'params=("x"), except=("b")',
            "key-order=1", 'key-order="x"', 'params=("x"', 'Params=("x")', "params=?0",
        )
    },
    "No-Vary-Search MUST: each answer is held to its own word": (
        ask(said(cache_control=FRESH, no_vary_search='params=("x")'), to="/a?a=1&x=1"),
        ask(said("two", cache_control=FRESH, no_vary_search='params=("y")'), to="/a?a=2&y=1"),
        ask(said("three"), to="/a?a=1&x=1&y=2").gets("three"), ask(to="/a?a=2&y=2").gets("two"),
    ),
    "No-Vary-Search MUST: together with Vary": (
        ask(said("de", cache_control=FRESH, vary="accept-language", no_vary_search=ONLY), to="/a?x=1", accept_language="de"),
        ask(said("fr", cache_control=FRESH, vary="accept-language", no_vary_search=ONLY), to="/a?x=2", accept_language="fr"),
        ask(to="/a?x=3", accept_language="de").gets("de", outcome="hit"), ask(to="/a?x=3", accept_language="fr").gets("fr"),
    ),
    "No-Vary-Search MUST: the upstream is asked as the client asks": (
        ask(said(cache_control="max-age=10", etag='"a"', no_vary_search=ONLY), to="/a?x=1"),
        ask(said("two", cache_control=FRESH, no_vary_search=ONLY), to="/a?x=2", wait=11).gets("two"),
        ask(to="/a?x=1").gets("two", outcome="hit"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(QUERIES))
async def test_queries_that_are_called_equal(steps: Case) -> None:
    here = await play(steps)
    asked = [step.request.target for step in steps for _ in step.upstream]
    assert [request.target for request in here.engine.requests] == asked
