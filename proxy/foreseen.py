"""What was looked up → what would become of a request; it turns where `Accelerate` does."""

from dataclasses import replace

from proxy.asked import Asked
from proxy.core.freshness import Act, Verdict, judge
from proxy.core.partial import completing, cut_part
from proxy.core.reasons import Reason
from proxy.core.types import Entry, Outcome, Response
from proxy.core.validation import VALIDATED, asks_conditionally
from proxy.core.variants import has_room
from proxy.places import Found

_REFUSED = Verdict(Act.FETCH, Outcome.ERROR, Reason.ONLY_IF_CACHED)
_NOT_FOR_HEAD = Verdict(Act.FETCH, Outcome.PASSTHROUGH, Reason.METHOD)
_NO_ROOM = Verdict(Act.FETCH, Outcome.PASSTHROUGH, Reason.VARIANTS)


def foreseen(found: Found, asked: Asked, now: float) -> Verdict:
    """Return what a request would lead to, were it asked for whole `now` (wall clock).

    ERROR is a refusal, PASSTHROUGH goes straight upstream, PARTIAL fetches what is missing of a stored part.
    """
    entry = found.entry
    verdict = judge(entry, now, asked.directives)
    if found.part is not None and _has_the_range(found.part, asked, now):
        return judge(found.part, now, asked.directives)
    if verdict.act in {Act.DELIVER, Act.REFRESH}:
        return verdict
    full = entry is None and found.marker is not None and not has_room(found.marker, found.place, now)
    ways = (
        (_REFUSED, "only-if-cached" in asked.directives),
        (_NOT_FOR_HEAD, asked.request.method == "HEAD"),
        (_NO_ROOM, full),
        (
            replace(verdict, outcome=Outcome.PARTIAL),
            entry is None and completing(asked.request, found.part) is not None,
        ),
        (replace(verdict, act=Act.FETCH), asked.request.method not in VALIDATED),
    )
    return next((way for way, holds in ways if holds), verdict)


def _has_the_range(part: Entry, asked: Asked, now: float) -> bool:
    wanted, condition = asked.request.header(b"range"), asked.request.header(b"if-range")
    fresh = judge(part, now, asked.directives).act is Act.DELIVER
    if wanted is None or asked.request.method != "GET" or not fresh or asks_conditionally(asked.request):
        return False
    return cut_part(Response(part.status, part.headers, part.body), wanted, condition) is not None
