"""What splitters and merges promise, as checks for the tests of whoever writes one: a broken promise is an AssertionError.

`check_cut` asks a splitter alone, `check_answer` a merge alone, and `check_upstream` both, with a model of the service:
a function from a request to the response that the real one would give.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Never

from proxy.core.composite import LIMITS, Cut, Frame, Limits, Part, Share, Sliced, united
from proxy.core.merge import Merge
from proxy.core.reasons import Reason
from proxy.core.split import Splitter
from proxy.core.types import Request, Response
from proxy.errors import Fallback

Upstream = Callable[[Request], Response]
"""A model of the service: the same request always gets the same response."""


def check_cut(splitter: Splitter, request: Request, *groups: Sequence[int], limits: Limits = LIMITS) -> Cut | None:
    """Check what a splitter makes of a request, and of the requests for each of these groups of places.

    Returns the cut; None where the splitter finds nothing to split. What it raises as Fallback is raised here too.
    """
    cut = splitter.plan(request, limits)
    if cut is None:
        return None
    _law(cut == splitter.plan(request, limits), "plan gives one request two cuts", request)
    _law(bool(cut.parts), "a cut has no parts: plan gives None instead", request)
    _law(len(cut.parts) <= limits.parts, f"{len(cut.parts)} parts where {limits.parts} are allowed", request)
    everything = range(len(cut.parts))
    _law(splitter.build(request, cut, everything) == request, "build of all places is not the request itself", request)
    if len(cut.parts) > 1:
        _check_limit(splitter, request, limits, len(cut.parts))
    for places in groups:
        _check_built(splitter, request, cut, places, limits)
    return cut


def _check_limit(splitter: Splitter, request: Request, limits: Limits, count: int) -> None:
    try:
        splitter.plan(request, replace(limits, parts=count - 1))
    except Fallback as fallback:
        _law(fallback.reason == Reason.SPLIT_LIMIT, f"too many parts give {fallback.reason}, not split_limit", request)
        return
    _broken(f"{count} parts pass a limit of {count - 1}", request)


def _check_built(splitter: Splitter, request: Request, cut: Cut, places: Sequence[int], limits: Limits) -> None:
    built = splitter.build(request, cut, places)
    again = splitter.plan(built, limits)
    if again is None:
        _broken(f"what build made for places {list(places)} has no parts", built)
    asked, found = cut.picked(places), again.parts
    _law(
        [(part.raw, part.label, part.mark) for part in found] == [(part.raw, part.label, part.mark) for part in asked],
        f"what build made for places {list(places)} asks for other parts: {found} instead of {asked}",
        built,
    )
    # Alone, a part may have a plainer identity: how a list is separated says nothing of a list of one.
    _law(
        len(asked) == 1 or [part.identity for part in found] == [part.identity for part in asked],
        f"what build made for places {list(places)} has other identities: {found} instead of {asked}",
        built,
    )
    _law(_bare(again.frame) == _bare(cut.frame), f"the frame of places {list(places)} is another one", built)
    body = built.body
    length = built.header(b"content-length")
    right = length is None or not isinstance(body, bytes) or length == b"%d" % len(body)
    _law(right, f"Content-Length says {length!r}", built)


def _bare(frame: Request) -> tuple[object, ...]:
    """Return a frame as it takes part in keys: the length of a body says nothing that the body does not."""
    fields = tuple([field for field in frame.headers if field[0] != b"content-length"])
    return frame.method, frame.target, fields, frame.body


def check_answer(merge: Merge, response: Response, parts: Sequence[Part], limits: Limits = LIMITS) -> Sliced:
    """Check that what a merge cuts out of an answer to these parts, it puts together again, to the byte.

    Returns what it cut. What it raises as Fallback is raised here too.
    """
    merge.check(parts)
    sliced = merge.slice(response, parts, limits)
    _law(len(sliced.shares) == len(parts), f"{len(sliced.shares)} shares for {len(parts)} parts", response)
    said: dict[bytes, Share] = {}
    for part, share in zip(parts, sliced.shares, strict=True):
        _law(said.setdefault(part.identity, share) == share, f"{part.identity!r} has two shares", response)
        _law(Share.unpacked(share.packed()) == share, f"{share} is not what was stored of it", response)
    _law(Frame.unpacked(sliced.frame.packed()) == sliced.frame, "the frame is not what was stored of it", response)
    body = merge.merge(sliced.frame, parts, sliced.shares, limits)
    whole = response.body if isinstance(response.body, bytes) else b""
    _law(merge.equal(body, whole), f"put together again it is {body!r}", response)
    return sliced


def check_upstream(
    splitter: Splitter,
    merge: Merge,
    upstream: Upstream,
    request: Request,
    groups: Sequence[Sequence[int]],
    limits: Limits = LIMITS,
) -> bytes:
    """Check that answers to these groups of places, which hold each place once, make the answer to the whole request.

    Returns the body. What is raised as Fallback on the way is raised here too: count it, it must be rare.
    """
    cut = check_cut(splitter, request, *groups, limits=limits)
    if cut is None:
        _broken("nothing to split", request)
    _law(sorted(chain(*groups)) == [*range(len(cut.parts))], f"{groups} do not hold each place once", request)
    merge.check(cut.parts)
    frames: list[Frame] = []
    shares: dict[int, Share] = {}
    for places in groups:
        sliced = check_answer(merge, upstream(splitter.build(request, cut, places)), cut.picked(places), limits)
        frames.append(sliced.frame)
        shares.update(zip(places, sliced.shares, strict=True))
    body = merge.merge(united(frames), cut.parts, [shares[place] for place in sorted(shares)], limits)
    whole = upstream(request)
    _law(merge.equal(body, whole.body if isinstance(whole.body, bytes) else b""), f"split, it is {body!r}", whole)
    return body


def _law(holds: bool, broken: str, seen: object) -> None:
    if not holds:
        _broken(broken, seen)


def _broken(law: str, seen: object) -> Never:
    raise AssertionError(f"{law}\n  in {seen!r}")
