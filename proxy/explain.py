"""Why a request is answered as it is: its rule, its key step by step, what is stored for it, what would happen now."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from proxy.clock import Clock
from proxy.core.explain import Form, differences, form_of, steps
from proxy.core.freshness import Act, age_of, judge, left
from proxy.core.key import Scope, key_of, normal_host
from proxy.core.log_line import LogLine
from proxy.core.plan import directives_of, reason_to_pass
from proxy.core.reasons import Reason
from proxy.core.rules import Rule, first_match
from proxy.core.types import Entry, Outcome, Query, Request
from proxy.core.variants import variants
from proxy.errors import Fallback
from proxy.places import Asked, Found, Places

MOST_FORMS = 1000
_DOES = {
    Act.DELIVER: "answer from the store",
    Act.REFRESH: "answer from the store, and fetch a new one behind it",
    Act.REVALIDATE: "ask the upstream whether what is stored is still good",
    Act.FETCH: "fetch from the upstream",
}


class Forms:
    """The normal forms of the keys that were stored last, to find the nearest one to a miss; secrets are not in them."""

    def __init__(self, most: int = MOST_FORMS) -> None:
        self._most = most
        self._forms: OrderedDict[bytes, tuple[str, Form]] = OrderedDict()

    def note(self, rule: str, key: bytes, query: Query) -> None:
        """Remember the form of a key that was stored."""
        if key in self._forms:
            self._forms.move_to_end(key)
            return
        self._forms[key] = (rule, form_of(query))
        if len(self._forms) > self._most:
            self._forms.popitem(last=False)

    def nearest(self, rule: str, query: Query) -> list[tuple[bytes, Form]]:
        """Return those of the same rule, the most alike first."""
        here = form_of(query)
        known = [(key, form) for key, (name, form) in self._forms.items() if name == rule]
        return sorted(known, key=lambda one: len(differences(here, one[1])))


class Explain:
    """Explains requests; asks nothing of the upstream, changes and counts nothing."""

    def __init__(
        self, rules: Sequence[Rule], scopes: Mapping[str, Scope], places: Places, forms: Forms, clock: Clock
    ) -> None:
        self._rules = rules
        self._scopes = scopes
        self._places = places
        self._forms = forms
        self._clock = clock

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Return what is to be said of one request, ready to be written as JSON."""
        told = explained(self._rules, self._scopes, request, self._clock.wall())
        rule = first_match(self._rules, request, normal_host(request))
        if rule is None or told.get("passthrough"):
            return told
        directives = directives_of(request, rule.ignore_client)
        asked = Asked(request, rule, normal_host(request), directives, LogLine("", request.method, "", 0.0))
        found = await self._places.find(asked)
        verdict = judge(found.entry, self._clock.wall(), directives)
        told["entry"] = self._entry(found)
        told["would"] = {"outcome": verdict.outcome, "do": _DOES[verdict.act]}
        if verdict.reason:
            told["would"]["reason"] = verdict.reason
        if verdict.outcome is Outcome.MISS:
            told["nearest"] = await self._nearest(found, asked)
        return told

    def _entry(self, found: Found) -> dict[str, Any] | None:
        entry, now = found.entry, self._clock.wall()
        if entry is None:
            return {"variants": len(list(variants(found.marker)))} if found.marker is not None else None
        return {
            "status": entry.status, "bytes": len(entry.body), "age_s": round(age_of(entry, now), 3),
            "ttl_s": round(left(entry, now), 3), "refresh_s": entry.refresh, "error_s": entry.error,
            "cost_s": round(entry.cost, 6), **_of_few(entry, found),
        }  # fmt: skip

    async def _nearest(self, found: Found, asked: Asked) -> dict[str, Any] | None:
        """Return the most alike of the stored keys, and in what it differs."""
        for key, form in self._forms.nearest(asked.rule.name, found.query):
            if key != found.key and await self._places.holds(key):
                told = differences(form_of(found.query), form)
                return {
                    "key": key.hex(),
                    "differs": [{"part": one.part, "here": one.here, "there": one.there} for one in told],
                }
        return None


def _of_few(entry: Entry, found: Found) -> dict[str, Any]:
    """Return what only some entries have."""
    told: dict[str, Any] = {}
    if found.marker is not None:
        told |= {
            "vary": [name.decode("latin-1") for name in found.marker.vary],
            "variants": len(list(variants(found.marker))),
        }
    if entry.groups:
        told["groups"] = [group.decode("latin-1") for group in entry.groups]
    if found.home != found.key:
        told["equal_queries"] = True
    return told


def explained(rules: Sequence[Rule], scopes: Mapping[str, Scope], request: Request, now: float) -> dict[str, Any]:
    """Return what can be said of a request without a store: its rule, why it passes through, its key step by step."""
    host = normal_host(request)
    rule = first_match(rules, request, host)
    if rule is None:
        return {"rule": None, "passthrough": Reason.NO_RULE}
    told: dict[str, Any] = {"rule": rule.name}
    directives = directives_of(request, rule.ignore_client)
    if reason := reason_to_pass(request, rule, directives):
        return told | {"passthrough": reason}
    scope = scopes[rule.name]
    try:
        done, query = steps(request, rule, host, scope.secret, now)
    except Fallback as fallback:
        return told | {"passthrough": fallback.reason}
    told["steps"] = [
        {
            "word": step.word,
            "changed": {part: {"before": before, "after": after} for part, (before, after) in step.changed.items()},
        }
        for step in done
    ]
    told["key"] = {"hash": key_of(query, scope).hex(), "form": form_of(query)}
    return told
