"""Why a request is answered as it is: its rule, its key step by step, what is stored for it, what would happen now."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.arms import matched
from proxy.core.explain import Difference, Form, differences, form_of, shown_of, walk
from proxy.core.freshness import Act, Verdict, age_of, bridges, judge, left
from proxy.core.key import Scope, key_of, normal_host
from proxy.core.log_line import LogLine
from proxy.core.plan import directives_of, reason_to_pass, translated
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.types import Entry, Outcome, Query, Request, Response
from proxy.core.variants import variants
from proxy.errors import Fallback
from proxy.explain_parts import ExplainParts, cut_told
from proxy.foreseen import foreseen
from proxy.places import Found, Places

MOST_FORMS = 1000
MOST_CHARS = 2**22
_PER_PART_CHARS = 100
_LONG_BODY_BYTES = 2**18
_DELIVER = "answer from the store"
_REFRESH = "answer from the store, and fetch a new one behind it"
_REVALIDATE = "ask the upstream whether what is stored is still good"
_FETCH = "fetch from the upstream"
_STRAIGHT = "send it straight upstream"
_COMPLETE = "fetch what is missing of the stored part"
_REFUSE = "refuse it"
_ASKS = frozenset({_FETCH, _REVALIDATE, _COMPLETE})
"""Before these, a request is answered from its parts, if it can be."""
_BY_ACT = {Act.DELIVER: _DELIVER, Act.REFRESH: _REFRESH, Act.REVALIDATE: _REVALIDATE, Act.FETCH: _FETCH}
_BY_OUTCOME = {Outcome.ERROR: _REFUSE, Outcome.PASSTHROUGH: _STRAIGHT, Outcome.PARTIAL: _COMPLETE}


class Forms:
    """The normal forms of the keys that were stored last, to find the nearest one to a miss; secrets are not in them."""

    def __init__(self, most: int = MOST_FORMS, most_chars: int = MOST_CHARS) -> None:
        self._most = most
        self._left = most_chars
        self._forms: OrderedDict[bytes, tuple[str, Form]] = OrderedDict()

    def note(self, rule: str, key: bytes, query: Query) -> None:
        """Remember the form of a key that was stored."""
        if key in self._forms:
            self._forms.move_to_end(key)
            return
        form = form_of(query)
        self._forms[key] = (rule, form)
        self._left -= _size(form)
        while self._left < 0 or len(self._forms) > self._most:
            _, (_, oldest) = self._forms.popitem(last=False)
            self._left += _size(oldest)

    def nearest(self, rule: str, query: Query) -> list[tuple[bytes, tuple[Difference, ...]]]:
        """Return those of the same rule with what sets them apart, the most alike first."""
        here = form_of(query)
        known = [(key, differences(here, form)) for key, (name, form) in self._forms.items() if name == rule]
        return sorted(known, key=lambda one: len(one[1]))


def _size(form: Form) -> int:
    return sum([len(name) + len(part.shown) + _PER_PART_CHARS for name, part in form.items()])


class Explain:
    """Explains requests; asks nothing of the upstream, changes and counts nothing."""

    def __init__(
        self,
        rules: Sequence[Rule],
        scopes: Mapping[str, Scope],
        places: Places,
        parts: ExplainParts,
        forms: Forms,
        clock: Clock,
    ) -> None:
        self._rules = rules
        self._scopes = scopes
        self._places = places
        self._parts = parts
        self._forms = forms
        self._clock = clock

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Return what is to be said of one request, ready to be written as JSON. Raises what a broken store does."""
        wanted = (self._rules, self._scopes, request, self._clock.wall())
        if isinstance(request.body, bytes) and len(request.body) > _LONG_BODY_BYTES:
            told = await asyncio.to_thread(explained, *wanted)  # others are served meanwhile
        else:
            told = explained(*wanted)
        request, rule, arm = matched(self._rules, request, normal_host(request))
        if rule is None or "key" not in told:
            return told
        sent = as_sent_upstream(request, rule)
        directives = directives_of(sent, rule.ignore_client)
        asked = Asked(sent, rule, normal_host(sent), directives, LogLine("", sent.method, "", 0.0, arm=arm))
        try:
            found = await self._places.find(asked)
        except Fallback as fallback:  # whether another query is equal to this one takes too long to tell
            return told | {"passthrough": fallback.reason}
        if found.entry is found.marker is found.part is None:
            await self._places.holds(found.key)  # a store that is broken raises here: it is no miss
        told["entry"] = self._entry(found)
        told["would"] = self._would(found, asked)
        if "split" in told:
            verdict = judge(found.entry, self._clock.wall(), asked.directives)
            in_parts = await self._parts(told["split"], found.entry, verdict, asked)
            told["would"] |= in_parts if in_parts is not None and told["would"]["do"] in _ASKS else {}
        if found.entry is None:
            told["nearest"] = await self._nearest(found, asked)
        return told

    def _entry(self, found: Found) -> dict[str, Any] | None:
        """Return the state of what is stored: the answer or a part of it, or that there are other variants only."""
        entry, now = found.entry or found.part, self._clock.wall()
        if entry is None:
            return _of_few(None, found) or None
        return {
            "state": "fresh" if left(entry, now) > 0 else "stale", "status": entry.status, "bytes": len(entry.body),
            "age_s": round(age_of(entry, now), 3), "ttl_s": round(left(entry, now), 3), "refresh_s": entry.refresh,
            "error_s": entry.error, "cost_s": round(entry.cost, 6), **_of_few(entry, found),
        }  # fmt: skip

    def _would(self, found: Found, asked: Asked) -> dict[str, Any]:
        """Return what would happen now."""
        now, entry = self._clock.wall(), found.entry
        told = _said(foreseen(found, asked, now))
        if (
            told["do"] in _ASKS
            and entry is not None
            and left(entry, now) <= 0
            and bridges(entry, now, asked.directives)
        ):
            told["if_it_fails"] = _DELIVER
        return told

    async def _nearest(self, found: Found, asked: Asked) -> dict[str, Any] | None:
        """Return the most alike of the stored keys, and in what it differs."""
        for key, told in self._forms.nearest(asked.rule.name, found.query):
            if key != found.key and await self._places.holds(key):
                return {
                    "key": key.hex(),
                    "differs": [{"part": one.part, "here": one.here, "there": one.there} for one in told],
                }
        return None


