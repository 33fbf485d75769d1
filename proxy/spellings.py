"""Whether questions with one normal form get the same answer, as their rule says: the evidence for a normalized key.

Answers to requests whose keys are not normalized are compared with the last one to another spelling; what was answered
from another spelling's entry is asked for again as it came.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.rollout import NORMALIZE, Stage
from proxy.core.trial import CHANGED, CLEAN, CONTROL, NORMALIZATION, UNCLEAR
from proxy.core.types import Entry, Response
from proxy.cutting import Answer
from proxy.draws import Draws
from proxy.errors import Fallback, UpstreamError
from proxy.origins import Origins
from proxy.places import Found
from proxy.rollouts import Rollouts
from proxy.trials import Trials
from proxy.unseen import Unseen, plain
from proxy.verify import Case, Verify

_MOST_BYTES = 2**24


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a spelling was answered with, and until when that is fresh (wall clock)."""

    asked: Asked
    response: Response
    until: float

    @property
    def size(self) -> int:
        """Return how many bytes it holds."""
        return len(self.response.body) if isinstance(self.response.body, bytes) else 0


class Spellings:
    """Compares the answers to different spellings."""

    def __init__(
        self,
        rollouts: Rollouts,
        trials: Trials,
        unseen: Unseen,
        verify: Verify,
        draws: Draws,
        origins: Origins,
        clock: Clock,
        *,
        failed: Callable[[BaseException, str], None],
        roll: Callable[[], float],
    ) -> None:
        self._rollouts = rollouts
        self._trials = trials
        self._unseen = unseen
        self._verify = verify
        self._draws = draws
        self._origins = origins
        self._clock = clock
        self._failed = failed
        self._roll = roll
        self._spoken: OrderedDict[bytes, Spoken] = OrderedDict()
        self._left = _MOST_BYTES

    async def heard(self, answer: Answer, found: Found) -> None:
        """Learn from a whole answer: whose entry it is, or how it compares with another spelling's."""
        asked, rule = answer.asked, answer.asked.rule.name
        if self._rollouts.stage(rule, NORMALIZE) is Stage.OFF or not self._trials.is_watched(rule, NORMALIZE):
            return
        if not _is_raw(asked):
            self._origins.note(found.key, asked)
        elif self._is_sampled(rule) and asked.is_anybodys and answer.storing.is_fresh and is_for_all(answer):
            await self._guarded(asked, answer, found)

    def _is_sampled(self, rule: str) -> bool:
        if self._rollouts.is_demoted(rule, NORMALIZE):
            return False
        sampled = self._rollouts.sampled(rule, NORMALIZE)
        in_shadow = self._rollouts.stage(rule, NORMALIZE) is Stage.SHADOW
        return not in_shadow or sampled >= 100 or self._roll() * 100 < sampled

    async def _guarded(self, asked: Asked, answer: Answer, found: Found) -> None:
        try:
            await self._compared(asked, answer, found)
        except (Fallback, UpstreamError):
            self._trials.own(asked.rule.name, NORMALIZE).judged(NORMALIZATION, UNCLEAR)
        except Exception as error:  # noqa: BLE001  nobody waits for this
            self._failed(error, asked.line.request_id)

    async def _compared(self, asked: Asked, answer: Answer, found: Found) -> None:
        now, most = self._clock.wall(), asked.rule.max_object
        storing, response = answer.storing, plain(answer.response, answer.body, most)
        before = self._spoken.get(found.bare)
        kept = replace(asked, line=replace(asked.line, call=None, candidate=None, after=None, observed=None))
        self._keep(found.bare, Spoken(kept, response, answer.now + storing.ttl - storing.age))
        if before is None or before.asked.is_spelled(asked) or before.until <= now:
            return
        if await self._verify.difference(asked, response, before.response) is None:
            self._trials.own(asked.rule.name, NORMALIZE).judged(NORMALIZATION, CLEAN)
            return
        async with self._unseen.turn(asked, NORMALIZE, 1) as may:
            if not may:
                return
            again = (await self._unseen.whole(asked.in_words_of(before.asked))).response
        if await self._verify.difference(asked, response, again) is None:
            self._trials.own(asked.rule.name, NORMALIZE).judged(NORMALIZATION, CHANGED)
            return
        await self._verify(self._case(asked, response, again, before.asked))

    def _keep(self, bare: bytes, spoken: Spoken) -> None:
        before = self._spoken.pop(bare, None)
        self._spoken[bare] = spoken
        self._left += (before.size if before is not None else 0) - spoken.size
        while self._left < 0 and self._spoken:
            self._left += self._spoken.popitem(last=False)[1].size

    def _case(
        self, asked: Asked, control: Response, candidate: Response, origin: Asked | None, *, is_exposed: bool = False
    ) -> Case:
        async def whole(one: Asked) -> Response:
            return (await self._unseen.whole(one)).response

        again = None if origin is None else partial(whole, asked.in_words_of(origin))
        return Case(
            asked, NORMALIZE, NORMALIZATION, control, candidate, partial(whole, asked), again,
            is_exposed=is_exposed, is_older=is_exposed,
        )  # fmt: skip

    async def may_serve(self, found: Found, entry: Entry, asked: Asked) -> bool:
        """Tell whether a stored answer may be served to this spelling; it is compared once it has left, if need be."""
        rule = asked.rule.name
        if self._rollouts.is_as_ever(rule) and not self._rollouts.staging(rule, NORMALIZE).audit:
            return True
        origin = self._origins.get(found.key)
        if _is_raw(asked) or (origin is not None and origin.is_spelled(asked)):
            return True
        if origin is None and not self.is_trusted(rule):
            return False  # nobody could find out whose fault a difference is
        if not asked.is_anybodys or asked.request.method == "HEAD" or found.marker is not None:
            return self.is_trusted(rule)  # what it should be cannot be asked for, or by one spelling only
        asked.line.candidate = Response(entry.status, entry.headers, entry.body)
        if await self._draws.exposes(asked, NORMALIZE, partial(self._pair, origin)):
            return True
        asked.line.candidate = None
        return False

    def is_anothers(self, found: Found, asked: Asked) -> bool:
        """Tell whether what is stored, but for a hit, is not for this spelling before there is evidence that it is."""
        if found.entry is None or _is_raw(asked) or self.is_trusted(asked.rule.name):
            return False
        origin = self._origins.get(found.key)
        return origin is None or not origin.is_spelled(asked)

    def is_trusted(self, rule: str) -> bool:
        """Tell whether a rule's spellings may share answers that nobody compares: by its owner's word, or by evidence."""
        return self._rollouts.is_as_ever(rule) or self._rollouts.is_proven(rule, NORMALIZE)

    async def _pair(self, origin: Asked | None, asked: Asked, candidate: Response) -> None:
        trial = self._trials.own(asked.rule.name, NORMALIZE)
        try:
            body = candidate.body if isinstance(candidate.body, bytes) else b""
            stored = plain(candidate, body, asked.rule.max_object)
            whole = await self._unseen.whole(replace(asked, is_raw=True))
            await self._verify(self._case(asked, whole.response, stored, origin, is_exposed=True))
        except (Fallback, UpstreamError):
            trial.judged(NORMALIZATION, UNCLEAR)


def is_for_all(answer: Answer) -> bool:
    """Tell whether an answer is the same whatever fields its request has, but for how it may be coded."""
    return set(answer.storing.vary) <= {b"accept-encoding"}


def _is_raw(asked: Asked) -> bool:
    """Tell whether a request's key was made of it as it came."""
    draw = (asked.line.draws or {}).get(NORMALIZE)
    return draw is not None and (draw.arm == CONTROL or bool(draw.why))
