"""Of two answers the newer one is kept, whichever of them comes first; what was forgotten does not come back."""

import pytest
from fakes import Answer, Body
from race import FRESH, OWN, SHORT, Race, said, turns
from world import rule

from proxy.core.rules import default_rule
from proxy.core.types import Response
from proxy.purge import Wanted

OLD, NEW = said("old", cache_control=FRESH), said("new", cache_control=FRESH)
DONE, UNCHANGED = said("", 204), said("", 304, etag='"1"')
TAGGED = said("old", cache_control=SHORT, etag='"1"')
RELOAD = {"cache_control": "no-cache"}
DATED = {"last_modified": "Sun, 02 Sep 2001 01:46:40 GMT"}


async def changed(race: Race, **asks) -> None:
    """Let an unsafe request succeed; then time goes on."""
    await race.gets(DONE, **{"method": "PUT", "body": b"new", **asks})
    race.clock.advance(1)


async def outdated(stored: Response = TAGGED, **more) -> Race:
    """Return a world in which this is stored and no longer fresh."""
    race = Race(**more)
    await race.gets(stored)
    race.clock.advance(11)
    return race


TWO = {
    "the elder, which comes last": (default_rule(), {}, ("younger", "elder")),
    "the elder, which comes first": (default_rule(), {}, ("elder", "younger")),
    "the younger, for which nobody waits": (OWN, RELOAD, ("younger", "elder")),
    "the younger, which comes last": (OWN, RELOAD, ("elder", "younger")),
}


@pytest.mark.parametrize(("under", "asks", "order"), TWO.values(), ids=TWO)
async def test_an_unsafe_request_overtook_only_one_of_two_flights(under, asks, order) -> None:
    """RFC 9111 §4.4: what began before it may carry the old answer, however many began."""
    race = Race(rules=(under,))
    flights = {"elder": await race.begins(OLD), "younger": await race.begins(OLD, **asks)}
    await changed(race)
    for name in order:
        assert (await flights[name].ends()).body == b"old"
    assert (await race.gets(NEW)).body == b"new"


async def test_a_304_brought_back_what_an_unsafe_request_had_made_us_forget() -> None:
    race = await outdated()
    asking = await race.begins(UNCHANGED)
    await changed(race)
    assert (await asking.ends()).body == b"old"
    assert (await race.gets(NEW)).body == b"new"


async def test_a_304_took_the_place_of_a_newer_answer() -> None:
    race = await outdated()
    asking = await race.begins(UNCHANGED)
    assert (await race.gets(NEW, **RELOAD)).body == b"new"
    await asking.ends()
    assert (await race.gets()).body == b"new"


async def test_a_failure_in_between_let_an_older_answer_take_a_newer_ones_place() -> None:
    """Of three flights the first comes last."""
    race = Race(rules=(default_rule(),))
    first = await race.begins(OLD)
    await race.gets(said("no", 503))
    await race.gets(NEW)
    await first.ends()
    assert (await race.gets()).body == b"new"


NOT_KEPT = {
    "is not there": said("gone", 404),
    "is not stored": said("old", cache_control="no-store"),
    "is its asker's": said("old", cache_control="private"),
}


@pytest.mark.parametrize("older", NOT_KEPT.values(), ids=NOT_KEPT)
async def test_an_older_answer_that_is_not_kept_ended_a_newer_one(older: Response) -> None:
    race = await outdated()
    first = await race.begins(older)
    await race.gets(NEW, **RELOAD)
    await first.ends()
    assert (await race.gets()).body == b"new"


ITS_OWN = {"cache_control": FRESH, "content_location": "/a"}
READS = rule("reads", "/a", ttl=None, safe=True, methods=frozenset({"POST"}))


async def test_a_post_whose_answer_was_still_arriving_was_kept_over_a_put() -> None:
    race = Race()
    body = Body(b"ol", ends=False)
    arriving = await race.begins(said(body, **ITS_OWN), method="POST", body=b"q")
    arriving.held.go.set()
    await turns()
    await changed(race)
    body.feed(b"d")
    body.end()
    assert (await arriving.task).body == b"old"
    assert (await race.gets(NEW)).body == b"new"


async def test_a_post_that_only_reads_and_was_asked_before_a_put_was_kept_over_it() -> None:
    race = Race(rules=(READS, OWN))
    asking = await race.begins(said("old", **ITS_OWN), method="POST", body=b"q")
    await changed(race)
    assert (await asking.ends()).body == b"old"
    assert (await race.gets(NEW)).body == b"new"


async def test_a_get_that_began_before_a_post_that_only_reads_took_the_place_of_its_answer() -> None:
    race = Race(rules=(READS, OWN))
    first = await race.begins(OLD)
    race.clock.advance(1)
    await race.gets(said("new", **ITS_OWN), method="POST", body=b"q")
    await first.ends()
    assert (await race.gets()).body == b"new"