def _said(verdict: Verdict) -> dict[str, Any]:
    do = _BY_OUTCOME.get(verdict.outcome) or _BY_ACT[verdict.act]
    told: dict[str, Any] = {"outcome": verdict.outcome, "do": do}
    return told if verdict.reason is None else {**told, "reason": verdict.reason}


def _of_few(entry: Entry | None, found: Found) -> dict[str, Any]:
    """Return what only some entries have."""
    told: dict[str, Any] = {}
    if found.marker is not None:
        told["vary"] = [name.decode("latin-1") for name in found.marker.vary]
        told["variants"] = len(list(variants(found.marker)))
    if entry is not None and entry.groups:
        told["groups"] = [group.decode("latin-1") for group in entry.groups]
    if entry is not None and entry is found.part:
        told["part"] = (Response(206, entry.headers).header(b"content-range") or b"").decode("latin-1")
    if found.home != found.key:
        told["equal_queries"] = True
    return told


def as_sent_upstream(request: Request, rule: Rule) -> Request:
    """Return the request that a rule makes of a client's: a QUERY may go up as the POST that the service knows."""
    return translated(request) if rule.offers_query and request.method == "QUERY" else request


def explained(rules: Sequence[Rule], scopes: Mapping[str, Scope], request: Request, now: float) -> dict[str, Any]:
    """Return what can be said of a request without a store: its rule, why it passes through, its key step by step."""
    host = normal_host(request)
    request, rule, _ = matched(rules, request, host)
    if rule is None:
        return {"rule": None, "passthrough": Reason.NO_RULE}
    told: dict[str, Any] = {"rule": rule.name}
    sent = as_sent_upstream(request, rule)
    if sent is not request and b"content-type" not in request.fields:
        return told | {"refused": Reason.BAD_REQUEST}
    if reason := reason_to_pass(sent, rule, directives_of(sent, rule.ignore_client)):
        return told | {"passthrough": reason}
    if isinstance(sent.body, bytes) and len(sent.body) > rule.max_key_body:
        return told | {"passthrough": Reason.KEY_BODY_SIZE}
    scope = scopes[rule.name]
    walked = walk(sent, rule, host, scope.secret, now)
    told["steps"] = [
        {
            "word": step.word,
            "changed": {one.part: {"before": one.here, "after": one.there} for one in step.changed},
        }
        for step in walked.steps
    ]
    if walked.query is None:
        return told | {"passthrough": walked.reason}
    told["key"] = {"hash": key_of(walked.query, scope).hex(), "form": shown_of(form_of(walked.query))}
    return told if rule.splitting is None else told | {"split": cut_told(sent, rule, rule.splitting, scope, now)}
