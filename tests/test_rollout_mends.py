"""What a hostile reading of rollouts found."""

import asyncio
import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fakes import FakeClock, FakeDelivery, FakeEngine, Held, answer, until
from faulty import Losing, Tongues, Unseeing, faulty_shop_rule, in_front_of
from shop import FRESH, Shop, shop_rule
from world import World, asked, rule

from proxy.core.compare.json import Json
from proxy.core.gates import decide
from proxy.core.log_line import LogLine
from proxy.core.normalize.lower import Lower
from proxy.core.rollout import NORMALIZE, SPLIT, Gates, Stage, Staging, Trust
from proxy.core.split.query_list import QueryList
from proxy.core.trial import CLEAN, PAIR, Trial
from proxy.core.types import Request, Response
from proxy.rollouts import Rollouts
from proxy.trials import Trials


class Words:
    """A service to which upper case matters, or does not; what it says may change by the hour, or by a field."""

    def __init__(self, clock: Any = None, *, folds: bool = False, by: bytes | None = None, fields: Any = ()) -> None:
        self.folds, self.clock, self.by, self.fields = folds, clock, by, fields
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        word = parse_qs(urlsplit(request.target.decode()).query)["q"][0]
        told: dict[str, Any] = {"q": word.lower() if self.folds else word}
        if self.clock is not None:
            told["made"] = int(self.clock.wall() // 600)
        if self.by is not None:
            told["by"] = (request.header(self.by) or b"").decode()
        return answer(json.dumps(told).encode(), FRESH, *self.fields)


def words(service: Words, staging: Staging, clock: FakeClock | None = None, **more: Any) -> World:
    clock = clock or FakeClock()
    one = rule(normalizers=(Lower(("q",)),), trust=Trust(normalize=staging), **more)
    here = World(FakeEngine(service, clock=clock), rules=(one,), clock=clock)

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    here.trust.verify.sleep = sleep
    return here


CANARY = Staging(Stage.CANARY, 100.0)


async def test_clients_that_join_a_fetch_of_another_spelling_are_not_all_exposed() -> None:
    service = Words()
    here = words(service, CANARY)
    held = Held(service)
    here.engine.then(held, service)
    leader = here.start(asked("/kept/x?q=aa"))
    await held.asked.wait()
    others = [here.start(asked("/kept/x?q=AA")) for _ in range(10)]
    await asyncio.sleep(0.01)
    held.go.set()
    await leader
    got = [json.loads((await one).body)["q"] for one in others]
    await here.settled()
    assert got.count("aa") <= 1


async def test_clients_with_cookies_are_not_all_exposed() -> None:
    here = words(Words(), CANARY, cookies="ignore")
    await here.ask(asked("/kept/x?q=aa"))
    await here.settled()
    wrong = 0
    for _ in range(10):
        got = await here.ask(asked("/kept/x?q=AA", (b"cookie", b"a=b")))
        wrong += json.loads(got.body)["q"] != "AA"
        await here.settled()
    assert wrong <= 1


@pytest.mark.parametrize(
    "staging", [Staging(Stage.SHADOW), CANARY, Staging(Stage.ON, None, 100.0)], ids=["shadow", "canary", "on"]
)
async def test_a_right_normalizer_of_a_rule_with_private_answers_is_not_demoted(staging: Staging) -> None:
    service = Words(folds=True, by=b"x-api-key")
    here = words(service, staging, private_by=(b"x-api-key",))
    for user in (b"ann", b"bob", b"ann", b"bob"):
        for q in ("aa", "aA"):
            await here.ask(asked(f"/kept/x?q={q}", (b"x-api-key", user)))
            await here.settled()
            here.clock.advance(1)
    assert not here.rollouts.is_demoted("kept", NORMALIZE)
    spoken = here.trust.spellings._spoken
    assert not [one for one in spoken.values() if b"x-api-key" in one.asked.request.fields]


@pytest.mark.parametrize(
    "staging", [Staging(Stage.SHADOW), CANARY, Staging(Stage.ON, None, 100.0)], ids=["shadow", "canary", "on"]
)
async def test_a_right_normalizer_of_answers_that_vary_is_not_demoted(staging: Staging) -> None:
    clock = FakeClock()
    service = Words(clock, folds=True, by=b"accept-language", fields=((b"vary", b"accept-language"),))
    here = words(service, staging, clock)
    for turn in range(6):
        for q, lang in (("aa", b"de"), ("aA", b"en"), ("AA", b"de"), ("aa", b"en")):
            await here.ask(asked(f"/kept/x?q={q}", (b"accept-language", lang)))
            await here.settled()
            clock.advance(200 + turn)
    assert not here.rollouts.is_demoted("kept", NORMALIZE)


async def test_a_head_does_not_demote_a_right_normalizer() -> None:
    here = words(Words(folds=True), Staging(Stage.ON, None, 100.0))
    await here.ask(asked("/kept/x?q=aa"))
    await here.settled()
    await here.ask(asked("/kept/x?q=AA", method="HEAD"))
    await here.settled()
    assert not here.rollouts.is_demoted("kept", NORMALIZE)


async def test_parts_of_another_spelling_are_not_served_unverified() -> None:
    clock = FakeClock()
    shop = Tongues(clock)
    one = replace(
        shop_rule(Stage.ON), normalizers=(Lower(("lang",)),),
        trust=Trust(split=Staging(Stage.ON), normalize=CANARY),
    )  # fmt: skip
    here = World(FakeEngine(shop, clock=clock), rules=(one,), clock=clock)
    await here.ask(asked("/kept/shop?ids=1,2,3,4,5&lang=de"))
    await here.settled()
    wrong = 0
    for ids in ("1,2", "2,3", "3,4", "4,5", "1,3", "1,4", "1,5", "2,4"):
        got = await here.ask(asked(f"/kept/shop?ids={ids}&lang=DE"))
        wrong += any(item["in"] != "DE" for item in json.loads(got.body)["items"])
        await here.settled()
    assert wrong <= 1


async def test_the_arm_of_a_frame_is_not_that_of_its_request() -> None:
    clock = FakeClock()
    one = replace(
        shop_rule(Stage.ON), normalizers=(Lower(("lang",)),),
        trust=Trust(split=Staging(Stage.ON), normalize=Staging(Stage.CANARY, 50.0)),
    )  # fmt: skip
    here = World(FakeEngine(Shop(), clock=clock), rules=(one,), clock=clock)
    for first in range(20):
        target = f"/kept/shop?ids={first},50&lang=de"
        line = LogLine("", "GET", "", 0.0)
        from proxy.asked import Asked

        found = await here.places.find(Asked(asked(target), one, b"site.test", {}, line))
        assert line.draws is not None
        await here.ask(asked(target))
        await here.settled()
        assert (here.last.draws or {})[NORMALIZE].arm == line.draws[NORMALIZE].arm, found.key


async def test_one_look_at_a_full_upstream_does_not_end_a_canary() -> None:
    trial = Trial(full=1.0, looks=1)
    decision = decide(trial, Gates(), 1.0, since=0.0, now=2.0)
    assert decision.share == 1.0, decision.why


async def test_one_bad_gate_takes_one_step_back_and_not_all_of_them() -> None:
    trial, share, since, now = Trial(full=9_500.0, looks=10_000, served={"50": 100}), 50.0, 0.0, 4000.0
    shares = []
    for _ in range(4):  # it is looked at every two seconds
        decision = decide(trial, Gates(), share, since=since, now=now)
        if decision.share != share:
            share, since = decision.share, now
        shares.append(share)
        now += 2
    assert shares == [25.0] * 4


async def test_an_answer_is_kept_apart_from_what_is_learned_of_it() -> None:
    """Who waits in another process must not wait for comparisons."""
    clock = FakeClock()
    service = Words(clock)
    here = words(service, Staging(Stage.SHADOW), clock)
    await here.ask(asked("/kept/x?q=aa"))
    await here.settled()
    again = Held(service)
    here.engine.then(service, again, service)
    await here.ask(asked("/kept/x?q=AA"))  # differs from "aa": the other spelling is asked again
    await asyncio.wait_for(again.asked.wait(), 5)
    assert len(here.flights) == 0, "its flight is still under way, though its client has the answer"
    again.go.set()
    await here.settled()


SECRET = (b"authorization", b"Bearer ann")


class Guarded(Shop):
    """A shop that answers only who says who asks."""

    def __init__(self) -> None:
        super().__init__()
        self.unasked = 0

    def __call__(self, request: Request) -> Response:
        if request.header(b"authorization") is None:
            self.unasked += 1
            return answer(b"{}", FRESH, status=401)
        if request.header(b"frontrunner-shadow") is not None:
            self.unasked += 1
        return super().__call__(request)


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY])
async def test_credentials_are_not_used_for_comparisons(stage: Stage) -> None:
    clock = FakeClock()
    shop = Guarded()
    one = replace(faulty_shop_rule(stage, by=QueryList("ids")), private_by=(b"authorization",))
    here = in_front_of(shop, one, clock)
    for ids in ("1,2,3", "2,3,4", "3,4,5"):
        await here.ask(asked(f"/kept/shop?ids={ids}", SECRET))
        await here.settled()
    assert shop.unasked == 0
    assert not here.rollouts.is_held("kept")


