"""Whose fault a difference is: control and candidate are asked for again, in turns, until that is certain."""

import asyncio
import json
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import pytest
from fakes import FakeClock
from world import World, asked, rule

from proxy.asked import Asked
from proxy.core.compare.json_semantic import JsonSemantic
from proxy.core.log_line import LogLine
from proxy.core.normalize.lower import Lower
from proxy.core.rollout import NORMALIZE, Stage, Staging, Trust
from proxy.core.trial import NORMALIZATION
from proxy.core.types import Response
from proxy.errors import UpstreamError
from proxy.verify import A_TICK_S, ROUNDS, Case

JSON = (b"content-type", b"application/json")
RULE = rule(normalizers=(Lower(("q",)),), trust=Trust(normalize=Staging(Stage.CANARY, 100.0)))


def said(told: Any) -> Response:
    """Return an answer; text is no JSON."""
    body = told.encode() if isinstance(told, str) else json.dumps(told).encode()
    return Response(200, (JSON,), body)


class Asking:
    """Something that is asked for again and again: what it says in turn, the last for ever; an error is raised."""

    def __init__(self, *told: Any) -> None:
        self._told: Iterator[Any] = chain(told, repeat(told[-1]))
        self.times = 0

    async def __call__(self) -> Response:
        self.times += 1
        one = next(self._told)
        if isinstance(one, Exception):
            raise one
        return said(one)


class Court:
    """A world whose only rule is looked into; `slept` is how long that waited each time."""

    def __init__(self, compare: Any = None) -> None:
        self.slept: list[float] = []
        trust = Trust(normalize=RULE.trust.normalize, **({"compare": compare} if compare else {}))
        self.rule = rule(normalizers=RULE.normalizers, trust=trust)
        self.here = World(rules=(self.rule,), clock=FakeClock())
        self.here.trust.verify.sleep = self._sleep

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def judged(self, control: Any, candidate: Any, controls: Asking, again: Asking | None, **more: Any) -> str:
        one = Asked(asked(), self.rule, b"site.test", {}, LogLine("id", "GET", "/kept/a", 0.0))
        case = Case(one, NORMALIZE, NORMALIZATION, said(control), said(candidate), controls, again, **more)
        return await self.here.trust.verify(case)

    @property
    def state(self) -> str:
        return str(self.here.rollouts.status("kept", NORMALIZE)["state"])


