"""Nobody gets another client's answer, nor a field of it."""

import pytest
from fakes import DATE
from race import FRESH, Race, said
from world import rule

LONG_AGO = {"last_modified": "Sun, 02 Sep 2001 01:46:40 GMT", "date": DATE.decode()}
ALICE = "Basic alice"

WITHHELD = {
    "a cookie that is private": ("set-cookie", 'max-age=60, private="set-cookie"'),
    "a cookie that must be asked about": ("set-cookie", 'max-age=60, no-cache="set-cookie"'),
    "any field that is private": ("x-user", 'max-age=60, private="x-user"'),
    "what a proxy says of credentials": ("proxy-authentication-info", FRESH),
}


@pytest.mark.parametrize(("name", "word"), WITHHELD.values(), ids=WITHHELD)
async def test_who_waited_for_anothers_answer_got_what_is_withheld_from_others(name: str, word: str) -> None:
    """RFC 9111 §5.2.2.7: what is not kept with the answer is not for those who wait for it either."""
    race = Race()
    leads = await race.begins(said("page", cache_control=word, **{name: "alice"}))
    waits = await race.joins()
    led, waited = await leads.ends(), await waits
    assert (led.body, waited.body, race.calls) == (b"page", b"page", 1)
    assert (led.header(name.encode()), waited.header(name.encode())) == (b"alice", None)


async def test_a_guess_for_everybody_was_given_to_somebody_who_waited() -> None:
    """With a Cookie nothing is guessed, from the store or from a flight."""
    race = Race()
    leads = await race.begins(said("anonymous", **LONG_AGO))
    waits = await race.joins(said("hello bob", **LONG_AGO), cookie="sid=bob")
    assert (await leads.ends()).body == b"anonymous"
    assert (await waits).body == b"hello bob"


async def test_who_waited_by_an_outdated_no_vary_search_got_the_answer_to_another_query() -> None:
    """What the last answer said of equal queries, the one that they wait for no longer says."""
    race = Race()
    await race.gets(said("old", cache_control=FRESH, no_vary_search='params=("user")'), to="/a?user=0")
    race.clock.advance(61)
    leads = await race.begins(said("for 1", cache_control=FRESH), to="/a?user=1")
    waits = await race.joins(said("for 2", cache_control=FRESH), to="/a?user=2")
    assert (await leads.ends()).body == b"for 1"
    assert (await waits).body == b"for 2"


async def test_who_waited_by_a_no_vary_search_that_still_holds_shares() -> None:
    race = Race()
    equal = {"cache_control": FRESH, "no_vary_search": 'params=("user")'}
    await race.gets(said("old", **equal), to="/a?user=0")
    race.clock.advance(61)
    leads = await race.begins(said("for all", **equal), to="/a?user=1")
    waits = await race.joins(to="/a?user=2")
    assert ((await leads.ends()).body, (await waits).body, race.calls) == (b"for all", b"for all", 2)


@pytest.mark.parametrize("ttl", [None, 3600.0], ids=["origin's ttl", "owner's ttl"])
@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Request-Id", "Via"])
async def test_an_answer_that_varies_by_a_field_that_we_write_was_anothers_too(name: str, ttl: float | None) -> None:
    """RFC 9111 §4.1: the clients' own fields cannot tell who may have it, for the upstream saw others."""
    race = Race(rules=(rule(path="/**", ttl=ttl),))
    told = {"cache_control": FRESH, "vary": f"Accept, {name}"}
    assert (await race.gets(said("for one", **told))).body == b"for one"
    assert (await race.gets(said("for another", **told))).body == b"for another"


PERSONAL = {
    "by its credentials": {"authorization": ALICE},
    "by its cookie": {"cookie": "sid=alice"},
}
CONFIRMS = {"etag": '"1"', "x_user": "alice", "cache_control": "public, max-age=60"}


async def outdated() -> Race:
    """Return a world that holds what is no longer fresh."""
    race = Race()
    await race.gets(said("page", cache_control="public, max-age=10", etag='"1"'))
    race.clock.advance(11)
    return race


@pytest.mark.parametrize("asks", PERSONAL.values(), ids=PERSONAL)
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304)], ids=["HEAD", "304"])
async def test_what_was_said_to_somebody_became_part_of_the_answer_to_all(method: str, status: int, asks) -> None:
    """It tells how long the answer is good; its other fields are its asker's."""
    race = await outdated()
    told = await race.gets(said("", status, **CONFIRMS), method=method, **asks)
    assert told.header(b"x-user") == b"alice"
    race.clock.advance(59)
    for_all = await race.gets()
    assert (for_all.body, for_all.header(b"x-user"), race.here.outcomes[-1]) == (b"page", None, "hit")


async def test_who_waited_for_a_304_got_what_it_said_to_somebody() -> None:
    race = await outdated()
    leads = await race.begins(said("", 304, set_cookie="sid=alice", **CONFIRMS | {"cache_control": 'public, max-age=60, private="set-cookie"'}), authorization=ALICE)  # fmt: skip
    waits = await race.joins()
    led, waited = await leads.ends(), await waits
    assert (led.body, waited.body, race.calls) == (b"page", b"page", 2)
    assert [(one.header(b"x-user"), one.header(b"set-cookie")) for one in (led, waited)] == [
        (b"alice", b"sid=alice"), (None, None),
    ]  # fmt: skip


async def test_a_head_whose_client_wants_nothing_stored_told_everybody() -> None:
    """RFC 9111 §5.2.1.5."""
    race = await outdated()
    await race.gets(said("", x_user="alice", cache_control=FRESH, etag='"1"'), method="HEAD", cache_control="no-store")
    asked_again = await race.gets(said("", 304, etag='"1"'))
    assert (asked_again.body, asked_again.header(b"x-user"), race.calls) == (b"page", None, 3)


async def test_a_post_whose_client_wants_nothing_stored_was_kept_for_a_get() -> None:
    race = Race()
    told = said("hers", cache_control=FRESH, content_location="/a")
    await race.gets(told, method="POST", body=b"q", cache_control="no-store")
    race.clock.advance(1)
    assert (await race.gets(said("for all"))).body == b"for all"


UNKEYED = (
    "x-forwarded-scheme", "x-forwarded-port", "x-forwarded-server", "x-forwarded-path", "x-forwarded-uri",
    "x-forwarded-ssl", "x-host", "x-original-host", "x-original-uri", "x-url-scheme", "front-end-https",
    "x-http-method", "x-method-override",
)  # fmt: skip


@pytest.mark.parametrize("name", UNKEYED)
async def test_a_kin_of_x_forwarded_host_poisoned_the_answer_for_all(name: str) -> None:
    """An upstream that builds its answer from it would give all what one client made up."""
    race = Race()
    poison = await race.gets(said("links to evil.test", cache_control=FRESH), **{name: "evil.test"})
    assert poison.body == b"links to evil.test"
    assert (await race.gets(said("links to us", cache_control=FRESH))).body == b"links to us"


async def test_who_asked_in_another_clients_fields_waited_for_its_answer() -> None:
    """What is in the key sets flights apart too."""
    race = Race()
    leads = await race.begins(said("links to evil.test", cache_control=FRESH), x_forwarded_port="1")
    asks = await race.joins(said("links to us", cache_control=FRESH))
    assert (await leads.ends()).body == b"links to evil.test"
    assert (await asks).body == b"links to us"