async def test_a_rule_is_held_at_once_while_another_is_looked_into() -> None:
    clock = FakeClock()
    shop = Tongues(clock)
    rules = tuple(
        replace(
            faulty_shop_rule(Stage.ON, merge=Losing, split=Staging(Stage.ON, None, 100.0)),
            name=name,
            path=rule(name, f"/{name}/**").path,
        )
        for name in ("one", "two")
    )
    here = World(FakeEngine(shop, clock=clock), rules=rules, clock=clock)
    waits = asyncio.Event()

    async def sleep(_: float) -> None:
        await waits.wait()

    here.trust.verify.sleep = sleep
    merged = Response(200, (FRESH,), b'{"items":[]}')
    whole = Response(200, (FRESH,), b'{"items":[1]}')
    from proxy.asked import Asked
    from proxy.errors import UpstreamError
    from proxy.verify import Case

    async def fails() -> Response:
        raise UpstreamError("it is down")

    for name, one in zip(("one", "two"), rules, strict=True):
        line = LogLine("", "GET", "", 0.0)
        case = Case(Asked(asked(f"/{name}/shop?ids=1,2"), one, b"", {}, line), SPLIT, PAIR, whole, merged, fails, fails)
        here.tasks.start(_verified(here, case))
    await asyncio.sleep(0.01)
    assert here.rollouts.is_held("one")
    assert here.rollouts.is_held("two")
    waits.set()
    await here.settled()