A, B, C = {"q": "a"}, {"q": "b"}, {"q": "c"}
EARLY, LATE = {"at": "2026-01-01T00:00:00Z"}, {"at": "2026-01-01T00:00:01Z"}
SET, TES = {"s": [1, 2]}, {"s": [2, 1]}
VERDICTS: dict[str, tuple[Any, Any, Asking, Asking | None, str, str]] = {
    "equal": (A, A, Asking(A), Asking(A), "clean", "running"),
    "control stays, candidate differs each time": (A, B, Asking(A), Asking(B), "mismatch", "demoted"),
    "though not always by the same": (A, B, Asking(A), Asking(B, C), "mismatch", "demoted"),
    "control differs from itself": (A, B, Asking(A, C), Asking(B), "noisy", "running"),
    "as late as at the last look": (A, B, Asking(*[A] * ROUNDS, B), Asking(B), "noisy", "running"),
    "candidate differs no more": (A, B, Asking(A), Asking(A), "changed", "running"),
    "both are another now": (A, B, Asking(B), Asking(B), "changed", "running"),
    "another place differs now": ({**A, "x": 1}, {**B, "x": 1}, Asking({**A, "x": 1}), Asking({**A, "x": 2}), "changed", "running"),
    "nobody knows how to ask again": (A, B, Asking(A), None, "changed", "running"),
    "the time": (EARLY, LATE, Asking(EARLY, LATE), Asking(LATE), "noisy", "running"),
    "a set": (SET, TES, Asking(SET, TES), Asking(TES), "noisy", "running"),
    "a set that is always in one order": (SET, TES, Asking(SET), Asking(TES), "mismatch", "demoted"),
    "control fails": (A, B, Asking(UpstreamError("down")), Asking(B), "unclear", "held"),
    "control fails once": (A, B, Asking(UpstreamError("down"), A), Asking(B), "mismatch", "demoted"),
    "candidate fails": (A, B, Asking(A), Asking(UpstreamError("down")), "unclear", "held"),
    "no JSON": ("xx", "xy", Asking("xx"), Asking("xy"), "mismatch", "demoted"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("control", "candidate", "controls", "again", "verdict", "state"), VERDICTS.values(), ids=VERDICTS
)
async def test_a_verdict_and_what_follows(
    control: Any, candidate: Any, controls: Asking, again: Asking | None, verdict: str, state: str
) -> None:
    court = Court()
    assert await court.judged(control, candidate, controls, again) == verdict
    assert court.state == state
    assert court.here.trials.everybodys("kept", NORMALIZE).checks == {"normalization": {verdict: 1}}


async def test_noise_at_one_place_does_not_hide_a_fault_at_another() -> None:
    court = Court()
    one, other = {"at": 1, "items": [1, 2]}, {"at": 2, "items": [1]}
    controls = Asking(*[{"at": at, "items": [1, 2]} for at in range(20)])
    assert await court.judged(one, other, controls, Asking(other)) == "mismatch"
    assert [event.get("path") for event in court.here.events] == ["$.at", "$.items"]


async def test_what_is_known_to_be_noise_is_not_asked_about_again() -> None:
    court = Court()
    controls = Asking(A, C)
    assert await court.judged(A, B, controls, Asking(B)) == "noisy"
    asked_for = controls.times
    assert await court.judged(A, B, controls, Asking(B)) == "clean"
    assert controls.times == asked_for


async def test_data_that_changed_once_while_it_was_looked_at_hide_no_fault_for_good() -> None:
    """Noise that was seen once is forgotten after an hour, and for a day where it comes back."""
    court = Court()
    assert await court.judged(A, B, Asking(A, C), Asking(B)) == "noisy"
    court.here.clock.advance(3601)
    assert await court.judged(A, B, Asking(A, C), Asking(B)) == "noisy"
    court.here.clock.advance(3601)
    assert await court.judged(A, B, Asking(A), Asking(B)) == "clean"
    court.here.clock.advance(86400)
    assert await court.judged(A, B, Asking(A), Asking(B)) == "mismatch"


FAILED = Response(503, (), b"")


async def test_that_the_upstream_fails_just_now_is_no_difference() -> None:
    court = Court()
    one = Asked(asked(), court.rule, b"site.test", {}, LogLine("id", "GET", "/kept/a", 0.0))
    nobody = Asking(UpstreamError("not asked"))
    case = Case(one, NORMALIZE, NORMALIZATION, FAILED, said(A), nobody, nobody)
    assert await court.here.trust.verify(case) == "unclear"
    assert (court.state, nobody.times) == ("running", 0)


async def test_nor_is_it_noise_where_control_was_asked_again() -> None:
    court = Court()

    class Failing(Asking):
        async def __call__(self) -> Response:
            answered = await super().__call__()
            return FAILED if self.times == 2 else answered

    assert await court.judged(A, B, Failing(A), Asking(B)) == "mismatch"


async def test_what_shows_twice_and_never_again_is_noise() -> None:
    court = Court()
    verdicts = [await court.judged(A, B, Asking(A), Asking(A)) for _ in range(3)]
    assert verdicts == ["changed", "changed", "clean"]


async def test_unless_it_was_known_before_control_was_asked() -> None:
    """Then it was true once, and says nothing of what else differs there."""
    court = Court()
    verdicts = [await court.judged(A, B, Asking(A), Asking(A), is_older=True) for _ in range(3)]
    assert verdicts == ["changed"] * 3
    assert court.here.trials.clean_pairs("kept", NORMALIZE) == 3


async def test_while_it_is_looked_into_nothing_is_served() -> None:
    court, shares = Court(), []

    class Looking(Asking):
        async def __call__(self) -> Response:
            shares.append(court.here.rollouts.share("kept", NORMALIZE))
            return await super().__call__()

    await court.judged(A, B, Looking(A, C), Asking(B))
    assert shares == [0.0, 0.0]
    assert court.here.rollouts.share("kept", NORMALIZE) == 100.0


async def test_a_hold_without_a_verdict_ends_by_itself() -> None:
    court = Court()
    await court.judged(A, B, Asking(UpstreamError("down")), Asking(B))
    assert court.state == "held"
    court.here.clock.advance(601)
    assert court.state == "running"
    assert court.slept == [A_TICK_S * 3**tried for tried in range(4)]


async def test_what_waited_while_its_rule_was_demoted_was_looked_into_all_the_same() -> None:
    court, late = Court(), Asking(A)
    both = [court.judged(A, B, controls, Asking(B), is_exposed=True) for controls in (Asking(A), late)]
    assert await asyncio.gather(*both) == ["mismatch", "unclear"]
    assert (late.times, court.state) == (0, "demoted")
    assert court.here.trials.everybodys("kept", NORMALIZE).exposed == 2


async def test_moments_are_asked_for_over_a_second_apart() -> None:
    court = Court()
    await court.judged(EARLY, LATE, Asking(EARLY, LATE), Asking(LATE))
    assert court.slept == [A_TICK_S]


async def test_the_owners_measure_counts() -> None:
    court = Court(JsonSemantic(ignore=("$.q",)))
    assert await court.judged(A, B, Asking(A), Asking(B)) == "clean"


async def test_the_calls_that_it_takes_are_owed() -> None:
    court = Court()
    assert court.here.protection is not None
    before = court.here.protection.budget.left
    await court.judged(A, B, Asking(A), Asking(B))
    assert court.here.protection.budget.left == before - (2 * ROUNDS + 1)
    assert court.here.trials.own("kept", NORMALIZE).spent == {"2001-09-09": 2 * ROUNDS + 1}


async def test_each_step_is_told_with_its_numbers_and_no_value() -> None:
    court = Court()
    await court.judged(
        {"q": "hunter2"}, {"q": "swordfish"}, Asking({"q": "hunter2"}), Asking({"q": "swordfish"}), is_exposed=True
    )
    held, demoted = court.here.events
    assert (held["state"], held["verdict"], held["path"], held["mismatches"]) == ("held", "held", "$.q", 0)
    assert (demoted["state"], demoted["verdict"], demoted["exposed"], demoted["mismatches"]) == (
        "demoted",
        "mismatch",
        1,
        1,
    )
    (mismatch,) = court.here.trials.last_mismatches("kept", NORMALIZE)
    assert (mismatch["path"], mismatch["verdict"], mismatch["request_id"]) == ("$.q", "mismatch", "id")
    assert "hunter2" not in repr((court.here.events, mismatch))
