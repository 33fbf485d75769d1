"""Different spellings of one question: what tells whether they get the same answer, and who may be served from another's."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fakes import FakeClock, FakeEngine, Held, answer, until
from shop import FRESH
from world import World, asked, rule

from proxy.core.normalize.lower import Lower
from proxy.core.rollout import NORMALIZE, Stage, Staging, Trust
from proxy.core.types import Request, Response
from proxy.errors import UpstreamError
from proxy.purge import Wanted

SHADOW, CANARY, ON = Staging(Stage.SHADOW), Staging(Stage.CANARY, 100.0), Staging(Stage.ON)
COOKIE = (b"cookie", b"a=1")


class Words:
    """A service to which upper case means nothing, or is another question; `now` is what it says of all of them."""

    def __init__(self, *, folds: bool = True) -> None:
        self.folds, self.now = folds, 1
        self.asked: list[bytes] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(request.target)
        word = parse_qs(urlsplit(request.target.decode()).query)["q"][0]
        return answer(json.dumps({"q": word.lower() if self.folds else word, "now": self.now}).encode(), FRESH)


def world(staging: Staging, words: Words | None = None, **more: Any) -> tuple[World, Words]:
    words, clock = words or Words(), FakeClock()
    one = rule(normalizers=(Lower(("q",)),), trust=Trust(normalize=staging), **more)
    return World(FakeEngine(words, clock=clock), rules=(one,), clock=clock), words


async def ask(here: World, word: str, *fields: tuple[bytes, bytes]) -> str:
    """Ask, wait until all is compared, and tell how it was answered."""
    await here.ask(asked(f"/kept/x?q={word}", *fields))
    await here.settled()
    return str(here.last.outcome)


def checks(here: World) -> dict[str, int]:
    found: dict[str, int] = here.trials.everybodys("kept", NORMALIZE).checks.get("normalization", {})
    return found


SERVED: dict[str, tuple[Staging, list[str], list[str]]] = {
    "off: each spelling is a question of its own": (Staging(Stage.OFF), ["a", "A", "a"], ["miss", "miss", "hit"]),
    "so in shadow": (SHADOW, ["a", "A", "A"], ["miss", "miss", "hit"]),
    "as canary: from another's answer": (CANARY, ["a", "A", "a"], ["miss", "hit", "hit"]),
    "a canary of nothing": (Staging(Stage.CANARY, 0.0), ["a", "A"], ["miss", "miss"]),
    "on": (ON, ["a", "A"], ["miss", "hit"]),
}


@pytest.mark.parametrize(("staging", "words", "outcomes"), SERVED.values(), ids=SERVED)
async def test_who_is_served_from_another_spellings_answer(
    staging: Staging, words: list[str], outcomes: list[str]
) -> None:
    here, _ = world(staging)
    assert [await ask(here, word) for word in words] == outcomes


async def test_in_shadow_two_spellings_are_compared_for_free() -> None:
    here, words = world(SHADOW)
    for word in ("a", "A", "a"):
        await ask(here, word)
    assert checks(here) == {"clean": 1}
    assert len(words.asked) == 2


async def test_what_is_another_answer_by_now_says_nothing() -> None:
    here, words = world(SHADOW)
    await ask(here, "a")
    words.now = 2
    await ask(here, "A")
    assert checks(here) == {"changed": 1}
    assert words.asked[2:] == [b"/kept/x?q=a"]
    assert not here.events


async def test_nor_does_one_that_is_not_fresh_any_more() -> None:
    here, words = world(SHADOW, ttl=10.0)
    await ask(here, "a")
    words.now = 2
    here.clock.advance(11)
    await ask(here, "A")
    assert (checks(here), len(words.asked)) == ({}, 2)


async def test_a_share_of_the_answers_is_enough() -> None:
    here, _ = world(Staging(Stage.SHADOW, 0.0))
    for word in ("a", "A"):
        await ask(here, word)
    assert checks(here) == {}


async def test_the_share_that_a_canary_would_serve_is_no_share_of_what_is_compared() -> None:
    here, _ = world(Staging(Stage.CANARY, 0.0))
    here.rollouts.set("kept", Stage.SHADOW, NORMALIZE)
    for word in ("a", "A"):
        await ask(here, word)
    assert checks(here) == {"clean": 1}


async def test_as_canary_what_was_served_is_asked_for_again_as_it_was_spelled() -> None:
    here, words = world(CANARY)
    for word in ("a", "A"):
        await ask(here, word)
    assert words.asked == [b"/kept/x?q=a", b"/kept/x?q=A"]
    assert here.engine.requests[1].header(b"frontrunner-shadow") == b"1"
    assert checks(here) == {"clean": 1}


async def test_its_own_answer_needs_no_comparison() -> None:
    here, words = world(CANARY)
    for word in ("a", "a"):
        await ask(here, word)
    assert (checks(here), len(words.asked)) == ({}, 1)


async def test_a_wrong_normalizer_has_one_wrong_answer_and_none_after_that() -> None:
    here, _ = world(CANARY, Words(folds=False))
    assert [await ask(here, word) for word in ("a", "A", "A", "a")] == ["miss", "hit", "miss", "miss"]
    trial = here.trials.everybodys("kept", NORMALIZE)
    assert (checks(here), trial.exposed) == ({"mismatch": 1}, 1)
    assert here.rollouts.status("kept", NORMALIZE)["state"] == "demoted"


async def test_of_an_answer_whose_question_is_forgotten_nobody_can_say_that_it_is_wrong() -> None:
    here, words = world(Staging(Stage.ON, None, 100.0))
    await ask(here, "a")
    here.origins._known.clear()
    words.now = 2
    await ask(here, "A")
    assert checks(here)["changed"] == 1
    assert here.rollouts.share("kept", NORMALIZE) == 100


async def test_who_says_who_he_is_is_not_asked_for_again_and_so_served_nothing_unverified() -> None:
    here, words = world(CANARY, cookies="ignore")
    assert await ask(here, "a") == "miss"
    assert await ask(here, "A", COOKIE) == "miss"
    assert len(words.asked) == 2
    on, _ = world(ON, cookies="ignore")
    assert [await ask(on, "a"), await ask(on, "A", COOKIE)] == ["miss", "hit"]


@pytest.mark.parametrize(("staging", "calls"), [(CANARY, 2), (ON, 1)], ids=["canary", "on"])
async def test_who_spells_otherwise_does_not_wait_for_an_answer_that_is_yet_to_be_trusted(
    staging: Staging, calls: int
) -> None:
    here, words = world(staging)
    held = Held(words(asked("/kept/x?q=a")))
    here.engine.then(held, words)
    first = here.start(asked("/kept/x?q=a"))
    await held.asked.wait()
    second = here.start(asked("/kept/x?q=A"))
    await until(lambda: len(here.engine.requests) == calls)
    for _ in range(20):
        await asyncio.sleep(0)
    held.go.set()
    await asyncio.gather(first, second)
    await here.settled()
    assert len([one for one in here.engine.requests if SHADOW_FIELD not in one.headers]) == calls


SHADOW_FIELD = (b"frontrunner-shadow", b"1")


async def test_a_purge_takes_every_spelling() -> None:
    here, _ = world(SHADOW)
    for word in ("a", "A"):
        await ask(here, word)
    await here.purge(Wanted("url", request=asked("/kept/x?q=a")))
    assert [await ask(here, word) for word in ("a", "A")] == ["miss", "miss"]


async def test_an_upstream_that_fails_leaves_it_open() -> None:
    here, words = world(CANARY)
    await ask(here, "a")
    here.engine.then(UpstreamError("down"))
    await ask(here, "A")
    assert checks(here) == {"unclear": 1}
    assert words.asked == [b"/kept/x?q=a"]