async def _verified(here: World, case: Any) -> None:
    await here.trust.verify(case)


class Fidgety(Shop):
    """A shop whose answers tell of many things that change from call to call."""

    def __call__(self, request: Request) -> Response:
        ids = parse_qs(urlsplit(request.target.decode()).query)["ids"][0].split(",")
        self.asked.append(ids)
        items = [{"id": one} for one in ids]
        told = {"items": items, "total": len(items)}
        told |= {f"at{number}": len(self.asked) * 100 + number for number in range(30)}
        return answer(json.dumps(told).encode(), FRESH)


async def test_looking_into_one_difference_is_bounded_in_calls() -> None:
    clock = FakeClock()
    shop = Fidgety()
    one = faulty_shop_rule(Stage.SHADOW, by=QueryList("ids"), compare=Json())
    here = in_front_of(shop, one, clock)
    await here.ask(asked("/kept/shop?ids=1,2,3"))
    await here.settled()
    assert here.protection is not None
    assert (len(shop.asked), here.protection.budget.left > 0) <= (12, True), (
        len(shop.asked),
        here.protection.budget.left,
    )


async def test_both_features_of_a_rule_share_its_daily_budget() -> None:
    clock = FakeClock()
    one = replace(
        shop_rule(),
        normalizers=(Lower(("lang",)),),
        trust=Trust(split=Staging(Stage.SHADOW), normalize=Staging(Stage.SHADOW), budget=5),
    )
    here = World(FakeEngine(Shop(), clock=clock), rules=(one,), clock=clock)
    from proxy.asked import Asked

    line = LogLine("", "GET", "", 0.0)
    ask = Asked(asked("/kept/shop?ids=1,2"), one, b"", {}, line)
    unseen = here.trust.verify._unseen
    unseen.spent(ask, SPLIT, 5)
    assert not unseen.may_pair(ask, NORMALIZE)
    here.rollouts.demote("kept", SPLIT)
    here.rollouts.set("kept", Stage.CANARY, SPLIT)
    assert not unseen.may_pair(ask, SPLIT)


