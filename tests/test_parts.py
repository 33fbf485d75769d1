"""Parts have places of their own in the store, and so has what stands around them in answers."""

from dataclasses import replace

import pytest
from fakes import NOON, FailingStore, FakeClock
from shop import listed, shop_rule
from world import World

from proxy.asked import Asked
from proxy.core.composite import MISSING, Frame, Share
from proxy.core.log_line import LogLine
from proxy.core.splitting import Splitting
from proxy.core.types import Entry
from proxy.parts import Keys, Known, mark_of, sealed
from proxy.purge import Wanted
from proxy.store.memory import Memory

SHOWN = Frame((b"[", b"]"), ("items",), (b"",), b"", b", ", b"")
HIDDEN = SHOWN._replace(between=None)
EMPTY = Frame((b"[", b"]"), ("items",), (b"",), empty=b" ")
OF_MANY = SHOWN._replace(empty=b" ")
OTHERWISE = Frame((b"[", b"]"), ("items",), (b"",), b" ", None, b" ")
ELSEWHERE = Frame((b'{"n":[', b"]}"), ("items",), (b"",), b"", None, b"")
ONE, TWO = Share((b'{"id":1}',)), Share((b'{"id":2}',))


class Shelf:
    """The parts of requests under the shop's rule."""

    def __init__(self, **more: object) -> None:
        self.clock = FakeClock()
        self.here = World(rules=(shop_rule(),), clock=self.clock, **more)  # type: ignore[arg-type]
        self.parts = self.here.parts
        splitting = self.here.rules[0].splitting
        assert isinstance(splitting, Splitting)
        self.splitting = splitting

    def asked(self, ids: str, **directives: str | None) -> Asked:
        return Asked(
            listed(ids), self.here.rules[0], b"site.test", directives, LogLine("1" * 32, "GET", "/kept/shop", 0.0)
        )

    async def keys(self, ids: str) -> Keys:
        cut = self.splitting.by.plan(listed(ids), self.splitting.limits)
        assert cut is not None
        return await self.parts.keys(self.asked(ids), cut, self.splitting)

    async def keep(
        self, keys: Keys, *shares: Share, frame: Frame = SHOWN, asked_at: float = NOON, **more: float
    ) -> None:
        mark = mark_of(frame)
        made = {key: self.entry(share, mark, asked_at, **more) for key, share in zip(keys.parts, shares, strict=False)}
        await self.parts.keep(
            made | {keys.around: self.entry(frame, mark, asked_at)}, keys, self.asked("1,2"), asked_at
        )

    def entry(
        self, what: Share | Frame, mark: bytes = b"\0" * 8, asked_at: float = NOON, ttl: float = 60.0, **more: float
    ) -> Entry:
        return Entry(200, (), sealed(what, mark, asked_at), self.clock.wall(), ttl, rule="kept", **more)

    async def known(self, keys: Keys, **directives: str | None) -> Known:
        return await self.parts.known(keys, self.asked("1,2", **directives))

    async def frame(self, keys: Keys) -> Share | Frame | None:
        held = (await self.known(keys)).frame
        return None if held is None else held.share


async def test_a_part_has_one_key_wherever_it_stands() -> None:
    shelf = Shelf()
    one, two = await shelf.keys("1,2,3"), await shelf.keys("3,9,1,3")
    assert one.around == two.around
    assert [one.parts[0], one.parts[2], one.parts[2]] == [two.parts[2], two.parts[0], two.parts[3]]
    assert len({one.around, *one.parts, *two.parts}) == 5


@pytest.mark.parametrize("frame", [SHOWN, HIDDEN, EMPTY])
async def test_what_is_kept_is_known(frame: Frame) -> None:
    shelf = Shelf()
    keys = await shelf.keys("1,2,3,1")
    await shelf.keep(keys, ONE, MISSING, frame=frame)
    known = await shelf.known(keys)
    assert {key: held.share for key, held in known.fresh.items()} == {keys.parts[0]: ONE, keys.parts[1]: MISSING}
    assert (known.stale, await shelf.frame(keys)) == ({}, frame)


