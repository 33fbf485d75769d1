"""The road of a request for many things: cut → look up the parts → fetch what is missing → merge, to the byte.

Whatever is in doubt on it is a Fallback: then the request goes on as any other does, whole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core import cache_status
from proxy.core.composite import Cut, Frame, Share, united
from proxy.core.fan_out import FanOut
from proxy.core.freshness import age_of, bridges, left
from proxy.core.headers import answered
from proxy.core.http_date import render as http_date
from proxy.core.merged_head import head_of_entry, merged_head
from proxy.core.reasons import Reason
from proxy.core.rollout import Stage
from proxy.core.splitting import Splitting
from proxy.core.trial import CANDIDATE, CONTROL
from proxy.core.types import Outcome, Response
from proxy.draws import Draws
from proxy.errors import Fallback, UpstreamError
from proxy.fan import Fan, Landed, Uncut
from proxy.parts import Held, Keys, Known, Parts, told_apart
from proxy.rollouts import Rollouts
from proxy.upstream.uncacheable import Uncacheable

_OF_ONE_REQUEST = frozenset({Reason.STATUS, Reason.PART_ERROR, Reason.PART_MISSING, Reason.SPLIT_LATELY})
"""Why an answer cannot be put together that says nothing of the next one."""


@dataclass(frozen=True, slots=True)
class Composite:
    """One request that was cut, and what is known of its parts."""

    asked: Asked
    splitting: Splitting
    cut: Cut
    keys: Keys
    known: Known

    @property
    def knows_between(self) -> bool:
        """Tell whether what stands between items is known, or may be guessed."""
        frame = None if self.known.frame is None else self.known.frame.share
        return self.splitting.merge.one_each or (isinstance(frame, Frame) and frame.shows_between)

    @property
    def missing(self) -> list[int]:
        """Return the places of the parts that have to be fetched, each once; all, where the frame is not known."""
        fresh = self.known.fresh if self.known.frame is not None else {}
        missing = [place for place in self.first if self.keys.parts[place] not in fresh]
        return missing if self.knows_between or not missing else self.first

    @property
    def first(self) -> list[int]:
        """Return the places of all parts, each once."""
        return sorted({key: place for place, key in reversed(list(enumerate(self.keys.parts)))}.values())

    def standing_in(self, now: float) -> Mapping[bytes, Held] | None:
        """Return shares of which some are stale, if they may stand in for a failure of the upstream (RFC 5861 §4)."""
        known = self.known
        bridging = {key: one for key, one in known.stale.items() if bridges(one.entry, now, self.asked.directives)}
        shares = {**known.fresh, **bridging}
        return shares if known.frame is not None and set(self.keys.parts) <= set(shares) else None

    def around(self, came: Sequence[Held], *, anew: bool) -> "Surrounding":
        """Return what stands around the items, by the frames that came just now and the one that is known.

        `anew`: no known part is used. Raises Fallback where they differ.
        """
        stored = [] if self.known.frame is None else [self.known.frame]
        guess = self.splitting.merge.one_each
        try:
            return Surrounding(_united([*came, *stored], guess=guess), came if anew else (*came, *stored))
        except Fallback:
            if not anew:
                raise
            return Surrounding(_united(came, guess=guess), came)  # the service writes its answers in another way now


@dataclass(frozen=True, slots=True)
class Surrounding:
    """What stands around the items of an answer, and whose heads tell of it."""

    frame: Frame
    heads: Sequence[Held]


def _united(held: Sequence[Held], *, guess: bool) -> Frame:
    return united([one.share for one in held if isinstance(one.share, Frame)], guess=guess)


class Composites:
    """Answers composite requests from their parts."""

    def __init__(
        self,
        parts: Parts,
        fan: Fan,
        rollouts: Rollouts,
        draws: Draws,
        clock: Clock,
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._failed = failed
        self._parts = parts
        self._fan = fan
        self._rollouts = rollouts
        self._draws = draws
        self._clock = clock
        self._whole = Uncacheable()
        """Those whose answers could not be put together lately, by the key of their frame."""

    async def of(self, asked: Asked, expected_s: float | None) -> Composite | None:
        """Cut a request, if its split is served: None where it is not, or where it is not worth it.

        Raises Fallback where anything about it is in doubt.
        """
        if asked.rule.splitting is None or self._is_out(asked, expected_s) is not None:
            return None
        composite = await self.cut(asked)
        return composite if composite is not None and await self._draws.split(asked) else None

    def why_whole(self, asked: Asked, expected_s: float | None) -> str | None:
        """Return in words why a rule's requests are not split now; None where they are."""
        if asked.rule.splitting is None:
            return "its rule does not split"
        if why := self._is_out(asked, expected_s):
            return why
        if asked.line.arm is None and not self._draws.takes(asked):
            return f"it is not among the {self._rollouts.share(asked.rule.name):g} % that are split"
        return None

    def _is_out(self, asked: Asked, expected_s: float | None) -> str | None:
        """Return in words why there is nothing to draw for a request; None where there is."""
        splitting, rule, arm = asked.rule.splitting, asked.rule.name, asked.line.arm
        if arm == CONTROL:
            return "its arm is control"
        if arm is None and self._rollouts.stage(rule) in {Stage.OFF, Stage.SHADOW}:
            return f"its split is {self._rollouts.stage(rule)}"
        if arm is not None and not self._rollouts.forced(rule):
            return f"its split is {self._rollouts.status(rule)['state']}"
        if splitting is not None and splitting.slower_than is not None and (expected_s or 0.0) < splitting.slower_than:
            return f"its rule takes {expected_s or 0.0:.3g} s, less than {splitting.slower_than:g} s"
        return None

    async def cut(self, asked: Asked) -> Composite | None:
        """Cut a request, and look its parts up; None where it has too few. Raises Fallback where that is in doubt."""
        splitting = asked.rule.splitting
        try:
            cut = None if splitting is None else splitting.cut(asked.request)
        except Fallback:
            raise
        except Exception as error:
            raise self._faulty(error, asked) from error
        if splitting is None or cut is None:
            return None
        keys = await self._parts.keys(asked, cut, splitting)
        asked.line.parts = len(cut.parts)
        return Composite(asked, splitting, cut, keys, await self._parts.known(keys, asked))

    async def calls_anew(self, asked: Asked) -> int | None:
        """Return how many calls it takes to ask for all parts of a request; None where it has too few."""
        composite = await self.cut(replace(asked, line=replace(asked.line)))
        return None if composite is None else len(self._planned(composite, composite.first).calls)

    async def anew(self, asked: Asked) -> Response:
        """Return the answer of a request's parts, all asked for now. Raises Fallback and UpstreamError."""
        composite = await self.cut(asked)
        if composite is None:
            raise Fallback(Reason.SPLIT_SYNTAX)
        composite = replace(composite, known=Known({}, {}, composite.known.frame))
        try:
            landed = await self._fetched(composite, composite.first)
            return self._merged(composite, landed, anew=True)
        except (Fallback, UpstreamError):
            raise
        except Exception as error:
            raise self._faulty(error, asked) from error

    async def _fetched(self, composite: Composite, places: Sequence[int]) -> dict[bytes, Landed]:
        one = composite
        return await self._fan.fetched(
            one.asked, one.splitting, one.cut, one.keys, places, knows_between=one.knows_between
        )

    async def answer(self, composite: Composite, wait: Callable[[], None]) -> Response:
        """Fetch what is missing, and merge; `wait` is called before the upstream's time is taken.

        Raises Fallback where the answers cannot be put together, and UpstreamError.
        """
        asked = composite.asked
        missing = composite.missing
        absent = {composite.keys.parts[place] for place in missing}
        asked.line.parts_hit = len([key for key in composite.keys.parts if key not in absent])
        place = told_apart(composite.keys.around, asked.request)
        if self.goes_whole(composite):
            raise Fallback(Reason.SPLIT_LATELY)
        landed: dict[bytes, Landed] = {}
        try:
            while missing:
                wait()
                landed |= await self._fetched(composite, missing)
                missing = self._gone(composite, landed)
            if not self._draws.still(asked):
                raise Fallback(Reason.SPLIT_LATELY)
            return self._merged(composite, landed, anew={*landed} >= {*composite.keys.parts})
        except Uncut as uncut:
            self._note(place, uncut.reason)
            return self._uncut(uncut, asked)
        except Fallback as fallback:
            if absent:  # what is wrong with stored parts, the whole answer mends
                self._note(place, fallback.reason)
            raise
        except UpstreamError:
            raise
        except Exception as error:
            self._note(place, Reason.INTERNAL)
            raise self._faulty(error, asked) from error

    def _faulty(self, error: Exception, asked: Asked) -> Fallback:
        self._failed(error, asked.line.request_id)
        return Fallback(Reason.INTERNAL)

    def goes_whole(self, composite: Composite) -> bool:
        """Tell whether something is missing of an answer of which others could not be put together lately."""
        place = told_apart(composite.keys.around, composite.asked.request)
        return bool(composite.missing) and self._whole.holds(place, self._clock.wall())

    def _note(self, place: bytes, reason: str) -> None:
        """Remember that such answers cannot be put together, if that is not one request's own fault."""
        if reason not in _OF_ONE_REQUEST:
            self._whole.note(place, self._clock.wall(), shared=False)

    def _gone(self, composite: Composite, landed: Mapping[bytes, Landed]) -> list[int]:
        """Return the places of the parts that were fresh when the fetch began, and are so no longer."""
        keys, used = composite.keys, composite.known.fresh.keys() - landed.keys()
        gone = {key for key in used if not self._parts.lasts(key, composite.known.fresh[key], keys, composite.asked)}
        return [keys.parts.index(key) for key in dict.fromkeys(keys.parts) if key in gone]

    def _uncut(self, uncut: Uncut, asked: Asked) -> Response:
        """Return the answer to all parts as it came: its asker has what it asked for."""
        line, response = asked.line, uncut.response
        line.outcome, line.reason, line.arm, line.parts_hit = Outcome.MISS, uncut.reason, CONTROL, None
        line.fell_back = uncut.reason
        line.cache_status = cache_status.forwarded(Outcome.MISS, uncut.reason)
        return replace(response, headers=answered(response.headers, http_date(self._clock.wall())))

    def planned(self, composite: Composite) -> FanOut | None:
        """Return how what is missing would be asked for now; None where nothing is."""
        missing = composite.missing
        return self._planned(composite, missing) if missing else None

    def _planned(self, composite: Composite, places: Sequence[int]) -> FanOut:
        one = composite
        return self._fan.planned(one.asked.rule.name, one.splitting, one.cut, one.keys, places)

    def may_ask_again(self) -> bool:
        """Take one of the extra calls for the whole request, after its parts could not be had."""
        return self._fan.take_extra_call()

    def stale(self, composite: Composite, reason: str) -> Response | None:
        """Return the answer of parts of which some are stale, if the upstream's failure allows it (RFC 5861 §4)."""
        shares, frame, line = composite.standing_in(self._clock.wall()), composite.known.frame, composite.asked.line
        if shares is None or frame is None:
            return None
        try:
            response = self._put_together(composite, shares, composite.around([], anew=False))
        except Fallback:
            return None
        line.outcome, line.reason, line.error, line.error_source = Outcome.STALE, reason, reason, "upstream"
        line.cache_status = cache_status.forwarded(Outcome.EXPIRED, reason)
        return response

    def _merged(self, composite: Composite, landed: Mapping[bytes, Landed], *, anew: bool) -> Response:
        line, parts = composite.asked.line, composite.keys.parts
        held = {**composite.known.fresh, **{key: one.part for key, one in landed.items()}}
        line.parts_hit = len([key for key in parts if key not in landed])
        hits, count = line.parts_hit, len(parts)
        response = self._put_together(
            composite, held, composite.around([one.frame for one in landed.values()], anew=anew)
        )
        line.outcome = Outcome.HIT if hits == count else Outcome.PARTIAL if hits else Outcome.MISS
        known_s = [held[key].entry.cost for key in set(parts) if key not in landed]
        # without what was known, that had been fetched besides what was missing
        line.cost = sum(known_s) + (line.waited_s(self._clock.timer()) or 0.0) if known_s else None
        line.cache_status = cache_status.composite(
            count, hits, ttl=line.ttl_s or 0, stored=bool(landed) and all(one.stored for one in landed.values()),
            collapsed=any(one.joined for one in landed.values()),
        )  # fmt: skip
        line.arm, line.candidate = CANDIDATE, response
        return response

    def _put_together(self, composite: Composite, held: Mapping[bytes, Held], around: "Surrounding") -> Response:
        began, now = self._clock.timer(), self._clock.wall()
        splitting, line = composite.splitting, composite.asked.line
        merge = splitting.merge
        parts = [held[key] for key in composite.keys.parts]
        shares = [one.share for one in parts if isinstance(one.share, Share)]
        body = merge.merge(around.frame, composite.cut.parts, shares, splitting.limits)
        heads = {
            one.entry.headers: one.entry
            for one in sorted((*around.heads, *parts), key=lambda one: age_of(one.entry, now))
        }
        headers = merged_head([head_of_entry(entry, now) for entry in heads.values()], len(body), now)
        line.age_s = int(max(age_of(one.entry, now) for one in parts))
        line.ttl_s = int(min(left(one.entry, now) for one in parts))
        line.merge_s = self._clock.timer() - began
        # no 304 and no range: its Date says nothing of its parts, and it has no tag
        return Response(200, answered(headers, http_date(now)), body)