async def test_data_that_changed_since_it_was_stored_holds_no_key() -> None:
    clock = FakeClock()
    service = Words(clock, folds=True)
    here = words(service, Staging(Stage.ON, None, 100.0), clock)
    await here.ask(asked("/kept/x?q=aa"))
    await here.settled()
    clock.advance(700)
    await here.ask(asked("/kept/x?q=AA"))
    await here.settled()
    assert [one["state"] for one in here.events if one["event"] == "decision"].count("held") == 0


async def test_a_fault_that_comes_later_is_found_though_data_changed_before() -> None:
    """What was changed twice by its owner is not noise for good."""
    clock = FakeClock()
    shop = Tongues(clock, lasts=60.0)
    one = faulty_shop_rule(Stage.SHADOW, by=QueryList("ids"), compare=Json())
    here = in_front_of(shop, one, clock)
    here.engine._takes = 0.3
    from proxy.asked import Asked
    from proxy.verify import Case

    def case(control: Any, candidate: Any) -> Case:
        def made(one: Any) -> Response:
            return Response(200, (FRESH,), json.dumps({"items": [{"price": one}]}).encode())

        async def again() -> Response:
            return made(control)

        async def candidate_again() -> Response:
            return made(candidate if candidate == "wrong" else control)

        line = LogLine("", "GET", "", 0.0)
        return Case(
            Asked(asked("/kept/shop?ids=1,2"), one, b"", {}, line),
            SPLIT,
            PAIR,
            made(control),
            made(candidate),
            again,
            candidate_again,
        )

    for was in (1, 2):
        await here.trust.verify(case(was + 1, was))
        clock.advance(86400)
    await here.trust.verify(case(5, "wrong"))
    assert here.rollouts.is_demoted("kept")


async def test_a_split_stays_with_its_normal_form_while_keys_are_rolled_out() -> None:
    clock = FakeClock()
    one = replace(
        shop_rule(Stage.CANARY), normalizers=(Lower(("lang",)),),
        trust=Trust(split=Staging(Stage.CANARY, 50.0), normalize=Staging(Stage.SHADOW)),
    )  # fmt: skip
    here = World(FakeEngine(Shop(), clock=clock), rules=(one,), clock=clock)
    from proxy.asked import Asked

    async def arms() -> list[bool]:
        told = []
        for number in range(40):
            for lang in ("de", "DE"):
                one_asked = Asked(
                    asked(f"/kept/shop?ids=1,{number}&lang={lang}"), one, b"site.test", {}, LogLine("", "GET", "", 0.0)
                )
                await here.places.find(one_asked)
                told.append(here.trust.draws.takes(one_asked))
        return told

    before = await arms()
    assert before[::2] == before[1::2]
    here.rollouts.set("kept", Stage.ON, NORMALIZE)
    assert await arms() == before