async def test_old_parts_are_stale_and_parts_that_are_too_old_for_their_client() -> None:
    shelf = Shelf()
    keys = await shelf.keys("1,2")
    await shelf.keep(keys, ONE)
    await shelf.keep(Keys(keys.around, keys.parts[1:]), TWO, ttl=10.0)
    shelf.clock.advance(20)
    known = await shelf.known(keys)
    assert (list(known.fresh), list(known.stale)) == ([keys.parts[0]], [keys.parts[1]])
    choosy = await shelf.known(keys, **{"max-age": "5"})
    assert (list(choosy.fresh), list(choosy.stale)) == ([], list(keys.parts))


async def test_what_a_purge_took_is_not_known_nor_kept_if_it_was_asked_for_before() -> None:
    shelf = Shelf()
    keys = await shelf.keys("1,2")
    await shelf.keep(keys, ONE)
    before = shelf.clock.wall()
    shelf.clock.advance(1)
    await shelf.here.purge(Wanted("rule", "kept"))
    assert await shelf.known(keys) == Known({}, {}, None)
    await shelf.keep(keys, ONE, asked_at=before)
    assert await shelf.known(keys) == Known({}, {}, None)
    shelf.clock.advance(1)
    await shelf.keep(keys, ONE, asked_at=shelf.clock.wall())
    assert len((await shelf.known(keys)).fresh) == 1


async def test_what_is_forgotten_is_not_known() -> None:
    shelf = Shelf()
    keys = await shelf.keys("1,2")
    await shelf.keep(keys, ONE, TWO)
    assert await shelf.parts.forget(shelf.asked("1,2"))
    assert await shelf.known(keys) == Known({}, {}, None)


@pytest.mark.parametrize("body", [b"", b"P", b"12:", b"nothing of ours"])
async def test_what_another_release_wrote_is_not_known(body: bytes) -> None:
    shelf = Shelf()
    keys = await shelf.keys("1,2")
    entry = replace(shelf.entry(ONE), body=body)
    await shelf.here.store.set_many(dict.fromkeys((keys.around, *keys.parts), entry))
    assert await shelf.known(keys) == Known({}, {}, None)
    await shelf.keep(keys, ONE, frame=HIDDEN)
    assert await shelf.frame(keys) == HIDDEN


@pytest.mark.parametrize(
    ("before", "now", "frame"),
    [
        (SHOWN, HIDDEN, SHOWN),
        (HIDDEN, SHOWN, SHOWN),
        (SHOWN, EMPTY, OF_MANY),
        (EMPTY, HIDDEN, HIDDEN._replace(empty=b" ")),
        (SHOWN, OTHERWISE, OTHERWISE),
        (SHOWN, ELSEWHERE, ELSEWHERE),
    ],
)
async def test_a_frame_shows_what_earlier_ones_showed_unless_they_differ(
    before: Frame, now: Frame, frame: Frame
) -> None:
    shelf = Shelf()
    keys = await shelf.keys("1,2")
    await shelf.keep(keys, frame=before)
    await shelf.keep(keys, frame=now)
    assert await shelf.frame(keys) == frame


async def test_all_parts_are_one_look_up() -> None:
    asked: list[int] = []

    class Counting(Memory):
        async def get_many(self, keys: object) -> list[Entry | None]:
            asked.append(len(keys))  # type: ignore[arg-type]
            return await super().get_many(keys)  # type: ignore[arg-type]

    shelf = Shelf(store=Counting(2**20))
    keys = await shelf.keys("1,2,3,2")
    await shelf.known(keys)
    assert asked == [4]


async def test_a_broken_store_knows_nothing_and_keeps_nothing_and_is_told_of() -> None:
    shelf = Shelf(store=FailingStore())
    keys = await shelf.keys("1,2")
    assert await shelf.known(keys) == Known({}, {}, None)
    await shelf.keep(keys, ONE)
    assert [request for _, request in shelf.here.log.failures] == ["1" * 32] * 2
