"""The form that a request's key is made of: normal as far as that is rolled out, else as it came."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.key import Scope, key_of, query_of
from proxy.core.log_line import Draw
from proxy.core.rollout import NORMALIZE, unit_of
from proxy.core.trial import CANDIDATE, CONTROL
from proxy.core.types import Query
from proxy.rollouts import Rollouts
from proxy.tasks import done_aside

RAW = "raw"
"""Why it has another arm's answer: one that was served before is yet to be compared."""

_RAW, _GENERATION = b"as it came", b"generation"
"""What is in a key beside a request's own: no field has such a name, or could be written so."""


@dataclass(frozen=True, slots=True)
class Form:
    """A request's form, its key, and the key of its normal form whoever asks."""

    key: bytes
    query: Query
    bare: bytes


class NormalForms:
    """Makes forms, and their keys."""

    def __init__(self, scopes: Mapping[str, Scope], rollouts: Rollouts, clock: Clock) -> None:
        self._scopes = scopes
        self._rollouts = rollouts
        self._clock = clock

    async def __call__(self, asked: Asked) -> Form:
        """Return a request's form. Raises Fallback where it has no certain key."""
        query, rule = await self._query(asked), asked.rule
        scope = self._scopes[rule.name]
        bare = key_of(replace(query, fields=()), scope) if query.fields else key_of(query, scope)
        if not rule.normalizers or self._rollouts.is_as_ever(rule.name):
            return Form(key_of(query, scope) if query.fields else bare, query, bare)
        draw = self._draw(asked, bare)
        asked.line.drew(NORMALIZE, draw)
        return await self._form(query, bare, draw, asked)

    async def of_frame(self, asked: Asked) -> Form:
        """Return the form of a request without its parts: in the arm of the request, if that may be trusted.

        Of parts nobody knows which spelling they came by. Raises Fallback where it has no certain key.
        """
        query, rule = await self._query(asked), asked.rule
        scope = self._scopes[rule.name]
        bare = key_of(replace(query, fields=()), scope)
        if not rule.normalizers or self._rollouts.is_as_ever(rule.name):
            return Form(key_of(query, scope), query, bare)
        draw = (asked.line.draws or {}).get(NORMALIZE) or self._draw(asked, bare)
        if not draw.why and not self._rollouts.is_proven(rule.name, NORMALIZE):
            draw = draw._replace(why=RAW)
        return await self._form(query, bare, draw, asked)

    async def _form(self, query: Query, bare: bytes, draw: Draw, asked: Asked) -> Form:
        rule, scope = asked.rule, self._scopes[asked.rule.name]
        if draw.arm == CONTROL or draw.why:
            query = await self._query(replace(asked, rule=replace(rule, normalizers=())))
            query = replace(query, fields=(*query.fields, (_RAW, b"")))
        elif generation := self._rollouts.generation(rule.name, NORMALIZE):
            query = replace(query, fields=(*query.fields, (_GENERATION, b"%d" % generation)))
        return Form(key_of(query, scope), query, bare)

    def _draw(self, asked: Asked, bare: bytes) -> Draw:
        """Draw whether a request's key is made of its normal form (candidate), by that, or as it came (control)."""
        rule = asked.rule.name
        share = self._rollouts.share(rule, NORMALIZE)
        unit = unit_of(self._rollouts.staging(rule, NORMALIZE), asked.request, bare)
        if self._rollouts.takes(rule, NORMALIZE, unit):
            return Draw(CANDIDATE, share, RAW if asked.is_raw else "")
        if share > 0:
            return Draw(CONTROL, share)
        told = self._rollouts.status(rule, NORMALIZE)
        return Draw(CONTROL, None, str(told["mode"] if told["state"] == "running" else told["state"]))

    async def _query(self, asked: Asked) -> Query:
        secret = self._scopes[asked.rule.name].secret
        wanted = (asked.request, asked.rule, asked.host, secret, self._clock.wall())
        body = asked.request.body
        size = len(body) if isinstance(body, bytes) and asked.rule.normalizers else 0
        return await done_aside(size, partial(query_of, *wanted))