async def test_a_canary_that_climbs_gets_the_pairs_that_it_waits_for() -> None:
    """Set by an operator where the file says nothing: after 60 pairs there must be more."""
    clock = FakeClock()
    one = replace(faulty_shop_rule(Stage.SHADOW, by=QueryList("ids")), trust=Trust())
    here = in_front_of(Shop(), one, clock, roll=lambda: 0.5)
    here.rollouts.set("kept", Stage.CANARY)
    here.rollouts.climb("kept", SPLIT, 100.0)
    trial = here.trials.own("kept", SPLIT)
    for _ in range(60):
        trial.judged(PAIR, CLEAN)
    for number in range(20):
        await here.ask(asked(f"/kept/shop?ids={number},{number + 100}"))
        await here.settled()
        here.protection.budget.left = 10.0  # type: ignore[union-attr]
    assert here.trials.clean_pairs("kept", SPLIT) > 60


async def test_nobody_gets_an_expired_answer_while_something_is_learned_of_it() -> None:
    clock = FakeClock()
    service = Words(clock)
    here = words(service, Staging(Stage.SHADOW), clock, ttl=10.0)
    await here.ask(asked("/kept/x?q=aa"))
    await here.settled()
    again = Held(service)
    here.engine.then(service, again, service)
    await here.ask(asked("/kept/x?q=AA"))
    await asyncio.wait_for(again.asked.wait(), 5)
    clock.advance(1200)
    got = await here.ask(asked("/kept/x?q=AA"))
    assert json.loads(got.body)["made"] == int(clock.wall() // 600)
    again.go.set()
    await here.settled()


async def test_entries_of_before_a_restart_are_not_served_unverified() -> None:
    here = words(Words(), CANARY)
    for q in ("aa", "bb", "cc", "dd", "ee"):
        await here.ask(asked(f"/kept/x?q={q}"))
        await here.settled()
    here.origins._known.clear()
    wrong = 0
    for q in ("AA", "BB", "CC", "DD", "EE"):
        got = await here.ask(asked(f"/kept/x?q={q}"))
        wrong += json.loads(got.body)["q"] != q
        await here.settled()
    assert wrong <= 3


async def test_a_stale_entry_of_another_spelling_stands_in_for_no_failure_unverified() -> None:
    clock = FakeClock()
    service = Words()
    here = words(service, CANARY, clock, ttl=10.0, error=3600.0)
    await here.ask(asked("/kept/x?q=aa"))
    await here.settled()
    clock.advance(60)
    here.engine.then(answer(b"down", status=503))
    got = await here.ask(asked("/kept/x?q=AA"))
    assert got.status == 503


def test_one_process_does_not_end_what_another_holds() -> None:
    clock = FakeClock()
    one, other = Rollouts((shop_rule(),), clock), Rollouts((shop_rule(),), clock)
    one.tell, other.tell = lambda message, _: other.follow(message), lambda message, _: one.follow(message)
    one.hold("kept", SPLIT, clock.wall() + 600)
    clock.advance(1)
    other.hold("kept", SPLIT, clock.wall() + 600)
    clock.advance(1)
    one.release("kept", SPLIT, clock.wall() + 598)
    assert other.is_held("kept", SPLIT), "it has not found out yet whose fault its difference is"


async def test_a_hold_lasts_as_long_as_the_difference_is_looked_into() -> None:
    """Fetches take minutes, and each round asks for two."""
    clock = FakeClock()
    here = in_front_of(
        Tongues(clock), faulty_shop_rule(Stage.ON, merge=Unseeing, split=Staging(Stage.ON, None, 100.0)), clock
    )
    here.engine._takes = 100.0
    held: list[bool] = []

    def looks(request: Request) -> Response:
        if request.header(b"frontrunner-shadow") is not None and any(one.get("state") == "held" for one in here.events):
            held.append(here.rollouts.is_held("kept"))
        return Tongues(clock)(request)

    here.engine.then(looks)
    await here.ask(asked("/kept/shop?ids=1,2,3&lang=de"))
    await here.settled()
    assert len(held) > 4
    assert all(held), held


WAITS = (b"prefer", b"wait=600")


class Slow:
    """A board that takes its time."""

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def lease(self, *_: Any) -> Any:
        self.asked.set()
        await self.go.wait()
        return 1

    async def release(self, *_: Any) -> None:
        pass


async def test_a_client_that_leaves_while_it_waits_does_not_end_a_canary() -> None:
    clock = FakeClock()
    here = in_front_of(Shop(), faulty_shop_rule(Stage.CANARY, by=QueryList("ids")), clock)
    held = Held(Shop())
    here.engine.then(held, Shop())
    delivery = FakeDelivery()
    leaving = here.start(asked("/kept/shop?ids=1,2", WAITS), delivery)
    await held.asked.wait()
    delivery.leave()
    await leaving
    held.go.set()
    await here.settled()
    await here.ask(asked("/kept/shop?ids=3,4"))
    assert here.last.arm == "candidate", here.last.draws


async def test_a_job_is_not_taken_for_verified_before_it_has_an_answer() -> None:
    clock = FakeClock()
    here = in_front_of(Shop(), faulty_shop_rule(Stage.CANARY, by=QueryList("ids")), clock)
    here.jobs._tell = lambda line, _: here.left(line)
    held = Held(Shop())
    here.engine.then(held, Shop())
    got = await here.ask(asked("/kept/shop?ids=1,2", (b"prefer", b"respond-async, wait=0")))
    assert got.status == 202
    await held.asked.wait()
    await here.ask(asked("/kept/shop?ids=3,4"))
    assert (here.last.draws or {})[SPLIT].why == "unverified"
    held.go.set()
    await until(lambda: here.trials.clean_pairs("kept", SPLIT) == 1)
    await here.tasks.close()


async def test_a_place_is_given_back_by_who_is_cancelled_while_taking_it() -> None:
    clock = FakeClock()
    shared = Slow()
    here = in_front_of(Shop(), faulty_shop_rule(Stage.CANARY, by=QueryList("ids")), clock, shared=shared)
    taking = here.start(asked("/kept/shop?ids=1,2"))
    await shared.asked.wait()
    taking.cancel()
    await asyncio.wait([taking])
    shared.go.set()
    await here.ask(asked("/kept/shop?ids=3,4"))
    assert here.last.arm == "candidate", here.last.draws
    await here.settled()


async def test_what_an_answer_came_from_does_not_keep_the_answer() -> None:
    clock = FakeClock()
    here = World(FakeEngine(Shop(), clock=clock), rules=(shop_rule(Stage.ON),), clock=clock)
    for ids in ("1,2", "3,4"):
        await here.ask(asked(f"/kept/shop?ids={ids}&lang=de"))
        await here.settled()
    known = here.trust.reassembly._origins._known.values()
    assert known
    assert all((one.line.candidate, one.line.call, one.line.after) == (None, None, None) for one in known)


class Pinboard:
    """A board for one process after another."""

    def __init__(self) -> None:
        self.pinned: dict[str, bytes] = {}

    async def lease(self, *_: Any) -> int:
        return 1

    async def pin(self, name: str, note: bytes, _: float) -> None:
        self.pinned |= {name: note}
        if not note:
            del self.pinned[name]

    async def notes(self, prefix: str) -> dict[str, bytes]:
        return {name: note for name, note in self.pinned.items() if name.startswith(prefix)}


async def test_evidence_of_old_configurations_does_not_pile_up() -> None:
    clock, memory = FakeClock(), Pinboard()
    for version in range(4):
        splitting = replace(shop_rule().splitting, by=QueryList(f"ids{version}"))  # type: ignore[type-var]
        one = replace(shop_rule(), splitting=splitting)
        trials = Trials((one,), Rollouts((one,), clock), clock, f"process{version}")
        trials.own("kept", SPLIT).until = clock.wall()
        await trials.keep_up(memory)  # type: ignore[arg-type]
        clock.advance(40 * 86400)
    assert len(trials._own) == 1
    (note,) = memory.pinned.values()
    assert list(json.loads(note)["trials"]) == list(trials._own)