FOREIGN = {
    "a tag, of what has none": (said("old", cache_control=SHORT, **DATED), {"etag": '"2"'}),
    "a date, of what has none": (said("old", cache_control=SHORT, etag='"1"'), DATED),
    "a tag, of what has no validator": (said("old", cache_control=SHORT), {"etag": '"2"'}),
}


@pytest.mark.parametrize(("stored", "names"), FOREIGN.values(), ids=FOREIGN)
async def test_a_head_that_names_what_is_not_stored_made_it_fresh(stored: Response, names) -> None:
    """RFC 9111 §4.3.5: it is about another answer; who asked by its tag would get that one's 304 for these bytes."""
    race = await outdated(stored)
    await race.gets(said("", cache_control=FRESH, **names), method="HEAD")
    got = await race.gets(NEW)
    assert (got.body, race.here.engine.requests[-1].header(b"if-none-match")) == (b"new", None)


async def test_a_304_with_a_tag_that_nothing_stored_has_made_it_fresh() -> None:
    """RFC 9111 §4.3.4: it is about what has that tag."""
    race = await outdated(said("old", cache_control=SHORT, **DATED))
    assert (await race.gets(said("", 304, etag='"2"'), NEW)).body == b"new"


async def test_heads_that_say_nothing_kept_an_answer_alive() -> None:
    race = Race(rules=(rule(path="/**", ttl=60.0),))
    await race.gets(said("old"))
    for _ in range(3):
        race.clock.advance(50)
        await race.gets(said(""), method="HEAD", **RELOAD)
    assert (await race.gets(said("new"))).body == b"new"


FAILED_HEADS = {
    "a 403": (said("", 403), {}),
    "a 405": (said("", 405), {}),
    "a 429": (said("", 429), {}),
    "a length, for a part": (said("", etag='"1"', content_length=1), {"range": "bytes=0-0"}),
    "a 206": (said("", 206, cache_control=FRESH, etag='"1"', content_range="bytes 0-0/3"), {"range": "bytes=0-0"}),
}  # fmt: skip


@pytest.mark.parametrize(("head", "asks"), FAILED_HEADS.values(), ids=FAILED_HEADS)
async def test_a_head_that_says_nothing_of_the_get_ended_what_is_stored(head: Response, asks) -> None:
    race = Race()
    await race.gets(said("old", cache_control=FRESH, etag='"1"'))
    await race.gets(head, method="HEAD", **RELOAD, **asks)
    assert (await race.gets()).body == b"old"


@pytest.mark.parametrize("status", [408, 429])
async def test_an_answer_to_who_must_ask_again_ended_what_may_stand_in_for_failures(status: int) -> None:
    """It says nothing of the answer."""
    race = await outdated(said("old", cache_control="max-age=10, stale-if-error=600", etag='"1"'))
    assert (await race.gets(said("", status))).status == status
    assert (await race.gets(said("", 503))).body == b"old"


@pytest.mark.parametrize("newer", NOT_KEPT.values(), ids=NOT_KEPT)
async def test_an_older_answer_was_kept_over_a_newer_one_that_is_not(newer: Response) -> None:
    race = await outdated()
    first = await race.begins(OLD)
    await race.gets(newer, **RELOAD)
    await first.ends()
    assert (await race.gets(NEW)).body == b"new"


async def test_an_older_answer_that_came_first_kept_a_newer_one_out() -> None:
    race = Race()
    flights = [await race.begins(OLD), await race.begins(NEW, **RELOAD)]
    for flight in flights:
        await flight.ends()
    assert (await race.gets()).body == b"new"


SAYS_SO: dict[str, tuple[Answer, ...]] = {
    "no-store": (said("new", cache_control="no-store", etag='"2"'),),
    "no answer at all": (said("gone", 404),),
}


@pytest.mark.parametrize("word", SAYS_SO.values(), ids=SAYS_SO)
async def test_a_part_outlived_the_newer_word_on_the_whole(word) -> None:
    race = Race()
    part = said("0123", 206, cache_control=FRESH, content_range="bytes 0-3/10", etag='"1"')
    await race.gets(part, range="bytes=0-3")
    await race.gets(*word)
    assert (await race.gets(said("abcd", 206, etag='"2"'), range="bytes=0-3")).body == b"abcd"


