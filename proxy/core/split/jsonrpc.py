"""`jsonrpc`: a JSON-RPC 2.0 batch; each call is a part."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as _quoted
from typing import ClassVar

from proxy.core import json_slices
from proxy.core.composite import LIMITS, Around, Cut, Limits, Part
from proxy.core.json_slices import Span
from proxy.core.json_text import Verbatim
from proxy.core.params import Matches, matcher
from proxy.core.part_request import body_of, with_body
from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.errors import Fallback

_LIMITS = Limits()

# Ids that have one spelling only, whatever writes them: a service gives back what they mean, not their bytes.
_PLAIN_ID = re.compile(r'-?[1-9][0-9]{0,14}|0|"[A-Za-z0-9_.:@{}()~,;*!-]*"')


@dataclass(frozen=True, slots=True)
class Jsonrpc:
    """Split a JSON-RPC 2.0 batch (an array) into its calls; what a call asks is all of it but its id.

    A batch is split only if `allow_methods` names all its methods (`*` stands for anything). Not split: notifications
    (they have no answer to wait for), ids that are null, come twice, or could be spelled in another way.
    """

    version: ClassVar[int] = 1

    allow_methods: tuple[str, ...] = ("*",)
    _allowed: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_allowed", matcher(self.allow_methods))

    def plan(self, request: Request, limits: Limits = LIMITS) -> Cut | None:
        """Return the batch's calls; None where the body is no array or an empty one, Fallback in doubt."""
        if not isinstance(request.body, bytes) or not request.body.lstrip(b" \t\n\r").startswith(b"["):
            return None
        text = body_of(request, limits)
        at = json_slices.blank(text, 0)
        batch = json_slices.elements(text, at, limits.parts, json_slices.opened)
        if json_slices.blank(text, batch.end) != len(text):
            raise Fallback(Reason.KEY_BODY_SYNTAX)
        if not batch.spans:
            return None
        parts = tuple([self._part(text, span) for span in batch.spans])
        if len({part.mark for part in parts}) < len(parts):
            raise Fallback(Reason.DUPLICATE_PART)
        around = Around(b"[", b",", b"]")
        return Cut(parts, with_body(request, around.of(())), around)

    def _part(self, text: str, span: Span) -> Part:
        if text[span.start] != "{":
            raise Fallback(Reason.SPLIT_SYNTAX)
        spans = span.value.spans
        members = {member.name: member for member in spans}
        if len(members) < len(spans):
            raise Fallback(Reason.KEY_DUPLICATE_MEMBER)
        version, method, mark = (_of(members, name) for name in ("jsonrpc", "method", "id"))
        if version is None or version.value != "2.0" or method is None or mark is None:
            raise Fallback(Reason.SPLIT_SYNTAX)
        written = text[mark.at : mark.end]
        if type(method.value) is not str or not _PLAIN_ID.fullmatch(written):  # a number's literal is a Verbatim
            raise Fallback(Reason.SPLIT_SYNTAX)
        if not self._allowed(method.value.encode("utf-8", "surrogatepass")):
            raise Fallback(Reason.SPLIT_DENIED)
        asked = [
            f"{_quoted(name)}:{text[members[name].at : members[name].end]}" for name in sorted(members) if name != "id"
        ]
        return Part(",".join(asked).encode(), text[span.start : span.end].encode(), None, written.encode())

    def build(self, request: Request, cut: Cut, places: Sequence[int]) -> Request:
        """Return the batch of some of the calls."""
        if len(places) == len(cut.parts) or not isinstance(cut.rest, Around):
            return request
        return with_body(request, cut.rest.of([part.raw for part in cut.picked(places)]))


def _of(members: dict[str, Span], name: str) -> Span | None:
    span = members.get(name)
    wrong = name == "jsonrpc" and span is not None and isinstance(span.value, Verbatim)
    return None if wrong else span
