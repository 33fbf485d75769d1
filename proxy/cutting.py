"""One answer to some parts → what it says of each, and the entries that keep that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from proxy.asked import Asked
from proxy.core import lifetime
from proxy.core.coding import plain_body
from proxy.core.composite import Cut, Sliced
from proxy.core.reasons import Reason
from proxy.core.splitting import Splitting
from proxy.core.storing import Storing, entry_of
from proxy.core.types import Entry, Request, Response
from proxy.parts import is_for, mark_of, sealed


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer to some parts or to all: what was asked when, when its head came `now`, and what it cost.

    `asked_at` and `now` are wall-clock seconds, `cost` is in seconds; `storing` is what may be done with it.
    """

    asked: Asked
    response: Response
    body: bytes
    storing: Storing
    cost: float
    asked_at: float
    now: float


@dataclass(frozen=True, slots=True)
class Made:
    """The entries of one answer's parts by key, and of its frame; `kept` are those that may be stored."""

    parts: Mapping[bytes, Entry]
    frame: Entry
    kept: Mapping[bytes, Entry]


def cut_answer(
    splitting: Splitting, cut: Cut, places: Sequence[int], response: Response, body: bytes
) -> tuple[Sliced, bytes]:
    """Cut a whole answer to some parts; return its shares and its plain body. Raises Fallback."""
    plain = plain_body(response, body, splitting.limits.answer_bytes)
    headers = tuple([field for field in response.headers if field[0] != b"content-encoding"])
    answer = replace(response, headers=headers, body=plain)
    return splitting.merge.slice(answer, cut.picked(places), splitting.limits), plain


def entries_of(sliced: Sliced, keys: Sequence[bytes], around: bytes, answer: Answer) -> Made:
    """Make the entries of an answer's parts, each with a lifetime of its own and its share of the cost."""
    storing, asked_at = answer.storing, answer.asked_at
    mark = mark_of(sliced.frame)
    cost, asked = answer.cost / len(keys), answer.asked
    base = entry_of(answer.response, b"", storing, asked.rule, now=answer.now, cost=cost, host=asked.host)
    headers = tuple([one for one in base.headers if one[0] not in {b"content-length", b"content-encoding", b"etag"}])
    base = replace(base, headers=headers, tag=b"", vary=storing.vary)
    ttl = {key: lifetime.jittered(base.ttl, key) if storing.by_owner else base.ttl for key in keys}
    parts = {
        key: replace(base, body=sealed(share, mark, asked_at), ttl=ttl[key])
        for key, share in zip(keys, sliced.shares, strict=True)
    }
    frame = replace(base, body=sealed(sliced.frame, mark, asked_at))
    lasting = {key: parts[key] for key, share in zip(keys, sliced.shares, strict=True) if share.lasting}
    return Made(parts, frame, {**lasting, around: frame})


def not_for_parts(response: Response, storing: Storing, request: Request) -> Reason | None:
    """Return why nothing of the answer to a request may be kept apart, if so: then nobody else may have it either."""
    if storing.reason is not None or not storing.is_fresh:
        return storing.reason or Reason.NO_TTL
    if response.status != 200:
        return Reason.PART_ERROR
    if storing.guessed or storing.withheld:
        return Reason.NO_TTL
    return None if is_for(storing.vary, request) else Reason.VARY