EACH = rule("own", "/**", ttl=None, private_by=(b"authorization",))
GROUPED = {"cache_control": "public, max-age=60", "cache_groups": '"g"'}
TOGETHER = {
    "its group, by an unsafe request": lambda race: race.gets(said("", 204, cache_group_invalidation='"g"'), to="/x", method="POST"),
    "its group, by an operator": lambda race: race.here.purge(Wanted("group", "site.test g")),
    "its rule": lambda race: race.here.purge(Wanted("rule", "own")),
    "all": lambda race: race.here.purge(Wanted("all")),
    "its target, by another client": lambda race: race.gets(DONE, method="PUT", authorization="alice"),
}  # fmt: skip
BOB = {"authorization": "bob"}


@pytest.mark.parametrize("forgets", TOGETHER.values(), ids=TOGETHER)
@pytest.mark.parametrize("arriving", [False, True], ids=["before its head", "while it arrives"])
async def test_who_asked_after_it_was_forgotten_waited_for_an_answer_from_before(forgets, arriving: bool) -> None:
    race = Race(rules=(EACH,))
    body = Body(b"o", ends=False)
    first = await race.begins(said(body, **GROUPED), **BOB)
    if arriving:
        first.held.go.set()
        await turns()
    race.clock.advance(1)
    await forgets(race)
    race.clock.advance(1)
    second = await race.joins(NEW, **BOB)
    body.feed(b"ld")
    body.end()
    assert (await first.ends()).body == b"old"
    assert (await second).body == b"new"


@pytest.mark.parametrize("forgets", TOGETHER.values(), ids=TOGETHER)
async def test_a_clock_that_went_back_kept_what_was_forgotten_after_it(forgets) -> None:
    race = Race(rules=(EACH,))
    await race.gets(said("old", **GROUPED), **BOB)
    race.clock.advance(-30)
    await forgets(race)
    assert (await race.gets(NEW, **BOB)).body == b"new"


TWICE = {
    "the elder": (default_rule(), {}, "elder"),
    "the younger": (default_rule(), {}, "younger"),
    "the elder, beside a reload": (OWN, RELOAD, "elder"),
}


@pytest.mark.parametrize(("under", "asks", "arrives"), TWICE.values(), ids=TWICE)
async def test_of_two_that_an_unsafe_request_overtook_one_was_waited_for(under, asks, arrives: str) -> None:
    race = Race(rules=(under,))
    body = Body(b"o", ends=False)
    told = {name: said(body, cache_control=FRESH) if name == arrives else OLD for name in ("elder", "younger")}
    flights = {"elder": await race.begins(told["elder"]), "younger": await race.begins(told["younger"], **asks)}
    flights[arrives].held.go.set()
    await turns()
    await changed(race)
    asking = await race.joins(NEW)
    body.feed(b"ld")
    body.end()
    assert [(await flight.ends()).body for flight in flights.values()] == [b"old", b"old"]
    assert (await asking).body == b"new"


OTHER_FIELDS = {
    "it overrides its method": ({}, {"x_http_method_override": "PUT"}),
    "it came by another scheme": ({}, {"x_forwarded_proto": "https"}),
    "the stored answer did": ({"x_forwarded_proto": "https"}, {}),
    "another client's": ({"authorization": "bob"}, {"authorization": "alice"}),
}
FOR_EACH = said("old", cache_control="public, max-age=60")


@pytest.mark.parametrize(("asks", "unsafe"), OTHER_FIELDS.values(), ids=OTHER_FIELDS)
@pytest.mark.parametrize("under_way", [False, True], ids=["stored", "under way"])
async def test_an_unsafe_request_with_other_fields_made_us_forget_its_own_answer_only(asks, unsafe, under_way) -> None:
    """RFC 9111 §4.4: the target has changed, for whomever it was asked."""
    race = Race(rules=(EACH,))
    first = await race.begins(FOR_EACH, **asks)
    if not under_way:
        await first.ends()
    await changed(race, **unsafe)
    if under_way:
        await first.ends()
    assert (await race.gets(NEW, **asks)).body == b"new"


ORIGINS = {
    "https, its port told": ("https", "https://site.test:443/b", True),
    "https, at the other's port": ("https", "https://site.test:80/b", False),
    "http, its port told": ("http", "http://site.test:80/b", True),
    "http, at the other's port": ("http", "http://site.test:443/b", False),
}


@pytest.mark.parametrize(("scheme", "location", "same"), ORIGINS.values(), ids=ORIGINS)
async def test_a_location_that_tells_its_port_named_the_wrong_origin(scheme: str, location: str, same: bool) -> None:
    """RFC 9111 §4.4: of the same origin only, and of that also where its default port is written out."""
    race = Race()
    await race.gets(OLD, to="/b", scheme=scheme)
    race.clock.advance(1)
    await race.gets(said("", 201, location=location), method="POST", scheme=scheme)
    race.clock.advance(1)
    assert (await race.gets(NEW, to="/b", scheme=scheme)).body == (b"new" if same else b"old")
